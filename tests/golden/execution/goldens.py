"""Stored answers: one JSON line per row, compared line by line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def write(name: str, rows: Iterable[Any]) -> int:
    """Store rows under a name; returns how many bytes they take."""
    path = DATA / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes("".join(line + "\n" for line in _lines(rows)).encode())


def first_difference(name: str, rows: Iterable[Any]) -> str:
    """Return where rows leave what is stored: the line, the place in it, and both lines; empty when all is the same."""
    stored = (DATA / f"{name}.jsonl").read_bytes().decode().splitlines()
    for number, (old, new) in enumerate(zip_longest(stored, _lines(rows)), start=1):
        if old != new:
            pairs = enumerate(zip_longest(old or "", new or ""))
            place = next(index for index, (before, after) in pairs if before != after)
            parts = [f"...{(line or 'nothing')[max(0, place - 40) : place + 80]}" for line in (old, new)]
            where = f"{name}.jsonl line {number}, character {place}:\nstored: {parts[0]}\n   now: {parts[1]}"
            return f"{where}\nwhole lines:\nstored: {old}\n   now: {new}"
    return ""


def _lines(rows: Iterable[Any]) -> list[str]:
    return [json.dumps(row, ensure_ascii=False) for row in rows]
