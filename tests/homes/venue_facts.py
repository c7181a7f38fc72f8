"""What the sandbox venues themselves say on our account, asked over the wire by the signed clients."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from streams.settings import Settings
from streams.venues.common.http import http_client
from streams.venues.credentials.keystore import Keystore
from streams.venues.factory import kalshi_client, polymarket_client


def read_venues(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return by venue `cash_e6`, `positions` (contracts in 1e-6 by "market:outcome"), ids `open_orders` and `fills`.

    Only fills of markets that we hold count, for a venue forgets those of a market that settled long ago; Kalshi's old
    ones lie in its archive.
    """
    return asyncio.run(_read(settings))


async def _read(settings: Settings) -> dict[str, dict[str, Any]]:
    async with http_client(settings) as http:
        return {"kalshi": await _read_kalshi(settings, http), "polymarket": await _read_polymarket(settings, http)}


async def _read_kalshi(settings: Settings, http: httpx.AsyncClient) -> dict[str, Any]:
    client = kalshi_client(settings, http)
    positions = [position for position in await client.positions() if position.contracts_e6]
    held = {position.market_id for position in positions}
    fills = [*await client.fills(), *await client.historical_fills()]
    return {
        "cash_e6": await client.balance(),
        "positions": {f"{position.market_id}:{position.outcome}": abs(position.contracts_e6) for position in positions},
        "open_orders": sorted(order.order_id for order in await client.orders(status="resting")),
        "fills": sorted({fill.fill_id for fill in fills if fill.market_id in held}),
    }


async def _read_polymarket(settings: Settings, http: httpx.AsyncClient) -> dict[str, Any]:
    client = polymarket_client(settings, http)
    credentials = Keystore(settings).polymarket(settings.venues)
    assert credentials is not None
    wallet = credentials.funder or credentials.address
    positions = [position for position in await client.positions(wallet) if position.size_e6]
    held = {position.market_id for position in positions}
    return {
        "cash_e6": await client.balance(),
        "positions": {
            f"{position.market_id}:{'no' if position.outcome_index else 'yes'}": position.size_e6
            for position in positions
        },
        "open_orders": sorted(order.order_id for order in await client.open_orders()),
        "fills": sorted(trade.trade_id for trade in await client.trades() if trade.market_id in held),
    }
