"""Signals as the edge monitor writes them, and why a signal was not traded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from streams.market.documents import storable_text
from streams.market.identity import Venue
from streams.market.trading import RefusalReason, Signal, SignalLeg
from streams.storage.database import Connection, fetch_all, fetch_one, read_clock
from streams.storage.store.leases import Lease, acquire, process_holder, release, release_dead


@dataclass(frozen=True, slots=True)
class NewSignal:
    """What a signal looks like when it is written: one stretch of time in which an opportunity was there.

    `expected_per_day`: what it is expected to bring per dollar and day tied up; None where the days are not known.
    """

    group_id: str
    leg_set: str
    is_tradable: bool
    at: datetime
    open_edge_usd: Decimal
    edge_usd: Decimal
    peak_edge_usd: Decimal
    contracts_e6: int
    cost_e6: int
    fee_e6: int
    profit_e6: int
    annualised_return: Decimal | None
    expected_per_day: Decimal | None
    legs: tuple[SignalLeg, ...]


@dataclass(frozen=True, slots=True)
class ActionableSignal:
    """An open signal that may be traded now."""

    signal_id: int
    group_id: str


@dataclass(frozen=True, slots=True)
class SignalOrder:
    """An order of an execution of a signal; an execution without one has a row of its own, without a venue.

    `size_e6` is what its intent asks for; `state` None where it is not an order yet.
    """

    signal_id: int
    execution_state: str
    venue: str | None
    market_id: str | None
    outcome: str | None
    action: str | None
    size_e6: int
    filled_e6: int
    state: str | None
    last_fill_at: datetime | None


@dataclass(frozen=True, slots=True)
class GroupClaim:
    """A try to be the only run that trades a market group; `lease` is None when another run has it."""

    lease: Lease | None

    @property
    def is_held(self) -> bool:
        """Whether it is ours."""
        return self.lease is not None


def open_signal(connection: Connection, new: NewSignal, shard: int, environment: str) -> int | None:
    """Write a new signal with its legs; None when one is open already for the same legs."""
    with connection.transaction():
        row = connection.execute(
            """INSERT INTO trading.signals (group_id, leg_set, shard, environment, is_tradable, opened_at,
                   open_edge_usd, peak_edge_usd, last_edge_usd, contracts_e6, cost_e6, fee_e6, profit_e6,
                   annualised_return, expected_per_day, updated_at)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
               ON CONFLICT (group_id, leg_set) WHERE closed_at IS NULL DO NOTHING RETURNING signal_id""",
            (
                new.group_id,
                new.leg_set,
                shard,
                environment,
                new.is_tradable,
                new.at,
                new.open_edge_usd,
                new.peak_edge_usd,
                new.edge_usd,
                new.contracts_e6,
                new.cost_e6,
                new.fee_e6,
                new.profit_e6,
                new.annualised_return,
                new.expected_per_day,
                new.at,
            ),
        ).fetchone()
        if row is None:
            return None
        for number, leg in enumerate(new.legs):
            connection.execute(
                """INSERT INTO trading.signal_legs (signal_id, leg_no, venue, market_id, outcome, limit_price_e4,
                       size_e6) VALUES (%s, %s, %s, %s, %s, %s, %s)""",
                (
                    row["signal_id"],
                    number,
                    leg.venue,
                    leg.market_id,
                    leg.outcome,
                    leg.limit_price_e4,
                    leg.size_e6,
                ),
            )
    return int(row["signal_id"])


def update_signal(
    connection: Connection, signal_id: int, edge_usd: Decimal, peak: NewSignal | None, at: datetime
) -> None:
    """Note the edge as it is now, and the sizes and legs of a new peak."""
    with connection.transaction():
        connection.execute(
            "UPDATE trading.signals SET last_edge_usd = %s, updated_at = %s WHERE signal_id = %s AND closed_at IS NULL",
            (edge_usd, at, signal_id),
        )
        if peak is None:
            return
        connection.execute(
            """UPDATE trading.signals SET peak_edge_usd = %s, contracts_e6 = %s, cost_e6 = %s, fee_e6 = %s,
                   profit_e6 = %s, annualised_return = %s, expected_per_day = %s
               WHERE signal_id = %s AND closed_at IS NULL""",
            (
                peak.peak_edge_usd,
                peak.contracts_e6,
                peak.cost_e6,
                peak.fee_e6,
                peak.profit_e6,
                peak.annualised_return,
                peak.expected_per_day,
                signal_id,
            ),
        )
        for number, leg in enumerate(peak.legs):
            connection.execute(
                "UPDATE trading.signal_legs SET limit_price_e4 = %s, size_e6 = %s WHERE signal_id = %s AND leg_no = %s",
                (leg.limit_price_e4, leg.size_e6, signal_id, number),
            )


def close_signal(connection: Connection, signal_id: int, reason: str, at: datetime, edge_usd: Decimal | None) -> None:
    """End an new."""
    connection.execute(
        """UPDATE trading.signals SET closed_at = greatest(%s, opened_at), close_reason = %s,
               last_edge_usd = coalesce(%s, last_edge_usd), updated_at = %s
           WHERE signal_id = %s AND closed_at IS NULL""",
        (at, reason, edge_usd, at, signal_id),
    )


def close_orphans(connection: Connection, shard: int, at: datetime) -> int:
    """End the signals a former monitor of this shard left open; nobody watched them since."""
    cursor = connection.execute(
        """UPDATE trading.signals SET closed_at = greatest(%s, opened_at), close_reason = 'unwatched', updated_at = %s
           WHERE shard = %s AND closed_at IS NULL""",
        (at, at, shard),
    )
    return cursor.rowcount


def load_signal(connection: Connection, signal_id: int) -> Signal | None:
    """Return a signal with its legs and the number of its executions so far; None if there is none."""
    legs = fetch_all(
        connection,
        _leg,
        """SELECT venue, market_id, outcome, limit_price_e4, size_e6 FROM trading.signal_legs
           WHERE signal_id = %s ORDER BY leg_no""",
        (signal_id,),
    )

    def signal(**columns: Any) -> Signal:
        return Signal(legs=tuple(legs), **columns)

    return fetch_one(
        connection,
        signal,
        """SELECT s.signal_id, s.group_id, s.closed_at, s.updated_at,
               (SELECT count(*) FROM trading.executions AS e WHERE e.signal_id = s.signal_id) AS attempts
           FROM trading.signals AS s WHERE s.signal_id = %s""",
        (signal_id,),
    )


def markets_with_signals_since(connection: Connection, since: datetime, limit: int) -> list[str]:
    """Return the markets ("venue:market_id") of tradable signals that were open since then, the newest first."""
    rows = connection.execute(
        """SELECT l.venue || ':' || l.market_id AS key, max(s.updated_at) AS at
           FROM trading.signals AS s JOIN trading.signal_legs AS l USING (signal_id)
           WHERE s.updated_at > %s AND s.is_tradable GROUP BY key ORDER BY at DESC, key LIMIT %s""",
        (since, limit),
    ).fetchall()
    return [row["key"] for row in rows]


def load_actionable(
    connection: Connection, retry_after_s: float, max_attempts: int, limit: int, least_age_s: float = 0.0
) -> list[ActionableSignal]:
    """Return open, tradable signals worth trading, first what is expected to bring most per dollar and day.

    Not: signals with an execution that bought something (unwound or not), is under way or was flattened by a person,
    with `max_attempts` executions, or that were tried or refused less than `retry_after_s` ago, or opened less than
    `least_age_s` ago.
    """
    return fetch_all(
        connection,
        ActionableSignal,
        """SELECT s.signal_id, s.group_id FROM trading.signals AS s
           WHERE s.closed_at IS NULL AND s.is_tradable
             AND s.opened_at <= %(now)s - make_interval(secs => %(age)s)
             AND NOT EXISTS (SELECT 1 FROM trading.executions AS e WHERE e.signal_id = s.signal_id
                 AND (e.state <> 'FLAT' OR e.detail ? 'flatten'
                     OR EXISTS (SELECT 1 FROM trading.intents AS i JOIN trading.orders AS o USING (intent_id)
                         JOIN trading.fills AS f USING (order_id) WHERE i.execution_id = e.execution_id)
                     OR e.started_at > %(now)s - make_interval(secs => %(retry)s)))
             AND (SELECT count(*) FROM trading.executions AS e WHERE e.signal_id = s.signal_id) < %(attempts)s
             AND NOT EXISTS (SELECT 1 FROM trading.refusals AS r WHERE r.signal_id = s.signal_id
                 AND r.refused_at > %(now)s - make_interval(secs => %(retry)s))
           ORDER BY s.expected_per_day DESC NULLS LAST, s.profit_e6 DESC, s.signal_id LIMIT %(limit)s""",
        {
            "retry": retry_after_s,
            "attempts": max_attempts,
            "limit": limit,
            "age": least_age_s,
            "now": read_clock(connection),
        },
    )


def load_signal_orders(connection: Connection, signal_ids: Sequence[int]) -> list[SignalOrder]:
    """Return the orders of all executions of some signals, with when the last fill of each was."""
    return fetch_all(
        connection,
        SignalOrder,
        """SELECT e.signal_id, e.state AS execution_state, i.venue, i.market_id, i.outcome, i.action,
               coalesce(i.size_e6, 0) AS size_e6, coalesce(f.contracts_e6, 0)::bigint AS filled_e6, o.state,
               f.last_fill_at
           FROM trading.executions AS e
           LEFT JOIN trading.intents AS i USING (execution_id)
           LEFT JOIN trading.orders AS o USING (intent_id)
           LEFT JOIN LATERAL (
               SELECT sum(x.contracts_e6) AS contracts_e6, max(x.filled_at) AS last_fill_at FROM trading.fills AS x
               WHERE x.order_id = o.order_id AND x.state <> 'failed'
           ) AS f ON true
           WHERE e.signal_id = ANY(%s)""",
        (list(signal_ids),),
    )


def claim_group(
    connection: Connection, signal_id: int, holder: str | None = None, ttl_s: float = 180.0
) -> GroupClaim | None:
    """Try to be the only one who trades a signal's market group; None if there is no such signal.

    Args:
        connection: To the warehouse.
        signal_id: Whose group is claimed.
        holder: Who claims it; this process if it is not said.
        ttl_s: How long the claim of a process counts that died on another host; one of this host is seen at once.
    """
    row = connection.execute("SELECT group_id FROM trading.signals WHERE signal_id = %s", (signal_id,)).fetchone()
    if row is None:
        return None
    name = f"group:{row['group_id']}"
    release_dead(connection, name)
    return GroupClaim(acquire(connection, name, holder or process_holder(), "", ttl_s, is_renewable=False))


def release_group(connection: Connection, claim: GroupClaim) -> None:
    """Give a claim back; does nothing when it is not held."""
    if claim.lease is not None:
        release(connection, claim.lease)


# -- refusals ----------------------------------------------------------------------------------------------------------


def last_update_age_s(connection: Connection) -> Decimal | None:
    """Return the seconds since an open signal, or the newest one, was written; None before the first."""
    row = connection.execute(
        """SELECT round(extract(epoch FROM %s - max(updated_at)), 1) AS age_s FROM (
               SELECT updated_at FROM trading.signals WHERE closed_at IS NULL
               UNION ALL
               (SELECT updated_at FROM trading.signals ORDER BY signal_id DESC LIMIT 1)
           ) AS latest""",
        (read_clock(connection),),
    ).fetchone()
    return row["age_s"] if row else None


@dataclass(frozen=True, slots=True)
class NewRefusal:
    """Why a signal was not traded, or why its execution ended before its first order."""

    signal_id: int
    reason: RefusalReason
    detail: str
    environment: str
    execution_id: int | None = None


def write_refusal(connection: Connection, new: NewRefusal) -> None:
    """Note that a signal was not traded, and why."""
    connection.execute(
        """INSERT INTO trading.refusals (signal_id, execution_id, refused_at, reason, detail, environment)
           VALUES (%s, %s, %s, %s, %s, %s)""",
        (
            new.signal_id,
            new.execution_id,
            read_clock(connection),
            new.reason,
            storable_text(new.detail),
            new.environment,
        ),
    )


def refuse_untradable(connection: Connection, environment: str) -> int:
    """Refuse, once each, the open signals whose market group may not be traded, saying why; returns how many."""
    cursor = connection.execute(
        """INSERT INTO trading.refusals (signal_id, refused_at, reason, detail, environment)
           SELECT o.signal_id, %(now)s,
               CASE WHEN (g.kind <> 'pair' AND s.is_tradable IS NOT TRUE) OR l.legs > 2 THEN %(no)s
                    WHEN coalesce(p.state, s.state) = 'lapsed' THEN %(lapsed)s ELSE %(pair)s END,
               CASE WHEN coalesce(p.state, s.state) = 'approved' AND l.legs > 2 THEN 'more legs than are traded'
                    ELSE coalesce(nullif(g.reason, ''), p.state, s.state, g.kind) END, %(environment)s
           FROM trading.signals AS o JOIN trading.groups AS g USING (group_id)
           LEFT JOIN trading.pair_states AS p ON g.kind = 'pair'
               AND g.markets @> jsonb_build_array(
                   jsonb_build_object('venue', 'kalshi', 'market_id', p.kalshi_market_id),
                   jsonb_build_object('venue', 'polymarket', 'market_id', p.polymarket_market_id))
           LEFT JOIN trading.group_states AS s ON g.kind <> 'pair' AND s.kind <> 'pair' AND s.group_id = g.group_id
           CROSS JOIN LATERAL (
               SELECT count(*) AS legs FROM trading.signal_legs AS x WHERE x.signal_id = o.signal_id
           ) AS l
           WHERE o.closed_at IS NULL AND NOT o.is_tradable
             AND NOT EXISTS (SELECT 1 FROM trading.refusals AS r WHERE r.signal_id = o.signal_id)""",
        {
            "no": RefusalReason.NOT_TRADABLE,
            "lapsed": RefusalReason.LAPSED,
            "pair": RefusalReason.PAIR_NOT_APPROVED,
            "environment": environment,
            "now": read_clock(connection),
        },
    )
    return cursor.rowcount


def refuse_all(connection: Connection, reason: RefusalReason, environment: str) -> int:
    """Refuse, once each, every open tradable signal that nothing was executed for; returns how many."""
    cursor = connection.execute(
        """INSERT INTO trading.refusals (signal_id, refused_at, reason, environment)
           SELECT s.signal_id, %(now)s, %(reason)s, %(environment)s FROM trading.signals AS s
           WHERE s.closed_at IS NULL AND s.is_tradable
             AND NOT EXISTS (SELECT 1 FROM trading.executions AS e WHERE e.signal_id = s.signal_id)
             AND NOT EXISTS (SELECT 1 FROM trading.refusals AS r
                 WHERE r.signal_id = s.signal_id AND r.reason = %(reason)s)""",
        {"reason": reason, "environment": environment, "now": read_clock(connection)},
    )
    return cursor.rowcount


def _leg(*, venue: str, **columns: Any) -> SignalLeg:
    return SignalLeg(venue=Venue(venue), **columns)
