"""Kalshi as a gateway, against a stubbed transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import pytest

from orchestration.execution.decide.gate.venue_states import AccountState, KeyState
from orchestration.execution.venues.gateway import OrderKey, OrderSpec
from orchestration.execution.venues.kalshi import KalshiGateway
from streams.market.errors import OutcomeUnknown
from streams.market.fees import KalshiFeeSchedule
from streams.market.identity import Venue
from streams.market.listing import MarketTerms
from streams.market.trading import Target
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient
from tests.support.kalshi_stub import ask, made

T = TypeVar("T")
BASE = "/trade-api/v2/portfolio"
TARGET = Target(
    Venue.KALSHI,
    "KXA-1",
    MarketTerms(price_ranges=((0, 10_000, 100),), size_step_e6=10_000, min_size_e6=10_000, exchange_index=2),
    KalshiFeeSchedule(),
)


def key(venue_order_id: str | None) -> OrderKey:
    return OrderKey("mine", venue_order_id, TARGET, "yes", "buy", datetime(2026, 2, 3, tzinfo=UTC))


def order(**changes: Any) -> dict[str, Any]:
    return {
        "order_id": "o", "client_order_id": "mine", "ticker": "KXA-1", "status": "resting", "outcome_side": "yes",
        "yes_price_dollars": "0.4000", "initial_count_fp": "3.00", "fill_count_fp": "1.00",
        "remaining_count_fp": "2.00", "taker_fill_cost_dollars": "0.40", "maker_fill_cost_dollars": "0.00",
        "taker_fees_dollars": "0.0168", "maker_fees_dollars": "0.00",
    } | changes  # fmt: skip


CUTOFF = {
    "market_settled_ts": "2026-01-01T00:00:00Z", "trades_created_ts": "2026-02-01T00:00:00Z",
    "orders_updated_ts": "2026-02-10T00:00:00Z",
}  # fmt: skip
FILL = {
    "fill_id": "f", "order_id": "o", "ticker": "KXA-1", "outcome_side": "yes", "yes_price_dollars": "0.40",
    "count_fp": "1.00", "fee_cost": "0.016800", "is_taker": True,
}  # fmt: skip


class Stub:
    """Answers by method and path, and keeps what was asked."""

    def __init__(self, answers: dict[str, tuple[int, Any]]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {request.url.path.removeprefix(BASE)}"
        self.asked.append(name)
        self.requests.append(request)
        status, body = self.answers[name]
        return httpx.Response(status, content=json.dumps(body).encode() if body is not None else b"")


def use(stub: Stub, call: Callable[[KalshiGateway], Awaitable[T]]) -> T:
    async def main() -> T:
        async with httpx.AsyncClient(transport=httpx.MockTransport(stub)) as http:
            where = endpoints(Settings(_env_file=None))
            return await call(KalshiGateway(KalshiClient(where, None, http=http, limits=KalshiLimits.unlimited())))

    return asyncio.run(main())


def test_what_rests_is_listed_and_cancelled() -> None:
    stub = Stub({"GET /orders": (200, {"orders": [order()], "cursor": ""}), "DELETE /events/orders": (204, None)})
    (resting,) = use(stub, lambda gateway: gateway.open_orders())
    assert (resting.venue_order_id, resting.client_order_id, resting.market_id, resting.remaining_e6) == (
        "o", "mine", "KXA-1", 2_000_000
    )  # fmt: skip
    assert stub.requests[0].url.params["status"] == "resting"
    use(stub, lambda gateway: gateway.cancel_all())
    assert stub.asked[-1] == "DELETE /events/orders"


def test_an_order_leaves_its_shard_to_the_venue() -> None:
    prepared = use(Stub({}), lambda gateway: _prepared(gateway))
    body = json.loads(prepared.request["body"])
    assert "exchange_index" not in body
    assert (body["ticker"], body["client_order_id"], body["time_in_force"]) == (
        "KXA-1", prepared.client_order_id, "immediate_or_cancel"
    )  # fmt: skip


async def _prepared(gateway: KalshiGateway) -> Any:
    return gateway.prepare(OrderSpec(TARGET, "no", "buy", 4_000, 1_000_000))


def test_an_order_whose_answer_was_lost_is_found_and_cancelled() -> None:
    listed = (200, {"orders": [order(order_id="x", client_order_id="other"), order()], "cursor": ""})
    stub = Stub({"GET /orders": listed, "DELETE /events/orders/o": (200, {"order_id": "o", "reduced_by": "2.00"})})
    use(stub, lambda gateway: gateway.cancel(key(None)))
    assert stub.asked == ["GET /orders", "DELETE /events/orders/o"]
    assert stub.requests[1].url.params["market_ticker"] == "KXA-1"


@pytest.mark.parametrize(
    ("venue_order_id", "orders"), [(None, []), (None, [order(status="executed")]), ("o", [order()])]
)
def test_that_nothing_rests_is_no_error(venue_order_id: str | None, orders: list[Any]) -> None:
    gone = (404, {"error": {"code": "not_found"}})
    listed = (200, {"orders": orders, "cursor": ""})
    young = (200, CUTOFF | {"orders_updated_ts": "2026-01-20T00:00:00Z"})
    stub = Stub({"GET /orders": listed, "DELETE /events/orders/o": gone, "GET /trade-api/v2/historical/cutoff": young})
    use(stub, lambda gateway: gateway.cancel(key(venue_order_id)))


def test_a_cancel_without_answer_is_unknown() -> None:
    with pytest.raises(OutcomeUnknown):
        use(Stub({"DELETE /events/orders/o": (503, {})}), lambda gateway: gateway.cancel(key("o")))


@pytest.mark.parametrize(
    ("breakdown", "pots"),
    [
        ({0: "60.0000", 2: "23.4567"}, {0: 60_000_000, 2: 23_456_700}),
        ({}, {None: 83_456_700}),
    ],
)
def test_cash_is_told_by_shard_where_the_venue_does(breakdown: dict[int, str], pots: dict[int | None, int]) -> None:
    entries = [{"exchange_index": index, "balance": cash} for index, cash in breakdown.items()]
    answer = {"balance": 8345, "balance_dollars": "83.4567", "portfolio_value": 0, "balance_breakdown": entries}
    stub = Stub({"GET /balance": (200, answer)})
    assert use(stub, lambda gateway: gateway.cash_by_shard()) == pots


@pytest.mark.parametrize(
    ("status", "is_final"), [("executed", True), ("canceled", True), ("resting", False), ("pending_auction", False)]
)
def test_an_order_has_ended_only_where_the_venue_says_so_in_a_word_we_know(status: str, is_final: bool) -> None:
    stub = Stub(
        {
            "GET /orders": (200, {"orders": [order(status=status)], "cursor": ""}),
            # The filter by order is the venue's: what is not of this order is no fill of it.
            "GET /fills": (200, {"fills": [FILL, FILL | {"fill_id": "q", "order_id": "p"}], "cursor": ""}),
        }
    )
    reading = use(stub, lambda gateway: gateway.read(key("o")))
    assert (reading.is_found, reading.is_final, reading.status) == (True, is_final, status)
    assert len(reading.fills) == 1


def test_an_order_that_the_live_list_has_forgotten_is_found_in_the_archive() -> None:
    """Orders that ended leave the live list two weeks later; then only the archive proves what became of one."""
    stub = Stub(
        {
            "GET /orders": (200, {"orders": [], "cursor": ""}),
            "GET /trade-api/v2/historical/cutoff": (200, CUTOFF),
            "GET /trade-api/v2/historical/orders": (200, {"orders": [order(status="executed")], "cursor": ""}),
            "GET /fills": (200, {"fills": [], "cursor": ""}),
            "GET /trade-api/v2/historical/fills": (200, {"fills": [FILL, FILL | {"order_id": "p"}], "cursor": ""}),
        }
    )
    reading = use(stub, lambda gateway: gateway.read(key(None)))
    assert (reading.is_found, reading.is_final, reading.filled_e6, len(reading.fills)) == (True, True, 1_000_000, 1)
    # Fills have a cutoff of their own, so both lists are asked; of the archive's only this order's count.
    assert [name for name in stub.asked if "fills" in name] == ["GET /fills", "GET /trade-api/v2/historical/fills"]


def test_the_archive_is_not_asked_for_an_order_that_cannot_be_there() -> None:
    cutoff = (200, CUTOFF | {"orders_updated_ts": "2026-01-20T00:00:00Z"})
    stub = Stub({"GET /orders": (200, {"orders": [], "cursor": ""}), "GET /trade-api/v2/historical/cutoff": cutoff})
    assert not use(stub, lambda gateway: gateway.read(key(None))).is_found
    assert stub.asked == ["GET /orders", "GET /trade-api/v2/historical/cutoff"]
    fresh = replace(key(None), sent_at=datetime.now(UTC))
    stub = Stub({"GET /orders": (200, {"orders": [], "cursor": ""})})
    assert not use(stub, lambda gateway: gateway.read(fresh)).is_found
    assert stub.asked == ["GET /orders"]


@pytest.mark.parametrize("cash_e6", [10_000_000, 10_000_100])
def test_a_key_that_the_venue_does_not_list_may_not_trade(cash_e6: int) -> None:
    keys: list[dict[str, Any]] = [{"api_key_id": "other", "scopes": ["write"]}]
    balance = {"balance_dollars": f"{cash_e6 / 1e6:.4f}", "portfolio_value": 0, "updated_ts": 1_796_000_000}
    kind = "direct" if cash_e6 % 10_000 else "not_stated"

    async def state(client: KalshiClient) -> AccountState:
        return await KalshiGateway(client).account_state()

    answers = {
        "/portfolio/balance": (200, balance),
        "/api_keys": (200, {"api_keys": keys}),
        "/exchange/status": made("rest_exchange_status"),
        "/exchange/schedule": made("rest_exchange_schedule"),
        "/exchange/user_data_timestamp": made("rest_user_data_timestamp"),
    }

    def said() -> AccountState:
        def answer(request: httpx.Request) -> httpx.Response:
            status, body = answers[request.url.path.removeprefix("/trade-api/v2")]
            return httpx.Response(status, json=body)

        return ask(answer, state)

    found = said()
    assert (found.key, found.kind) == (KeyState(may_trade=False), kind)
    keys.append({"api_key_id": "key-1", "scopes": ["read", "write"]})
    found = said()
    assert (found.key, found.kind) == (KeyState(may_trade=True), kind)
