"""Kalshi's list: events with nested markets, changed markets, and fees that change by the calendar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from orchestration.discovery.sources.protocol import FetchedPage
from streams.logs import get_logger
from streams.market.documents import JsonDocument
from streams.market.errors import MalformedFrame, NotFound, PermanentError
from streams.market.identity import Venue
from streams.storage.listings import EventRow
from streams.storage.sweeps import SweepKind
from streams.venues.common.paging import Page, all_pages
from streams.venues.kalshi.types.catalogue import Event, FeeChange, Series
from streams.venues.kalshi.types.listings import parse_market

_PHASES = ("open", "unopened")
_FEES = "fees"
"""Cursor of the last page of an incremental sweep: events and series whose fees change."""
_FEES_AHEAD = timedelta(seconds=75)
_FEES_BACK = timedelta(minutes=10)


class KalshiLists(Protocol):
    """What discovery needs of the Kalshi client."""

    async def events_page(self, cursor: str = ..., *, status: str | None = ...) -> Page[JsonDocument]:
        """Return one page of events with nested markets."""

    async def markets_page(
        self, cursor: str = ..., *, limit: int = ..., **filters: str | int | None
    ) -> Page[JsonDocument]:
        """Return one page of markets."""

    async def series_list(self) -> list[Series]:
        """Return all series."""

    async def series(self, series_ticker: str) -> Series:
        """Return one series."""

    async def event(self, event_ticker: str) -> Event:
        """Return one event with nested markets."""

    async def event_fee_changes(self) -> list[FeeChange]:
        """Return scheduled changes of events' fee overrides."""

    async def series_fee_changes(self, *, show_historical: bool = ...) -> list[FeeChange]:
        """Return changes of series' fees, scheduled and past."""


class KalshiSource:
    """Kalshi: events with nested markets in a full sweep, changed markets in an incremental one.

    Args:
        client: The venue's client.
        series: Known series by ticker; new ones are added.
        known_events: Reads payloads of known events by ticker.
        clock: The present, aware UTC.
        account: How finely our balance is kept, which rounds the fees.
    """

    venue = Venue.KALSHI

    def __init__(
        self,
        client: KalshiLists,
        series: dict[str, JsonDocument],
        known_events: Callable[[Sequence[str]], Mapping[str, JsonDocument]],
        clock: Callable[[], datetime],
        readings: Mapping[str, Any] | None = None,
    ) -> None:
        self._client = client
        self._series = series
        self._known_events = known_events
        self._clock = clock
        self._readings = readings

    async def prepare(self, kind: SweepKind) -> list[JsonDocument]:
        """A full sweep reads all series anew."""
        if kind == "incremental" and self._series:
            return []
        series = {item.ticker: item.payload for item in await self._client.series_list()}
        self._series.update(series)
        return list(series.values())

    async def page(self, cursor: str, since: datetime | None) -> FetchedPage:
        """Cursors of a full sweep carry their phase: the venue filters by one status at a time."""
        if since is not None:
            if cursor == _FEES:
                return await self._with_new_fees(since)
            page = await self._client.markets_page(cursor, min_updated_ts=int(since.timestamp()), mve_filter="exclude")
            return await self._with_events(page.items, page.cursor or _FEES)
        phase, _, inner = (cursor or f"{_PHASES[0]}:").partition(":")
        events = await self._client.events_page(inner, status=phase)
        fetched = FetchedPage()
        for event in events.items:
            await self._add(fetched, event, event.get("markets") or [])
        later = _PHASES[_PHASES.index(phase) + 1 :]
        fetched.cursor = f"{phase}:{events.cursor}" if events.cursor else f"{later[0]}:" if later else ""
        return fetched

    async def by_id(self, market_ids: Sequence[str]) -> FetchedPage:
        """Return markets by ticker; those the live tier has forgotten are missing."""
        page = await self._client.markets_page("", tickers=",".join(market_ids))
        return await self._with_events(page.items, "")

    async def _with_new_fees(self, since: datetime) -> FetchedPage:
        """Read events and series anew whose fees change now: neither lists nor the markets' times tell of it.

        A change counts a little before its time, so that no sweep between it and the venue's word uses the old fees.
        """
        fetched = FetchedPage()
        try:
            of_events = await self._client.event_fee_changes()
            of_series = await self._client.series_fee_changes(show_historical=True)
        except (PermanentError, MalformedFrame) as error:
            get_logger().warning("changes of fees could not be read", venue=self.venue.value, error=str(error))
            return fetched
        first, last = since - _FEES_BACK, self._clock() + _FEES_AHEAD
        for ticker, change in _latest(of_series, first, last, lambda one: one.series_ticker).items():
            await self._reprice_series(fetched, ticker, change)
        for ticker, change in _latest(of_events, first, last, lambda one: one.event_ticker).items():
            try:
                event = (await self._client.event(ticker)).payload
            except NotFound:
                continue
            overrides = {name: change.payload.get(name) for name in ("fee_type_override", "fee_multiplier_override")}
            await self._add(fetched, {**event, **overrides}, event.get("markets") or [])
        return fetched

    async def _reprice_series(self, fetched: FetchedPage, ticker: str, change: FeeChange) -> None:
        try:
            series = (await self._client.series(ticker)).payload
        except NotFound:
            return
        fees = {name: change.payload[name] for name in ("fee_type", "fee_multiplier")}
        self._series[ticker] = {**series, **fees}
        fetched.series.append(self._series[ticker])
        for phase in _PHASES:
            pages = all_pages(partial(self._client.markets_page, series_ticker=ticker, status=phase))
            async for page in pages:
                found = await self._with_events(page.items, "")
                fetched.extend(found)

    async def _with_events(self, markets: list[JsonDocument], cursor: str) -> FetchedPage:
        fetched = FetchedPage(cursor=cursor)
        tickers = list(dict.fromkeys(str(market.get("event_ticker") or "") for market in markets))
        known = dict(self._known_events(tickers))
        for ticker in tickers:
            if ticker and ticker not in known:
                try:
                    known[ticker] = (await self._client.event(ticker)).payload
                except NotFound:
                    known[ticker] = {}
            theirs = [market for market in markets if market.get("event_ticker") == ticker]
            await self._add(fetched, known.get(ticker) or {"event_ticker": ticker}, theirs)
        return fetched

    async def _add(self, fetched: FetchedPage, event: JsonDocument, markets: list[JsonDocument]) -> None:
        series = await self._series_of(str(event.get("series_ticker") or ""))
        bare = {key: value for key, value in event.items() if key != "markets"}
        for payload in markets:
            fetched.parse(payload, lambda p: parse_market(p, bare, series, now=self._clock(), readings=self._readings))
        if bare.get("title"):
            fetched.events.append(
                EventRow(
                    venue=Venue.KALSHI,
                    event_id=str(bare.get("event_ticker") or ""),
                    series_id=str(bare.get("series_ticker") or ""),
                    title=str(bare["title"]),
                    category=str(bare.get("category") or ""),
                    is_exclusive=bool(bare.get("mutually_exclusive")),
                    payload=bare,
                )
            )

    async def _series_of(self, ticker: str) -> JsonDocument:
        if ticker and ticker not in self._series:
            try:
                self._series[ticker] = (await self._client.series(ticker)).payload
            except NotFound:
                self._series[ticker] = {}
        return self._series.get(ticker, {})


def _latest(
    changes: Iterable[FeeChange], first: datetime, last: datetime, key: Callable[[FeeChange], str]
) -> dict[str, FeeChange]:
    """The last change of each ticker among those that start between two times."""
    due = [(change.starts_at, change) for change in changes if change.starts_at and first <= change.starts_at <= last]
    return {key(change): change for _, change in sorted(due, key=lambda one: one[0])}
