"""The stored runs: one file of JSON lines per run, and how a fresh run differs from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "data"
_AROUND = 120


def as_text(lines: Iterable[dict[str, Any]]) -> str:
    """Lines as they are stored."""
    return "".join(json.dumps(line, ensure_ascii=True, separators=(",", ":")) + "\n" for line in lines)


def path_of(name: str) -> Path:
    """Where a run is stored."""
    return FOLDER / f"{name}.jsonl"


def first_difference(stored: str, fresh: str) -> str:
    """The first line that differs, around the first character that does; empty when nothing does."""
    if stored == fresh:
        return ""
    for number, (was, now) in enumerate(zip_longest(stored.splitlines(), fresh.splitlines(), fillvalue=""), 1):
        if was != now:
            at = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
            start = max(0, at - _AROUND)
            return (
                f"line {number}, character {at + 1} ({now[:60]!r} ...)\n"
                f"  stored: {was[start : at + _AROUND]}\n  fresh:  {now[start : at + _AROUND]}"
            )
    return "the ends of the files differ"
