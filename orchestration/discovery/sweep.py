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
from streams.market.errors import RateLimited, StreamsError, TransientError, Unavailable
from streams.storage.database import Connection
from streams.storage.listings import (
    ListingCounts,
    count_gone,
    save_events,
    save_markets,
    save_series,
    unfinished_markets,
)
from streams.storage.sweeps import SweepKind, begin_sweep, end_sweep, last_watermark, note_page, save_dead_letters

T = TypeVar("T")
_OVERLAP = timedelta(seconds=30)
_UNFINISHED_LIMIT = 200
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 10.0


class PageFailed(StreamsError):
    """A page could not be fetched. What came before it is kept; `cursor` is where to go on."""

    def __init__(self, venue: str, cursor: str, error: StreamsError) -> None:
        super().__init__(f"{venue}: the page at cursor {cursor!r} failed: {type(error).__name__}: {error}")
        self.cursor = cursor


@dataclass
class SweepSummary:
    """What a sweep saw and changed."""

    kind: SweepKind
    counts: ListingCounts = field(default_factory=ListingCounts)
    pages: int = 0
    events: int = 0
    malformed: int = 0
    gone: int = 0


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
        series = await _attempt(lambda: source.prepare(summary.kind), retries, wait)
        save_series(connection, source.venue, series, now)
        seen_cursors = {""}
        while True:
            fetched = await _attempt(partial(source.page, cursor, since), retries, wait)
            _store(connection, source, fetched, now, summary)
            summary.pages += 1
            cursor = fetched.cursor
            note_page(connection, sweep_id, cursor, summary.counts)
            if not cursor:
                break
            if cursor in seen_cursors:
                raise TransientError("the venue repeats a page cursor")
            seen_cursors.add(cursor)
        for ids in batches(unfinished_markets(connection, source.venue, now, _UNFINISHED_LIMIT)):
            fetched = await _attempt(partial(source.by_id, ids), retries, wait)
            _store(connection, source, fetched, now, summary)
    except StreamsError as error:
        failed = PageFailed(source.venue, cursor, error)
        end_sweep(connection, sweep_id, summary.counts, ended_at=now, high_watermark=None, error=str(failed))
        raise failed from error
    if summary.kind == "full":
        summary.gone = count_gone(connection, source.venue, now)
    end_sweep(connection, sweep_id, summary.counts, ended_at=now, high_watermark=now)
    return summary


def _store(
    connection: Connection, source: ListingSource, fetched: FetchedPage, now: datetime, summary: SweepSummary
) -> None:
    with connection.transaction():
        save_series(connection, source.venue, fetched.series, now)
        summary.events += save_events(connection, fetched.events, now)
        summary.counts.add(save_markets(connection, fetched.markets, now))
        if fetched.dead_letters:
            save_dead_letters(connection, source.venue, fetched.dead_letters, now)
            summary.malformed += len(fetched.dead_letters)


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
