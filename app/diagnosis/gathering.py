"""Looks at everything at once, each look within a limit: whatever hangs costs its own part of the facts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping


def gather(looks: Mapping[str, Callable[[], object]], limit_s: float) -> dict[str, object]:
    """Run every look in a thread of its own and return what those brought that ended within `limit_s` seconds.

    A look that fails, or is late, is missing in the result; its thread ends with the process.
    """
    found: dict[str, object] = {}
    lock = threading.Lock()

    def run(name: str, look: Callable[[], object]) -> None:
        try:
            value = look()
        except Exception:  # whatever it is, the other looks go on, and the caller sees that this one is missing
            return
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
