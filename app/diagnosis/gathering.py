"""Looks at everything at once, each look within a limit: whatever hangs costs its own part of the facts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streams.market.errors import StreamsError


@dataclass(frozen=True, slots=True)
class Failed:
    """A look that failed, and why: a sentence of ours, else the class of the error, whose words may hold an address."""

    error: str


def gather(looks: Mapping[str, Callable[[], object]], limit_s: float) -> dict[str, object]:
    """Run every look in a thread of its own and return what those brought that ended within `limit_s` seconds.

    One that fails is `Failed` there; one that is late is missing, and its thread ends with the process.
    """
    found: dict[str, object] = {}
    lock = threading.Lock()

    def run(name: str, look: Callable[[], object]) -> None:
        try:
            value = look()
        except Exception as error:  # whatever it is, the other looks go on, and the caller sees that this one failed
            value = Failed(str(error).rstrip(".") if isinstance(error, StreamsError) else type(error).__name__)
        with lock:
            found[name] = value

    threads = [threading.Thread(target=run, args=item, name=f"look {item[0]}", daemon=True) for item in looks.items()]
    deadline = time.monotonic() + limit_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    with lock:
        return dict(found)
