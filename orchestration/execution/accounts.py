"""Puts the accounts of the mode in force together: keys, clients, gateways. The one place where production is wired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestration.execution.dispatch import Accounts
from orchestration.execution.gateway import Gateway
from orchestration.execution.live import KalshiGateway, PolymarketGateway
from orchestration.execution.paper import PaperGateway
from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.trading import ledger_cash_e6
from streams.venues.clients import kalshi_client, polymarket_client
from streams.venues.http import http_client
from streams.venues.keystore import Keystore


@asynccontextmanager
async def open_accounts(settings: Settings, connection: Connection) -> AsyncIterator[Accounts]:
    """Open the gateways of the trading mode in force and close their connections afterwards.

    Raises:
        ConfigurationError: If orders are to be sent and a key is missing, or trading is off.
    """
    mode = settings.trading_mode
    if mode == "off":
        raise ConfigurationError("CROSSBOOK_TRADING is off; nothing is traded.")
    keystore = Keystore(settings)
    kalshi_key, polymarket_key = keystore.kalshi(settings.venues), keystore.polymarket(settings.venues)
    if mode == "live" and (kalshi_key is None or polymarket_key is None):
        missing = "kalshi" if kalshi_key is None else "polymarket"
        raise ConfigurationError(
            f"There is no {missing} key for {settings.venues}; store one with `crossbook keys set`."
        )
    async with http_client(settings) as http:
        gateways: dict[Venue, Gateway] = {Venue.KALSHI: KalshiGateway(kalshi_client(settings, http))}
        gateways[Venue.POLYMARKET] = PolymarketGateway(polymarket_client(settings, http), polymarket_key)
        if mode == "paper":
            gateways = {venue: _paper(gateway, connection) for venue, gateway in gateways.items()}
        yield Accounts(settings, mode, gateways)


def _paper(gateway: Gateway, connection: Connection) -> Gateway:
    return PaperGateway(gateway, lambda: ledger_cash_e6(connection, gateway.venue.value, "paper"))
