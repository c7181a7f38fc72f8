"""Kalshi's frames and lists: what each becomes, and that nothing but MalformedFrame comes of damaged ones."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streams.market.book import Book
from streams.market.errors import MalformedFrame
from streams.market.events import (
    Acknowledgement,
    BookSnapshot,
    ChannelError,
    LevelChange,
    LifecycleChange,
    OtherChannel,
    TradePrint,
)
from streams.market.fees import from_json
from streams.market.identity import Venue
from streams.venues.kalshi.types.listings import parse_market
from streams.venues.kalshi.types.market_frames import parse_frame


def frame(kind: str, message: Any = None, **envelope: Any) -> bytes:
    document = {"type": kind, **envelope}
    if message is not None:
        document["msg"] = message
    return json.dumps(document).encode()


DELTA = frame(
    "orderbook_delta",
    {"market_ticker": "KXA-1", "price_dollars": "0.4700", "delta_fp": "-3.25", "side": "no", "ts_ms": 1781159489957},
    sid=7,
    seq=12,
)
SNAPSHOT = frame(
    "orderbook_snapshot",
    {
        "market_ticker": "KXA-1",
        "yes_dollars_fp": [["0.1", "1.00"], ["0.4700", "3.00"]],
        "no_dollars_fp": [["0.52", "2"]],
    },
    sid=7,
    seq=11,
)
TRADE = frame(
    "trade",
    {
        "market_ticker": "KXA-1",
        "trade_id": "t",
        "yes_price_dollars": "0.28",
        "count_fp": "22.56",
        "taker_outcome_side": "no",
        "ts_ms": 5,
    },
    sid=8,
    seq=1,
)


def test_a_no_delta_is_an_ask_and_yes_prices_are_taken_as_they_are() -> None:
    (event,) = parse_frame(DELTA)
    assert isinstance(event, LevelChange)
    assert (event.side, event.price_e4, event.size_change_e6, event.size_after_e6) == ("ask", 4_700, -3_250_000, None)
    assert (event.subscription_id, event.sequence, event.venue_sent_ms) == (7, 12, 1781159489957)
    assert json.loads(event.payload)["delta_fp"] == "-3.25"


def test_without_yes_prices_the_no_ladder_is_complemented() -> None:
    (delta,) = parse_frame(DELTA, use_yes_price=False)
    (snapshot,) = parse_frame(SNAPSHOT, use_yes_price=False)
    assert isinstance(delta, LevelChange)
    assert isinstance(snapshot, BookSnapshot)
    assert delta.price_e4 == 5_300
    assert snapshot.asks == [(4_800, 2_000_000)]


def test_a_snapshot_is_best_first_and_an_omitted_ladder_is_empty() -> None:
    (snapshot,) = parse_frame(SNAPSHOT)
    assert isinstance(snapshot, BookSnapshot)
    assert snapshot.bids == [(4_700, 3_000_000), (1_000, 1_000_000)]
    assert snapshot.asks == [(5_200, 2_000_000)]
    (empty,) = parse_frame(frame("orderbook_snapshot", {"market_ticker": "KXA-1"}, sid=1, seq=2))
    assert isinstance(empty, BookSnapshot)
    assert (empty.bids, empty.asks, empty.sequence) == ([], [], 2)


def test_a_trade_is_in_yes_terms() -> None:
    (event,) = parse_frame(TRADE)
    assert isinstance(event, TradePrint)
    assert (event.price_e4, event.size_e6, event.taker_outcome, event.trade_id) == (2_800, 22_560_000, "no", "t")


def test_determination_states_what_a_yes_pays() -> None:
    (event,) = parse_frame(
        frame(
            "market_lifecycle_v2",
            {
                "market_ticker": "M",
                "event_type": "determined",
                "result": "scalar",
                "settlement_value": "0.3700",
                "determination_ts": 1784501722,
            },
            sid=3,
            seq=4,
        )
    )
    assert isinstance(event, LifecycleChange)
    assert (event.kind, event.result, event.settlement_e4, event.venue_sent_ms) == (
        "determined",
        "scalar",
        3_700,
        1784501722000,
    )


def test_acknowledgements_and_errors_keep_their_sequence_numbers() -> None:
    (subscribed,) = parse_frame(frame("subscribed", {"channel": "trade", "sid": 2}, id=1))
    (updated,) = parse_frame(frame("ok", {"market_tickers": ["A", "B"]}, id=2, sid=1, seq=9))
    (gone,) = parse_frame(frame("unsubscribed", id=3, sid=1, seq=10))
    (ended,) = parse_frame(frame("error", {"code": 25, "msg": "overflow"}, sid=1, seq=11))
    assert isinstance(subscribed, Acknowledgement)
    assert isinstance(updated, Acknowledgement)
    assert isinstance(gone, Acknowledgement)
    assert isinstance(ended, ChannelError)
    assert (subscribed.subscription_id, subscribed.sequence, subscribed.channel) == (2, None, "trade")
    assert (updated.market_ids, updated.sequence) == (["A", "B"], 9)
    assert (gone.kind, gone.sequence) == ("unsubscribed", 10)
    assert (ended.is_terminal, ended.sequence) == (True, 11)


def test_a_frame_of_a_type_we_do_not_read_still_counts_in_the_sequence() -> None:
    assert parse_frame(frame("something_new", {"x": [1]}, sid=4, seq=5)) == [
        OtherChannel(Venue.KALSHI, "something_new", 4, 5, b'{"x": [1]}')
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"type": 5}',
        b"\xff\xfe",
        DELTA.replace(b"KXA-1", b"KX\xff-1"),
        DELTA.replace(b"KXA-1", b"KX\\u0000"),
        frame("orderbook_delta"),
        frame("orderbook_delta", {"market_ticker": "M", "price_dollars": "0.5", "delta_fp": "1", "side": "both"}),
        frame("orderbook_delta", {"market_ticker": "M", "price_dollars": "1.00", "delta_fp": "1", "side": "yes"}),
        frame("orderbook_delta", {"market_ticker": "M", "price_dollars": "0.00005", "delta_fp": "1", "side": "yes"}),
        frame("orderbook_delta", {"market_ticker": "M", "price_dollars": 0.5, "delta_fp": "1", "side": "yes"}),
        frame("orderbook_delta", {"market_ticker": "M", "price_dollars": "0.5", "delta_fp": "1e3", "side": "yes"}),
        frame("orderbook_snapshot", {"market_ticker": "M", "yes_dollars_fp": [["0.5", "-1"]]}),
        frame("orderbook_snapshot", {"market_ticker": "M", "yes_dollars_fp": [["0.5", "1"], ["0.50", "2"]]}),
        frame("trade", {"market_ticker": "M", "yes_price_dollars": "0.5", "count_fp": "0.00"}),
        frame("error", {"code": "x"}),
        frame("subscribed", {"channel": "trade"}),
    ],
)
def test_what_is_not_a_frame_is_malformed_and_says_why(raw: bytes) -> None:
    with pytest.raises(MalformedFrame) as raised:
        parse_frame(raw)
    assert raised.value.raw == raw
    assert raised.value.reason


def test_damaged_frames_give_events_or_malformed_frame_and_nothing_else() -> None:
    chance = random.Random(20261120)
    refused = 0
    for _ in range(6000):
        damaged = bytearray(chance.choice([DELTA, SNAPSHOT, TRADE]))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(damaged))
            damaged[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        try:
            events = parse_frame(bytes(damaged))
        except MalformedFrame:
            refused += 1
            continue
        for event in events:
            assert not isinstance(event, LevelChange) or 0 < event.price_e4 < 10_000
            if isinstance(event, LevelChange | BookSnapshot | TradePrint):
                json.loads(event.payload)
    assert 1000 < refused < 6000


@pytest.mark.parametrize(("name", "use_yes_price"), [("yes_price", True), ("no_leg_price", False)])
def test_a_recorded_session_folds_into_a_book_without_a_hole(shared_dir: Path, name: str, use_yes_price: bool) -> None:
    book, sequence = Book(), 0
    path = shared_dir / f"venues/kalshi-samples/ws_session.{name}.jsonl"
    for line in path.read_bytes().splitlines():
        for event in parse_frame(line, use_yes_price=use_yes_price):
            if isinstance(event, BookSnapshot | LevelChange):
                assert event.sequence == sequence + 1
                sequence = event.sequence
                book.replace(event) if isinstance(event, BookSnapshot) else book.apply(event)
                assert not book.is_crossed
    assert sequence > 2


MARKET = {
    "ticker": "KXHIGHNY-26NOV21-T50",
    "event_ticker": "KXHIGHNY-26NOV21",
    "title": "Will it be warm?",
    "yes_sub_title": "51° or above",
    "status": "active",
    "open_time": "2026-11-20T15:00:00Z",
    "close_time": "2026-11-22T04:59:00Z",
    "expected_expiration_time": "2026-11-22T14:00:00Z",
    "settlement_timer_seconds": 3600,
    "strike_type": "between",
    "floor_strike": 50.25,
    "cap_strike": 95000,
    "rules_primary": "First.",
    "rules_secondary": "Second.",
    "result": "",
    "price_ranges": [
        {"start": "0.1000", "end": "0.9000", "step": "0.0100"},
        {"start": "0.0000", "end": "0.1000", "step": "0.0010"},
    ],
    "yes_bid_dollars": "0.4000",
    "volume_fp": "12.50",
    "exchange_index": 2,
}
EVENT = {
    "event_ticker": "KXHIGHNY-26NOV21",
    "series_ticker": "KXHIGHNY",
    "title": "High",
    "sub_title": "On Nov 21",
    "mutually_exclusive": True,
    "category": "Climate",
}
SERIES = {"ticker": "KXHIGHNY", "fee_type": "quadratic_with_maker_fees", "fee_multiplier": 0.5}
DURING, AFTER = datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)


def test_a_market_takes_what_it_lacks_from_its_event_and_series() -> None:
    market = parse_market(dict(MARKET), EVENT, SERIES, now=DURING)
    assert market.status == "open"
    assert market.listing.event_title == "High On Nov 21"
    assert market.listing.rules == "First.\n\nSecond."
    assert market.listing.strike == {"type": "between", "floor": "50.25", "cap": "95000"}
    assert market.listing.category == "Climate"
    assert market.terms.series_id == "KXHIGHNY"
    assert market.terms.price_ranges == ((0, 1_000, 10), (1_000, 9_000, 100))
    assert market.terms.fee_schedule == {"fee_type": "quadratic_with_maker_fees", "fee_multiplier": "0.5"}
    assert market.terms.is_exclusive_event
    assert market.terms.exchange_index == 2
    assert market.expected_settle_time == datetime(2026, 11, 22, 15, tzinfo=UTC)
    assert market.volatile == {"yes_bid": "0.4000", "volume": "12.50"}
    assert market.payload == MARKET


def test_an_events_fee_override_goes_before_its_series() -> None:
    event = EVENT | {"fee_type_override": "quadratic", "fee_multiplier_override": 1}
    schedule = parse_market(dict(MARKET), event, SERIES).terms.fee_schedule
    assert schedule == {"fee_type": "quadratic", "fee_multiplier": "1"}
    assert from_json("kalshi", schedule)
    assert parse_market(dict(MARKET)).terms.fee_schedule == {}


@pytest.mark.parametrize(
    ("word", "now", "expected"),
    [
        ("initialized", AFTER, "unopened"),
        ("active", DURING, "open"),
        ("active", AFTER, "closed"),
        ("active", None, "open"),
        ("inactive", DURING, "paused"),
        ("inactive", AFTER, "closed"),
        ("closed", DURING, "closed"),
        ("determined", AFTER, "determined"),
        ("disputed", AFTER, "determined"),
        ("finalized", AFTER, "settled"),
        ("a_new_word", DURING, "unknown"),
    ],
)
def test_the_close_time_decides_what_the_status_word_does_not_say(
    word: str, now: datetime | None, expected: str
) -> None:
    assert parse_market(MARKET | {"status": word}, now=now).status == expected


@pytest.mark.parametrize(
    ("result", "value", "settlement"),
    [("yes", None, 10_000), ("no", "0.0000", 0), ("scalar", "0.3700", 3_700), ("scalar", None, None), ("", "", None)],
)
def test_the_settlement_value_is_what_a_yes_pays(result: str, value: str | None, settlement: int | None) -> None:
    market = parse_market(MARKET | {"result": result, "settlement_value_dollars": value})
    assert market.settlement_e4 == settlement


@pytest.mark.parametrize(
    "change",
    [
        {"ticker": ""},
        {"event_ticker": None},
        {"status": ""},
        {"price_ranges": [{"start": "0"}]},
        {"price_ranges": [{"start": "0", "end": "1", "step": "0"}]},
        {"floor_strike": "high"},
        {"title": 5},
        {"price_ranges": 7},
    ],
)
def test_a_market_that_cannot_be_read_is_malformed(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedFrame):
        parse_market(MARKET | change)


def test_every_sample_market_is_parsed(shared_dir: Path) -> None:
    folder = shared_dir / "venues/kalshi-samples"
    count = 0
    for path in sorted(folder.glob("rest_*market*.json")) + sorted(folder.glob("rest_event*.json")):
        document = json.loads(path.read_bytes())
        events = [document["event"]] if "event" in document else document.get("events", [])
        pairs = [(market, event) for event in events for market in event.get("markets") or []]
        pairs += [(market, {}) for market in document.get("markets", [])]
        if isinstance(document.get("market"), dict):
            pairs.append((document["market"], {}))
        for market, event in pairs:
            parsed = parse_market(market, event, now=DURING)
            assert parsed.listing.market_id == market["ticker"]
            assert parsed.listing.title
            assert parsed.listing.close_time is not None
            count += 1
    assert count > 30
