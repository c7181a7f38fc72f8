"""The seeded flow: the same every time, resumable, and doing what its parameters say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from streams.market.identity import Venue
from streams.sandbox.catalogue.catalogue import Catalogue
from streams.sandbox.catalogue.load import load_catalogue
from streams.sandbox.catalogue.truth import true_pairs
from streams.sandbox.core.model import (
    CancelOrder,
    CloseMarket,
    DetermineMarket,
    ListMarket,
    MarketAction,
    ParticipantFill,
    PlaceOrder,
    SettleMarket,
)
from streams.sandbox.simulation.flow import Flow
from streams.sandbox.simulation.parameters import FlowParameters
from streams.sandbox.simulation.quoting import MAKER
from tests.calibration.calibrate import simulate
from tests.calibration.measure import quantile
from tests.calibration.offline import OfflineExchange

NOW = datetime(2026, 11, 21, 12, 0, 7, tzinfo=UTC)
START_MS = int(NOW.timestamp() * 1000)
SLOW = FlowParameters(deltas_per_s=300.0)


@pytest.fixture(scope="module")
def bundled() -> Catalogue:
    return load_catalogue(None, NOW)


def run(
    flow: Flow, exchange: OfflineExchange, seconds: float, *, start_ms: int = START_MS, step_ms: int = 250
) -> Iterator[list[MarketAction]]:
    fills: list[ParticipantFill] = []
    for number in range(int(seconds * 1000) // step_ms):
        acts = flow.step(start_ms + number * step_ms, fills)
        fills = exchange.apply(acts)
        yield acts


def test_the_same_seed_and_times_give_the_same_acts_and_another_seed_others(bundled: Catalogue) -> None:
    runs = [[a for acts in run(Flow(bundled, seed, SLOW), OfflineExchange(), 20) for a in acts] for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_all_markets_are_listed_first_and_quoted_within_seconds(bundled: Catalogue) -> None:
    flow, exchange = Flow(bundled, 3, SLOW), OfflineExchange()
    steps = list(run(flow, exchange, 8))
    listed = [act.market.ref for act in steps[0] if isinstance(act, ListMarket)]
    assert {market.ref for market in bundled.markets} <= set(listed)
    for book in exchange.books.values():
        bid, ask = book.best()
        assert bid is None or ask is None or bid < ask
    quoted = sum(None not in exchange.books[market.ref].best() for market in bundled.markets)
    assert quoted > 0.97 * len(bundled.markets)  # very small chances have no bid


def test_makers_never_trade_with_each_other_and_keep_to_the_price_grid(bundled: Catalogue) -> None:
    flow, exchange = Flow(bundled, 4, SLOW), OfflineExchange()
    for acts in run(flow, exchange, 60):
        for act in acts:
            if isinstance(act, PlaceOrder):
                assert 0 < act.price_e4 < 10_000
                assert act.size_e6 % 10_000 == 0
                ranges = exchange.books[act.market].listing.market.price_ranges
                if act.market.venue is Venue.KALSHI:
                    step = next(step for low, high, step in ranges if low <= act.price_e4 < high)
                    assert act.price_e4 % step == 0
    assert exchange.crossed == 0


def test_house_order_names_are_never_used_twice(bundled: Catalogue) -> None:
    flow = Flow(bundled, 5, SLOW)
    keys = [
        (act.account, act.order_key)
        for acts in run(flow, OfflineExchange(), 40)
        for act in acts
        if isinstance(act, PlaceOrder)
    ]
    assert len(keys) == len(set(keys))


def test_a_restored_flow_goes_on_exactly_as_the_first_would_have(bundled: Catalogue) -> None:
    flow, exchange = Flow(bundled, 6, SLOW), OfflineExchange()
    list(run(flow, exchange, 100))
    state = json.loads(json.dumps(flow.snapshot()))
    restored = Flow(bundled, 6, SLOW)
    restored.restore(state)
    later = START_MS + 100_000
    for number in range(400):
        assert flow.step(later + number * 250, []) == restored.step(later + number * 250, [])
    assert flow.snapshot() == restored.snapshot()


def test_after_a_long_pause_the_flow_goes_on_at_once(bundled: Catalogue) -> None:
    flow, exchange = Flow(bundled, 7, SLOW), OfflineExchange()
    list(run(flow, exchange, 10))
    acts = flow.step(START_MS + 3_600_000, [])
    assert len(acts) < 20_000
    assert any(isinstance(act, CloseMarket) for act in acts)
    assert any(isinstance(act, ListMarket) for act in acts)


def test_short_markets_open_every_minute_on_both_venues_and_pay_within_their_lags(bundled: Catalogue) -> None:
    base = {market.ref for market in bundled.markets}
    flow, exchange = Flow(bundled, 8, SLOW), OfflineExchange()
    listed: dict[object, int] = {}
    closed: dict[object, int] = {}
    paid: dict[object, int] = {}
    for number, acts in enumerate(run(flow, exchange, 420)):
        for act in acts:
            if isinstance(act, ListMarket) and act.market.ref not in base:
                listed[act.market.ref] = number // 4
            elif isinstance(act, CloseMarket):
                closed[act.market] = number // 4
            elif isinstance(act, SettleMarket):
                paid[act.market] = number // 4
    assert len({second // 60 for second in listed.values()}) >= 7
    assert len(paid) > 30
    lives = [closed[ref] - listed[ref] for ref in paid if listed[ref] > 60]
    assert all(59 <= life <= 181 for life in lives)
    for ref, second in paid.items():
        lag = second - closed[ref]
        low, high = (3, 10) if ref[0] is Venue.KALSHI else (15, 40)  # type: ignore[index]
        assert low - 1 <= lag <= high


def test_both_venues_settle_a_short_pair_alike_unless_it_is_void(bundled: Catalogue) -> None:
    flow, exchange = Flow(bundled, 9, FlowParameters(deltas_per_s=200.0, short_void_probability=0.3)), OfflineExchange()
    results: dict[str, dict[Venue, tuple[str, int]]] = {}
    for acts in run(flow, exchange, 600, step_ms=500):
        for act in acts:
            if isinstance(act, DetermineMarket):
                market = exchange.books[act.market].listing.market
                strike = market.subtitle.replace("$", "").replace(" or above", "")
                key = f"{market.close_time} {strike}"
                results.setdefault(key, {})[act.market.venue] = (act.result, act.settlement_e4)
    both = [found for found in results.values() if len(found) == 2]
    kinds = {found[Venue.KALSHI][0] for found in both}
    assert kinds == {"yes", "no", "scalar"}
    for found in both:
        assert found[Venue.KALSHI][0] == found[Venue.POLYMARKET][0]
        if found[Venue.POLYMARKET][0] == "scalar":
            assert found[Venue.POLYMARKET][1] == 5_000


def test_makers_of_the_same_contract_step_back_after_an_outside_fill(bundled: Catalogue) -> None:
    parameters = FlowParameters(
        deltas_per_s=50.0,
        fades=True,
        fade_probability=1.0,
        fade_residue=0.0,
        takers_per_s=0.001,
        move_fade_probability=0.0,
    )
    flow, exchange = Flow(bundled, 10, parameters), OfflineExchange()
    list(run(flow, exchange, 20))
    pair = next(pair for pair in true_pairs(bundled.truth) if pair.polarity == "aligned")
    kalshi = next(book for ref, book in exchange.books.items() if ref.market_id == pair.kalshi_id)
    order = min((order for order in kalshi.orders.values() if order.side == "ask"), key=lambda order: order.price_e4)
    fill = ParticipantFill(
        kalshi.listing.market.ref,
        MAKER,
        order.key,
        "ask",
        order.price_e4,
        order.size_e6,
        0,
        counterparty_is_house=False,
    )
    later = START_MS + 20_000
    acts = [*flow.step(later, [fill]), *flow.step(later + 400, [])]
    other = next(book for ref, book in exchange.books.items() if ref.market_id == pair.polymarket_id)
    best = max((order for order in other.orders.values() if order.side == "bid"), key=lambda order: order.price_e4)
    assert any(isinstance(act, CancelOrder) and act.order_key == best.key for act in acts)


def test_rate_and_gaps_lie_near_their_targets(bundled: Catalogue) -> None:
    measured = simulate(bundled, 11, FlowParameters(deltas_per_s=500.0), 500, look_every_s=3)
    assert (
        350 <= measured.level_changes_per_s <= 900
    )  # opening quotes and gaps come on top of the rate that was asked for
    assert 1.0 <= quantile(measured.minutes, 0.5) <= 4.0
    assert 0.8 <= quantile(measured.edges, 0.5) <= 2.4
    assert 0.25 <= quantile(measured.mid_differences, 0.5) <= 0.8
    assert 1.2 <= quantile(measured.mid_differences, 0.9) <= 3.5
    assert measured.flow_cpu_share < 0.1


def test_a_ladder_is_offered_out_of_order_now_and_then(bundled: Catalogue) -> None:
    parameters = FlowParameters(deltas_per_s=300.0, ladder_violations_per_min=20.0)
    flow, exchange = Flow(bundled, 12, parameters), OfflineExchange()
    seen = 0
    for number, _ in enumerate(run(flow, exchange, 120)):
        if number % 20 or number < 60:
            continue
        for ladder in flow.ladders:
            tops = [exchange.books[ref].best() for ref in ladder if exchange.books[ref].is_open]
            for (_, ask), (bid, _) in pairwise(tops):
                seen += ask is not None and bid is not None and bid > ask
    assert seen > 0
