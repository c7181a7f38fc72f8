"""What a client asks of the Kalshi emulator: every route, every refusal."""

from __future__ import annotations

from typing import Any

from tests.golden.record import Step

NYC, BOS, SNOW = "KXRAIN-26DEC01-NYC", "KXRAIN-26DEC01-BOS", "KXSNOW-26DEC02-T2"
CUP_A, CUP_B = "KXCUP-26-A", "KXCUP-26-B"
ORDERS = "/portfolio/events/orders"
GROUPS = "/portfolio/order_groups"
TRANSFER = "/portfolio/intra_exchange_instance_transfer"
ALLOCATION = "/portfolio/target_balance_allocation"


def order(**changes: Any) -> dict[str, Any]:
    """A resting buy below the market; None leaves a field out."""
    body = {
        "ticker": NYC, "side": "bid", "count": "10.00", "price": "0.4500", "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }  # fmt: skip
    return {name: value for name, value in (body | changes).items() if value is not None}


def get(*targets: str, by: str = "") -> list[Step]:
    """Reads."""
    return [("kalshi", by, f"GET {target}") for target in targets]


def post(*bodies: Any, path: str = ORDERS, by: str = "main") -> list[Step]:
    """The same path with one body after the other."""
    return [("kalshi", by, f"POST {path}", body) for body in bodies]


def move(action: str, market: str = NYC, body: Any = None) -> Step:
    """An act of the admin port on a market."""
    return ("admin", "", f"POST /markets/kalshi/{market}/{action}", body)


def mode(name: str, **more: Any) -> Step:
    """A mode of the exchange."""
    return ("admin", "", "POST /mode", {"venue": "kalshi", "mode": name, **more})


def fault(kind: str, **more: Any) -> Step:
    """One more fault, once."""
    return ("admin", "", "POST /faults", {"kind": kind, "venue": "kalshi", "times": 1, **more})


_SECOND, _DAY = 1_795_000_000, 86_400
_LIFE: list[Step] = [
    *post(order(client_order_id="c1")),
    ("kalshi", "main", f"POST {ORDERS}", order(client_order_id="c2", price="0.4600"), "o1=order_id"),
    ("kalshi", "main", f"POST {ORDERS}", order(price="0.5100", count="20", client_order_id="c3"), "taken=order_id"),
    *post(
        order(price="0.5200", count="60.5", time_in_force="immediate_or_cancel"),
        order(side="ask", price="0.4900", count="30", time_in_force="fill_or_kill"),
        order(ticker=BOS, side="ask", price="0.5200", count="7", post_only=True, expiration_time=_SECOND + 600),
        order(ticker=SNOW, price="0.5100", count="5", exchange_index=1, cancel_order_on_pause=True),
        order(side="ask", price="0.4800", count="5", reduce_only=True, time_in_force="immediate_or_cancel"),
        order(ticker=SNOW, price="0.4100", count="5", cancel_order_on_pause=True),
        order(price="0.4700", self_trade_prevention_type="maker"),
    ),
    *post(order(side="ask", price="0.4500", count="15.25", client_order_id="theirs"), by="other"),
    *post({"ticker": NYC, "side": "bid", "price": "0.4650", "count": "12", "client_order_id": "c2"},
          {"ticker": NYC, "side": "bid", "price": "0.4400", "count": "12", "client_order_id": "c2",
           "updated_client_order_id": "c4", "expiration_time": _SECOND + 3_600},
          {"ticker": NYC, "side": "bid", "price": "0.5100", "count": "12"}, path=f"{ORDERS}/$o1/amend"),
    ("kalshi", "main", f"POST {ORDERS}", order(price="0.4000", count="9"), "o2=order_id"),
    *post({"reduce_by": "2.00", "market_ticker": NYC}, {"reduce_to": "1.00", "exchange_index": 0},
          path=f"{ORDERS}/$o2/decrease"),
    ("wait", 1_000),
    *get("/portfolio/balance", "/portfolio/positions", f"/portfolio/positions?ticker={NYC}&count_filter=position",
         "/portfolio/fills?limit=2", f"/portfolio/fills?ticker={NYC}&order_id=$taken", "/portfolio/settlements",
         "/portfolio/orders?limit=3", f"/portfolio/orders?ticker={NYC}&status=resting",
         "/portfolio/orders?status=executed", f"/portfolio/orders/queue_positions?market_tickers={NYC}",
         "/portfolio/orders/queue_positions?event_ticker=KXRAIN-26DEC01", "/portfolio/orders/$o2",
         "/portfolio/orders/$o2/queue_position", "/portfolio/orders/none", "/portfolio/orders/none/queue_position",
         "/portfolio/summary/total_resting_order_value", "/historical/fills", "/historical/orders",
         "/historical/positions", "/portfolio/subaccounts/balances", "/portfolio/subaccounts/transfers",
         "/portfolio/subaccounts/netting", "/portfolio/deposits", "/portfolio/withdrawals", "/account/limits",
         "/account/api_usage_level/volume_progress", by="main"),
    ("kalshi", "main", f"DELETE {ORDERS}/$o2?market_ticker={NYC}"),
    ("kalshi", "main", f"DELETE {ORDERS}/$o2?market_ticker={NYC}"),
    ("kalshi", "main", f"POST {ORDERS}/batched", {"orders": [
        order(client_order_id="b1"), order(client_order_id="b1"), order(price="0.51", client_order_id="b2"),
        order(ticker="NONE")]}, "b1=orders.0.order_id"),
    ("kalshi", "main", f"DELETE {ORDERS}/batched", {"orders": [
        {"order_id": "$b1"}, {"order_id": "$b1"}, {"order_id": "none", "market_ticker": NYC}]}),
    ("kalshi", "main", f"POST {GROUPS}/create", {"contracts_limit": 10}, "g=order_group_id"),
    ("kalshi", "main", f"POST {GROUPS}/create", {"contracts_limit_fp": "25.00", "exchange_index": 1},
     "g1=order_group_id"),
    *post(order(order_group_id="$g", price="0.4300"), order(order_group_id="$g", price="0.5100", count="11"),
          order(order_group_id="$g"), order(order_group_id="$g1"), order(order_group_id="none")),
    ("wait", 100),
    *get(GROUPS, f"{GROUPS}/$g", f"{GROUPS}/none", by="main"),
    *post(order(order_group_id="$g")),
    *(("kalshi", "main", f"PUT {GROUPS}/{name}/{what}", body)
      for name in ("$g", "none") for what, body in (
          ("reset", {}), ("trigger", {}), ("limit", {"contracts_limit": 7}))),
    ("kalshi", "main", f"PUT {GROUPS}/$g/trigger", {}), *post(order(order_group_id="$g")),
    ("kalshi", "main", f"DELETE {GROUPS}/$g"), ("kalshi", "main", f"DELETE {GROUPS}/$g"),
    *post({"amount": 10_000, "source": "event_contract", "destination": "event_contract", "source_exchange_shard": 0,
           "destination_exchange_shard": 1, "client_transfer_id": "t1"}, path=TRANSFER),
    ("kalshi", "main", f"POST {TRANSFER}", {
        "amount": 10_000, "source": "event_contract", "destination": "event_contract", "source_exchange_shard": 0,
        "destination_exchange_shard": 1, "client_transfer_id": "t1"}, "t=transfer_id"),
    *get(f"{TRANSFER}s?limit=5", f"{TRANSFER}s/$t", f"{TRANSFER}s/none", by="main"),
    *post({"allocations": [{"exchange_index": 0, "percent": 60}, {"exchange_index": 1, "percent": 40}],
           "resting_margin_reservation": "max"}, path=ALLOCATION),
    *get(ALLOCATION, by="main"),
    ("kalshi", "main", "PUT /portfolio/subaccounts/netting", {"subaccount_number": 0, "enabled": True}),
    *post(order(ticker=CUP_A, side="ask", price="0.4900", count="10"),
          order(ticker=CUP_B, side="ask", price="0.4900", count="10")),
    *get("/portfolio/positions?event_ticker=KXCUP-26", "/portfolio/balance", by="main"),
    *post({}, path="/account/api_usage_level/upgrade"),
    ("kalshi", "main", f"DELETE {ORDERS}"),
    ("kalshi", "main", f"DELETE {ORDERS}?subaccount=3"),
    *get("/api_keys", by="main"),
]  # fmt: skip

_PUBLIC: list[Step] = [
    *get("/exchange/status", "/exchange/schedule", "/exchange/user_data_timestamp", "/series",
     "/series?category=Climate",
         "/series/fee_changes", "/series/KXRAIN", "/series/NONE", "/events?limit=2",
         "/events?series_ticker=KXRAIN&with_nested_markets=true", "/events?status=open", "/events/multivariate",
         "/events/fee_changes", "/events/KXRAIN-26DEC01", "/events/KXRAIN-26DEC01?with_nested_markets=true",
         "/events/NONE", "/events/KXRAIN-26DEC01/metadata", "/events/NONE/metadata", "/markets?limit=2",
         f"/markets?tickers={NYC},{BOS}", "/markets?event_ticker=KXCUP-26&status=open", "/markets?status=settled",
         f"/markets?series_ticker=KXSNOW&min_close_ts={_SECOND}", f"/markets/{SNOW}", "/markets/NONE",
         f"/markets/{NYC}/orderbook", f"/markets/{NYC}/orderbook?depth=1", "/markets/NONE/orderbook",
         f"/markets/orderbooks?tickers={NYC},{SNOW}", "/markets/trades?limit=3", f"/markets/trades?ticker={NYC}",
         "/historical/cutoff", "/historical/markets", "/historical/markets/NONE", "/historical/trades",
         "/account/endpoint_costs", "/nothing", "!/elsewhere"),
    *get(*(f"{path}?start_ts={_SECOND - 7_200}&end_ts={_SECOND + 60}&period_interval=60" for path in (
        f"/series/KXRAIN/markets/{NYC}/candlesticks", "/series/KXRAIN/events/KXRAIN-26DEC01/candlesticks",
        f"/historical/markets/{NYC}/candlesticks", "/series/KXRAIN/markets/NONE/candlesticks")),
         f"/markets/candlesticks?market_tickers={NYC},{BOS}&start_ts={_SECOND - 3_600}&end_ts={_SECOND}"
         "&period_interval=60"),
]  # fmt: skip

_BAD_READS: list[Step] = [
    *get("/markets?limit=-1", "/markets?limit=9999", "/markets?limit=x", "/markets?event_ticker=A,B",
         "/markets?status=open&min_settled_ts=5", "/markets?min_close_ts=5&min_settled_ts=5", "/markets?status=odd",
         "/markets?min_updated_ts=5&status=open", "/markets?min_updated_ts=5&tickers=A",
         "/markets?cursor=odd", f"/markets/{NYC}/orderbook?depth=-1",
         f"/markets/{NYC}/orderbook?depth=200", "/markets/orderbooks",
          f"/markets/orderbooks?tickers={','.join('A' * 200)}",
         "/markets/candlesticks?start_ts=1&end_ts=2&period_interval=1",
         f"/markets/candlesticks?market_tickers={','.join('A' * 200)}&start_ts=1&end_ts=2&period_interval=1",
         f"/series/KXRAIN/markets/{NYC}/candlesticks",
         f"/series/KXRAIN/markets/{NYC}/candlesticks?start_ts=9&end_ts=2&period_interval=1",
         f"/series/KXRAIN/markets/{NYC}/candlesticks?start_ts=1&end_ts=2&period_interval=7",
         f"/series/KXRAIN/markets/{NYC}/candlesticks?start_ts=1&end_ts=1795000000&period_interval=1"),
    *get("/portfolio/positions?count_filter=odd", f"/portfolio/fills?ticker={','.join('A' * 101)}",
     "/portfolio/orders/queue_positions",
         "/portfolio/orders?event_ticker=A,B,C,D,E,F,G,H,I,J,K,L", "/portfolio/deposits?limit=501",
         "/portfolio/orders?status=odd", "/portfolio/settlements?limit=-1", by="main"),
    *get("/portfolio/balance"),
    *(("kalshi", "main", "GET /portfolio/balance", None, "", {name: value}) for name, value in (
        ("kalshi_access_key", "nobody"), ("kalshi_access_timestamp", "1"), ("kalshi_access_signature", "AAAA"))),
    *get("/portfolio/balance", by="writer"), *post(order(), by="reader"),
]  # fmt: skip

_BAD_ORDERS: list[Step] = [
    *post({"$text": "{"}, {"$text": ""}, {"$text": "[]"}, order(count=10), order(post_only="yes"), order(ticker=[]),
          order(expiration_time={}), order(ticker=None), order(ticker="NONE"), order(exchange_index=3),
          order(time_in_force="odd"), order(side="yes"), order(self_trade_prevention_type="odd"), order(price="0.5"),
          order(price="1.0000"), order(price="0.4550"), order(count="0"), order(count="1.001"),
          order(expiration_time=5), order(post_only=True, time_in_force="fill_or_kill"), order(reduce_only=True),
          order(subaccount=1), order(order_group_id="none"), order(price="0.52", post_only=True),
          order(count="999999"), order(price="0.99", count="900", ticker=SNOW),
          order(price="0.52", count="500", time_in_force="fill_or_kill"), order(client_order_id="same")),
    *post(order(client_order_id="same"), order(client_order_id="second")),
    ("kalshi", "main", f"POST {ORDERS}", order(client_order_id="third"), "o=order_id"),
    *post({"$text": "{"}, {"ticker": NYC}, {"ticker": BOS, "side": "bid", "price": "0.45", "count": "5"},
          {"ticker": NYC, "side": "ask", "price": "0.45", "count": "5"},
          {"ticker": NYC, "side": "bid", "price": "0.45", "count": "5", "client_order_id": "not"},
          {"ticker": NYC, "side": "bid", "price": "x", "count": "5"},
          {"ticker": NYC, "side": "bid", "price": "0.45", "count": "x"},
          {"ticker": NYC, "side": "bid", "price": "0.45", "count": 5},
          {"ticker": NYC, "side": "bid", "price": "0.45", "count": "5", "expiration_time": 5},
          {"ticker": NYC, "side": "bid", "price": "0.4533", "count": "5"},
          {"ticker": NYC, "side": "bid", "price": "0.45", "count": "999999"},
          {"ticker": "NONE", "side": "bid", "price": "0.45", "count": "5"},
          {"ticker": NYC, "side": "bid", "price": "0.45", "count": "5", "updated_client_order_id": "same"},
          path=f"{ORDERS}/$o/amend"),
    *post({"ticker": NYC, "side": "bid", "price": "0.45", "count": "5"}, path=f"{ORDERS}/none/amend"),
    *post({"$text": "{"}, {}, {"reduce_by": "1", "reduce_to": "1"}, {"reduce_by": 1}, {"reduce_by": "0"},
          {"reduce_to": "x"}, {"reduce_to": "100"}, {"reduce_to": "1", "exchange_index": 2},
          {"reduce_to": "1", "market_ticker": "NONE"}, path=f"{ORDERS}/$o/decrease"),
    *post({"$text": "{"}, {"orders": []}, {"orders": [5]}, path=f"{ORDERS}/batched"),
    ("kalshi", "main", f"DELETE {ORDERS}/batched", {"orders": [{"order_id": 5}]}),
    *post({"$text": "{"}, {"contracts_limit": "x"}, {"contracts_limit_fp": 5}, {"contracts_limit": 0},
          {"contracts_limit": 5, "exchange_index": 9}, {"exchange_index": "x"}, path=f"{GROUPS}/create"),
    ("kalshi", "main", f"PUT {GROUPS}/none/limit", {"$text": "{"}),
    ("kalshi", "main", f"PUT {GROUPS}/none/limit", {}),
    *post({"$text": "{"}, {"amount": "x"}, {"amount": 0}, {"amount": 5, "destination_exchange_shard": 1}, *(
        {"amount": 5, "destination_exchange_shard": 1, "source": "event_contract",
         "destination": "event_contract"} | more
        for more in ({"client_transfer_id": 5}, {"source_subaccount": 1}, {"amount": 10**9})), path=TRANSFER),
    *post({"$text": "{"}, {"allocations": 5}, {"allocations": [{"exchange_index": 0, "percent": 50}]},
          {"allocations": [], "resting_margin_reservation": "odd"}, path=ALLOCATION),
    ("kalshi", "main", "PUT /portfolio/subaccounts/netting", {"$text": "{"}),
    ("kalshi", "main", "PUT /portfolio/subaccounts/netting", {"subaccount_number": 1}),
    *post({}, path="/portfolio/subaccounts"), *post({}, path="/portfolio/subaccounts/transfer"),
    *post({}, path="/portfolio/orders"), *post({}, path="/portfolio/orders/batched"),
    *post({}, path="/portfolio/orders/x/amend"), *post({}, path="/portfolio/orders/x/decrease"),
    ("kalshi", "main", "DELETE /portfolio/orders/batched"), ("kalshi", "main", "DELETE /portfolio/orders/x"),
]  # fmt: skip

_STATES: list[Step] = [
    ("kalshi", "main", f"POST {ORDERS}", order(), "o=order_id"),
    *(step for name in ("trading_paused", "closed", "restarting", "cancel_only", "post_only") for step in (
        mode(name), *get("/exchange/status"), *post(order(price="0.4000")), *post(order(post_only=True)),
        ("kalshi", "main", f"DELETE {ORDERS}/none"), ("kalshi", "main", f"DELETE {ORDERS}?x=1") )),
    mode("trading_paused", for_ms=500, then="post_only"), ("wait", 600), *get("/exchange/status"), mode("open"),
    ("kalshi", "main", f"POST {ORDERS}", order(), "o=order_id"),
    move("pause"), *post(order()), *get(f"/markets/{NYC}"),
    *post({"ticker": NYC, "side": "bid", "price": "0.46", "count": "5"}, path=f"{ORDERS}/$o/amend"),
    move("reactivate"), *post(order()),
    move("change-close", BOS, {"close_ms": 1_795_000_060_000}),
    move("tick", CUP_A, {"tick_e4": 10}), *get(f"/markets/{CUP_A}"), *post(order(ticker=CUP_A, price="0.4550")),
    move("close"), *post(order()), ("kalshi", "main", f"DELETE {ORDERS}/$o"), *get(f"/markets/{NYC}"),
    move("determine", NYC, {"settlement_e4": 10_000}), move("settle"), *get(f"/markets/{NYC}"),
    move("close", SNOW), move("determine", SNOW, {"settlement_e4": 2_500}), move("settle", SNOW),
    *get("/markets?status=settled", "/portfolio/settlements", "/portfolio/positions?count_filter=position", by="main"),
    fault("reject", code="odd_words"), *post(order(ticker=BOS)),
    fault("server_error", path="/trade-api/v2/exchange"), *get("/exchange/status"),
    fault("server_error", status=502), *get("/markets"), fault("server_error", when="after"), *get("/markets"),
    fault("lost_request"), *post(order(ticker=BOS)), fault("lost_response"), *post(order(ticker=BOS)),
    fault("partial_fill", fraction="0.5"), *post(order(ticker=BOS, price="0.51", count="8")),
    fault("late_fill", ms=700), *post(order(ticker=BOS, price="0.51", count="8")), ("wait", 1_000),
    fault("fade"), *post(order(ticker=BOS, price="0.51", count="8")), fault("delay", ms=300), *get("/markets?limit=1"),
    ("full disk", True), *post(order(ticker=BOS)), ("full disk", False), *post(order(ticker=BOS)),
    ("raw", "kalshi", "GET / odd\r\n\r\n"),
    ("raw", "kalshi", "GET /trade-api/v2/exchange/status HTTP/1.1\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"),
]  # fmt: skip

SCRIPTS: dict[str, tuple[dict[str, Any], list[Step]]] = {
    "kalshi-public": ({}, _PUBLIC),
    "kalshi-life": ({}, [*_LIFE, *_PUBLIC]),
    "kalshi-bad-reads": ({}, _BAD_READS),
    "kalshi-bad-orders": ({}, _BAD_ORDERS),
    "kalshi-states": ({}, _STATES),
    "kalshi-other-settings": (
        {"kalshi": {
            "rate_limit_body": "documented", "create_status": 200, "pause_status": 400, "max_batch": 1,
            "closed_market_code": "MARKET_INACTIVE", "sends_deprecated_fields": False, "has_novelties": True,
            "cancel_all_lingers_ms": 1_000, "plain_cancel_reason": "canceled", "fee_cost": "trade",
            "max_connections": 1, "unsigned_reads_per_s": 2}},
        [
            *post({"orders": [order(), order()]}, path=f"{ORDERS}/batched"), *post(order(price="0.51")),
            ("kalshi", "main", f"DELETE {ORDERS}"), *post(order()),
            *get("/portfolio/orders", "/portfolio/fills", by="main"), *get("/markets/trades"),
            mode("trading_paused"), *post(order()), mode("open"),
            ("listen", "a", "kalshi", "main", "/trade-api/ws/v2"), ("listen", "b", "kalshi", "main",
             "/trade-api/ws/v2"),
            move("close"), *post(order()),
            ("admin", "", "PATCH /behaviour", {"kalshi_tier": "basic"}),
            *get(*["/markets?limit=1"] * 8),
        ],
    ),
    "kalshi-maintenance": (
        {"kalshi": {"keeps_maintenance": True}},
        [("admin", "", "POST /clock", {"venue": "kalshi", "skew_ms": 78_000_000}), ("wait", 200), *post(order()),
         *get("/exchange/status")],
    ),
    "kalshi-realistic": (
        {"profile": "realistic"},
        [
            *_LIFE[:24], ("wait", 2_000), *get("/portfolio/balance", "/portfolio/fills", by="main"),
            *get("/series", "/markets?limit=1"), ("wait", 16_000), *get("/series"),
            ("admin", "", "PATCH /behaviour", {"kalshi_tier": "basic"}),
            ("kalshi", "main", f"POST {ORDERS}/batched", {"orders": [order()] * 12}),
            *get("/account/limits", *["/portfolio/balance"] * 3, by="main"),
            *[("kalshi", "main", f"POST {ORDERS}/batched", {"orders": [order()] * 10})] * 3,
            *get(*["/exchange/status"] * 70),
        ],
    ),
}  # fmt: skip
