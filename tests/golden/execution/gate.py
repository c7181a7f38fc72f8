"""The gate: a table of situations, each one step away from one in which everything is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.golden.execution import stage
from tests.golden.execution.stage import Plain

ALLOWED: Plain = {
    "switch": "run",
    "is_trading_on": True,
    "is_tradable": True,
    "is_pair": True,
    "pair_state": "approved",
    "is_signal_open": True,
    "has_leases": True,
    "unknown_orders": 0,
    "last_execution_s_ago": None,
    "cooldown_s": "5",
    "realised_today_e6": 0,
    "daily_loss_limit_e6": 100_000_000,
    "provisional_e6": 0,
    "provisional_cap_e6": 500_000_000,
    "closes_in_s": [3_600, None],
    "closing_margin_s": 60,
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
    {"is_pair": False, "pair_state": "rejected"},
    {"is_signal_open": False},
    {"is_signal_open": None},
    {"has_leases": False},
    {"has_leases": False, "is_signal_open": False},
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
    {"realised_today_e6": None},
    {"realised_today_e6": -99_999_999},
    {"realised_today_e6": -100_000_000},
    {"realised_today_e6": -250_000_000, "provisional_e6": None},
    {"realised_today_e6": 0, "daily_loss_limit_e6": 0},
    {"provisional_e6": None},
    {"provisional_e6": 499_999_999},
    {"provisional_e6": 500_000_000},
    {"closes_in_s": [59, 3_600]},
    {"closes_in_s": [60, 60]},
    {"closes_in_s": [3_600, -5]},
    {"closes_in_s": [None, None]},
    {"closes_in_s": []},
    {"closes_in_s": [59], "closing_margin_s": 30},
    {"closes_in_s": [10], "provisional_e6": 900_000_000},
    {"switch": "pause", "pair_state": "lapsed", "closes_in_s": [1]},
]


def rows() -> Iterator[Plain]:
    """Give the answer to each situation; `but` is what differs from the allowed one."""
    for change in OPENING:
        yield {"asked": "may anything open", "but": change, **stage.gate_opening({**ALLOWED, **change})}
    for switch, purpose in product((None, "run", "pause", "reduce", "kill"), ("open", "complete", "unwind", "flatten")):
        for leases, life, limits in product((True, False), repeat=3):
            facts = {
                "switch": switch,
                "purpose": purpose,
                "has_leases": leases,
                "is_within_life": life,
                "is_within_limits": limits,
            }
            yield {"asked": "may one order leave", **facts, **stage.gate_sending(facts)}
