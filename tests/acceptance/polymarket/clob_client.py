"""The older SDKs: `py-clob-client` authenticates and reads but can no longer order; `py-clob-client-v2` orders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import py_clob_client_v2 as v2
from polymarket import PublicClient
from py_clob_client.client import ClobClient
from py_clob_client.clob_types import (
    AssetType,
    BalanceAllowanceParams,
    BookParams,
    OpenOrderParams,
    OrderArgs,
    TradeParams,
)
from py_clob_client.exceptions import PolyApiException
from py_clob_client_v2.exceptions import PolyApiException as PolyApiExceptionV2
from sdk import BASE, ENVIRONMENT, REQUESTS, STAGE, house, note_requests, say

CHAIN_ID = 137
SLUG = "mayor-bell"
CLOB = f"{BASE}/clob"


def make(call: str, action: Callable[[], Any]) -> Any:
    """Make one call and say what came of it; returns its answer."""
    REQUESTS.clear()
    try:
        answer = action()
    except (PolyApiException, PolyApiExceptionV2) as error:
        line = {"result": "PolyApiException", "status": error.status_code, "message": str(error.error_msg)}
        say(call=call, requests=list(REQUESTS), **line)
        return None
    say(call=call, requests=list(REQUESTS), result="ok")
    return answer


def first_client(token: str, condition: str) -> None:
    """py-clob-client: both authentications, its reads, and an order of the retired form."""
    client = ClobClient(CLOB, key=STAGE["wallets"][3]["private_key"], chain_id=CHAIN_ID)
    name = "py_clob_client"
    make(f"{name}.get_ok", client.get_ok)
    make(f"{name}.get_server_time", client.get_server_time)
    client.set_api_creds(make(f"{name}.create_or_derive_api_creds", client.create_or_derive_api_creds))
    make(f"{name}.derive_api_key", client.derive_api_key)
    make(f"{name}.get_api_keys", client.get_api_keys)
    make(f"{name}.get_closed_only_mode", client.get_closed_only_mode)
    books = [BookParams(token_id=token, side="BUY")]
    for read in (
        "get_tick_size", "get_neg_risk", "get_fee_rate_bps", "get_order_book", "get_midpoint", "get_spread",
        "get_last_trade_price",
    ):  # fmt: skip
        make(f"{name}.{read}", partial(getattr(client, read), token))
    make(f"{name}.get_price", lambda: client.get_price(token, "BUY"))
    for read in ("get_order_books", "get_midpoints", "get_prices", "get_spreads", "get_last_trades_prices"):
        make(f"{name}.{read}", partial(getattr(client, read), books))
    for read in ("get_markets", "get_simplified_markets", "get_sampling_markets", "get_sampling_simplified_markets"):
        make(f"{name}.{read}", getattr(client, read))
    make(f"{name}.get_market", lambda: client.get_market(condition))
    make(f"{name}.get_orders", lambda: client.get_orders(OpenOrderParams(market=condition)))
    make(f"{name}.get_trades", lambda: client.get_trades(TradeParams(market=condition)))
    collateral = BalanceAllowanceParams(asset_type=AssetType.COLLATERAL)
    make(f"{name}.get_balance_allowance", lambda: client.get_balance_allowance(collateral))
    make(f"{name}.update_balance_allowance", lambda: client.update_balance_allowance(collateral))
    order = OrderArgs(token_id=token, price=0.31, size=5, side="BUY")
    make(f"{name}.create_and_post_order", lambda: client.create_and_post_order(order))


def second_client(token: str) -> None:
    """py-clob-client-v2: a limit order placed and cancelled, a market order filled."""
    client = v2.ClobClient(CLOB, chain_id=CHAIN_ID, key=STAGE["wallets"][3]["private_key"])
    name = "py_clob_client_v2"
    client.set_api_creds(make(f"{name}.create_or_derive_api_key", client.create_or_derive_api_key))
    make(f"{name}.get_version", client.get_version)
    order = v2.OrderArgs(token_id=token, price=0.31, size=5, side="BUY")
    placed = make(f"{name}.create_and_post_order", lambda: client.create_and_post_order(order))
    payload = v2.OrderPayload(orderID=placed["orderID"])
    make(f"{name}.cancel_order", lambda: client.cancel_order(payload))
    market = v2.MarketOrderArgs(token_id=token, amount=6, side="BUY", price=0.6)
    make(f"{name}.create_and_post_market_order", lambda: client.create_and_post_market_order(market))


def main() -> None:
    """Run both on the same market."""
    note_requests()
    market = PublicClient(ENVIRONMENT).get_market(slug=SLUG)
    token, condition = str(market.outcomes.yes.token_id), str(market.condition_id)
    for side, price_e4 in (("bid", 4_000), ("ask", 6_000)):
        house(condition, side, price_e4, 500)
    first_client(token, condition)
    second_client(token)


if __name__ == "__main__":
    main()
