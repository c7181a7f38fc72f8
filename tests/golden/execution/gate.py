"""The gate: a table of situations, each one step away from one in which everything is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.golden.execution import stage_gate as stage
from tests.golden.execution.stage import Plain


def limits(order: int, market: int, pair: int, total: int) -> Plain:
    """Limits in 1e-6, the others as they are at first."""
    given = {"order_contracts_e6": order, "market_e6": market, "pair_e6": pair, "total_e6": total}
    counted = {"unknown_orders": 3, "orders_per_minute": 600, "hedges_per_minute": 120}
    return {**given, **counted, "event_e6": 600_000_000, "venue_e6": 2_000_000_000, "edge_e6": 50_000}


def used(**parts: int) -> Plain:
    """What is tied up already."""
    return {**dict.fromkeys(("market", "pair", "event", "venue", "total"), 0), **parts}


ALLOWED: Plain = {
    "switch": "run",
    "is_trading_on": True,
    "is_tradable": True,
    "is_pair": True,
    "needs_approval": True,
    "decision_state": "approved",
    "has_text_changed": False,
    "is_signal_open": True,
    "has_leases": True,
    "is_within_life": True,
    "unknown_orders": 0,
    "last_execution_s_ago": None,
    "cooldown_s": "5",
    "day_result_e6": 0,
    "all_unknown_orders": 0,
    "orders_last_minute": 0,
    "hedges_last_minute": 0,
    "edge_usd": "0.02",
    "released_edge_usd": None,
    "daily_loss_limit_e6": 100_000_000,
    "provisional_e6": 0,
    "provisional_cap_e6": 500_000_000,
    "closes_in_s": [3_600, None],
    "closing_margin_s": 60,
    # 50 contracts at 0.45 + 0.53 with a loss bound of a dollar, and nothing else at stake
    "legs": [["kalshi", 2, "K", 50_000_000, 23_368_250], ["polymarket", None, "P", 50_000_000, 26_999_000]],
    "loss_bound_e6": 1_000_000,
    "unwind_fee_e6": 880_050,
    "limits_e6": limits(50_000_000, 200_000_000, 300_000_000, 2_000_000_000),
    "used_e6": used(),
    "pots": [["kalshi", 0, 0, 1, 0], ["kalshi", 2, 60_000_000, 1, 0], ["polymarket", None, 60_000_000, 1, 0]],
    "cash_max_age_s": "15",
}
OPENING: list[Plain] = [
    {},
    {"switch": None},
    {"switch": "pause"},
    {"switch": "reduce"},
    {"switch": "kill"},
    {"is_trading_on": False},
    {"switch": "kill", "is_trading_on": False},
    {"is_tradable": False},
    {"is_tradable": None},
    {"decision_state": None},
    {"decision_state": "proposed"},
    {"decision_state": "proposed", "needs_approval": False},
    {"decision_state": "rejected"},
    {"decision_state": "rejected", "needs_approval": False},
    {"decision_state": "paused"},
    {"decision_state": "lapsed"},
    {"decision_state": "lapsed", "needs_approval": False},
    {"decision_state": "lapsed", "is_tradable": False},
    {"is_pair": False, "decision_state": None},
    {"is_pair": False, "has_text_changed": None},
    {"has_text_changed": True},
    {"has_text_changed": None},
    {"is_signal_open": False},
    {"is_signal_open": None},
    {"has_leases": False},
    {"has_leases": False, "is_signal_open": False},
    {"is_within_life": False},
    {"unknown_orders": None},
    {"unknown_orders": 1},
    {"unknown_orders": 3, "has_leases": False},
    {"last_execution_s_ago": 0},
    {"last_execution_s_ago": 2.25},
    {"last_execution_s_ago": 4.96},
    {"last_execution_s_ago": 5},
    {"last_execution_s_ago": 60},
    {"last_execution_s_ago": 1, "cooldown_s": "0"},
    {"last_execution_s_ago": -1},
    {"used_e6": None},
    {"day_result_e6": -99_000_000},
    {"day_result_e6": -99_000_001},
    {"day_result_e6": None},
    {"day_result_e6": -99_999_999, "legs": None},
    {"day_result_e6": -100_000_000, "legs": None},
    {"day_result_e6": -250_000_000, "provisional_e6": 600_000_000},
    {"day_result_e6": 0, "daily_loss_limit_e6": 0},
    {"provisional_e6": 473_001_000},
    {"provisional_e6": 473_001_001},
    {"provisional_e6": 499_999_999, "legs": None},
    {"provisional_e6": 500_000_000, "legs": None},
    {"closes_in_s": [59, 3_600]},
    {"closes_in_s": [60, 60]},
    {"closes_in_s": [3_600, -5]},
    {"closes_in_s": [None, None]},
    {"closes_in_s": []},
    {"closes_in_s": [59], "closing_margin_s": 30},
    {"closes_in_s": [10], "provisional_e6": 900_000_000},
    {"switch": "pause", "decision_state": "lapsed", "closes_in_s": [1]},
    {"limits_e6": None},
    {"limits_e6": limits(49_990_000, 200_000_000, 300_000_000, 2_000_000_000)},
    {"limits_e6": limits(50_000_000, 28_879_049, 300_000_000, 2_000_000_000)},
    {"limits_e6": limits(50_000_000, 28_879_050, 300_000_000, 2_000_000_000)},
    {"limits_e6": limits(50_000_000, 200_000_000, 52_247_299, 2_000_000_000)},
    {"limits_e6": limits(50_000_000, 200_000_000, 300_000_000, 60_000_000)},
    {
        "limits_e6": limits(50_000_000, 200_000_000, 300_000_000, 60_000_000),
        "used_e6": used(total=52_247_300),
    },
    {"used_e6": used(market=171_120_950)},
    {"used_e6": used(market=171_120_951)},
    {"used_e6": used(event=574_751_700)},
    {"used_e6": used(event=574_751_701)},
    {"used_e6": used(venue=1_974_751_700)},
    {"used_e6": used(venue=1_974_751_701)},
    {"all_unknown_orders": None},
    {"all_unknown_orders": 3},
    {"all_unknown_orders": 4},
    {"orders_last_minute": 597},
    {"orders_last_minute": 598},
    {"orders_last_minute": 599, "legs": None},
    {"orders_last_minute": 600, "legs": None},
    {"hedges_last_minute": 119},
    {"hedges_last_minute": 120},
    {"hedges_last_minute": None},
    {"edge_usd": "0.05"},
    {"edge_usd": "0.0500000001"},
    {"edge_usd": "0.79"},
    {"edge_usd": "0.79", "released_edge_usd": "0.79"},
    {"edge_usd": "0.80", "released_edge_usd": "0.79"},
    {"edge_usd": "0.05", "released_edge_usd": "0.01"},
    {"edge_usd": "NaN"},
    {"edge_usd": None},
    {"pots": None},
    {"pots": []},
    {"pots": [["kalshi", 2, 60_000_000, 15.5, 0], ["polymarket", None, 60_000_000, 1, 0]]},
    {"pots": [["kalshi", 2, 60_000_000, 1, 0], ["polymarket", None, 28_879_049, 1, 0]]},
    {"pots": [["kalshi", 2, 60_000_000, 1, 0], ["polymarket", None, 28_879_050, 1, 0]]},
    {"pots": [["kalshi", 0, 60_000_000, 1, 0], ["polymarket", None, 60_000_000, 1, 0]]},
    {"pots": [["kalshi", None, 60_000_000, 1, 34_751_701], ["polymarket", None, 60_000_000, 1, 0]]},
    {"pots": [["kalshi", 2, 60_000_000, -2, 0], ["polymarket", None, 60_000_000, 1, 0]]},
    {"pots": [["kalshi", 2, 60_000_000, -2.1, 0], ["polymarket", None, 60_000_000, 1, 0]]},
    # limit 1.00, hedges that lock -0.40 each, bound 0.30: two open, the third is refused
    *(
        {"daily_loss_limit_e6": 1_000_000, "loss_bound_e6": 300_000, "day_result_e6": result}
        for result in (0, -400_000, -700_000, -700_001, -800_000)
    ),
    *(
        {"plan": change}
        for change in (
            {"missing": ["plan"]},
            {"missing": ["quotes"]},
            {"missing": ["markets"]},
            {"missing": ["house"]},
            {"quotes": [[4_500, 4_300, 50_000_000, None]]},
            {"asked_ms_ago": 1_000},
            {"asked_ms_ago": 1_001},
            {"read_in_ms": 500},
            {"read_in_ms": 501},
            {"legs": [["kalshi", "K", "yes", 5_500, 0], ["polymarket", "P", "no", 5_300, 1_000_000]]},
            {"legs": [["kalshi", "K", "yes", 5_600, 0], ["polymarket", "P", "no", 5_300, 1_000_000]]},
            {"legs": [["kalshi", "K", "yes", 4_550, 0], ["polymarket", "P", "no", 5_300, 1_000_000]]},
            {"legs": [["kalshi", "K", "yes", 4_500, 0], ["polymarket", "P", "no", 5_350, 1_000_000]]},
            {"price_ranges": [[0, 1_000, 10], [1_000, 9_000, 100], [9_000, 10_000, 10]]},
            {"price_ranges": [[0, 4_000, 100]]},
            {"quotes": [[4_500, 4_300, 50_000_000, None], [5_300, 5_100, 50_000_000, 1_000]]},
            {"quotes": [[None, 4_300, 50_000_000, None], [5_300, 5_100, 50_000_000, 100]]},
            {"size_e6": 50_005_000},
            {"size_e6": 0},
            # a leg without bids can only be completed: 10 contracts at 0.10 are a dollar
            {
                "legs": [["kalshi", "K", "yes", 4_500, 0], ["polymarket", "P", "no", 1_000, 1_000_000]],
                "quotes": [[4_500, None, 50_000_000, None], [1_000, 900, 50_000_000, 100]],
            },
            {
                "legs": [["kalshi", "K", "yes", 1_500, 0], ["polymarket", "P", "no", 1_000, 1_000_000]],
                "quotes": [[1_500, None, 50_000_000, None], [1_000, 900, 50_000_000, 100]],
            },
            # both have a least value: 1.12 contracts at 0.90 can be sold again long before 20 at 0.05 can be bought
            {
                "legs": [["polymarket", "K", "yes", 9_000, 1_000_000], ["polymarket", "P", "no", 500, 1_000_000]],
                "quotes": [[9_000, 8_900, 50_000_000, None], [500, 400, 50_000_000, 100]],
            },
            {"quotes": [[4_500, 4_300, 12_500_000, None], [5_300, 5_100, 50_000_000, 100]]},
            {"quotes": [[4_500, 4_300, 12_490_000, None], [5_300, 5_100, 50_000_000, 100]]},
            {"settles_in_days": [1, 8]},
            {"settles_in_days": [1, 8.01]},
            {"settles_in_days": [None, 1]},
            {"legs": [["kalshi", "K", "yes", 4_500, 0], ["kalshi", "K", "no", 5_300, 0]]},
            {"missing": ["venues"]},
            {"accounts": {"kalshi": stage.account()}},
            {"venue_s_ago": 60},
            {"venue_s_ago": 60.1},
            {"market_s_ago": 60.1},
            # a clock that was set back: how old a reading is nobody knows
            {"venue_s_ago": -2},
            {"venue_s_ago": -2.1},
            {"market_s_ago": -3600},
            {"reconciled_s_ago": {"kalshi": 20, "polymarket": -2}},
            {"reconciled_s_ago": {"kalshi": 20, "polymarket": -2.1}},
            {"market_states": {"kalshi:K": stage.market()}},
            *(
                {"accounts": {"kalshi": stage.account(**said), "polymarket": stage.account()}}
                for said in (
                    {"trading_shards": {"": True, "2": False}},
                    {"trading_shards": {"": False, "2": True}},
                    {"trading_shards": {"": False}},
                    {"trading_shards": None},
                    {"maintenance": None},
                    {"maintenance": [[-100, -1]]},
                    {"maintenance": [[-100, 1]]},
                    {"maintenance": [[45, 100], [200, 300]]},
                    {"maintenance": [[44.9, 100]]},
                    {"clock_ahead_ms": 2_000},
                    {"clock_ahead_ms": -2_001},
                    {"clock_ahead_ms": None},
                    {"allowance_e6": None, "is_blocked": None, "is_closing_only": None},
                )
            ),
            *(
                {"accounts": {"kalshi": stage.account(**said), "polymarket": stage.account()}}
                for said in (
                    {"key": [True, 3_600]},
                    {"key": [True, 3_599.9]},
                    {"key": [True, 10**9]},
                    {"key": [True, -1]},
                    {"key": [False, None]},
                    {"key": None},
                    {"kind": "not_stated"},
                    {"kind": "fcm"},
                    {"kind": None},
                )
            ),
            {"accounts": {"kalshi": stage.account(), "polymarket": stage.account(key=None, kind=None)}},
            {
                "accounts": {"kalshi": stage.account(key=None, kind=None), "polymarket": stage.account()},
                "simulated": ["kalshi"],
            },
            *(
                {"accounts": {"kalshi": stage.account(), "polymarket": stage.account(**said)}}
                for said in (
                    {"allowance_e6": 28_879_050},
                    {"allowance_e6": 28_879_049},
                    {"allowance_e6": None},
                    {"is_blocked": True},
                    {"is_blocked": None},
                    {"is_closing_only": True},
                    {"trading_shards": None, "maintenance": None, "clock_ahead_ms": None},
                )
            ),
            {
                "accounts": {
                    "kalshi": stage.account(),
                    "polymarket": stage.account(allowance_e6=None, is_blocked=None),
                },
                "simulated": ["kalshi", "polymarket"],
            },
            *(
                {"market_states": {"kalshi:K": stage.market(), "polymarket:P": stage.market(**said)}}
                for said in (
                    {"status": "paused"},
                    {"fee_schedule": {"rate": "0"}},
                    {"fee_schedule": {"rate": "0.01", "exponent": "1", "taker_only": True}},
                    {"tick_e4": 100},
                    {"tick_e4": 1_000},
                    {"closes_at": 60},
                    {"closes_at": 59.9},
                    {"game_starts_at": 60},
                    {"game_starts_at": -59},
                    {"delay_ms": 5_000},
                    {"delay_ms": 5_001},
                )
            ),
            {
                "market_states": {
                    "kalshi:K": stage.market(fee_schedule={"fee_multiplier": "1"}),
                    "polymarket:P": stage.market(),
                }
            },
            {
                "market_states": {
                    "kalshi:K": stage.market(fee_schedule={"fee_multiplier": "2"}),
                    "polymarket:P": stage.market(),
                }
            },
            # one leg and one unwind at each venue
            {"sending": {"kalshi": [2, None], "polymarket": [2, None]}},
            {"sending": {"kalshi": [1, None], "polymarket": [48, None]}},
            {"sending": {"kalshi": [5, None], "polymarket": [1, None]}},
            {"orders_held": {"kalshi": 3, "polymarket": 46}},
            {"orders_held": {"kalshi": 4}},
            {"orders_held": {"polymarket": 47}},
            {"orders_held": None},
            {"sending": {"kalshi": [None, None], "polymarket": [48, None]}},
            {"sending": {"kalshi": [5, None]}},
            {"sending": {"kalshi": [None, None], "polymarket": [None, 60]}, "simulated": ["kalshi", "polymarket"]},
            {"sending": {"kalshi": [5, None], "polymarket": [48, 0]}},
            {"sending": {"kalshi": [5, None], "polymarket": [48, 0.1]}},
            {"sending": {"kalshi": [5, 60], "polymarket": [48, None]}},
            {"opposing_orders": 1},
            {"opposing_orders": None},
            {"reconciled_s_ago": {"kalshi": 20, "polymarket": 301}},
            {"reconciled_s_ago": {"kalshi": 20, "polymarket": None}},
            {"reconciled_s_ago": {}},
            {"free_disk_mb": 999},
            {"free_disk_mb": None},
            {"stress_e6": None},
            {"sources": []},
            {"stress_e6": {"nasa": 1_447_752_700, "usgs": 1_500_000_000}},
            {"stress_e6": {"nasa": 1_447_752_701}},
            {"stress_e6": {"nasa": 0, "usgs": 1_447_752_701}, "sources": ["nasa", "usgs"]},
            {"lossy_settings": ["fsync=off", "synchronous_commit=off"]},
            {"lossy_settings": None},
        )
    ),
]


def rows() -> Iterator[Plain]:
    """Give the answer to each situation; `but` is what differs from the allowed one."""
    for change in OPENING:
        yield {"asked": "may a hedge open", "but": change, **stage.gate_opening({**ALLOWED, **change})}
    for switch, purpose in product((None, "run", "pause", "reduce", "kill"), ("open", "complete", "unwind", "flatten")):
        for leases, life in product((True, False), repeat=2):
            facts = {"switch": switch, "purpose": purpose, "has_leases": leases, "is_within_life": life}
            yield {"asked": "may one order leave", **facts, **stage.gate_sending(facts)}
