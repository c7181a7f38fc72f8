"""The whole Polymarket client against the sandbox exchange: every call, over the life of orders, cash and inventory."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from streams.market.errors import NotFound, Refused
from streams.market.identity import Venue
from streams.sandbox.core.profile import ZERO
from streams.sandbox.polymarket.wallets import owned_wallets
from streams.venues.polymarket.amounts import Amounts, limit_amounts, spend_amounts
from streams.venues.polymarket.chain import calldata
from streams.venues.polymarket.chain.relayer import Relayer, RelayerKey
from streams.venues.polymarket.client import PolymarketClient
from streams.venues.polymarket.clob.heartbeat import DeadMansSwitch, beat
from streams.venues.polymarket.clob.orders import PostAnswer
from streams.venues.polymarket.contracts import COLLATERAL, COLLATERAL_ADAPTER, CONDITIONAL_TOKENS, EXCHANGE_V2
from streams.venues.polymarket.gamma.listings import parse_market
from streams.venues.polymarket.signing import SignedOrder, build_order
from tests.fixtures.sandbox_world import CONDITION

SHARE = 1_000_000
YES, NO = str(10**40), str(10**40 + 1)
SALTS = itertools.count(1)


def signed(world: Any, side: str, amounts: Amounts, kind: str = "GTC", token: str = YES, **more: Any) -> SignedOrder:
    wallet = more.pop("wallet", world.polymarket_credentials)
    now = time.time_ns() // 1_000_000
    return build_order(
        wallet, token_id=token, side=side, amounts=amounts, order_type=kind, is_neg_risk=False,
        salt=next(SALTS), timestamp_ms=now, **more,
    )  # type: ignore[arg-type]  # fmt: skip


def resting(world: Any, price_e4: int, shares: int = 10, **more: Any) -> SignedOrder:
    return signed(world, "BUY", limit_amounts("BUY", price_e4, shares * SHARE, 100), **more)


def test_the_catalogue(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            client = world.polymarket
            page = await client.gamma_markets_page(closed=False)
            (row,) = [row for row in page.items if row["conditionId"] == CONDITION]
            market = parse_market(row)
            assert market.listing.market_id == CONDITION
            assert (market.terms.yes_token, market.terms.no_token) == (YES, NO)

    asyncio.run(main())


def test_public_reads(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            client, now = world.polymarket, int(time.time())
            (book,) = await client.books([YES])
            assert (book.bids[0], book.asks[0]) == ((4_900, 50 * SHARE), (5_100, 50 * SHARE))
            assert len(await client.books([YES, NO])) == 2
            await client.prices_history(YES, interval="1d", fidelity=60)
            await client.prices_history(YES, now - 3_600, now)
            assert (await client.geoblock()).is_blocked is False
            assert await client.books(["12345"]) == []

    asyncio.run(main())


def test_orders_rest_and_are_cancelled_in_every_form(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            client = world.polymarket
            gtd = {"kind": "GTD", "expiration_s": int(time.time()) + 660}
            orders = [resting(world, 1_000 + 100 * n) for n in range(6)] + [resting(world, 2_000, **gtd)]
            first = await client.post_order(orders[0])
            assert (first.order_id, first.status) == (orders[0].order_id, "live")
            with pytest.raises(Refused) as duplicate:
                await client.post_order(orders[0])
            assert duplicate.value.code == "duplicate_order"
            crossing = resting(world, 5_200, post_only=True)
            answers = await client.post_orders([*orders[1:], crossing])
            assert [type(answer) for answer in answers] == [PostAnswer] * 6 + [Refused]
            assert {order.order_id for order in await client.open_orders()} == {order.order_id for order in orders}
            assert (await client.order(orders[6].order_id)).order_type == "GTD"
            one = await client.cancel(orders[0].order_id)
            assert one.canceled == (orders[0].order_id,)
            several = await client.cancel_orders([orders[0].order_id, orders[1].order_id, "0x" + "12" * 32])
            assert several.canceled == (orders[1].order_id,)
            assert set(several.not_canceled) | set(several.unaccounted) == {orders[0].order_id, "0x" + "12" * 32}
            await client.cancel_market_orders(market_id=CONDITION, token_id=NO)
            assert len(await client.open_orders(market=CONDITION)) == 5
            assert len((await client.cancel_market_orders(token_id=YES)).canceled) == 5
            await client.post_order(resting(world, 1_500))
            assert len((await client.cancel_all()).canceled) == 1
            assert await client.open_orders() == []
            with pytest.raises(NotFound):
                await client.order("0x" + "34" * 32)

    asyncio.run(main())


def test_orders_that_do_not_rest(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            client, wallet = world.polymarket, world.polymarket_credentials.wallet
            bought = await client.post_order(signed(world, "BUY", spend_amounts(10_200_000, 5_300, 100), "FAK"))
            assert bought.status == "matched"
            (trade,) = await client.trades(id=bought.trade_ids[0])
            assert (trade.fills[0].order_id, trade.fills[0].size_e6) == (bought.order_id, 20 * SHARE)
            assert (await client.order(bought.order_id)).status == "MATCHED"
            for kind, code in (("FOK", "fok_not_filled"), ("FAK", "fak_not_matched")):
                # 40 shares rest at 0.51, so a whole 100 do not fill; nothing rests at 0.20
                limit, cash = (5_100, 51_000_000) if kind == "FOK" else (2_000, 20_000_000)
                with pytest.raises(Refused) as refused:
                    await client.post_order(signed(world, "BUY", spend_amounts(cash, limit, 100), kind))
                assert refused.value.code == code
            assert await client.update_balance_allowance("CONDITIONAL", YES) is None
            assert await client.token_balance(YES) == 20 * SHARE
            assert await client.balance() < 1_000 * SHARE - 10_000_000
            assert EXCHANGE_V2 in (await client.balance_allowance("COLLATERAL")).allowances_e6
            (position,) = await client.positions(wallet)
            assert (position.token_id, position.size_e6) == (YES, 20 * SHARE)
            assert [act.kind for act in await client.activity(wallet)] == ["TRADE"]

    asyncio.run(main())


def test_keys_are_made_derived_and_deleted(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            bare = replace(world.polymarket_credentials, api_key="", secret=SecretStr(""), passphrase=SecretStr(""))
            client = PolymarketClient(world.endpoints, bare, http=world.http)
            made = await client.obtain_credentials(nonce=7)
            assert await client.obtain_credentials(nonce=7) == made
            own = PolymarketClient(world.endpoints, made, http=world.http)
            assert made.api_key in await own.api_keys()
            assert await own.closed_only() is False
            await own.delete_api_key()
            assert made.api_key not in await world.polymarket.api_keys()

    asyncio.run(main())


def test_the_dead_mans_switch_is_fed_and_recovers_from_a_wrong_id(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            switch = DeadMansSwitch()
            await beat(world.polymarket, switch)
            first = switch.heartbeat_id
            assert first
            switch.heartbeat_id = "another"
            await beat(world.polymarket, switch)
            assert switch.wait_s(time.monotonic()) == 0.0
            before = time.monotonic()
            await beat(world.polymarket, switch)
            fuse = switch.fuse(before)
            assert fuse is not None
            assert fuse.at_least_s >= 10.0

    asyncio.run(main())


def test_a_deposit_wallet_splits_and_merges_through_the_relayer(open_world: Any) -> None:
    async def main() -> None:
        # Where settlement takes time the relayer does too, so that it is seen busy.
        async with open_world(None, replace(ZERO, settlement_ms=(100, 200))) as world:
            credentials = world.polymarket_credentials
            deposit = owned_wallets(credentials.address).deposit
            wallet = replace(credentials, signature_type=3, funder=deposit)
            exchange = world.exchanges[Venue.POLYMARKET]
            exchange.state.accounts.open_account(deposit.lower(), 100 * SHARE)
            relayer = Relayer(world.endpoints, wallet, RelayerKey("mine", credentials.address), http=world.http)
            calls = [
                calldata.approve_call(COLLATERAL, COLLATERAL_ADAPTER),
                calldata.approve_all_call(CONDITIONAL_TOKENS, COLLATERAL_ADAPTER),
                calldata.split_call(CONDITION, 12 * SHARE, is_neg_risk=False),
                calldata.merge_call(CONDITION, 2 * SHARE, is_neg_risk=False),
            ]
            ticking = asyncio.create_task(world.run_clock())
            taken = await relayer.submit(calls, metadata="split and merge")
            assert taken.state == "NEW"
            with pytest.raises(Refused) as busy:
                await relayer.submit(calls)
            assert busy.value.code == "wallet_busy"
            done = await relayer.settled(taken, every_s=0.05, for_s=60.0)
            assert done.transaction_hash
            client = PolymarketClient(world.endpoints, wallet, http=world.http)
            for token in (YES, NO):
                await client.update_balance_allowance("CONDITIONAL", token)
                assert await client.token_balance(token) == 10 * SHARE
            failing = await relayer.submit([calldata.merge_call(CONDITION, 999 * SHARE, is_neg_risk=False)])
            with pytest.raises(Refused) as failed:
                await relayer.settled(failing, every_s=0.05, for_s=60.0)
            assert failed.value.code == "transaction_failed"
            ticking.cancel()

    asyncio.run(main())
