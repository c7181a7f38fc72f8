"""What a run has left in the warehouse and on the disk, as the pure parts of this proof take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchestration.execution.decide.execution_detail import execution_detail
from orchestration.execution.decide.hedge_plan import Plan
from orchestration.execution.decide.plan import TradeRequest, trade_request
from orchestration.execution.decide.plan_record import PlanInputs, inputs_from_json
from orchestration.execution.edge_monitor.watchlist import Rules
from orchestration.opportunities.bundles import Bundle, find_bundles
from orchestration.opportunities.outcomes import parse_outcomes
from streams.market.identity import MarketRef, Venue
from streams.market.taker_fees import taker_fees
from streams.market.trading import MarketGroup, MarketInfo, OrderRow, Signal, SignalLeg
from streams.market.units import CASH_SCALE
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.store.executions import load_execution
from streams.storage.store.market_groups import load_group, load_market_infos
from streams.storage.store.orders import load_orders
from tests.proofs.money.bridge import Done, Settled
from tests.proofs.money.dislocations import BundleKey, Watched
from tests.proofs.money.oracle import Means
from tests.proofs.money.recording import Segment
from tests.proofs.money.second_legs import Look, looks
from tests.proofs.money.trades import Trade, tick_e4

_TRADES = """
SELECT q.execution_id, t.group_id, s.leg_set, t.kind, q.ended_as, q.planned_profit_usd, q.locked_pnl_usd,
    q.exposure_usd_s, q.peak_exposure_usd, q.leg_gap_s, t.locked_floor_usd, t.cash_change_usd, t.settlement_usd,
    t.realised_pnl_usd IS NOT NULL AS is_over, s.opened_at
FROM analytics.execution_quality AS q
JOIN analytics.trades AS t USING (execution_id) JOIN trading.signals AS s ON s.signal_id = q.signal_id
WHERE q.mode = 'live' ORDER BY q.execution_id
"""


@dataclass(frozen=True, slots=True)
class ReadTrade:
    """A trade with its rows.

    Attributes:
        signalled_at: When its signal opened.
        decided_at: When its execution began; `sent_at` when its first order was sent, None where none was.
        leg_gap_s: From the first proof of a purchase to the last one's, over its legs.
    """

    trade: Trade
    orders: tuple[OrderRow, ...]
    signalled_at: datetime
    decided_at: datetime
    sent_at: datetime | None
    leg_gap_s: Decimal | None


def read_trades(connection: Connection) -> list[ReadTrade]:
    """Return the trades that have ended, oldest first."""
    return [_read_trade(connection, row) for row in connection.execute(_TRADES) if row["locked_pnl_usd"] is not None]


def count_open(connection: Connection) -> int:
    """Return how many trades have no result."""
    row = connection.execute(
        "SELECT count(*) AS n FROM analytics.execution_quality WHERE mode = 'live' AND locked_pnl_usd IS NULL"
    ).fetchone()
    return int(row["n"]) if row else 0


def _read_trade(connection: Connection, row: Mapping[str, Any]) -> ReadTrade:
    execution = load_execution(connection, row["execution_id"])
    orders = tuple(load_orders(connection, row["execution_id"]))
    plan = execution_detail(execution.detail).plan
    trade = Trade(
        execution_id=row["execution_id"],
        group_id=row["group_id"],
        leg_set=row["leg_set"],
        kind=row["kind"],
        ended_as=row["ended_as"],
        plan=plan,
        ticks_e4=_ticks(connection, plan),
        orders=tuple(_done(order) for order in orders),
        settled=Settled(_e6(row["settlement_usd"]), row["is_over"]),
        planned_e6=_e6(row["planned_profit_usd"]),
        locked_e6=_e6(row["locked_pnl_usd"]),
        floor_e6=_e6(row["locked_floor_usd"]),
        cash_e6=_e6(row["cash_change_usd"]),
        exposure_e6_s=_e6(row["exposure_usd_s"]),
        peak_exposure_e6=_e6(row["peak_exposure_usd"]),
    )
    sent = [order.sent_at for order in orders if order.sent_at is not None]
    return ReadTrade(trade, orders, row["opened_at"], execution.started_at, min(sent, default=None), row["leg_gap_s"])


def _ticks(connection: Connection, plan: Plan) -> tuple[int, ...]:
    infos = load_market_infos(connection, plan.market_keys)
    return tuple(
        tick_e4(infos[leg.market_key].terms.price_ranges, leg.limit_price_e4, leg.outcome) for leg in plan.legs
    )


def _done(order: OrderRow) -> Done:
    return Done(order.leg_no, order.purpose, order.action, order.filled_e6, order.cash_e6, order.fee_e6)


def _e6(usd: Decimal | None) -> int:
    return int((usd or Decimal(0)) * CASH_SCALE)


# -- what the oracle may trade, and with what --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Playing:
    """What could be traded: bundles with their times, and what each asks for."""

    watched: list[Watched]
    requests: dict[BundleKey, TradeRequest]


def trading_time(connection: Connection) -> tuple[datetime, datetime] | None:
    """Return when trading first came as far as a plan, and when the switch was first turned for the stop."""
    row = connection.execute(
        """SELECT min(p.decided_at) AS first,
               coalesce(min(s.set_at) FILTER (WHERE s.state <> 'run'), max(p.last_decided_at)) AS last
           FROM trading.plan_decisions AS p LEFT JOIN trading.switches AS s ON s.set_at > p.decided_at"""
    ).fetchone()
    return None if row is None or row["first"] is None else (row["first"], row["last"])


def read_playing(connection: Connection, settings: Settings, since: datetime, until: datetime) -> Playing:
    """Return every bundle of the groups that had a signal which might be traded, from their approval on."""
    rows = connection.execute(
        """SELECT s.group_id, min(d.decided_at) AS approved_at FROM trading.signals AS s
           LEFT JOIN trading.group_decisions AS d ON d.group_id = s.group_id AND d.decision = 'approve'
           WHERE s.is_tradable GROUP BY 1"""
    ).fetchall()
    approved = {row["group_id"]: row["approved_at"] for row in rows}
    groups = [group for group_id in approved if (group := load_group(connection, group_id)) is not None]
    markets = load_market_infos(connection, sorted({key for group in groups for key in group.market_keys}))
    playing, leg_sets = Playing([], {}), set[str]()
    # As the edge monitor does: the same legs count once, in the smallest group that says what they pay together.
    for group in sorted(groups, key=lambda group: (len(group.markets), group.group_id)):
        begins = max(since, approved[group.group_id] or since)
        cases = parse_outcomes(group.outcomes, set(group.market_keys))
        for bundle in find_bundles(group.market_keys, cases, settings.most_legs):
            if bundle.leg_set in leg_sets or len(bundle.legs) > settings.most_legs:
                continue
            leg_sets.add(bundle.leg_set)
            _add(playing, group, bundle, markets, (begins, until), settings)
    return playing


def _add(
    playing: Playing,
    group: MarketGroup,
    bundle: Bundle,
    markets: Mapping[str, MarketInfo],
    time: tuple[datetime, datetime],
    settings: Settings,
) -> None:
    legs = tuple(SignalLeg(*MarketRef.from_key(market), outcome, 0, 0) for market, outcome in bundle.legs)
    request = trade_request(Signal(0, group.group_id, None, time[0], 0, legs), group, markets)
    if not isinstance(request, TradeRequest):
        return
    own = [markets[market] for market, _ in bundle.legs]
    margin = timedelta(seconds=settings.closing_margin_s)
    ends = min([time[1], *(market.close_time - margin for market in own if market.close_time is not None)])
    rules = tuple(
        Rules(
            taker_fees(market.target.schedule),
            market.terms.size_step_e6,
            market.terms.min_size_e6,
            market.terms.min_notional_e6,
        )
        for market in own
    )
    key = (group.group_id, bundle.leg_set)
    playing.watched.append(Watched(key, bundle, rules, ns_of(time[0]), ns_of(ends)))
    playing.requests[key] = request


def read_means(connection: Connection) -> Means | None:
    """Return the cash, limits and numbers of the first plans: those with which trading began."""
    cash: dict[Venue, Mapping[int | None, int]] = {}
    first: PlanInputs | None = None
    for row in connection.execute("SELECT inputs FROM trading.plan_decisions ORDER BY plan_decision_id LIMIT 50"):
        inputs = inputs_from_json(row["inputs"])
        first = first or inputs
        for venue, pots in inputs.headroom.cash_e6.items():
            cash.setdefault(venue, pots)
    return None if first is None else Means(cash, first.headroom.limits, first.headroom.policy)


def latency_ns(trades: Sequence[ReadTrade], settings: Settings) -> int:
    """Return the median time from the opening of a dislocation to our first order: the signal's hold time and ours."""
    waits = sorted((read.sent_at - read.signalled_at) // timedelta(microseconds=1) for read in _first_attempts(trades))
    middle = waits[len(waits) // 2] if waits else 0
    return middle * 1_000 + settings.signal_min_duration_ms * 1_000_000


def _first_attempts(trades: Sequence[ReadTrade]) -> list[ReadTrade]:
    first: dict[datetime, ReadTrade] = {}
    for read in trades:
        if read.sent_at is not None:
            first.setdefault(read.signalled_at, read)
    return list(first.values())


def refusals_of(connection: Connection, key: BundleKey, since_ns: int, until_ns: int) -> str:
    """Return why the signals of a bundle were refused in a time, the last reason of each; empty where there is none."""
    rows = connection.execute(
        """SELECT DISTINCT ON (s.signal_id) r.reason FROM trading.signals AS s
           LEFT JOIN trading.refusals AS r USING (signal_id)
           WHERE s.group_id = %s AND s.leg_set = %s AND s.opened_at <= to_timestamp(%s)
             AND coalesce(s.closed_at, s.opened_at) >= to_timestamp(%s)
           ORDER BY s.signal_id, r.refusal_id DESC""",
        (*key, until_ns / 1e9, since_ns / 1e9),
    ).fetchall()
    if not rows:
        return "no signal"
    return ", ".join(sorted({row["reason"] or "not refused" for row in rows}))


def read_segments(connection: Connection) -> list[list[Segment]]:
    """Return the segment files of each recorder shard, oldest first."""
    rows = connection.execute("SELECT shard, run_id, path FROM raw.segments ORDER BY shard, segment_id").fetchall()
    shards: dict[int, list[Segment]] = {}
    for row in rows:
        path = Path(row["path"])
        if path.exists():
            shards.setdefault(row["shard"], []).append(Segment(row["shard"], row["run_id"], path))
    return list(shards.values())


def read_looks(trades: Sequence[ReadTrade]) -> list[Look]:
    """Return what is asked of the books about the later legs of every trade whose first leg bought something."""
    found = []
    for read in trades:
        first = read.trade.plan.legs[0].leg_no
        bought = sum(order.filled_e6 for order in read.trade.orders if order.leg_no == first and order.is_buy)
        if bought and read.sent_at is not None:
            found += looks(read.trade.execution_id, read.trade.plan, ns_of(read.sent_at), bought)
    return found


def ns_of(at: datetime) -> int:
    """Return a moment in nanoseconds since 1970, to the microsecond."""
    return round(at.timestamp() * 1_000_000) * 1_000


def usd_of(amount_e6: int) -> Decimal:
    """Return an amount of 1e-6 dollar in dollars."""
    return Decimal(amount_e6).scaleb(-6)
