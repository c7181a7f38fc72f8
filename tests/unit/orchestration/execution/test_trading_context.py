"""Which accounts send orders, and which only pretend to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from orchestration.execution.trading_context import open_trading_context
from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.settings import Settings, load_settings
from streams.storage.database import Connection
from streams.venues.credentials.keystore import Keystore, ensure_sandbox_credentials

NOBODY = cast("Connection", None)


def settings(home: Path, venues: str, *, keys: tuple[str, ...] = ("kalshi", "polymarket"), **more: Any) -> Settings:
    """Return settings of a home that holds keys of an environment."""
    made = load_settings(home=home, venues=venues, keystore_passphrase="a passphrase", **more)
    ensure_sandbox_credentials(made)
    keystore = Keystore(made)
    for name in keys:
        keystore.set(f"{name}-{venues}", cast("dict[str, str]", keystore.get(f"{name}-sandbox")))
    return made


def simulated(chosen: Settings) -> dict[Venue, bool]:
    async def ask() -> dict[Venue, bool]:
        async with open_trading_context(chosen, NOBODY) as accounts:
            return {venue: gateway.is_simulated for venue, gateway in accounts.gateways.items()}

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("venues", "more", "kalshi", "polymarket"),
    [
        ("sandbox", {}, False, False),
        ("sandbox", {"trading": "paper"}, True, True),
        ("demo", {"trading": "live"}, False, True),
        ("demo", {}, True, True),
        ("live", {}, True, True),
        ("live", {"trading": "live", "i_understand": True}, False, False),
    ],
)
def test_only_the_accounts_that_were_asked_for_send_orders(
    tmp_path: Path, venues: str, more: dict[str, Any], kalshi: bool, polymarket: bool
) -> None:
    found = simulated(settings(tmp_path, venues, **more))
    assert found == {Venue.KALSHI: kalshi, Venue.POLYMARKET: polymarket}


def test_live_orders_on_live_venues_must_be_said_at_this_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--i-understand"):
        simulated(settings(tmp_path, "live", trading="live"))


def test_a_key_that_orders_need_is_named_when_it_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no kalshi key for demo"):
        simulated(settings(tmp_path, "demo", keys=("polymarket",), trading="live"))
    assert simulated(settings(tmp_path / "other", "demo", keys=("kalshi",), trading="live"))[Venue.POLYMARKET]
