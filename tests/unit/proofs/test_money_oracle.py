from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from orchestration.execution.decide.plan import TradeRequest, trade_request
from orchestration.execution.edge_monitor.watchlist import Rules
from orchestration.execution.trading_context import TradingContext
from orchestration.opportunities.bundles import Bundle
from streams.market.book import Book
from streams.market.events import BookSnapshot, Levels, Quote
from streams.market.fees import KalshiFeeSchedule
from streams.market.identity import MarketRef, Venue
from streams.market.listing import MarketTerms
from streams.market.taker_fees import taker_fees
from streams.market.trading import MarketGroup, MarketInfo, RefusalReason, Signal, SignalLeg
from tests.golden.execution.stage import limits_of, settings_of
from tests.proofs.money.dislocations import Dislocation, DislocationFinder, Search, Watched
from tests.proofs.money.oracle import Means, capture, take_all
from tests.proofs.money.second_legs import LegPrices, by_offset, looks
from tests.unit.proofs.test_money_bridge import plan_of

MS = 1_000_000
START = 1_800_000_000_000_000_000
CONTRACT = 1_000_000
KEY = ("g1", "kalshi:K:yes+polymarket:P:no")
FREE = taker_fees(KalshiFeeSchedule(multiplier_e6=0))
WATCHED = Watched(
    KEY,
    Bundle((("kalshi:K", "yes"), ("polymarket:P", "no")), 10_000),
    (Rules(FREE, 10_000, 10_000, 0), Rules(FREE, 10_000, 10_000, 0)),
    START,
    START + 3_600_000 * MS,
)
SEARCH = Search(Decimal("0.005"), Decimal("0.001"), 50_000, 50 * CONTRACT, Decimal("0.05"), 1_000 * MS, 2_000 * MS)


class Books:
    """Two books that a finder is shown, by hand."""

    def __init__(self, search: Search = SEARCH) -> None:
        self.finder = DislocationFinder([WATCHED], search)
        self.books = {"K": Book(), "P": Book()}

    def show(self, ms: int, market: str, bids: Levels, asks: Levels, *, is_live: bool = True) -> None:
        venue = Venue.KALSHI if market == "K" else Venue.POLYMARKET
        self.books[market].replace(BookSnapshot(venue, market, bids, asks))
        quote = Quote(venue, market, START + ms * MS, None, None, None, None, is_live)
        self.finder.on_quote(quote, self.books[market])

    def both(self, ms: int, ask_e4: int, size: int = 100) -> None:
        """YES of K at `ask_e4`; NO of P is a bid of 0.50, so it costs 0.50."""
        self.show(ms, "P", [(5_000, 100 * CONTRACT)], [(5_200, 100 * CONTRACT)])
        self.show(ms, "K", [(4_000, 100 * CONTRACT)], [(ask_e4, size * CONTRACT)])

    def wait(self, first_ms: int, last_ms: int) -> None:
        for ms in range(first_ms, last_ms + 1, 100):
            self.finder.on_tick(START + ms * MS)

    def found(self) -> list[Dislocation]:
        self.finder.close()
        return self.finder.found


def test_the_best_instant_after_our_latency_is_kept_with_its_books() -> None:
    books = Books()
    books.both(0, 4_800)  # two cents
    books.both(500, 4_600)  # four, but too early for us
    books.both(900, 4_800)
    books.wait(1_000, 1_400)
    books.both(1_500, 4_700)  # three
    books.both(1_900, 4_850)
    books.both(2_500, 5_000)
    books.wait(2_600, 4_600)
    (one,) = books.found()
    assert (one.opened_ns, one.closed_ns) == (START, START + 2_500 * MS)
    assert one.best_ns == START + 1_500 * MS
    assert one.profit_e6 == 50 * 30_000
    assert one.books["kalshi:K"].asks == [(4_700, 100 * CONTRACT)]


def test_a_dislocation_that_is_over_before_our_latency_has_no_instant() -> None:
    books = Books()
    books.both(0, 4_800)
    books.both(700, 5_000)
    books.wait(800, 3_000)
    (one,) = books.found()
    assert one.best_ns is None


def test_a_gap_that_flickers_is_one_dislocation_and_one_that_is_gone_for_two_seconds_are_two() -> None:
    books = Books()
    for ms in range(0, 10_000, 1_000):
        books.both(ms, 4_800)
        books.both(ms + 600, 5_000)
    books.wait(9_700, 12_000)
    books.both(13_000, 4_800)
    books.wait(13_100, 15_000)
    assert len(books.found()) == 2


def test_an_edge_that_waits_for_a_person_and_a_book_that_is_not_live_do_not_count() -> None:
    books = Books()
    books.both(0, 4_800)
    books.both(900, 4_400)  # six cents
    books.wait(1_000, 1_200)
    books.show(1_300, "K", [(4_000, CONTRACT)], [(4_700, 100 * CONTRACT)], is_live=False)
    books.wait(1_400, 1_900)
    (one,) = books.found()
    assert one.best_ns is None


def test_time_alone_makes_an_instant_count() -> None:
    books = Books()
    books.both(0, 4_800)
    books.wait(100, 1_300)
    (one,) = books.found()
    assert one.best_ns == START + 1_000 * MS


def test_outside_of_its_time_a_bundle_is_not_looked_at() -> None:
    books = Books()
    books.finder = DislocationFinder([replace(WATCHED, from_ns=START + 5_000 * MS)], SEARCH)
    books.both(0, 4_800)
    books.wait(100, 4_900)
    books.both(6_000, 4_800)
    books.wait(6_100, 8_000)
    (one,) = books.found()
    assert one.opened_ns == START + 6_000 * MS


# -- what the oracle takes ---------------------------------------------------------------------------------------------

AT = datetime.fromtimestamp(START / 1e9, UTC)
MARKETS = {
    f"{venue}:{name}": MarketInfo(
        venue, name, MarketTerms(fee_schedule=fees), "open", AT + timedelta(minutes=5), None, None, event
    )
    for venue, name, event, fees in (
        (Venue.KALSHI, "K", "E", {"fee_type": "quadratic", "fee_multiplier": "0"}),
        (Venue.POLYMARKET, "P", "F", {"rate": "0"}),
    )
}
MEANS = Means(
    {Venue.KALSHI: {None: 10**9}, Venue.POLYMARKET: {None: 10**9}},
    limits_of({"order_contracts_e6": 50 * CONTRACT}),
    TradingContext(settings_of({}), "live", {}).policy,
)


def request() -> TradeRequest:
    legs = (SignalLeg(Venue.KALSHI, "K", "yes", 0, 0), SignalLeg(Venue.POLYMARKET, "P", "no", 0, 0))
    members = tuple(MarketRef(market.venue, market.market_id) for market in MARKETS.values())
    group = MarketGroup("g1", "pair", members, [list(MARKETS), []], True, None, "approved")
    found = trade_request(Signal(1, "g1", None, AT, 0, legs), group, MARKETS)
    assert isinstance(found, TradeRequest)
    return found


REQUESTS = {KEY: request()}


def dislocation(at_ms: int, ask_e4: int = 4_600, size: int = 100, lasts_ms: int = 1_000) -> Dislocation:
    books = {
        "kalshi:K": BookSnapshot(Venue.KALSHI, "K", [], [(ask_e4, size * CONTRACT)]),
        "polymarket:P": BookSnapshot(Venue.POLYMARKET, "P", [(5_000, 100 * CONTRACT)], []),
    }
    at = START + at_ms * MS
    return Dislocation(KEY, at - 1_000 * MS, at + lasts_ms * MS, at, 1, books)


def test_the_oracle_takes_the_clip_once_in_each_dislocation() -> None:
    takings, missed = take_all([dislocation(9_000), dislocation(1_000)], REQUESTS, MEANS)
    assert [taking.dislocation.best_ns for taking in takings] == [START + 1_000 * MS, START + 9_000 * MS]
    assert [(taking.profit_e6, taking.spent_e6) for taking in takings] == [(2_000_000, 48_000_000)] * 2
    assert not missed


def test_what_it_took_is_not_offered_again_while_the_dislocation_lasts() -> None:
    first, second, third = (
        dislocation(1_000, size=30, lasts_ms=60_000),
        dislocation(9_000, size=40),
        dislocation(90_000),
    )
    takings, _ = take_all([first, second, third], REQUESTS, MEANS)
    assert [taking.decision.plan.size_e6 // CONTRACT for taking in takings] == [30, 10, 50]


def test_cash_bounds_it_and_is_back_with_the_profit_when_the_markets_pay() -> None:
    poor = replace(MEANS, cash_e6={Venue.KALSHI: {None: 40 * CONTRACT}, Venue.POLYMARKET: {None: 40 * CONTRACT}})
    early, late, after = dislocation(1_000), dislocation(9_000), dislocation(301_000)
    takings, _ = take_all([early, late, after], REQUESTS, poor)
    sizes = [taking.decision.plan.size_e6 // CONTRACT for taking in takings]
    assert sizes[0] == 50
    assert 0 < sizes[1] < 35
    assert sizes[2] == 50


def test_a_limit_refuses_it_as_it_refuses_us() -> None:
    tight = replace(MEANS, limits=limits_of({"order_contracts_e6": 50 * CONTRACT, "total_e6": 52 * CONTRACT}))
    takings, missed = take_all([dislocation(1_000), dislocation(9_000)], REQUESTS, tight)
    assert takings[0].spent_e6 <= 52 * CONTRACT
    assert sum(taking.spent_e6 for taking in takings) <= 52 * CONTRACT
    assert len(takings) + len(missed) == 2


def test_what_earns_less_than_the_floor_is_not_taken() -> None:
    _, (one,) = take_all([dislocation(1_000, ask_e4=4_995)], REQUESTS, MEANS)
    assert one.refusal.reason in (RefusalReason.BELOW_MINIMUM, RefusalReason.EDGE_GONE)


def test_the_share_is_ours_over_the_oracles_and_what_nobody_bought_is_named() -> None:
    takings, _ = take_all([dislocation(1_000), dislocation(9_000)], REQUESTS, MEANS)
    found = capture(takings, [(KEY, START + 1_200 * MS, 1_500_000), (("other", "l"), START, 100_000)])
    assert (found.ours_e6, found.oracle_e6) == (1_600_000, 4_000_000)
    assert (found.met, found.met_e6, found.met_ours_e6) == (1, 2_000_000, 1_500_000)
    assert [taking.dislocation.best_ns for taking in found.missed] == [START + 9_000 * MS]
    assert found.share == Decimal("0.4")
    assert capture([], []).share is None


# -- what later legs would have cost -----------------------------------------------------------------------------------


def test_a_later_leg_is_priced_at_each_moment_after_the_first_order() -> None:
    asked = looks(7, plan_of(), START, 20 * CONTRACT)
    prices, book = LegPrices(asked), Book()
    book.replace(BookSnapshot(Venue.KALSHI, "m1", [], [(5_100, 50 * CONTRACT)]))
    prices.on_quote(Quote(Venue.KALSHI, "m1", START - MS, None, None, None, None, True), book)
    for ms in range(0, 300, 10):
        prices.on_tick(START + ms * MS)
    book.replace(BookSnapshot(Venue.KALSHI, "m1", [], [(5_100, 5 * CONTRACT), (5_300, 50 * CONTRACT)]))
    prices.on_tick(START + 3_000 * MS)
    prices.close()
    found = {row.offset_ms: row for row in by_offset(prices.answers)}
    assert [found[0].beyond_e6, found[200].beyond_e6, found[350].beyond_e6] == [0, 0, 15 * 20_000]
    assert (found[200].dearer, found[350].dearer, found[350].legs) == (0, 1, 1)


def test_a_leg_that_a_book_did_not_hold_once_is_counted_apart() -> None:
    prices = LegPrices(looks(7, plan_of(), START, 20 * CONTRACT))
    prices.on_tick(START)
    prices.close()
    assert {(row.legs, row.unbuyable) for row in by_offset(prices.answers)} == {(0, 1)}
