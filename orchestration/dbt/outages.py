"""A build of dbt through an outage of the database: what was lost with a connection is built once more.

dbt keeps of a failure only its message, so the message is all there is to tell an outage by.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from streams.storage.outages import RIDE_OUT_S

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 15.0
_PASSES = re.compile(
    r"server closed the connection|connection (to server .* failed|refused|reset|timed out|already closed|not open)"
    r"|could not connect|terminating connection|SSL connection has been closed|SSL SYSCALL"
    r"|the database system is (starting up|shutting down|in recovery|not yet accepting)"
    r"|in a read-only transaction|too many (clients|connections)|remaining connection slots"
    r"|due to lock timeout|deadlock detected|could not serialize access|Connection refused|No space left on device"
    r"|tuple concurrently (updated|deleted)|out of (shared )?memory",
    re.DOTALL,
)
_STAYS = re.compile(r"authentication failed|no pg_hba\.conf entry|database .* does not exist|role .* does not exist")


def is_outage(message: str) -> bool:
    """Whether the message of a failed model or of dbt itself tells of something that passes."""
    return _PASSES.search(message) is not None and _STAYS.search(message) is None


def build_through_outages(
    build: Callable[[], dbtRunnerResult],
    *,
    limit_s: float = RIDE_OUT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> dbtRunnerResult:
    """Build, and build again while a model fails for an outage, until `limit_s` seconds after the first such failure.

    Building twice gives what building once gives. A model that is wrong fails at once.

    Args:
        build: Invokes dbt once.
        limit_s: How long after the first failure.
        clock: Monotonic seconds.
        sleep: Waits that many seconds.

    Returns:
        What dbt said last.
    """
    deadline: float | None = None
    pause_s = _FIRST_PAUSE_S
    while True:
        result = build()
        failures = _failures(result)
        now = clock()
        deadline = now + limit_s if deadline is None else deadline
        if not failures or not all(map(is_outage, failures)) or now >= deadline:
            return result
        sleep(min(pause_s, deadline - now))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _failures(result: dbtRunnerResult) -> list[str]:
    """Return the messages of whatever could not be built or asked."""
    if result.exception is not None:
        return [str(result.exception)]
    nodes = getattr(result.result, "results", [])
    return [str(node.message or "") for node in nodes if str(node.status) == "error"]
