"""The admin port: faults, modes, clocks, markets, orders and the truth, without a wire."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket, ListMarket
from streams.sandbox.core.profile import Profile
from streams.sandbox.core.scenario import CALM, HARSH, Scenario
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.server import Request, Response
from streams.sandbox.process.admin import AdminApp, Controls
from tests.support.faulty_app import CountingApp

NOW_MS = 1_790_000_000_000
MARKET = "KXRAIN-26DEC01-NYC"


@dataclass
class Port:
    """An admin port over one listed market on each venue."""

    face: AdminApp
    app: CountingApp
    controls: Controls
    commits: list[int]
    evicted: list[int]
    scenarios: list[Scenario]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        response = self.refused(method, path, body)
        assert response.status == 200, response.body
        return json.loads(response.body) if isinstance(response.body, bytes) else response.body

    def refused(self, method: str, path: str, body: Any = None) -> Response:
        path, _, query = path.partition("?")
        pairs = [tuple(part.split("=")) for part in query.split("&") if part]
        return self.face.handle(Request(method, path, pairs, {}, json.dumps(body or {}).encode()))  # type: ignore[arg-type]


@pytest.fixture
def port() -> Port:
    plan = FaultPlan(seed=3)
    exchanges = {venue: Exchange(venue, plan, 1) for venue in Venue}
    for venue, exchange in exchanges.items():
        market = CatalogueMarket(
            venue=venue, market_id=MARKET, event_id="E", series_id="S", title="Rain?", rules="Rain.",
            close_time=datetime(2027, 12, 1, tzinfo=UTC), open_time=datetime(2026, 1, 1, tzinfo=UTC),
            min_size_e6=10_000, fee_schedule={"fee_type": "quadratic", "fee_multiplier": "1"},
        )  # fmt: skip
        if venue is Venue.KALSHI:
            exchange.apply(ListMarket(CatalogueEvent(venue, "E", "S", "Rain"), market), NOW_MS)
    commits: list[int] = []
    evicted: list[int] = []
    scenarios: list[Scenario] = []

    def set_profile(profile: Profile) -> None:
        for exchange in exchanges.values():
            exchange.state.profile = profile

    app = CountingApp(plan)
    controls = Controls(
        exchanges,
        {Venue.KALSHI: app},
        plan,
        lambda venue: NOW_MS + plan.clock_ms.get(venue, 0),
        lambda: commits.append(1),
        lambda: evicted.append(1),
        set_profile,
        lambda: b"a database",
        scenarios.append,
        CALM,
    )
    return Port(AdminApp(controls), app, controls, commits, evicted, scenarios)


def test_a_copy_of_the_sandbox_is_its_bytes(port: Port) -> None:
    assert port.face.handle(Request("GET", "/copy", [], {}, b"")).body == b"a database"


def test_rules_are_added_counted_and_removed_one_by_one_or_all(port: Port) -> None:
    rule = {"kind": "server_error", "venue": "kalshi", "when": "after", "probability": "0.5", "seed": 4}
    (added,) = port.ask("POST", "/faults", rule)["rules"]
    assert added == {"id": "1", **rule, "chances": 0, "fired": 0}
    port.ask("POST", "/faults", {"rules": [{"kind": "fade"}, {"kind": "reject"}]})
    statuses = [port.app.handle(Request("GET", "/x", [], {})).status for _ in range(40)]
    shown = port.ask("GET", "/faults")["rules"]
    assert shown[0]["chances"] == 40
    assert shown[0]["fired"] == statuses.count(503)
    assert 8 < statuses.count(503) < 32
    assert port.ask("DELETE", "/faults?id=2") == {"removed": 1}
    assert port.refused("DELETE", "/faults?id=2").status == 404
    assert port.ask("DELETE", "/faults") == {"removed": 2}


def test_what_cannot_be_meant_is_refused_with_a_sentence(port: Port) -> None:
    for path, body in (
        ("/faults", {"kind": "magic"}),
        ("/faults", {"kind": "fade", "colour": "red"}),
        ("/mode", {"venue": "kalshi", "mode": "asleep"}),
        ("/clock", {"venue": "kalshi", "skew_ms": "much"}),
        ("/flow", {"running": "no"}),
        ("/orders", {"venue": "kalshi", "market_id": MARKET, "side": "up", "price_e4": 1, "size_e6": 1}),
        (f"/markets/kalshi/{MARKET}/determine", {}),
    ):
        response = port.refused("POST", path, body)
        assert response.status == 400, path
        assert response.body["error"]
    for path in (
        "/nothing",
        "/markets/kalshi/X/close",
        f"/markets/nyse/{MARKET}/close",
        f"/markets/kalshi/{MARKET}/eat",
    ):
        assert port.refused("POST", path).status == 404, path


def test_modes_end_by_themselves_and_clocks_can_be_off(port: Port) -> None:
    exchange = port.controls.exchanges[Venue.KALSHI]
    port.ask("POST", "/mode", {"venue": "kalshi", "mode": "trading_paused", "for_ms": 500})
    assert exchange.state.mode == "trading_paused"
    exchange.tick(NOW_MS + 500)
    assert exchange.state.mode == "open"
    assert port.ask("POST", "/clock", {"venue": "kalshi", "skew_ms": -7_000})["now_ms"] == NOW_MS - 7_000


def test_behaviour_is_shown_and_changed_field_by_field(port: Port) -> None:
    changed = port.ask(
        "PATCH", "/behaviour", {"kalshi_ack_ms": [20, 80], "failed_share": "0.01", "kalshi_tier": "basic"}
    )
    assert changed["kalshi_ack_ms"] == (20, 80)
    assert port.ask("GET", "/behaviour")["failed_share"] == "0.01"
    assert port.controls.exchanges[Venue.POLYMARKET].state.profile.kalshi_tier == "basic"
    for body in ({"speed": 1}, {"read_lag_ms": -1}, {"kalshi_ack_ms": [80, 20]}, {"fades": 1}, {"sellable": "never"}):
        assert port.refused("PATCH", "/behaviour", body).status == 400, body


def test_the_scenario_is_shown_and_changed_by_its_name(port: Port) -> None:
    assert port.ask("GET", "/scenario")["name"] == "calm"
    changed = port.ask("PUT", "/scenario", {"name": "harsh"})
    assert (changed["fade_probability"], changed["rival_share"], changed["fade_e4"]) == ("0.55", "0.5", (100, 300))
    assert port.ask("GET", "/scenario") == changed
    assert port.scenarios == [HARSH]
    for body in ({"name": "wild"}, {"name": "mild", "fade_e4": 1}, {}, {"name": 1}):
        assert port.refused("PUT", "/scenario", body).status == 400, body
    assert port.scenarios == [HARSH]


def test_house_orders_make_a_book_and_a_market_lives_to_its_end(port: Port) -> None:
    order = {"venue": "kalshi", "market_id": MARKET, "side": "bid", "price_e4": 4_000, "size_e6": 5_000_000}
    key = port.ask("POST", "/orders", order)["order_key"]
    port.ask("POST", "/orders", {**order, "side": "ask", "price_e4": 6_000})
    assert port.ask("GET", f"/markets/kalshi/{MARKET}")["bids"] == [(4_000, 5_000_000)]
    port.ask("DELETE", f"/orders/kalshi/{key}")
    assert port.ask("GET", f"/markets/kalshi/{MARKET}")["bids"] == []
    for action, body, status in (
        ("pause", {}, "paused"),
        ("reactivate", {}, "open"),
        ("close", {}, "closed"),
        ("determine", {"settlement_e4": 10_000}, "determined"),
        ("settle", {}, "settled"),
    ):
        state = port.ask("POST", f"/markets/kalshi/{MARKET}/{action}", body)
        assert (action, state["status"]) == (action, status)
    assert state["result"] == "yes"
    assert port.commits


def test_stopping_the_flow_can_clear_the_books_so_that_a_test_owns_them(port: Port) -> None:
    order = {"venue": "kalshi", "market_id": MARKET, "side": "bid", "price_e4": 4_000, "size_e6": 5_000_000}
    port.ask("POST", "/orders", order)
    port.ask("POST", "/flow", {"running": False, "clear": True})
    assert port.controls.is_flow_running is False
    assert port.evicted
    assert port.ask("GET", f"/markets/kalshi/{MARKET}")["bids"] == []
    assert port.ask("GET", "/truth/kalshi") == {"orders": [], "trades": [], "accounts": []}
