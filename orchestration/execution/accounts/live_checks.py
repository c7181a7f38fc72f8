"""What must hold of the accounts before a run sends orders, and what is prepared at the venues for it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from orchestration.execution.accounts.check_accounts import check_accounts
from orchestration.execution.accounts.order_groups import keep_order_groups
from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.trading_context import TradingContext
from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.market.units import CASH_SCALE
from streams.storage.database import Connection


async def prepare_accounts(connection: Connection, context: TradingContext) -> None:
    """Check the accounts, book what they held at first, compare them with our books, and see that the venues' own
    brakes are there.

    Raises:
        ConfigurationError: If an account is not as it must be.
        StreamsError: If an account could not be read.
    """
    await check_working_capital(context)
    await check_subaccount(context)
    await ensure_deposits(connection, context)
    await check_accounts(connection, context)
    await keep_order_groups(connection, context, datetime.now(UTC))


async def check_subaccount(context: TradingContext) -> None:
    """Refuse to trade live on a Kalshi account that is not said to be Crossbook's own, or with a key of more than that.

    Raises:
        ConfigurationError: If no subaccount is set, or the key is not limited to it.
        StreamsError: If the venue does not say what the key is limited to.
    """
    settings, groups = context.settings, context.order_groups
    if not settings.is_live or groups is None:
        return
    number = settings.kalshi_subaccount
    if number is None:
        raise ConfigurationError(
            "CROSSBOOK_KALSHI_SUBACCOUNT is not set: name the Kalshi subaccount that only Crossbook trades, or 0 for an"
            " account of its own."
        )
    if number and (await groups.client.key_terms()).subaccount != number:
        raise ConfigurationError(
            f"The stored Kalshi key is not limited to the subaccount {number} of CROSSBOOK_KALSHI_SUBACCOUNT;"
            " make a key that is."
        )


async def check_working_capital(context: TradingContext) -> None:
    """Refuse to trade live with a Polymarket wallet that holds more than its working capital.

    Whoever has the wallet's key has all that is in it: what it holds is the limit of what can be lost with the key.

    Raises:
        ConfigurationError: If it holds more.
        StreamsError: If its cash could not be read.
    """
    settings = context.settings
    if not settings.is_live:
        return
    cash = Decimal(await context.gateways[Venue.POLYMARKET].cash_e6()) / CASH_SCALE
    if cash > settings.polymarket_working_capital_usd:
        raise ConfigurationError(
            f"The Polymarket wallet holds {cash:.2f} USD, more than CROSSBOOK_POLYMARKET_WORKING_CAPITAL_USD"
            f" ({settings.polymarket_working_capital_usd:f}): trade with a wallet of its own that holds working capital"
            " only."
        )
