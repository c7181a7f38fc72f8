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
from streams.storage.discovered.listings import load_events, load_series
from streams.storage.store.alerts import clear_alert, raise_alert
from streams.venues.common.http import http_client
from streams.venues.factory import kalshi_client, polymarket_client


async def sweep_venue(settings: Settings, connection: Connection, venue: Venue, *, full: bool) -> SweepSummary:
    """Take a venue's list into the database: all of it, or what changed since the last sweep.

    Raises:
        PageFailed: If a page fails finally; what came before it is kept.
    """
    async with http_client(settings) as http:
        source = _SOURCES[venue](settings, connection, http)
        summary = await sweep(
            connection, source, full=full, now=datetime.now(UTC), retries=settings.discovery_page_retries
        )
    alarm_dead_letters(connection, venue, summary, settings.discovery_dead_letter_share)
    return summary


def alarm_dead_letters(connection: Connection, venue: Venue, summary: SweepSummary, most_share: float) -> None:
    """Open the alert of a sweep that set more than a share of its entries aside or lost part of a list, or close it."""
    key = f"dead_letters:{venue}"
    if summary.malformed_share > most_share or summary.broken_lists or summary.lost_pages:
        broken = f", and {summary.broken_lists} of its lists broke off" if summary.broken_lists else ""
        broken += f", and {summary.lost_pages} of its pages cannot be read" if summary.lost_pages else ""
        message = (
            f"Discovery of {venue} set {summary.malformed} of {summary.malformed + summary.counts.seen} entries aside"
            f"{broken}; raw.dead_letters has their bytes and reasons."
        )
        raise_alert(connection, "dead_letters", "warning", key, message, {"venue": venue, "count": summary.malformed})
    else:
        clear_alert(connection, key)


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
