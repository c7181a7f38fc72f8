"""Every secret that can be set is marked, loaded, and sought in everything a process may say of it."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from streams.logs import configure_logs, get_logger, traceback_text
from streams.processes.parts import SECRET_NAMES
from streams.redaction import redact, redact_text
from streams.settings import load_settings
from streams.venues.credentials.keystore import Keystore
from tests.support.canaries import marks_in

PEM = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"
SHAPES: dict[str, Callable[[str], Any]] = {
    "text": lambda secret: f"with {secret}.",
    "nested": lambda secret: {"a": [({"b": secret},), {secret}]},
    "bytes": lambda secret: b"x=" + secret.encode(),
    "percent": lambda secret: "https://h/?a=" + quote(secret, safe=""),
    "form": lambda secret: "a=" + quote_plus(secret) + "&b=1",
    "base64": lambda secret: base64.b64encode(b"user:" + secret.encode()).decode(),
    "hexadecimal": lambda secret: secret.encode().hex(),
    "JSON": lambda secret: json.dumps({"a": json.dumps([secret])}),
    "repr": lambda secret: repr([secret]),
    "header": lambda secret: ("X-Whatever", secret),
    "arguments": lambda secret: ["psql", secret],
    "exception": lambda secret: ValueError("no", secret),
}


def _value(name: str) -> tuple[str, str]:
    """A value that a setting takes, and the mark in it."""
    mark = f"canary9{name.lower().replace('_', '')}9"
    if "DATABASE" in name or name.endswith("PG_URL"):
        return f"postgresql://who:{mark}%2Fx@127.0.0.1:1/d", mark
    return (f"http://127.0.0.1:1/{mark}", mark) if name.endswith("URL") else (f"{mark}.plus+slash/", mark)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(SECRET_NAMES))
def test_no_setting_passes_in_any_shape(
    name: str,
    shape: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    value, mark = _value(name)
    monkeypatch.setenv("DATABASE_URL", "postgresql://owner:unmarked-9@127.0.0.1:1/d")  # no login stands without it
    monkeypatch.setenv(name, value)
    settings = load_settings(home=tmp_path)
    assert marks_in(repr(settings) + str(settings) + repr(settings.model_dump()), [mark]) == []
    assert marks_in(settings.model_dump_json(), [mark]) == []
    configure_logs(as_json=True)
    said = SHAPES[shape](value)
    get_logger(bound=said).info("seen", said=said)
    logging.getLogger("some.library").warning("seen %s", said)
    try:
        try:
            raise KeyError(str(said))
        except KeyError as cause:
            cause.add_note(str(said))
            raise RuntimeError(said) from cause
    except RuntimeError as error:
        bare, shown = "".join(traceback.format_exception(error)), traceback_text(error)
    assert marks_in(bare, [mark]) == [mark]
    shown += repr(redact(said)) + redact_text(str(said)) + capsys.readouterr().err + caplog.text
    assert marks_in(shown, [mark]) == []
    assert "seen" in shown


def test_what_the_keystore_opens_is_known_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBOOK_KEYSTORE_PASSPHRASE", "canary8ofthepassphrase")
    body = "\n".join(f"MIIcanary8line{number}{'aB3+/' * 9}" for number in range(4))
    fields = {"key_id": "plain", "private_key_pem": PEM.format(body), "secret": "canary8ofthesecret/+=="}
    keystore = Keystore(load_settings(home=tmp_path))
    keystore.set("kalshi-demo", fields)
    keystore.get("kalshi-demo")
    marks = ["canary8ofthepassphrase", "canary8ofthesecret", *(f"canary8line{number}" for number in range(4))]
    for text in (repr(fields), json.dumps(fields), "\n".join(fields["private_key_pem"].splitlines()[2:3]), marks[0]):
        assert marks_in(redact_text(text), marks) == []
    assert marks_in((tmp_path / "keystore.json").read_bytes(), marks) == []
