"""A person lets an edge be taken that the gate found too good; see `crossbook waiting`."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from app.act_rules import ActRefused, UnknownSubject, person_of, reason_of
from streams.storage.database import Connection
from streams.storage.reader.watchdog import insist
from streams.storage.store.gate import releases
from streams.storage.store.signals import load_signal


def release_edge(connection: Connection, signal_id: int, most_usd: Decimal, *, who: str, reason: str = "") -> int:
    """Write that a signal may be taken up to an edge per contract while it is open; return the id.

    Raises:
        UnknownSubject: If there is no such signal.
        ActRefused: If it is closed, the edge is no number from 0 to 1, or who or reason is unusable.
    """
    if not most_usd.is_finite() or not 0 <= most_usd <= 1:
        raise ActRefused("The edge must be a number from 0 to 1 dollar a contract.")
    person, why = person_of(who), reason_of(reason)
    signal = load_signal(connection, signal_id)
    if signal is None:
        raise UnknownSubject(f"There is no opportunity {signal_id}.")
    if signal.closed_at is not None:
        raise ActRefused(f"Opportunity {signal_id} is over; there is nothing to release.")
    now = datetime.now(UTC)
    return insist(connection, lambda c: releases.release_edge(c, signal_id, most_usd, person, why, now))
