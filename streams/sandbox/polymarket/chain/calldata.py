"""Contract calls as wallets send them: what a target and its data ask for, unwrapped from proxies and batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

_WORD = 32


class BadCall(Exception):
    """Data that is no call the sandbox's contracts know."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a wallet."""

    target: str
    data: bytes
    value: int = 0

    @property
    def selector(self) -> bytes:
        """Which function."""
        return self.data[:4]

    def number(self, index: int) -> int:
        """The argument at a position, as an unsigned integer.

        Raises:
            BadCall: If the data is too short.
        """
        return int.from_bytes(word_at(self.data, 4 + index * _WORD), "big")

    def address(self, index: int) -> str:
        """The argument at a position, as an address."""
        return str(to_checksum_address(word_at(self.data, 4 + index * _WORD)[12:]))

    def condition(self, index: int) -> str:
        """The argument at a position, as 0x and 64 hex digits."""
        return f"0x{word_at(self.data, 4 + index * _WORD).hex()}"

    def numbers(self, index: int) -> list[int]:
        """The dynamic array whose offset stands at a position."""
        at = 4 + self.number(index)
        count = int.from_bytes(word_at(self.data, at), "big")
        if count > 1_000:
            raise BadCall("array too long")
        return [int.from_bytes(word_at(self.data, at + _WORD * (1 + i)), "big") for i in range(count)]

    def addresses(self, index: int) -> list[str]:
        """The same, as addresses."""
        return [str(to_checksum_address(value.to_bytes(_WORD, "big")[12:])) for value in self.numbers(index)]


@cache
def selector(signature: str) -> bytes:
    """The first four bytes of a function's hash."""
    return bytes(keccak(signature.encode())[:4])


def word_at(data: bytes, at: int) -> bytes:
    """32 bytes at an offset.

    Raises:
        BadCall: If they are not there.
    """
    word = data[at : at + _WORD]
    if len(word) != _WORD:
        raise BadCall("truncated call data")
    return word


def bytes_at(data: bytes, at: int) -> bytes:
    """A dynamic byte string: its length, then its bytes.

    Raises:
        BadCall: If they are not there.
    """
    length = int.from_bytes(word_at(data, at), "big")
    found = data[at + _WORD : at + _WORD + length]
    if len(found) != length:
        raise BadCall("truncated call data")
    return found


def proxied_calls(data: bytes) -> list[Call]:
    """The calls inside a proxy factory's `proxy((uint8,address,uint256,bytes)[])`.

    Raises:
        BadCall: If it is none.
    """
    if data[:4] != selector("proxy((uint8,address,uint256,bytes)[])"):
        raise BadCall("not a proxy call")
    body = data[4:]
    start = int.from_bytes(word_at(body, 0), "big")
    count = int.from_bytes(word_at(body, start), "big")
    if count > 100:
        raise BadCall("too many calls")
    calls = []
    for index in range(count):
        at = start + _WORD + int.from_bytes(word_at(body, start + _WORD * (1 + index)), "big")
        target = str(to_checksum_address(word_at(body, at + _WORD)[12:]))
        value = int.from_bytes(word_at(body, at + 2 * _WORD), "big")
        offset = int.from_bytes(word_at(body, at + 3 * _WORD), "big")
        calls.append(Call(target, bytes_at(body, at + offset), value))
    return calls


def multisend_calls(data: bytes) -> list[Call]:
    """The calls inside a Safe's `multiSend(bytes)`, packed one after the other.

    Raises:
        BadCall: If it is none.
    """
    if data[:4] != selector("multiSend(bytes)"):
        raise BadCall("not a multiSend")
    packed = bytes_at(data[4:], int.from_bytes(word_at(data, 4), "big"))
    calls, at = [], 0
    while at < len(packed):
        target = str(to_checksum_address(packed[at + 1 : at + 21]))
        value = int.from_bytes(packed[at + 21 : at + 53], "big")
        inner = bytes_at(packed, at + 53)
        calls.append(Call(target, inner, value))
        at += 85 + len(inner)
    return calls
