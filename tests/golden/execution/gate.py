"""The gate: a table of situations, each one step away from one in which everything is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.golden.execution import stage_gate as stage
from tests.golden.execution.stage import Plain

ALLOWED: Plain = {
    "switch": "run",
    "is_trading_on": True,
    "is_tradable": True,
    "is_pair": True,
    "pair_state": "approved",
    "has_text_changed": False,
    "is_signal_open": True,
    "has_leases": True,
    "is_within_life": True,
    "unknown_orders": 0,
    "last_execution_s_ago": None,
    "cooldown_s": "5",
    "realised_today_e6": 0,
    "daily_loss_limit_e6": 100_000_000,
    "provisional_e6": 0,
    "provisional_cap_e6": 500_000_000,
    "closes_in_s": [3_600, None],
    "closing_margin_s": 60,
    # 50 contracts at 0.45 + 0.53 with a loss bound of a dollar, and nothing else at stake
    "legs": [["kalshi", 2, "K", 50_000_000, 23_368_250], ["polymarket", None, "P", 50_000_000, 26_999_000]],
    "loss_bound_e6": 1_000_000,
    "unwind_fee_e6": 880_050,
    "limits_e6": {"order": 50_000_000, "market": 200_000_000, "pair": 300_000_000, "total": 2_000_000_000},
    "used_e6": {"market": 0, "pair": 0, "total": 0},
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
    {"pair_state": None},
    {"pair_state": "proposed"},
    {"pair_state": "rejected"},
    {"pair_state": "paused"},
    {"pair_state": "lapsed"},
    {"pair_state": "lapsed", "is_tradable": False},
    {"is_pair": False, "pair_state": None},
    {"is_pair": False, "pair_state": "rejected", "has_text_changed": None},
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
    {"realised_today_e6": -99_999_999},
    {"realised_today_e6": -100_000_000},
    {"realised_today_e6": -250_000_000, "provisional_e6": 600_000_000},
    {"realised_today_e6": 0, "daily_loss_limit_e6": 0},
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
    {"switch": "pause", "pair_state": "lapsed", "closes_in_s": [1]},
    {"limits_e6": None},
    {"limits_e6": {"order": 49_990_000, "market": 200_000_000, "pair": 300_000_000, "total": 2_000_000_000}},
    {"limits_e6": {"order": 50_000_000, "market": 28_879_049, "pair": 300_000_000, "total": 2_000_000_000}},
    {"limits_e6": {"order": 50_000_000, "market": 28_879_050, "pair": 300_000_000, "total": 2_000_000_000}},
    {"limits_e6": {"order": 50_000_000, "market": 200_000_000, "pair": 52_247_299, "total": 2_000_000_000}},
    {"limits_e6": {"order": 50_000_000, "market": 200_000_000, "pair": 300_000_000, "total": 60_000_000}},
    {
        "limits_e6": {"order": 50_000_000, "market": 200_000_000, "pair": 300_000_000, "total": 60_000_000},
        "used_e6": {"market": 0, "pair": 0, "total": 52_247_300},
    },
    {"used_e6": {"market": 171_120_950, "pair": 0, "total": 0}},
    {"used_e6": {"market": 171_120_951, "pair": 0, "total": 0}},
    {"pots": None},
    {"pots": []},
    {"pots": [["kalshi", 2, 60_000_000, 15.5, 0], ["polymarket", None, 60_000_000, 1, 0]]},
    {"pots": [["kalshi", 2, 60_000_000, 1, 0], ["polymarket", None, 28_879_049, 1, 0]]},
    {"pots": [["kalshi", 2, 60_000_000, 1, 0], ["polymarket", None, 28_879_050, 1, 0]]},
    {"pots": [["kalshi", 0, 60_000_000, 1, 0], ["polymarket", None, 60_000_000, 1, 0]]},
    {"pots": [["kalshi", None, 60_000_000, 1, 34_751_701], ["polymarket", None, 60_000_000, 1, 0]]},
]


def rows() -> Iterator[Plain]:
    """Give the answer to each situation; `but` is what differs from the allowed one."""
    for change in OPENING:
        yield {"asked": "may a hedge open", "but": change, **stage.gate_opening({**ALLOWED, **change})}
    for switch, purpose in product((None, "run", "pause", "reduce", "kill"), ("open", "complete", "unwind", "flatten")):
        for leases, life in product((True, False), repeat=2):
            facts = {"switch": switch, "purpose": purpose, "has_leases": leases, "is_within_life": life}
            yield {"asked": "may one order leave", **facts, **stage.gate_sending(facts)}
