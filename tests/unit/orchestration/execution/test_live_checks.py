"""A live run starts only with accounts of its own: a wallet of working capital, and a subaccount with its key."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.execution.accounts.live_checks import check_subaccount, check_working_capital
from streams.market.errors import ConfigurationError, Unavailable
from streams.market.identity import Venue
from streams.settings import Settings
from streams.venues.kalshi.types.portfolio import KeyTerms

LIVE = {"venues": "live", "trading": "live", "polymarket_working_capital_usd": "2000"}


def check(cash_e6: int | Exception, **settings: Any) -> None:
    async def cash() -> int:
        if isinstance(cash_e6, Exception):
            raise cash_e6
        return cash_e6

    context: Any = SimpleNamespace(
        settings=Settings(**settings), gateways={Venue.POLYMARKET: SimpleNamespace(cash_e6=cash)}
    )
    asyncio.run(check_working_capital(context))


def test_a_wallet_with_more_than_its_working_capital_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"holds 2000\.01 USD"):
        check(2_000_010_000, **LIVE)
    check(2_000_000_000, **LIVE)


def test_a_wallet_that_cannot_be_read_is_not_taken_for_one_that_is_right() -> None:
    with pytest.raises(Unavailable):
        check(Unavailable("away"), **LIVE)


def test_the_sandbox_and_paper_ask_nobody() -> None:
    for settings in ({"venues": "sandbox"}, {"venues": "live", "trading": "paper"}):
        check(AssertionError("it was asked"), polymarket_working_capital_usd="1", **settings)


def check_key(limited_to: int | None, **settings: Any) -> None:
    async def key_terms() -> KeyTerms:
        return KeyTerms(frozenset({"write"}), limited_to, None)

    groups = SimpleNamespace(client=SimpleNamespace(key_terms=key_terms))
    context: Any = SimpleNamespace(settings=Settings(**settings), order_groups=groups)
    asyncio.run(check_subaccount(context))


def test_a_live_run_needs_to_know_which_subaccount_is_its_own() -> None:
    with pytest.raises(ConfigurationError, match="CROSSBOOK_KALSHI_SUBACCOUNT is not set"):
        check_key(None, **LIVE)
    check_key(None, **LIVE, kalshi_subaccount=0)  # an account of its own
    check_key(None, venues="sandbox")


@pytest.mark.parametrize("limited_to", [None, 0, 4])
def test_a_key_of_more_than_the_subaccount_is_refused(limited_to: int | None) -> None:
    check_key(3, **LIVE, kalshi_subaccount=3)
    with pytest.raises(ConfigurationError, match="not limited to the subaccount 3"):
        check_key(limited_to, **LIVE, kalshi_subaccount=3)
