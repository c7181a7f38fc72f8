"""The books of one recorder and what is known about each: on which connection it comes, and whether it may be trusted.

All of it can be written down as one JSON document and taken up again, which is how a segment begins: a replay needs no
earlier file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from streams.market.book import Book
from streams.market.events import BookSnapshot, MarketEvent
from streams.market.identity import Venue
from streams.recorder.integrity import Removals, SequenceTracker


class MarketKey(NamedTuple):
    """A market as a connection subscribes to it; tokens are Polymarket's, empty elsewhere."""

    market_id: str
    yes_token: str
    no_token: str


Parse = Callable[[bytes], list[MarketEvent]]
ParserFactory = Callable[[Sequence[MarketKey]], Parse]
"""Makes the pure parser of a connection's frames from the markets it follows."""

QuoteState = tuple[int | None, int | None, int | None, int | None, str]
"""(bid_e4, bid_size_e6, ask_e4, ask_size_e6, state) as last written."""


def is_polling(parser: str) -> bool:
    """Whether the frames of a parser, named as in a segment, come by REST polling."""
    return parser.endswith("_polling")


class MarketBook:
    """One market's book with its state.

    Attributes:
        is_live: The book is known to be right. False from the start until the first whole book, and after each gap.
        cause: Why it is not live.
        is_polled: The book is read over REST every few seconds, for want of a key for the socket.
        subscription_id: Kalshi's sid the book comes on.
        crossed_since_ns: When the book became crossed, None while it is not.
        removals: Levels of a Polymarket book that went lately.
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
        "subscription_id",
        "updated_ns",
        "venue",
    )

    def __init__(self, venue: Venue, key: MarketKey, connection: int, *, is_polled: bool = False) -> None:
        self.venue = venue
        self.key = key
        self.connection = connection
        self.book = Book()
        self.is_live = False
        self.is_polled = is_polled
        self.cause = "starting"
        self.subscription_id: int | None = None
        self.crossed_since_ns: int | None = None
        self.updated_ns = 0
        self.quote: QuoteState | None = None
        self.removals = Removals()

    def as_snapshot(self) -> BookSnapshot:
        """The book as it is now."""
        bids, asks = self.book.bid_levels(), self.book.ask_levels()
        return BookSnapshot(self.venue, self.key.market_id, bids, asks, is_polled=self.is_polled)


class ConnectionState:
    """One connection: its sequence numbers, its markets and how its frames are parsed."""

    __slots__ = ("_factory", "books", "is_polled", "number", "parse", "parser", "sequences", "venue")

    def __init__(self, number: int, venue: Venue, parser: str, factory: ParserFactory) -> None:
        self.number = number
        self.venue = venue
        self.parser = parser
        self.is_polled = is_polling(parser)
        self.books: dict[str, MarketBook] = {}
        self.sequences = SequenceTracker()
        self._factory = factory
        self.parse = factory([])

    def add(self, keys: Sequence[MarketKey]) -> list[MarketBook]:
        """Follow more markets; returns the new ones."""
        added = []
        for key in keys:
            if key.market_id not in self.books:
                self.books[key.market_id] = MarketBook(self.venue, key, self.number, is_polled=self.is_polled)
                added.append(self.books[key.market_id])
        self._renew()
        return added

    def remove(self, market_ids: Sequence[str]) -> list[MarketBook]:
        """Follow fewer markets; returns those that were followed."""
        removed = [self.books.pop(market_id) for market_id in market_ids if market_id in self.books]
        self._renew()
        return removed

    def _renew(self) -> None:
        self.parse = self._factory([state.key for state in self.books.values()])

    def dump(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "number": self.number,
            "venue": str(self.venue),
            "parser": self.parser,
            "sequences": sorted(self.sequences.last.items()),
            "books": [
                {
                    "key": list(state.key),
                    "is_live": state.is_live,
                    "cause": state.cause,
                    "sid": state.subscription_id,
                    "crossed": state.crossed_since_ns,
                    "updated": state.updated_ns,
                    "quote": state.quote,
                    "removals": state.removals.rows(state.updated_ns),
                    "bids": list(state.book.bids.items()),
                    "asks": list(state.book.asks.items()),
                }
                for state in self.books.values()
            ],
        }

    @classmethod
    def load(cls, document: dict[str, Any], factory: ParserFactory) -> ConnectionState:
        """Return the connection that `dump` described."""
        connection = cls(document["number"], Venue(document["venue"]), document["parser"], factory)
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
            state.quote = None if entry["quote"] is None else tuple(entry["quote"])
            state.removals = Removals(entry.get("removals", ()))
        return connection
