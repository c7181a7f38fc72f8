"""Random requests and commands to the Kalshi app: whatever they hold, it responds, and its account stays readable."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import orjson

from streams.sandbox.kalshi.app import ROUTES
from tests.support.kalshi_venue import CRYPTO, RAIN, OfflineKalshi, order


def words(text: str) -> list[str]:
    """Names, as a text."""
    return text.split()


ODD: list[Any] = [
    "", None, 0, -1, 1, 2**31, 2**63 - 1, "0", "1", "-1", "²", "x" * 300, "\0", "0.5000", "10.00", "1e5", True, [], {},
    [[]], [{}], [None], [1], RAIN, CRYPTO, "KXRAIN", "true", "bid", 1.5, "9" * 18, "9" * 40, 10**15,
]  # fmt: skip
FIELDS = words(
    "ticker side count price time_in_force self_trade_prevention_type client_order_id expiration_time post_only "
    "reduce_only cancel_order_on_pause order_group_id subaccount exchange_index reduce_by reduce_to market_ticker "
    "orders contracts_limit contracts_limit_fp amount source_exchange_shard destination_exchange_shard source "
    "destination client_transfer_id allocations resting_margin_reservation subaccount_number enabled "
    "updated_client_order_id order_id"
)
PARAMETERS = words(
    "limit cursor status tickers event_ticker series_ticker min_ts max_ts ticker depth start_ts end_ts period_interval "
    "market_tickers market_ticker exchange_index subaccount min_close_ts min_created_ts min_updated_ts mve_filter "
    "count_filter settlement_status order_id include_latest_before_start is_block_trade min_settled_ts"
)
COMMAND = words("channels market_ticker market_tickers market_id market_ids sid sids action shard_factor shard_key")
COMMANDS = ["subscribe", "unsubscribe", "update_subscription", "list_subscriptions"]
WORDS = [*ODD, ["orderbook_delta"], ["ticker", "fill"], ["pyth_value"], [RAIN], "add_markets", "get_snapshot", 2, [2]]


def routes() -> list[tuple[str, str]]:
    """Every method and path, its parts as `{}`."""
    return [(route.method, re.sub(r"\{\w+\}", "{}", route.path)) for route in ROUTES]


def some(source: random.Random, names: list[str], values: list[Any], most: int) -> dict[str, Any]:
    """A few names with values."""
    return {source.choice(names): source.choice(values) for _ in range(source.randint(0, most))}


def asked(venue: OfflineKalshi, source: random.Random, choose: Callable[[], tuple[str, str]], number: int) -> None:
    """Send one random request."""
    method, path = choose()
    path = path.replace("{}", str(source.choice([*venue.exchange.state.orders, RAIN, "KXRAIN", "x", "²"])))
    query = "&".join(f"{name}={quote(str(value))}" for name, value in some(source, PARAMETERS, ODD, 4).items())
    usual = order(client_order_id=f"f{number}") if source.random() < 0.6 else {}
    body: Any = {**usual, **some(source, FIELDS, ODD, 3)}
    if "batched" in path:
        body = {"orders": [body, {"order_id": source.choice(list(venue.exchange.state.orders))}]}
    response = venue.ask(method, f"{path}?{query}", None if method == "GET" else body, key="key-1")
    assert response.status < 500
    assert isinstance(response.body, bytes) or orjson.dumps(response.body)


def test_any_request_is_answered() -> None:
    venue, source = OfflineKalshi(), random.Random(1)
    venue.placed()
    known = routes()
    for number in range(1_500):
        asked(venue, source, lambda: source.choice(known), number)
        if number % 50 == 0:
            venue.wait(1_000)
    for path in ("orders", "fills", "positions", "balance", "settlements", "order_groups"):
        venue.own(f"/portfolio/{path}")
    venue.settle()


def test_any_command_is_answered() -> None:
    venue, source = OfflineKalshi(), random.Random(2)
    line = venue.open_line()
    for _ in range(1_500):
        name = source.choice([*COMMANDS, source.choice(ODD)])
        line.send({"id": source.choice(ODD), "cmd": name, "params": some(source, COMMAND, WORDS, 4)})
        frames = line.taken()
        assert frames
        assert all(frame["type"] for frame in frames)
