"""The registry: every cause of trouble that `doctor` knows, in the order in which they are looked at."""

from __future__ import annotations

from app.diagnosis import causes_of_data, causes_of_home, causes_of_trading
from app.diagnosis.cause import Cause

CAUSES: tuple[Cause, ...] = (*causes_of_home.CAUSES, *causes_of_data.CAUSES, *causes_of_trading.CAUSES)

LIVENESS = frozenset(
    {
        "database", "database address", "schema", "schema is there", "environment", "disk space", "recorder",
        "trading", "sandbox", "runner", "code server", "webserver", "daemon", "dashboard", "postgres", "marts",
        "marts are built", "data tests", "switch", "kill on disk", "alerts reach people", "open alerts", "discovery",
        "people", "looks",
    }
)  # fmt: skip
"""Checks whose findings make the API say that the system is degraded."""
