"""One exchange with one market of each venue that makers quote from 0.46 to 0.54, and orders of two accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from streams.market.identity import MarketRef, Outcome, Venue
from streams.sandbox.core.accounts import Action, Intent
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket, ListMarket, PlaceOrder
from streams.sandbox.core.profile import ZERO, Profile
from streams.sandbox.core.records import OrderRequest
from streams.sandbox.exchange.exchange import Exchange

NOW = 1_795_000_000_000
START = datetime(2026, 11, 1, tzinfo=UTC)
KALSHI_FEES = {"fee_type": "quadratic", "fee_multiplier": "1"}
POLYMARKET_FEES = {"rate": "0.05", "exponent": "1", "taker_only": True}
CONTRACT = 1_000_000


def listing(venue: Venue) -> ListMarket:
    """The market."""
    fees = KALSHI_FEES if venue is Venue.KALSHI else POLYMARKET_FEES
    market = CatalogueMarket(
        venue, "M", "E", "S", "Will it rain?", "Rules.", START + timedelta(days=60), START, fee_schedule=fees,
        yes_token="11", no_token="22", start_price_e4=5_000,
    )  # fmt: skip
    return ListMarket(CatalogueEvent(venue, "E", "S", "Rain"), market)


def exchange(venue: Venue, faults: FaultPlan | None = None, profile: Profile = ZERO) -> Exchange:
    """An exchange with quotes of 50 contracts a cent apart, and two accounts of 1,000 dollars."""
    made = Exchange(venue, faults or FaultPlan(), 1, profile)
    made.apply(listing(venue), NOW)
    made.state.accounts.open_account("me", 1_000 * CONTRACT)
    made.state.accounts.open_account("you", 1_000 * CONTRACT)
    ref = MarketRef(venue, "M")
    for step in range(1, 5):
        made.apply(PlaceOrder(ref, "maker", f"b{step}", "bid", 5_000 - 100 * step, 50 * CONTRACT), NOW)
        made.apply(PlaceOrder(ref, "maker", f"a{step}", "ask", 5_000 + 100 * step, 50 * CONTRACT), NOW)
    return made


def request(
    name: str, outcome: Outcome, action: Action, price: int, size: int, tif: str = "ioc", who: str = "me", **more: Any
) -> OrderRequest:
    """An order of whole contracts; `price` in YES terms."""
    side = "bid" if (outcome == "yes") == (action == "buy") else "ask"
    return OrderRequest(who, "M", name, Intent(outcome, action), side, price, size * CONTRACT, tif, **more)  # type: ignore[arg-type]
