"""A clock that nobody sets, whose readings another process of the same boot can compare with its own.

The wall clock may be set an hour forward or back between two looks; the time since boot is not, and it goes on while
the machine sleeps. A reading of another boot, or of another machine, cannot be compared: whoever waits for something
begins anew then.
"""

from __future__ import annotations

import time
import uuid
from functools import cache

from streams.market.trading import BootTime
from streams.process_id import boot_id


def boot_now() -> BootTime:
    """Return the present moment."""
    return BootTime(_boot(), time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)


@cache
def _boot() -> str:
    """Return this boot's name; where the kernel tells none, a name that no other process has."""
    return boot_id() or f"process:{uuid.uuid4()}"
