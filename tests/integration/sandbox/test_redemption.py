"""A deposit wallet's resolved market is redeemed by the gateway through the relayer, and the payout is found."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from orchestration.execution.venues.gateway import AwaitedMarket, Payout
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.fees import from_json
from streams.market.identity import MarketRef, Venue
from streams.market.listing import MarketTerms
from streams.market.trading import Target
from streams.sandbox.core.model import DetermineMarket, SettleMarket
from streams.sandbox.core.profile import ZERO
from streams.sandbox.polymarket.auth import account_of
from streams.sandbox.polymarket.wallets import owned_wallets
from streams.venues.polymarket.chain import calldata
from streams.venues.polymarket.chain.relayer import Relayer, RelayerKey
from streams.venues.polymarket.client import PolymarketClient
from streams.venues.polymarket.contracts import COLLATERAL, COLLATERAL_ADAPTER
from tests.fixtures.sandbox_world import CONDITION

SHARE = 1_000_000
YES, NO = str(10**40), str(10**40 + 1)
TARGET = Target(Venue.POLYMARKET, CONDITION, MarketTerms(yes_token=YES, no_token=NO), from_json("polymarket", {}))


def test_the_gateway_redeems_and_finds_what_was_paid(open_world: Any) -> None:
    async def main() -> None:
        async with open_world(None, replace(ZERO, settlement_ms=(100, 200))) as world:
            credentials = world.polymarket_credentials
            deposit = owned_wallets(credentials.address).deposit
            wallet = replace(credentials, signature_type=3, funder=deposit)
            exchange = world.exchanges[Venue.POLYMARKET]
            account = exchange.state.accounts.open_account(account_of(deposit), 100 * SHARE)
            account.redeems_itself = False
            relayer = Relayer(world.endpoints, wallet, RelayerKey("mine", credentials.address), http=world.http)
            client = PolymarketClient(world.endpoints, wallet, http=world.http)
            gateway = PolymarketGateway(client, wallet, relayer)
            ticking = asyncio.create_task(world.run_clock())
            bought = await relayer.submit(
                [
                    calldata.approve_call(COLLATERAL, COLLATERAL_ADAPTER),
                    calldata.split_call(CONDITION, 12 * SHARE, is_neg_risk=False),
                ]
            )
            await relayer.settled(bought, every_s=0.05, for_s=60.0)
            market = MarketRef(Venue.POLYMARKET, CONDITION)
            world.act(DetermineMarket(market, 10_000, "yes"))
            world.act(SettleMarket(market))

            async def payout() -> Payout:
                found = await gateway.payouts([AwaitedMarket(CONDITION, 10_000, is_over=True)])
                assert found.failed == {}
                return found.found[0]

            assert (await payout()).paid_e6 is None
            asked = await gateway.redeem(TARGET)
            await relayer.settled(await relayer.transaction(asked), every_s=0.05, for_s=60.0)
            assert (await payout()).paid_e6 == 12 * SHARE
            # Asked again, nothing more is paid.
            again = await gateway.redeem(TARGET)
            await relayer.settled(await relayer.transaction(again), every_s=0.05, for_s=60.0)
            assert (await payout()).paid_e6 == 12 * SHARE
            ticking.cancel()

    asyncio.run(main())
