"""Polymarket's frames and Gamma's lists: folded into YES books, and nothing but MalformedFrame from damaged ones."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streams.market.errors import MalformedFrame
from streams.market.events import (
    Acknowledgement,
    BookSnapshot,
    LevelChange,
    LifecycleChange,
    OtherChannel,
    TickSizeChange,
    TradePrint,
    VenueQuote,
)
from streams.market.fees import from_json
from streams.venues.common.times import parse_time
from streams.venues.polymarket.clob.market_data import book_of
from streams.venues.polymarket.gamma.listings import parse_market
from streams.venues.polymarket.market_frames import TokenRef, parse_frame

TOKENS = {"11": TokenRef("M", "yes"), "22": TokenRef("M", "no")}


def raw(document: Any) -> bytes:
    return json.dumps(document).encode()


def change(token: str, side: str, price: str, size: str, **more: str) -> dict[str, str]:
    return {"asset_id": token, "side": side, "price": price, "size": size, "hash": "h", **more}


def price_change(*entries: dict[str, str]) -> bytes:
    return raw({"event_type": "price_change", "market": "M", "timestamp": "1700000000123", "price_changes": entries})


def book(token: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "event_type": "book",
        "market": "M",
        "asset_id": token,
        "timestamp": "1700000000123",
        "hash": "abc",
        "tick_size": "0.01",
        "bids": [{"price": price, "size": size} for price, size in bids],
        "asks": [{"price": price, "size": size} for price, size in asks],
    }


MIRRORED = price_change(
    change("11", "BUY", "0.94", "5488.04", best_bid="0.94", best_ask="0.95"),
    change("22", "SELL", "0.06", "5488.04", best_bid="0.05", best_ask="0.06"),
)
BOOKS = raw(
    [
        book("11", [("0.4", "10"), ("0.45", "5")], [("0.6", "7"), ("0.5", "1.5")]),
        book("22", [("0.4", "7"), ("0.5", "1.5")], [("0.6", "10"), ("0.55", "5")]),
    ]
)
TRADE = raw(
    {
        "event_type": "last_trade_price",
        "market": "M",
        "asset_id": "22",
        "price": "0.3",
        "size": "219.217767",
        "side": "BUY",
        "timestamp": "1700000000123",
    }
)


def test_what_is_said_of_both_tokens_becomes_one_change() -> None:
    (event,) = parse_frame(MIRRORED, TOKENS)
    assert isinstance(event, LevelChange)
    assert (event.side, event.price_e4, event.size_after_e6) == ("bid", 9_400, 5_488_040_000)
    assert (event.best_bid_e4, event.best_ask_e4, event.venue_sent_ms) == (9_400, 9_500, 1700000000123)
    assert json.loads(event.payload)["asset_id"] == "11"


def test_what_is_said_of_the_no_token_alone_is_converted() -> None:
    (event,) = parse_frame(price_change(change("22", "SELL", "0.06", "1", best_bid="0.05", best_ask="0.06")), TOKENS)
    assert isinstance(event, LevelChange)
    assert (event.side, event.price_e4, event.best_bid_e4, event.best_ask_e4) == ("bid", 9_400, 9_400, 9_500)


def test_a_level_that_changes_twice_in_one_frame_keeps_both_changes() -> None:
    entries = [
        change(token, side, price, size)
        for size in ("5", "0", "5")
        for token, side, price in (("11", "BUY", "0.4"), ("22", "SELL", "0.6"))
    ]
    sizes = [
        event.size_after_e6 for event in parse_frame(price_change(*entries), TOKENS) if isinstance(event, LevelChange)
    ]
    assert sizes == [5_000_000, 0, 5_000_000]


def test_an_empty_side_states_zero_or_one_as_its_best_price() -> None:
    (event,) = parse_frame(price_change(change("22", "BUY", "0.4", "0", best_bid="0", best_ask="1")), TOKENS)
    assert isinstance(event, LevelChange)
    assert (event.side, event.best_bid_e4, event.best_ask_e4) == ("ask", 0, 10_000)


def test_books_of_both_tokens_in_one_frame_are_one_snapshot_best_first() -> None:
    (event,) = parse_frame(BOOKS, TOKENS)
    assert isinstance(event, BookSnapshot)
    assert event.bids == [(4_500, 5_000_000), (4_000, 10_000_000)]
    assert event.asks == [(5_000, 1_500_000), (6_000, 7_000_000)]
    assert (event.tick_e4, event.venue_hash) == (100, "abc")
    (converted,) = parse_frame(raw(json.loads(BOOKS)[1]), TOKENS)
    assert isinstance(converted, BookSnapshot)
    assert (converted.bids, converted.asks) == (event.bids, event.asks)


def test_a_trade_of_the_no_token_is_in_yes_terms() -> None:
    (event,) = parse_frame(TRADE, TOKENS)
    assert isinstance(event, TradePrint)
    assert (event.price_e4, event.size_e6, event.taker_outcome) == (7_000, 219_217_767, "no")


def test_ticks_resolutions_and_pongs_are_understood() -> None:
    tick = {"event_type": "tick_size_change", "asset_id": "11", "old_tick_size": "0.01", "new_tick_size": "0.001"}
    (changed,) = parse_frame(raw(tick), TOKENS)
    assert isinstance(changed, TickSizeChange)
    assert (changed.old_tick_e4, changed.new_tick_e4) == (100, 10)
    resolved = {"event_type": "market_resolved", "market": "M", "assets_ids": ["11", "22"], "winning_asset_id": "22"}
    (settled,) = parse_frame(raw(resolved), TOKENS)
    assert isinstance(settled, LifecycleChange)
    assert (settled.kind, settled.result, settled.settlement_e4) == ("determined", "no", 0)
    assert settled.market_id == TOKENS["22"].market_id
    named = {"event_type": "market_resolved", "market": "0xA", "winning_asset_id": "9", "winning_outcome": "No"}
    (unfollowed,) = parse_frame(raw(named | {"assets_ids": ["9", "8"]}), TOKENS)
    assert isinstance(unfollowed, LifecycleChange)
    assert (unfollowed.market_id, unfollowed.result) == ("0xA", "no")
    with pytest.raises(MalformedFrame, match="won as"):
        parse_frame(raw(resolved | {"winning_outcome": "Yes"}), TOKENS)
    assert parse_frame(b"PONG", TOKENS) == [Acknowledgement("polymarket", "pong")]  # type: ignore[arg-type]
    assert parse_frame(b"[]", TOKENS) == []


def test_best_prices_of_an_empty_side_are_the_bounds() -> None:
    for token, prices in (("11", (0, 4_000)), ("22", (6_000, 10_000))):
        best = {"event_type": "best_bid_ask", "market": "M", "asset_id": token, "best_bid": "", "best_ask": "0.4"}
        (event,) = parse_frame(raw(best), TOKENS)
        assert isinstance(event, VenueQuote)
        assert (event.bid_e4, event.ask_e4) == prices
        del best["best_bid"]
        with pytest.raises(MalformedFrame, match="best_bid"):
            parse_frame(raw(best), TOKENS)


def test_tokens_we_do_not_know_are_no_error() -> None:
    for frame in (MIRRORED, TRADE, raw(book("11", [], []))):
        (event,) = parse_frame(frame, {})
        assert isinstance(event, OtherChannel)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"PING",
        b"{",
        b"[1]",
        b'"x"',
        raw({"event_type": "price_change", "asset_id": "11", "price": "0.5", "size": "1", "side": "BUY"}),
        price_change(change("11", "HOLD", "0.4", "1")),
        price_change(change("11", "BUY", "1", "1")),
        price_change(change("11", "BUY", "0.4", "-1")),
        price_change({"asset_id": "11"}),
        raw({"event_type": "book", "asset_id": "11"}),
        raw(book("11", [("0.4", "1"), ("0.40", "2")], [])),
        raw({"event_type": "last_trade_price", "asset_id": "11", "price": "0.5", "size": "0", "side": "BUY"}),
        raw({"event_type": "tick_size_change", "asset_id": "11"}),
        raw({"event_type": "new_market", "id": "9"}),
        raw({"event_type": "book", "market": "M", "bids": [], "asks": []}),
        raw({"event_type": "last_trade_price", "market": "M", "price": "0.5", "size": "1", "side": "BUY"}),
        raw({"event_type": "market_resolved", "assets_ids": ["8", "9"], "winning_asset_id": "9"}),
    ],
)
def test_what_is_not_a_frame_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedFrame) as raised:
        parse_frame(frame, TOKENS)
    assert raised.value.raw == frame


def test_damaged_frames_give_events_or_malformed_frame_and_nothing_else() -> None:
    chance = random.Random(20261120)
    refused = 0
    for _ in range(6000):
        damaged = bytearray(chance.choice([MIRRORED, BOOKS, TRADE]))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(damaged))
            damaged[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        try:
            events = parse_frame(bytes(damaged), TOKENS)
        except MalformedFrame:
            refused += 1
            continue
        for event in events:
            if isinstance(event, LevelChange | BookSnapshot | TradePrint):
                json.loads(event.payload)
    assert 1000 < refused < 6000


def test_a_captured_book_is_read_whole(shared_dir: Path) -> None:
    for name in ("clob_book", "clob_book_empty"):
        document = json.loads((shared_dir / f"venues/polymarket-samples/{name}.json").read_bytes())
        snapshot = book_of(document)
        assert (len(snapshot.bids), len(snapshot.asks)) == (len(document["bids"]), len(document["asks"]))


MARKET: dict[str, Any] = {
    "id": "2589812",
    "question": "Will it hold?",
    "conditionId": "0x" + "ab" * 32,
    "slug": "will-it-hold",
    "description": "Rules.",
    "outcomes": '["Yes", "No"]',
    "outcomePrices": '["0.745", "0.255"]',
    "clobTokenIds": '["111", "222"]',
    "endDate": "2026-12-01T03:59:00Z",
    "startDate": "2026-06-18T00:02:51.727205Z",
    "groupItemTitle": "No change",
    "active": True,
    "closed": False,
    "acceptingOrders": True,
    "enableOrderBook": True,
    "orderPriceMinTickSize": 0.001,
    "orderMinSize": 5,
    "negRisk": True,
    "feesEnabled": True,
    "feeSchedule": {"exponent": 1, "rate": 0.05, "takerOnly": True, "rebateRate": 0.25},
    "bestBid": 0.74,
    "events": [{"id": "606422", "title": "Decision", "tags": [{"label": "Economy"}], "series": [{"slug": "fomc"}]}],
}
NOW = datetime(2026, 11, 1, tzinfo=UTC)
AFTER = datetime(2026, 12, 2, tzinfo=UTC)


def test_a_gamma_market_gives_listing_terms_and_ids() -> None:
    market = parse_market(dict(MARKET), now=NOW)
    assert market.status == "open"
    assert (market.listing.event_id, market.listing.event_title) == ("606422", "Decision")
    assert (market.listing.category, market.listing.yes_means) == ("Economy", "No change")
    assert (market.terms.yes_token, market.terms.no_token) == ("111", "222")
    assert market.terms.price_ranges == ((0, 10_000, 10),)
    assert (market.terms.min_size_e6, market.terms.min_notional_e6) == (5_000_000, 1_000_000)
    assert market.terms.fee_schedule == {"rate": "0.05", "exponent": "1", "taker_only": True}
    assert from_json("polymarket", market.terms.fee_schedule)
    assert (market.terms.is_neg_risk, market.terms.is_exclusive_event, market.terms.series_id) == (True, True, "fomc")
    assert market.ids[0] == ("condition_id", market.listing.market_id)
    assert dict(market.ids[1:]) == {"gamma_id": "2589812", "slug": "will-it-hold", "token": "222"}
    assert ("token", "111") in market.ids
    assert market.volatile["yes_bid"] == "0.74"
    assert (market.result, market.settlement_e4) == (None, None)


@pytest.mark.parametrize(
    ("changes", "now", "expected"),
    [
        ({}, NOW, ("open", None, None)),
        ({"active": False}, NOW, ("unopened", None, None)),
        ({"acceptingOrders": False}, NOW, ("paused", None, None)),
        ({"acceptingOrders": False}, AFTER, ("closed", None, None)),
        ({"acceptingOrders": False, "umaResolutionStatus": "proposed"}, NOW, ("closed", None, None)),
        ({"umaResolutionStatus": "resolved", "outcomePrices": '["0","1"]'}, NOW, ("determined", "no", 0)),
        ({"closed": True, "outcomePrices": '["1","0"]'}, NOW, ("settled", "yes", 10_000)),
        ({"closed": True, "outcomePrices": '["0.5","0.5"]'}, NOW, ("closed", None, None)),
        (
            {"closed": True, "outcomePrices": '["0.5","0.5"]', "umaResolutionStatus": "resolved"},
            NOW,
            ("settled", "scalar", 5_000),
        ),
        ({"closed": True}, NOW, ("closed", None, None)),
        ({"closed": True, "closedTime": "2026-10-30 05:29:05+00"}, NOW, ("closed", None, None)),
        ({"closed": True, "outcomePrices": '["0","0"]'}, NOW, ("closed", None, None)),
        (
            {"closed": True, "outcomePrices": '["1","0"]', "umaResolutionStatus": "disputed"},
            NOW,
            ("closed", None, None),
        ),
        ({"closed": True, "marketType": "scalar"}, NOW, ("closed", None, None)),
        ({"closed": True, "marketType": "scalar", "umaResolutionStatus": "resolved"}, NOW, ("closed", None, None)),
        ({"archived": True}, NOW, ("closed", None, None)),
    ],
)
def test_status_and_settlement_follow_from_several_fields(
    changes: dict[str, Any], now: datetime, expected: tuple[str, str | None, int | None]
) -> None:
    market = parse_market(MARKET | changes, now=now)
    assert (market.status, market.result, market.settlement_e4) == expected


@pytest.mark.parametrize(
    ("fees", "expected"),
    [
        ({"feesEnabled": False}, {}),
        ({"feesEnabled": None, "feeSchedule": None}, {}),
        ({"feeSchedule": None}, {"rate": "0.07", "exponent": "1", "taker_only": True}),
    ],
)
def test_a_market_that_hides_its_fee_is_taken_as_dear(fees: dict[str, Any], expected: dict[str, Any]) -> None:
    assert parse_market(MARKET | fees).terms.fee_schedule == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"conditionId": None},
        {"outcomes": '["A", "B", "C"]'},
        {"outcomes": "[not json"},
        {"clobTokenIds": '["1"]'},
        {"orderPriceMinTickSize": "fine"},
        {"closed": True, "outcomePrices": '["2", "-1"]', "closedTime": "2026-01-01 00:00:00+00"},
    ],
)
def test_a_market_that_cannot_be_read_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedFrame):
        parse_market(MARKET | changes)


def test_every_sample_market_is_parsed(shared_dir: Path) -> None:
    folder = shared_dir / "venues/polymarket-samples"
    expected = {
        "gamma_market": "open",
        "gamma_market_btc_5m": "open",
        "gamma_market_closed_binary": "settled",
        "gamma_market_closed_sports": "settled",
        "gamma_market_sports_moneyline": "settled",
    }
    for name, status in expected.items():
        parsed = parse_market(json.loads((folder / f"{name}.json").read_bytes()))
        assert parsed.status == status, name
        assert parsed.listing.close_time is not None
    page = json.loads((folder / "gamma_markets_keyset.json").read_bytes())
    assert [parse_market(market) for market in page["markets"]]
    event = json.loads((folder / "gamma_event.json").read_bytes())
    assert all(parse_market(market, event).listing.event_id == event["id"] for market in event["markets"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-28 05:29:05+00", datetime(2026, 5, 28, 5, 29, 5, tzinfo=UTC)),
        ("2026-05-28T05:29:05.12345678Z", datetime(2026, 5, 28, 5, 29, 5, 123456, tzinfo=UTC)),
        ("2026-05-28 05:29:05+00:00:00", datetime(2026, 5, 28, 5, 29, 5, tzinfo=UTC)),
        ("2026-05-28T05:29:05-04:00", datetime(2026, 5, 28, 9, 29, 5, tzinfo=UTC)),
        ("2026-05-28", datetime(2026, 5, 28, tzinfo=UTC)),
        ("2026-13-28T00:00:00Z", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_times_are_read_however_they_are_written(text: str | None, expected: datetime | None) -> None:
    assert parse_time(text) == expected
