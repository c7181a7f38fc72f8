"""The golden runs that need no database, by the name their answers are stored under."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tests.golden.execution import gate, gateways, hedges, recordings, sets
from tests.golden.execution.stage import Plain

PURE: Mapping[str, Callable[[], Iterable[Plain]]] = {
    "hedges": hedges.rows,
    "gate": gate.rows,
    "plans": sets.plan_rows,
    "opportunities": sets.opportunity_rows,
    "ledger": sets.ledger_rows,
    "gateways": gateways.rows,
    "recordings": recordings.rows,
}
