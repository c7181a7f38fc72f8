"""Kalshi's REST client against a stubbed transport: what is sent, and what answers become."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from streams.market.errors import InvalidAmount, MalformedFrame, NotFound, OutcomeUnknown, Refused, TransientError
from streams.settings import Settings
from streams.venues.credentials import KalshiCredentials
from streams.venues.endpoints import endpoints
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.orders import OrderRequest, order_request
from streams.venues.kalshi.rest import KalshiClient

T = TypeVar("T")
PREFIX = "/trade-api/v2"
KEY = Ed25519PrivateKey.generate().private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
CREDENTIALS = KalshiCredentials("key-1", SecretStr(KEY.decode()))


class Stub:
    """Answers by path, in the order given, and keeps what was asked."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status, body = self.answers.pop(0)
        return httpx.Response(status, content=body if isinstance(body, bytes) else json.dumps(body).encode())


def ask(stub: Stub, use: Callable[[KalshiClient], Awaitable[T]], *, signed: bool = True) -> T:
    async def main() -> T:
        async with httpx.AsyncClient(transport=httpx.MockTransport(stub)) as http:
            client = KalshiClient(
                endpoints(Settings(_env_file=None)),
                CREDENTIALS if signed else None,
                http=http,
                clock=lambda: 1781159489957 * 1_000_000,
                limits=KalshiLimits.unlimited(),
            )
            return await use(client)

    return asyncio.run(main())


def test_pages_carry_their_cursor_and_requests_their_signature() -> None:
    stub = Stub((200, {"events": [{"event_ticker": "E"}], "cursor": "next"}))
    page = ask(stub, lambda client: client.events_page("here", status="open", min_updated_ts=5))
    assert (page.items, page.cursor) == ([{"event_ticker": "E"}], "next")
    url = stub.requests[0].url
    assert url.path == f"{PREFIX}/events"
    assert dict(url.params) == {
        "cursor": "here",
        "limit": "200",
        "with_nested_markets": "true",
        "status": "open",
        "min_updated_ts": "5",
    }
    assert stub.requests[0].headers["KALSHI-ACCESS-TIMESTAMP"] == "1781159489957"


def test_without_a_key_nothing_is_signed() -> None:
    stub = Stub((200, {"markets": None, "cursor": ""}))
    page = ask(stub, lambda client: client.markets_page(series_ticker="S"), signed=False)
    assert (page.items, page.cursor) == ([], "")
    assert not [name for name in stub.requests[0].headers if name.startswith("kalshi-")]


def test_books_of_many_markets_repeat_the_parameter_and_complement_the_no_side() -> None:
    body = {
        "orderbooks": [
            {"ticker": "A", "orderbook_fp": {"yes_dollars": [["0.27", "31.54"]], "no_dollars": [["0.72", "20"]]}}
        ]
    }
    stub = Stub((200, body))
    (book,) = ask(stub, lambda client: client.order_books(["A", "B"]))
    assert stub.requests[0].url.params.get_list("tickers") == ["A", "B"]
    assert (book.bids, book.asks) == ([(2_700, 31_540_000)], [(2_800, 20_000_000)])


def test_candles_start_where_their_period_starts_and_empty_sides_are_none() -> None:
    candle = {
        "end_period_ts": 1790462280,
        "price": {"open_dollars": "0.11", "close_dollars": "0.07", "high_dollars": "0.12", "low_dollars": "0.069"},
        "volume_fp": "12.42",
        "yes_bid": {"close_dollars": "0.0000"},
        "yes_ask": {"close_dollars": "1.0000"},
    }
    quiet = {"end_period_ts": 1790462340, "price": {"previous_dollars": "0.1"}, "volume_fp": "0.00"}
    stub = Stub((200, {"candlesticks": [candle, quiet]}))
    first, second = ask(stub, lambda client: client.candlesticks("S", "M", 1, 2))
    assert first.bucket_start == datetime.fromtimestamp(1790462220, UTC)
    assert (first.bid_close_e4, first.ask_close_e4, first.price_close_e4, first.volume_e6) == (
        None,
        None,
        700,
        12_420_000,
    )
    assert (second.price_close_e4, second.volume_e6) == (None, 0)


def test_an_order_is_sent_as_strings_and_read_back() -> None:
    answer = {
        "order_id": "o",
        "client_order_id": "c",
        "fill_count": "4.50",
        "remaining_count": "0.00",
        "average_fill_price": "0.5350",
        "ts_ms": 1,
    }
    stub = Stub((201, answer))
    request = order_request("M", outcome="no", action="buy", price_e4=4_600, size_e6=4_500_000, client_order_id="c")
    got = ask(stub, lambda client: client.create_order(request))
    assert (got.order_id, got.filled_e6, got.remaining_e6) == ("o", 4_500_000, 0)
    sent = json.loads(stub.requests[0].content)
    assert sent["side"] == "ask"
    assert (sent["price"], sent["count"], sent["time_in_force"]) == ("0.5400", "4.50", "immediate_or_cancel")
    assert stub.requests[0].content == request.body() == request.body()


@pytest.mark.parametrize(
    ("outcome", "action", "side", "price"),
    [
        ("yes", "buy", "bid", 4_600),
        ("no", "sell", "bid", 5_400),
        ("no", "buy", "ask", 5_400),
        ("yes", "sell", "ask", 4_600),
    ],
)
def test_four_ways_to_trade_are_two_sides_of_one_book(outcome: Any, action: Any, side: str, price: int) -> None:
    request = order_request("M", outcome=outcome, action=action, price_e4=4_600, size_e6=10_000, client_order_id="c")
    assert (request.side, request.price_e4) == (side, price)


@pytest.mark.parametrize(("price", "size"), [(0, 10_000), (10_000, 10_000), (5_000, 0), (5_000, 15_000)])
def test_an_order_off_the_grid_is_never_sent(price: int, size: int) -> None:
    with pytest.raises(InvalidAmount):
        OrderRequest("M", "bid", price, size, "c").body()


def test_refusals_losses_and_garbage_differ() -> None:
    request = OrderRequest("M", "bid", 5_000, 10_000, "c")
    with pytest.raises(Refused) as refused:
        ask(Stub((409, {"error": {"code": "order_already_exists"}})), lambda client: client.create_order(request))
    assert refused.value.code == "order_already_exists"
    for status, body in ((503, b""), (201, b"{"), (201, {"order_id": "x"})):
        with pytest.raises(OutcomeUnknown):
            ask(Stub((status, body)), lambda client: client.create_order(request))
    with pytest.raises(NotFound):
        ask(Stub((404, {"error": {"code": "not_found"}})), lambda client: client.cancel_order("o", "M"))
    with pytest.raises(MalformedFrame):
        ask(Stub((200, {"orderbook_fp": {"yes_dollars": [["x", "1"]]}})), lambda client: client.order_book("M"))
    with pytest.raises(TransientError):
        ask(Stub((502, b"<html>")), lambda client: client.market("M"))


def test_a_cancel_names_the_market_that_routes_it() -> None:
    stub = Stub((200, {"order_id": "o", "reduced_by": "1.00", "ts_ms": 1}))
    assert ask(stub, lambda client: client.cancel_order("o", "KXA")).reduced_e6 == 1_000_000
    assert stub.requests[0].method == "DELETE"
    assert stub.requests[0].url.params["market_ticker"] == "KXA"


def test_account_lists_walk_all_pages_and_a_repeated_cursor_ends_it() -> None:
    fill = {
        "fill_id": "f",
        "order_id": "o",
        "ticker": "M",
        "outcome_side": "no",
        "yes_price_dollars": "0.47",
        "count_fp": "2.50",
        "fee_cost": "0.017500",
        "is_taker": True,
        "created_time": "2026-06-11T06:29:30.164956Z",
    }
    stub = Stub((200, {"fills": [fill], "cursor": "2"}), (200, {"fills": [fill], "cursor": ""}))
    fills = ask(stub, lambda client: client.fills(order_id="o"))
    assert len(fills) == 2
    assert (fills[0].size_e6, fills[0].fee_e6, fills[0].price_of("no")) == (2_500_000, 17_500, 5_300)
    assert stub.requests[1].url.params["cursor"] == "2"
    endless = Stub(*[(200, {"fills": [], "cursor": "2"})] * 3)
    with pytest.raises(TransientError):
        ask(endless, lambda client: client.fills())


def test_the_sample_answers_are_read(shared_dir: Path) -> None:
    def sample(name: str) -> tuple[int, bytes]:
        return 200, (shared_dir / f"venues/kalshi-samples/{name}.json").read_bytes()

    assert ask(Stub(sample("rest_balance")), lambda client: client.balance()) == 98_018_600
    orders = ask(Stub(sample("rest_orders_list")), lambda client: client.orders())
    assert (orders[0].status, orders[0].cash_e6, orders[0].fee_e6) == ("executed", 520_000, 17_500)
    assert ask(Stub(sample("rest_order_single")), lambda client: client.order("x")).status == "resting"
    assert len(ask(Stub(sample("rest_fills")), lambda client: client.fills())) == 4
    (position,) = ask(Stub(sample("rest_positions")), lambda client: client.positions())
    assert (position.outcome, position.contracts_e6) == ("yes", 3_000_000)
    first, second = ask(Stub(sample("rest_settlements")), lambda client: client.settlements())
    assert (first.result, first.revenue_e6, first.value_e4) == ("yes", 1_000_000, 10_000)
    assert (second.result, second.revenue_e6, second.value_e4, second.no_e6) == ("scalar", 6_300_000, 3_700, 10_000_000)
    assert len(ask(Stub(sample("rest_orderbooks_batch")), lambda client: client.order_books(["x"]))) == 2
    assert ask(Stub(sample("rest_orderbook.empty")), lambda client: client.order_book("x")).bids == []
    assert len(ask(Stub(sample("rest_candlesticks")), lambda client: client.candlesticks("s", "m", 1, 2))) == 2
    assert ask(Stub(sample("rest_exchange_status")), lambda client: client.exchange_status()).is_trading
    for name in ("filled", "ioc_partial", "resting", "self_cross"):
        answer = Stub((201, sample(f"rest_create_order_v2.response_{name}")[1]))
        request = OrderRequest("M", "bid", 5_000, 10_000, "c")
        assert ask(answer, lambda client: client.create_order(request)).order_id  # noqa: B023
