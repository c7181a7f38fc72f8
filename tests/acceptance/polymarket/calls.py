"""Every call of Polymarket's SDK that concerns Crossbook, once; one JSON line each with its requests and its result."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

from left_out import LEFT_OUT
from polymarket import AsyncPublicClient, AsyncSecureClient, PublicClient, SecureClient
from polymarket._internal.actions.relayer.calls import TransactionCall
from polymarket._internal.environment import get_environment_config
from polymarket.auth import RelayerApiKey
from polymarket.errors import PolymarketError, RateLimitError, RequestRejectedError
from polymarket.models.clob.requests import PriceRequest
from polymarket.pagination import Paginator
from polymarket.streams import MarketSpec, UserSpec
from polymarket.types import EvmAddress, HexString
from sdk import ENVIRONMENT, REQUESTS, STAGE, admin, house, note_requests, say

SLUG = "match-first"
DOLLAR = 1_000_000
CHAIN = get_environment_config(ENVIRONMENT)


def names(client: type) -> set[str]:
    """The calls a client class offers."""
    return {name for name, value in inspect.getmembers(client, callable) if not name.startswith("_")}


class Calls:
    """Makes the calls one after the other; what a call needs first is made without being noted."""

    def __init__(self) -> None:
        self.public = PublicClient(ENVIRONMENT)
        self.secure = self.client(1)
        self.market = self.public.get_market(slug=SLUG)
        self.token = str(self.market.outcomes.yes.token_id)
        self.other = str(self.market.outcomes.no.token_id)
        self.condition = str(self.market.condition_id)

    def set_book(self) -> None:
        """The house's orders are the whole book: 0.40 to 0.60."""
        for side, price_e4 in (("bid", 4_000), ("ask", 6_000)):
            house(self.condition, side, price_e4, 500)

    def client(self, wallet: int) -> SecureClient:
        """A client that trades from the signer's own address (signature type 0)."""
        known = STAGE["wallets"][wallet]
        return SecureClient.create(private_key=known["private_key"], wallet=known["address"], environment=ENVIRONMENT)

    def deposit_wallet(self) -> SecureClient:
        """A client of the signer's deposit wallet (signature type 3), which acts through the relayer."""
        known = STAGE["wallets"][4]
        key = RelayerApiKey(key="acceptance", address=known["address"])
        return SecureClient.create(private_key=known["private_key"], environment=ENVIRONMENT, api_key=key)

    def revoke_builder_key(self) -> None:
        """Revoke a builder key with a client that was made with it."""
        known = STAGE["wallets"][2]
        key = self.client(2).create_builder_api_key()
        client = SecureClient.create(
            private_key=known["private_key"], wallet=known["address"], environment=ENVIRONMENT, api_key=key
        )
        REQUESTS.clear()
        client.revoke_builder_api_key()

    def approval(self) -> TransactionCall:
        """An approval of dollars for the exchange, as a raw call: approve(address, uint256)."""
        data = "0x095ea7b3" + CHAIN.standard_exchange[2:].lower().rjust(64, "0") + "f" * 64
        return TransactionCall(to=EvmAddress(CHAIN.collateral_token), data=HexString(data), value=0)

    def redeem(self, deposit: SecureClient) -> None:
        """Redeem in a market that has resolved to one half each; all other calls are made by then."""
        market = f"/markets/polymarket/{self.condition}"
        admin("POST", f"{market}/determine", {"settlement_e4": 5_000, "result": "scalar"})
        admin("POST", f"{market}/settle")
        deposit.redeem_positions(condition_id=self.condition).wait()

    def rest(self) -> str:
        """The id of an order that rests at one cent."""
        order = self.secure.place_limit_order(asset_id=self.token, price="0.01", size=5, side="BUY")
        return str(order.order_id)

    def signed(self) -> Any:
        """A signed order that would rest."""
        return self.secure.create_limit_order(asset_id=self.token, price="0.01", size=5, side="BUY")

    def matched(self) -> Any:
        """An order that took ten dollars from the book."""
        return self.secure.place_market_order(asset_id=self.token, side="BUY", amount=10)

    async def watch_market(self) -> None:
        """Subscribe to the market stream and read the book that it begins with."""
        async with AsyncPublicClient(ENVIRONMENT) as client:
            async with await client.subscribe(MarketSpec(asset_ids=[self.token])) as stream:
                await asyncio.wait_for(anext(stream), 10)
        REQUESTS.append(("SOCKET", "/ws/market", 101))

    async def watch_orders(self) -> None:
        """Subscribe to the user stream, place an order and read that it was placed."""
        known = STAGE["wallets"][1]
        client = await AsyncSecureClient.create(
            private_key=known["private_key"], wallet=known["address"], environment=ENVIRONMENT
        )
        async with client, await client.subscribe(UserSpec()) as stream:
            await client.place_limit_order(asset_id=self.token, price="0.01", size=5, side="BUY")
            await asyncio.wait_for(anext(stream), 10)
        REQUESTS[:] = [("SOCKET", "/ws/user", 101)]

    def make(self, client: str, name: str, call: Callable[[], Any]) -> None:
        """Make one call and say what came of it."""
        line: dict[str, Any] = {"call": f"{client}.{name}"}
        REQUESTS.clear()
        try:
            result = call()
            if isinstance(result, Paginator):
                page = result.first_page()
                line["items"] = len(page.items)
            line["result"] = "ok"
        except (RequestRejectedError, RateLimitError) as error:
            status = getattr(error, "status", 429)
            line |= {"result": type(error).__name__, "status": status, "message": str(error)}
        except PolymarketError as error:
            line |= {"result": type(error).__name__, "message": str(error)}
        say(**line, requests=list(REQUESTS))


def public_calls(c: Calls) -> dict[str, Callable[[], Any]]:
    """What needs no key."""
    client, wallet = c.public, STAGE["wallets"][1]["address"]
    now, event = int(time.time()), str(c.market.events[0].id)
    return {
        "list_events": lambda: client.list_events(page_size=2),
        "list_markets": lambda: client.list_markets(page_size=2, closed=False),
        "get_event": lambda: client.get_event(id=event),
        "get_market": lambda: client.get_market(slug=SLUG),
        "list_tags": lambda: client.list_tags(page_size=5),
        "get_tag": lambda: client.get_tag(slug="politics"),
        "get_event_tags": lambda: client.get_event_tags(event),
        "get_market_tags": lambda: client.get_market_tags(str(c.market.id)),
        "get_related_tags": lambda: client.get_related_tags(slug="politics"),
        "get_related_tag_resources": lambda: client.get_related_tag_resources(slug="politics"),
        "list_series": lambda: client.list_series(page_size=5),
        "get_series": lambda: client.get_series("1"),
        "get_sports": client.get_sports,
        "get_sports_market_types": client.get_sports_market_types,
        "list_teams": lambda: client.list_teams(page_size=5),
        "search": lambda: client.search(q="match"),
        "list_comments": lambda: client.list_comments(parent_entity_type="Event", parent_entity_id=event, page_size=5),
        "list_comments_by_user_address": lambda: client.list_comments_by_user_address(address=wallet, page_size=5),
        "get_comment_thread": lambda: client.get_comment_thread("1"),
        "get_public_profile": lambda: client.get_public_profile(wallet),
        "get_order_book": lambda: client.get_order_book(asset_id=c.token),
        "get_order_books": lambda: client.get_order_books(asset_ids=[c.token, c.other]),
        "get_price": lambda: client.get_price(asset_id=c.token, side="BUY"),
        "get_prices": lambda: client.get_prices(requests=[PriceRequest(c.token, "BUY")]),
        "get_midpoint": lambda: client.get_midpoint(asset_id=c.token),
        "get_midpoints": lambda: client.get_midpoints(asset_ids=[c.token]),
        "get_spread": lambda: client.get_spread(asset_id=c.token),
        "get_spreads": lambda: client.get_spreads(asset_ids=[c.token]),
        "get_last_trade_price": lambda: client.get_last_trade_price(asset_id=c.token),
        "get_last_trade_prices": lambda: client.get_last_trade_prices(asset_ids=[c.token]),
        "estimate_market_price": lambda: client.estimate_market_price(asset_id=c.token, side="BUY", amount=10),
        "list_price_history": lambda: client.list_price_history(asset_id=c.token, start=now - 86_400, end=now),
        "list_positions": lambda: client.list_positions(user=wallet, page_size=10),
        "list_trades": lambda: client.list_trades(user=wallet, page_size=10),
        "list_activity": lambda: client.list_activity(user=wallet, page_size=10),
        "get_portfolio_value": lambda: client.get_portfolio_value(user=wallet),
        "get_token_references": lambda: client.get_token_references(asset_ids=[c.token]),
        "get_resolutions": lambda: client.get_resolutions(condition_ids=[c.condition]),
        "list_market_holders": lambda: client.list_market_holders(condition_ids=[c.condition]),
        "get_event_live_volume": lambda: client.get_event_live_volume(event_ids=[int(event)]),
        "get_open_interests": lambda: client.get_open_interests(condition_ids=[c.condition]),
        "get_trading_approvals_state": lambda: client.get_trading_approvals_state(wallet=wallet),
        "subscribe": lambda: asyncio.run(c.watch_market()),
        "close": lambda: PublicClient(ENVIRONMENT).close(),
    }


def secure_calls(c: Calls) -> dict[str, Callable[[], Any]]:
    """What needs a key, in an order in which each finds what it needs."""
    client = c.secure
    resting, signed, matched = c.rest(), c.signed(), c.matched()
    deposit, condition = c.deposit_wallet(), c.condition
    expiration = int(time.time()) + 600
    return {
        "create": lambda: c.client(2).close(),
        "fetch_api_keys": client.fetch_api_keys,
        "get_closed_only_mode": client.get_closed_only_mode,
        "get_balance_allowance": lambda: client.get_balance_allowance(asset_type="COLLATERAL"),
        "list_open_orders": lambda: client.list_open_orders(market=c.condition),
        "get_order": lambda: client.get_order(order_id=resting),
        "list_account_trades": lambda: client.list_account_trades(market=c.condition),
        "create_limit_order": lambda: client.create_limit_order(
            asset_id=c.token, price="0.02", size=5, side="BUY", expiration=expiration
        ),
        "create_market_order": lambda: client.create_market_order(asset_id=c.token, side="BUY", amount=10),
        "place_limit_order": lambda: client.place_limit_order(asset_id=c.token, price="0.02", size=5, side="BUY"),
        "place_market_order": lambda: client.place_market_order(asset_id=c.token, side="SELL", shares=5),
        "post_order": lambda: client.post_order(signed),
        "post_orders": lambda: client.post_orders([c.signed(), c.signed()]),
        "wait_for_order_fill_settlement": lambda: client.wait_for_order_fill_settlement(matched),
        "get_builder_fee_rates": lambda: client.get_builder_fee_rates("0x" + "0b" * 32),
        "get_notifications": client.get_notifications,
        "drop_notifications": lambda: client.drop_notifications(ids=[1]),
        "create_builder_api_key": client.create_builder_api_key,
        "fetch_builder_api_keys": client.fetch_builder_api_keys,
        "revoke_builder_api_key": c.revoke_builder_key,
        "send_order_heartbeat": client.send_order_heartbeat,
        "subscribe": lambda: asyncio.run(c.watch_orders()),
        "setup_gasless_wallet": deposit.setup_gasless_wallet,
        "is_gasless_ready": deposit.is_gasless_ready,
        "setup_trading_approvals": lambda: deposit.setup_trading_approvals().wait(),
        "approve_erc20": lambda: deposit.approve_erc20(
            token_address=CHAIN.collateral_token, spender_address=CHAIN.standard_exchange, amount="max"
        ).wait(),
        "approve_erc1155_for_all": lambda: deposit.approve_erc1155_for_all(
            token_address=CHAIN.conditional_tokens, operator_address=CHAIN.standard_exchange, approved=True
        ).wait(),
        "execute_transaction": lambda: deposit.execute_transaction(calls=[c.approval()]).wait(),
        "split_position": lambda: deposit.split_position(condition_id=condition, amount=20 * DOLLAR).wait(),
        "merge_positions": lambda: deposit.merge_positions(condition_id=condition, amount=5 * DOLLAR).wait(),
        "merge_multiple_positions": lambda: deposit.merge_multiple_positions(
            positions=[{"condition_id": condition, "amount": 5 * DOLLAR}]
        ).wait(),
        "cancel_order": lambda: client.cancel_order(order_id=resting),
        "cancel_orders": lambda: client.cancel_orders(order_ids=[c.rest(), c.rest()]),
        "cancel_market_orders": lambda: client.cancel_market_orders(market=c.condition),
        "cancel_all": client.cancel_all,
        "delete_api_key": lambda: c.client(2).delete_api_key(),
        "end_authentication": lambda: c.client(2).end_authentication(),
        "close": lambda: c.client(2).close(),
        "redeem_positions": lambda: c.redeem(deposit),
    }


def main() -> None:
    """Call everything; say what is left out and why."""
    note_requests()
    offered = {
        "PublicClient": names(PublicClient) | names(AsyncPublicClient),
        "SecureClient": names(SecureClient) | names(AsyncSecureClient),
    }
    calls = Calls()
    calls.set_book()
    made = {"PublicClient": public_calls(calls), "SecureClient": secure_calls(calls)}
    # The secure client has the public calls too; they go the same way.
    offered["SecureClient"] -= offered["PublicClient"] - {"close", "subscribe"}
    for client, methods in offered.items():
        for name in sorted(methods):
            is_called = name in made[client]
            if not is_called and name in LEFT_OUT:
                say(call=f"{client}.{name}", left_out=LEFT_OUT[name])
            elif is_called == (name in LEFT_OUT):
                say(call=f"{client}.{name}", problem="called and left out, or neither")
    for client, methods in made.items():
        for name, call in methods.items():
            calls.make(client, name, call)


if __name__ == "__main__":
    main()
