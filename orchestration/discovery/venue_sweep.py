"""A sweep of one venue as the settings name it: its client, what is known of its series, and its list."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx

from orchestration.discovery.sources.kalshi import KalshiSource
from orchestration.discovery.sources.polymarket import PolymarketSource
from orchestration.discovery.sources.protocol import ListingSource
from orchestration.discovery.sweep import SweepSummary, sweep
from streams.market.fees import kalshi_readings
from streams.market.identity import Venue
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.listings import load_events, load_series
from streams.venues.common.http import http_client
from streams.venues.factory import kalshi_client, polymarket_client


async def sweep_venue(settings: Settings, connection: Connection, venue: Venue, *, full: bool) -> SweepSummary:
    """Take a venue's list into the database: all of it, or what changed since the last sweep.

    Raises:
        PageFailed: If a page fails finally; what came before it is kept.
    """
    async with http_client(settings) as http:
        source = _SOURCES[venue](settings, connection, http)
        return await sweep(
            connection, source, full=full, now=datetime.now(UTC), retries=settings.discovery_page_retries
        )


def _polymarket_source(settings: Settings, connection: Connection, http: httpx.AsyncClient) -> ListingSource:
    return PolymarketSource(polymarket_client(settings, http), lambda: datetime.now(UTC))


def _kalshi_source(settings: Settings, connection: Connection, http: httpx.AsyncClient) -> ListingSource:
    return KalshiSource(
        kalshi_client(settings, http),
        load_series(connection, Venue.KALSHI),
        lambda tickers: load_events(connection, Venue.KALSHI, tickers),
        lambda: datetime.now(UTC),
        kalshi_readings(
            settings.kalshi_account,
            scales_makers=settings.kalshi_scales_makers,
            rebate_when=settings.kalshi_rebate_when,
        ),
    )


_SOURCES = {Venue.KALSHI: _kalshi_source, Venue.POLYMARKET: _polymarket_source}
