"""Waiting for what comes soon, with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], limit_s: float = 30.0) -> None:
    """Return as soon as the condition holds; an assertion fails where it does not within the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
