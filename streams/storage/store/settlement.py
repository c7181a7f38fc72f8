"""What the settlement cycle asks of the trading tables as a whole: what is due, in flight, paid; balances.

Nothing here looks at what has settled for good, however much there is of it: what is held stands in a table of totals
with an index of its own, and a market that has paid is looked at again when its row says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.market.identity import Venue
from streams.market.trading import OPEN_STATES, UNRESOLVED, RedemptionState
from streams.storage.database import Connection, fetch_all, fetch_int, fetch_one, read_clock

YOUNG_S = 5
"""What a trading run has begun within this time is left to it."""


@dataclass(frozen=True, slots=True)
class DueWork:
    """Why a settlement cycle is due; each field is a reason.

    Attributes:
        open: An execution is open for more than some seconds.
        unresolved: An order was written so long ago and never sent.
        flatten: A person asked for a flatten, or said what became of an order.
        provisional: A fill is not confirmed.
        settling: A market that is held has ended.
        flat: A flat execution is not realised yet.
        kill: Trading is killed and it is not known that nothing rests at the venues.
        balances: The last balances are old.
    """

    open: bool
    unresolved: bool
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


def due_work(connection: Connection, mode: str, *, balances_every_s: float) -> DueWork:
    """Return what is due in a trading mode, but for the orders that are looked for.

    Args:
        connection: Where to look.
        mode: The trading mode in force.
        balances_every_s: How old the last balances may be.
    """
    due = fetch_one(
        connection,
        DueWork,
        """SELECT
               EXISTS (SELECT 1 FROM trading.executions AS e WHERE e.mode = %(mode)s AND e.state = ANY(%(open)s)
                   AND e.started_at < %(now)s - make_interval(secs => %(young_s)s)) AS open,
               EXISTS (SELECT 1 FROM trading.orders WHERE state = 'prepared'
                   AND prepared_at < %(now)s - make_interval(secs => %(young_s)s)) AS unresolved,
               EXISTS (SELECT 1 FROM trading.commands
                   WHERE kind IN ('flatten', 'resolve') AND done_at IS NULL) AS flatten,
               EXISTS (SELECT 1 FROM trading.fills WHERE state = 'provisional') AS provisional,
               EXISTS (SELECT 1 FROM trading.position_totals AS p JOIN raw.market_state AS s
                       ON s.venue = p.venue AND s.market_id = p.market_id
                   JOIN raw.market_versions AS v USING (version_id)
                   WHERE p.mode = %(mode)s AND p.contracts_e6 <> 0
                     AND (s.status IN ('closed', 'determined', 'settled') OR v.close_time < %(now)s))
                   OR EXISTS (SELECT 1 FROM trading.settlements WHERE mode = %(mode)s AND is_due) AS settling,
               EXISTS (SELECT 1 FROM trading.executions AS e WHERE e.mode = %(mode)s AND e.settled_at IS NULL
                   AND e.state = 'FLAT') AS flat,
               (SELECT state FROM trading.switches ORDER BY switch_id DESC LIMIT 1) = 'kill'
                   AND NOT EXISTS (SELECT 1 FROM trading.alerts WHERE dedup_key = 'kill' AND cleared_at IS NULL
                       AND detail @> '{"resting": {"kalshi": "none", "polymarket": "none"}}') AS kill,
               NOT EXISTS (SELECT 1 FROM trading.balances
                   WHERE read_at > %(now)s - make_interval(secs => %(every)s)) AS balances""",
        {
            "mode": mode,
            "open": list(OPEN_STATES),
            "young_s": YOUNG_S,
            "every": balances_every_s,
            "now": read_clock(connection),
        },
    )
    assert due is not None
    return due


def count_in_flight(connection: Connection, mode: str, venue: Venue) -> int:
    """Return how many orders and fills have no last word, and markets that are over and not booked to the end."""
    return fetch_int(
        connection,
        """SELECT (SELECT count(*) FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
                   JOIN trading.executions AS e USING (execution_id)
                   WHERE e.mode = %(mode)s AND o.venue = %(venue)s AND o.state = ANY(%(unresolved)s))
                + (SELECT count(*) FROM trading.fills AS f JOIN trading.orders AS o USING (order_id)
                   JOIN trading.intents AS i USING (intent_id) JOIN trading.executions AS e USING (execution_id)
                   WHERE e.mode = %(mode)s AND f.venue = %(venue)s AND f.state = 'provisional')
                + (SELECT count(DISTINCT p.market_id) FROM trading.position_totals AS p JOIN raw.market_state AS s
                       ON s.venue = p.venue AND s.market_id = p.market_id
                   JOIN raw.market_versions AS v USING (version_id)
                   WHERE p.mode = %(mode)s AND p.venue = %(venue)s AND p.contracts_e6 <> 0
                     AND (s.status IN ('closed', 'determined', 'settled') OR v.close_time < %(now)s))
                + (SELECT count(*) FROM trading.settlements WHERE mode = %(mode)s AND venue = %(venue)s AND is_due)""",
        {"mode": mode, "venue": venue.value, "unresolved": list(UNRESOLVED), "now": read_clock(connection)},
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
           FROM trading.position_totals AS p JOIN raw.market_state AS s USING (venue, market_id)
           JOIN raw.market_versions AS v USING (version_id)
           WHERE p.mode = %(mode)s AND p.contracts_e6 <> 0
             AND (s.settlement_e4 IS NULL OR s.status IN ('determined', 'unknown'))
             AND coalesce(v.expected_settle_time, v.close_time) < %(before)s
           ORDER BY p.venue, p.market_id""",
        {"mode": mode, "before": read_clock(connection) - after},
    )


# -- what markets have paid --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredSettlement:
    """A row of `trading.settlements`: the result that a market's ledger entries were computed with.

    Attributes:
        settlement_e4: What one YES paid.
        paid_e6: What the venue says it paid, None where it does not say.
        settled_at: When the venue says it paid, None where it does not say.
        read_at: When we began to read it.
        is_due: It is to be read again: another result is stated, or not all of it has arrived.
    """

    market_id: str
    settlement_e4: int
    paid_e6: int | None
    settled_at: datetime | None
    read_at: datetime
    is_due: bool


MARKETS_TO_SETTLE = """
SELECT market_id FROM trading.position_totals
WHERE mode = %(mode)s AND venue = %(venue)s AND contracts_e6 <> 0
UNION SELECT market_id FROM (
    SELECT l.market_id FROM trading.executions AS e JOIN trading.ledger AS l USING (execution_id)
    WHERE e.mode = %(mode)s AND e.settled_at IS NULL AND l.venue = %(venue)s AND l.market_id IS NOT NULL
    GROUP BY l.execution_id, l.market_id, l.outcome HAVING sum(l.contracts_e6) <> 0) AS held
UNION SELECT market_id FROM trading.settlements
WHERE mode = %(mode)s AND venue = %(venue)s AND is_due
ORDER BY market_id"""
"""Each part has an index of its own: of open positions, of executions not settled, of results to be read again."""


def markets_to_settle(connection: Connection, mode: str, venue: Venue) -> list[str]:
    """Return the markets of which contracts stand in the ledger, of all trades together or of one that is not settled,
    and those that have paid and are to be read again.
    """
    rows = connection.execute(MARKETS_TO_SETTLE, {"mode": mode, "venue": venue.value}).fetchall()
    return [row["market_id"] for row in rows]


def load_settlement(connection: Connection, mode: str, venue: Venue, market_id: str) -> StoredSettlement | None:
    """Return what a market has paid as the ledger has it, None before it has; its row is held until the end of the
    transaction.
    """
    return fetch_one(
        connection,
        StoredSettlement,
        """SELECT market_id, settlement_e4, paid_e6, settled_at, read_at, is_due FROM trading.settlements
           WHERE mode = %s AND venue = %s AND market_id = %s FOR UPDATE""",
        (mode, venue.value, market_id),
    )


def save_settlement(connection: Connection, mode: str, venue: Venue, paid: StoredSettlement) -> None:
    """Write what a market has paid, in the transaction that books it; it is read again while another result is stated.

    What the catalogue states is read here, with the row held since `load_settlement`: a result that changes meanwhile
    is either seen, or its trigger waits for this transaction.
    """
    connection.execute(
        """INSERT INTO trading.settlements (mode, venue, market_id, settlement_e4, paid_e6, settled_at, read_at, is_due)
           SELECT %(mode)s, %(venue)s, %(market)s, %(value)s, %(paid)s::bigint, %(settled_at)s::timestamptz,
               %(read_at)s, %(is_due)s OR EXISTS (
                   SELECT 1 FROM raw.market_state WHERE venue = %(venue)s AND market_id = %(market)s
                       AND settlement_e4 <> %(value)s AND status NOT IN ('determined', 'unknown'))
           ON CONFLICT (mode, venue, market_id) DO UPDATE SET settlement_e4 = excluded.settlement_e4,
               paid_e6 = excluded.paid_e6, settled_at = excluded.settled_at, read_at = excluded.read_at,
               is_due = excluded.is_due""",
        {
            "mode": mode,
            "venue": venue.value,
            "market": paid.market_id,
            "value": paid.settlement_e4,
            "paid": paid.paid_e6,
            "settled_at": paid.settled_at,
            "read_at": paid.read_at,
            "is_due": paid.is_due,
        },
    )


def mark_due(connection: Connection, mode: str, venue: Venue, market_id: str) -> None:
    """Have what a market has paid read again: something has moved there since."""
    connection.execute(
        "UPDATE trading.settlements SET is_due = true WHERE mode = %s AND venue = %s AND market_id = %s",
        (mode, venue.value, market_id),
    )


@dataclass(frozen=True, slots=True)
class RestatedResult:
    """A market that has paid by one result and states another one since."""

    venue: Venue
    market_id: str
    paid_e4: int
    stated_e4: int


def restated_results(connection: Connection, mode: str) -> list[RestatedResult]:
    """Return the markets whose catalogue states another final value than the one that is booked."""
    return fetch_all(
        connection,
        RestatedResult,
        """SELECT p.venue, p.market_id, p.settlement_e4 AS paid_e4, s.settlement_e4 AS stated_e4
           FROM trading.settlements AS p JOIN raw.market_state AS s USING (venue, market_id)
           WHERE p.mode = %s AND p.is_due AND s.settlement_e4 <> p.settlement_e4
             AND s.status NOT IN ('determined', 'unknown') ORDER BY p.venue, p.market_id""",
        (mode,),
    )


# -- redemptions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewRedemption:
    """A wallet that is asked to redeem what it holds of a market, and what that should bring."""

    mode: str
    venue: Venue
    market_id: str
    due_e6: int
    environment: str


def begin_redemption(connection: Connection, new: NewRedemption, *, not_within: timedelta) -> int | None:
    """Write that a wallet is asked to redeem a market; None when it was asked within that time and was not busy."""
    row = connection.execute(
        """INSERT INTO trading.redemptions (mode, venue, market_id, due_e6, environment, asked_at)
           SELECT %(mode)s, %(venue)s, %(market)s, %(due)s, %(environment)s, %(now)s WHERE NOT EXISTS (
               SELECT 1 FROM trading.redemptions WHERE mode = %(mode)s AND venue = %(venue)s AND market_id = %(market)s
                   AND state <> 'busy' AND asked_at > %(now)s - %(within)s)
           RETURNING redemption_id""",
        {
            "mode": new.mode,
            "venue": new.venue.value,
            "market": new.market_id,
            "due": new.due_e6,
            "environment": new.environment,
            "within": not_within,
            "now": read_clock(connection),
        },
    ).fetchone()
    return None if row is None else int(row["redemption_id"])


def end_redemption(
    connection: Connection, redemption_id: int, state: RedemptionState, *, transaction_id: str = "", reason: str = ""
) -> None:
    """Write what the one who was asked to redeem answered: `taken`, `unknown` or `refused`."""
    connection.execute(
        "UPDATE trading.redemptions SET state = %s, transaction_id = %s, reason = %s WHERE redemption_id = %s",
        (state, transaction_id, reason, redemption_id),
    )


@dataclass(frozen=True, slots=True)
class AwaitedRedemption:
    """A market that is resolved and has not paid all it owes, though a wallet was asked to redeem it.

    Attributes:
        due_e6: What the last redemption asked for should bring.
        state / reason: What became of it.
    """

    venue: Venue
    market_id: str
    due_e6: int
    state: RedemptionState
    reason: str


def awaited_redemptions(connection: Connection, mode: str, *, after: timedelta) -> list[AwaitedRedemption]:
    """Return the markets that were to be redeemed that long ago and still owe something."""
    return fetch_all(
        connection,
        AwaitedRedemption,
        """SELECT DISTINCT ON (r.venue, r.market_id) r.venue, r.market_id, r.due_e6, r.state, r.reason
           FROM trading.redemptions AS r JOIN (
               SELECT venue, market_id FROM trading.position_totals WHERE mode = %(mode)s AND contracts_e6 <> 0
               UNION SELECT venue, market_id FROM trading.settlements WHERE mode = %(mode)s AND is_due
           ) AS open USING (venue, market_id)
           WHERE r.mode = %(mode)s AND EXISTS (
               SELECT 1 FROM trading.redemptions AS f WHERE f.mode = %(mode)s AND f.venue = r.venue
                   AND f.market_id = r.market_id AND f.asked_at < %(before)s)
           ORDER BY r.venue, r.market_id, r.redemption_id DESC""",
        {"mode": mode, "before": read_clock(connection) - after},
    )


# -- balances ----------------------------------------------------------------------------------------------------------


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
        """INSERT INTO trading.balances (venue, read_at, cash_e6, ledger_cash_e6, environment, detail)
           VALUES (%s, %s, %s, %s, %s, %s)""",
        (
            new.venue.value,
            read_clock(connection),
            new.cash_e6,
            new.ledger_cash_e6,
            new.environment,
            Jsonb(new.detail),
        ),
    )


def balance_differences_e6(connection: Connection) -> dict[str, int]:
    """Return per venue its cash less our ledger, of the last balance that nothing in flight can explain."""
    rows = connection.execute(
        """SELECT DISTINCT ON (venue) venue, cash_e6 - ledger_cash_e6 AS difference_e6
           FROM trading.balances WHERE detail ->> 'in_flight' = '0' ORDER BY venue, balance_id DESC"""
    ).fetchall()
    return {row["venue"]: int(row["difference_e6"]) for row in rows}
