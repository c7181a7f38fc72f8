"""The deterministic machine: frames in, rows and requests out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.market.book import Book
from streams.market.errors import MalformedFrame
from streams.market.events import BookSnapshot, BookStale, LevelChange, MarketEvent, Quote
from streams.market.identity import Venue
from streams.recorder.observer import ObserverGuard
from streams.recorder.pipeline import Pipeline
from streams.recorder.sources import PARSERS
from streams.storage.recording import RowBatch
from streams.storage.segments import Record, RecordKind
from streams.venues.kalshi.types.market_frames import stale_frame
from tests.support.kalshi_frames import KalshiFrames

START_NS = 1_700_000_000_000_000_000


class Bench:
    """A pipeline with one open connection and a clock that moves a millisecond per record."""

    def __init__(self, parser: Any = None, venue: Venue = Venue.KALSHI, markets: tuple[str, ...] = ("A", "B")) -> None:
        self.parsers = PARSERS if parser is None else {"kalshi": replace(PARSERS[str(venue)], make=parser)}
        self.pipeline = Pipeline(self.parsers)
        self.pipeline.begin(5, 8)
        self.venue = venue
        self.offset = 8
        self.now_ns = START_NS
        self.feed(RecordKind.OPENED, orjson.dumps({"parser": "kalshi"}))
        self.feed(RecordKind.MARKETS, orjson.dumps({"add": [[m, "", ""] for m in markets], "remove": []}))

    def feed(self, kind: int, body: bytes, later_ns: int = 1_000_000) -> None:
        self.now_ns += later_ns
        self.pipeline.consume(Record(self.offset, self.offset + 10, kind, self.venue, 1, self.now_ns, body))
        self.offset += 10

    def frame(self, body: bytes) -> None:
        self.feed(RecordKind.FRAME, body)

    def take(self) -> RowBatch:
        return self.pipeline.take()

    @property
    def stale_count(self) -> int:
        return sum(not state.is_live for state in self.pipeline.connections[1].books.values())


def columns(batch: RowBatch, table: str, *numbers: int) -> list[tuple[str, ...]]:
    return [tuple(line.rstrip("\n").split("\t")[n] for n in numbers) for line in batch.lines[table]]


def started(frames: KalshiFrames) -> Bench:
    bench = Bench()
    bench.frame(frames.snapshot("A", [("0.4000", "10.00")], [("0.6000", "5.00")]))
    bench.frame(frames.snapshot("B", [("0.2000", "1.00")], []))
    bench.take()
    return bench


def test_a_delta_row_states_both_the_change_and_the_size_after() -> None:
    frames = KalshiFrames()
    bench = started(frames)
    bench.frame(frames.delta("A", "yes", "0.4000", "-4.00"))
    batch = bench.take()
    assert columns(batch, "book_deltas", 1, 2, 3, 4, 5, 6) == [("kalshi", "A", "bid", "4000", "-4000000", "6000000")]
    assert columns(batch, "quotes", 3, 4, 5, 6, 7) == [("4000", "6000000", "6000", "5000000", "live")]


def test_a_change_behind_the_best_price_writes_no_quote() -> None:
    frames = KalshiFrames()
    bench = started(frames)
    bench.frame(frames.delta("A", "yes", "0.3000", "4.00"))
    assert bench.take().lines["quotes"] == []


def test_acknowledgements_and_errors_of_a_subscription_take_numbers_and_make_no_hole() -> None:
    frames = KalshiFrames()
    bench = started(frames)
    for kind, message in (
        ("ok", {"market_tickers": ["A", "B"]}),
        ("error", {"code": 14, "msg": "Market Ticker required"}),
        ("another_channel", {"is": "a frame we have no use for under this number"}),
    ):
        bench.frame(frames._frame(kind, message))
    bench.frame(orjson.dumps({"type": "subscribed", "id": 9, "msg": {"channel": "trade", "sid": 2}}))
    bench.frame(frames.delta("A", "yes", "0.4000", "1.00"))
    assert bench.pipeline.counters["holes"] == 0
    assert bench.stale_count == 0


def test_an_ended_subscription_makes_its_books_stale_and_keeps_the_connection() -> None:
    frames = KalshiFrames()
    bench = started(frames)
    bench.frame(frames._frame("error", {"code": 25, "msg": "Subscription buffer overflow"}))
    assert bench.stale_count == 2
    assert (bench.pipeline.reconnects, bench.pipeline.requests) == ([], [(1, "A"), (1, "B")])
    again = KalshiFrames(sid=7)
    bench.frame(again.snapshot("A", [("0.4000", "10.00")], []))
    assert bench.stale_count == 1
    bench.frame(orjson.dumps({"type": "error", "msg": {"code": 10, "msg": "Channel error"}}))
    assert bench.stale_count == 2
    assert bench.pipeline.reconnects == [1]


def test_a_word_of_our_own_feed_makes_a_book_stale_and_asks_for_it() -> None:
    bench = started(KalshiFrames())
    bench.pipeline.connections[1].parse = lambda _raw: [BookStale(Venue.KALSHI, name, "silent_token") for name in "AZ"]
    bench.frame(b"{}")
    batch = bench.take()
    assert [(change.market_id, change.cause) for change in batch.coverage] == [("A", "silent_token")]
    assert bench.pipeline.requests == [(1, "A")]


def test_a_change_that_cannot_be_read_makes_the_book_of_its_market_stale_at_once_and_no_other() -> None:
    frames = KalshiFrames()
    bench = started(frames)
    bench.frame(frames.delta("A", "yes", "nothing", "1.00"))
    bench.frame(frames.delta("B", "yes", "0.2000", "1.00"))
    batch = bench.take()
    assert len(batch.lines["dead_letters"]) == 1
    assert columns(batch, "quotes", 2, 7) == [("A", "stale"), ("B", "live")]
    assert [change.cause for change in batch.coverage] == ["unreadable_frame"]
    assert bench.pipeline.requests == [(1, "A")]
    assert bench.pipeline.counters["holes"] == 0, "its number was read and counts"
    bench.frame(frames.snapshot("A", [("0.4000", "10.00")], [("0.6000", "5.00")]))
    assert columns(bench.take(), "quotes", 2, 7) == [("A", "live")]


@pytest.mark.parametrize(
    ("raw", "stale"),
    [
        (b"\x00not json", 0),
        (b"[1]", 0),
        (b"", 0),
        (b"INVALID OPERATION", 0),
        (b"pong", 0),
        (b"null", 0),
        (b"\xff\xfe", 0),
        (b'"A"', 0),
        (b"[" * 100_000, 0),
        (b'{"type": "orderbook_delta", "sid": 1, "seq": 3, "msg": {"market_ticker": "A", "pri', 1),
        (b'{"type": "orderbook_delta", "sid": 1, "seq": 3, "msg": {"mark', 2),
        (b'{"type": "orderbook_delta", "sid": 9, "seq": 3, "msg": {"mark', 0),
        (b'{"type": "orderbook_delta", "sid": 1, "seq": 3, "msg": {"market_ticker": "Z"}}', 2),
        (b'{"type": "trade", "sid": 2, "seq": 3, "msg": {"market_ticker": "A", "count_fp": 5}}', 0),
        (b'{"type": "trade", "sid": 2, "seq": 3, "msg": {"market_ticker": "A", "cou', 0),
        (b'{"type": "orderbook_new", "sid": 1, "seq": 3, "msg": {"delta_fp": "1"}}', 2),
        (b'{"type": "trade", "sid": 99, "msg": {"market_ticker": 5}}', 0),
        (b'[{"market": "A", "price": "x"}]', 1),
        (b'{"type": "crossbook_polled_book", "msg": {"market_ticker": "B"}}', 1),
        (b'{"type": "error"}', 2),
    ],
)
def test_what_an_unreadable_frame_may_have_changed_is_stale(raw: bytes, stale: int) -> None:
    bench = started(KalshiFrames())

    def refuse(raw: bytes) -> list[MarketEvent]:
        raise MalformedFrame(raw, "it is wrong")

    bench.pipeline.connections[1].parse = refuse
    bench.frame(raw)
    assert bench.stale_count == stale


def test_a_polled_book_is_marked_in_its_snapshots_and_quotes() -> None:
    seen: list[Quote] = []

    class Watcher:
        def on_quote(self, quote: Quote, book: Book) -> None:
            seen.append(quote)

        def on_tick(self, now_ns: int) -> None: ...

        def close(self) -> None: ...

    pipeline = Pipeline(PARSERS, ObserverGuard([Watcher()]))
    pipeline.begin(5, 8)
    message = {"market_ticker": "A", "yes_dollars": [["0.40", "1.00"]], "no_dollars": [["0.50", "2.00"]]}
    for kind, body in (
        (RecordKind.OPENED, {"parser": "kalshi_polling"}),
        (RecordKind.MARKETS, {"add": [["A", "", ""]], "remove": []}),
        (RecordKind.FRAME, {"type": "crossbook_polled_book", "msg": message}),
    ):
        pipeline.consume(Record(8, 9, kind, Venue.KALSHI, 1, START_NS, orjson.dumps(body)))
    assert [(quote.is_live, quote.is_polled) for quote in seen] == [(True, True)]
    batch = pipeline.take()
    assert columns(batch, "book_snapshots", 3, -1) == [("polled", "t")]
    assert columns(batch, "quotes", 7, -1) == [("live", "t")]
    # The books kept every minute and the quotes confirmed in between say it too, also in a segment that goes on.
    again = Pipeline(PARSERS)
    again.begin(6, 8)
    for number, body in ((1, pipeline.dump()), (2, b"")):
        kind = RecordKind.STATE if number == 1 else RecordKind.TICK
        again.consume(Record(8, 9, kind, None, 0, START_NS + 60_000_000_000, body))
    later = again.take()
    assert columns(later, "book_snapshots", 3, -1) == [("periodic", "t")]
    assert columns(later, "quotes", 7, -1) == [("live", "t")]


def test_a_streamed_book_is_not_marked_as_polled() -> None:
    bench = Bench()
    bench.frame(KalshiFrames().snapshot("A", [("0.4000", "10.00")], [("0.6000", "5.00")]))
    batch = bench.take()
    assert columns(batch, "book_snapshots", 3, -1) == [("received", "f")]
    assert columns(batch, "quotes", 7, -1) == [("live", "f")]


def test_a_hole_makes_every_book_of_the_subscription_stale_until_its_snapshot() -> None:
    frames = KalshiFrames()
    bench = started(frames)
    frames.sequence += 1
    bench.frame(frames.delta("A", "yes", "0.4000", "1.00"))
    batch = bench.take()
    assert [(c.market_id, c.state, c.cause) for c in batch.coverage] == [
        ("A", "gap", "sequence_hole"),
        ("B", "gap", "sequence_hole"),
    ]
    assert columns(batch, "quotes", 2, 3, 7) == [("A", "\\N", "stale"), ("B", "\\N", "stale")]
    assert bench.pipeline.requests == [(1, "A"), (1, "B")]
    bench.frame(frames.snapshot("A", [("0.4000", "11.00")], [("0.6000", "5.00")]))
    batch = bench.take()
    assert [(c.market_id, c.state) for c in batch.coverage] == [("A", "covered")]
    assert columns(batch, "quotes", 2, 3, 7) == [("A", "4000", "live")]


def test_a_delta_before_any_snapshot_leaves_the_book_stale() -> None:
    frames = KalshiFrames()
    bench = Bench()
    bench.frame(frames.delta("A", "yes", "0.4000", "1.00"))
    batch = bench.take()
    assert len(batch.lines["book_deltas"]) == 1
    assert batch.lines["quotes"] == []


def test_a_negative_level_makes_the_book_stale_and_keeps_the_fact() -> None:
    frames = KalshiFrames()
    bench = started(frames)
    bench.frame(frames.delta("A", "yes", "0.4000", "-11.00"))
    batch = bench.take()
    assert columns(batch, "book_deltas", 5, 6) == [("-11000000", "-1000000")]
    assert [(c.market_id, c.cause) for c in batch.coverage] == [("A", "negative_level")]


def test_an_acknowledgement_counts_in_the_sequence() -> None:
    frames = KalshiFrames()
    bench = started(frames)
    frames.sequence += 1
    ack = {"type": "ok", "id": 3, "sid": 1, "seq": frames.sequence, "msg": {"market_tickers": ["A", "B"]}}
    bench.frame(orjson.dumps(ack))
    bench.frame(frames.delta("A", "yes", "0.4000", "1.00"))
    assert bench.take().coverage == []


def test_what_does_not_parse_is_a_dead_letter_with_its_bytes() -> None:
    bench = started(KalshiFrames())
    bench.frame(b'{"type": "orderbook_delta", \xff\tcut')
    batch = bench.take()
    assert len(batch.lines["dead_letters"]) == 1
    assert b'{"type": "orderbook_delta", \xff\tcut'.hex() in batch.lines["dead_letters"][0]


def test_a_lost_connection_makes_its_books_stale() -> None:
    bench = started(KalshiFrames())
    bench.feed(RecordKind.CLOSED, orjson.dumps({"cause": "silence", "since_ns": START_NS}))
    batch = bench.take()
    assert {(c.state, c.cause, c.at_ns) for c in batch.coverage} == {("gap", "silence", START_NS)}
    assert columns(batch, "quotes", 7) == [("stale",), ("stale",)]


def test_each_minute_every_live_book_is_kept_whole() -> None:
    bench = started(KalshiFrames())
    bench.feed(RecordKind.TICK, b"", later_ns=60_000_000_000)
    batch = bench.take()
    assert columns(batch, "book_snapshots", 2, 3, 5) == [
        ("A", "periodic", "[[4000,10000000]]"),
        ("B", "periodic", "[[2000,1000000]]"),
    ]
    assert columns(batch, "quotes", 2, 7) == [("A", "live"), ("B", "live")]


def scripted(*events: list[MarketEvent]) -> Any:
    """A parser that gives these events for the frames 0, 1, 2, ..."""
    return lambda _markets: lambda raw: events[int(raw)]


def polymarket_change(best_bid: int, best_ask: int) -> LevelChange:
    return LevelChange(
        Venue.POLYMARKET, "A", "bid", 4100, size_after_e6=7, best_bid_e4=best_bid, best_ask_e4=best_ask, payload=b"{}"
    )


def book(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> BookSnapshot:
    return BookSnapshot(Venue.POLYMARKET, "A", bids, asks)


@pytest.mark.parametrize(
    ("stated", "state"), [((4100, 6000), "live"), ((4200, 6000), "stale"), ((4100, 5900), "stale")]
)
def test_best_prices_that_differ_make_a_polymarket_book_stale(stated: tuple[int, int], state: str) -> None:
    bench = Bench(scripted([book([(4000, 5)], [(6000, 5)])], [polymarket_change(*stated)]), Venue.POLYMARKET)
    bench.frame(b"0")
    bench.take()
    bench.frame(b"1")
    assert columns(bench.take(), "quotes", 7) == [(state,)]


def removal(price_e4: int) -> LevelChange:
    return LevelChange(Venue.POLYMARKET, "A", "bid", price_e4, size_after_e6=0, payload=b"{}")


def test_a_removal_of_a_level_never_seen_shows_that_its_change_was_missed() -> None:
    bench = Bench(scripted([book([(4000, 5)], [(6000, 5)])], [removal(3000)]), Venue.POLYMARKET)
    bench.frame(b"1")
    assert bench.pipeline.requests == []
    bench.frame(b"0")
    bench.take()
    bench.frame(b"1")
    batch = bench.take()
    assert [(change.state, change.cause) for change in batch.coverage] == [("gap", "unknown_level")]
    assert columns(batch, "quotes", 7) == [("stale",)]
    assert bench.pipeline.requests == [(1, "A")]
    bench.frame(b"0")
    assert [change.state for change in bench.take().coverage] == ["covered"]


@pytest.mark.parametrize("later_s", [0, 3])
@pytest.mark.parametrize("is_restored", [False, True])
def test_a_removal_that_is_reported_again_a_moment_later_is_no_gap(later_s: int, is_restored: bool) -> None:
    before, matched = book([(4000, 5), (3900, 2)], [(6000, 5)]), book([(3900, 2)], [(6000, 5)])
    # The match is reported by the books of both tokens; what follows are its removals and one that came in two frames.
    parser = scripted([before], [matched], [matched], [removal(3900)], [removal(4000)], [removal(3900)])
    bench = Bench(parser, Venue.POLYMARKET)
    for number in range(4):
        bench.frame(str(number).encode())
    bench.take()
    if is_restored:
        state = bench.pipeline.dump()
        bench.pipeline = Pipeline(bench.parsers)
        bench.pipeline.begin(5, bench.offset)
        bench.feed(RecordKind.STATE, state)
    bench.now_ns += later_s * 1_000_000_000
    bench.frame(b"4")
    bench.frame(b"5")
    assert [change.cause for change in bench.take().coverage] == (["unknown_level"] if later_s else [])


def test_a_book_frame_is_classified_against_the_book_before() -> None:
    before, fill = book([(4000, 5), (3900, 2)], [(6000, 5)]), book([(3900, 2)], [(6000, 5)])
    other = book([(3900, 2), (3800, 1)], [(6000, 4)])
    bench = Bench(scripted([before], [before], [fill], [other]), Venue.POLYMARKET)
    for number in range(4):
        bench.frame(str(number).encode())
    batch = bench.take()
    assert columns(batch, "book_snapshots", 4) == [("\\N",), ("equal",), ("fill",), ("unexplained",)]
    assert [(c.state, c.cause) for c in batch.coverage if c.market_id == "A"][-2:] == [
        ("gap", "unexplained_difference"),
        ("covered", ""),
    ]


def test_a_crossed_book_is_not_quoted_and_is_resynchronised_when_it_stays_so() -> None:
    bench = Bench(scripted([book([(6100, 5)], [(6000, 5)])]), Venue.POLYMARKET)
    bench.frame(b"0")
    assert columns(bench.take(), "quotes", 3, 7) == [("\\N", "crossed")]
    bench.feed(RecordKind.TICK, b"", later_ns=30_000_000_000)
    assert [c.cause for c in bench.take().coverage] == ["crossed"]
    assert bench.pipeline.requests == [(1, "A")]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_pipeline_restored_from_its_state_goes_on_exactly_as_before(data: st.DataObject) -> None:
    frames = KalshiFrames()
    bench = Bench()
    steps = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from("AB"),
                st.sampled_from(["yes", "no"]),
                st.integers(1, 9),
                st.integers(-3, 5),
                st.booleans(),
            ),
            min_size=4,
            max_size=25,
        )
    )
    cut = data.draw(st.integers(0, len(steps)))
    bench.frame(frames.snapshot("A", [("0.1000", "10.00")], [("0.9500", "5.00")]))
    other: Pipeline | None = None
    for number, (market, side, price, change, is_whole) in enumerate(steps):
        if number == cut:
            bench.take()
            other = Pipeline(PARSERS)
            other.begin(5, bench.offset)
            state = Record(0, bench.offset, RecordKind.STATE, None, 0, bench.now_ns, bench.pipeline.dump())
            other.consume(state)
        level = f"{price / 10:.4f}"
        raw = (
            frames.snapshot(market, [(level, "2.00")], [])
            if is_whole
            else frames.delta(market, side, level, f"{change}.00")
        )
        bench.frame(raw)
        if other is not None:
            other.consume(Record(bench.offset - 10, bench.offset, RecordKind.FRAME, Venue.KALSHI, 1, bench.now_ns, raw))
    if other is not None:
        expected, found = bench.take(), other.take()
        assert (found.lines, found.coverage) == (expected.lines, expected.coverage)


def test_a_book_that_is_not_carried_says_so_in_the_coverage_whether_it_was_live_or_never_came() -> None:
    bench = started(KalshiFrames())
    bench.feed(RecordKind.MARKETS, orjson.dumps({"add": [["C", "", ""]], "remove": []}))
    bench.take()
    for _ in range(2):
        bench.frame(stale_frame(["A", "C", "unknown"], "not_carried: 26 Subscription market limit exceeded"))
    coverage = [(change.market_id, change.state, change.cause) for change in bench.take().coverage]
    assert coverage == [
        (market, "gap", "not_carried: 26 Subscription market limit exceeded") for market in ("A", "C")
    ]  # fmt: skip
