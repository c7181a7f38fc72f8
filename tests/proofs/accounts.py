"""The venues' own word on our accounts, read by the signed clients, beside what our tables say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from streams.market.errors import StreamsError
from streams.market.identity import Venue
from streams.settings import Settings
from streams.storage.database import Connection
from streams.venues.common.http import http_client
from streams.venues.factory import kalshi_client, polymarket_client
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.polymarket.client import PolymarketClient


@dataclass(frozen=True, slots=True)
class Reading:
    """One venue's cash and our ledger's, with nothing in flight between them (1e-6 dollar)."""

    venue: Venue
    cash_e6: int
    ledger_e6: int


@dataclass(frozen=True, slots=True)
class Fills:
    """Ids of our fills at a venue, and those of our tables."""

    at_venue: frozenset[str]
    in_tables: frozenset[str]


def read_cash(settings: Settings, connection: Connection) -> list[Reading]:
    """Return the readings of the venues where nothing is in flight; a venue that is busy is left out."""
    return asyncio.run(_read_cash(settings, connection))


async def _read_cash(settings: Settings, connection: Connection) -> list[Reading]:
    found = []
    async with http_client(settings) as http:
        clients: dict[Venue, KalshiClient | PolymarketClient]
        clients = {Venue.KALSHI: kalshi_client(settings, http), Venue.POLYMARKET: polymarket_client(settings, http)}
        for venue, client in clients.items():
            before = _still(connection, venue)
            try:
                cash = await client.balance()
            except StreamsError:
                continue
            if before is not None and before == _still(connection, venue):
                found.append(Reading(venue, cash, before[0]))
    return found


def _still(connection: Connection, venue: Venue) -> tuple[int, int] | None:
    """Return (ledger cash, its last entry); None before the deposit is booked, or while anything is under way."""
    row = connection.execute(
        """SELECT coalesce(sum(cash_e6), 0)::bigint AS cash_e6, coalesce(max(entry_id), 0) AS entry_id,
               count(*) FILTER (WHERE kind = 'deposit') AS deposits,
               EXISTS (SELECT 1 FROM trading.orders WHERE venue = %(venue)s
                   AND state IN ('prepared', 'sent', 'unknown', 'resting')) AS has_orders,
               EXISTS (SELECT 1 FROM trading.fills WHERE venue = %(venue)s AND state = 'provisional') AS has_fills,
               EXISTS (SELECT 1 FROM trading.positions AS p
                   JOIN raw.market_state AS s USING (venue, market_id) JOIN raw.market_versions AS v USING (version_id)
                   WHERE p.venue = %(venue)s AND p.contracts_e6 <> 0
                     AND (s.status <> 'open' OR v.close_time < now() + interval '2 seconds')) AS has_payouts
           FROM trading.ledger WHERE venue = %(venue)s""",
        {"venue": venue.value},
    ).fetchone()
    if row is None or not row["deposits"] or row["has_orders"] or row["has_fills"] or row["has_payouts"]:
        return None
    return int(row["cash_e6"]), int(row["entry_id"])


def read_fills(settings: Settings, connection: Connection) -> dict[Venue, Fills]:
    """Return our fills by venue, as the venue lists them and as we keep them."""
    at_venues = asyncio.run(_venue_fills(settings))
    rows = connection.execute("SELECT venue, venue_fill_id FROM trading.fills").fetchall()
    return {
        venue: Fills(ids, frozenset(row["venue_fill_id"] for row in rows if row["venue"] == venue))
        for venue, ids in at_venues.items()
    }


async def _venue_fills(settings: Settings) -> dict[Venue, frozenset[str]]:
    async with http_client(settings) as http:
        kalshi = await kalshi_client(settings, http).fills()
        polymarket = await polymarket_client(settings, http).trades()
    return {
        Venue.KALSHI: frozenset(fill.fill_id for fill in kalshi),
        Venue.POLYMARKET: frozenset(trade.trade_id for trade in polymarket),
    }
