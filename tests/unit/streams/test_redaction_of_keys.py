"""A key that was read as digits is known as the bytes and the number that it stands for, too."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from streams.redaction import redact, redact_text, register_secret

KEY = bytes(range(131, 163))
HEX = f"0x{KEY.hex()}"
BASE64 = base64.urlsafe_b64encode(bytes(range(201, 225)) + b"\xfb\xff").decode()
MEANT = base64.urlsafe_b64decode(BASE64)


@pytest.fixture(autouse=True)
def loaded() -> None:
    register_secret(HEX, BASE64)


@pytest.mark.parametrize(
    "spelling",
    [
        lambda raw: raw.hex(),
        lambda raw: raw.hex().upper(),
        lambda raw: f"0X{raw.hex().upper()}",
        lambda raw: hex(int.from_bytes(raw)),
        lambda raw: str(int.from_bytes(raw)),
        lambda raw: f"key={int.from_bytes(raw)}, n=1",
        repr,
        str,
        lambda raw: repr(repr(raw)),
        lambda raw: repr(bytearray(b"x" + raw + b"y")),
        lambda raw: json.dumps(raw.decode("latin-1")),
        lambda raw: str(list(raw)),
        lambda raw: json.dumps({"key": list(raw)}),
        lambda raw: base64.b64encode(raw).decode(),
        lambda raw: base64.urlsafe_b64encode(raw).decode(),
        lambda raw: base64.b64encode(b"ab" + raw + b"c").decode(),
    ],
)
@pytest.mark.parametrize("raw", [KEY, MEANT])
def test_no_spelling_of_its_bytes_is_shown(raw: bytes, spelling: Callable[[bytes], str]) -> None:
    text = spelling(raw)
    shown = redact_text(f"failed with {text} at once")
    assert "[redacted]" in shown
    assert len(shown) < len("failed with  at once") + 40


@pytest.mark.parametrize("raw", [KEY, MEANT])
def test_no_container_shows_it(raw: bytes) -> None:
    holding: list[Any] = [raw, {"a": [raw]}, ("b", bytearray(raw)), int.from_bytes(raw), {int.from_bytes(raw): 1}]
    for value in holding:
        shown = repr(redact(value))
        assert repr(raw)[2:-1] not in shown
        assert str(int.from_bytes(raw)) not in shown


def test_other_numbers_and_digits_stay() -> None:
    for text in ("0x" + "12" * 32, "1234567890" * 7, "ordinary text", str(list(range(40)))):
        assert redact_text(text) == text
    assert redact(2**255) == 2**255
