"""One sweep over a venue's list: fetch a page, store it, go on. What was fetched stays, whatever happens later."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from orchestration.discovery.sources.protocol import FetchedPage, ListingSource, batches
from streams.logs import get_logger
from streams.market.errors import (
    MalformedFrame,
    NotFound,
    RateLimited,
    Refused,
    StreamsError,
    TransientError,
    Unavailable,
    UnreadableAnswer,
)
from streams.storage.database import Connection
from streams.storage.discovered.listings import (
    ListingCounts,
    count_gone,
    save_events,
    save_markets,
    save_series,
    unfinished_markets,
)
from streams.storage.discovered.sweeps import (
    SweepKind,
    begin_sweep,
    end_sweep,
    last_watermark,
    note_page,
    save_dead_letters,
)
from streams.venues.common.responses import bytes_of

T = TypeVar("T")
_OVERLAP = timedelta(seconds=30)
_UNFINISHED_LIMIT = 200
_MOST_REFUSALS = 16
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 10.0


class PageFailed(StreamsError):
    """A page could not be fetched. What came before it is kept; `cursor` is where to go on."""

    def __init__(self, venue: str, cursor: str, error: StreamsError) -> None:
        super().__init__(f"{venue}: the page at cursor {cursor!r} failed: {type(error).__name__}: {error}")
        self.cursor = cursor


@dataclass
class SweepSummary:
    """What a sweep saw and changed.

    Attributes:
        malformed: Entries that could not be stored; each is a dead letter.
        repeated_cursors: Lists that broke off because the venue gave the same cursor again.
        unreadable_cursors: Lists that broke off because the venue's cursor could not be read.
        lost_pages: Pages that could not be read, not even item by item; the lists went on behind them.
    """

    kind: SweepKind
    counts: ListingCounts = field(default_factory=ListingCounts)
    pages: int = 0
    events: int = 0
    malformed: int = 0
    gone: int = 0
    repeated_cursors: int = 0
    unreadable_cursors: int = 0
    lost_pages: int = 0

    @property
    def broken_lists(self) -> int:
        """How many lists ended where nothing said that they had ended."""
        return self.repeated_cursors + self.unreadable_cursors

    @property
    def malformed_share(self) -> float:
        """How many of all entries could not be stored, from 0 to 1."""
        return self.malformed / max(1, self.malformed + self.counts.seen)


async def sweep(
    connection: Connection,
    source: ListingSource,
    *,
    full: bool,
    now: datetime,
    retries: int,
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> SweepSummary:
    """Take a venue's list into the database, page by page.

    Args:
        connection: Autocommit; every page is one transaction.
        source: The venue's list.
        full: Everything; otherwise what changed since the last sweep (everything where there was none).
        now: When the sweep starts; where the next incremental one begins.
        retries: Attempts after the first for a page that fails.
        wait: Sleeps between attempts.

    Raises:
        PageFailed: If a page fails finally.
    """
    mark = None if full else last_watermark(connection, source.venue)
    since = None if mark is None else mark - _OVERLAP
    summary = SweepSummary(kind="full" if since is None else "incremental")
    sweep_id = begin_sweep(connection, source.venue, summary.kind, now)
    cursor = ""
    try:
        _store(connection, source, await _prepared(source, summary.kind, retries, wait), now, summary)
        seen_cursors = {""}
        while True:
            try:
                fetched = await _whole_page(partial(source.page, cursor, since), retries, wait)
            except UnreadableAnswer as error:
                if error.next_cursor is None:
                    raise
                fetched = source.beyond(cursor, since, error)
                summary.lost_pages += 1
            _store(connection, source, fetched, now, summary)
            summary.pages += 1
            cursor = fetched.cursor
            if fetched.broken_off is not None or cursor in seen_cursors - {""}:
                # Nothing says where the list goes on: what it still has is missed, and the next list is taken.
                lost = fetched.broken_off or MalformedFrame(cursor.encode(), "the venue repeats a page cursor")
                _store(connection, source, FetchedPage(dead_letters=[(lost.raw, lost.reason)]), now, summary)
                summary.unreadable_cursors += fetched.broken_off is not None
                summary.repeated_cursors += fetched.broken_off is None
                cursor = fetched.next_list
            note_page(connection, sweep_id, cursor, summary.counts)
            if not cursor or cursor in seen_cursors:
                break
            seen_cursors.add(cursor)
        waiting = batches(unfinished_markets(connection, source.venue, now, _UNFINISHED_LIMIT))
        refusals = 0
        while waiting and refusals < _MOST_REFUSALS:
            ids = waiting.pop(0)
            try:
                fetched = await _attempt(partial(source.by_id, ids), retries, wait)
            except (Refused, NotFound, MalformedFrame) as error:
                # One id may spoil the request for all of them.
                refusals += 1
                waiting += [half for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]) if half != ids and half]
                get_logger().warning("markets by id are refused", venue=source.venue.value, ids=ids, error=str(error))
                continue
            _store(connection, source, fetched, now, summary)
    except StreamsError as error:
        failed = PageFailed(source.venue, cursor, error)
        end_sweep(connection, sweep_id, summary.counts, ended_at=now, high_watermark=None, error=str(failed))
        raise failed from error
    is_whole = not summary.broken_lists
    if summary.kind == "full" and is_whole and not summary.lost_pages:
        summary.gone = count_gone(connection, source.venue, now)
    # A list that broke off is read again from where the last whole one began.
    end_sweep(connection, sweep_id, summary.counts, ended_at=now, high_watermark=now if is_whole else None)
    return summary


def _store(
    connection: Connection, source: ListingSource, fetched: FetchedPage, now: datetime, summary: SweepSummary
) -> None:
    with connection.transaction():
        series = save_series(connection, source.venue, fetched.series, now)
        events = save_events(connection, fetched.events, now)
        markets = save_markets(connection, fetched.markets, now)
        refused = [*series.refused, *events.refused, *((market.payload, why) for market, why in markets.refused)]
        dead_letters = [*fetched.dead_letters, *((bytes_of(payload), reason) for payload, reason in refused)]
        save_dead_letters(connection, source.venue, dead_letters, now)
    summary.events += events.count
    summary.counts.add(markets)
    summary.malformed += len(dead_letters)


async def _prepared(
    source: ListingSource, kind: SweepKind, retries: int, wait: Callable[[float], Awaitable[None]]
) -> FetchedPage:
    """Return the list of series; where it cannot be had, each is read by name as its markets come."""
    try:
        return FetchedPage(series=await _attempt(lambda: source.prepare(kind), retries, wait))
    except StreamsError as error:
        raw = error.raw if isinstance(error, MalformedFrame) else b""
        return FetchedPage(dead_letters=[(raw, f"the list of series: {type(error).__name__}: {error}")])


async def _whole_page(
    fetch: Callable[[], Awaitable[FetchedPage]], retries: int, wait: Callable[[float], Awaitable[None]]
) -> FetchedPage:
    """Return a page; one whose cursor cannot be read is asked for again, and returned as it is after the last time."""
    found = FetchedPage()

    async def fetch_whole() -> FetchedPage:
        nonlocal found
        found = await fetch()
        if found.broken_off is not None:
            raise found.broken_off
        return found

    try:
        return await _attempt(fetch_whole, retries, wait)
    except UnreadableAnswer as error:
        if error is not found.broken_off:
            raise
        return found


async def _attempt(fetch: Callable[[], Awaitable[T]], retries: int, wait: Callable[[float], Awaitable[None]]) -> T:
    for attempt in range(retries + 1):
        try:
            return await fetch()
        except TransientError as error:
            if attempt == retries:
                raise
            pause = min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S) * (1 + random.random() / 4)
            await wait(max(pause, error.retry_after_s) if isinstance(error, RateLimited | Unavailable) else pause)
    raise AssertionError("unreachable: the last attempt returns or raises")
