"""What the venues said last: each check's reading beside its limit, to the digit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.golden.execution import stage_gate
from tests.unit.orchestration.execution.gate.stage import K_LEG, P_LEG, Found, account, beyond, found, market, plan

NEVER = "a venue was never asked"
UNKNOWN = "it is not known"


def shards(**said: bool) -> dict[str, Any]:
    return account("kalshi", trading_shards={name.removeprefix("_"): value for name, value in said.items()})


def windows(*several: list[float]) -> dict[str, Any]:
    return account("kalshi", maintenance=list(several))


@pytest.mark.parametrize(
    ("check", "change", "expected"),
    [
        ("venue_age", {}, ("pass", "20", "60")),
        ("venue_age", plan(venue_s_ago=60.001), beyond("60.001", "60", "venue_unavailable")),
        ("venue_age", plan(missing=["venues"]), ("refuse", "", "60", "venue_unavailable", NEVER)),
        (
            "venue_age",
            plan(accounts={"kalshi": account("kalshi")["plan"]["accounts"]["kalshi"]}),
            ("refuse", "", "60", "venue_unavailable", NEVER),
        ),
        ("venue_age", {"legs": None}, ("refuse", "", "60", "venue_unavailable", NEVER)),
        ("fee_age", {}, ("pass", "20", "60")),
        ("fee_age", plan(market_s_ago=61), beyond("61", "60", "fees")),
        ("fee_age", plan(market_states={}), ("refuse", "", "60", "fees", NEVER)),
        ("fee_age", plan(missing=["venues"]), ("refuse", "", "60", "fees", NEVER)),
        ("exchange", {}, ("pass", "open", "")),
        ("exchange", shards(_=False, _2=True), ("pass", "open", "")),
        (
            "exchange",
            shards(_=True, _2=False),
            ("refuse", "closed", "", "venue_unavailable", "kalshi takes no orders now"),
        ),
        ("exchange", shards(_=False), ("refuse", "closed", "", "venue_unavailable", "kalshi takes no orders now")),
        ("exchange", {"legs": [["kalshi", None, "K", 1, 1]], **shards(_=True, _2=False)}, ("pass", "open", "")),
        ("exchange", account("kalshi", trading_shards={}), ("refuse", "", "", "venue_unavailable", UNKNOWN)),
        ("exchange", account("kalshi", trading_shards=None), ("refuse", "", "", "venue_unavailable", UNKNOWN)),
        ("exchange", plan(missing=["venues"]), ("refuse", "", "", "venue_unavailable", UNKNOWN)),
        ("exchange", {"legs": [P_LEG]}, ("not_applicable", "", "")),
        ("maintenance", {}, ("pass", "", "45")),
        ("maintenance", windows([45, 100]), ("pass", "45", "45")),
        ("maintenance", windows([200, 300], [100, 150]), ("pass", "100", "45")),
        ("maintenance", windows([44.9, 100]), beyond("44.9", "45", "closing_soon")),
        ("maintenance", windows([-100, 1]), beyond("0", "45", "closing_soon")),
        ("maintenance", windows([-100, 0]), ("pass", "", "45")),
        ("maintenance", account("kalshi", maintenance=None), ("refuse", "", "45", "closing_soon", UNKNOWN)),
        ("maintenance", plan(missing=["venues"]), ("refuse", "", "45", "closing_soon", UNKNOWN)),
        ("maintenance", {"legs": [P_LEG]}, ("not_applicable", "", "")),
        ("allowance", {}, ("pass", "28.879050", "1000000.000000")),
        ("allowance", {"legs": [P_LEG, P_LEG, K_LEG]}, ("pass", "55.878050", "1000000.000000")),
        ("allowance", account("polymarket", allowance_e6=28_879_050), ("pass", "28.879050", "28.879050")),
        (
            "allowance",
            account("polymarket", allowance_e6=28_879_049),
            beyond("28.879050", "28.879049", "balance"),
        ),
        (
            "allowance",
            account("polymarket", allowance_e6=None),
            ("refuse", "", "", "balance", "what polymarket may take was not read"),
        ),
        ("allowance", plan(missing=["venues"]), ("refuse", "", "", "balance", "what polymarket may take was not read")),
        ("allowance", plan(simulated=["polymarket"]), ("not_applicable", "", "")),
        ("allowance", {"legs": None}, ("refuse", "", "", "balance", UNKNOWN)),
        ("access", {}, ("pass", "open", "")),
        (
            "access",
            account("polymarket", is_blocked=True),
            ("refuse", "blocked", "", "not_tradable", "polymarket: blocked"),
        ),
        (
            "access",
            account("polymarket", is_closing_only=True),
            ("refuse", "closing only", "", "not_tradable", "polymarket: closing only"),
        ),
        ("access", account("polymarket", is_blocked=None), ("refuse", "", "", "not_tradable", UNKNOWN)),
        ("access", account("polymarket", is_closing_only=None), ("refuse", "", "", "not_tradable", UNKNOWN)),
        ("access", plan(missing=["venues"]), ("refuse", "", "", "not_tradable", UNKNOWN)),
        ("access", plan(simulated=["polymarket"]), ("not_applicable", "", "")),
        ("clock", {}, ("pass", "0", "2000")),
        ("clock", account("kalshi", clock_ahead_ms=-2_000), ("pass", "2000", "2000")),
        ("clock", account("kalshi", clock_ahead_ms=2_001), beyond("2001", "2000", "venue_unavailable")),
        (
            "clock",
            account("kalshi", clock_ahead_ms=None),
            ("refuse", "", "2000", "venue_unavailable", "the clock of kalshi was not read"),
        ),
        (
            "clock",
            plan(missing=["venues"]),
            ("refuse", "", "2000", "venue_unavailable", "the clock of kalshi was not read"),
        ),
        ("clock", {"legs": [P_LEG]}, ("not_applicable", "", "")),
        ("market_state", {}, ("pass", "open", "")),
        (
            "market_state",
            market("polymarket:P", status="paused"),
            ("refuse", "paused", "", "not_tradable", "polymarket:P: paused"),
        ),
        ("market_state", plan(missing=["venues"]), ("refuse", "", "", "not_tradable", "kalshi:K: None")),
        # 100 contracts at one half cost 1.75 at Kalshi, and nothing at a market of Polymarket without fees
        ("fee_bound", {}, ("pass", "1.750000", "1.750000")),
        ("fee_bound", market("kalshi:K", fee_schedule={"fee_multiplier": "2"}), beyond("3.500000", "1.750000", "fees")),
        ("fee_bound", market("kalshi:K", fee_schedule={"fee_multiplier": "0.5"}), ("pass", "0.000000", "0.000000")),
        ("fee_bound", plan(missing=["venues"]), ("refuse", "", "", "fees", NEVER)),
        ("fee_bound", plan(missing=["markets"]), ("refuse", "", "", "fees", NEVER)),
        ("tick", {}, ("pass", "on", "")),
        ("tick", market("polymarket:P", tick_e4=100), ("pass", "on", "")),
        (
            "tick",
            market("polymarket:P", tick_e4=1_000),
            ("refuse", "off", "", "off_grid", "polymarket:P: another tick"),
        ),
        ("tick", plan(missing=["plan"]), ("refuse", "", "", "off_grid", UNKNOWN)),
        ("tick", plan(missing=["venues"]), ("refuse", "", "", "off_grid", UNKNOWN)),
        ("early_close", {}, ("not_applicable", "", "")),
        ("early_close", market("polymarket:P", closes_at=60), ("pass", "60", "60")),
        ("early_close", market("polymarket:P", closes_at=59.9), beyond("59.9", "60", "closing_soon")),
        (
            "early_close",
            plan(
                market_states={
                    "kalshi:K": stage_gate.market(closes_at=90),
                    "polymarket:P": stage_gate.market(closes_at=70),
                }
            ),
            ("pass", "70", "60"),
        ),
        ("game_start", {}, ("not_applicable", "", "")),
        ("game_start", market("polymarket:P", game_starts_at=60), ("pass", "60", "60")),
        ("game_start", market("polymarket:P", game_starts_at=-59.5), beyond("59.5", "60", "closing_soon")),
        ("game_start", plan(missing=["venues"]), ("not_applicable", "", "")),
        ("taker_delay", {}, ("pass", "0", "5000")),
        ("taker_delay", market("polymarket:P", delay_ms=5_001), beyond("5001", "5000", "not_tradable")),
        (
            "taker_delay",
            plan(market_states={"kalshi:K": {"status": "open", "fee_schedule": {}}}),
            ("refuse", "", "5000", "not_tradable", UNKNOWN),
        ),
        ("taker_delay", plan(missing=["venues"]), ("refuse", "", "5000", "not_tradable", UNKNOWN)),
    ],
)  # fmt: skip
def test_each_check_says_what_it_read_beside_its_limit(check: str, change: dict[str, Any], expected: Found) -> None:
    assert found(check, change) == expected
