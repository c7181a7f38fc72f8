"""The walk against the same question answered plainly: every slice and every fee to the last digit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.opportunities.edges import Edge, Offer, Taken, may_earn, walk
from streams.market.fees import FeeSchedule, KalshiFeeSchedule, PolymarketFeeSchedule, taker_fee_e6
from streams.market.taker_fees import taker_fees
from streams.market.units import cash_e6_of

SCHEDULES: list[FeeSchedule] = [
    KalshiFeeSchedule(),
    KalshiFeeSchedule(multiplier_e6=500_000, account="fcm"),
    KalshiFeeSchedule("flat"),
    PolymarketFeeSchedule(),
    PolymarketFeeSchedule(rate_e6=40_000),
    PolymarketFeeSchedule(rate_e6=72_000, rounding="floor"),
    PolymarketFeeSchedule(rate_e6=250_000, exponent=2, rounding="ceil"),
]

levels = st.lists(
    st.tuples(
        st.integers(1, 9_999),
        st.one_of(st.integers(1, 3_000), st.integers(1, 50_000_000), st.integers(1, 900).map(lambda n: n * 10_000)),
    ),
    max_size=8,
    unique_by=lambda level: level[0],
).map(sorted)
legs = st.tuples(
    levels, st.sampled_from(SCHEDULES), st.sampled_from([1, 10_000, 1_000_000]), st.sampled_from([0, 10_000, 5_000_000])
)
books = st.one_of(st.lists(legs, min_size=2, max_size=2), st.lists(legs, min_size=1, max_size=4))
Leg = tuple[list[tuple[int, int]], FeeSchedule, int, int]


def plain_take(leg: Leg, size: int) -> Taken | None:
    left, cost, fee, limit = size, 0, 0, 0
    prices: list[int] = []
    for price, offered in leg[0]:
        if left <= 0:
            break
        part = min(left, offered)
        cost += cash_e6_of(price, part, paying=True)
        fee += taker_fee_e6(price, part, leg[1])
        prices.append(price)
        limit, left = price, left - part
    if left > 0:
        return None
    return Taken(size, cost, fee, max(fee, plain_bound(prices, size, leg[1])) if prices else fee, limit)


def plain_bound(prices: list[int], size: int, schedule: FeeSchedule) -> int:
    pieces = math.ceil(Fraction(size, 10**6)) + len(prices)
    nearest = min(prices, key=lambda price: abs(price - 5_000))
    if isinstance(schedule, PolymarketFeeSchedule):
        return taker_fee_e6(nearest, size, schedule) + 10 * pieces if schedule.rate_e6 else 0
    rate = Fraction(schedule.rate_e4(is_taker=True) * schedule.multiplier_e6, 10**10)
    model = [rate * Fraction(price * (10_000 - price), 10**8) * 10**6 for price in prices]
    kept = len(prices) + 1 if math.ceil(min(model)) >= schedule.step_e6 else pieces
    return math.ceil(max(model) * size / 10**6) + pieces + schedule.step_e6 * kept


def earns_unrounded(prices: Sequence[int], found: Sequence[Leg], payoff: int, threshold: int) -> bool:
    spent = 0
    for price, (_, schedule, _, _) in zip(prices, found, strict=True):
        curve = Fraction(price * (10_000 - price), 10**8)
        if isinstance(schedule, KalshiFeeSchedule):
            fee = Fraction(schedule.rate_e4(is_taker=True) * schedule.multiplier_e6, 10**10) * curve
        else:
            fee = Fraction(schedule.rate_e6, 10**6) * curve**schedule.exponent
        spent += price * 10**8 + math.ceil(fee * 10**12)
    return (payoff - threshold) * 10**8 > spent


def plain_walk(found: Sequence[Leg], payoff: int, threshold: int, most: int | None) -> Edge | None:
    books = [list(leg[0]) for leg in found]
    total, over_dust, best = 0, 0, None
    while all(books) and (most is None or total + over_dust < most):
        part = min(book[0][1] for book in books)
        part = part if most is None else min(part, most - total - over_dust)
        gain = payoff * part
        for book, leg in zip(books, found, strict=True):
            gain -= book[0][0] * part + taker_fee_e6(book[0][0], part, leg[1]) * 10_000
        if gain > threshold * part:
            best = gain * 1_000_000 // part if best is None else best
            total, over_dust = total + over_dust + part, 0
        elif earns_unrounded([book[0][0] for book in books], found, payoff, threshold):
            over_dust += part
        else:
            break
        for book in books:
            price, size = book.pop(0)
            if size > part:
                book.insert(0, (price, size - part))
    size = total - total % math.lcm(*(leg[2] for leg in found))
    if best is None or size <= 0 or size < max(leg[3] for leg in found):
        return None
    taken = [plain_take(leg, size) for leg in found]
    edge = Edge(size, payoff * size // 10_000, tuple(each for each in taken if each is not None), best)
    return edge if edge.profit_e6 > 0 else None


@settings(max_examples=600)
@given(
    found=books,
    slack=st.integers(-300, 3_000),
    threshold=st.integers(-50, 300),
    most=st.one_of(st.none(), st.integers(-1, 60_000_000)),
)
def test_a_walk_finds_what_plain_arithmetic_finds(
    found: list[Leg], slack: int, threshold: int, most: int | None
) -> None:
    # a payoff near the sum of the best prices: there rounding decides
    payoff = max(1, sum(leg[0][0][0] for leg in found if leg[0]) + slack)
    offers = [Offer("x", leg[0], taker_fees(leg[1]), leg[2], leg[3]) for leg in found]
    walked = walk(offers, payoff, threshold_e4=threshold, max_size_e6=most)
    assert walked == plain_walk(found, payoff, threshold, most)


@settings(max_examples=300)
@given(found=books, slack=st.integers(-50, 400), threshold=st.integers(0, 100))
def test_the_test_on_best_prices_never_hides_an_edge(found: list[Leg], slack: int, threshold: int) -> None:
    payoff = max(1, sum(leg[0][0][0] for leg in found if leg[0]) + slack)
    offers = [Offer("x", leg[0], taker_fees(leg[1]), leg[2], leg[3]) for leg in found]
    tops = [(*(leg[0][0] if leg[0] else (10_000, 0)), taker_fees(leg[1])) for leg in found]
    if not may_earn(tops, payoff, threshold):
        assert walk(offers, payoff, threshold_e4=threshold) is None


def test_a_hundredth_of_a_contract_at_the_top_of_a_book_hides_nothing() -> None:
    # a broker's account pays whole cents: the dust alone would cost more than it earns
    kalshi, polymarket = (taker_fees(schedule) for schedule in (SCHEDULES[1], SCHEDULES[3]))
    second = Offer("b", [(5_650, 100_000_000)], polymarket)
    for dust in ([], [(4_000, 10_000)]):
        edge = walk([Offer("a", [*dust, (4_100, 100_000_000)], kalshi), second], 10_000)
        # 100 x (1 - 0.975) - 0.035 x 100 x 0.41 x 0.59 = 1.653
        assert edge is not None
        assert edge.profit_e6 > 1_600_000
        assert edge.best_edge_e10 > 160_000_000


def test_dust_alone_is_no_edge() -> None:
    kalshi = taker_fees(SCHEDULES[0])
    assert walk([Offer("a", [(4_900, 10_000)], kalshi), Offer("b", [(4_700, 10_000)], kalshi)], 10_000) is None
