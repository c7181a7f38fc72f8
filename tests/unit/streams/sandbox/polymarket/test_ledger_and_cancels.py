"""Cancels, own orders and trades, balances, heartbeats, and what the user socket publishes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import SettlementPlan
from streams.sandbox.core.model import CatalogueEvent, ChangeTick, DetermineMarket, ListMarket
from streams.sandbox.core.profile import ZERO

ORDER_KEYS = {
    "id", "status", "owner", "maker_address", "market", "asset_id", "side", "original_size", "size_matched", "price",
    "outcome", "expiration", "order_type", "associate_trades", "created_at",
}  # fmt: skip


class FakeSocket:
    """Keeps what a session sends."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.closed: int | None = None

    def send(self, frame: bytes, channel: str = "") -> bool:
        self.frames.append(json.loads(frame))
        return True

    def answer(self, frame: bytes) -> None:
        self.frames.append(frame.decode())

    def close(self, code: int = 1000) -> None:
        self.closed = code

    def drain(self) -> list[Any]:
        frames, self.frames = self.frames, []
        return frames


def connect(desk: Any, session: Any, message: Any) -> FakeSocket:
    socket = FakeSocket()
    session.socket = socket
    session.on_text(json.dumps(message))
    return socket


def user_socket(desk: Any, **more: Any) -> FakeSocket:
    auth = {"apiKey": desk.key.api_key, "secret": desk.key.secret, "passphrase": desk.key.passphrase}
    return connect(desk, desk.user_session(), {"auth": auth, "type": "user", **more})


def resting(desk: Any, count: int = 1, **more: Any) -> list[str]:
    return [desk.post("BUY", 4_000_000, 10_000_000, **more).body["orderID"] for _ in range(count)]


def test_cancels_in_every_form_name_cancelled_and_refused_orders(desk: Any) -> None:
    first, second, third, fourth = resting(desk, 4)
    other = resting(desk, 1, token=desk.no)[0]
    one = desk.signed("DELETE", "/order", {"orderID": first})
    assert one.body == {"canceled": [first], "not_canceled": {}}
    several = desk.signed("DELETE", "/orders", [first, second, "0xunknown"]).body
    assert several["canceled"] == [second]
    assert set(several["not_canceled"]) == {first, "0xunknown"}
    assert several["not_canceled"][first] == "order can't be found - already canceled or matched"
    of_token = desk.signed("DELETE", "/cancel-market-orders", {"asset_id": str(desk.no)}).body
    assert of_token["canceled"] == [other]
    assert desk.signed("DELETE", "/cancel-market-orders", {"market": desk.condition(1)}).body["canceled"] == []
    assert set(desk.signed("DELETE", "/cancel-all").body["canceled"]) == {third, fourth}
    assert desk.signed("DELETE", "/orders", ["0x1"] * 1_001).status == 400
    assert desk.signed("DELETE", "/order", {"orderID": 7}).status == 400


def test_only_the_unfilled_part_is_cancelled(desk: Any) -> None:
    order_id = desk.post("BUY", 30_600_000, 60_000_000).body["orderID"]
    assert desk.signed("DELETE", "/order", {"orderID": order_id}).body["canceled"] == [order_id]
    shown = desk.signed("GET", f"/data/order/{order_id}").body
    assert (shown["status"], shown["size_matched"], len(shown["associate_trades"])) == ("CANCELED", "50", 1)


def test_open_orders_are_filtered_and_paged(desk: Any) -> None:
    ids = resting(desk, 103)
    page = desk.signed("GET", "/data/orders").body
    assert (page["limit"], page["count"], set(page["data"][0])) == (100, 100, ORDER_KEYS)
    rest = desk.signed("GET", "/data/orders", next_cursor=page["next_cursor"]).body
    assert (rest["count"], rest["next_cursor"]) == (3, "LTE=")
    assert desk.signed("GET", "/data/orders", next_cursor="LTE=").status == 400
    assert desk.signed("GET", "/data/orders", next_cursor="???").status == 400
    assert [row["id"] for row in desk.signed("GET", "/data/orders", id=ids[5]).body["data"]] == [ids[5]]
    assert desk.signed("GET", "/data/orders", asset_id=desk.no).body["data"] == []
    assert desk.signed("GET", "/data/order/0x12").status == 404


def test_nothing_earns_rewards_or_rebates(desk: Any) -> None:
    assert desk.signed("GET", "/order-scoring", order_id="0x1").body == {"scoring": False}
    assert desk.signed("POST", "/orders-scoring", ["0x1"]).body == {"0x1": False}
    assert desk.get("/clob/rebates/current") == b"null"
    assert desk.signed("GET", "/notifications").body == []


def test_trades_are_found_by_id_and_time(desk: Any) -> None:
    trade_id = desk.post("BUY", 5_100_000, 10_000_000).body["tradeIDs"][0]
    found = desk.signed("GET", "/data/trades", id=trade_id).body["data"]
    assert [(row["status"], row["trader_side"], row["size"]) for row in found] == [
        ("TRADE_STATUS_MATCHED", "TAKER", "10")
    ]
    second = desk.now[0] // 1000
    assert desk.signed("GET", "/data/trades", after=second + 1).body["data"] == []
    assert desk.signed("GET", "/data/trades", before=second - 1).body["data"] == []
    assert desk.signed("GET", "/data/trades", maker_address="0x" + "00" * 20).body["data"] == []
    assert desk.signed("GET", "/data/trades", market=desk.condition()).body["count"] == 1
    assert desk.signed("GET", "/data/trades", after="soon").status == 400


def test_reads_lag_behind_writes(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(replace(ZERO, read_lag_ms=400))
    order_id = resting(desk)[0]
    assert desk.signed("GET", "/data/orders").body["data"] == []
    assert desk.signed("GET", f"/data/order/{order_id}").status == 404
    desk.pass_ms(400)
    assert desk.signed("GET", f"/data/order/{order_id}").body["status"] == "LIVE"


def test_a_balance_is_cached_until_it_is_read_again(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(replace(ZERO, balance_cache_ms=2_000))
    tokens = {"asset_type": "CONDITIONAL", "token_id": desk.yes, "signature_type": 0}
    assert desk.signed("GET", "/balance-allowance", **tokens).body["balance"] == "0"
    desk.post("BUY", 5_100_000, 10_000_000)
    assert desk.signed("GET", "/balance-allowance", **tokens).body["balance"] == "0"
    refused = desk.post("SELL", 10_000_000, 4_900_000)
    assert "balance is not enough" in refused.body["error"]
    assert desk.signed("GET", "/balance-allowance/update", **tokens).status == 200
    assert desk.signed("GET", "/balance-allowance", **tokens).body["balance"] == "10000000"
    assert desk.post("SELL", 10_000_000, 4_900_000).body["status"] == "matched"


def test_tokens_are_on_the_chain_once_they_are_mined(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(ZERO)
    desk.exchange.state.faults.settlement = SettlementPlan(1_000, 2_000, sellable="mined")
    desk.post("BUY", 5_100_000, 10_000_000)
    tokens = {"asset_type": "CONDITIONAL", "token_id": desk.yes}
    assert desk.signed("GET", "/balance-allowance", **tokens).body["balance"] == "0"
    assert "not enough balance" in desk.post("SELL", 10_000_000, 4_900_000).body["error"]
    desk.pass_ms(1_000)
    assert desk.signed("GET", "/balance-allowance", **tokens).body["balance"] == "10000000"


def test_silence_after_a_heartbeat_cancels_the_orders_of_the_key(desk: Any) -> None:
    order_id = resting(desk)[0]
    first = desk.signed("POST", "/v1/heartbeats", {"heartbeat_id": ""}).body["heartbeat_id"]
    wrong = desk.signed("POST", "/v1/heartbeats", {"heartbeat_id": "else"})
    assert (wrong.status, wrong.body["heartbeat_id"]) == (400, first)
    desk.pass_ms(9_000)
    second = desk.signed("POST", "/v1/heartbeats", {"heartbeat_id": first}).body["heartbeat_id"]
    assert second != first
    desk.pass_ms(9_000)
    assert desk.signed("POST", "/heartbeats").body == {"status": "ok"}
    desk.pass_ms(10_000)
    assert desk.signed("GET", f"/data/order/{order_id}").body["status"] == "LIVE"
    desk.pass_ms(5_000)
    assert desk.signed("GET", f"/data/order/{order_id}").body["status"] == "CANCELED"


def test_the_user_socket_publishes_an_order_and_every_step_of_its_trade(desk: Any, shapes: Any) -> None:
    desk.exchange.state.faults.settlement = SettlementPlan(1_000, 2_000)
    socket = user_socket(desk)
    resting(desk)
    placed = socket.drain()[0]
    sample = shapes["ws_user_order_placement"]
    assert set(placed) == set(sample)
    assert (placed["type"], placed["status"], placed["associate_trades"]) == ("PLACEMENT", "LIVE", None)
    desk.signed("DELETE", "/cancel-all")
    assert [(f["type"], f["status"]) for f in socket.drain()] == [("CANCELLATION", "CANCELED")]
    desk.post("BUY", 5_100_000, 10_000_000)
    update, trade = socket.drain()
    assert (update["type"], update["status"], update["size_matched"]) == ("UPDATE", "MATCHED", "10")
    lifecycle = shapes["ws_user_trade_lifecycle"]
    assert set(lifecycle[0]) <= set(trade)
    assert set(lifecycle[0]["maker_orders"][0]) == set(trade["maker_orders"][0])
    assert (trade["status"], trade["transaction_hash"]) == ("MATCHED", "")
    desk.pass_ms(1_000)
    desk.pass_ms(1_000)
    steps = socket.drain()
    assert [frame["status"] for frame in steps] == ["MINED", "CONFIRMED"]
    assert steps[0]["transaction_hash"].startswith("0x")
    assert {frame["id"] for frame in steps} == {trade["id"]}


def test_a_killed_order_is_a_cancellation_with_its_reason(desk: Any, shapes: Any) -> None:
    socket = user_socket(desk)
    desk.post("BUY", 510_000_000, 1_000_000_000, "FOK")
    killed = socket.drain()[0]
    sample = shapes["ws_user_order_fok_killed"]
    assert set(killed) == set(sample)
    assert killed["status"] == "CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed."
    assert (killed["size_matched"], killed["created_at"]) == ("", "")
    desk.post("BUY", 1_000_000, 25_000_000, "FAK")
    assert socket.drain()[0]["status"].startswith("CANCELED_no orders found")


def test_the_user_socket_is_for_the_markets_and_the_key_it_names(desk: Any) -> None:
    elsewhere = user_socket(desk, markets=[desk.condition(1)])
    wrong = connect(desk, desk.user_session(), {"auth": {"apiKey": desk.key.api_key, "secret": "x"}, "type": "user"})
    resting(desk)
    assert (elsewhere.frames, wrong.frames, wrong.closed) == ([], [], 1008)
    session = next(iter(desk.app.user_feed.subscribers))
    session.on_text(json.dumps({"operation": "subscribe", "markets": [desk.condition()]}))
    resting(desk)
    assert len(elsewhere.drain()) == 1


def test_a_resolution_cancels_resting_orders_with_its_own_status(desk: Any) -> None:
    order_id = resting(desk)[0]
    socket = user_socket(desk)
    desk.apply(DetermineMarket(MarketRef(Venue.POLYMARKET, desk.condition()), 10_000, "yes"))
    assert desk.signed("GET", f"/data/order/{order_id}").body["status"] == "CANCELED_MARKET_RESOLVED"
    assert [frame["status"] for frame in socket.drain()] == ["CANCELED_MARKET_RESOLVED"]


def test_the_market_socket_begins_with_an_array_and_refuses_duplicates(desk: Any) -> None:
    session = desk.market_session()
    socket = connect(desk, session, {"assets_ids": ["999"], "type": "market"})
    assert socket.drain() == [[]]
    subscribe = {"operation": "subscribe", "assets_ids": [str(desk.yes)]}
    session.on_text(json.dumps(subscribe))
    assert [[book["asset_id"] for book in frame] for frame in socket.drain()] == [[str(desk.yes)]]
    session.on_text(json.dumps({**subscribe, "custom_feature_enabled": True}))
    assert (socket.drain(), session in desk.app.market_feed.featured) == ([], True)
    session.on_text("PING")
    assert socket.drain() == ["PONG"]
    session.on_text(json.dumps({"operation": "unsubscribe", "assets_ids": [str(desk.yes)]}))
    desk.quote("x", "bid", 5_000, 3)
    assert socket.drain() == []
    quiet = connect(
        desk, desk.market_session(), {"assets_ids": [str(desk.yes)], "type": "MARKET", "initial_dump": False}
    )
    assert quiet.drain() == []
    desk.quote("y", "bid", 5_000, 3)
    assert quiet.drain()[0]["event_type"] == "price_change"


def test_frames_of_the_market_socket_have_the_keys_of_the_samples(desk: Any, shapes: Any) -> None:
    ref = MarketRef(Venue.POLYMARKET, desk.condition())
    subscribe = {"assets_ids": [str(desk.yes), str(desk.no)], "type": "market", "custom_feature_enabled": True}
    socket = connect(desk, desk.market_session(), subscribe)
    seen = {"book": socket.drain()[0][0]}
    desk.quote("x", "bid", 5_000, 3)
    desk.post("BUY", 5_100_000, 10_000_000)
    desk.apply(ChangeTick(ref, 10))
    desk.apply(DetermineMarket(ref, 10_000, "yes"))
    for frame in socket.drain():
        seen.setdefault(frame["event_type"], frame)
    names = {
        "book": "ws_market_book",
        "price_change": "ws_market_price_change",
        "best_bid_ask": "ws_market_best_bid_ask",
        "last_trade_price": "ws_market_last_trade_price_current",
        "tick_size_change": "ws_market_tick_size_change",
        "market_resolved": "ws_market_resolved",
    }
    for event, name in names.items():
        sample = shapes[name]
        assert set(seen[event]) == set(sample), event
    change = seen["price_change"]["price_changes"]
    assert [(entry["price"], entry["side"]) for entry in change] == [("0.5", "BUY"), ("0.5", "SELL")]


def test_a_new_market_is_published_with_its_fees(desk: Any, make_market: Callable[..., Any], shapes: Any) -> None:
    socket = connect(desk, desk.market_session(), {"assets_ids": [], "type": "market", "custom_feature_enabled": True})
    socket.drain()
    desk.apply(ListMarket(CatalogueEvent(Venue.POLYMARKET, "901", "", "New", category="Politics"), make_market(7)))
    frame = socket.drain()[0]
    sample = shapes["ws_market_new_market_with_fees"]
    assert set(frame) == set(sample)
    assert set(frame["event_message"]) == set(sample["event_message"])
    assert frame["fee_schedule"] == {"exponent": "1", "rate": "0.05", "taker_only": True, "rebate_rate": "0.25"}
