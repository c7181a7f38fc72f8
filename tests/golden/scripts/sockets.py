"""A scripted life of both exchanges as the subscribers of their sockets see it, and every refusal of a command."""

from __future__ import annotations

from typing import Any

from tests.golden.record import Step
from tests.golden.scripts import kalshi, polymarket
from tests.golden.scripts.admin import ask
from tests.golden.stage import SECRET, condition, token

WS = "/trade-api/ws/v2"
_BOOK = "orderbook_delta"
_TOKENS = [token(number, outcome) for number in (0, 1, 3, 4) for outcome in ("yes", "no")]
_AUTH = {"apiKey": "wallet", "secret": SECRET, "passphrase": "pass"}


def command(name: str, number: int = 1, socket: str = "k", **params: Any) -> Step:
    """A command of Kalshi's socket."""
    return ("say", socket, {"id": number, "cmd": name, "params": params})


_OPEN: list[Step] = [
    ("listen", "k", "kalshi", "main", WS),
    command("subscribe", 1, channels=[_BOOK], market_tickers=[kalshi.NYC, kalshi.CUP_A, kalshi.SNOW]),
    command("subscribe", 2, channels=["ticker", "trade"], send_initial_snapshot=True, market_ticker=kalshi.NYC),
    command("subscribe", 3, channels=[
        "fill", "user_orders", "market_positions", "order_group_updates", "market_lifecycle_v2", "communications"]),
    ("listen", "other", "kalshi", "other", WS), command("subscribe", 1, "other", channels=["fill", "user_orders"]),
    command("subscribe", 2, "other", channels=[_BOOK], market_tickers=[kalshi.BOS], use_yes_price=True),
    ("listen", "market", "polymarket", "", "/ws/market"),
    ("say", "market", {"assets_ids": _TOKENS, "type": "market", "custom_feature_enabled": True}),
    ("listen", "plain", "polymarket", "", "/ws/market"),
    ("say", "plain", {"assets_ids": [_TOKENS[0], "1"], "type": "MARKET"}), ("say", "plain", "PING"),
    ("listen", "user", "polymarket", "", "/ws/user"),
    ("say", "user", {"auth": _AUTH, "type": "user", "markets": []}),
]  # fmt: skip
_HOUSE = {"price_e4": 5_200, "size_e6": 3_000_000, "is_immediate": True, "side": "bid"}
_LIFE: list[Step] = [
    *kalshi.SCRIPTS["kalshi-life"][1][:17], ("wait", 500), *polymarket.SCRIPTS["polymarket-life"][1][:14],
    *(step for market in (kalshi.NYC, kalshi.BOS) for step in ask(
        "POST /orders", {**_HOUSE, "venue": "kalshi", "market_id": market})),
    *ask("POST /orders", {**_HOUSE, "venue": "polymarket", "market_id": condition(0)}),
    ("wait", 2_000),
    ("kalshi", "main", f"POST {kalshi.GROUPS}/create", {"contracts_limit": 10}, "g=order_group_id"),
    *kalshi.post(kalshi.order(order_group_id="$g", price="0.4300"),
                 kalshi.order(order_group_id="$g", price="0.5300", count="11")), ("wait", 100),
    ("admin", "", "POST /fees", {"venue": "kalshi", "series": "KXRAIN", "fee_type": "quadratic",
                                 "fee_multiplier": "2", "at_ms": 1_795_000_005_000}),
    ("admin", "", "POST /fees", {"venue": "kalshi", "event": "KXCUP-26", "fee_type": "quadratic",
                                 "fee_multiplier": "3", "at_ms": 1_795_000_005_000}),
    ("admin", "", "POST /fees", {"venue": "polymarket", "market_id": condition(0), "schedule": {
        "rate": "0.02", "exponent": "1", "taker_only": True}}),
    ("late markets",), ("wait", 5_000),
    *kalshi.post(kalshi.order(ticker=kalshi.CUP_B, price="0.5100"), kalshi.order(price="0.5300", count="3")),
    *polymarket.post(polymarket.order("BUY", 53, 10)),
    kalshi.move("tick", kalshi.CUP_A, {"tick_e4": 10}), polymarket.move("tick", condition(0), {"tick_e4": 10}),
    *kalshi.post(kalshi.order(price="0.5300")), *polymarket.post(polymarket.order("BUY", 53, 10)),
    kalshi.move("pause"), kalshi.move("reactivate"),
    kalshi.move("change-close", kalshi.SNOW, {"close_ms": 1_795_000_020_000}),
    command("update_subscription", 5, sids=[1], action="add_markets", market_tickers=[kalshi.BOS]),
    command("update_subscription", 6, sids=[1], action="get_snapshot", market_tickers=[kalshi.BOS]),
    command("update_subscription", 7, sids=[1], action="delete_markets", market_tickers=[kalshi.BOS]),
    ("say", "k", {"id": 8, "cmd": "list_subscriptions"}), command("unsubscribe", 9, sids=[2]),
    ("say", "market", {"operation": "unsubscribe", "assets_ids": _TOKENS[2:]}),
    ("say", "market", {"operation": "subscribe", "assets_ids": _TOKENS[2:4]}),
    ("kalshi", "main", f"DELETE {kalshi.ORDERS}"), *polymarket.delete(None, path="/clob/cancel-all"),
    *(move for market in (kalshi.NYC, kalshi.CUP_A) for move in (
        kalshi.move("close", market), kalshi.move("determine", market, {"settlement_e4": 10_000}),
        kalshi.move("settle", market))),
    *(move for number in (0, 1) for move in (
        polymarket.move("close", condition(number)),
        polymarket.move("determine", condition(number), {"settlement_e4": 0}),
        polymarket.move("settle", condition(number)))),
    ("wait", 15_000),
    *kalshi.get("/portfolio/balance", "/portfolio/settlements", by="main"), *ask("GET /truth/polymarket"),
]  # fmt: skip

_COMMANDS: list[Step] = [
    ("listen", "nobody", "kalshi", "", WS), ("listen", "nowhere", "kalshi", "main", "/trade-api/ws/v9"),
    ("listen", "k", "kalshi", "main", WS), ("say", "k", "{"), ("say", "k", "[]"), ("say", "k", {"id": 1, "cmd": "odd"}),
    ("say", "k", {"id": 2, "cmd": "subscribe"}), command("subscribe", 3, x=1), command("subscribe", 4, channels="x"),
    command("subscribe", 5, channels=["odd"]), command("subscribe", 6, channels=[_BOOK]),
    command("subscribe", 7, channels=["ticker"], market_ticker="A", market_tickers=["B"]),
    command("subscribe", 8, channels=["communications"], shard_key=1),
    command("subscribe", 9, channels=["communications"], shard_factor=0),
    command("subscribe", 10, channels=["communications"], shard_factor=101),
    command("subscribe", 11, channels=["communications"], shard_factor=2, shard_key=2),
    command("unsubscribe", 12, x=1), command("unsubscribe", 13, sids=[99]), command("unsubscribe", 14, sids="x"),
    command("subscribe", 15, channels=[_BOOK, "pyth_value"], market_tickers=[kalshi.NYC]),
    command("update_subscription", 16, sids=[1, 2], action="x"), command("update_subscription", 17, sids=[9],
     action="x"),
    command("update_subscription", 18, sids=[1]), command("update_subscription", 19, sids=[1], action="odd"),
    command("update_subscription", 20, sids=[1], action="add_markets"),
    command("update_subscription", 21, sid=2, action="subscribe_underlyings"),
    command("update_subscription", 22, sid=2, action="underlying_list"),
    command("update_subscription", 23, sids=[1], action="add_markets", market_tickers=[kalshi.BOS]),
    ("listen", "writer", "kalshi", "writer", WS), command("subscribe", 1, "writer", channels=["fill"]),
    *ask("POST /faults", {"kind": "command_timeout", "times": 1}), command("list_subscriptions", 24),
    *ask("POST /faults", {"kind": "channel_error", "times": 1}), ("wait", 100),
    *ask("POST /orders", {**_HOUSE, "venue": "kalshi", "market_id": kalshi.NYC}), ("wait", 100), ("hang up", "writer"),
    ("listen", "user", "polymarket", "", "/ws/user"), ("say", "user", {"auth": {"apiKey": "odd"}, "type": "user"}),
    ("listen", "market", "polymarket", "", "/ws/market"), ("say", "market", "odd"), ("say", "market", "[]"),
    ("say", "market", {"assets_ids": ["1"], "type": "market"}),
    ("say", "market", {"assets_ids": [_TOKENS[0]], "type": "market", "initial_dump": False}),
    *(step for kind in ("dropped_frame", "delayed_frame", "duplicated_frame", "reordered_frame", "silent_socket",
                        "disconnect") for step in (
        *ask("POST /faults", {"kind": kind, "times": 1}),
        *(one for price in (4_800, 4_700, 4_600) for one in ask("POST /orders", {
            "venue": "polymarket", "market_id": condition(0), "side": "bid", "price_e4": price, "size_e6": 10**6})),
        ("wait", 2_000))),
]  # fmt: skip
_LIMITS: list[Step] = [
    ("listen", "k", "kalshi", "main", WS), command("subscribe", 1, channels=[_BOOK], market_tickers=["A", "B"]),
    command("subscribe", 2, channels=[_BOOK], market_tickers=[kalshi.NYC]),
    *ask("POST /orders", {**_HOUSE, "venue": "kalshi", "market_id": kalshi.NYC}),
    *[command("subscribe", 4, channels=["trade"])] * 3,
]  # fmt: skip

SCRIPTS: dict[str, tuple[dict[str, Any], list[Step]]] = {
    "sockets-life": ({}, [*_OPEN, *_LIFE]),
    "sockets-life-realistic": ({"profile": "realistic"}, [*_OPEN, *_LIFE]),
    "sockets-life-other-settings": (
        {"kalshi": {"tags_own_fills": True, "sends_sending_ts": False, "default_use_yes_price": True,
                    "has_novelties": True, "sends_deprecated_fields": False, "netting_starts": "at_once"},
         "polymarket": {"match_sends_price_change": True, "resolved_is_venue_wide": False, "has_novelties": True}},
        [*_OPEN, *_LIFE],
    ),
    "sockets-commands": ({}, _COMMANDS),
    "sockets-limits": (
        {"kalshi": {"max_markets_per_session": 1, "max_commands_per_s": 4, "slow_reader_bytes": -1}}, _LIMITS),
}  # fmt: skip
