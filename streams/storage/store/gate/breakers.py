"""What circuit breakers look at, where they are, and what they set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from streams.market.identity import Venue
from streams.market.trading import UNRESOLVED
from streams.storage.database import Connection, fetch_all, fetch_int
from streams.storage.store.accounting.switches import set_account
from streams.storage.store.hedges.fences import HELD, Fence
from streams.storage.store.risk import SwitchRow

BREAKER = "breaker"
"""Who sets a switch when a circuit breaker trips."""
_MOST = 5000
"""Rows that a breaker looks at, the newest."""
Fault = Literal["refused", "venue"]


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """An order that was sent: when its venue said its last word (or it left), and what was wrong with its sending."""

    venue: str
    at: datetime
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class HedgeOutcome:
    """A hedge that bought something and has ended, in 1e-6 dollars; `ended_as` is the state it ended in last."""

    at: datetime
    ended_as: str
    planned_e6: int
    locked_e6: int
    bought_e6: int


@dataclass(frozen=True, slots=True)
class TripRow:
    """The last trip of a breaker; `resumed_at`: when the switch it set was first set to `run` again, None: not yet."""

    trip_id: int
    breaker: str
    venue: str | None
    switch_id: int
    why: str
    tripped_at: datetime
    resumed_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewTrip:
    """A trip to be written; see `trading.breaker_trips`."""

    mode: str
    breaker: str
    venue: str | None
    reading: Decimal
    threshold: Decimal
    counted: int
    since: datetime
    why: str
    environment: str


def note_fault(connection: Connection, held: Fence, order_id: int, fault: Fault | None) -> None:
    """Note what was wrong with the sending of an order; None leaves its row alone.

    Raises:
        LeaseLost: If somebody else works on its execution now; nothing is written.
    """
    if fault is None:
        return
    values = {"fault": fault, "order": order_id, **held.values}
    cursor = connection.execute(
        f"UPDATE trading.orders SET fault = %(fault)s FROM {HELD} AS held WHERE order_id = %(order)s", values
    )
    held.check(cursor.rowcount)


def load_order_outcomes(connection: Connection, mode: str, since: datetime) -> list[OrderOutcome]:
    """Return the orders of a mode that were sent and had their last word since then, or wait for it."""
    return fetch_all(
        connection,
        OrderOutcome,
        """SELECT o.venue, coalesce(o.closed_at, o.answered_at, o.sent_at) AS at, o.fault
           FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
           JOIN trading.executions AS e USING (execution_id)
           WHERE (o.closed_at > %(since)s OR o.state = ANY(%(unresolved)s)) AND o.sent_at IS NOT NULL
             AND (o.state <> 'expired' OR o.fault IS NOT NULL) AND e.mode = %(mode)s
           ORDER BY o.order_id DESC LIMIT %(most)s""",
        {"since": since, "unresolved": list(UNRESOLVED), "mode": mode, "most": _MOST},
    )


def load_hedge_outcomes(connection: Connection, mode: str, since: datetime) -> list[HedgeOutcome]:
    """Return the hedges of a mode that bought something and have ended since then."""
    return fetch_all(
        connection,
        HedgeOutcome,
        """SELECT e.flat_at AS at, coalesce(e.detail ->> 'ended_as', e.state) AS ended_as,
               coalesce((e.detail ->> 'planned_profit_e6')::bigint, 0) AS planned_e6,
               coalesce(e.expected_pnl_e6, 0) AS locked_e6, b.bought_e6
           FROM trading.executions AS e CROSS JOIN LATERAL (
               SELECT sum(o.cash_e6 + o.fee_e6)::bigint AS bought_e6
               FROM trading.intents AS i JOIN trading.orders AS o USING (intent_id)
               WHERE i.execution_id = e.execution_id AND i.action = 'buy'
           ) AS b
           WHERE e.mode = %s AND e.flat_at > %s AND b.bought_e6 > 0 ORDER BY e.execution_id DESC LIMIT %s""",
        (mode, since, _MOST),
    )


def last_trips(connection: Connection, mode: str) -> list[TripRow]:
    """Return the last trip of each breaker of a mode, for each account or for everything."""
    return fetch_all(
        connection,
        TripRow,
        """SELECT DISTINCT ON (t.breaker, t.venue) t.trip_id, t.breaker, t.venue, t.switch_id, t.why, t.tripped_at,
               CASE WHEN t.venue IS NULL
                   THEN (SELECT s.set_at FROM trading.switches AS s
                       WHERE s.switch_id > t.switch_id AND s.state = 'run' ORDER BY s.switch_id LIMIT 1)
                   ELSE (SELECT a.set_at FROM trading.account_switches AS a
                       WHERE a.mode = t.mode AND a.venue = t.venue AND a.switch_id > t.switch_id AND a.state = 'run'
                       ORDER BY a.switch_id LIMIT 1)
               END AS resumed_at
           FROM trading.breaker_trips AS t WHERE t.mode = %s ORDER BY t.breaker, t.venue, t.trip_id DESC""",
        (mode,),
    )


def is_held_by_breaker(connection: Connection) -> bool:
    """Whether a breaker has set the trading switch and nobody has let trading run since."""
    count = fetch_int(
        connection,
        """SELECT count(*) FROM trading.switches WHERE set_by = %s
           AND switch_id > coalesce((SELECT max(switch_id) FROM trading.switches WHERE state = 'run'), 0)""",
        (BREAKER,),
    )
    return count > 0


def write_account_trip(connection: Connection, new: NewTrip, at: datetime) -> None:
    """Put an account on `reduce` and write the trip; call in a transaction."""
    assert new.venue is not None
    switch_id = set_account(connection, new.mode, Venue(new.venue), "reduce", BREAKER, new.why, at)
    _write_trip(connection, new, switch_id, at)


def write_switch_trip(connection: Connection, new: NewTrip, seen: SwitchRow, at: datetime) -> int | None:
    """Put all trading on `reduce` and write the trip if `seen` is still the switch in force; call in a transaction.

    Returns:
        The id of the new switch, for `renew_missed_kill` after the commit; None where somebody switched meanwhile.
    """
    row = connection.execute(
        "SELECT trading.reduce_by_breaker(%s, %s, %s) AS switch_id", (new.why, seen.switch_id, at)
    ).fetchone()
    if row is None or row["switch_id"] is None:
        return None
    _write_trip(connection, new, row["switch_id"], at)
    return int(row["switch_id"])


def _write_trip(connection: Connection, new: NewTrip, switch_id: int, at: datetime) -> None:
    connection.execute(
        """INSERT INTO trading.breaker_trips (mode, breaker, venue, switch_id, reading, threshold, counted, since, why,
               tripped_at, environment) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            new.mode,
            new.breaker,
            new.venue,
            switch_id,
            new.reading,
            new.threshold,
            new.counted,
            new.since,
            new.why,
            at,
            new.environment,
        ),
    )
