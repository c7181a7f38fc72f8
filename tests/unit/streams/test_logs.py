"""No secret passes through the logs."""

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
