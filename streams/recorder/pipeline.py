"""Records to rows: a deterministic machine that a live recorder and a replay of its segments both run.

Everything it knows came in as records (frames, connections opened and closed, markets followed, ticks of the clock), so
the same records give the same rows. It does no I/O; what has to be done about a book (a resync) is left in `requests`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from streams.market.book import Difference
from streams.market.errors import IntegrityError, MalformedFrame
from streams.market.events import (
    BookSnapshot,
    BookStale,
    ChannelError,
    LevelChange,
    LifecycleChange,
    MarketEvent,
    Quote,
    TickSizeChange,
    TradePrint,
)
from streams.recorder import rows
from streams.recorder.books import ENDINGS, BestPrices, ConnectionState, MarketBook, MarketKey, Parser
from streams.recorder.integrity import CROSSED_LIMIT_NS, best_prices_agree, is_difference_explained
from streams.recorder.observer import ObserverGuard
from streams.recorder.rows import SnapshotReason
from streams.storage.coverage import STARTING, CoverageChange, CoverageState
from streams.storage.recording import RowBatch
from streams.storage.segments import Record, RecordKind

_MINUTE_NS = 60_000_000_000
_CONFIRM_NS = 20_000_000_000
_LETTER_BYTES = 1_000_000  # of a larger one the rest stands in the segment

Touched = dict[int, tuple[MarketBook, LevelChange]]
"""The books that level changes of a frame changed, by identity, each with its last change."""


class Pipeline:
    """The books of one recorder shard and the rows not yet taken.

    Attributes:
        connections: Open connections by number.
        requests: (connection, market_id) of books that need a whole book from the venue; the owner empties it.
        reconnects: Numbers of connections that the venue ended as a whole; the owner empties it.
        counters: deltas, frames, gaps, holes, dead_letters, mismatches, unexplained, unwanted, ...
        last_received_ns: `received_ns` of the last record.
    """

    def __init__(self, parsers: Mapping[str, Parser], observers: ObserverGuard | None = None) -> None:
        self._parsers = parsers
        self._observers = observers
        self.connections: dict[int, ConnectionState] = {}
        self.requests: list[tuple[int, str]] = []
        self.reconnects: list[int] = []
        self.counters: Counter[str] = Counter()
        self.last_received_ns = 0
        self.last_venue_lag_ms: int | None = None
        self._next_minute_ns = 0
        self._next_confirm_ns = 0
        self._times = rows.TimeText()
        self._sent_times = rows.TimeText()
        self._batch = RowBatch(0, 0, 0)
        self._at = ""
        self._place = ""
        self._now_ns = 0
        self._kinds = {
            RecordKind.OPENED: self._on_opened,
            RecordKind.CLOSED: self._on_closed,
            RecordKind.MARKETS: self._on_markets,
            RecordKind.STATE: self._on_state,
            RecordKind.TICK: lambda _record: None,
            RecordKind.STALE: self._on_stale,
        }
        self._events: dict[type, Callable[[ConnectionState, Any, int, Touched], None]] = {
            LevelChange: self._on_level_change,
            BookSnapshot: self._on_snapshot,
            TradePrint: self._on_trade,
            LifecycleChange: self._on_lifecycle,
            TickSizeChange: self._on_tick_size,
            ChannelError: self._on_channel_error,
            BookStale: self._on_book_stale,
        }

    def begin(self, segment_id: int, start_offset: int, end_offset: int | None = None) -> None:
        """Rows from here on belong to `segment_id`, whose records up to `end_offset` make none.

        Earlier rows must have been taken.
        """
        self._batch = RowBatch(segment_id, start_offset, start_offset if end_offset is None else end_offset)

    def take(self) -> RowBatch:
        """Return the rows made since the last call and start a new batch after them."""
        taken = self._batch
        self._batch = RowBatch(taken.segment_id, taken.end_offset, taken.end_offset)
        return taken

    def extend_to(self, end_offset: int) -> None:
        """Records that were processed before they could be written end here."""
        self._batch.end_offset = end_offset

    @property
    def pending_rows(self) -> int:
        """How many rows have not been taken."""
        return self._batch.rows

    def dump(self) -> bytes:
        """Return the whole state as JSON: the body of a STATE record."""
        return orjson.dumps(
            {
                "connections": [connection.dump() for connection in self.connections.values()],
                "next_minute": self._next_minute_ns,
                "next_confirm": self._next_confirm_ns,
            }
        )

    def consume(self, record: Record) -> None:
        """Process one record and make its rows."""
        self._now_ns = self.last_received_ns = record.received_ns
        self._at = self._times.of_ns(record.received_ns)
        self._place = f"{self._batch.segment_id}\t{record.offset}"
        if record.received_ns >= self._next_confirm_ns and record.kind != RecordKind.STATE:
            self._on_time()
        if record.kind == RecordKind.FRAME:
            self._on_frame(record)
        else:
            self._kinds[RecordKind(record.kind)](record)
        self._batch.end_offset = record.end

    # -- connections ------------------------------------------------------------------------------------------------

    def _on_opened(self, record: Record) -> None:
        name = orjson.loads(record.body)["parser"]
        assert record.venue is not None
        self.connections[record.connection] = ConnectionState(
            record.connection, record.venue, name, self._parsers[name]
        )

    def _on_closed(self, record: Record) -> None:
        connection = self.connections.pop(record.connection, None)
        if connection is None:
            return
        body = orjson.loads(record.body)
        for state in connection.books.values():
            self._make_stale(state, body["cause"], request=False, since_ns=body.get("since_ns"))

    def _on_markets(self, record: Record) -> None:
        """Follow other markets. What a connection that is gone had may leave too; a market may leave and come."""
        connection = self.connections.get(record.connection)
        change = orjson.loads(record.body)
        for state in connection.remove(change["remove"]) if connection else ():
            state.is_live = False
            self._emit_quote(state)
        assert record.venue is not None
        for market_id in change["remove"]:
            self._batch.coverage.append(CoverageChange(record.venue, market_id, "ended", "", self._now_ns))
        for state in connection.add([MarketKey(*key) for key in change["add"]]) if connection else ():
            self._write_coverage(state, "gap", STARTING)

    def _on_state(self, record: Record) -> None:
        document = orjson.loads(record.body)
        self._next_minute_ns = document["next_minute"]
        self._next_confirm_ns = document["next_confirm"]
        self.connections = {
            entry["number"]: ConnectionState.load(entry, self._parsers[entry["parser"]])
            for entry in document["connections"]
        }

    def _on_stale(self, record: Record) -> None:
        connection = self.connections.get(record.connection)
        request = orjson.loads(record.body)
        for market_id in request["markets"]:
            state = connection.books.get(market_id) if connection else None
            if state is not None:
                self._make_stale(state, request["cause"])

    # -- time -------------------------------------------------------------------------------------------------------

    def _on_time(self) -> None:
        """Every twenty seconds confirm live quotes, so that as-of joins find them; every minute keep whole books."""
        is_minute = self._now_ns >= self._next_minute_ns
        self._next_confirm_ns = (self._now_ns // _CONFIRM_NS + 1) * _CONFIRM_NS
        self._next_minute_ns = (self._now_ns // _MINUTE_NS + 1) * _MINUTE_NS
        for connection in self.connections.values():
            for state in connection.books.values():
                if self._has_been_crossed_too_long(state):
                    self._make_stale(state, "crossed")
                if state.is_live:
                    if state.quote is not None and state.quote.state == "live":
                        self._write_quote(state, state.quote)
                    if is_minute:
                        self._write_snapshot(state.as_snapshot(), "periodic", None)

    def _has_been_crossed_too_long(self, state: MarketBook) -> bool:
        since = state.crossed_since_ns
        return state.is_live and since is not None and self._now_ns - since > CROSSED_LIMIT_NS

    # -- frames -----------------------------------------------------------------------------------------------------

    def _on_frame(self, record: Record) -> None:
        assert record.venue is not None
        self._batch.venue_frames[record.venue] += 1
        self.counters["frames"] += 1
        connection = self.connections.get(record.connection)
        if connection is None:
            self._dead_letter(record, "frame of a connection that is not open")
            return
        try:
            events = connection.parse(record.body)
        except MalformedFrame as error:
            self._refuse(connection, record, error.reason)
            return
        except Exception as error:  # a parser must not end the recording; the bytes are kept with the reason
            self._refuse(connection, record, f"parser failed: {error!r}")
            return
        try:
            self._apply(connection, events)
        except Exception as error:  # nor must one event
            self._refuse(connection, record, f"event failed: {error!r}")

    def _apply(self, connection: ConnectionState, events: list[MarketEvent]) -> None:
        is_checked = False
        touched: Touched = {}
        for index, event in enumerate(events):
            if not is_checked:
                is_checked = self._check_sequence(connection, event)
            handler = self._events.get(type(event))
            if handler is not None:
                handler(connection, event, index, touched)
        for state, change in touched.values():
            if state.is_live and not best_prices_agree(state.book, change):
                self.counters["mismatches"] += 1
                self._make_stale(state, "best_price_mismatch")
            else:
                self._emit_quote(state)

    def _refuse(self, connection: ConnectionState, record: Record, reason: str) -> None:
        """Keep a frame that could not be used and make stale whatever book it is recognisably about."""
        self._dead_letter(record, reason)
        for state in connection.concerned_by(record.body):
            self._make_stale(state, "unreadable_frame")
        for state in connection.books.values():
            if state.is_ended and state.key.market_id.encode() in record.body:
                self._doubt_ending(state, "unreadable_frame")

    def _dead_letter(self, record: Record, reason: str) -> None:
        self.counters["dead_letters"] += 1
        venue = str(record.venue) if record.venue else ""
        self._batch.lines["dead_letters"].append(
            rows.dead_letter_line(self._at, venue, reason[:500], record.body[:_LETTER_BYTES], self._place)
        )

    def _check_sequence(self, connection: ConnectionState, event: MarketEvent) -> bool:
        """Check a frame's number once; true when the event carried one."""
        sid = getattr(event, "subscription_id", None)
        sequence = getattr(event, "sequence", None)
        if sid is None or sequence is None:
            return False
        if connection.sequences.observe(sid, sequence) != "ok":
            self.counters["holes"] += 1
            for state in connection.books.values():
                if state.subscription_id == sid:
                    self._make_stale(state, "sequence_hole")
                elif isinstance(event, LifecycleChange):
                    self._doubt_ending(state, "sequence_hole")
        return True

    def _on_level_change(self, connection: ConnectionState, change: LevelChange, index: int, touched: Touched) -> None:
        state = connection.books.get(change.market_id)
        if state is None:
            self.counters["unwanted"] += 1
            return
        try:
            state.book.apply(change)
        except IntegrityError:
            self._force(state, change)
        state.updated_ns = self._now_ns
        sent_ms = change.venue_sent_ms
        if sent_ms is not None:
            self.last_venue_lag_ms = self._now_ns // 1_000_000 - sent_ms
        self._batch.lines["book_deltas"].append(
            rows.delta_line(self._at, change, self._sent_times.of_ms(sent_ms), self._place, index)
        )
        self.counters["deltas"] += 1
        touched[id(state)] = (state, change)
        if change.size_after_e6 == 0 and connection.parser.repeats_removals:
            self._on_removal(state, change)

    def _on_removal(self, state: MarketBook, change: LevelChange) -> None:
        """A removed level was in the book, or went a moment ago; else the change that made it was missed."""
        if change.size_change_e6:
            state.removals.note_all(change.side, (change.price_e4,), self._now_ns)
        elif state.is_live and not state.removals.explain(change.side, change.price_e4, self._now_ns):
            self.counters["unknown_levels"] += 1
            self._make_stale(state, "unknown_level")

    def _force(self, state: MarketBook, change: LevelChange) -> None:
        """Keep a change that makes a level negative: the row states the impossible sum, the book drops the level."""
        self.counters["negative_levels"] += 1
        levels = state.book.bids if change.side == "bid" else state.book.asks
        before = levels.get(change.price_e4, 0)
        if change.size_after_e6 is None:
            change.size_after_e6 = before + (change.size_change_e6 or 0)
        change.size_change_e6 = change.size_after_e6 - before
        remaining = state.as_snapshot()
        remaining.bids = [level for level in remaining.bids if change.side == "ask" or level[0] != change.price_e4]
        remaining.asks = [level for level in remaining.asks if change.side == "bid" or level[0] != change.price_e4]
        state.book.replace(remaining)
        self._make_stale(state, "negative_level")

    def _on_snapshot(self, connection: ConnectionState, snapshot: BookSnapshot, _index: int, touched: Touched) -> None:
        state = connection.books.get(snapshot.market_id)
        if state is None:
            self.counters["unwanted"] += 1
            return
        parser = connection.parser
        difference = state.book.differs_by(snapshot) if state.is_live and not parser.is_polled else None
        if not is_difference_explained(difference, reports_fills_as_books=parser.reports_fills_as_books):
            self.counters["unexplained"] += 1
            self._write_coverage(state, "gap", "unexplained_difference", state.updated_ns)
            state.is_live = False
        if parser.repeats_removals and difference != "equal":
            state.removals.note_all("bid", state.book.bids.keys() - dict(snapshot.bids).keys(), self._now_ns)
            state.removals.note_all("ask", state.book.asks.keys() - dict(snapshot.asks).keys(), self._now_ns)
        state.book.replace(snapshot)
        state.updated_ns = self._now_ns
        state.subscription_id = snapshot.subscription_id
        touched.pop(id(state), None)
        if not state.is_live and not state.stays_ended:
            state.is_live = True
            state.cause = ""
            self._write_coverage(state, "covered", "")
        self._write_snapshot(snapshot, "polled" if snapshot.is_polled else "received", difference)
        self._emit_quote(state)

    def _on_trade(self, _connection: ConnectionState, trade: TradePrint, _index: int, _touched: object) -> None:
        sent = self._sent_times.of_ms(trade.venue_sent_ms)
        self._batch.lines["trades"].append(rows.trade_line(self._at, trade, sent, self._place))
        self.counters["trades"] += 1

    def _on_lifecycle(
        self, connection: ConnectionState, change: LifecycleChange, _index: int, _touched: object
    ) -> None:
        self._batch.lines["lifecycle_events"].append(rows.lifecycle_line(self._at, change, self._place))
        self.counters["lifecycle_events"] += 1
        state = connection.books.get(change.market_id)
        if state is None:
            return
        if change.kind in ENDINGS and state.cause != change.kind:
            state.is_live = False
            state.cause = change.kind
            state.crossed_since_ns = None
            self._emit_quote(state)
            self._write_coverage(state, "gap", change.kind)
            if not state.reports_activation:
                self.requests.append((connection.number, change.market_id))
        elif change.kind == "activated" and not state.is_live:
            if state.is_ended:
                state.cause = "activated"
                self._write_coverage(state, "gap", "activated")
            self.requests.append((connection.number, change.market_id))

    def _on_tick_size(self, _connection: object, change: TickSizeChange, _index: int, _touched: object) -> None:
        self._batch.lines["lifecycle_events"].append(rows.lifecycle_line(self._at, change, self._place))

    def _on_channel_error(
        self, connection: ConnectionState, error: ChannelError, _index: int, _touched: object
    ) -> None:
        self.counters["channel_errors"] += 1
        if not error.is_terminal:
            return
        if error.subscription_id is None:
            self.reconnects.append(connection.number)
        for state in connection.books.values():
            if error.subscription_id in (None, state.subscription_id):
                self._make_stale(state, "channel_error")

    def _on_book_stale(self, connection: ConnectionState, stale: BookStale, _index: int, _touched: object) -> None:
        state = connection.books.get(stale.market_id)
        if state is None:
            return
        if state.is_live:
            self._make_stale(state, stale.cause)
        elif state.cause != stale.cause and not state.is_ended:
            state.cause = stale.cause
            self._write_coverage(state, "gap", stale.cause)

    # -- books ------------------------------------------------------------------------------------------------------

    def _make_stale(self, state: MarketBook, cause: str, *, request: bool = True, since_ns: int | None = None) -> None:
        if not state.is_live:
            return
        if request:
            self.requests.append((state.connection, state.key.market_id))
        state.is_live = False
        state.cause = cause
        state.crossed_since_ns = None
        self.counters["gaps"] += 1
        self._write_coverage(state, "gap", cause, since_ns)
        self._emit_quote(state)

    def _doubt_ending(self, state: MarketBook, cause: str) -> None:
        """What said that a market which is halted or over is active again may be lost: its next whole book tells.

        What is paid out stays over.
        """
        if state.is_ended and state.cause != "settled":
            state.cause = cause
            self._write_coverage(state, "gap", cause)
            self.requests.append((state.connection, state.key.market_id))

    def _write_coverage(self, state: MarketBook, covered: CoverageState, cause: str, at_ns: int | None = None) -> None:
        self._batch.coverage.append(
            CoverageChange(state.venue, state.key.market_id, covered, cause, at_ns or self._now_ns)
        )

    def _emit_quote(self, state: MarketBook) -> None:
        """Write the quote if it changed. A stale or crossed book is never quoted: its prices are empty."""
        if not state.is_live and state.quote is None:
            return
        quote = state.best_prices(self._now_ns)
        if quote != state.quote:
            state.quote = quote
            self._write_quote(state, quote)

    def _write_quote(self, state: MarketBook, prices: BestPrices) -> None:
        bid, bid_size, ask, ask_size, word = prices
        quote = Quote(
            state.venue,
            state.key.market_id,
            self._now_ns,
            bid,
            bid_size,
            ask,
            ask_size,
            is_live=word == "live",
            is_polled=state.is_polled,
        )
        self._batch.lines["quotes"].append(rows.quote_line(self._at, quote, word, self._place))
        if self._observers is not None:
            self._observers.on_quote(quote, state.book)

    def _write_snapshot(self, snapshot: BookSnapshot, reason: SnapshotReason, difference: Difference | None) -> None:
        sent = self._sent_times.of_ms(snapshot.venue_sent_ms)
        self._batch.lines["book_snapshots"].append(
            rows.snapshot_line(self._at, snapshot, reason, difference, sent, self._place)
        )
