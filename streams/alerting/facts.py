"""What the tables say that may alarm. PURE: the store reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

QUIET_WINDOW_S = 900
"""A venue's silence is measured up to this; longer is as long."""


@dataclass(frozen=True, slots=True)
class VenueFacts:
    """What is known of one venue.

    Attributes:
        recorded_s: For how long the recorder that has lived longest has had its shard; None: none lives.
        markets: Markets of the venue that are recorded and not over.
        quiet_s: Since its newest quote was received, at most `QUIET_WINDOW_S`.
        sweep_age_s: Since its last good sweep ended; None: there was none.
        letters: Input of the last hour's sockets that could not be used.
        frames: Its frames in the segments that were written to within the last hour.
    """

    venue: str
    recorded_s: float | None
    markets: int
    quiet_s: float
    sweep_age_s: float | None
    letters: int
    frames: int


@dataclass(frozen=True, slots=True)
class LedgerReading:
    """One of the last two readings of a venue's cash with nothing in flight, the newest first."""

    venue: str
    cash_e6: int
    ledger_cash_e6: int


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the tables say. `undelivered` counts open alerts that no channel took for ten minutes."""

    venues: Sequence[VenueFacts]
    ledger: Sequence[LedgerReading]
    undelivered: int
