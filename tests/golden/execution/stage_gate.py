"""Another module that knows internals: plain situations become what the gate reads, and its judgement plain again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from orchestration.execution.decide.gate.facts import CashPot, CheckPolicy, GateFacts, GatePolicy, HouseFacts
from orchestration.execution.decide.gate.plan_facts import LegQuote, PlanQuotes
from orchestration.execution.decide.gate.registry import judge
from orchestration.execution.decide.gate.reservation import HedgeReservation, ReservedLeg
from orchestration.execution.decide.gate.venue_states import (
    AccountState,
    KeyState,
    MarketState,
    SendingState,
    VenueFacts,
)
from orchestration.execution.decide.hedge_plan import Plan, PlanLeg
from orchestration.execution.decide.risk_checks import may_send
from streams.market.identity import Venue
from streams.market.listing import MarketTerms
from streams.market.trading import MarketInfo, TiedUp
from tests.golden.execution.stage import NOW, Plain, answer, limits_of


def gate_opening(facts: Plain) -> Plain:
    """Return whether a hedge may open, and which checks say no; times are given in seconds from now."""
    found = judge(gate_facts(facts))
    refusing = [check.name for check, finding in found.findings if finding.verdict == "refuse"]
    return {**answer(found.refusal), "refusing": refusing}


def gate_facts(facts: Plain) -> GateFacts:
    """Return what the gate reads in a situation."""
    ago, closes, limits, used = (
        facts[name] for name in ("last_execution_s_ago", "closes_in_s", "limits_e6", "used_e6")
    )
    as_they_are = ("switch", "is_tradable", "is_pair", "needs_approval", "decision_state", "has_text_changed",
                   "is_signal_open", "has_leases",
                   "is_within_life", "unknown_orders", "day_result_e6", "all_unknown_orders", "orders_last_minute",
                   "hedges_last_minute")  # fmt: skip
    return GateFacts(
        **{name: facts[name] for name in as_they_are},
        now=NOW,
        policy=GatePolicy(
            is_trading_on=facts["is_trading_on"],
            cooldown_s=Decimal(facts["cooldown_s"]),
            provisional_cap_e6=facts["provisional_cap_e6"],
            closing_margin_s=facts["closing_margin_s"],
            cash_max_age_s=Decimal(facts["cash_max_age_s"]),
            long_capital_e6=1_000_000_000,
            checks=CHECKS,
        ),
        limits=None if limits is None else limits_of({**limits, "daily_loss_e6": facts["daily_loss_limit_e6"]}),
        used=None
        if used is None
        else TiedUp(
            {("kalshi", "K"): used["market"], ("polymarket", "P"): used["market"]},
            {"g1": used["pair"]},
            {("kalshi", "E"): used["event"]},
            {"kalshi": used["venue"]},
            used["total"],
            facts["provisional_e6"],
        ),
        long_e6=0,
        is_long=False,
        events={"kalshi:K": "E", "polymarket:P": "F"},
        released_edge_usd=None if facts["released_edge_usd"] is None else Decimal(facts["released_edge_usd"]),
        edge_usd=None if facts["edge_usd"] is None else Decimal(facts["edge_usd"]),
        last_execution_at=None if ago is None else NOW - timedelta(seconds=ago),
        closes_at=[None if seconds is None else NOW + timedelta(seconds=seconds) for seconds in closes],
        group_id="g1",
        hedge=None
        if facts["legs"] is None
        else HedgeReservation(
            tuple(ReservedLeg(number, Venue(venue), *leg) for number, (venue, *leg) in enumerate(facts["legs"])),
            facts["loss_bound_e6"],
            facts["unwind_fee_e6"],
        ),
        pots=None
        if facts["pots"] is None
        else {
            venue: [
                CashPot(venue, shard, cash, NOW - timedelta(seconds=age), taken)
                for name, shard, cash, age, taken in facts["pots"]
                if name == venue
            ]
            for venue in Venue
        },
        **_of_the_plan(facts),
    )


CHECKS = CheckPolicy(
    book_age_ms=1_000,
    book_skew_ms=500,
    collar_usd=Decimal("0.10"),
    partial_fill_usd=Decimal(2),
    exit_depth_share=Decimal("0.25"),
    settlement_gap_days=Decimal(7),
    reconciled_age_s=Decimal(300),
    disk_mb=1_000,
    stress_loss_e6=1_500_000_000,
    venue_state_age_s=Decimal(60),
    fee_schedule_age_s=Decimal(60),
    execution_max_s=Decimal(45),
    game_start_margin_s=60,
    taker_delay_ms=5_000,
    clock_skew_ms=2_000,
    key_margin_s=3_600,
    needs_durable_commits=True,
)


def _of_the_plan(facts: Plain) -> Plain:
    """Return what the gate reads of the plan, its books and our own side."""
    given = {**PLAN, **facts.get("plan", {})}
    legs = [
        PlanLeg(number, Venue(venue), market, outcome, limit, (), 0, min_notional_e6=notional)
        for number, (venue, market, outcome, limit, notional) in enumerate(given["legs"])
    ]
    markets = [
        MarketInfo(
            leg.venue,
            leg.market_id,
            MarketTerms(price_ranges=tuple(given["price_ranges"])),
            "open",
            None,
            None if days is None else NOW + timedelta(days=days),
            None,
        )
        for leg, days in zip(legs, given["settles_in_days"], strict=True)
    ]
    asked_at = NOW - timedelta(milliseconds=given["asked_ms_ago"])
    quotes = PlanQuotes(
        asked_at, asked_at + timedelta(milliseconds=given["read_in_ms"]), tuple(LegQuote(*q) for q in given["quotes"])
    )
    house = HouseFacts(
        given["opposing_orders"],
        {
            Venue(venue): None if ago is None else NOW - timedelta(seconds=ago)
            for venue, ago in given["reconciled_s_ago"].items()
        },
        given["free_disk_mb"],
        given["stress_e6"],
        given["sources"],
        given["lossy_settings"],
    )
    plan = Plan(tuple(legs), given["size_e6"], 0, 0, 0, 0)
    found: Plain = {
        "plan": plan,
        "quotes": quotes,
        "markets": {market.key: market for market in markets},
        "house": house,
        "venues": _venues(given),
    }
    return {name: None if name in given["missing"] else value for name, value in found.items()} | (
        {"markets": {}} if "markets" in given["missing"] else {}
    )


def _venues(given: Plain) -> VenueFacts:
    """Return what the venues said last; times in seconds from now."""
    accounts = {
        Venue(venue): (
            NOW - timedelta(seconds=given["venue_s_ago"]),
            AccountState(
                **{
                    **said,
                    "key": None if said["key"] is None else _key(*said["key"]),
                    "maintenance": None
                    if said["maintenance"] is None
                    else tuple(
                        (NOW + timedelta(seconds=a), NOW + timedelta(seconds=b)) for a, b in said["maintenance"]
                    ),
                }
            ),
        )
        for venue, said in given["accounts"].items()
    }
    times = ("closes_at", "game_starts_at")
    markets = {
        key: (
            NOW - timedelta(seconds=given["market_s_ago"]),
            MarketState(
                **{
                    name: NOW + timedelta(seconds=value) if name in times and value is not None else value
                    for name, value in said.items()
                }
            ),
        )
        for key, said in given["market_states"].items()
    }
    sending = {
        Venue(venue): SendingState(left, None if closed_for_s is None else NOW + timedelta(seconds=closed_for_s))
        for venue, (left, closed_for_s) in given["sending"].items()
    }
    held = given["orders_held"]
    return VenueFacts(
        accounts,
        markets,
        frozenset(Venue(venue) for venue in given["simulated"]),
        sending,
        None if held is None else {Venue(venue): orders for venue, orders in held.items()},
    )


def _key(may_trade: bool, ends_in_s: float | None) -> KeyState:
    return KeyState(may_trade, None if ends_in_s is None else NOW + timedelta(seconds=ends_in_s))


def account(**but: Any) -> Plain:
    """An account at which all is well."""
    return {
        "trading_shards": {"": True}, "maintenance": [], "allowance_e6": 10**12, "is_blocked": False,
        "is_closing_only": False, "clock_ahead_ms": 0, "key": [True, None], "kind": "direct", **but,
    }  # fmt: skip


def market(**but: Any) -> Plain:
    """A market at which all is well."""
    return {"status": "open", "fee_schedule": {}, **but}


PLAN: Plain = {
    "accounts": {"kalshi": account(), "polymarket": account()},
    "market_states": {"kalshi:K": market(), "polymarket:P": market()},
    "simulated": [],
    "sending": {"kalshi": [5, None], "polymarket": [48, None]},
    "orders_held": {},
    "venue_s_ago": 20,
    "market_s_ago": 20,
    # 50 contracts, YES of Kalshi's market and NO of Polymarket's
    "legs": [["kalshi", "K", "yes", 4_500, 0], ["polymarket", "P", "no", 5_300, 1_000_000]],
    "quotes": [[4_500, 4_300, 50_000_000, None], [5_300, 5_100, 50_000_000, 100]],
    "size_e6": 50_000_000,
    "price_ranges": [[0, 10_000, 100]],
    "settles_in_days": [1, 1],
    "asked_ms_ago": 300,
    "read_in_ms": 120,
    "opposing_orders": 0,
    "reconciled_s_ago": {"kalshi": 20, "polymarket": 20},
    "free_disk_mb": 50_000,
    "stress_e6": {"nasa": 0},
    "sources": ["nasa"],
    "lossy_settings": [],
    "missing": [],
}


def gate_sending(facts: Plain) -> Plain:
    """Return whether one order may leave."""
    return answer(may_send(**facts))
