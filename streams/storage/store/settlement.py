"""What the settlement cycle asks of the trading tables as a whole: what is due, what is in flight, balances."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.market.identity import Venue
from streams.market.trading import ABSENT, OPEN_STATES, UNRESOLVED
from streams.storage.database import Connection, fetch_all, fetch_int, fetch_one

_YOUNG_S = 5
"""What a trading run has begun within this time is left to it."""


@dataclass(frozen=True, slots=True)
class DueWork:
    """Why a settlement cycle is due; each field is a reason.

    Attributes:
        open: An execution is open for more than some seconds.
        unresolved: So is an order.
        absent: An order was abandoned lately and may have filled after all.
        flatten: A person asked for a flatten.
        provisional: A fill is not confirmed.
        settling: A market that is held has ended.
        flat: A flat execution is not realised yet.
        kill: Trading is killed and it is not known that nothing rests at the venues.
        balances: The last balances are old.
    """

    open: bool
    unresolved: bool
    absent: bool
    flatten: bool
    provisional: bool
    settling: bool
    flat: bool
    kill: bool | None
    balances: bool

    @property
    def reasons(self) -> list[str]:
        """The names of what is due."""
        return [name for name, is_due in asdict(self).items() if is_due]


def due_work(connection: Connection, mode: str, *, absent_within_s: float, balances_every_s: float) -> DueWork:
    """Return what is due in a trading mode.

    Args:
        connection: Where to look.
        mode: The trading mode in force.
        absent_within_s: How long an abandoned order is looked for again.
        balances_every_s: How old the last balances may be.
    """
    due = fetch_one(
        connection,
        DueWork,
        """SELECT
               EXISTS (SELECT 1 FROM trading.executions AS e WHERE e.mode = %(mode)s AND e.state = ANY(%(open)s)
                   AND e.started_at < now() - make_interval(secs => %(young_s)s)) AS open,
               EXISTS (SELECT 1 FROM trading.orders WHERE state = ANY(%(unresolved)s)
                   AND prepared_at < now() - make_interval(secs => %(young_s)s)) AS unresolved,
               EXISTS (SELECT 1 FROM trading.orders WHERE state = 'expired' AND reason = %(absent)s
                   AND closed_at > now() - make_interval(secs => %(recheck_s)s)) AS absent,
               EXISTS (SELECT 1 FROM trading.commands WHERE kind = 'flatten' AND done_at IS NULL) AS flatten,
               EXISTS (SELECT 1 FROM trading.fills WHERE state = 'provisional') AS provisional,
               EXISTS (SELECT 1 FROM trading.positions AS p JOIN raw.market_state AS s
                       ON s.venue = p.venue AND s.market_id = p.market_id
                   JOIN raw.market_versions AS v USING (version_id)
                   WHERE p.mode = %(mode)s AND p.contracts_e6 <> 0
                     AND (s.status IN ('closed', 'determined', 'settled') OR v.close_time < now())) AS settling,
               EXISTS (SELECT 1 FROM trading.executions AS e WHERE e.mode = %(mode)s AND e.settled_at IS NULL
                   AND e.state = 'FLAT') AS flat,
               (SELECT state FROM trading.switches ORDER BY switch_id DESC LIMIT 1) = 'kill'
                   AND NOT EXISTS (SELECT 1 FROM trading.alerts WHERE dedup_key = 'kill' AND cleared_at IS NULL
                       AND detail @> '{"resting": {"kalshi": "none", "polymarket": "none"}}') AS kill,
               NOT EXISTS (SELECT 1 FROM trading.balances
                   WHERE read_at > now() - make_interval(secs => %(every)s)) AS balances""",
        {
            "mode": mode,
            "open": list(OPEN_STATES),
            "unresolved": list(UNRESOLVED),
            "young_s": _YOUNG_S,
            "absent": ABSENT,
            "recheck_s": absent_within_s,
            "every": balances_every_s,
        },
    )
    assert due is not None
    return due


def count_in_flight(connection: Connection, mode: str, venue: Venue) -> int:
    """Return how many orders and fills have no last word, and held markets that are over but not yet booked."""
    return fetch_int(
        connection,
        """SELECT (SELECT count(*) FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
                   JOIN trading.executions AS e USING (execution_id)
                   WHERE e.mode = %(mode)s AND o.venue = %(venue)s AND o.state = ANY(%(unresolved)s))
                + (SELECT count(*) FROM trading.fills AS f JOIN trading.orders AS o USING (order_id)
                   JOIN trading.intents AS i USING (intent_id) JOIN trading.executions AS e USING (execution_id)
                   WHERE e.mode = %(mode)s AND f.venue = %(venue)s AND f.state = 'provisional')
                + (SELECT count(DISTINCT p.market_id) FROM trading.positions AS p JOIN raw.market_state AS s
                       ON s.venue = p.venue AND s.market_id = p.market_id
                   JOIN raw.market_versions AS v USING (version_id)
                   WHERE p.mode = %(mode)s AND p.venue = %(venue)s AND p.contracts_e6 <> 0
                     AND (s.status IN ('closed', 'determined', 'settled') OR v.close_time < now()))""",
        {"mode": mode, "venue": venue.value, "unresolved": list(UNRESOLVED)},
    )


@dataclass(frozen=True, slots=True)
class OverdueMarket:
    """A market that is held and has no final value though it should; `due_at` is when it was expected to settle."""

    venue: Venue
    market_id: str
    title: str
    due_at: datetime


def overdue_markets(connection: Connection, mode: str, *, after: timedelta) -> list[OverdueMarket]:
    """Return held markets without a final value for a time after they were expected to settle."""
    return fetch_all(
        connection,
        OverdueMarket,
        """SELECT DISTINCT p.venue, p.market_id, v.title, coalesce(v.expected_settle_time, v.close_time) AS due_at
           FROM trading.positions AS p JOIN raw.market_state AS s USING (venue, market_id)
           JOIN raw.market_versions AS v USING (version_id)
           WHERE p.mode = %(mode)s AND p.contracts_e6 <> 0
             AND (s.settlement_e4 IS NULL OR s.status IN ('determined', 'unknown'))
             AND coalesce(v.expected_settle_time, v.close_time) < now() - %(after)s
           ORDER BY p.venue, p.market_id""",
        {"mode": mode, "after": after},
    )


@dataclass(frozen=True, slots=True)
class NewBalance:
    """A venue's cash beside what our ledger says at the same moment. `detail`: JSON, with the mode and what flew."""

    venue: Venue
    cash_e6: int
    ledger_cash_e6: int
    environment: str
    detail: JsonDocument


def write_balance(connection: Connection, new: NewBalance) -> None:
    """Write a balance."""
    connection.execute(
        """INSERT INTO trading.balances (venue, cash_e6, ledger_cash_e6, environment, detail)
           VALUES (%s, %s, %s, %s, %s)""",
        (new.venue.value, new.cash_e6, new.ledger_cash_e6, new.environment, Jsonb(new.detail)),
    )


def balance_differences_e6(connection: Connection) -> dict[str, int]:
    """Return per venue its cash less our ledger, of the last balance that nothing in flight can explain."""
    rows = connection.execute(
        """SELECT DISTINCT ON (venue) venue, cash_e6 - ledger_cash_e6 AS difference_e6
           FROM trading.balances WHERE detail ->> 'in_flight' = '0' ORDER BY venue, balance_id DESC"""
    ).fetchall()
    return {row["venue"]: int(row["difference_e6"]) for row in rows}
