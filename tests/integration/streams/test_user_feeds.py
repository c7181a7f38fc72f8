"""Both user streams: against servers that misbehave, and against the sandbox exchanges with real orders."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from streams.market.errors import AuthenticationFailed, TransientError
from streams.market.identity import Venue
from streams.market.order_lifecycle import FillLifecycles, OrderLifecycles
from streams.market.user_stream_events import (
    AccountUnread,
    FillUpdate,
    OrderGroupUpdate,
    OrderUpdate,
    PositionUpdate,
    UserStreamEvent,
)
from streams.sandbox.core.faults import FaultPlan, SettlementPlan
from streams.venues.common.endpoints import Endpoints
from streams.venues.common.feed import UserFeed
from streams.venues.kalshi.stream.user_feed import CHANNELS, KalshiUserFeed
from streams.venues.kalshi.types.orders import order_request
from streams.venues.polymarket.amounts import spend_amounts
from streams.venues.polymarket.signing import build_order
from streams.venues.polymarket.stream.user_feed import PolymarketUserFeed
from tests.fixtures.sandbox_world import CONDITION, CONTRACT, TICKER
from tests.fixtures.sandbox_world import sandbox_world as open_world
from tests.support.frames import WALLET
from tests.support.venue_servers import CREDENTIALS, KalshiVenue, play

YES = str(10**40)


async def until(
    events: AsyncIterator[UserStreamEvent], done: Callable[[list[UserStreamEvent]], bool]
) -> list[UserStreamEvent]:
    found: list[UserStreamEvent] = []
    async with asyncio.timeout(60):
        async for event in events:
            found.append(event)
            if done(found):
                break
    return found


def is_unread(found: list[UserStreamEvent]) -> bool:
    return isinstance(found[-1], AccountUnread)


class PrivateVenue(KalshiVenue):
    """Refuses the channels it is told to refuse, each with a code."""

    def __init__(self, refusals: dict[str, int] | None = None) -> None:
        super().__init__()
        self.refusals = refusals or {}

    def answers(self, command: dict[str, Any]) -> list[dict[str, Any]]:
        codes = [self.refusals[c] for c in command["params"]["channels"] if c in self.refusals]
        command["params"]["channels"] = [c for c in command["params"]["channels"] if c not in self.refusals]
        errors = [{"type": "error", "id": command["id"], "msg": {"code": code, "msg": "no"}} for code in codes]
        return [*super().answers(command), *errors]


def test_the_account_is_to_be_read_when_every_channel_is_open_and_whenever_something_was_missed() -> None:
    venue = PrivateVenue()
    overflow = {"type": "error", "sid": 1, "seq": 1, "msg": {"code": 25, "msg": "Subscription buffer overflow"}}
    group = {"type": "order_group_updates", "sid": 4, "msg": {"event_type": "reset", "order_group_id": "g"}}

    async def use(at: Endpoints) -> None:
        feed: UserFeed = KalshiUserFeed(at, CREDENTIALS)
        await feed.connect()
        events = feed.events()
        assert await until(events, is_unread) == [AccountUnread(Venue.KALSHI, "connected")]
        venue.push({**group, "seq": 1})
        venue.push({**group, "seq": 3})
        found = await until(events, is_unread)
        assert [getattr(event, "cause", "") for event in found] == ["", "sequence_hole"]
        venue.push({"type": "fill", "sid": 1, "msg": {"no": "fill"}})
        group_update, unread = await until(events, is_unread)
        assert isinstance(group_update, OrderGroupUpdate)
        assert isinstance(unread, AccountUnread)
        assert "cannot be read" in unread.cause
        venue.push(overflow)
        (ended,) = await until(events, is_unread)
        assert isinstance(ended, AccountUnread)
        assert ended.cause.startswith("the venue ended fill")
        await feed.close()

    play(venue, use)
    assert venue.commands[0]["params"]["channels"] == list(CHANNELS)
    assert [command["params"]["channels"] for command in venue.commands[1:]] == [["fill"]]


def test_a_channel_the_venue_does_not_know_is_done_without_unless_it_is_needed() -> None:
    async def use(at: Endpoints) -> None:
        feed = KalshiUserFeed(at, CREDENTIALS)
        await feed.connect()
        assert len(await until(feed.events(), is_unread)) == 1
        await feed.close()

    async def use_and_fail(at: Endpoints) -> None:
        feed = KalshiUserFeed(at, CREDENTIALS)
        await feed.connect()
        with pytest.raises(AuthenticationFailed):
            await anext(feed.events())
        await feed.close()

    async def use_without(at: Endpoints) -> None:
        feed = KalshiUserFeed(at, CREDENTIALS)
        await feed.connect()
        with pytest.raises(TransientError, match="user_orders"):
            await until(feed.events(), is_unread)
        await feed.close()

    async def use_unheard(at: Endpoints) -> None:
        feed = KalshiUserFeed(at, CREDENTIALS, answer_limit_s=0.2)
        await feed.connect()
        with pytest.raises(TransientError, match="not confirmed"):
            await until(feed.events(), is_unread)
        await feed.close()

    async def hush(connection: ServerConnection) -> None:
        await connection.wait_closed()

    play(PrivateVenue({"user_orders": 8}), use_without)
    play(hush, use_unheard)
    play(PrivateVenue({"order_group_updates": 8}), use)
    play(PrivateVenue({"user_orders": 9}), use_and_fail)


def test_each_connection_begins_with_the_account_to_be_read() -> None:
    hellos: list[dict[str, Any]] = []

    async def venue(connection: ServerConnection) -> None:
        hellos.append(json.loads(await connection.recv()))
        await connection.send("not json")
        connection.transport.close()

    async def use(at: Endpoints) -> None:
        feed = PolymarketUserFeed(at, WALLET, market_ids=["0x1"])
        for _ in range(2):
            await feed.connect()
            events = feed.events()
            assert await anext(events) == AccountUnread(Venue.POLYMARKET, "connected")
            unread = await anext(events)
            assert isinstance(unread, AccountUnread)
            assert "not JSON" in unread.cause
            with pytest.raises(TransientError):
                await anext(events)
        await feed.close()

    play(venue, use)
    assert [hello["markets"] for hello in hellos] == [["0x1"], ["0x1"]]


def test_a_kalshi_order_is_followed_from_resting_to_filled_with_its_fills_and_position() -> None:
    async def main() -> None:
        async with open_world() as world:
            feed = KalshiUserFeed(world.endpoints, world.kalshi_credentials)
            await feed.connect()
            events = feed.events()
            await until(events, is_unread)
            request = order_request(
                TICKER, outcome="yes", action="buy", price_e4=5_000, size_e6=10 * CONTRACT, client_order_id="mine",
                time_in_force="good_till_canceled",
            )  # fmt: skip
            answer = await world.kalshi.create_order(request)
            world.quote(Venue.KALSHI, "seller", "ask", 5_000, 10)
            orders, fills = OrderLifecycles(), FillLifecycles()
            found = await until(events, lambda seen: is_complete(seen, answer.order_id))
            for event in found:
                if isinstance(event, OrderUpdate):
                    orders.apply(event)
                elif isinstance(event, FillUpdate):
                    fills.apply(event)
            order = orders.orders[answer.order_id]
            assert (order.status, order.filled_e6, order.client_order_id) == ("filled", 10 * CONTRACT, "mine")
            assert fills.filled_e6(answer.order_id) == 10 * CONTRACT
            assert fills.unsettled() == []
            (fill,) = fills.fills.values()
            assert (fill.side, fill.cash_e6, fill.is_taker) == ("bid", 5 * CONTRACT, False)
            position = next(event for event in reversed(found) if isinstance(event, PositionUpdate))
            assert (position.market_id, position.contracts_e6) == (TICKER, 10 * CONTRACT)
            await feed.close()

    asyncio.run(main())


def is_complete(found: list[UserStreamEvent], order_id: str) -> bool:
    """Whether a filled order, a fill and a position were reported."""
    kinds = {type(event) for event in found}
    ended = [e for e in found if isinstance(e, OrderUpdate) and e.order_id == order_id and e.status == "filled"]
    return bool(ended) and {FillUpdate, PositionUpdate} <= kinds


@pytest.mark.parametrize(("failed_share", "end"), [(0, "confirmed"), (1, "failed")])
def test_a_polymarket_trade_is_followed_until_it_is_final(failed_share: int, end: str) -> None:
    async def main() -> None:
        plan = FaultPlan(settlement=SettlementPlan(0, 0, Decimal(failed_share)))
        async with open_world(plan) as world:
            feed = PolymarketUserFeed(world.endpoints, world.polymarket_credentials)
            await feed.connect()
            events = feed.events()
            await until(events, is_unread)
            amounts = spend_amounts(5_100_000, 5_100, 100)
            signed = build_order(
                world.polymarket_credentials, token_id=YES, side="BUY", amounts=amounts, order_type="FAK",
                is_neg_risk=False, salt=1, timestamp_ms=time.time_ns() // 1_000_000,
            )  # fmt: skip
            answer = await world.polymarket.post_order(signed)
            orders, fills = OrderLifecycles(), FillLifecycles()
            async with asyncio.timeout(60):
                async for event in events:
                    if isinstance(event, OrderUpdate):
                        orders.apply(event)
                    elif isinstance(event, FillUpdate):
                        fills.apply(event)
                        world.exchanges[Venue.POLYMARKET].tick(time.time_ns() // 1_000_000)
                    if orders.orders and fills.fills and not fills.unsettled():
                        break
            (fill,) = fills.fills.values()
            assert (fill.status, fill.order_id, fill.market_id, fill.token_id) == (end, answer.order_id, CONDITION, YES)
            assert (fill.size_e6, fill.cash_e6, fill.is_taker) == (10 * CONTRACT, 5_100_000, True)
            assert orders.orders[answer.order_id].status == "filled"
            assert fills.filled_e6(answer.order_id) == (10 * CONTRACT if end == "confirmed" else 0)
            await feed.close()

    asyncio.run(main())
