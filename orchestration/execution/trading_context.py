"""Puts the accounts of the trading mode in force together: keys, clients, gateways. Production is wired here only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from orchestration.execution.decide.plan import PlanPolicy
from orchestration.execution.venues.gateway import Gateway
from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.paper import PaperGateway
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.market.units import CASH_SCALE, PRICE_SCALE
from streams.market.venue_traits import TRAITS
from streams.settings import Settings, check_intent
from streams.storage.database import Connection
from streams.storage.store.ledger import ledger_cash_e6
from streams.venues.common.http import http_client
from streams.venues.credentials.keystore import Keystore
from streams.venues.factory import kalshi_client, polymarket_client, polymarket_relayer


@dataclass(frozen=True, slots=True)
class TradingContext:
    """Who trades for whom: the settings, the trading mode and a gateway per venue."""

    settings: Settings
    mode: str
    gateways: Mapping[Venue, Gateway]

    @property
    def environment(self) -> str:
        """Which exchanges these are."""
        return self.settings.venues

    def payout_step_e6(self, venue: Venue) -> int:
        """Return the step to which a venue rounds down what it pays for a market; 1 where it pays exactly."""
        return int(self.settings.kalshi_payout_step * CASH_SCALE) if TRAITS[venue].rounds_payouts else 1

    @property
    def policy(self) -> PlanPolicy:
        """The numbers that plans keep to."""
        settings = self.settings
        return PlanPolicy(
            exit_edge_usd=settings.signal_exit_edge_usd,
            min_profit_e6=int(settings.signal_min_profit_usd * CASH_SCALE),
            slippage_e4=int(settings.slippage_max_usd * PRICE_SCALE),
            exposure_budget_e6=int(settings.exposure_budget_usd * CASH_SCALE),
            exposure_budget_e6_s=int(settings.exposure_budget_usd_s * CASH_SCALE),
            dust_e6=int(settings.dust_exposure_usd * CASH_SCALE),
            provisional_cap_e6=int(settings.provisional_cap_usd * CASH_SCALE),
        )


@asynccontextmanager
async def open_trading_context(settings: Settings, connection: Connection) -> AsyncIterator[TradingContext]:
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
            Venue.POLYMARKET: PolymarketGateway(
                polymarket_client(settings, http), polymarket, polymarket_relayer(settings, http)
            ),
        }
        for venue in simulated:
            gateways[venue] = _simulated(gateways[venue], connection, mode)
        yield TradingContext(settings, mode, gateways)


def _simulated(gateway: Gateway, connection: Connection, mode: str) -> Gateway:
    return PaperGateway(gateway, lambda: ledger_cash_e6(connection, gateway.venue.value, mode))
