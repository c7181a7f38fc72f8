"""The gate around a hedge: facts read under locks, every check made, the whole hedge held back. No network call inside.

`admit` is called in the transaction that writes the first intent of an execution. Account, exchange shards, events and
the total are locked first, so that what is read is what is held back against; two hedges pass one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from orchestration.execution.decide.execution_detail import execution_detail
from orchestration.execution.decide.gate.facts import CashPot, GateFacts, GatePolicy
from orchestration.execution.decide.gate.plan_facts import PlanQuotes, quotes_from_json
from orchestration.execution.decide.gate.registry import Judgement, judge
from orchestration.execution.decide.gate.reservation import HedgeReservation, reservation_of
from orchestration.execution.decide.hedge_plan import Plan
from orchestration.execution.decide.plan import cash_back_at
from orchestration.execution.decide.risk_checks import Refusal
from orchestration.execution.gate.house import check_policy, house_facts
from orchestration.execution.gate.readings import venue_facts
from orchestration.execution.trading_context import TradingContext
from orchestration.opportunities.worth import closing_e6
from streams.market.identity import Venue
from streams.market.trading import ExecutionRow, MarketGroup, MarketInfo, RefusalReason, Signal
from streams.market.units import CASH_SCALE
from streams.market.venue_traits import TRAITS
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.kill_files import switch_in_force
from streams.storage.store import executions
from streams.storage.store.accounting.switches import switch_on
from streams.storage.store.gate.daily_result import daily_result_e6
from streams.storage.store.gate.decisions import NewDecision, write_decision
from streams.storage.store.gate.rates import count_hedges_since, count_orders_since
from streams.storage.store.gate.readings import load_readings
from streams.storage.store.gate.releases import released_edge
from streams.storage.store.gate.reservations import NewReservation, held_back, spent_since, write_reservations
from streams.storage.store.guards.locks import account_lock, hold_all
from streams.storage.store.hedges.held import held_by_hedges
from streams.storage.store.leases import Lease, holds_all
from streams.storage.store.market_groups import has_changed_text, load_group, load_market_infos
from streams.storage.store.orders import count_unknown_orders, count_unresolved_on
from streams.storage.store.risk import current_limits, tied_up, tied_up_beyond
from streams.storage.store.signals import load_signal

LOCK_WAIT_S = 0.2
"""Longest wait for each lock of the transaction that writes a first intent."""
_MINUTE = timedelta(minutes=1)
_READING_LAG = timedelta(seconds=5)
"""What a venue answers may be this much older than the question."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What may open: a signal with its group and the markets of its legs.

    Attributes:
        markets: By "venue:market_id", those of the legs alone.
        has_leases: The leases of all of them are held.
        is_within_life: The decision, if there is one yet, is young enough.
        execution_id: Of the hedge whose first intent is to be written; None before there is one.
        hedge: What it is to hold back; None before there is a plan.
        edge_usd: Its net edge per contract at the best level.
        plan: What it is to do, and `quotes` the books that was decided on; None before there is a plan.
    """

    signal: Signal
    group: MarketGroup
    markets: Mapping[str, MarketInfo]
    has_leases: bool
    is_within_life: bool = True
    execution_id: int | None = None
    hedge: HedgeReservation | None = None
    edge_usd: Decimal | None = None
    plan: Plan | None = None
    quotes: PlanQuotes | None = None


def admit(
    connection: Connection,
    context: TradingContext,
    execution_id: int,
    leases: Sequence[Lease],
    now: datetime,
    *,
    is_within_life: bool,
) -> Refusal | None:
    """Judge a planned execution on what is read here and hold the whole of it back; None if its intents may be written.

    Args:
        connection: In the transaction that writes the first intent, under the lock of those who write intents.
        context: Mode, settings.
        execution_id: Of the planned execution.
        leases: Held on its markets.
        now: What time it is.
        is_within_life: The decision is young enough for its orders to leave.

    Raises:
        psycopg.errors.LockNotAvailable: If another hedge is being judged for longer than the limit of this transaction.
    """
    execution = executions.load_execution(connection, execution_id)
    plan, quotes = execution_detail(execution.detail).plan, quotes_from_json(execution.detail.get("quotes"))
    markets = load_market_infos(connection, plan.market_keys)
    hold_all(connection, _lock_names(context.mode, markets.values()))
    # read anew under the locks: texts, status and shards may have changed while they were waited for
    markets = load_market_infos(connection, plan.market_keys)
    signal, group = load_signal(connection, execution.signal_id), load_group(connection, execution.group_id)
    if signal is None or group is None or len(markets) < len(plan.market_keys):
        return Refusal(RefusalReason.NOT_TRADABLE, "its signal, its group or a market of it is gone")
    hedge = reservation_of(plan, {key: market.target for key, market in markets.items()})
    has_leases = holds_all(connection, leases)
    asked = Asked(
        signal, group, markets, has_leases, is_within_life, execution_id, hedge, execution.edge_usd, plan, quotes
    )
    judgement = judge(read_facts(connection, context, asked, now))
    write_judgement(connection, context, asked, judgement, now)
    if judgement.refusal is None:
        _hold_back(connection, execution, hedge, now)
    return judgement.refusal


def read_facts(connection: Connection, context: TradingContext, asked: Asked, now: datetime) -> GateFacts:
    """Return everything the checks read; best under the locks, as only then it stays true until it is acted on."""
    settings, mode, group = context.settings, context.mode, asked.group
    markets = asked.markets.values()
    age = now - asked.signal.updated_at
    used = tied_up(connection, mode)
    long_from = now + timedelta(days=float(settings.long_days))
    back_at = cash_back_at(list(markets))
    is_watched = asked.signal.closed_at is None and abs(age) < timedelta(seconds=settings.lease_ttl_s)
    return GateFacts(
        now=now,
        policy=gate_policy(settings),
        limits=current_limits(connection, settings),
        used=used,
        long_e6=tied_up_beyond(connection, used, long_from),
        is_long=(back_at is None or back_at > long_from) and not _is_exit(connection, mode, asked),
        day_result_e6=daily_result_e6(connection, mode, now, besides=asked.execution_id),
        switch=switch_on(
            connection, mode, {market.venue for market in markets}, switch_in_force(connection, settings.home_dir)
        ),
        is_tradable=group.is_tradable and group.ended_at is None and all(market.status == "open" for market in markets),
        is_pair=group.kind == "pair",
        needs_approval=settings.needs_approval,
        decision_state=group.decision_state,
        has_text_changed=has_changed_text(connection, group) if group.kind == "pair" else None,
        is_signal_open=is_watched,
        has_leases=asked.has_leases,
        is_within_life=asked.is_within_life,
        unknown_orders=count_unresolved_on(connection, [market.key for market in markets], mode),
        all_unknown_orders=count_unknown_orders(connection),
        orders_last_minute=count_orders_since(connection, now - _MINUTE, mode),
        hedges_last_minute=count_hedges_since(connection, now - _MINUTE, mode, besides=asked.execution_id),
        edge_usd=asked.edge_usd,
        released_edge_usd=released_edge(connection, asked.signal.signal_id),
        events={market.key: market.event_id for market in markets},
        last_execution_at=executions.last_started_at(connection, group.group_id, mode, besides=asked.execution_id),
        closes_at=[market.close_time for market in markets],
        group_id=group.group_id,
        hedge=asked.hedge,
        pots=load_pots(connection, mode),
        plan=asked.plan,
        quotes=asked.quotes,
        markets=asked.markets,
        venues=venue_facts(connection, context, asked.execution_id),
        house=house_facts(connection, context, asked.signal, asked.markets, used),
    )


def _is_exit(connection: Connection, mode: str, asked: Asked) -> bool:
    """Whether a hedge closes what hedges of its group hold: it frees capital and ties up none for long."""
    size = max((leg.contracts_e6 for leg in asked.hedge.legs), default=0) if asked.hedge else 0
    legs = [(leg.market_key, leg.outcome) for leg in asked.signal.legs]
    return 0 < size <= closing_e6(legs, held_by_hedges(connection, mode, asked.group.group_id))


def load_pots(connection: Connection, mode: str) -> dict[Venue, list[CashPot]]:
    """Return what each account held when it was read last, less what was spent since and what hedges hold back."""
    found: dict[Venue, list[CashPot]] = {}
    readings = [reading for reading in load_readings(connection, mode) if reading.kind == "cash"]
    held = held_back(connection, mode)
    for name in dict.fromkeys(reading.venue for reading in readings):
        mine = [reading for reading in readings if reading.venue == name]
        oldest = min(reading.read_at for reading in mine)
        taken = [row for row in held if row.venue == name] + spent_since(connection, mode, name, oldest - _READING_LAG)
        found[Venue(name)] = [
            CashPot(
                venue=Venue(name),
                shard=reading.shard,
                read_e6=reading.amount_e6 or 0,
                read_at=reading.read_at,
                taken_e6=sum(row.cash_e6 for row in taken if _may_draw(row.shard, reading.shard)),
            )
            for reading in mine
        ]
    return found


def _may_draw(shard: int | None, pot: int | None) -> bool:
    """Whether what a shard's markets take may come from a pot; where either is not known it may."""
    return shard is None or pot is None or shard == pot


def write_judgement(
    connection: Connection, context: TradingContext, asked: Asked, judgement: Judgement, now: datetime
) -> None:
    """Keep what the gate decided and on what."""
    refusal = judgement.refusal
    new = NewDecision(
        signal_id=asked.signal.signal_id,
        execution_id=asked.execution_id,
        mode=context.mode,
        environment=context.environment,
        reason="" if refusal is None else refusal.reason.value,
        detail="" if refusal is None else refusal.detail,
        checks=judgement.to_json(),
    )
    write_decision(connection, new, now)


def gate_policy(settings: Settings) -> GatePolicy:
    """Return the settings that checks compare with."""
    return GatePolicy(
        is_trading_on=settings.trading_mode != "off",
        cooldown_s=Decimal(str(settings.execution_cooldown_s)),
        provisional_cap_e6=int(settings.provisional_cap_usd * CASH_SCALE),
        closing_margin_s=settings.closing_margin_s,
        cash_max_age_s=Decimal(str(settings.cash_max_age_s)),
        long_capital_e6=int(settings.long_capital_usd * CASH_SCALE),
        checks=check_policy(settings),
    )


def _lock_names(mode: str, markets: Iterable[MarketInfo]) -> list[str]:
    names: list[str] = []
    for market in markets:
        names.append(account_lock(market.venue.value, mode))
        names.append(f"event:{market.venue}:{market.event_id}")
        if TRAITS[market.venue].exchange_shards:
            names.append(f"shard:{mode}:{market.venue}:{market.terms.exchange_index}")
    return names


def _hold_back(connection: Connection, execution: ExecutionRow, hedge: HedgeReservation, now: datetime) -> None:
    legs = [
        NewReservation(
            leg.leg_no, leg.venue.value, leg.shard, leg.market_id, leg.contracts_e6, leg.cash_e6, hedge.spare_e6
        )
        for leg in hedge.legs
    ]
    write_reservations(connection, execution.execution_id, legs, now)
