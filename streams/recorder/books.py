"""The books of one recorder and what is known about each: on which connection it comes, and whether it may be trusted.

All of it is dumped as one JSON document and loaded again, which is how a segment begins: a replay needs no earlier
file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from streams.market.book import Book
from streams.market.documents import JsonDocument
from streams.market.events import BookSnapshot, MarketEvent
from streams.market.identity import Venue
from streams.recorder.integrity import Removals, SequenceTracker, concern_of


class MarketKey(NamedTuple):
    """A market as a connection subscribes to it; tokens are Polymarket's, empty elsewhere."""

    market_id: str
    yes_token: str
    no_token: str


Parse = Callable[[bytes], list[MarketEvent]]
ParserFactory = Callable[[Sequence[MarketKey]], Parse]
"""Makes the pure parser of a connection's frames from the markets it follows."""


@dataclass(frozen=True, slots=True)
class Parser:
    """How the frames of a connection are read, and what they tell of its books.

    Attributes:
        make: Makes the pure parser.
        is_polled: The frames are books read over REST every few seconds, for want of a key for the socket.
        repeats_removals: Frames carry no sequence numbers, so a removal must be of a level that is in the book, or went
            lately: a match is reported by a whole book and by changes, which repeat its removals.
        reports_fills_as_books: A match comes as a whole book in which best levels of one side are consumed.
        reports_activation: Frames say when a halted or determined market is active again. Where they do not, a whole
            book with levels says so.
        bookless_frames: Types of frames that change no book.
        needs_tokens: Markets are subscribed to by tokens.
    """

    make: ParserFactory
    is_polled: bool = False
    repeats_removals: bool = False
    reports_fills_as_books: bool = False
    reports_activation: bool = True
    bookless_frames: frozenset[str] = frozenset()
    needs_tokens: bool = False


class BestPrices(NamedTuple):
    """The best prices of a book as they are quoted; None on an empty side and wherever the state is not `live`."""

    bid_e4: int | None
    bid_size_e6: int | None
    ask_e4: int | None
    ask_size_e6: int | None
    state: Literal["live", "stale", "crossed"]

    @classmethod
    def unquoted(cls, state: Literal["stale", "crossed"]) -> BestPrices:
        """The quote of a book whose prices must not be acted on."""
        return cls(None, None, None, None, state)


ENDINGS = ("determined", "settled", "deactivated")
"""Life cycle messages after which a market has no book to act on, until it is active again."""


class MarketBook:
    """One market's book with its state.

    Attributes:
        is_live: The book is known to be right. False from the start until the first whole book, and after each gap.
        cause: Why it is not live.
        is_polled: The book is read over REST every few seconds, for want of a key for the socket.
        subscription_id: Kalshi's sid the book comes on.
        crossed_since_ns: When the book became crossed, None while it is not.
        quote: The best prices as last written.
        reports_activation: As its parser's.
        removals: Levels that went lately, where the parser repeats removals.
        updated_ns: `received_ns` of the last frame that changed or confirmed it.
    """

    __slots__ = (
        "book",
        "cause",
        "connection",
        "crossed_since_ns",
        "is_live",
        "is_polled",
        "key",
        "quote",
        "removals",
        "reports_activation",
        "subscription_id",
        "updated_ns",
        "venue",
    )

    def __init__(self, venue: Venue, key: MarketKey, connection: int, parser: Parser) -> None:
        self.venue = venue
        self.key = key
        self.connection = connection
        self.book = Book()
        self.is_live = False
        self.is_polled = parser.is_polled
        self.reports_activation = parser.reports_activation
        self.cause = "starting"
        self.subscription_id: int | None = None
        self.crossed_since_ns: int | None = None
        self.updated_ns = 0
        self.quote: BestPrices | None = None
        self.removals = Removals()

    @property
    def is_ended(self) -> bool:
        """Whether the market was halted, determined or settled and is not known to be active again."""
        return not self.is_live and self.cause in ENDINGS

    @property
    def stays_ended(self) -> bool:
        """Whether the whole book that has just come is that of a market which is still halted or over."""
        is_empty = not self.book.bids and not self.book.asks
        return self.is_ended and (self.reports_activation or is_empty)

    def best_prices(self, now_ns: int) -> BestPrices:
        """Return what may be quoted of the book now, and note since when it is crossed."""
        if not self.is_live:
            return BestPrices.unquoted("stale")
        book = self.book
        if book.is_crossed:
            self.crossed_since_ns = now_ns if self.crossed_since_ns is None else self.crossed_since_ns
            return BestPrices.unquoted("crossed")
        self.crossed_since_ns = None
        bid, ask = book.best_bid, book.best_ask
        bid_size = None if bid is None else book.bids[bid]
        ask_size = None if ask is None else book.asks[ask]
        # Most changes are behind the best prices, so the quote there is stays.
        quoted = self.quote
        if quoted is not None and (bid, bid_size, ask, ask_size, "live") == quoted:
            return quoted
        return BestPrices(bid, bid_size, ask, ask_size, "live")

    def as_snapshot(self) -> BookSnapshot:
        """The book as it is now."""
        bids, asks = self.book.bid_levels(), self.book.ask_levels()
        return BookSnapshot(self.venue, self.key.market_id, bids, asks, is_polled=self.is_polled)


class ConnectionState:
    """One connection: its sequence numbers, its markets and how its frames are parsed."""

    __slots__ = ("books", "number", "parse", "parser", "parser_name", "sequences", "venue")

    def __init__(self, number: int, venue: Venue, parser_name: str, parser: Parser) -> None:
        self.number = number
        self.venue = venue
        self.parser_name = parser_name
        self.parser = parser
        self.books: dict[str, MarketBook] = {}
        self.sequences = SequenceTracker()
        self.parse = parser.make([])

    def add(self, keys: Sequence[MarketKey]) -> list[MarketBook]:
        """Follow more markets; returns the new ones."""
        added = []
        for key in keys:
            if key.market_id not in self.books:
                self.books[key.market_id] = MarketBook(self.venue, key, self.number, self.parser)
                added.append(self.books[key.market_id])
        self._renew()
        return added

    def remove(self, market_ids: Sequence[str]) -> list[MarketBook]:
        """Follow fewer markets; returns those that were followed."""
        removed = [self.books.pop(market_id) for market_id in market_ids if market_id in self.books]
        self._renew()
        return removed

    def concerned_by(self, raw: bytes) -> list[MarketBook]:
        """Count a frame that could not be parsed and return the books that it may have changed."""
        names = {name: state.key.market_id for state in self.books.values() for name in state.key if name}
        concern = concern_of(raw, names, self.parser.bookless_frames)
        for sid, sequence in concern.sequences:
            self.sequences.pass_over(sid, sequence)
        return [
            state
            for market_id, state in self.books.items()
            if concern.is_any or market_id in concern.markets or state.subscription_id in concern.subscriptions
        ]

    def _renew(self) -> None:
        self.parse = self.parser.make([state.key for state in self.books.values()])

    def dump(self) -> JsonDocument:
        """Return everything as JSON values."""
        return {
            "number": self.number,
            "venue": str(self.venue),
            "parser": self.parser_name,
            "sequences": sorted(self.sequences.last.items()),
            "books": [
                {
                    "key": list(state.key),
                    "is_live": state.is_live,
                    "cause": state.cause,
                    "sid": state.subscription_id,
                    "crossed": state.crossed_since_ns,
                    "updated": state.updated_ns,
                    "quote": None if state.quote is None else list(state.quote),
                    "removals": state.removals.rows(state.updated_ns),
                    "bids": list(state.book.bids.items()),
                    "asks": list(state.book.asks.items()),
                }
                for state in self.books.values()
            ],
        }

    @classmethod
    def load(cls, document: JsonDocument, parser: Parser) -> ConnectionState:
        """Return the connection that `dump` described."""
        connection = cls(document["number"], Venue(document["venue"]), document["parser"], parser)
        connection.sequences = SequenceTracker({int(sid): last for sid, last in document["sequences"]})
        connection.add([MarketKey(*entry["key"]) for entry in document["books"]])
        for entry, state in zip(document["books"], connection.books.values(), strict=True):
            bids, asks = ([(price, size) for price, size in entry[side]] for side in ("bids", "asks"))
            state.book.replace(BookSnapshot(state.venue, state.key.market_id, bids, asks))
            state.is_live = entry["is_live"]
            state.cause = entry["cause"]
            state.subscription_id = entry["sid"]
            state.crossed_since_ns = entry["crossed"]
            state.updated_ns = entry["updated"]
            state.quote = None if entry["quote"] is None else BestPrices(*entry["quote"])
            state.removals = Removals(entry.get("removals", ()))
        return connection
