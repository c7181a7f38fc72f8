"""Puts the accounts of the mode in force together: keys, clients, gateways. The one place where production is wired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestration.execution.send_orders import Accounts
from orchestration.execution.venues.gateway import Gateway
from orchestration.execution.venues.live import KalshiGateway, PolymarketGateway
from orchestration.execution.venues.paper import PaperGateway
from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.settings import Settings, check_intent
from streams.storage.database import Connection
from streams.storage.store.executions import ledger_cash_e6
from streams.venues.common.http import http_client
from streams.venues.credentials.keystore import Keystore
from streams.venues.factory import kalshi_client, polymarket_client


@asynccontextmanager
async def open_accounts(settings: Settings, connection: Connection) -> AsyncIterator[Accounts]:
    """Open the gateways of the trading mode in force and close their connections afterwards.

    Polymarket has no demo exchange: beside Kalshi's demo its books are the real ones, and its fills always simulated.

    Raises:
        ConfigurationError: If orders are to be sent and a key is missing or nobody said so, or trading is off.
    """
    mode = settings.trading_mode
    if mode == "off":
        raise ConfigurationError("CROSSBOOK_TRADING is off; nothing is traded.")
    check_intent(settings)
    simulated = set(Venue) if mode == "paper" else {Venue.POLYMARKET} if settings.venues == "demo" else set()
    keystore = Keystore(settings)
    kalshi, polymarket = keystore.kalshi(settings.venues), keystore.polymarket(settings.venues)
    for venue, key in ((Venue.KALSHI, kalshi), (Venue.POLYMARKET, polymarket)):
        if key is None and venue not in simulated:
            raise ConfigurationError(
                f"There is no {venue} key for {settings.venues}; store one with `crossbook keys set`."
            )
    async with http_client(settings) as http:
        gateways: dict[Venue, Gateway] = {
            Venue.KALSHI: KalshiGateway(kalshi_client(settings, http)),
            Venue.POLYMARKET: PolymarketGateway(polymarket_client(settings, http), polymarket),
        }
        for venue in simulated:
            gateways[venue] = _simulated(gateways[venue], connection, mode)
        yield Accounts(settings, mode, gateways)


def _simulated(gateway: Gateway, connection: Connection, mode: str) -> Gateway:
    return PaperGateway(gateway, lambda: ledger_cash_e6(connection, gateway.venue.value, mode))
