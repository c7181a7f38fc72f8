"""Every call of Kalshi's REST client: the request it sends, and that no write is sent twice."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from streams.market.errors import NotFound, OutcomeUnknown, UnreadableAnswer
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.kalshi.types.order_changes import Amendment
from streams.venues.kalshi.types.orders import OrderRequest
from streams.venues.kalshi.types.portfolio import KeyTerms
from tests.support.kalshi_stub import PREFIX, Stub, ask, made

REQUEST = OrderRequest("KXA-1", "bid", 5_000, 1_250_000, "c")
# One of the lists is the answer's own; the venue may say null for an empty one.
_LISTS = ("candlesticks", "event_fee_changes", "event_positions", "events", "fills", "market_positions", "markets",
          "orders", "series", "settlements", "trades", "transfers")  # fmt: skip
EMPTY = (200, dict.fromkeys(_LISTS))
SENT: list[tuple[Callable[[KalshiClient], Awaitable[Any]], Any, str, str, Any]] = [
    # call, answer, method, path with query, body
    (lambda c: c.exchange_status(), made("rest_exchange_status"), "GET", "/exchange/status", None),
    (lambda c: c.exchange_schedule(), made("rest_exchange_schedule"), "GET", "/exchange/schedule", None),
    (lambda c: c.user_data_timestamp(), made("rest_user_data_timestamp"), "GET", "/exchange/user_data_timestamp", None),
    (
        lambda c: c.series_list(category="Sports", min_updated_ts=5),
        EMPTY,
        "GET",
        "/series?category=Sports&min_updated_ts=5",
        None,
    ),
    (
        lambda c: c.series_fee_changes(series_ticker="S", show_historical=True),
        made("rest_series_fee_changes"),
        "GET",
        "/series/fee_changes?series_ticker=S&show_historical=true",
        None,
    ),
    (
        lambda c: c.event_fee_changes(event_ticker="E"),
        EMPTY,
        "GET",
        "/events/fee_changes?limit=1000&event_ticker=E",
        None,
    ),
    (
        lambda c: c.events(status="open", tickers="A,B"),
        EMPTY,
        "GET",
        "/events?limit=200&with_nested_markets=false&status=open&tickers=A%2CB",
        None,
    ),
    (
        lambda c: c.event("KXMADE-26FEB"),
        made("rest_event_single"),
        "GET",
        "/events/KXMADE-26FEB?with_nested_markets=true",
        None,
    ),
    (lambda c: c.markets(event_ticker="E"), EMPTY, "GET", "/markets?limit=1000&event_ticker=E", None),
    (lambda c: c.market("KXMADE-26FEB-A"), made("rest_market_single"), "GET", "/markets/KXMADE-26FEB-A", None),
    (lambda c: c.order_book("M", depth=3), made("rest_orderbook"), "GET", "/markets/M/orderbook?depth=3", None),
    (
        lambda c: c.trades(market_id="M", min_ts=5),
        EMPTY,
        "GET",
        "/markets/trades?limit=1000&ticker=M&min_ts=5",
        None,
    ),
    (
        lambda c: c.trades_page("x", market_id="M", limit=2, is_block_trade=False),
        EMPTY,
        "GET",
        "/markets/trades?limit=2&ticker=M&is_block_trade=false&cursor=x",
        None,
    ),
    (
        lambda c: c.candlesticks("S", "M", 1, 2, 60, include_latest_before_start=True),
        EMPTY,
        "GET",
        "/series/S/markets/M/candlesticks?start_ts=1&end_ts=2&period_interval=60&include_latest_before_start=true",
        None,
    ),
    (
        lambda c: c.candlesticks_of(["A", "B"], 0, 60),
        made("rest_candlesticks_batch"),
        "GET",
        "/markets/candlesticks?market_tickers=A%2CB&start_ts=0&end_ts=60&period_interval=1",
        None,
    ),
    (lambda c: c.historical_cutoff(), made("rest_historical_cutoff"), "GET", "/historical/cutoff", None),
    (
        lambda c: c.historical_markets_page(series_ticker="S"),
        EMPTY,
        "GET",
        "/historical/markets?limit=1000&series_ticker=S",
        None,
    ),
    (
        lambda c: c.historical_market("KXMADE-26FEB-A"),
        made("rest_market_scalar"),
        "GET",
        "/historical/markets/KXMADE-26FEB-A",
        None,
    ),
    (
        lambda c: c.historical_candlesticks("M", 1, 2),
        EMPTY,
        "GET",
        "/historical/markets/M/candlesticks?start_ts=1&end_ts=2&period_interval=1",
        None,
    ),
    (lambda c: c.historical_trades(market_id="M"), EMPTY, "GET", "/historical/trades?limit=1000&ticker=M", None),
    (lambda c: c.historical_fills(max_ts=9), EMPTY, "GET", "/historical/fills?limit=1000&max_ts=9", None),
    (lambda c: c.historical_orders(market_id="M"), EMPTY, "GET", "/historical/orders?limit=1000&ticker=M", None),
    (
        lambda c: c.historical_positions(event_ticker="E"),
        EMPTY,
        "GET",
        "/historical/positions?limit=1000&event_ticker=E",
        None,
    ),
    (
        lambda c: c.orders(event_tickers=["E", "F"], status="resting", max_ts=9),
        EMPTY,
        "GET",
        "/portfolio/orders?limit=1000&event_ticker=E%2CF&status=resting&max_ts=9",
        None,
    ),
    (
        lambda c: c.queue_positions(market_ids=["A", "B"]),
        made("rest_queue_positions"),
        "GET",
        "/portfolio/orders/queue_positions?market_tickers=A%2CB",
        None,
    ),
    (
        lambda c: c.queue_position("o"),
        made("rest_queue_position_single"),
        "GET",
        "/portfolio/orders/o/queue_position",
        None,
    ),
    (
        lambda c: c.resting_value(),
        made("rest_resting_value"),
        "GET",
        "/portfolio/summary/total_resting_order_value",
        None,
    ),
    (
        lambda c: c.holdings(event_ticker="E", settlement_status="all"),
        EMPTY,
        "GET",
        "/portfolio/positions?limit=1000&event_ticker=E&settlement_status=all",
        None,
    ),
    (lambda c: c.settlements(min_ts=5), EMPTY, "GET", "/portfolio/settlements?limit=1000&min_ts=5", None),
    (lambda c: c.account_limits(), made("rest_account_limits"), "GET", "/account/limits", None),
    (lambda c: c.endpoint_costs(), made("rest_account_endpoint_costs"), "GET", "/account/endpoint_costs", None),
    (
        lambda c: c.transfer(0, 2, 25_000_100),
        made("rest_transfer_create.response"),
        "POST",
        "/portfolio/intra_exchange_instance_transfer",
        {
            "source": "event_contract",
            "destination": "event_contract",
            "source_exchange_shard": 0,
            "destination_exchange_shard": 2,
            "amount": 250_001,
        },
    ),
    (lambda c: c.transfers(), EMPTY, "GET", "/portfolio/intra_exchange_instance_transfers?limit=100", None),
    (
        lambda c: c.target_allocation(),
        made("rest_target_allocation"),
        "GET",
        "/portfolio/target_balance_allocation",
        None,
    ),
    (
        lambda c: c.set_target_allocation({2: 40, 0: 60}),
        EMPTY,
        "POST",
        "/portfolio/target_balance_allocation",
        {"allocations": [{"exchange_index": 0, "percent": 60}, {"exchange_index": 2, "percent": 40}]},
    ),
    (lambda c: c.cancel_all(), (204, b""), "DELETE", "/portfolio/events/orders", None),
    (
        lambda c: c.amend_order(Amendment("order-1", "KXA-1", "ask", 4_400, 9_000_000, expiration_s=0)),
        made("rest_amend_order_v2.response"),
        "POST",
        "/portfolio/events/orders/order-1/amend",
        {"ticker": "KXA-1", "side": "ask", "price": "0.4400", "count": "9.00", "expiration_time": 0},
    ),
    (
        lambda c: c.decrease_order("order-1", "KXA-1", to_e6=0),
        made("rest_decrease_order_v2.response"),
        "POST",
        "/portfolio/events/orders/order-1/decrease",
        {"market_ticker": "KXA-1", "reduce_to": "0.00"},
    ),
    (
        lambda c: c.create_orders([REQUEST]),
        (201, {"orders": []}),
        "POST",
        "/portfolio/events/orders/batched",
        {"orders": [json.loads(REQUEST.body())]},
    ),
    (
        lambda c: c.cancel_orders([("o", "KXA-1"), ("p", "KXB-1")]),
        made("rest_batch_cancel_v2.response"),
        "DELETE",
        "/portfolio/events/orders/batched",
        {"orders": [{"order_id": "o", "market_ticker": "KXA-1"}, {"order_id": "p", "market_ticker": "KXB-1"}]},
    ),
    (
        lambda c: c.create_order_group(250_000_000, exchange_index=2),
        made("rest_order_group_create.response"),
        "POST",
        "/portfolio/order_groups/create",
        {"contracts_limit_fp": "250.00", "exchange_index": 2},
    ),
    (lambda c: c.order_groups(), made("rest_order_groups_list"), "GET", "/portfolio/order_groups", None),
    (lambda c: c.order_group("g"), made("rest_order_group_single"), "GET", "/portfolio/order_groups/g", None),
    (
        lambda c: c.delete_order_group("g", exchange_index=2),
        EMPTY,
        "DELETE",
        "/portfolio/order_groups/g?exchange_index=2",
        None,
    ),
    (lambda c: c.reset_order_group("g"), EMPTY, "PUT", "/portfolio/order_groups/g/reset", {}),
    (lambda c: c.trigger_order_group("g"), EMPTY, "PUT", "/portfolio/order_groups/g/trigger", {}),
    (
        lambda c: c.limit_order_group("g", 1_000_000),
        EMPTY,
        "PUT",
        "/portfolio/order_groups/g/limit",
        {"contracts_limit_fp": "1.00"},
    ),
]


@pytest.mark.parametrize(("call", "answer", "method", "path", "body"), SENT, ids=[f"{r[2]} {r[3]}" for r in SENT])
def test_what_a_call_sends(call: Any, answer: Any, method: str, path: str, body: Any) -> None:
    stub = Stub(answer)
    ask(stub, call)
    (sent,) = stub.requests
    assert (sent.method, sent.url.raw_path.decode()) == (method, PREFIX + path)
    assert (json.loads(sent.content) if sent.content else None) == body


@pytest.mark.parametrize(
    "call", [row[0] for row in SENT if row[2] != "GET"], ids=[f"{r[2]} {r[3]}" for r in SENT if r[2] != "GET"]
)
def test_no_write_is_sent_twice_and_one_without_answer_is_unknown(call: Any) -> None:
    for answer in ((503, b""), (500, {"error": {"code": "internal_error"}}), (504, b"<html>")):
        stub = Stub(answer)
        with pytest.raises(OutcomeUnknown):
            ask(stub, call)
        assert len(stub.requests) == 1

    def lose(_request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("no answer")

    with pytest.raises(OutcomeUnknown):
        ask(lose, call)


@pytest.mark.parametrize(
    ("call", "order_ids"),
    [
        (lambda c: c.create_order(REQUEST), ("c",)),
        (lambda c: c.create_orders([REQUEST]), ("c",)),
        (lambda c: c.cancel_order("o", "M"), ("o",)),
        (lambda c: c.cancel_orders([("o", "M"), ("p", "M")]), ("o", "p")),
        (lambda c: c.decrease_order("o", "M", to_e6=0), ("o",)),
        (lambda c: c.amend_order(Amendment("o", "M", "bid", 5_000, 10_000)), ("o",)),
    ],
)
def test_a_lost_write_names_what_to_look_for(call: Any, order_ids: tuple[str, ...]) -> None:
    for answer in ((503, b""), (200, b"{")):
        with pytest.raises(OutcomeUnknown) as lost:
            ask(Stub(answer), call)
        assert lost.value.order_ids == order_ids


@pytest.mark.parametrize("row", SENT, ids=[f"{r[2]} {r[3]}" for r in SENT])
def test_a_client_of_a_subaccount_names_it_in_every_call_that_takes_it(row: Any) -> None:
    call, answer, method, path, body = row
    stub = Stub(answer)
    ask(stub, call, subaccount=7)
    (sent,) = stub.requests
    plain = path.partition("?")[0]
    named = sent.url.params.get("subaccount")
    assert (named is not None) == (f"{method} {plain}" in _BY_SUBACCOUNT)
    assert named in (None, "7")
    asked = json.loads(sent.content) if sent.content else None
    if f"{method} {plain}" == "POST /portfolio/order_groups/create":
        assert asked == {**body, "subaccount": 7}
    elif f"{method} {plain}" == "DELETE /portfolio/events/orders/batched":
        assert all(item["subaccount"] == 7 for item in asked["orders"])
    else:
        assert asked == body


# OpenAPI 3.34.0: the calls with `subaccount` among their parameters.
_BY_SUBACCOUNT = frozenset(
    f"{method} /portfolio/{path}"
    for method, path in (
        ("GET", "balance"), ("GET", "fills"), ("GET", "orders"), ("GET", "orders/queue_positions"),
        ("GET", "positions"), ("GET", "settlements"), ("GET", "order_groups"), ("GET", "order_groups/g"),
        ("DELETE", "order_groups/g"), ("PUT", "order_groups/g/reset"), ("PUT", "order_groups/g/trigger"),
        ("PUT", "order_groups/g/limit"), ("DELETE", "events/orders"), ("DELETE", "events/orders/order-1"),
        ("POST", "events/orders/order-1/amend"), ("POST", "events/orders/order-1/decrease"),
    )
)  # fmt: skip


def test_a_key_says_what_it_may_do_and_until_when() -> None:
    keys: list[dict[str, Any]] = [
        {"api_key_id": "other", "subaccount": 3, "scopes": ["write"]},
        {"api_key_id": "key-1", "name": "n", "scopes": ["read"]},
    ]

    def terms(**beside: Any) -> KeyTerms:
        return ask(Stub((200, {"api_keys": keys, **beside})), lambda c: c.key_terms())

    assert terms() == KeyTerms(frozenset({"read"}), None, None)
    keys[1] |= {"subaccount": 5, "scopes": ["read", "write::trade"]}
    found = terms(api_key_region_expiration_ts=1_796_000_000)
    assert (found.subaccount, found.may_trade, found.is_of_a_broker) == (5, True, False)
    assert found.ends_at == datetime.fromtimestamp(1_796_000_000, UTC)
    keys[1]["scopes"] = ["write", "write::fcm_risk"]
    assert terms(api_key_region_expiration_ts=None).is_of_a_broker
    for odd in ("soon", [], True):
        with pytest.raises(UnreadableAnswer):
            terms(api_key_region_expiration_ts=odd)
    with pytest.raises(NotFound):
        ask(Stub((200, {"api_keys": keys[:1]})), lambda c: c.key_terms())
