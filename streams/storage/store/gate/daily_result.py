"""What trading brought since midnight UTC, as the daily limit counts it: what is only locked counts as nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from streams.market.trading import OPEN_STATES, UNRESOLVED
from streams.market.units import PRICE_SCALE
from streams.storage.database import Connection, fetch_all

_STEP_E6 = 10_000
"""Less than a hundredth of a contract is nothing, and less than a cent is a rounding."""


@dataclass(frozen=True, slots=True)
class LotFigures:
    """One outcome of one market in one trade at one time.

    Attributes:
        cash_e6: All that it has brought, negative for what it has cost.
        held_e6: Contracts held.
        paid_e6: Contracts that were paid at a result, and `payout_e6` what for them.
    """

    cash_e6: int = 0
    held_e6: int = 0
    paid_e6: int = 0
    payout_e6: int = 0


@dataclass(frozen=True, slots=True)
class DayLot:
    """The same now and at midnight. `pays_e4`: what a contract pays in each normal outcome; empty: nothing is known."""

    pays_e4: tuple[int, ...]
    now: LotFigures
    midnight: LotFigures


@dataclass(frozen=True, slots=True)
class TradeDay:
    """A trade that was touched today, or that is not hedged.

    Attributes:
        lots: What it holds or held.
        is_open: Somebody works on it.
        is_unhedged: What it holds is not hedged as far as anybody knows: it is open or escalated.
        unknown_e6: What its unknown orders may cost.
        bound_e6: What it may lose while it is open.
    """

    lots: tuple[DayLot, ...]
    is_open: bool
    is_unhedged: bool
    unknown_e6: int
    bound_e6: int


def result_of(trades: Iterable[TradeDay]) -> int:
    """Return the result of the day of all trades (1e-6 dollar)."""
    return sum(_contribution(trade) for trade in trades)


def _contribution(trade: TradeDay) -> int:
    """Return what a trade adds: its change since midnight, and at most what it may lose while it is not hedged.

    A trade that is only locked counts at most 0 until it settles, a loss whole; at midnight as well as now, so that the
    days of a trade add up to what it has brought.
    """
    now = [(lot.pays_e4, lot.now) for lot in trade.lots]
    change = _counted(now, is_open=trade.is_open) - _counted(
        [(lot.pays_e4, lot.midnight) for lot in trade.lots], is_open=False
    )
    if not trade.is_unhedged:
        return change
    exposed = max(0, -_value(now)) + trade.unknown_e6
    return min(change, -max(exposed, trade.bound_e6 if trade.is_open else 0))


def _counted(lots: Sequence[tuple[tuple[int, ...], LotFigures]], *, is_open: bool) -> int:
    value = _value(lots)
    is_settled = not is_open and all(abs(lot.held_e6) < _STEP_E6 for _, lot in lots)
    return value if is_settled else min(0, value)


def _value(lots: Sequence[tuple[tuple[int, ...], LotFigures]]) -> int:
    """Return cash and the least payoff of what is held over the normal outcomes that its results allow."""
    cash = sum(lot.cash_e6 for _, lot in lots)
    outcomes = range(max((len(pays) for pays, _ in lots), default=0))
    allowed = [number for number in outcomes if all(_agrees(pays, lot, number) for pays, lot in lots)]
    payoffs = [
        sum(pays[number] * lot.held_e6 for pays, lot in lots if number < len(pays)) // PRICE_SCALE
        for number in allowed or outcomes
    ]
    return cash + min(payoffs, default=0)


def _agrees(pays: tuple[int, ...], lot: LotFigures, outcome: int) -> bool:
    """Whether what was paid is what an outcome pays; half of a hedge often settles first."""
    if not lot.paid_e6 or outcome >= len(pays):
        return True
    return abs(lot.payout_e6 - pays[outcome] * lot.paid_e6 // PRICE_SCALE) < _STEP_E6


@dataclass(frozen=True, slots=True)
class _Row:
    execution_id: int
    state: str
    is_settled: bool
    bound_e6: int
    unknown_e6: int
    pays_e4: list[int] | None
    now_cash_e6: int
    now_held_e6: int
    now_paid_e6: int
    now_payout_e6: int
    cash_e6: int
    held_e6: int
    paid_e6: int
    payout_e6: int


_SQL = """
WITH touched AS (
    SELECT e.execution_id, e.state, e.settled_at IS NOT NULL AS is_settled, e.detail -> 'plan' -> 'legs' AS legs
    FROM trading.executions AS e
    WHERE e.mode = %(mode)s AND e.execution_id IN (
        SELECT execution_id FROM trading.ledger WHERE happened_at >= %(midnight)s AND execution_id IS NOT NULL
        UNION SELECT execution_id FROM trading.executions WHERE settled_at IS NULL AND state = ANY(%(unhedged)s)
        UNION SELECT i.execution_id FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
        WHERE o.state = ANY(%(unresolved)s))
), facts AS (
    SELECT l.execution_id, l.venue, l.market_id, l.outcome, l.kind, l.cash_e6, l.contracts_e6, l.happened_at
    FROM touched AS t JOIN trading.ledger AS l ON l.execution_id = t.execution_id
    UNION ALL  -- what a venue has answered and no fill that was read says yet
    SELECT i.execution_id, i.venue, i.market_id, i.outcome, 'fill',
        (CASE i.action WHEN 'buy' THEN -1 ELSE 1 END * o.answered_cash_e6 - o.answered_fee_e6)
            * (o.answered_e6 - o.seen_e6) / o.answered_e6,
        CASE i.action WHEN 'buy' THEN 1 ELSE -1 END * (o.answered_e6 - o.seen_e6), %(now)s
    FROM touched AS t JOIN trading.intents AS i ON i.execution_id = t.execution_id
    JOIN trading.orders AS o ON o.intent_id = i.intent_id
    WHERE o.answered_e6 > o.seen_e6 AND o.state = ANY(%(unresolved)s)
), lots AS (
    SELECT l.execution_id, l.venue, l.market_id, l.outcome, sum(l.cash_e6)::bigint AS now_cash_e6,
        sum(l.contracts_e6)::bigint AS now_held_e6,
        -coalesce(sum(l.contracts_e6) FILTER (WHERE l.kind = 'settlement'), 0)::bigint AS now_paid_e6,
        coalesce(sum(l.cash_e6) FILTER (WHERE l.kind = 'settlement'), 0)::bigint AS now_payout_e6,
        coalesce(sum(l.cash_e6) FILTER (WHERE l.happened_at < %(midnight)s), 0)::bigint AS cash_e6,
        coalesce(sum(l.contracts_e6) FILTER (WHERE l.happened_at < %(midnight)s), 0)::bigint AS held_e6,
        -coalesce(sum(l.contracts_e6) FILTER (WHERE l.kind = 'settlement' AND l.happened_at < %(midnight)s), 0)::bigint
            AS paid_e6,
        coalesce(sum(l.cash_e6) FILTER (WHERE l.kind = 'settlement' AND l.happened_at < %(midnight)s), 0)::bigint
            AS payout_e6
    FROM facts AS l GROUP BY l.execution_id, l.venue, l.market_id, l.outcome
)
SELECT t.execution_id, t.state, t.is_settled,
    coalesce((SELECT max(r.spare_e6) FROM trading.reservations AS r WHERE r.execution_id = t.execution_id), 0)
        AS bound_e6,
    coalesce((SELECT sum(i.reserved_e6) FROM trading.intents AS i JOIN trading.orders AS o USING (intent_id)
        WHERE i.execution_id = t.execution_id AND o.state = 'unknown'), 0)::bigint AS unknown_e6,
    (SELECT array_agg(p.pays::bigint ORDER BY p.number) FROM jsonb_array_elements(t.legs) AS leg
        CROSS JOIN LATERAL jsonb_array_elements_text(leg -> 'pays_e4') WITH ORDINALITY AS p (pays, number)
        WHERE (leg ->> 'venue', leg ->> 'market_id', leg ->> 'outcome') = (x.venue, x.market_id, x.outcome)) AS pays_e4,
    coalesce(x.now_cash_e6, 0) AS now_cash_e6, coalesce(x.now_held_e6, 0) AS now_held_e6,
    coalesce(x.now_paid_e6, 0) AS now_paid_e6, coalesce(x.now_payout_e6, 0) AS now_payout_e6,
    coalesce(x.cash_e6, 0) AS cash_e6, coalesce(x.held_e6, 0) AS held_e6, coalesce(x.paid_e6, 0) AS paid_e6,
    coalesce(x.payout_e6, 0) AS payout_e6
FROM touched AS t LEFT JOIN lots AS x ON x.execution_id = t.execution_id ORDER BY t.execution_id
"""


def daily_result_e6(connection: Connection, mode: str, now: datetime, besides: int | None = None) -> int:
    """Return what trading in a mode has brought since midnight UTC, as the daily limit counts it (1e-6 dollar).

    Args:
        connection: Where the ledger is.
        mode: live | paper.
        now: What time it is.
        besides: An execution that does not count.
    """
    unhedged = [*OPEN_STATES, "ESCALATED"]
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    values = {
        "mode": mode,
        "midnight": midnight,
        "now": now,
        "unhedged": unhedged,
        "unresolved": list(UNRESOLVED),
    }
    rows = fetch_all(connection, _Row, _SQL, values)
    grouped = groupby((row for row in rows if row.execution_id != besides), key=lambda row: row.execution_id)
    return result_of(_trade(list(mine)) for _, mine in grouped)


def _trade(rows: Sequence[_Row]) -> TradeDay:
    first = rows[0]
    lots = tuple(
        DayLot(
            tuple(row.pays_e4 or ()),
            LotFigures(row.now_cash_e6, row.now_held_e6, row.now_paid_e6, row.now_payout_e6),
            LotFigures(row.cash_e6, row.held_e6, row.paid_e6, row.payout_e6),
        )
        for row in rows
    )
    is_open = first.state in OPEN_STATES
    is_unhedged = is_open or (first.state == "ESCALATED" and not first.is_settled)
    return TradeDay(lots, is_open, is_unhedged, first.unknown_e6, first.bound_e6)
