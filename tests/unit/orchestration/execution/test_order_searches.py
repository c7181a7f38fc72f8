"""Looking for an order in everything a venue lists: when what is not there is proof, and when it is not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from orchestration.execution.venues.gateway import OrderExists, OrderKey, OrderReading, PreparedOrder
from orchestration.execution.venues.kalshi import KalshiGateway
from streams.market.errors import IncompleteList, Refused
from streams.market.trading import Siblings
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient
from tests.unit.orchestration.execution.test_kalshi_gateway import FILL, TARGET, order
from tests.unit.orchestration.execution.test_polymarket_gateway import ORDER_ID, asked, target

AS_OF = "2026-11-30T10:00:00.250000Z"
DATED = "Mon, 30 Nov 2026 10:00:01 GMT"
OTHER = order(order_id="x", client_order_id="other", status="executed")


class Lists:
    """Answers by path; a list of lists is given page by page."""

    def __init__(self, orders: list[list[Any]], fills: list[list[Any]], *, dated: str = DATED) -> None:
        self.pages = {"orders": orders, "fills": fills}
        self.dated = dated
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[1]
        self.asked.append(name)
        if name == "user_data_timestamp":
            return httpx.Response(200, json={"as_of_time": AS_OF}, headers={"date": self.dated} if self.dated else {})
        number = int(request.url.params.get("cursor") or 0)
        pages = self.pages[name]
        following = str(number + 1) if number + 1 < len(pages) else ""
        return httpx.Response(200, json={name: pages[number], "cursor": following})


def use(transport: Any, call: Any) -> Any:
    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(transport)) as http:
            client = KalshiClient(endpoints(Settings(_env_file=None)), None, http=http, limits=KalshiLimits.unlimited())
            return await call(KalshiGateway(client))

    return asyncio.run(main())


def search(lists: Lists, siblings: Siblings | None = None) -> OrderReading:
    key = OrderKey("mine", None, TARGET, "yes", "buy", datetime.now(UTC))
    found: OrderReading = use(lists, lambda gateway: gateway.search(key, siblings or Siblings()))
    return found


def test_lists_read_to_their_end_say_how_far_they_reach_by_the_venues_own_clock() -> None:
    lists = Lists([[OTHER], []], [[], []])
    reading = search(lists)
    assert not reading.is_found
    assert reading.behind_s == 1.75
    assert lists.asked == ["user_data_timestamp", "orders", "orders", "fills", "fills"], "how far before what"


def test_an_order_on_a_later_page_and_one_that_is_listed_twice_are_found() -> None:
    ours = order(status="executed", fill_count_fp="1.00")
    reading = search(Lists([[OTHER], [ours], [ours, OTHER]], [[FILL], [FILL]]))
    assert (reading.is_found, reading.is_final, len(reading.fills)) == (True, True, 1)


def test_an_answer_without_a_date_says_nothing_about_how_far_lists_reach() -> None:
    assert search(Lists([[]], [[]], dated="")).behind_s is None
    assert search(Lists([[]], [[]], dated="soon")).behind_s is None


def test_a_fill_of_an_order_that_nobody_knows_may_be_of_the_one_looked_for() -> None:
    assert search(Lists([[OTHER]], [[FILL]])).behind_s is None
    assert search(Lists([[OTHER]], [[FILL]]), Siblings(known=frozenset("o"))).behind_s is not None


def test_a_list_that_lacks_what_it_must_show_is_not_whole() -> None:
    must = Siblings(frozenset("x"), frozenset("x"))
    assert search(Lists([[]], [[]]), must).behind_s is None, "an empty list is not an account without orders"
    assert search(Lists([[OTHER]], [[]]), must).behind_s is not None


@pytest.mark.parametrize(("orders", "fills"), [([[7]], [[]]), ([[]], [[7]])])
def test_a_list_with_an_item_that_cannot_be_read_proves_nothing(orders: Any, fills: Any) -> None:
    with pytest.raises(IncompleteList):
        search(Lists(orders, fills))


@pytest.mark.parametrize(
    ("code", "error"),
    [("order_already_exists", OrderExists), ("fill_or_kill_insufficient_resting_volume", Refused)],
)
def test_of_two_conflicts_one_says_that_the_order_is_there_and_one_that_it_was_killed(
    code: str, error: type[Exception]
) -> None:
    prepared = PreparedOrder("mine", {"body": '{"client_order_id": "mine"}'})

    def conflict(_: httpx.Request) -> httpx.Response:
        return httpx.Response(409, json={"error": {"code": code, "message": code}})

    with pytest.raises(error) as raised:
        use(conflict, lambda gateway: gateway.send(prepared))
    assert type(raised.value) is error


def trade(status: str = "CONFIRMED", **changes: Any) -> dict[str, Any]:
    return {
        "id": "t", "taker_order_id": "0xOTHER", "market": "M", "asset_id": "111", "side": "BUY", "size": "2",
        "price": "0.4", "status": status, "match_time": "1790934258", "trader_side": "TAKER",
    } | changes  # fmt: skip


NOT_THERE: tuple[int, Any] = (404, {})


def listed(*trades: Any, after: str = "LTE=") -> tuple[int, Any]:
    return 200, {"data": list(trades), "next_cursor": after}


@pytest.mark.parametrize(
    ("answers", "must_show", "behind_s"),
    [
        ([NOT_THERE, listed()], [], 0.0),
        ([NOT_THERE, listed(after="1"), listed(trade())], ["0xother"], 0.0),
        ([NOT_THERE, listed()], ["0xother"], None),
    ],
)
def test_on_polymarket_hash_and_all_trades_of_the_market_are_looked_through(
    answers: list[Any], must_show: list[str], behind_s: float | None
) -> None:
    key = OrderKey(ORDER_ID, None, target(), "yes", "buy", datetime.now(UTC))
    siblings = Siblings(frozenset(must_show), frozenset(must_show))
    found, requests = asked(*answers, use=lambda gateway: gateway.search(key, siblings))
    assert (found.is_found, found.fills, found.behind_s) == (False, (), behind_s)
    assert all("after=" not in request for request in requests), "no clock limits what is looked through"


def test_on_polymarket_a_trade_of_the_order_is_found_where_the_order_is_not() -> None:
    key = OrderKey(ORDER_ID, None, target(), "yes", "buy", datetime.now(UTC))
    ours = listed(trade(taker_order_id=ORDER_ID.upper().replace("X", "x")))
    found, _ = asked(NOT_THERE, ours, use=lambda gateway: gateway.search(key, Siblings()))
    assert (found.is_found, len(found.fills)) == (False, 1)
