"""What people decided and what happened before: each check's reading beside its limit, to the digit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.orchestration.execution.gate.stage import K_LEG, Found, found

UNKNOWN = "it is not known"
CLOSED = "the episode has ended, or nobody watches it any more"
GROUP = "the group has ended, may not be traded, or a market of it is not open"
LAPSED = "a text, a date, a market or the environment has changed since the approval"
CHANGED = "the text of a market has changed since the approval"


@pytest.mark.parametrize(
    ("check", "change", "expected"),
    [
        ("switch", {}, ("pass", "run", "run")),
        ("switch", {"switch": "reduce"}, ("refuse", "reduce", "run", "reducing", "")),
        ("switch", {"switch": None}, ("refuse", "", "", "error", "the switch could not be read")),
        ("mode", {}, ("pass", "on", "")),
        ("mode", {"is_trading_on": False}, ("refuse", "off", "", "trading_off", "")),
        ("tradable", {}, ("pass", "yes", "")),
        ("tradable", {"is_tradable": False}, ("refuse", "no", "", "not_tradable", GROUP)),
        ("tradable", {"is_tradable": None}, ("refuse", "", "", "not_tradable", GROUP)),
        ("approval", {}, ("pass", "approved", "approved")),
        ("approval", {"needs_approval": False}, ("pass", "approved", "approved")),
        ("approval", {"decision_state": "lapsed"}, ("refuse", "lapsed", "approved", "lapsed", LAPSED)),
        (
            "approval",
            {"decision_state": "proposed"},
            ("refuse", "proposed", "approved", "pair_not_approved", "proposed"),
        ),
        ("approval", {"decision_state": "proposed", "needs_approval": False}, ("not_applicable", "", "")),
        (
            "approval",
            {"decision_state": None},
            ("refuse", "no decision", "approved", "pair_not_approved", "no decision"),
        ),
        ("texts", {}, ("pass", "as decided on", "")),
        ("texts", {"is_pair": False, "has_text_changed": True}, ("not_applicable", "", "")),
        ("texts", {"has_text_changed": True}, ("refuse", "changed", "", "lapsed", CHANGED)),
        ("texts", {"has_text_changed": None}, ("refuse", "", "", "lapsed", CHANGED)),
        ("signal", {}, ("pass", "open", "")),
        ("signal", {"is_signal_open": None}, ("refuse", "closed", "", "signal_closed", CLOSED)),
        ("leases", {}, ("pass", "held", "")),
        (
            "leases",
            {"has_leases": False},
            ("refuse", "not held", "", "no_lease", "another run holds one of the markets"),
        ),
        ("life", {}, ("pass", "young", "")),
        ("life", {"is_within_life": False}, ("refuse", "over", "", "stale_book", "the decision outlived its books")),
        ("unknown_orders_here", {}, ("pass", "0", "0")),
        (
            "unknown_orders_here",
            {"unknown_orders": 2},
            ("refuse", "2", "0", "unknown_order_on_market", "2 unresolved"),
        ),
        (
            "unknown_orders_here",
            {"unknown_orders": None},
            ("refuse", "", "0", "unknown_order_on_market", "they could not be counted"),
        ),
        ("unknown_orders", {"all_unknown_orders": 3}, ("pass", "3", "3")),
        ("unknown_orders", {"all_unknown_orders": 4}, ("refuse", "4", "3", "unknown_orders", "4 of 3")),
        ("unknown_orders", {"limits_e6": None}, ("refuse", "0", "", "unknown_orders", UNKNOWN)),
        # two legs and one unwind; before sizes are known at least one order
        ("order_rate", {"orders_last_minute": 7}, ("pass", "10", "600")),
        ("order_rate", {"orders_last_minute": 7, "legs": None}, ("pass", "8", "600")),
        ("order_rate", {"orders_last_minute": 598}, ("refuse", "601", "600", "order_rate", "601 of 600")),
        ("order_rate", {"orders_last_minute": None}, ("refuse", "", "600", "order_rate", UNKNOWN)),
        ("order_rate", {"limits_e6": None}, ("refuse", "3", "", "order_rate", UNKNOWN)),
        ("hedge_rate", {"hedges_last_minute": 119}, ("pass", "120", "120")),
        ("hedge_rate", {"hedges_last_minute": 120}, ("refuse", "121", "120", "order_rate", "121 of 120")),
        ("hedge_rate", {"limits_e6": None}, ("refuse", "1", "", "order_rate", UNKNOWN)),
        ("cooldown", {}, ("pass", "", "5")),
        ("cooldown", {"last_execution_s_ago": 5}, ("pass", "5.0", "5")),
        (
            "cooldown",
            {"last_execution_s_ago": 4.9},
            ("refuse", "4.9", "5", "cooldown", "last execution 4.9 s ago"),
        ),
        # a hedge that may lose 1.00 of 100.00
        ("daily_result", {}, ("pass", "1.000000", "100.000000")),
        ("daily_result", {"day_result_e6": -99_000_000}, ("pass", "100.000000", "100.000000")),
        (
            "daily_result",
            {"day_result_e6": -99_000_001},
            (
                "refuse",
                "100.000001",
                "100.000000",
                "daily_loss",
                "today -99.000001, and this hedge may lose 1.000000",
            ),
        ),
        ("daily_result", {"legs": None}, ("pass", "0.000001", "100.000000")),
        ("daily_result", {"day_result_e6": None}, ("refuse", "", "100.000000", "daily_loss", UNKNOWN)),
        (
            "daily_result",
            {"limits_e6": None},
            ("refuse", "1.000000", "", "daily_loss", "today 0.000000, and this hedge may lose 1.000000"),
        ),
        # only Polymarket's fills are provisional: its leg counts with what is unconfirmed already
        ("provisional", {}, ("pass", "26.999000", "500.000000")),
        ("provisional", {"provisional_e6": 473_001_000}, ("pass", "500.000000", "500.000000")),
        (
            "provisional",
            {"provisional_e6": 473_001_001},
            ("refuse", "500.000001", "500.000000", "provisional_cap", "unconfirmed 500.000001"),
        ),
        ("provisional", {"legs": None}, ("pass", "0.000001", "500.000000")),
        ("provisional", {"legs": [K_LEG]}, ("not_applicable", "", "")),
        (
            "provisional",
            {"used_e6": None},
            ("refuse", "", "500.000000", "provisional_cap", "what is unconfirmed could not be read"),
        ),
        ("closing", {}, ("pass", "3600", "60")),
        ("closing", {"closes_in_s": [90, 60]}, ("pass", "60", "60")),
        (
            "closing",
            {"closes_in_s": [59, 3_600]},
            ("refuse", "59", "60", "closing_soon", "closes at 2026-01-05T12:00:59+00:00"),
        ),
        ("closing", {"closes_in_s": [None]}, ("not_applicable", "", "60")),
    ],
)
def test_each_check_says_what_it_read_beside_its_limit(check: str, change: dict[str, Any], expected: Found) -> None:
    assert found(check, change) == expected
