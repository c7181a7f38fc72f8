"""Kalshi's list: events with nested markets, changed markets, and fees that change by the calendar."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from orchestration.discovery.sources.protocol import FetchedPage
from streams.logs import get_logger
from streams.market.documents import JsonDocument
from streams.market.errors import (
    AuthenticationFailed,
    InvalidAmount,
    MalformedFrame,
    NotFound,
    PermanentError,
    RateLimited,
    Refused,
    TransientError,
    Unavailable,
    UnreadableAnswer,
)
from streams.market.identity import Venue
from streams.storage.discovered.listings import EventRow
from streams.storage.discovered.sweeps import SweepKind
from streams.venues.common.listed_fields import flag, ornament, text
from streams.venues.common.paging import Items, Page, all_pages
from streams.venues.common.responses import bytes_of, items_of
from streams.venues.kalshi.types.catalogue import Event, FeeChange, Series
from streams.venues.kalshi.types.listings import parse_market

_PHASES = ("open", "unopened")
_FEES = "fees"
"""Cursor of the last page of an incremental sweep: events and series whose fees change."""
_FEES_AHEAD = timedelta(seconds=75)
_FEES_BACK = timedelta(minutes=10)
_ATTEMPTS = 3
_MOST_AWAY = 3
"""So many things asked for by name, one after the other, that the venue fails to give are no fault of the things."""


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
        self._unreadable_series: tuple[MalformedFrame, ...] = ()
        self._away = 0

    async def prepare(self, kind: SweepKind) -> list[JsonDocument]:
        """A full sweep reads all series anew."""
        if kind == "incremental" and self._series:
            return []
        found = await self._client.series_list()
        series = {item.ticker: item.payload for item in found}
        self._series.update(series)
        self._unreadable_series = found.unreadable if isinstance(found, Items) else ()
        return list(series.values())

    async def page(self, cursor: str, since: datetime | None) -> FetchedPage:
        """Cursors of a full sweep carry their phase: the venue filters by one status at a time."""
        if since is not None:
            if cursor == _FEES:
                return await self._with_new_fees(since)
            page = await self._client.markets_page(cursor, min_updated_ts=int(since.timestamp()), mve_filter="exclude")
            fetched = await self._with_events(page)
            fetched.cursor, fetched.next_list, fetched.broken_off = page.cursor or _FEES, _FEES, page.broken_off
        else:
            fetched = await self._events_page(cursor or f"{_PHASES[0]}:")
        if not cursor:
            fetched.set_aside(self._unreadable_series)
        return fetched

    async def _events_page(self, cursor: str) -> FetchedPage:
        phase, _, inner = cursor.partition(":")
        events = await self._client.events_page(inner, status=phase)
        fetched = FetchedPage(broken_off=events.broken_off)
        fetched.set_aside(events.unreadable)
        for event in events.items:
            await self._add(fetched, event)
        fetched.next_list = _after(phase)
        fetched.cursor = f"{phase}:{events.cursor}" if events.cursor else fetched.next_list
        return fetched

    def beyond(self, cursor: str, since: datetime | None, lost: UnreadableAnswer) -> FetchedPage:
        """Return an empty page in the place of one that cannot be read."""
        letters = [(lost.raw, lost.reason)]
        if since is not None:
            return FetchedPage(cursor=lost.next_cursor or _FEES, next_list=_FEES, dead_letters=letters)
        phase = cursor.partition(":")[0] or _PHASES[0]
        after = _after(phase)
        further = f"{phase}:{lost.next_cursor}" if lost.next_cursor else after
        return FetchedPage(cursor=further, next_list=after, dead_letters=letters)

    async def by_id(self, market_ids: Sequence[str]) -> FetchedPage:
        """Return markets by ticker; those the live tier has forgotten are missing."""
        page = await self._client.markets_page("", tickers=",".join(market_ids))
        return await self._with_events(page)

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
        for changes in (of_events, of_series):
            fetched.set_aside(changes.unreadable if isinstance(changes, Items) else ())
        first, last = since - _FEES_BACK, self._clock() + _FEES_AHEAD
        for ticker, change in _latest(of_series, first, last, lambda one: one.series_ticker).items():
            await self._reprice_series(fetched, ticker, change)
        for ticker, change in _latest(of_events, first, last, lambda one: one.event_ticker).items():
            event = await self._one(fetched, ticker, self._client.event)
            if event:
                overrides = {n: change.payload.get(n) for n in ("fee_type_override", "fee_multiplier_override")}
                await self._add(fetched, {**event, **overrides})
        return fetched

    async def _reprice_series(self, fetched: FetchedPage, ticker: str, change: FeeChange) -> None:
        series = await self._one(fetched, ticker, self._client.series)
        if not series:
            return
        fees = {name: change.payload[name] for name in ("fee_type", "fee_multiplier")}
        self._series[ticker] = {**series, **fees}
        fetched.series.append(self._series[ticker])
        for phase in _PHASES:
            pages = all_pages(partial(self._client.markets_page, series_ticker=ticker, status=phase))
            try:
                async for page in pages:
                    fetched.extend(await self._with_events(page))
            except (RateLimited, Unavailable):
                raise
            except (TransientError, Refused, NotFound) as error:
                fetched.set_aside([MalformedFrame(ticker.encode(), f"its {phase} markets cannot be read: {error}")])

    async def _with_events(self, page: Page[JsonDocument]) -> FetchedPage:
        """Return the markets of a page, each with its event; those of an event that cannot be read wait with it."""
        fetched = FetchedPage()
        fetched.set_aside(page.unreadable)
        by_event: dict[str, list[JsonDocument]] = {}
        for payload in page.items:
            ticker = fetched.parse(payload, _event_ticker)
            if ticker is not None:
                by_event.setdefault(ticker, []).append(payload)
        known = dict(self._known_events(list(by_event)))
        for ticker, markets in by_event.items():
            event = known.get(ticker) or await self._one(fetched, ticker, self._client.event)
            if event is not None:
                await self._add(fetched, {**(event or {"event_ticker": ticker}), "markets": markets})
        return fetched

    async def _one(
        self, fetched: FetchedPage, ticker: str, read: Callable[[str], Awaitable[Event | Series]]
    ) -> JsonDocument | None:
        """Return an event or a series, {} where the venue has none; one that cannot be read is set aside: None.

        Raises:
            TransientError: If the venue gave none of the last that were asked for: then it is the venue that is away.
        """
        name = ticker.encode(errors="backslashreplace")
        unreadable = MalformedFrame(name, "never asked for")
        away: TransientError | None = None
        for _ in range(_ATTEMPTS):
            away = None
            try:
                found = await read(ticker)
            except NotFound:
                self._away = 0
                return {}
            except (RateLimited, Unavailable, AuthenticationFailed):
                raise
            except MalformedFrame as error:
                unreadable = error
            except TransientError as error:
                unreadable, away = MalformedFrame(name, str(error)), error
            except (InvalidAmount, Refused) as error:
                unreadable = MalformedFrame(name, str(error))
            else:
                self._away = 0
                if found.ticker == ticker:
                    return found.payload
                reason = f"asked for {ticker[:60]} and got {found.ticker[:60]!r}"
                unreadable = MalformedFrame(bytes_of(found.payload), reason)
        self._away += away is not None
        if away is not None and self._away >= _MOST_AWAY:
            raise away
        fetched.set_aside([unreadable])
        return None

    async def _add(self, fetched: FetchedPage, entry: Any) -> None:
        """Add an event and the markets in it; without a readable event its markets wait."""
        bare = fetched.parse(_without_markets(entry), _checked_event)
        if bare is None:
            return
        markets = fetched.parse(entry, _markets_of) if _is_list_odd(entry) else entry.get("markets") or []
        series = await self._series_of(fetched, str(bare.get("series_ticker") or ""))
        if series is None:
            return
        for payload in markets or []:
            market = fetched.parse(
                payload, lambda p: parse_market(p, bare, series, now=self._clock(), readings=self._readings)
            )
            fetched.markets += [market] if market is not None else []
        if bare.get("title"):
            fetched.events.append(_event_row(bare))

    async def _series_of(self, fetched: FetchedPage, ticker: str) -> JsonDocument | None:
        """Return a series, {} where the venue has none; one that cannot be read is a dead letter and None."""
        if ticker and ticker not in self._series:
            series = await self._one(fetched, ticker, self._client.series)
            if series is None:
                return None
            self._series[ticker] = series
        return self._series.get(ticker, {})


def _after(phase: str) -> str:
    """Return the cursor of the list after a phase's, empty where it is the last."""
    later = _PHASES[_PHASES.index(phase) + 1 :]
    return f"{later[0]}:" if later else ""


def _event_ticker(market: JsonDocument) -> str:
    ticker = text(market, "event_ticker")
    if not ticker:
        raise InvalidAmount("a market without an event")
    return ticker


def _without_markets(entry: Any) -> Any:
    return {key: value for key, value in entry.items() if key != "markets"} if isinstance(entry, dict) else entry


def _is_list_odd(event: JsonDocument) -> bool:
    return not isinstance(event.get("markets"), list | None)


def _markets_of(event: JsonDocument) -> list[Any]:
    return items_of(event, "markets")


def _checked_event(event: JsonDocument) -> JsonDocument:
    """Return an event whose own fields can be read; raises InvalidAmount where not."""
    _event_row(event)
    return event


def _event_row(event: JsonDocument) -> EventRow:
    return EventRow(
        venue=Venue.KALSHI,
        event_id=text(event, "event_ticker"),
        series_id=text(event, "series_ticker"),
        title=text(event, "title"),
        category=ornament(event, "category"),
        is_exclusive=flag(event, "mutually_exclusive", default=False),
        payload=event,
    )


def _latest(
    changes: Iterable[FeeChange], first: datetime, last: datetime, key: Callable[[FeeChange], str]
) -> dict[str, FeeChange]:
    """The last change of each ticker among those that start between two times."""
    due = [(change.starts_at, change) for change in changes if change.starts_at and first <= change.starts_at <= last]
    return {key(change): change for _, change in sorted(due, key=lambda one: one[0])}
