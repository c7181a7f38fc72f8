"""What becomes of a paper order: the real book less what was taken, minimums, grids, rounding, fees and balances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from orchestration.execution.venues.gateway import OrderSpec
from orchestration.execution.venues.paper_matching import (
    PaperMatch,
    PaperReject,
    PaperState,
    book_left,
    gone_levels,
    match_order,
    paper_profile,
    way_ms,
)
from streams.market.events import BookSnapshot, Levels
from streams.market.fees import KalshiFeeSchedule, PolymarketFeeSchedule, taker_fee_e6
from streams.market.identity import Venue
from streams.market.listing import MarketTerms
from streams.market.trading import LevelTaken, Target

ONE = 1_000_000
OPTIMISTIC, REALISTIC, PESSIMISTIC = (
    paper_profile(fidelity, fade_probability_e6=250_000, fade_e4=100)  # type: ignore[arg-type]
    for fidelity in ("optimistic", "realistic", "pessimistic")
)
KALSHI = Target(Venue.KALSHI, "K", MarketTerms(), KalshiFeeSchedule())
POLYMARKET = Target(
    Venue.POLYMARKET,
    "P",
    MarketTerms(min_size_e6=5 * ONE, min_notional_e6=ONE),
    PolymarketFeeSchedule(rate_e6=40_000),
)
RICH = PaperState(10_000 * ONE, 0, 0, {}, follows_fill=False)


def kalshi_book(asks: Levels, bids: Levels = []) -> BookSnapshot:  # noqa: B006 - never changed
    return BookSnapshot(Venue.KALSHI, "K", bids=bids, asks=asks)


def polymarket_book(asks: Levels, tick_e4: int = 100) -> BookSnapshot:
    return BookSnapshot(Venue.POLYMARKET, "P", bids=[], asks=asks, tick_e4=tick_e4)


def buy(limit_e4: int, size_e6: int, target: Target = KALSHI, **more: Any) -> OrderSpec:
    return OrderSpec(target, more.pop("outcome", "yes"), more.pop("action", "buy"), limit_e4, size_e6, **more)


def spend(limit_e4: int, dollars_e6: int) -> OrderSpec:
    return buy(limit_e4, dollars_e6 * 10_000 // limit_e4, POLYMARKET, spend_e6=dollars_e6)


def matched(spec: OrderSpec, book: BookSnapshot | None, state: PaperState = RICH, **more: Any) -> PaperMatch:
    result = match_order(spec, book, state, more.get("profile", REALISTIC), more.get("draw", 999_999))
    assert isinstance(result, PaperMatch), result
    return result


def rejected(spec: OrderSpec, book: BookSnapshot | None = None, state: PaperState = RICH) -> PaperReject:
    result = match_order(spec, book or kalshi_book([(5_000, 10 * ONE)]), state, REALISTIC, 0)
    assert isinstance(result, PaperReject), result
    return result


def sizes(found: PaperMatch) -> list[tuple[int, int]]:
    return [(fill.price_e4, fill.contracts_e6) for fill in found.fills]


# -- what was taken is gone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [OPTIMISTIC, REALISTIC, PESSIMISTIC])
def test_of_ten_offered_five_orders_of_ten_buy_no_more_than_ten(profile: Any) -> None:
    book, state, bought = kalshi_book([(5_000, 10 * ONE)]), RICH, 0
    for _ in range(5):
        found = matched(buy(5_000, 10 * ONE), book, state, profile=profile)
        bought += sum(fill.contracts_e6 for fill in found.fills)
        state = found.after
    assert bought == (5 if profile is PESSIMISTIC else 10) * ONE
    assert state.yes_e6 == bought


def test_a_part_that_was_left_can_still_be_bought() -> None:
    book = kalshi_book([(5_000, 10 * ONE)])
    first = matched(buy(5_000, 4 * ONE), book)
    second = matched(buy(5_000, 10 * ONE), book, first.after)
    assert sizes(second) == [(5_000, 6 * ONE)]
    assert matched(buy(5_000, 10 * ONE), book, second.after).why == "nothing at the limit at arrival"


@pytest.mark.parametrize("shown", [3 * ONE, 12 * ONE])
def test_a_level_that_shows_another_size_is_a_new_one(shown: int) -> None:
    first = matched(buy(5_000, 10 * ONE), kalshi_book([(5_000, 10 * ONE)]))
    second = matched(buy(5_000, 20 * ONE), kalshi_book([(5_000, shown)]), first.after)
    assert sizes(second) == [(5_000, shown)]


def test_a_level_that_changes_back_is_new_once_the_account_met_the_change() -> None:
    ten, twelve = kalshi_book([(5_000, 10 * ONE)]), kalshi_book([(5_000, 12 * ONE)])
    state = matched(buy(5_000, 10 * ONE), ten).after
    assert not matched(buy(5_000, ONE), ten, state).fills
    state = matched(buy(5_000, ONE), twelve, state).after
    assert sizes(matched(buy(5_000, 20 * ONE), ten, state)) == [(5_000, 10 * ONE)]


def test_rows_say_the_same_as_the_state_they_came_from() -> None:
    taken = [LevelTaken("ask", 5_000, 10, 4), LevelTaken("bid", 5_000, 7, 7), LevelTaken("ask", 5_000, 10, 5)]
    assert gone_levels(taken)["ask", 5_000].taken_e6 == 9
    assert gone_levels([*taken, LevelTaken("ask", 5_000, 8, 1)])["ask", 5_000] == LevelTaken("ask", 5_000, 8, 1)


def test_the_book_that_is_decided_on_lacks_what_was_taken() -> None:
    book = kalshi_book([(5_000, 10 * ONE), (5_100, 5 * ONE)], [(4_800, 3 * ONE)])
    taken = [LevelTaken("ask", 5_000, 10 * ONE, 10 * ONE), LevelTaken("ask", 5_100, 5 * ONE, ONE)]
    left = book_left(book, gone_levels([*taken, LevelTaken("bid", 4_800, 9 * ONE, 9 * ONE)]))
    assert (left.asks, left.bids) == ([(5_100, 4 * ONE)], [(4_800, 3 * ONE)])


def test_buying_no_takes_bids_and_selling_no_takes_asks() -> None:
    book = kalshi_book([(5_300, 2 * ONE)], [(4_900, 3 * ONE), (4_800, 3 * ONE)])
    bought = matched(buy(5_200, 5 * ONE, outcome="no"), book)
    assert sizes(bought) == [(5_100, 3 * ONE), (5_200, 2 * ONE)]
    assert [fill.level for fill in bought.fills] == [
        LevelTaken("bid", 4_900, 3 * ONE, 3 * ONE),
        LevelTaken("bid", 4_800, 3 * ONE, 2 * ONE),
    ]
    sold = matched(buy(4_700, 5 * ONE, outcome="no", action="sell"), book, bought.after)
    assert sizes(sold) == [(4_700, 2 * ONE)]
    assert sold.after.no_e6 == 3 * ONE


# -- levels and books --------------------------------------------------------------------------------------------------


def test_an_order_walks_levels_up_to_its_limit_and_no_further() -> None:
    book = kalshi_book([(5_200, 10 * ONE), (5_000, 2 * ONE), (5_100, 3 * ONE)])
    assert sizes(matched(buy(5_100, 10 * ONE), book)) == [(5_000, 2 * ONE), (5_100, 3 * ONE)]
    assert sizes(matched(buy(5_200, 6 * ONE), book)) == [(5_000, 2 * ONE), (5_100, 3 * ONE), (5_200, ONE)]


@pytest.mark.parametrize(
    ("book", "why"),
    [
        (None, "no book at arrival"),
        (kalshi_book([(5_000, ONE)], [(5_000, ONE)]), "a crossed book at arrival"),
        (kalshi_book([]), "nothing at the limit at arrival"),
        (kalshi_book([(5_100, ONE)]), "nothing at the limit at arrival"),
    ],
)
def test_an_order_without_a_book_it_can_meet_fills_nothing_and_says_why(book: BookSnapshot | None, why: str) -> None:
    found = matched(buy(5_000, ONE), book)
    assert (found.fills, found.why, found.after) == ((), why, RICH)


def test_dollars_buy_more_contracts_at_a_better_price() -> None:
    found = matched(spend(9_900, 4_950_000), polymarket_book([(9_800, 100 * ONE)]))
    assert sizes(found) == [(9_800, 5_051_020)]
    assert found.fills[0].cash_e6 == 4_950_000


def test_dollars_walk_levels_and_never_spend_more_than_was_given() -> None:
    found = matched(spend(5_000, 5_000_000), polymarket_book([(3_300, 7 * ONE), (4_900, 100 * ONE)]))
    assert [fill.price_e4 for fill in found.fills] == [3_300, 4_900]
    assert 4_999_999 <= sum(fill.cash_e6 for fill in found.fills) <= 5_000_000


# -- what the venue would not take -------------------------------------------------------------------------------------


TAPERED = replace(KALSHI, terms=MarketTerms(price_ranges=((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10))))


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (buy(5_050, ONE), "invalid_price"),
        (buy(5_010, ONE, TAPERED), "invalid_price"),
        (buy(0, ONE), "invalid_price"),
        (buy(10_000, ONE), "invalid_price"),
        (buy(5_000, 10_005), "invalid_size"),
        (buy(5_000, 0), "invalid_size"),
        (spend(5_000, 999_999), "invalid_size"),
        (spend(5_000, 990_000), "below_minimum"),
        (buy(5_000, 1_990_000, POLYMARKET), "below_minimum"),
        (buy(5_000, 15_000, POLYMARKET, action="sell"), "invalid_size"),
        (buy(5_000, ONE, action="sell"), "insufficient_balance"),
        (buy(5_000, ONE, POLYMARKET, action="sell"), "insufficient_balance"),
    ],
)
def test_what_a_venue_would_refuse_is_refused(spec: OrderSpec, code: str) -> None:
    assert rejected(spec).code == code


@pytest.mark.parametrize(
    "spec",
    [
        buy(990, 10_000, TAPERED),
        buy(9_010, 10_000, TAPERED, outcome="no"),
        spend(5_000, 1_000_000),
        buy(5_000, 2_000_000, POLYMARKET),
    ],
)
def test_what_is_just_allowed_is_taken(spec: OrderSpec) -> None:
    assert matched(spec, None).why == "no book at arrival"


def test_the_grid_is_the_one_the_book_states_now() -> None:
    book = polymarket_book([(5_010, 10 * ONE)], tick_e4=10)
    assert sizes(matched(spend(5_010, 1_002_000 // 10_000 * 10_000), book))
    assert rejected(spend(5_010, ONE), polymarket_book([(5_010, 10 * ONE)])).code == "invalid_price"


# -- fees and balances -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "size", "fee"), [(5_200, ONE, 17_500), (9_900, ONE, 700), (4_500, 3 * ONE, 52_000)])
def test_kalshi_fees_are_those_that_were_charged(price: int, size: int, fee: int) -> None:
    found = matched(buy(price, size), kalshi_book([(price, 5 * ONE)]))
    assert found.fills[0].fee_e6 == fee


def test_kalshi_rounding_is_carried_over_the_fills_of_an_order() -> None:
    book = kalshi_book([(3_300, 10_000), (3_400, 10_000), (3_500, 10_000), (3_600, 10_000)])
    found = matched(buy(3_600, 40_000), book)
    alone = sum(taker_fee_e6(fill.price_e4, fill.contracts_e6, KALSHI.schedule) for fill in found.fills)
    assert sum(fill.fee_e6 for fill in found.fills) == alone - 100
    assert (RICH.cash_e6 - found.after.cash_e6) % 100 == 0


def test_a_broker_account_pays_whole_cents_and_a_fee_free_market_nothing() -> None:
    fcm = replace(KALSHI, schedule=KalshiFeeSchedule(account="fcm"))
    assert matched(buy(5_000, ONE, fcm), kalshi_book([(5_000, ONE)])).fills[0].fee_e6 == 20_000
    free = replace(KALSHI, schedule=KalshiFeeSchedule(multiplier_e6=0))
    assert matched(buy(5_000, ONE, free), kalshi_book([(5_000, ONE)])).fills[0].fee_e6 == 0


def test_polymarket_fees_have_five_decimals_and_below_one_step_there_is_none() -> None:
    assert matched(spend(3_300, 3_300_000), polymarket_book([(3_300, 90 * ONE)])).fills[0].fee_e6 == 88_440
    tiny = replace(POLYMARKET, schedule=PolymarketFeeSchedule(rate_e6=1))
    order = replace(spend(3_300, ONE), target=tiny)
    assert matched(order, polymarket_book([(3_300, 90 * ONE)])).fills[0].fee_e6 == 0


@pytest.mark.parametrize(
    ("spec", "book", "needed"),
    [
        (buy(5_000, 10 * ONE), kalshi_book([(5_000, 10 * ONE)]), 5_175_000),
        (buy(6_000, 10 * ONE), kalshi_book([(5_000, 4 * ONE)]), 2_070_000),
        (spend(5_000, 5_000_000), polymarket_book([(5_000, 10 * ONE)]), 5_100_000),
        (spend(5_000, 5_000_000), polymarket_book([(5_000, ONE)]), 5_000_000),
    ],
)
def test_a_balance_is_exactly_enough_or_one_micro_dollar_short(
    spec: OrderSpec, book: BookSnapshot, needed: int
) -> None:
    found = matched(spec, book, replace(RICH, cash_e6=needed))
    assert found.fills
    assert found.after.cash_e6 >= 0
    short = rejected(spec, book, replace(RICH, cash_e6=needed - 1))
    assert short == PaperReject("insufficient_balance", f"balance: {needed - 1}, order amount: {needed}")


def test_a_balance_can_reach_zero_and_then_buys_nothing() -> None:
    book = kalshi_book([(5_000, 30 * ONE)])
    broke = matched(buy(5_000, 10 * ONE), book, replace(RICH, cash_e6=5_175_000)).after
    assert broke.cash_e6 == 0
    assert rejected(buy(5_000, 10_000), book, broke).code == "insufficient_balance"


def test_a_sale_brings_cash_less_its_fee_and_never_more_contracts_than_are_held() -> None:
    held, book = replace(RICH, cash_e6=0, yes_e6=10 * ONE), kalshi_book([], [(5_000, 50 * ONE)])
    found = matched(buy(4_000, 10 * ONE, action="sell"), book, held)
    assert (found.after.cash_e6, found.after.yes_e6) == (4_825_000, 0)
    assert rejected(buy(4_000, 10_010_000, action="sell"), book, held).code == "insufficient_balance"


def test_on_kalshi_the_other_outcome_pays_at_once_and_its_sale_takes_that_back() -> None:
    held = replace(RICH, cash_e6=0, yes_e6=10 * ONE)
    book = kalshi_book([(6_000, 90 * ONE)], [(5_000, 90 * ONE)])
    couple = matched(buy(5_000, 10 * ONE, outcome="no"), book, held).after
    assert couple.cash_e6 == 10 * ONE - 5_175_000
    apart = buy(5_000, 10 * ONE, action="sell")
    assert matched(apart, book, replace(couple, gone={}, cash_e6=5_175_000)).after.cash_e6 == 0
    assert rejected(apart, book, replace(couple, gone={}, cash_e6=5_174_999)).code == "insufficient_balance"


# -- fidelities --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "draw", "price"),
    [
        (OPTIMISTIC, 0, 5_000),
        (REALISTIC, 249_999, 5_100),
        (REALISTIC, 250_000, 5_000),
        (PESSIMISTIC, 999_999, 5_100),
    ],
)
def test_makers_step_back_after_a_first_fill_as_the_fidelity_assumes(profile: Any, draw: int, price: int) -> None:
    second = replace(RICH, follows_fill=True, yes_e6=ONE)
    book = kalshi_book([(5_000, 10 * ONE)], [(4_000, 10 * ONE)])
    assert sizes(matched(buy(5_500, ONE), book, second, profile=profile, draw=draw)) == [(price, ONE)]
    sold = matched(buy(3_000, ONE, action="sell"), book, second, profile=profile, draw=draw)
    assert sizes(sold) == [(9_000 - price, ONE)]
    assert sizes(matched(buy(5_500, ONE), book, RICH, profile=profile, draw=draw)) == [(5_000, ONE)]


def test_a_price_that_steps_back_stays_on_the_grid_and_below_a_dollar() -> None:
    profile = paper_profile("pessimistic", fade_probability_e6=0, fade_e4=15)
    second = replace(RICH, follows_fill=True)
    tail = kalshi_book([(990, 10 * ONE)])
    assert sizes(matched(buy(1_500, ONE, TAPERED), tail, second, profile=profile)) == [(1_100, ONE)]
    assert not matched(buy(9_900, ONE), kalshi_book([(9_900, ONE)]), second, profile=profile).fills


def test_pessimists_get_half_of_a_level_in_whole_steps() -> None:
    assert sizes(matched(buy(5_000, 9 * ONE), kalshi_book([(5_000, 30_000)]), profile=PESSIMISTIC)) == [(5_000, 10_000)]


@pytest.mark.parametrize(
    ("profile", "draw", "ms"),
    [(OPTIMISTIC, 999_999, 10), (REALISTIC, 0, 10), (REALISTIC, 500_000, 25), (REALISTIC, 999_999, 41)],
)
def test_an_order_is_on_its_way_for_half_of_a_round_trip(profile: Any, draw: int, ms: int) -> None:
    assert way_ms((81, 20, 50, 35, 65), profile, draw) == ms


def test_better_assumptions_never_fill_less_or_dearer() -> None:
    book: BookSnapshot = kalshi_book([(5_000, 10 * ONE), (5_100, 10 * ONE)])
    second = replace(RICH, follows_fill=True)
    worth: Sequence[int] = [
        sum(fill.contracts_e6 * (10_000 - fill.price_e4) for fill in matched(buy(5_200, 30 * ONE), book, second,
            profile=profile, draw=0).fills)
        for profile in (PESSIMISTIC, REALISTIC, OPTIMISTIC)
    ]  # fmt: skip
    assert worth[0] <= worth[1] <= worth[2]
