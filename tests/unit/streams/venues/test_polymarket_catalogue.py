"""Gamma's events, tags, series and searches, and rows of both generations of the Data API."""

from __future__ import annotations

from typing import Any

import pytest

from streams.market.errors import MalformedFrame
from streams.venues.common.responses import read
from streams.venues.polymarket.data import portfolio
from streams.venues.polymarket.gamma import catalogue

CONDITION = "0x" + "ab" * 32
MARKET: dict[str, Any] = {
    "id": "7",
    "conditionId": CONDITION,
    "question": "Will it rain?",
    "outcomes": '["Yes", "No"]',
    "clobTokenIds": '["111", "222"]',
    "outcomePrices": '["0.39", "0.61"]',
}


def test_an_event_keeps_what_can_be_traded_and_counts_the_rest() -> None:
    placeholder = MARKET | {"conditionId": ""}
    row = {
        "id": 70,
        "title": "Rain",
        "negRisk": True,
        "negRiskAugmented": True,
        "negRiskMarketID": "0x01",
        "startTime": "2026-11-30 18:00:00+00",
        "endDate": "2026-12-01T00:00:00.1234567Z",
        "markets": [MARKET, placeholder, MARKET | {"outcomes": '["A", "B", "C"]'}],
        "tags": [{"id": "1", "label": "Weather", "slug": "weather"}],
    }
    event = read(row, catalogue.parse_event)
    assert (event.event_id, event.is_neg_risk, event.is_augmented, event.neg_risk_market_id) == (
        "70",
        True,
        True,
        "0x01",
    )
    assert ([market.listing.market_id for market in event.markets], event.unreadable) == ([CONDITION], 2)
    assert event.markets[0].terms.is_exclusive_event
    assert event.start_time is not None
    assert (event.start_time.hour, event.tags[0].label) == (18, "Weather")


def test_an_event_of_almost_nothing_is_one() -> None:
    event = read({"id": "1"}, catalogue.parse_event)
    assert (event.title, event.markets, event.end_time, event.is_closed) == ("", (), None, False)
    with pytest.raises(MalformedFrame):
        read({"title": "no id"}, catalogue.parse_event)


@pytest.mark.parametrize("as_arrays", [False, True])
def test_searches_are_read_with_lists_in_strings_or_as_arrays(as_arrays: bool) -> None:
    market = MARKET | ({"outcomes": ["Yes", "No"], "clobTokenIds": ["111", "222"]} if as_arrays else {})
    document = {"events": [{"id": "1", "markets": [market]}], "pagination": {"hasMore": True, "totalResults": 46940}}
    found = read(document, catalogue.parse_search)
    assert (found.total, found.has_more, found.tags) == (46940, True, ())
    assert found.events[0].markets[0].terms.yes_token == "111"
    assert read({"events": None}, catalogue.parse_search).events == ()


def test_numbers_in_exponent_form_are_exact_and_999_is_no_outcome() -> None:
    row = {
        "condition_id": CONDITION,
        "token_id": "1",
        "current_size": 9.8e-05,
        "avg_price": 0.9656,
        "outcome_index": 999,
    }
    position = portfolio.parse_position(row)
    assert (position.size_e6, position.average_price_e4, position.outcome_index) == (98, 9_656, None)
    old = {"conditionId": CONDITION, "asset": "1", "size": 150.5, "avgPrice": 0.55, "oppositeAsset": "2"}
    assert portfolio.parse_position(old).size_e6 == 150_500_000
    assert portfolio.parse_position(old).opposite_token_id == "2"
    assert portfolio.parse_position(row | {"current_size": 1e-7}).size_e6 == 0


def test_acts_that_belong_to_no_market_are_read() -> None:
    row = {"type": "MAKER_REBATE", "timestamp": 1790901918, "condition_id": "", "size": 31.1755, "usdc_size": 31.1755}
    act = portfolio.parse_activity(row)
    assert (act.kind, act.market_id, act.cash_e6) == ("MAKER_REBATE", "", 31_175_500)
    old = {"type": "REDEEM", "timestamp": 1, "conditionId": CONDITION, "usdcSize": 2, "transactionHash": "0x1"}
    assert (portfolio.parse_activity(old).cash_e6, portfolio.parse_activity(old).transaction_hash) == (2_000_000, "0x1")


@pytest.mark.parametrize(
    "document", [{"data": {"value": 12.5}}, [{"user": "0x1", "value": 12.5}], {"data": [{"value": 12.5}]}]
)
def test_a_value_is_read_of_both_generations(document: Any) -> None:
    assert portfolio.parse_value(document) == 12_500_000


def test_pages_that_contradict_themselves_are_not_believed() -> None:
    assert portfolio.next_cursor_of({"pagination": {"has_more": True, "next_cursor": "c"}}) == "c"
    assert portfolio.next_cursor_of({}) == ""
    with pytest.raises(MalformedFrame):
        read({"pagination": {"has_more": False, "next_cursor": "c"}}, portfolio.next_cursor_of)
    with pytest.raises(MalformedFrame):
        read({"error": "x"}, portfolio.rows_of)
