"""What discovery asks for by name: one thing the venue does not give costs that thing, in lists and in histories."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestration.discovery.history import HistoryWindow, load_history
from orchestration.discovery.sources.kalshi import KalshiSource
from orchestration.discovery.sources.protocol import FetchedPage
from orchestration.discovery.sweep import PageFailed, SweepSummary, sweep
from streams.market.errors import InvalidAmount, NotFound, Refused, StreamsError, TransientError, UnreadableAnswer
from streams.market.identity import Venue
from streams.storage.database import Connection, connect
from streams.storage.discovered.listings import load_markets
from streams.venues.common.paging import Candle, Items, Page
from streams.venues.common.responses import read_items
from streams.venues.kalshi.types.catalogue import Event, Series, parse_event, parse_series
from streams.venues.kalshi.types.listings import parse_market

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def market(ticker: str, **more: Any) -> dict[str, Any]:
    return {
        "ticker": ticker, "event_ticker": ticker.split("-")[0], "title": "T", "rules_primary": "R", "status": "active",
        "open_time": "2026-10-01T00:00:00Z", "close_time": "2026-12-01T00:00:00Z", "result": "", **more,
    }  # fmt: skip


class Kalshi:
    """Series and events by name; what is an error is raised."""

    def __init__(self, listed: Sequence[Any] = (), named: dict[str, Exception | dict[str, Any]] | None = None) -> None:
        self.listed, self.named = listed, named or {}
        self.changed: list[dict[str, Any]] = []

    async def series_list(self) -> Items[Series]:
        return read_items(self.listed, parse_series)

    async def series(self, series_ticker: str) -> Series:
        return parse_series(self._one(series_ticker))

    async def event(self, event_ticker: str) -> Event:
        return parse_event(self._one(event_ticker))

    async def events_page(self, cursor: str = "", *, status: str | None = None) -> Page[Any]:
        events = [
            {"event_ticker": name, "series_ticker": f"S{name}", "title": "E", "markets": [one]}
            for one in self.changed
            for name in [one["event_ticker"]]
        ]
        return Page(events if status == "open" else [], "")

    async def markets_page(self, cursor: str = "", *, limit: int = 100, **filters: Any) -> Page[Any]:
        return Page([] if "tickers" in filters else self.changed, "")

    async def event_fee_changes(self) -> list[Any]:
        return []

    async def series_fee_changes(self, *, show_historical: bool = False) -> list[Any]:
        return []

    def _one(self, name: str) -> dict[str, Any]:
        found = self.named.get(name, NotFound(name))
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture(scope="module")
def stored(postgres_dsn: str, migrated_template: str) -> Iterator[Connection]:
    from tests.conftest import new_database  # a database of its own for the module

    with new_database(postgres_dsn, migrated_template) as address, connect(address) as opened:
        yield opened


@pytest.fixture
def connection(stored: Connection) -> Connection:
    stored.execute(
        "TRUNCATE raw.market_state, raw.market_versions, raw.market_ids, raw.events, raw.series, raw.dead_letters,"
        " raw.discovery_sweeps, raw.candles CASCADE"
    )
    return stored


def take(connection: Connection, venue: Kalshi, *, full: bool = True) -> SweepSummary:
    source = KalshiSource(venue, {} if full else {"S": {}}, lambda _: {}, lambda: NOW)
    return asyncio.run(sweep(connection, source, full=full, now=NOW, retries=0))


def stored_ids(connection: Connection) -> list[str]:
    return [found.listing.market_id for found in load_markets(connection)]


@pytest.mark.parametrize(
    "field",
    [{"title": {"a": 1}}, {"category": [{}]}, {"tags": 5}, {"tags": {"a": 1}}, {"title": ["x"]}, {"category": 1.5}],
    ids=repr,
)
def test_what_is_only_shown_of_a_series_costs_its_field(connection: Connection, field: dict[str, Any]) -> None:
    venue = Kalshi([{"ticker": "SKXA", **field}, {"ticker": "SKXB"}])
    venue.changed = [market("KXA-1")]
    assert take(connection, venue).malformed == 0
    assert stored_ids(connection) == ["KXA-1"]
    row = connection.execute("SELECT count(*) AS n FROM raw.series").fetchone()
    assert row == {"n": 2}


def test_a_series_whose_ticker_is_no_text_costs_itself(connection: Connection) -> None:
    venue = Kalshi([{"ticker": {"a": 1}}, {"ticker": [1]}, {"ticker": 7}, {"ticker": "SKXA"}])
    venue.changed = [market("KXA-1")]
    assert take(connection, venue).malformed == 3
    assert stored_ids(connection) == ["KXA-1"]


@pytest.mark.parametrize(
    "error", [Refused("bad_request"), TransientError("500"), UnreadableAnswer(b"<html>", "page")], ids=repr
)
def test_an_event_or_series_the_venue_does_not_give_costs_its_markets(
    connection: Connection, error: StreamsError
) -> None:
    for name in ("KXB", "SKXB"):
        venue = Kalshi([{"ticker": "S"}], {name: error})
        venue.changed = [market("KXA-1"), market("KXB-1"), market("KXC-1")]
        take(connection, Kalshi([{"ticker": "S"}]))  # a first full list, so that the next one is of changes
        summary = take(connection, venue, full=name.startswith("S"))
        assert stored_ids(connection) == ["KXA-1", "KXC-1"]
        assert summary.malformed == 1
        connection.execute("TRUNCATE raw.market_state, raw.market_versions, raw.discovery_sweeps CASCADE")


def test_a_venue_that_gives_nothing_by_name_is_away(connection: Connection) -> None:
    venue = Kalshi([{"ticker": "S"}], {f"SKX{letter}": TransientError("500") for letter in "ABCD"})
    venue.changed = [market(f"KX{letter}-1") for letter in "ABCD"]
    with pytest.raises(PageFailed):
        take(connection, venue)


class ByName(KalshiSource):
    """A source that refuses each request with one of the poisoned ids."""

    poisoned: frozenset[str] = frozenset()

    async def by_id(self, market_ids: Sequence[str]) -> FetchedPage:
        if self.poisoned & set(market_ids):
            raise Refused("invalid_parameters")
        ended = [parse_market(market(name, status="finalized", result="yes")) for name in market_ids]
        return FetchedPage(markets=ended)


def test_an_id_that_spoils_a_request_costs_itself(connection: Connection) -> None:
    venue = Kalshi([{"ticker": "S"}])
    names = [f"KX{number:02d}-1" for number in range(20)]
    venue.changed = [market(name, close_time="2026-10-30T00:00:00Z") for name in names]
    take(connection, venue)
    source = ByName(Kalshi([{"ticker": "S"}]), {}, lambda _: {}, lambda: NOW)
    source.poisoned = frozenset({"KX07-1"})
    asyncio.run(sweep(connection, source, full=True, now=NOW + timedelta(days=60), retries=0))
    rows = connection.execute("SELECT market_id FROM raw.market_state WHERE status <> 'settled'").fetchall()
    assert [row["market_id"] for row in rows] == ["KX07-1"]


class Candles:
    """Histories by market; what is an error is raised."""

    def __init__(self, errors: dict[str, Exception]) -> None:
        self.errors = errors

    async def candlesticks(self, series: str, market_id: str, start: int, end: int, minutes: int = 1) -> list[Candle]:
        if market_id in self.errors:
            raise self.errors[market_id]
        return [Candle(NOW, 3_600, 1, 2, None, None, None, None, None, {})]

    async def prices_history(self, token_id: str, start_ts: int, end_ts: int, fidelity: int = 1) -> list[Candle]:
        return []


def test_a_market_without_a_history_costs_its_history(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    venue = Kalshi([{"ticker": "S"}])
    venue.changed = [market(f"KX{letter}-1") for letter in "ABCD"]
    take(connection, venue)
    monkeypatch.setattr("orchestration.discovery.history._ATTEMPTS", 1)
    window = HistoryWindow(Venue.KALSHI, NOW - timedelta(days=1), NOW)

    def load(errors: dict[str, Exception]) -> tuple[int, int]:
        venue = Candles(errors)
        counts = asyncio.run(load_history(connection, window, venue, venue, limit=9, budget_s=9))
        return counts.candles, counts.failed

    assert load({"KXA-1": TransientError("500"), "KXB-1": InvalidAmount("not an id: ''")}) == (2, 1)
    with pytest.raises(TransientError):
        load({f"KX{letter}-1": TransientError("500") for letter in "ABCD"})
