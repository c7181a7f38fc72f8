"""One whole life through Polymarket's SDK: discover, book, streams, keys, place, partly fill, cancel, market orders,
settlement, position, heartbeats, resolution. Prints what each step answered; the test judges it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from polymarket import AsyncPublicClient, AsyncSecureClient
from polymarket.errors import OrderHeartbeatMismatchError, RequestRejectedError
from polymarket.streams import MarketSpec, UserSpec
from sdk import ENVIRONMENT, STAGE, admin, house, say
from watching import Stream, eventually, refused, subscribed

SLUG = "rain-in-the-city"


class Life:
    """The steps, with what they share."""

    def __init__(self, public: AsyncPublicClient) -> None:
        self.public = public
        self.client: AsyncSecureClient
        self.token = self.other = self.condition = ""

    async def discover(self) -> None:
        events, pages = [], 0
        async for page in self.public.list_events(page_size=2, closed=False):
            events += [event.slug for event in page.items]
            pages += 1
        markets = [market.slug async for market in self.public.list_markets(page_size=5, closed=False).iter_items()]
        market = await self.public.get_market(slug=SLUG)
        self.token, self.other = str(market.outcomes.yes.token_id), str(market.outcomes.no.token_id)
        self.condition = str(market.condition_id)
        for side, price_e4 in (("bid", 4_000), ("ask", 6_000)):
            house(self.condition, side, price_e4, 100)
        book = await self.public.get_order_book(asset_id=self.token)
        mirror = await self.public.get_order_book(asset_id=self.other)
        say(step="discover", events=events, pages=pages, markets=markets, market=market, book=book, mirror=mirror)

    async def sign_in(self) -> None:
        known = STAGE["wallets"][0]
        self.client = await AsyncSecureClient.create(
            private_key=known["private_key"], wallet=known["address"], environment=ENVIRONMENT
        )
        balance = await self.client.get_balance_allowance(asset_type="COLLATERAL")
        say(
            step="sign in", wallet_type=self.client.wallet_type, balance=balance,
            keys=await self.client.fetch_api_keys(), closed_only=await self.client.get_closed_only_mode(),
            active_key=self.client.credentials.key,
        )  # fmt: skip

    async def limit(self, price: str, size: Any = 10, side: str = "BUY", **more: Any) -> Any:
        """Place a limit order on YES."""
        return await self.client.place_limit_order(asset_id=self.token, price=price, size=size, side=side, **more)

    async def rest_and_fill(self, market: Stream, user: Stream) -> None:
        snapshot = await market.wait("a book", lambda event: event.type == "book")
        placed = await self.limit("0.45")
        order_id = placed.order_id
        placement = await user.wait("a placement", lambda event: _order(event, order_id, "PLACEMENT"))
        change = await market.wait("a price change", lambda event: event.type == "price_change")
        say(step="place", snapshot=snapshot, placed=placed, event=placement, change=change)

        house(self.condition, "ask", 4_500, 4, is_immediate=True)
        update = await user.wait("an update", lambda event: _order(event, order_id, "UPDATE"))
        trade = await user.wait("a trade", lambda event: event.type == "trade")
        steps = await self.settled(user, trade.payload.id)
        order = await self.order_that(order_id, lambda order: order.size_matched == 4)
        printed = await market.wait("a last trade", lambda event: event.type == "last_trade_price")
        say(step="partial fill", update=update, trade=trade, steps=steps, order=order, printed=printed)

        open_before = await self.open_orders()
        cancelled = await self.client.cancel_order(order_id=order_id)
        event = await user.wait("a cancellation", lambda event: _order(event, order_id, "CANCELLATION"))
        again = await self.client.cancel_order(order_id=order_id)
        await self.order_that(order_id, lambda order: order.status == "CANCELED")
        open_after = await self.open_orders()
        say(step="cancel", before=open_before, cancelled=cancelled, event=event, again=again, after=open_after)

    async def open_orders(self) -> list[str]:
        """The ids of the market's open orders."""
        return [row.id async for row in self.client.list_open_orders(market=self.condition).iter_items()]

    async def order_that(self, order_id: str, fits: Callable[[Any], bool]) -> Any:
        """The order once reads have caught up with what was done."""

        async def ask() -> Any:
            try:
                order = await self.client.get_order(order_id=order_id)
            except RequestRejectedError:
                return None
            return order if fits(order) else None

        return await eventually("an order as wanted", ask)

    async def settled(self, user: Stream, trade_id: str) -> list[str]:
        """The statuses a trade went through, up to its end."""

        def statuses() -> list[str]:
            found = [str(e.payload.status) for e in user.events if e.type == "trade" and e.payload.id == trade_id]
            return found if found and found[-1] in ("CONFIRMED", "FAILED") else []

        return list(await eventually("the settlement of a trade", statuses))

    async def market_orders(self, user: Stream) -> None:
        bought = await self.client.place_market_order(asset_id=self.token, side="BUY", amount=12, max_price="0.60")
        hashes = await self.client.wait_for_order_fill_settlement(bought)
        steps = await self.settled(user, bought.trade_ids[0])
        held = await eventually("the bought tokens", self.tokens)
        sold = await self.client.place_market_order(
            asset_id=self.token, side="SELL", shares=5, min_price="0.40", order_type="FOK"
        )
        sold_hashes = await self.client.wait_for_order_fill_settlement(sold)
        trades = await eventually("all three trades", self.three_trades)
        say(
            step="market orders", bought=bought, hashes=hashes, steps=steps, held=held, sold=sold,
            sold_hashes=sold_hashes, trades=trades,
        )  # fmt: skip

    async def tokens(self) -> Any:
        """What is held of YES once it is as much as was bought."""
        held = await self.client.get_balance_allowance(asset_type="CONDITIONAL", asset_id=self.token)
        return held if held.balance == 24_000_000 else None

    async def three_trades(self) -> Any:
        """The account's trades once there are three that settled."""
        trades = [trade async for trade in self.client.list_account_trades(market=self.condition).iter_items()]
        return trades if [trade.status for trade in trades] == ["CONFIRMED"] * 3 else None

    async def refusals(self) -> None:
        buy = {"asset_id": self.token, "side": "BUY"}
        place, market = self.client.place_limit_order, self.client.place_market_order
        outcomes = {
            "off tick": place(**buy, price="0.455", size=10),
            "too small": place(**buy, price="0.45", size=2),
            "too dear": place(**buy, price="0.59", size=9_000),
            "post only cross": place(**buy, price="0.60", size=5, post_only=True),
            "fill or kill": market(**buy, amount=500, max_price="0.60", order_type="FOK"),
            "nothing to match": market(**buy, amount=10, max_price="0.50"),
            "too soon": place(**buy, price="0.45", size=5, expiration=int(time.time()) + 60),
            "unknown order": self.client.get_order(order_id="0x" + "12" * 32),
        }
        for name, action in outcomes.items():
            say(step="refused", name=name, **await refused(action))
        signed = await self.client.create_limit_order(**buy, price="0.30", size=5)
        first = await self.client.post_order(signed)
        say(step="refused", name="duplicate", first=first, **await refused(self.client.post_order(signed)))

    async def batches(self) -> None:
        make = self.client.create_limit_order
        until = int(time.time()) + 3_600
        signed = [
            await make(asset_id=self.token, price="0.31", size=5, side="BUY", expiration=until),
            await make(asset_id=self.other, price="0.31", size=5, side="BUY"),
            await make(asset_id=self.token, price="0.32", size=5, side="BUY", post_only=True),
            await make(asset_id=self.token, price="0.32", size=9_999, side="BUY"),
        ]
        posted = await self.client.post_orders(signed)
        ids = [str(order.order_id) for order in posted if order.ok]
        one = await self.client.cancel_orders(order_ids=[ids[0], "0x" + "34" * 32])
        of_token = await self.client.cancel_market_orders(market=self.condition, asset_id=self.other)
        rest = await self.client.cancel_all()
        say(step="batches", posted=posted, one=one, of_token=of_token, rest=rest)

    async def states(self) -> None:
        """What a client meets that is not the order's fault: restarts, restricted trading, limits."""
        told = {}
        for mode in ("restarting", "cancel_only", "post_only"):
            admin("POST", "/mode", {"venue": "polymarket", "mode": mode})
            told[mode] = await refused(self.limit("0.31", 5))
        allowed = await self.limit("0.31", 5, post_only=True)
        admin("POST", "/mode", {"venue": "polymarket", "mode": "open"})
        cancelled = await self.client.cancel_order(order_id=allowed.order_id)

        tier = admin("GET", "/behaviour")["polymarket_tier"]
        admin("PATCH", "/behaviour", {"polymarket_tier": "standard"})
        # A burst of 120 cancels is allowed, then 80 a second.
        unknown = [f"0x{number:064x}" for number in range(120)]
        attempts = [await refused(self.client.cancel_orders(order_ids=unknown)) for _ in range(4)]
        limited = next((one for one in attempts if "error" in one), None)
        admin("PATCH", "/behaviour", {"polymarket_tier": tier})
        say(step="states", told=told, allowed=allowed, cancelled=cancelled, limited=limited)

    async def heartbeats(self) -> None:
        first = await self.client.send_order_heartbeat()
        second = await self.client.send_order_heartbeat(heartbeat_id=first.heartbeat_id)
        try:
            await self.client.send_order_heartbeat(heartbeat_id=first.heartbeat_id)
            expected = ""
        except OrderHeartbeatMismatchError as error:
            expected = error.heartbeat_id
        third = await self.client.send_order_heartbeat(heartbeat_id=expected)
        say(step="heartbeats", first=first, second=second, expected=expected, third=third)

    async def resolve(self, market: Stream) -> None:
        async def position() -> Any:
            page = await self.public.list_positions(
                user=str(self.client.wallet), condition_id=self.condition
            ).first_page()
            return page.items if page.items and page.items[0].current_size == 19 else None

        positions = await eventually("a position", position)
        resting = await self.limit("0.30", 5)
        balance = await self.client.get_balance_allowance(asset_type="COLLATERAL")
        admin("POST", f"/markets/polymarket/{self.condition}/determine", {"settlement_e4": 10_000, "result": "yes"})
        admin("POST", f"/markets/polymarket/{self.condition}/settle")
        resolved = await market.wait("a resolution", lambda event: event.type == "market_resolved")

        async def paid() -> Any:
            now = await self.client.get_balance_allowance(asset_type="COLLATERAL")
            return now if now.balance != balance.balance else None

        after = await eventually("a payout", paid)
        order = await self.order_that(resting.order_id, lambda order: order.status == "CANCELED_MARKET_RESOLVED")
        closed = await eventually("a closed market", self.closed)
        activity = [row async for row in self.public.list_activity(user=str(self.client.wallet)).iter_items()]
        resolutions = await self.public.get_resolutions(condition_ids=[self.condition])
        late = await refused(self.limit("0.30", 5))
        say(
            step="resolve", positions=positions, before=balance, resolved=resolved, after=after, order=order,
            market=closed, activity=activity, resolutions=resolutions, late=late,
        )  # fmt: skip

    async def closed(self) -> Any:
        """The market, once the lists say that it is closed."""
        market = await self.public.get_market(slug=SLUG)
        return market if market.state.closed else None


def _order(event: Any, order_id: str, kind: str) -> bool:
    return bool(event.type == "order" and event.payload.id == order_id and event.payload.order_event_type == kind)


async def main() -> None:
    """Live it."""
    async with AsyncPublicClient(ENVIRONMENT) as public:
        life = Life(public)
        await life.discover()
        await life.sign_in()
        spec = MarketSpec(asset_ids=[life.token, life.other], custom_feature_enabled=True)
        async with life.client, subscribed(public, spec) as market, subscribed(life.client, UserSpec()) as user:
            await life.rest_and_fill(market, user)
            await life.market_orders(user)
            await life.refusals()
            await life.batches()
            await life.states()
            await life.heartbeats()
            await life.resolve(market)
            say(step="end", market=[event.type for event in market.events], user=[event.type for event in user.events])


if __name__ == "__main__":
    asyncio.run(main())
