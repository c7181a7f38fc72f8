"""No secret passes through a log, a repr or a traceback, whatever shape it has there."""

from __future__ import annotations

import base64
import html
import json
import logging
import subprocess
import sys
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
import pytest

from app.supervisor.children import Child
from streams import logs
from streams.logs import configure_logs, get_logger
from streams.redaction import redact, redact_text, register_address, register_secret
from streams.settings import Settings, load_settings

SECRET = 'Canary/7+Secret "é'
PEM = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(f"MIIcanary{n:02d}{'aB3+/' * 9}" for n in range(4)) + "\n-----END"
MARKS = ("Canary", "Secret", "%43%61%6E", "canary01", base64.b64encode(SECRET.encode()).decode()[:18])


@dataclass
class Login:
    user: str
    phrase: str
    inner: list[Any] = field(default_factory=list)


class Header(NamedTuple):
    name: str
    value: str


class Opaque:
    def __repr__(self) -> str:
        return f"Opaque({SECRET!r})"


SHAPES: dict[str, Callable[[], Any]] = {
    "text": lambda: f"it is {SECRET}.",
    "nested dicts": lambda: {"a": {"b": {"c": SECRET}}},
    "list in a tuple": lambda: ([1, [SECRET]],),
    "set": lambda: {SECRET},
    "key of a dict": lambda: {SECRET: 1},
    "dataclass": lambda: Login("u", SECRET),
    "dataclass in a dataclass": lambda: Login("u", "", [Login("v", SECRET)]),
    "named tuple": lambda: Header("x", SECRET),
    "bytes": lambda: SECRET.encode(),
    "bytes in a dict": lambda: {"body": b"x=" + SECRET.encode() + b"&y"},
    "percent-encoded": lambda: "https://h/?k=" + urllib.parse.quote(SECRET, safe=""),
    "form-encoded": lambda: urllib.parse.urlencode({"k": SECRET}),
    "base64": lambda: base64.b64encode(SECRET.encode()).decode(),
    "base64 behind a user": lambda: base64.b64encode(b"user:" + SECRET.encode()).decode(),
    "JSON": lambda: json.dumps({"k": SECRET}),
    "JSON in JSON": lambda: json.dumps({"k": json.dumps({"k": SECRET})}),
    "repr": lambda: repr({"k": SECRET}),
    "address": lambda: f"postgresql://u:{urllib.parse.quote(SECRET, safe='')}@h/d",
    "split address": lambda: urllib.parse.urlsplit(f"https://u:{urllib.parse.quote(SECRET, safe='')}@h/d"),
    "header pairs": lambda: [("Authorization", "x" + SECRET), (b"Cookie", SECRET.encode())],
    "headers": lambda: {"KALSHI-ACCESS-SIGNATURE": "abc", "POLY_PASSPHRASE": SECRET},
    "exception": lambda: ValueError("no", {"k": SECRET}),
    "object": Opaque,
    "deep": lambda: [[[[[[[[[[[[[[SECRET]]]]]]]]]]]]]],
    "private key": lambda: PEM,
    "lines of a private key": lambda: PEM.splitlines()[2],
    "escaped private key": lambda: json.dumps(PEM),
    "hexadecimal": lambda: SECRET.encode().hex(),
    "percent-encoded but for some signs": lambda: "https://h/?k=" + urllib.parse.quote(SECRET, safe="+"),
    "percent-encoded but for the slash and in small letters": lambda: "Canary/7%2bSecret%20%22%c3%a9",
    "percent-encoded twice": lambda: urllib.parse.quote(urllib.parse.quote(SECRET, safe=""), safe=""),
    "percent-encoded to the last letter": lambda: "".join(f"%{byte:02X}" for byte in SECRET.encode()),
    "HTML": lambda: html.escape(SECRET),
    "HTML by numbers": lambda: "Canary&#47;7&#x2B;Secret &#34;&#233;",
    "JSON with escaped slashes": lambda: json.dumps(SECRET).replace("/", "\\/"),
    "JSON in JSON in JSON": lambda: json.dumps(json.dumps(json.dumps(SECRET))),
    "ASCII": lambda: ascii(SECRET),
    "repr of a repr": lambda: repr(repr(SECRET)),
    "cell of a CSV file": lambda: '"' + SECRET.replace('"', '""') + '"',
    "word of a shell": lambda: SECRET.replace("/", "\\/").replace(" ", "\\ ").replace('"', '\\"'),
    "value that a connection string quotes": lambda: "password='" + SECRET.replace("é", "\\é") + "'",
}


@pytest.fixture(autouse=True)
def loaded() -> Iterator[None]:
    register_secret(SECRET, PEM)
    make_record, hooks = logging.Logger.makeRecord, (sys.excepthook, sys.unraisablehook, logs.threading.excepthook)
    form = warnings.formatwarning
    yield
    logging.Logger.makeRecord = make_record  # type: ignore[method-assign]
    sys.excepthook, sys.unraisablehook, logs.threading.excepthook = hooks
    warnings.formatwarning = form


def leaks(text: str) -> list[str]:
    found = [mark for mark in MARKS if mark in text]
    return found + ([SECRET.encode().hex()] if SECRET.encode().hex() in text else [])


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_loaded_secret_is_in_no_line_of_the_log(
    shape: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(as_json=as_json)
    value = SHAPES[shape]()
    get_logger(bound=value).info("seen", value=value, more={"value": [value]} if shape != "set" else "")
    get_logger().info(f"in the event: {value}")
    get_logger().info("positional %s", value)
    shown = capsys.readouterr().err
    assert leaks(shown) == []
    assert "seen" in shown
    if as_json:
        assert [json.loads(line)["level"] for line in shown.splitlines()] == ["info"] * 3


@pytest.mark.parametrize("shape", SHAPES)
def test_a_loaded_secret_is_in_no_record_of_a_librarys_logger(shape: str, caplog: pytest.LogCaptureFixture) -> None:
    configure_logs()
    value = SHAPES[shape]()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("some.library").warning("sent %s", value, extra={"request": value})
        logging.getLogger("some.library").warning("sent %(v)s", {"v": value})
        logging.getLogger("some.library").warning(value)
        logging.getLogger("some.library").warning("%d of %d", value)
    assert leaks(caplog.text) == []
    assert leaks(repr([vars(record) for record in caplog.records])) == []
    assert "sent" in caplog.text


def test_a_traceback_with_cause_notes_and_arguments_is_redacted(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    configure_logs()
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as cause:
            cause.add_note(f"while reading {SECRET}")
            raise RuntimeError(f"no {SECRET}") from cause
    except RuntimeError as error:
        get_logger().exception("failed", detail=error)
        logging.getLogger("some.library").exception("failed too")
        sys.excepthook(type(error), error, error.__traceback__)
    shown = capsys.readouterr().err + caplog.text
    assert leaks(shown) == []
    assert shown.count("RuntimeError") >= 3


def test_a_warning_and_an_error_that_cannot_be_raised_are_redacted() -> None:
    program = (
        "import sys, warnings; from streams.redaction import register_secret\n"
        "from streams.outermost import run_guarded\n"
        "secret = sys.stdin.read(); register_secret(secret)\n"
        "class Leaving:\n    def __del__(self): raise ValueError('del ' + secret)\n"
        "def main(): warnings.warn('warned of ' + secret); Leaving()\n"
        "sys.exit(run_guarded(main))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], input=SECRET, capture_output=True, text=True, encoding="utf-8", check=True
    )
    assert leaks(ended.stderr) == []
    assert "UserWarning: warned of [redacted]" in ended.stderr
    assert "ValueError: del [redacted]" in ended.stderr


def test_a_value_without_a_secret_is_as_it_was() -> None:
    value = {"market_id": "KX-1", "yes_token": "123", "sizes": [1, 2.5, None, True], "raw": b"abc", "pair": ("a", "b")}
    assert redact(value) == value
    text = "The key 'kalshi-live' cannot be opened with CROSSBOOK_KEYSTORE_PASSPHRASE: set it. Basic rules apply."
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("host=h password=hunter22 dbname=d", "hunter22"),
        ("host=h password='hun ter22' dbname=d", "ter22"),
        ('{"passphrase": "hunter22", "a": 1}', "hunter22"),
        ('{\\"password\\": \\"hunter22\\"}', "hunter22"),
        ("GET /?api_key=hunter22&a=1", "hunter22"),
        ("https://someone:hun@ter22@host/", "ter22"),
        ("https://:hunter22@host/", "hunter22"),
        ("PGPASSWORD=hunter22", "hunter22"),
        ("-----BEGIN RSA PRIVATE KEY-----\nhunter22\ncut", "hunter22"),
    ],
)
def test_what_looks_like_a_secret_is_removed_though_nobody_loaded_it(text: str, secret: str) -> None:
    assert secret not in redact_text(text)
    assert "[redacted]" in redact_text(text)


def test_a_short_secret_is_removed_as_a_word_and_leaves_other_words_alone() -> None:
    register_secret("tomato", "kx")
    assert redact_text("a tomato, tomatoes; kx kx") == "a [redacted], tomatoes; kx kx"


def test_settings_show_no_secret_and_no_login_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CROSSBOOK_OPENAI_BASE_URL", "CROSSBOOK_KALSHI_REST_URL", "CROSSBOOK_POLYMARKET_WS_URL"):
        monkeypatch.setenv(name, "https://me:unlikely-login-9@127.0.0.1:9/x")
    monkeypatch.setenv("CROSSBOOK_ALERT_WEBHOOK_URL", "https://hooks.example/T00/unlikely-hook-9")
    monkeypatch.setenv("CROSSBOOK_KEYSTORE_PASSPHRASE", "unlikely passphrase 9")
    settings = load_settings()
    for shown in (repr(settings), str(settings), f"{settings!r:}", repr({"s": [settings]})):
        assert "unlikely" not in shown
    configure_logs()
    for text in ("unlikely-login-9", "unlikely-hook-9", "unlikely passphrase 9"):
        assert text not in redact_text(f"sent to https://hooks.example/T00/unlikely-hook-9 by {text}!")


def test_a_password_that_cuts_its_address_is_known_all_the_same() -> None:
    register_address("postgresql://u:un@like/ly-8#@h/d")
    assert redact_text("could not translate host name like/ly-8#@h; un@like/ly-8# failed").count("un@like") == 0


def test_a_process_shows_none_of_its_environment(tmp_path: Any) -> None:
    child = Child("x", ["x"], {"DATABASE_URL": "postgresql://u:unlikely-7@h/d"}, tmp_path, tmp_path)
    assert "unlikely-7" not in repr(child)


def test_the_last_words_of_a_process_are_redacted() -> None:
    code = (
        "from streams.settings import load_settings; from streams.logs import configure_logs; import threading\n"
        "configure_logs(); s = load_settings(); password = s.database_url.get_secret_value()\n"
        "def fail(): raise ValueError(password)\n"
        "t = threading.Thread(target=fail); t.start(); t.join(); fail()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"DATABASE_URL": "postgresql://u:unlikely-6@h/d", "PATH": "", "CROSSBOOK_HOME": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("ValueError") == 2
    assert "unlikely-6" not in done.stderr


def test_the_http_librarys_own_line_shows_no_login(caplog: pytest.LogCaptureFixture) -> None:
    configure_logs()
    register_address("http://me:unlikely-5@127.0.0.1/")
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with caplog.at_level(logging.DEBUG), httpx.Client(transport=transport) as client:
        client.get("http://me:unlikely-5@127.0.0.1/hook?api_key=unlikely-5")
    assert "unlikely-5" not in caplog.text


def test_settings_are_frozen_and_compare_by_value() -> None:
    assert Settings(_env_file=None) == Settings(_env_file=None)
