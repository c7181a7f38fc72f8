"""What must hold of the accounts before a run sends orders to live venues."""

from __future__ import annotations

from decimal import Decimal

from orchestration.execution.trading_context import TradingContext
from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.market.units import CASH_SCALE


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
