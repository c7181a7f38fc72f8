"""Kalshi's books over REST for readers without a key: the socket refuses them.

A polled book is framed as our own `POLLED_BOOK` frame, so that segments say what it is and parse like any other. There
are no trades, no sequence and nothing between two polls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

import orjson

from streams.market.errors import MalformedFrame, NotFound, Refused, TransientError, UnreadableAnswer
from streams.market.events import BookSnapshot, MarketEvent
from streams.market.identity import Venue
from streams.venues.common.feed import NamedMarket, RawFrame
from streams.venues.common.paging import Items
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.kalshi.types import wire
from streams.venues.kalshi.types.market_frames import parse_frame, stale_frame

_FAILURES_BEFORE_LOSS = 3
_MOST_UNREADABLE = 1_000
_MOST_REFUSED = 16
"""So many markets for which calls are refused: it is not for the markets."""


class KalshiPollingFeed:
    """Reads the books of the subscribed markets every `interval_s`; a book that did not change gives no frame.

    One that was given and that the venue lists no more (its market went to the archive) is reported as stale.
    """

    venue = Venue.KALSHI

    def __init__(
        self, client: KalshiClient, *, interval_s: float = 2.0, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._client = client
        self._interval_s = interval_s
        self._clock = clock
        self._subscribed: dict[str, None] = {}
        self._last: dict[str, bytes] = {}
        self._given: set[str] = set()
        self._unreadable: set[bytes] = set()
        self._refused: set[str] = set()
        self._wake = asyncio.Event()
        self._is_open = False

    async def connect(self) -> None:
        """Ask whether the exchange answers; see `Feed.connect`."""
        self._subscribed, self._last, self._given, self._refused = {}, {}, set(), set()
        with suppress(UnreadableAnswer):  # it answers, and what it says is not needed here
            await self._client.exchange_status()
        self._is_open = True

    async def subscribe(self, markets: Sequence[NamedMarket]) -> None:
        """See `Feed.subscribe`."""
        self._subscribed |= dict.fromkeys(market.market_id for market in markets)
        self._wake.set()

    async def unsubscribe(self, markets: Sequence[NamedMarket]) -> None:
        """See `Feed.unsubscribe`."""
        for market in markets:
            self._subscribed.pop(market.market_id, None)
            self._last.pop(market.market_id, None)
            self._given.discard(market.market_id)
            self._refused.discard(market.market_id)

    async def resync(self, market_ids: Sequence[str]) -> None:
        """Have the next poll give these books whether they changed or not, and those that were refused too."""
        for market_id in market_ids:
            self._last.pop(market_id, None)
        self._refused.difference_update(market_ids)
        self._wake.set()

    async def frames(self) -> AsyncIterator[RawFrame]:
        """See `Feed.frames`."""
        async for batch in self.batches():
            for frame in batch:
                yield frame

    async def batches(self) -> AsyncIterator[list[RawFrame]]:
        """See `Feed.batches`."""
        failures = 0
        while self._is_open:
            self._wake.clear()
            batch: list[RawFrame] = []
            try:
                asked = [name for name in self._subscribed if name not in self._refused]
                books = await self._books(asked)
                failures = 0
                batch = self._changed(books) + self._lost(asked, books)
                batch += [
                    RawFrame(_unreadable_frame(lost.raw), self._clock())
                    for lost in books.unreadable
                    if self._is_news(lost.raw)
                ]
            except (TransientError, MalformedFrame) as error:
                failures += 1
                if failures >= _FAILURES_BEFORE_LOSS:
                    raise TransientError(f"{failures} polls in a row failed: {error}") from error
            if batch:
                yield batch
            await self._pause()
        raise TransientError("the polling feed is closed")

    async def _books(self, asked: list[str]) -> Items[BookSnapshot]:
        """Read books; a market for which the venue refuses the call is left out until it is asked for by `resync`."""
        try:
            return await self._client.order_books(asked)
        except (Refused, NotFound) as error:
            if len(self._refused) >= _MOST_REFUSED:
                self._refused.clear()
                raise TransientError(f"the venue refuses books of any market: {error}") from error
            if len(asked) < 2:
                self._refused.update(asked)
                return Items(unreadable=[MalformedFrame(orjson.dumps({"ticker": name}), str(error)) for name in asked])
        middle = len(asked) // 2
        first, second = await self._books(asked[:middle]), await self._books(asked[middle:])
        return Items([*first, *second], [*first.unreadable, *second.unreadable])

    def parse(self, raw: bytes) -> list[MarketEvent]:
        """See `Feed.parse`."""
        return parse_frame(raw)

    async def close(self) -> None:
        """See `Feed.close`."""
        self._is_open = False
        self._wake.set()

    def _changed(self, books: list[BookSnapshot]) -> list[RawFrame]:
        batch = []
        now = self._clock()
        for book in books:
            raw = _frame(book)
            if book.market_id in self._subscribed and self._last.get(book.market_id) != raw:
                self._last[book.market_id] = raw
                self._given.add(book.market_id)
                batch.append(RawFrame(raw, now))
        return batch

    def _is_news(self, raw: bytes) -> bool:
        if raw in self._unreadable:
            return False
        self._unreadable = {*self._unreadable, raw} if len(self._unreadable) < _MOST_UNREADABLE else {raw}
        return True

    def _lost(self, asked: list[str], books: list[BookSnapshot]) -> list[RawFrame]:
        lost = (self._given & set(asked)) - {book.market_id for book in books}
        if not lost:
            return []
        self._given -= lost
        for market_id in lost:
            self._last.pop(market_id, None)
        return [RawFrame(stale_frame(sorted(lost), "not_listed"), self._clock())]

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._interval_s):
                await self._wake.wait()
        except TimeoutError:
            return


def _unreadable_frame(raw: bytes) -> bytes:
    """Return a frame that nobody can parse either, for the dead letters; it names the market it is about alone."""
    try:
        ticker = str(orjson.loads(raw)["ticker"])
    except (ValueError, KeyError, TypeError):
        ticker = ""
    message = {"market_ticker": ticker, "unreadable": raw.decode(errors="backslashreplace")}
    return orjson.dumps({"type": wire.POLLED_BOOK, "msg": message})


def _frame(book: BookSnapshot) -> bytes:
    message = {
        "market_ticker": book.market_id,
        "yes_dollars": book.payload.get("yes_dollars") or [],
        "no_dollars": book.payload.get("no_dollars") or [],
    }
    return orjson.dumps({"type": wire.POLLED_BOOK, "msg": message})
