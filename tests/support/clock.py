"""A clock that a test sets by hand."""

from __future__ import annotations


class Clock:
    """Unix seconds, as `time.time`."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now
