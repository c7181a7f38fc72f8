"""Polymarket as a gateway: what is signed for a decision, and what an order's status means for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from orchestration.execution.decide.gate.venue_states import SendingState
from orchestration.execution.venues.gateway import (
    AccountMove,
    OrderAnswer,
    OrderKey,
    OrderReading,
    OrderSpec,
    PreparedOrder,
)
from orchestration.execution.venues.order_mode import OrderMode
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.errors import InvalidAmount, Refused, StreamsError, Unavailable
from streams.market.fees import PolymarketFeeSchedule
from streams.market.identity import Venue
from streams.market.listing import MarketTerms
from streams.market.trading import Target
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.client import PolymarketClient

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
WALLET = PolymarketCredentials(
    SecretStr(KEY), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "key", SecretStr("c2VjcmV0"), SecretStr("words")
)
ORDER_ID = "0x" + "ab" * 32


def target(tick_e4: int = 100) -> Target:
    terms = MarketTerms(price_ranges=((0, 10_000, tick_e4),), yes_token="111", no_token="222", is_neg_risk=True)
    return Target(Venue.POLYMARKET, "M", terms, PolymarketFeeSchedule())


def prepared(spec: OrderSpec) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        async with httpx.AsyncClient() as http:
            client = PolymarketClient(endpoints(Settings(_env_file=None)), WALLET, http=http)
            order = PolymarketGateway(client, WALLET).prepare(spec)
            assert order.client_order_id.startswith("0x")
            return dict(json.loads(order.request["body"]))

    return asyncio.run(main())


def test_a_buy_spends_the_dollars_of_the_walk_and_states_four_decimals_of_shares() -> None:
    spec = OrderSpec(target(10), "no", "buy", 6_730, 40_000_000, spend_e6=25_379_999)
    body = prepared(spec)
    order = body["order"]
    assert (body["orderType"], order["side"], order["tokenId"]) == ("FAK", "BUY", "222")
    assert (order["makerAmount"], order["takerAmount"]) == ("25370000", "37696800")


def test_a_sale_states_its_shares() -> None:
    order = prepared(OrderSpec(target(), "yes", "sell", 4_400, 100_509_999))["order"]
    assert (order["side"], order["tokenId"]) == ("SELL", "111")
    assert (order["makerAmount"], order["takerAmount"]) == ("100500000", "44220000")


def test_dollars_that_cannot_state_the_limit_are_not_signed() -> None:
    with pytest.raises(InvalidAmount):
        prepared(OrderSpec(target(1), "yes", "buy", 9_999, 5_000_000, spend_e6=10_000))


def asked(*answers: tuple[int, Any], use: Callable[[PolymarketGateway], Awaitable[Any]]) -> tuple[Any, list[str]]:
    """What a gateway gives on these answers, or raises, and what it asked for."""
    left, requests = list(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(f"{request.method} {request.url.path}?{request.url.params}".rstrip("?"))
        status, body = left.pop(0)
        return httpx.Response(status, json=body)

    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            client = PolymarketClient(endpoints(Settings(_env_file=None)), WALLET, http=http)
            try:
                return await use(PolymarketGateway(client, WALLET))
            except StreamsError as error:
                return error

    return asyncio.run(main()), requests


def order_of(side: str) -> PreparedOrder:
    return PreparedOrder(ORDER_ID, {"body": json.dumps({"order": {"side": side, "tokenId": str(1 << 50)}})})


def test_an_order_is_on_the_grid_that_the_book_stated_last() -> None:
    spec = OrderSpec(target(100), "yes", "sell", 9_650, 5_000_000)
    with pytest.raises(InvalidAmount):
        prepared(spec)
    book = {"market": "M", "asset_id": "111", "bids": [], "asks": [], "tick_size": "0.001"}

    async def use(gateway: PolymarketGateway) -> PreparedOrder:
        await gateway.books([spec.target])
        return gateway.prepare(spec)

    order, _ = asked((200, [book]), use=use)
    assert json.loads(order.request["body"])["order"]["takerAmount"] == "4825000"


def test_an_order_that_the_venue_has_already_is_sent() -> None:
    duplicate = (400, {"error": f"order {ORDER_ID} is invalid. Duplicated."})
    found, requests = asked(duplicate, use=lambda gateway: gateway.send(order_of("BUY")))
    assert (found, requests) == (OrderAnswer(ORDER_ID), ["POST /clob/order"])


@pytest.mark.parametrize(("side", "asset"), [("BUY", "COLLATERAL"), ("SELL", f"CONDITIONAL&token_id={1 << 50}")])
def test_a_balance_that_was_not_enough_is_read_from_the_chain_again(side: str, asset: str) -> None:
    poor = (400, {"error": "not enough balance / allowance: the balance is not enough"})
    error, requests = asked(poor, (503, {}), use=lambda gateway: gateway.send(order_of(side)))
    assert isinstance(error, Refused)
    assert error.code == "insufficient_balance"
    assert requests[1:] == [f"GET /clob/balance-allowance/update?asset_type={asset}&signature_type=0"]


def test_an_order_is_read_and_cancelled_by_the_id_the_venue_gave_it() -> None:
    key = OrderKey(ORDER_ID, "0xother", target(), "yes", "buy", datetime.now(UTC))
    fill = {"id": "t", "taker_order_id": "0xOTHER", "market": "M", "asset_id": "111", "side": "BUY", "size": "2",
            "price": "0.4", "status": "CONFIRMED", "match_time": "1790934258", "trader_side": "TAKER"}  # fmt: skip
    trades = (200, {"data": [fill], "next_cursor": "LTE="})
    found, requests = asked((404, {}), trades, use=lambda gateway: gateway.read(key))
    assert [row.contracts_e6 for row in found.fills] == [2_000_000]
    assert requests[0] == "GET /clob/data/order/0xother"
    _, requests = asked((404, {}), use=lambda gateway: gateway.cancel(key))
    assert requests == ["DELETE /clob/order"]


def reading(status: str) -> OrderReading:
    row = {"id": ORDER_ID, "status": status, "market": "M", "asset_id": "111", "side": "BUY", "price": "0.5",
           "original_size": "10", "size_matched": "0"}  # fmt: skip

    def answer(request: httpx.Request) -> httpx.Response:
        is_order = request.url.path.startswith("/clob/data/order/")
        return httpx.Response(200, json=row if is_order else {"data": [], "next_cursor": "LTE="})

    async def main() -> OrderReading:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            client = PolymarketClient(endpoints(Settings(_env_file=None)), WALLET, http=http)
            key = OrderKey(ORDER_ID, None, target(), "yes", "buy", datetime.now(UTC))
            return await PolymarketGateway(client, WALLET).read(key)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "is_final", "told"),
    [
        ("LIVE", False, "resting"),
        ("ORDER_STATUS_LIVE", False, "resting"),
        ("UNMATCHED", False, "resting"),
        ("DELAYED", False, "delayed"),
        ("MATCHED", True, "matched"),
        ("INVALID", True, "invalid"),
        ("ORDER_STATUS_CANCELED", True, "canceled"),
        ("CANCELED_MARKET_RESOLVED", True, "canceled_market_resolved"),
    ],
)
def test_only_an_order_that_cannot_fill_any_more_is_final(status: str, is_final: bool, told: str) -> None:
    found = reading(status)
    assert (found.is_found, found.is_final, found.status) == (True, is_final, told)


@pytest.mark.parametrize(("body", "ms"), [({}, 0), ({"itode": True}, 150), ({"sd": 3, "itode": True}, 3_000)])
def test_a_markets_delay_is_asked_for_once(body: dict[str, Any], ms: int) -> None:
    async def twice(gateway: PolymarketGateway) -> list[int]:
        return [await gateway.taker_delay_ms(target(), 150) for _ in range(2)]

    found, requests = asked((200, {"c": "M", **body}), use=twice)
    assert found == [ms, ms]
    assert len(requests) == 1


def test_what_a_wallets_transactions_brought_and_took_is_one_move_each() -> None:
    at = 1_790_934_258

    def row(kind: str, dollars: str, transaction: str, after_s: int = 0) -> dict[str, Any]:
        return {
            "type": kind, "condition_id": "", "token_id": "", "size": dollars, "usdc_size": dollars,
            "transaction_hash": transaction, "timestamp": at + after_s,
        }  # fmt: skip

    rows = [
        row("DEPOSIT", "50", "0xa"), row("DEPOSIT", "2.5", "0xa"), row("WITHDRAWAL", "1", "0xa"),
        row("REDEEM", "9", "0xb"), row("DEPOSIT", "7", "0xc", -1), row("DEPOSIT", "8", ""),
    ]  # fmt: skip
    since = datetime.fromtimestamp(at, UTC)
    found, requests = asked((200, {"data": rows}), use=lambda gateway: gateway.moves_since(since))
    assert found == [
        AccountMove("0xa", "deposit", 52_500_000, "done", since),
        AccountMove("0xa", "withdrawal", 1_000_000, "done", since),
    ]
    assert "exclude_deposits_withdrawals=false" in requests[0]


@pytest.mark.parametrize(
    ("status", "body", "lasts_s"),
    [
        (503, {"error": "post-only mode", "code": "post_only_mode", "retry_after_seconds": 90}, 90),
        (503, {"error": "Trading is currently cancel-only"}, 30),
        (503, {"error": "Trading is currently disabled", "retry_after_seconds": 5}, 5),
        (425, {"error": "matching engine restarting"}, 122),
        (400, {"error": "not enough balance"}, None),
        (500, {"error": "could not insert order"}, None),
    ],
)
def test_a_refusal_says_how_long_the_venue_takes_no_order_that_takes(
    status: int, body: dict[str, Any], lasts_s: int | None
) -> None:
    async def use(gateway: PolymarketGateway) -> tuple[datetime | None, datetime | None]:
        assert gateway.sending_state() == SendingState(48)
        with pytest.raises(StreamsError):
            await gateway.send(order_of("BUY"))
        told = gateway.sending_state().closed_until
        await gateway.send(order_of("BUY"))
        return told, gateway.sending_state().closed_until

    began = datetime.now(UTC)
    answers = [(status, body), (200, {"success": True, "orderID": ORDER_ID, "status": "live"})]
    if body["error"] == "not enough balance":
        answers.insert(1, (200, {}))  # the venue is asked to read the chain
    (told, afterwards), _ = asked(*answers, use=use)
    assert afterwards is None
    if lasts_s is None:
        assert told is None
    else:
        assert told is not None
        assert lasts_s <= (told - began).total_seconds() < lasts_s + 30


def test_a_shorter_word_does_not_shorten_a_longer_one() -> None:
    now = datetime(2026, 12, 1, tzinfo=UTC)
    mode = OrderMode(lambda: now)
    mode.note(Unavailable("restarts", 2.0))
    until = mode.closed_until
    mode.note(Refused("post_only_mode", retry_after_s=10.0))
    assert mode.closed_until == until == now + timedelta(seconds=122)
