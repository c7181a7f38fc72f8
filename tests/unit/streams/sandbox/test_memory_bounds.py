"""What the exchanges remember of simulated participants is bounded, however long they run."""

from __future__ import annotations

from datetime import UTC, datetime

from streams.market.identity import Venue
from streams.sandbox.core.accounts import Intent
from streams.sandbox.core.candles import MINUTE_MS, MarketHistory
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket, ListMarket
from streams.sandbox.core.records import ListedMarket, Trade, TradeSide
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.exchange.state import KEPT_PUBLIC_TRADES

NOW_MS = 1_795_000_000_000


def list_market(exchange: Exchange, market_id: str) -> ListedMarket:
    market = CatalogueMarket(
        venue=Venue.KALSHI, market_id=market_id, event_id="E", series_id="S", title="Rain?", rules="Rain.",
        close_time=datetime(2027, 12, 1, tzinfo=UTC), open_time=datetime(2026, 1, 1, tzinfo=UTC),
        min_size_e6=10_000, fee_schedule={"fee_type": "quadratic", "fee_multiplier": "1"},
    )  # fmt: skip
    exchange.apply(ListMarket(CatalogueEvent(Venue.KALSHI, "E", "S", "Rain"), market), NOW_MS)
    return exchange.state.markets[market_id]


def trade(number: int, market_id: str) -> Trade:
    sides = [TradeSide(f"maker-{number}", f"order-{number}", Intent("yes", "buy")) for _ in range(2)]
    return Trade(str(number), market_id, 5_000, 1_000_000, "bid", NOW_MS + number, *sides)


def test_minutes_that_are_over_read_as_they_were() -> None:
    history = MarketHistory()
    for minute in range(200):
        at = minute * MINUTE_MS
        history.quote(at, 4_000 + minute, 6_000 - minute)
        history.quote(at + 1, 3_900 + minute, 6_100 - minute)
        history.trade(at + 2, 5_000 + minute, 7_000_000 * (minute + 1), 10**12 + minute)
    found = history.between(0, 200 * MINUTE_MS)
    assert [candle.minute for candle in found] == list(range(200))
    last = found[150]
    assert (last.bid_close, last.ask_close, last.bid_low, last.ask_high) == (4_050, 5_950, 4_049, 5_951)
    assert (last.close_e4, last.previous_e4, last.volume_e6) == (5_150, 5_149, 7_000_000 * 151)
    assert (last.value_e10, last.interest_e6) == (5_150 * 7_000_000 * 151, 10**12 + 150)
    assert [candle.minute for candle in history.between(10 * MINUTE_MS, 12 * MINUTE_MS)] == [10, 11]
    assert history.between(199 * MINUTE_MS, 200 * MINUTE_MS) == found[199:]
    assert history.between(200 * MINUTE_MS, 300 * MINUTE_MS) == []


def test_a_candle_that_was_given_out_does_not_change() -> None:
    history = MarketHistory()
    history.quote(0, 4_000, 6_000)
    given = history.between(0, MINUTE_MS)[0]
    history.quote(1, 4_500, 5_500)
    assert given.bid_close == 4_000


def test_public_lists_reach_back_to_a_number_of_trades() -> None:
    exchange = Exchange(Venue.KALSHI, FaultPlan())
    listed = [list_market(exchange, name) for name in ("A", "B")]
    for number in range(KEPT_PUBLIC_TRADES + 30):
        exchange.state.print_trade(listed[number % 2], trade(number, listed[number % 2].market_id))
    kept = [found.trade_id for found in exchange.state.public_trades]
    assert kept == [str(number) for number in range(30, KEPT_PUBLIC_TRADES + 30)]
    of_markets = sorted(int(found.trade_id) for market in listed for found in market.trades)
    assert len(of_markets) == 2 * min(KEPT_PUBLIC_TRADES // 2, 1_000)
    assert of_markets[0] >= 30
