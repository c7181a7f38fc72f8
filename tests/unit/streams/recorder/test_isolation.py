"""One bad frame costs one book at most: texts, drifted schemas and events that cannot be applied, on both venues."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams.market.errors import MalformedFrame
from streams.market.identity import Venue
from streams.recorder.pipeline import Pipeline
from streams.recorder.sources import PARSERS
from streams.storage.recording import RowBatch
from streams.storage.segments import Record, RecordKind
from streams.venues.kalshi.types.market_frames import parse_frame as parse_kalshi
from streams.venues.polymarket.market_frames import TokenRef
from streams.venues.polymarket.market_frames import parse_frame as parse_polymarket
from tests.support.kalshi_frames import KalshiFrames

START_NS = 1_700_000_000_000_000_000
TOKENS = {"11": TokenRef("M1", "yes"), "12": TokenRef("M1", "no")}
TEXTS = [
    b"",
    b"INVALID OPERATION",
    b"pong",
    b"PONG PONG",
    b"null",
    b"5",
    b'"M1"',
    b"[]",
    b"[1]",
    b"\xff",
    b"<html>M1</html>",
]


class Polymarket:
    """A pipeline with a Polymarket connection over the markets M1 and M2."""

    def __init__(self) -> None:
        self.pipeline = Pipeline(PARSERS)
        self.pipeline.begin(5, 8)
        self.offset = 8
        self.feed(RecordKind.OPENED, orjson.dumps({"parser": "polymarket"}))
        added = [["M1", "11", "12"], ["M2", "21", "22"]]
        self.feed(RecordKind.MARKETS, orjson.dumps({"add": added, "remove": []}))
        self.frame([self.book("11"), self.book("21")])
        self.pipeline.take()

    def feed(self, kind: int, body: bytes) -> None:
        at_ns = START_NS + self.offset
        self.pipeline.consume(Record(self.offset, self.offset + 10, kind, Venue.POLYMARKET, 1, at_ns, body))
        self.offset += 10

    def frame(self, document: Any) -> None:
        self.feed(RecordKind.FRAME, document if isinstance(document, bytes) else orjson.dumps(document))

    def book(self, token: str, **other: Any) -> dict[str, Any]:
        levels = {"bids": [{"price": "0.4", "size": "1"}], "asks": [{"price": "0.6", "size": "2"}]}
        return {"event_type": "book", "market": f"M{token[0]}", "asset_id": token, "timestamp": "1", **levels} | other

    @property
    def live(self) -> list[str]:
        return [name for name, state in self.pipeline.connections[1].books.items() if state.is_live]

    def take(self) -> RowBatch:
        return self.pipeline.take()


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_that_is_no_document_keeps_every_polymarket_book(text: bytes) -> None:
    bench = Polymarket()
    bench.frame(text)
    assert bench.live == ["M1", "M2"]
    letters = bench.take().lines["dead_letters"]
    assert len(letters) == (text != b"[]")
    assert all(text.hex() in letter for letter in letters)
    assert bench.pipeline.requests == []


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_that_is_no_document_keeps_every_kalshi_book(text: bytes) -> None:
    frames = KalshiFrames()
    pipeline = Pipeline(PARSERS)
    pipeline.begin(5, 8)
    opened = orjson.dumps({"parser": "kalshi"}), orjson.dumps({"add": [["M1", "", ""]], "remove": []})
    book = frames.snapshot("M1", [("0.4000", "10.00")], [])
    records = [(RecordKind.OPENED, opened[0]), (RecordKind.MARKETS, opened[1])]
    for kind, body in [
        *records,
        *((RecordKind.FRAME, raw) for raw in (book, text, frames.delta("M1", "yes", "0.4", "1"))),
    ]:
        pipeline.consume(Record(8, 9, kind, Venue.KALSHI, 1, START_NS, body))
    assert pipeline.connections[1].books["M1"].is_live
    assert pipeline.counters["dead_letters"] == 1


@pytest.mark.parametrize(
    ("drifted", "live"),
    [
        ({"bids": None}, ["M2"]),
        ({"bids": [["0.4", "1"]]}, ["M2"]),
        ({"bids": [{"price": 0.4, "size": "1"}]}, ["M2"]),
        ({"bids": [{"p": "0.4", "s": "1"}]}, ["M2"]),
        ({"bids": {"0.4": "1"}}, ["M2"]),
        ({"event_type": "book_v2"}, ["M2"]),
        ({"event_type": ""}, ["M2"]),
        ({"asset_id": 11}, ["M2"]),
        ({"asset_id": ""}, ["M2"]),
        ({"market": None, "asset_id": None}, []),
    ],
)
def test_a_polymarket_book_of_another_shape_is_refused(drifted: dict[str, Any], live: list[str]) -> None:
    bench = Polymarket()
    bench.frame(bench.book("11", **drifted))
    assert bench.live == live
    assert bench.pipeline.counters["dead_letters"] == 1
    assert [name for _, name in bench.pipeline.requests] == [name for name in ("M1", "M2") if name not in live]


@pytest.mark.parametrize("missing", ["bids", "asks"])
def test_a_polymarket_book_without_a_side_is_refused(missing: str) -> None:
    bench = Polymarket()
    book = bench.book("11")
    del book[missing]
    bench.frame(book)
    assert bench.live == ["M2"]


@pytest.mark.parametrize(
    "change",
    [
        {"price_changes": None},
        {"changes": [{"asset_id": "11", "price": "0.4", "size": "0", "side": "BUY"}]},
        {"price_changes": [{"asset_id": "11", "price": "0.4", "amount": "0", "side": "BUY"}]},
        {"price_changes": [{"asset_id": "11", "price": "0.4", "size": "0", "side": "HOLD"}]},
        {"price_changes": {"asset_id": "11"}},
    ],
)
def test_a_polymarket_change_of_another_shape_costs_its_market(change: dict[str, Any]) -> None:
    bench = Polymarket()
    bench.frame({"event_type": "price_change", "market": "M1", "timestamp": "1", **change})
    assert bench.live == ["M2"]


@pytest.mark.parametrize(
    "kind", ["last_trade_price", "best_bid_ask", "tick_size_change", "market_resolved", "new_market"]
)
def test_an_unreadable_frame_that_changes_no_book_keeps_it(kind: str) -> None:
    bench = Polymarket()
    bench.frame({"event_type": kind, "market": "M1", "asset_id": "11", "timestamp": "never"})
    assert bench.live == ["M1", "M2"]
    assert bench.pipeline.counters["dead_letters"] == 1


@pytest.mark.parametrize(
    "message",
    [
        {"market_ticker": "A", "yes": [["0.4", "1"]], "no": [["0.5", "1"]]},
        {"market_ticker": "A", "yes_dollars": [["0.4", "1"]]},
        {"market_ticker": "A", "yes_dollars_fp": [["0.4", "1"]], "asks": [["0.5", "1"]]},
        {"market_ticker": "A", "book": {"yes": [], "no": []}},
        {"market_ticker": "A", "yes_dollars_fp": [["0.4", "1", "5"]]},
        {"market_ticker": "A", "yes_dollars_fp": [[0.4, 1]]},
        {"market_ticker": "A", "yes_dollars_fp": [{"price": "0.4", "size": "1"}]},
        {"market_ticker": "A", "yes_dollars_fp": {"0.4": "1"}},
        {"market_ticker": "A", "yes_dollars_fp": None, "no_dollars_fp": None},
        {"ticker": "A", "yes_dollars_fp": []},
    ],
)
def test_a_kalshi_book_of_another_shape_is_refused(message: dict[str, Any]) -> None:
    raw = orjson.dumps({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": message})
    with pytest.raises(MalformedFrame):
        parse_kalshi(raw)


@pytest.mark.parametrize("message", [{}, {"yes_dollars_fp": [["0.4", "1"]]}, {"market_id": "u-1", "note": "text"}])
def test_a_kalshi_book_whose_empty_sides_are_left_out_is_one(message: dict[str, Any]) -> None:
    full = {"market_ticker": "A", **message}
    (event,) = parse_kalshi(orjson.dumps({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": full}))
    assert type(event).__name__ == "BookSnapshot"


@pytest.mark.parametrize("left_out", ["sid", "seq"])
@pytest.mark.parametrize("kind", ["orderbook_snapshot", "orderbook_delta"])
def test_a_kalshi_book_without_a_place_in_the_sequence_is_refused(kind: str, left_out: str) -> None:
    message = {"market_ticker": "A", "price_dollars": "0.4", "delta_fp": "1", "side": "yes"}
    frame = {"type": kind, "sid": 1, "seq": 1, "msg": message}
    del frame[left_out]
    with pytest.raises(MalformedFrame):
        parse_kalshi(orjson.dumps(frame))


def test_levels_in_a_frame_of_unknown_type_are_refused() -> None:
    with pytest.raises(MalformedFrame):
        parse_kalshi(b'{"type":"orderbook_delta_v3","sid":1,"seq":1,"msg":{"market_ticker":"A","delta_fp":"1"}}')
    with pytest.raises(MalformedFrame):
        parse_polymarket(b'{"event_type":"book_v2","asset_id":"11","bids":[],"asks":[]}', TOKENS)


def test_an_event_that_cannot_be_applied_is_a_dead_letter_and_costs_its_market(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Polymarket()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(bench.pipeline._events, type(parse_polymarket(orjson.dumps(bench.book("11")), TOKENS)[0]), fail)
    bench.frame(bench.book("11"))
    assert bench.live == ["M2"]
    assert "ZeroDivisionError" in bench.take().lines["dead_letters"][0]


def test_a_number_that_no_subscription_can_have_reached_does_not_stop_the_counting_for_ever() -> None:
    frames = KalshiFrames()
    pipeline = Pipeline(PARSERS)
    pipeline.begin(5, 8)
    opened = orjson.dumps({"parser": "kalshi"}), orjson.dumps({"add": [["A", "", ""]], "remove": []})
    giant = orjson.dumps({"type": "ok", "sid": 1, "seq": 2**60})
    records = [(RecordKind.OPENED, opened[0]), (RecordKind.MARKETS, opened[1])]
    bodies = [frames.snapshot("A", [("0.4000", "10.00")], []), giant]
    bodies += [frames.delta("A", "yes", "0.4000", "1.00"), frames.snapshot("A", [("0.4000", "11.00")], [])]
    bodies += [frames.delta("A", "yes", "0.4000", "1.00")]
    for kind, body in [*records, *((RecordKind.FRAME, raw) for raw in bodies)]:
        pipeline.consume(Record(8, 9, kind, Venue.KALSHI, 1, START_NS, body))
    assert pipeline.connections[1].books["A"].is_live
    assert pipeline.counters["holes"] == 2
