"""What trading knows of the accounts beside their gateways."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from orchestration.execution.trading_context import TradingContext
from streams.market.identity import Venue
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from streams.settings import Settings


def test_each_venue_pays_in_its_own_steps() -> None:
    def steps(**more: Any) -> list[int]:
        context = TradingContext(Settings(_env_file=None, **more), "paper", {})
        return [context.payout_step_e6(venue) for venue in (Venue.KALSHI, Venue.POLYMARKET)]

    assert steps() == [KalshiVenueSettings().scalar_payout_step_e6, 1]
    assert steps(kalshi_payout_step=Decimal("0.0001")) == [100, 1]
    for wrong in ("0", "0.0000001", "-0.01", "2"):
        with pytest.raises(ValueError, match="kalshi_payout_step"):
            steps(kalshi_payout_step=wrong)
