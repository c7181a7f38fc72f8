"""What is kept of the books a plan was decided on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchestration.execution.decide.gate.plan_facts import (
    LegQuote,
    PlanQuotes,
    quotes_from_json,
    quotes_of,
    quotes_to_json,
)
from orchestration.execution.decide.hedge_plan import Plan, PlanLeg
from streams.market.events import BookSnapshot
from streams.market.identity import Outcome, Venue

NOW = datetime(2026, 12, 1, tzinfo=UTC)
LATER = NOW + timedelta(milliseconds=120)
# bids and offers of YES; who buys NO pays one dollar less the bid
BOOK = BookSnapshot(Venue.KALSHI, "K", [(4_300, 5), (4_200, 7), (4_000, 11)], [(4_500, 13), (4_700, 17)], tick_e4=100)


def quote(outcome: Outcome, within_e4: int, book: BookSnapshot = BOOK) -> LegQuote:
    plan = Plan((PlanLeg(0, Venue.KALSHI, "K", outcome, 4_500, (), 0),), 1, 0, 0, 0, 0)
    found = quotes_of(plan, {"kalshi:K": book}, NOW, LATER, within_e4)
    assert (found.asked_at, found.read_at) == (NOW, LATER)
    (only,) = found.legs
    return only


def test_bids_near_the_best_one_are_the_way_out() -> None:
    assert quote("yes", 99) == LegQuote(4_500, 4_300, 5, 100)
    assert quote("yes", 100) == LegQuote(4_500, 4_300, 12, 100)
    assert quote("yes", 300) == LegQuote(4_500, 4_300, 23, 100)
    assert quote("no", 199) == LegQuote(5_700, 5_500, 13, 100)
    assert quote("no", 200) == LegQuote(5_700, 5_500, 30, 100)


def test_a_side_without_orders_has_no_best_price_and_no_way_out() -> None:
    assert quote("yes", 100, BookSnapshot(Venue.KALSHI, "K", [], [(4_500, 13)])) == LegQuote(4_500, None, 0, None)
    assert quote("yes", 100, BookSnapshot(Venue.KALSHI, "K", [(4_300, 5)], [])) == LegQuote(None, 4_300, 5, None)


def test_quotes_are_read_as_they_were_kept_and_former_plans_have_none() -> None:
    quotes = PlanQuotes(NOW, LATER, (LegQuote(4_500, 4_300, 5, 100), LegQuote(None, None, 0, None)))
    assert quotes_from_json(quotes_to_json(quotes)) == quotes
    assert quotes_from_json(None) is None
