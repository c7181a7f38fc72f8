"""What an answer to an order proves, on the venues' recorded answers and on those that contradict their order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestration.execution.decide.hedge_plan import order_facts
from orchestration.execution.venues.answers import of_kalshi, of_polymarket
from orchestration.execution.venues.gateway import OrderAnswer, OrderSpec
from streams.market.fees import KalshiFeeSchedule, PolymarketFeeSchedule, taker_fee_e6
from streams.market.identity import Venue
from streams.market.listing import MarketTerms
from streams.market.trading import OrderRow, Target
from streams.venues.kalshi.types.orders import parse_order_answer
from streams.venues.polymarket.clob.orders import parse_post_answer

ONE = 1_000_000
KALSHI_FEES, POLYMARKET_FEES = KalshiFeeSchedule(), PolymarketFeeSchedule(rate_e6=50_000)


def kalshi_order(size_e6: int, limit_e4: int, *, outcome: str = "yes", action: str = "buy") -> OrderSpec:
    target = Target(Venue.KALSHI, "KXA-1", MarketTerms(), KALSHI_FEES)
    return OrderSpec(target, outcome, action, limit_e4, size_e6)  # type: ignore[arg-type]


def polymarket_order(spend_e6: int | None, size_e6: int, limit_e4: int, action: str = "buy") -> OrderSpec:
    target = Target(Venue.POLYMARKET, "0xa", MarketTerms(), POLYMARKET_FEES)
    return OrderSpec(target, "yes", action, limit_e4, size_e6, spend_e6)  # type: ignore[arg-type]


def kalshi_says(spec: OrderSpec | None, **fields: Any) -> OrderAnswer:
    document = {"order_id": "o1", "fill_count": "0.00", "remaining_count": "0.00", **fields}
    return of_kalshi(parse_order_answer(document), spec)


def polymarket_says(spec: OrderSpec | None, status: str, making: str = "", taking: str = "") -> OrderAnswer:
    document = {"orderID": "0x1", "status": status, "makingAmount": making, "takingAmount": taking, "success": True}
    return of_polymarket(parse_post_answer(document), "0xmine", spec)


def test_kalshis_counts_are_the_end_of_an_order_that_leaves_nothing_resting() -> None:
    # the recorded partial fill: 4.50 of 10 at an average of 0.5350
    answer = kalshi_says(
        kalshi_order(10 * ONE, 5_400), fill_count="4.50", average_fill_price="0.5350", average_fee_paid="0.0175"
    )
    fee = taker_fee_e6(5_350, 4_500_000, KALSHI_FEES)
    assert answer == OrderAnswer("o1", True, 4_500_000, 2_407_500, fee)


def test_kalshi_states_yes_prices_whatever_is_bought_or_sold() -> None:
    fields = {"fill_count": "2.00", "average_fill_price": "0.5333"}
    assert kalshi_says(kalshi_order(2 * ONE, 4_700, outcome="no"), **fields).cash_e6 == 933_400
    assert kalshi_says(kalshi_order(2 * ONE, 5_300, action="sell"), **fields).cash_e6 == 1_066_600


def test_kalshi_fills_without_a_price_cost_the_limit() -> None:
    assert kalshi_says(kalshi_order(2 * ONE, 4_700), fill_count="2.00").cash_e6 == 940_000


def test_nothing_filled_and_nothing_left_is_the_end_and_something_left_is_not() -> None:
    assert kalshi_says(kalshi_order(ONE, 5_000)) == OrderAnswer("o1", is_final=True)
    assert kalshi_says(kalshi_order(ONE, 5_000), remaining_count="1.00") == OrderAnswer("o1")
    part = kalshi_says(kalshi_order(2 * ONE, 5_000), fill_count="1.00", remaining_count="1.00")
    assert (part.is_final, part.filled_e6) == (False, ONE)


@pytest.mark.parametrize(
    "fields",
    [
        {"fill_count": "3.00"},  # more than was ordered
        {"fill_count": "2.00", "average_fill_price": "0.9"},  # dearer than the limit
        {"fill_count": "2.00", "average_fill_price": "53"},
        {"fill_count": "2.00", "average_fill_price": "nan"},
        {"fill_count": "-1.00"},
    ],
)
def test_an_answer_of_kalshi_that_contradicts_its_order_proves_nothing(fields: dict[str, Any]) -> None:
    assert kalshi_says(kalshi_order(2 * ONE, 5_000), **fields) == OrderAnswer("o1")


def test_polymarkets_amounts_are_read_in_either_of_the_units_it_documents() -> None:
    spec = polymarket_order(5_200_000, 10 * ONE, 5_200)
    wanted = OrderAnswer("0x1", True, 10 * ONE, 5_200_000, taker_fee_e6(5_200, 10 * ONE, POLYMARKET_FEES))
    assert polymarket_says(spec, "matched", "5.2", "10") == wanted
    assert polymarket_says(spec, "matched", "5200000", "10000000") == wanted


def test_a_buy_that_spends_dollars_may_get_more_contracts_and_a_part_is_the_end_too() -> None:
    spec = polymarket_order(5_000_000, 5 * ONE, 9_900)
    assert polymarket_says(spec, "matched", "4.95", "5.051019").filled_e6 == 5_051_019
    part = polymarket_says(spec, "matched", "1.98", "2")
    assert (part.is_final, part.filled_e6, part.cash_e6) == (True, 2 * ONE, 1_980_000)


def test_a_sale_gives_contracts_and_takes_dollars() -> None:
    spec = polymarket_order(None, 10 * ONE, 4_000, "sell")
    answer = polymarket_says(spec, "matched", "10", "4.1")
    assert (answer.filled_e6, answer.cash_e6) == (10 * ONE, 4_100_000)


@pytest.mark.parametrize("status", ["live", "delayed", "unmatched", "no word of today"])
def test_what_may_fill_later_proves_no_end_even_with_amounts(status: str) -> None:
    assert polymarket_says(polymarket_order(5_200_000, 10 * ONE, 5_200), status, "5.2", "10") == OrderAnswer("0x1")


@pytest.mark.parametrize(
    ("making", "taking"),
    [("", ""), ("5.2", ""), ("52", "100"), ("5.2", "9"), ("x", "10"), ("5.2", "-10"), ("5200000.5", "10000000"),
     ("0.0000052", "0.00001"), ("inf", "10")],
)  # fmt: skip
def test_amounts_that_the_order_cannot_have_brought_prove_nothing(making: str, taking: str) -> None:
    spec = polymarket_order(5_200_000, 10 * ONE, 5_200)
    assert polymarket_says(spec, "matched", making, taking) == OrderAnswer("0x1")


def test_an_answer_without_the_order_it_answers_names_the_order_alone() -> None:
    assert kalshi_says(None, fill_count="2.00") == OrderAnswer("o1")
    assert polymarket_says(None, "matched", "5.2", "10") == OrderAnswer("0x1")


# -- an answer and the fills that are read later -----------------------------------------------------------------------


def row(**known: Any) -> OrderRow:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    plain = OrderRow(
        order_id=1, execution_id=1, leg_no=0, purpose="open", venue=Venue.KALSHI, market_id="KXA-1", outcome="yes",
        action="buy", limit_price_e4=5_000, size_e6=10 * ONE, spend_e6=None, reserved_e6=5_300_000,
        client_order_id="c", venue_order_id="o1", state="sent", reason="", filled_e6=0, cash_e6=0, fee_e6=0,
        answered_e6=9 * ONE, answered_cash_e6=4_500_000, answered_fee_e6=90_000, is_answered_final=True, seen_e6=0,
        prepared_at=at, sent_at=at, environment="sandbox",
    )  # fmt: skip
    return replace(plain, **known)


def test_an_answered_order_counts_as_filled_before_any_fill_is_read() -> None:
    (fact,) = order_facts([row()])
    assert (fact.filled_e6, fact.spent_e6, fact.is_resolved, fact.rest_e6) == (9 * ONE, 4_590_000, True, 0)


def test_fills_take_the_place_of_the_answer_piece_by_piece() -> None:
    # 3 of 9 are read, at the venue's own fee; the rest counts by its part of the answer
    (fact,) = order_facts([row(filled_e6=3 * ONE, seen_e6=3 * ONE, cash_e6=1_500_000, fee_e6=52_500)])
    assert (fact.filled_e6, fact.spent_e6) == (9 * ONE, 1_552_500 + 3_060_000)
    whole = row(filled_e6=9 * ONE, seen_e6=9 * ONE, cash_e6=4_499_000, fee_e6=157_500, state="partial")
    assert order_facts([whole])[0].spent_e6 == 4_656_500
    more = row(filled_e6=10 * ONE, seen_e6=10 * ONE, cash_e6=5_000_000, fee_e6=0)
    assert (order_facts([more])[0].filled_e6, more.spent_e6) == (10 * ONE, 5_000_000)


def test_a_fill_that_failed_is_not_answered_again() -> None:
    failed = row(seen_e6=9 * ONE, state="canceled")
    assert (failed.known_e6, failed.spent_e6) == (0, 0)
    half = row(filled_e6=4 * ONE, seen_e6=9 * ONE, cash_e6=2 * ONE, state="partial")
    assert (half.known_e6, half.spent_e6) == (4 * ONE, 2 * ONE)


def test_an_answer_that_is_no_end_is_a_least_amount_and_the_rest_may_fill() -> None:
    (fact,) = order_facts([row(is_answered_final=False)])
    assert (fact.is_resolved, fact.filled_e6, fact.rest_e6) == (False, 9 * ONE, ONE)
    assert fact.rest_spent_e6 == 5_300_000 - 4_590_000


def test_a_sale_that_was_answered_has_brought_its_cash_less_the_fee() -> None:
    sale = row(action="sell", filled_e6=4 * ONE, seen_e6=4 * ONE, cash_e6=2 * ONE, fee_e6=10_000)
    assert sale.spent_e6 == -1_990_000 + -((4_500_000 - 90_000) * 5 // 9)
