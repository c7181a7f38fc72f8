"""The whole Kalshi client against the sandbox exchange: every call, over the life of orders and of a market."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streams.market.errors import NotFound, RateLimited, Refused
from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.model import CloseMarket, DetermineMarket, SettleMarket
from streams.venues.common.token_buckets import FileLedger
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.kalshi.types.order_changes import Amendment
from streams.venues.kalshi.types.orders import OrderRequest
from tests.fixtures import sandbox_world

TICKER = "KXRAIN-26DEC01-NYC"
CONTRACT = 1_000_000


def bid(name: str, price_e4: int, contracts: int, **options: Any) -> OrderRequest:
    options = {"time_in_force": "good_till_canceled"} | options
    return OrderRequest(TICKER, "bid", price_e4, contracts * CONTRACT, name, **options)


def test_public_reads(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            client, now = world.kalshi, int(time.time())
            status = await client.exchange_status()
            assert status.is_trading
            assert status.trades(2)
            assert len((await client.exchange_schedule()).hours[0].days) == 7
            assert now <= (await client.user_data_timestamp()).timestamp() <= time.time()
            (series,) = [entry for entry in await client.series_list() if entry.ticker == "KXRAIN"]
            assert (await client.series("KXRAIN")).fee_type == series.fee_type == "quadratic"
            assert await client.series_fee_changes(show_historical=True) is not None
            assert await client.event_fee_changes() is not None
            (event,) = await client.events(series_ticker="KXRAIN", with_nested_markets=True)
            assert [market.ticker for market in event.markets()] == [TICKER]
            assert [market.ticker for market in (await client.event(event.ticker)).markets()] == [TICKER]
            (market,) = await client.markets(event_ticker=event.ticker)
            assert (market.bid_e4, market.ask_e4) == (4_900, 5_100)
            assert (await client.market(TICKER)).ticker == TICKER
            book = await client.order_book(TICKER, depth=2)
            assert book.bids == [(4_900, 50 * CONTRACT), (4_800, 50 * CONTRACT)]
            assert len(await client.order_books([TICKER])) == 1
            assert await client.trades(market_id=TICKER) == []
            assert (await client.trades_page(market_id=TICKER)).items == []
            candles = await client.candlesticks_of([TICKER], now - 3_600, now, 60)
            assert candles[TICKER] == await client.candlesticks("KXRAIN", TICKER, now - 3_600, now, 60)
            assert (await client.historical_cutoff()).trades_at is not None
            assert (await client.historical_markets_page()).items == []
            assert await client.historical_trades(market_id=TICKER) == []
            with pytest.raises(NotFound):
                await client.historical_market(TICKER)
            with pytest.raises(NotFound):
                await client.market("KXNONE")

    asyncio.run(main())


def test_the_life_of_orders(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            client = world.kalshi
            assert (await client.account_limits()).reads.refill_per_s > 0
            assert (await client.endpoint_costs()).default == 10
            assert (await client.key_terms()).may_trade
            before = await client.account_balance()
            assert sum(before.by_shard.values()) == before.cash_e6 == await client.balance()
            # A resting order is amended, shrunk, found in every list, and cancelled.
            made = await client.create_order(bid("a", 5_000, 10, post_only=True))
            assert (made.filled_e6, made.remaining_e6) == (0, 10 * CONTRACT)
            amended = await client.amend_order(Amendment(made.order_id, TICKER, "bid", 4_900, 8 * CONTRACT, "a", "a2"))
            assert amended.client_order_id == "a2"
            shrunk = await client.decrease_order(made.order_id, TICKER, by_e6=2 * CONTRACT)
            assert shrunk.remaining_e6 == 6 * CONTRACT
            (order,) = await client.orders(market_id=TICKER, status="resting")
            assert (order.price_e4, order.remaining_e6, order.client_order_id) == (4_900, 6 * CONTRACT, "a2")
            assert (await client.order(made.order_id)).status == "resting"
            (queued,) = await client.queue_positions(market_ids=[TICKER])
            assert queued.ahead_e6 == await client.queue_position(made.order_id) == 50 * CONTRACT
            assert (await client.resting_value()).value_e6 == 6 * 490_000
            with pytest.raises(Refused) as twice:
                await client.create_order(bid("a2", 5_000, 10))
            assert twice.value.code == "order_already_exists"
            assert (await client.cancel_order(made.order_id, TICKER)).reduced_e6 == 6 * CONTRACT
            with pytest.raises(NotFound):
                await client.cancel_order(made.order_id, TICKER)
            # A batch answers order by order.
            good, crossed = await client.create_orders([bid("b", 4_000, 1), bid("c", 5_200, 1, post_only=True)])
            assert good.answer is not None
            assert isinstance(crossed.error, Refused)
            done, gone = await client.cancel_orders([(good.answer.order_id, TICKER), (made.order_id, TICKER)])
            assert done.answer is not None
            assert isinstance(gone.error, NotFound)
            await client.create_order(bid("d", 4_000, 1))
            await client.cancel_all()
            assert await client.orders(status="resting") == []
            # A taker's fills, cash and positions.
            taken = await client.create_order(bid("e", 5_100, 3, time_in_force="immediate_or_cancel"))
            assert taken.filled_e6 == 3 * CONTRACT
            (fill,) = await client.fills(order_id=taken.order_id)
            assert (fill.yes_price_e4, fill.size_e6, fill.is_taker) == (5_100, 3 * CONTRACT, True)
            assert await client.balance() == before.cash_e6 - 3 * 510_000 - fill.fee_e6
            holdings = await client.holdings()
            assert [position.contracts_e6 for position in holdings.markets] == [3 * CONTRACT]
            assert len(holdings.events) == 1
            assert len(await client.trades(market_id=TICKER)) == 1
            for archived in (client.historical_fills, client.historical_orders, client.historical_positions):
                assert await archived() == []
            assert await client.settlements() == []

    asyncio.run(main())


def test_order_groups_and_cash_between_shards(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            client = world.kalshi
            group = await client.create_order_group(5 * CONTRACT)
            assert [entry.group_id for entry in await client.order_groups()] == [group]
            made = await client.create_order(bid("a", 4_000, 1, order_group_id=group))
            assert (await client.order_group(group)).order_ids == (made.order_id,)
            await client.limit_order_group(group, 6 * CONTRACT)
            assert (await client.order_group(group)).limit_e6 == 6 * CONTRACT
            await client.trigger_order_group(group)
            assert await client.orders(status="resting") == []
            await client.reset_order_group(group)
            await client.create_order(bid("b", 4_000, 1, order_group_id=group))
            await client.delete_order_group(group)
            assert await client.orders(status="resting") == []
            assert await client.order_groups() == []
            allocation = await client.target_allocation()
            await client.set_target_allocation({0: 100})
            assert await client.target_allocation() == {0: 100} != allocation
            before = (await client.account_balance()).by_shard
            transfer = await client.transfer(0, 2, 1_000_100)
            assert transfer in [entry.transfer_id for entry in await client.transfers()]
            after = (await client.account_balance()).by_shard
            assert (after[0], after.get(2, 0)) == (before[0] - 1_000_100, before.get(2, 0) + 1_000_100)

    asyncio.run(main())


def test_a_settled_market_pays(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            client = world.kalshi
            await client.create_order(bid("a", 5_100, 3, time_in_force="immediate_or_cancel"))
            ref = MarketRef(Venue.KALSHI, TICKER)
            for act in (CloseMarket(ref), DetermineMarket(ref, 10_000, "yes"), SettleMarket(ref)):
                world.act(act)
            (row,) = await client.settlements()
            assert (row.result, row.yes_e6, row.revenue_e6, row.value_e4) == ("yes", 3 * CONTRACT, 3 * CONTRACT, 10_000)
            assert (await client.market(TICKER)).settlement_e4 == 10_000

    asyncio.run(main())


def test_two_clients_with_one_budget_are_never_refused_for_their_rate(
    open_world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with open_world() as world:
            exchange = world.exchanges[Venue.KALSHI]
            exchange.state.profile = replace(exchange.state.profile, kalshi_tier="basic")
            clients = [
                KalshiClient(
                    world.endpoints,
                    world.kalshi_credentials,
                    http=world.http,
                    limits=KalshiLimits(is_signed=True, ledger=FileLedger(tmp_path / "limits.json")),
                )
                for _ in range(2)
            ]
            started = time.monotonic()
            # 600 tokens are there at once and 200 more a second; 80 reads cost 800, and asking for the limits 20.
            await asyncio.gather(*(_read_books(client, 10) for client in clients for _ in range(4)))
            assert time.monotonic() - started > 0.8
            alone = KalshiClient(
                world.endpoints, world.kalshi_credentials, http=world.http, limits=KalshiLimits.unlimited()
            )
            # At the venue no time passes any more, so that a slow machine earns no tokens between two reads.
            now_ms = time.time_ns() // 1_000_000
            monkeypatch.setattr(sandbox_world, "_now_ms", lambda: now_ms)
            with pytest.raises(RateLimited):
                await _read_books(alone, 80)

    asyncio.run(main())


async def _read_books(client: KalshiClient, times: int) -> None:
    for _ in range(times):
        await client.order_book(TICKER)
