"""Loading price history: hourly over the whole window, by the minute for pairs in its last hours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from streams.market.errors import InvalidAmount, MalformedFrame, PermanentError, TransientError, UnreadableAnswer
from streams.market.identity import Venue
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.discovered.candles import CandleRow, save_candles
from streams.storage.discovered.sweeps import save_dead_letters
from streams.storage.store.wanted import HistoryMarket, history_markets
from streams.venues.common.http import http_client
from streams.venues.common.paging import Candle, Items
from streams.venues.common.responses import bytes_of
from streams.venues.factory import kalshi_client, polymarket_client

_HOUR_MINUTES = 60
_MINUTE_WINDOW = timedelta(hours=3)
_CONCURRENCY = 8
_ATTEMPTS = 3
_BATCH = 24
_FEWEST = 3
"""So many requests made at once that all fail are no fault of their markets."""


@dataclass(frozen=True, slots=True)
class HistoryWindow:
    """A stretch of one venue's history."""

    venue: Venue
    start: datetime
    end: datetime


@dataclass
class HistoryCounts:
    """What a load wrote and left.

    Attributes:
        unreadable: Candles that cannot be read or kept; each is a dead letter.
        not_reached: Requests that were not made within the time.
        failed: Requests that the venue failed to answer, again and again; the markets beside them are loaded.
    """

    candles: int = 0
    requests: int = 0
    unreadable: int = 0
    not_reached: int = 0
    failed: int = 0


class CandleClient(Protocol):
    """What loading needs of the Kalshi client."""

    async def candlesticks(
        self, series_ticker: str, market_id: str, start_ts: int, end_ts: int, period_interval: int = ...
    ) -> list[Candle]:
        """Return candlesticks of a market."""


class PriceClient(Protocol):
    """What loading needs of the Polymarket client."""

    async def prices_history(self, token_id: str, start_ts: int, end_ts: int, fidelity: int = ...) -> list[Candle]:
        """Return prices of a token."""


async def load_windows(
    settings: Settings, connection: Connection, windows: Sequence[HistoryWindow], budget_s: float
) -> list[tuple[Venue, HistoryCounts]]:
    """Load windows of the venues side by side, each for about `budget_s` seconds; return the counts of each.

    Rows are written by one of them at a time. A venue that is away costs its own windows; what it raised is raised
    when the others are loaded.
    """
    limit = settings.backfill_market_limit
    async with http_client(settings) as http:
        kalshi, polymarket = kalshi_client(settings, http), polymarket_client(settings, http)
        counts = await asyncio.gather(
            *(
                load_history(connection, window, kalshi, polymarket, limit=limit, budget_s=budget_s)
                for window in windows
            ),
            return_exceptions=True,
        )
    loaded: list[tuple[Venue, HistoryCounts]] = []
    for window, found in zip(windows, counts, strict=True):
        if isinstance(found, BaseException):
            raise found
        loaded.append((window.venue, found))
    return loaded


async def load_history(
    connection: Connection,
    window: HistoryWindow,
    kalshi: CandleClient,
    polymarket: PriceClient,
    *,
    limit: int,
    budget_s: float,
) -> HistoryCounts:
    """Load a window for up to `limit` markets, pairs first, for about `budget_s` seconds.

    Raises:
        TransientError: If the venue answers none of the requests that are made at once.
    """
    markets = history_markets(connection, window.venue, limit, window.end)
    gate = asyncio.Semaphore(_CONCURRENCY)
    counts = HistoryCounts()
    started = time.monotonic()
    letters: list[tuple[bytes, str]] = []

    async def fetch(market: HistoryMarket, minutes: int, start: datetime) -> list[CandleRow]:
        async with gate:
            candles = await _fetch(partial(loads[window.venue], market), window, minutes, start)
        letters.extend((lost.raw, lost.reason) for lost in candles.unreadable)
        loaded_at = datetime.now(UTC)
        return [_new_candle(window.venue, market.market_id, candle, loaded_at) for candle in candles]

    loads: dict[Venue, Callable[[HistoryMarket, int, int, int], Awaitable[Sequence[Candle]]]] = {
        Venue.KALSHI: lambda market, *span: kalshi.candlesticks(market.series_id, market.market_id, *span),
        Venue.POLYMARKET: lambda market, *span: polymarket.prices_history(market.yes_token, *span),
    }
    recent = max(window.start, window.end - _MINUTE_WINDOW)
    wanted = [(market, _HOUR_MINUTES, window.start) for market in markets if market.is_paired]
    wanted += [(market, 1, recent) for market in markets if market.is_paired]
    wanted += [(market, _HOUR_MINUTES, window.start) for market in markets if not market.is_paired]
    for start in range(0, len(wanted), _BATCH):
        if time.monotonic() - started > budget_s:
            counts.not_reached = len(wanted) - start
            break
        chunk = wanted[start : start + _BATCH]
        answers = await asyncio.gather(*(fetch(*item) for item in chunk), return_exceptions=True)
        batch = [_answered(answer) for answer in answers]
        failures = [answer for answer in batch if isinstance(answer, TransientError)]
        if len(failures) == len(chunk) and (len(chunk) >= _FEWEST or not counts.requests):
            raise failures[0]
        counts.failed += len(failures)
        rows = [row for found in batch if not isinstance(found, TransientError) for row in found]
        refused = save_candles(connection, rows)
        letters += [(bytes_of(row.payload), reason) for row, reason in refused]
        save_dead_letters(connection, window.venue, letters, datetime.now(UTC))
        counts.candles += len(rows) - len(refused)
        counts.unreadable += len(letters)
        letters.clear()
        counts.requests += len(chunk) - len(failures)
    return counts


def _answered(answer: list[CandleRow] | BaseException) -> list[CandleRow] | TransientError:
    """Return what came of one request; an error that no other request has to share is returned too."""
    if isinstance(answer, BaseException) and not isinstance(answer, TransientError):
        raise answer
    return answer


async def _fetch(
    load: Callable[[int, int, int], Awaitable[Sequence[Candle]]], window: HistoryWindow, minutes: int, start: datetime
) -> Items[Candle]:
    first, last = int(start.timestamp()), int(window.end.timestamp())
    for attempt in range(_ATTEMPTS):
        try:
            found = await load(first, last, minutes)
            return found if isinstance(found, Items) else Items(found)
        except UnreadableAnswer as error:
            if attempt + 1 == _ATTEMPTS:
                return Items(unreadable=[error])
        except (PermanentError, MalformedFrame, InvalidAmount):  # the last: it has no id that could be asked by
            return Items()
        except TransientError:
            if attempt + 1 == _ATTEMPTS:
                raise
        await asyncio.sleep(0.5 * 2**attempt)
    return Items()


def _new_candle(venue: Venue, market_id: str, candle: Candle, loaded_at: datetime) -> CandleRow:
    return CandleRow(
        venue=venue,
        market_id=market_id,
        interval_s=candle.interval_s,
        bucket_start=candle.bucket_start,
        bid_close_e4=candle.bid_close_e4,
        ask_close_e4=candle.ask_close_e4,
        price_open_e4=candle.price_open_e4,
        price_high_e4=candle.price_high_e4,
        price_low_e4=candle.price_low_e4,
        price_close_e4=candle.price_close_e4,
        volume_e6=candle.volume_e6,
        payload=candle.payload,
        loaded_at=loaded_at,
    )
