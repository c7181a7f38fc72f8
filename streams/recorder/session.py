"""One venue's connection kept alive: connect, subscribe to its markets, read, resync, and reconnect with patience."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
import uuid
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from typing import NamedTuple

from streams.logs import get_logger
from streams.market.errors import AuthenticationFailed, RateLimited, StreamsError, TransientError, Unavailable
from streams.market.identity import Venue
from streams.recorder.books import ConnectionState
from streams.recorder.connection_rows import ConnectionRows
from streams.recorder.pipeline import Pipeline
from streams.recorder.segment_writer import SegmentWriter
from streams.recorder.sources import PARSERS, FeedSource
from streams.recorder.subscriptions import Subscriptions
from streams.storage.segments import RecordKind
from streams.storage.store.wanted import WantedMarket
from streams.venues.common.feed import Feed

_FIRST_DELAY_S = 0.25
_LONGEST_DELAY_S = 15.0
_REFUSED_DELAY_S = 30.0
_SETTLED_AFTER_S = 10.0
_RESYNC_AGAIN_S = 3.0
_RESYNC_ATTEMPTS = 3
_CONNECT_LIMIT_S = 20.0
_KEEP_INTERVAL_S = 0.1
_PROBE_LIMIT_S = 5.0
_CLOSE_LIMIT_S = 5.0
_ENDED_AGAIN_S = 60.0


class _Ended(Exception):
    """The connection is over; `cause` is written to the coverage, the message to the connection's row."""

    def __init__(self, cause: str, message: str = "", *, since_ns: int | None = None, wait_s: float = 0.0) -> None:
        super().__init__(message or cause)
        self.cause = cause
        self.since_ns = since_ns
        self.wait_s = wait_s


class _Resync(NamedTuple):
    """A whole book that is due at `due` (monotonic), after so many attempts."""

    attempts: int
    due: float


class Session:
    """Keeps one feed connected and its markets subscribed; runs as a task until it is stopped.

    Whatever goes wrong ends the connection, never the session: it is counted in `failures`, logged, and connected anew.
    """

    def __init__(
        self,
        source: FeedSource,
        writer: SegmentWriter,
        pipeline: Pipeline,
        rows: ConnectionRows,
        *,
        numbers: Iterator[int],
        silence_timeout_s: float,
    ) -> None:
        self.venue = source.venue
        self._source = source
        self._writer = writer
        self._pipeline = pipeline
        self._rows = rows
        self._numbers = numbers
        self._silence_timeout_s = silence_timeout_s
        self._next_verify = 0.0
        self._unverified: list[str] = []
        self._log = get_logger(venue=str(source.venue), shard=rows.shard)
        self._markets = Subscriptions(needs_tokens=PARSERS[source.parser].needs_tokens)
        self._changed = asyncio.Event()
        self._resyncs: dict[str, _Resync] = {}
        self._must_reconnect = False
        self._frames = 0
        self._last_frame = 0.0
        self._last_frame_ns = 0
        self._is_probing = False
        self.number: int | None = None
        self.attempts = 0
        self.stalls = 0
        self.failures = 0
        self._last_number = 0
        self._last_failure = ""

    def follow(self, markets: Sequence[WantedMarket]) -> None:
        """Set the markets to be subscribed to from now on."""
        self._markets.want(markets)
        self._changed.set()

    def request_resync(self, market_id: str) -> None:
        """Ask the venue for a market's whole book, again and again until it is there."""
        attempts, due = self._resyncs.get(market_id, _Resync(0, 0.0))
        self._resyncs[market_id] = _Resync(attempts, due if attempts else 0.0)
        self._changed.set()

    def request_reconnect(self) -> None:
        """Abandon this connection and make a new one."""
        self._must_reconnect = True
        self._changed.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Connect and reconnect until `stop`; waits between attempts grow with jitter and shrink after success."""
        delay = _FIRST_DELAY_S
        while not stop.is_set():
            begun = time.monotonic()
            try:
                if not await self._wait_for_markets(stop):
                    return
                begun = time.monotonic()
                ended = await self._attempt(stop)
            except Exception as error:  # one session's fault is not the other venue's
                ended = self._note_failure(error)
            if stop.is_set():
                return
            if time.monotonic() - begun > _SETTLED_AFTER_S:
                delay = _FIRST_DELAY_S
            pause = _REFUSED_DELAY_S if ended.cause == "authentication" else delay * random.uniform(0.5, 1.0)
            pause = max(pause, ended.wait_s)
            self._log.warning("connection ended", cause=ended.cause, reason=str(ended), next_in_s=round(pause, 2))
            await _wait_any(pause, stop.wait())
            delay = min(delay * 2, _LONGEST_DELAY_S)

    def _note_failure(self, error: Exception) -> _Ended:
        """Count an unexpected error, alert, and log where it came from the first time."""
        self.failures += 1
        reason = f"{type(error).__name__}: {error}"[:300]
        trace = error if reason != self._last_failure else None
        self._last_failure = reason
        self._log.error("session failed", error=reason, times=self.failures, exc_info=trace)
        with contextlib.suppress(Exception):  # what keeps the alert away is told by whoever writes rows
            self._rows.alert_failure(reason)
        return _Ended("error", reason)

    async def _wait_for_markets(self, stop: asyncio.Event) -> bool:
        """Wait until there is a market to follow; false when the recording ends before."""
        self._let_go()
        while self._markets.is_empty and not stop.is_set():
            await _wait_any(0.5, stop.wait(), self._changed.wait())
            self._changed.clear()
            self._let_go()
        return not stop.is_set()

    def _let_go(self) -> None:
        """End the coverage of markets that left the universe while there was no connection."""
        gone = [market.market_id for market in self._markets.leave()]
        if gone:
            change = {"add": [], "remove": gone}
            self._writer.write_control(RecordKind.MARKETS, self.venue, self._last_number, change)

    async def _attempt(self, stop: asyncio.Event) -> _Ended:
        number = self.number = self._last_number = next(self._numbers)
        connection_id = uuid.uuid4().hex
        self.attempts += 1
        self._frames = 0
        self._resyncs = {}
        self._must_reconnect = False
        opened = {"connection_id": connection_id, "parser": self._source.parser, **self._source.terms}
        self._writer.write_control(RecordKind.OPENED, self.venue, number, opened)
        self._rows.open(connection_id, is_polled=PARSERS[self._source.parser].is_polled)
        ended = _Ended("stopped")
        try:
            ended = await self._live(number, connection_id, stop)
        finally:
            self.number = None
            self._markets.lose_connection()
            closed = {"cause": ended.cause, "since_ns": ended.since_ns}
            self._writer.write_control(RecordKind.CLOSED, self.venue, number, closed)
            self._rows.end(connection_id, self._frames, f"{ended.cause}: {ended}")
        return ended

    async def _live(self, number: int, connection_id: str, stop: asyncio.Event) -> _Ended:
        feed: Feed | None = None
        try:
            feed = self._source.make()
            async with asyncio.timeout(_CONNECT_LIMIT_S):
                await feed.connect()
            self._rows.note_connected(connection_id)
            self._mark_alive()
            await self._reconcile_subscriptions(feed, number)
            await _first_of(self._read(feed, number), self._keep(feed, number), stop.wait())
        except _Ended as ended:
            return ended
        except AuthenticationFailed as error:
            return _Ended("authentication", str(error))
        except (RateLimited, Unavailable) as error:
            return _Ended("disconnect", str(error), wait_s=error.retry_after_s)
        except (TransientError, TimeoutError, OSError) as error:
            return _Ended("disconnect", str(error) or type(error).__name__)
        except StreamsError as error:
            return _Ended("error", str(error))
        except Exception as error:
            return self._note_failure(error)
        finally:
            if feed is not None:
                await self._close(feed)
        return _Ended("stopped" if stop.is_set() else "disconnect", "the feed ended")

    async def _close(self, feed: Feed) -> None:
        try:
            await asyncio.wait_for(feed.close(), _CLOSE_LIMIT_S)
        except Exception as error:  # it is over in any case
            self._log.warning("a feed was not closed well", error=f"{type(error).__name__}: {error}"[:300])

    async def _read(self, feed: Feed, number: int) -> None:
        async for batch in feed.batches():
            self._writer.write_frames(self.venue, number, batch)
            self._frames += len(batch)
            self._last_frame_ns = batch[-1].received_ns
            if self._writer.is_full:
                self.stalls += 1
                while self._writer.is_full:  # noqa: ASYNC110 - the writing thread cannot set an event of this loop
                    await asyncio.sleep(0.01)

    async def _keep(self, feed: Feed, number: int) -> None:
        seen, begun = -1, time.monotonic()
        while True:
            self._changed.clear()
            if time.monotonic() - begun > _SETTLED_AFTER_S:
                self._rows.clear_failure()
            if self._must_reconnect:
                raise _Ended("channel_error", "the venue ended the subscription")
            await self._reconcile_subscriptions(feed, number)
            await self._resync_due(feed)
            if self._frames != seen:
                seen = self._frames
                self._mark_alive()
            await self._verify(feed)
            await self._probe_silence(feed)
            await _wait_any(_KEEP_INTERVAL_S, self._changed.wait())

    def _mark_alive(self) -> None:
        self._last_frame = time.monotonic()
        self._is_probing = False

    async def _reconcile_subscriptions(self, feed: Feed, number: int) -> None:
        """Subscribe to what is new in the universe and unsubscribe from what has left it."""
        change = self._markets.change()
        if not change:
            return
        if change.removed:
            await feed.unsubscribe(change.removed)
        records = {
            "add": [[m.market_id, m.yes_token, m.no_token] for m in change.added],
            "remove": [m.market_id for m in change.removed],
        }
        self._writer.write_control(RecordKind.MARKETS, self.venue, number, records)
        if change.added:
            await feed.subscribe(change.added)
            due = time.monotonic() + _RESYNC_AGAIN_S
            self._resyncs.update({market.market_id: _Resync(0, due) for market in change.added})

    async def _resync_due(self, feed: Feed) -> None:
        """Ask for the whole books that are due.

        A book that stays stale after some attempts is left and joined anew, again and again; it costs the connection
        only where no other book of it is live.
        """
        state = self._state()
        if not self._resyncs or state is None or self._writer.is_losing:
            return
        now = time.monotonic()
        due: list[str] = []
        rejoined: list[str] = []
        for market_id, (attempts, at) in list(self._resyncs.items()):
            found = state.books.get(market_id)
            if found is None or found.is_live:
                del self._resyncs[market_id]
            elif now >= at:
                is_stubborn = attempts >= _RESYNC_ATTEMPTS and found.updated_ns > 0 and not found.is_ended
                if is_stubborn and not any(book.is_live for book in state.books.values()):
                    raise _Ended("resync_failed", f"{market_id} stayed stale")
                (rejoined if is_stubborn else due).append(market_id)
                pause = _ENDED_AGAIN_S if found.is_ended else _RESYNC_AGAIN_S * 2 ** min(attempts, 4)
                self._resyncs[market_id] = _Resync(attempts + 1, now + pause)
        if due:
            await feed.resync(due)
        again = [self._markets.followed[name] for name in rejoined if name in self._markets.followed]
        if again:
            await feed.unsubscribe(again)
            await feed.subscribe(again)

    async def _verify(self, feed: Feed) -> None:
        """Ask for some whole books each second, all in turn, where nothing else shows that a change was missed.

        The response is compared with the book we have; a difference that is no match becomes a gap in the coverage.
        """
        now = time.monotonic()
        followed = self._markets.followed
        if self._source.verify_within_s is None or now < self._next_verify or not followed or self._writer.is_losing:
            return
        self._next_verify = now + 1.0
        self._unverified = [name for name in self._unverified if name in followed] or list(followed)
        count = math.ceil(len(followed) / self._source.verify_within_s)
        chosen, self._unverified = self._unverified[:count], self._unverified[count:]
        state = self._state()
        if state is not None:
            await feed.resync([name for name in chosen if name in state.books and state.books[name].is_live])

    async def _probe_silence(self, feed: Feed) -> None:
        """After a time without frames ask for a book; without a response to that, the connection is dead."""
        limit = min(_PROBE_LIMIT_S, self._silence_timeout_s) if self._is_probing else self._silence_timeout_s
        if not self._markets.followed or time.monotonic() - self._last_frame < limit:
            return
        if self._is_probing:
            raise _Ended("silence", "no response to a resync", since_ns=self._last_frame_ns or None)
        self._last_frame = time.monotonic()
        self._is_probing = True
        await feed.resync([next(iter(self._markets.followed))])

    def _state(self) -> ConnectionState | None:
        return None if self.number is None else self._pipeline.connections.get(self.number)


async def _wait_any(timeout_s: float, *waits: Awaitable[object]) -> None:
    """Wait until one of `waits` is done or the time is over."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _first_of(*waits: Awaitable[object]) -> None:
    """Run all until one ends, cancel the others, and raise what any raised."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def by_venue(markets: Iterable[WantedMarket]) -> dict[Venue, list[WantedMarket]]:
    """Return the markets of each venue."""
    found: dict[Venue, list[WantedMarket]] = {venue: [] for venue in Venue}
    for market in markets:
        found[market.venue].append(market)
    return found
