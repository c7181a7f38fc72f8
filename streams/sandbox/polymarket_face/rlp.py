"""Recursive Length Prefix, as far as a transaction needs it: a list of byte strings (inner lists stay as they are)."""

from __future__ import annotations


def decode_list(raw: bytes) -> list[bytes]:
    """The items of an encoded list.

    Raises:
        ValueError: If it is none.
    """
    start, end = _span(raw, 0, 0xC0)
    if end != len(raw):
        raise ValueError("trailing bytes")
    items, at = [], start
    while at < end:
        inner, following = _span(raw, at, 0xC0 if raw[at] >= 0xC0 else 0x80)
        items.append(raw[inner:following])
        at = following
    return items


def _span(raw: bytes, at: int, base: int) -> tuple[int, int]:
    """Where the content of the item at a position begins and ends."""
    first = raw[at]
    if base == 0x80 and first < 0x80:
        return at, at + 1
    if not base <= first < base + 0x40:
        raise ValueError("not an item of that kind")
    if first <= base + 55:
        start, length = at + 1, first - base
    else:
        width = first - base - 55
        start = at + 1 + width
        length = int.from_bytes(raw[at + 1 : start], "big")
    if start + length > len(raw):
        raise ValueError("truncated")
    return start, start + length
