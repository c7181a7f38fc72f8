"""No secret passes through the logs."""

import sys
from collections.abc import Callable

import pytest

from streams.logs import configure_logs, get_logger, redact_text


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://crossbook:hunter2@127.0.0.1:5433/crossbook",
        "Authorization: Bearer abcdefgh12345678",
        "key sk-abcdefghijklmnop",
        "-----BEGIN PRIVATE KEY-----\nMIIhunter2\n-----END PRIVATE KEY-----",
    ],
)
def test_secrets_in_texts_are_replaced(text: str) -> None:
    shown = redact_text(text)
    assert "[redacted]" in shown
    assert not any(part in shown for part in ("hunter2", "abcdefgh12345678", "sk-abc"))


def test_secret_fields_are_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(as_json=True)
    get_logger().info("signed in", api_key="hunter2", passphrase="hunter3", market_id="KX-1")
    line = capsys.readouterr().err
    assert "hunter" not in line
    assert "KX-1" in line


@pytest.mark.parametrize(
    "write",
    [
        lambda: get_logger().warning("the database is away", attempt=1),
        lambda: get_logger(room="recorder").error("lost", exc_info=ValueError("why")),
        lambda: sys.excepthook(ValueError, ValueError("why"), None),
    ],
)
def test_a_line_that_a_full_disk_does_not_take_is_lost_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, write: Callable[[], None]
) -> None:
    configure_logs()
    full = open("/dev/full", "w")  # noqa: SIM115 - closing it fails, as writing to it does
    monkeypatch.setattr(sys, "stderr", full)
    write()
    write()
    with pytest.raises(OSError, match="No space"):
        full.close()


def test_a_line_after_the_terminal_has_gone_is_lost_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logs()
    with open("/dev/null", "w") as closed:
        monkeypatch.setattr(sys, "stderr", closed)
    get_logger().warning("nobody reads this")
