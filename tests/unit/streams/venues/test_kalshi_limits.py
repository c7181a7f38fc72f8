"""Kalshi's budgets: what a call costs, which buckets it is charged to, and where their sizes come from."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from streams.market.errors import InvalidAmount, MalformedFrame, RateLimited, StreamsError, TransientError
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.common.responses import read
from streams.venues.common.token_buckets import FileLedger, Ledger, MemoryLedger
from streams.venues.kalshi.limits import (
    AccountLimits,
    BucketTerms,
    EndpointCosts,
    KalshiLimits,
    parse_costs,
    parse_limits,
)
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.kalshi.types.orders import OrderRequest
from tests.support.kalshi_stub import CREDENTIALS

# Half a second's worth of what they hold is kept for calls in flight: they fill up to 100.
SMALL = AccountLimits("small", BucketTerms(10, 105), BucketTerms(10, 105), (), {})
ORDERS = "/portfolio/events/orders"


def held(ledger: Ledger) -> dict[str, float]:
    with ledger.open() as entries:
        return {name: round(entry[0]) for name, entry in entries.items() if isinstance(entry, list)}


def limits(ledger: Ledger, now: list[float] | None = None) -> KalshiLimits:
    times = now or [0.0]
    return KalshiLimits(is_signed=True, ledger=ledger, account=SMALL, monotonic=lambda: times[0])


@pytest.mark.parametrize(
    ("method", "path", "routing", "items", "left"),
    [
        ("GET", "/markets", "by_ticker", 1, {"read": 90}),
        ("GET", "/portfolio/orders/abc", "by_ticker", 1, {"read": 98}),
        ("GET", "/portfolio/orders", "by_ticker", 1, {"read": 90}),
        ("GET", "/portfolio/orders/queue_positions", "by_ticker", 1, {"read": 90}),
        # What the venue routes by ticker is billed to every shard, what names one to that alone.
        ("POST", ORDERS, "by_ticker", 1, {"write:0": 90, "write:1": 90, "write:2": 90, "write:3": 90}),
        ("POST", ORDERS, 2, 1, {"write:2": 90}),
        ("POST", ORDERS, 7, 1, {"write:7": 90}),
        ("POST", ORDERS, "unscoped", 1, {"write:0": 90}),
        ("DELETE", f"{ORDERS}/abc", 2, 1, {"write:2": 98}),
        ("DELETE", ORDERS, "unscoped", 1, {"write:0": 98}),
        # A batch is the sum of its items.
        ("POST", f"{ORDERS}/batched", "unscoped", 4, {"write:0": 60}),
        ("DELETE", f"{ORDERS}/batched", "unscoped", 4, {"write:0": 92}),
    ],
)
def test_a_call_is_charged_to_its_buckets(method: str, path: str, routing: Any, items: int, left: Any) -> None:
    ledger = MemoryLedger()
    asyncio.run(limits(ledger).acquire(method, path, items=items, routing=routing))
    assert held(ledger) == left


def test_a_batch_that_can_never_fit_is_not_sent() -> None:
    ledger = MemoryLedger()
    with pytest.raises(InvalidAmount):
        asyncio.run(limits(ledger).acquire("POST", f"{ORDERS}/batched", items=11, routing="unscoped"))
    assert held(ledger) == {}


def test_costs_the_venue_lists_stand_above_what_is_assumed() -> None:
    ledger = MemoryLedger()
    budget = limits(ledger)
    listed = parse_costs(
        {
            "default_cost": 5,
            "endpoint_costs": [
                {"method": "DELETE", "path": "/trade-api/v2/portfolio/events/orders/:order_id", "cost": 3},
                {"method": "GET", "path": "/trade-api/v2/cfbenchmarks/*endpoint", "cost": 150},
            ],
        }
    )
    budget.learn(SMALL, listed)
    asyncio.run(budget.acquire("DELETE", f"{ORDERS}/abc", routing=1))
    asyncio.run(budget.acquire("GET", "/markets"))
    assert held(ledger) == {"write:1": 97, "read": 95}


def test_what_one_process_learned_the_others_know_for_an_hour(tmp_path: Path) -> None:
    now, path = [1_000.0], tmp_path / "a.json"
    first, second = limits(FileLedger(path), now), limits(FileLedger(path), now)
    assert first.is_due()
    first.learn(AccountLimits("big", BucketTerms(1e9, 1e9), BucketTerms(5, 20), (), {}), EndpointCosts(10, {}, {}))
    assert not first.is_due()
    assert not second.is_due()
    with pytest.raises(InvalidAmount):
        asyncio.run(second.acquire("POST", f"{ORDERS}/batched", items=3))
    now[0] += 3_601
    assert first.is_due()
    assert second.is_due()


def test_what_is_not_served_is_asked_for_again_later() -> None:
    now = [0.0]
    budget = limits(MemoryLedger(), now)
    budget.learn(None, None)
    assert not budget.is_due()
    now[0] += 61
    assert budget.is_due()


def test_without_a_key_reads_are_slow_and_nothing_is_asked() -> None:
    ledger = MemoryLedger()
    budget = KalshiLimits(is_signed=False, ledger=ledger, unsigned_reads_per_s=2.0, monotonic=lambda: 0.0)
    assert not budget.is_due()
    asyncio.run(budget.acquire("GET", "/markets"))
    assert held(ledger) == {"read": 10}


class Venue:
    """Answers limits and counts what was asked."""

    def __init__(self, *, limits_status: int = 200) -> None:
        self.asked: list[str] = []
        self.limits_status = limits_status

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/trade-api/v2")
        self.asked.append(path)
        if path == "/account/limits":
            bucket = {"refill_rate": 50, "bucket_capacity": 70}
            return httpx.Response(self.limits_status, json={"usage_tier": "t", "read": bucket, "write": bucket})
        if path == "/account/endpoint_costs":
            return httpx.Response(200, json={"default_cost": 10, "endpoint_costs": []})
        if path == ORDERS:
            return httpx.Response(429, json={"error": "too many requests"})
        return httpx.Response(200, json={"exchange_active": True, "trading_active": True})


def use(venue: Venue, ledger: Ledger, *calls: Any) -> list[Any]:
    async def main() -> list[Any]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(venue)) as http:
            budget = KalshiLimits(is_signed=True, ledger=ledger, monotonic=lambda: 0.0)
            client = KalshiClient(endpoints(Settings(_env_file=None)), CREDENTIALS, http=http, limits=budget)
            results = []
            for call in calls:
                try:
                    results.append(await call(client))
                except StreamsError as error:
                    results.append(error)
            return results

    return asyncio.run(main())


def test_the_account_is_asked_once_before_the_first_call(tmp_path: Path) -> None:
    venue, path = Venue(), tmp_path / "a.json"
    use(venue, FileLedger(path), lambda client: client.exchange_status(), lambda client: client.exchange_status())
    assert venue.asked == ["/account/limits", "/account/endpoint_costs", "/exchange/status", "/exchange/status"]
    use(venue, FileLedger(path), lambda client: client.exchange_status())
    assert venue.asked[4:] == ["/exchange/status"]
    assert json.loads(path.read_bytes())["account"]["terms"] == [50.0, 70.0, 50.0, 70.0]


def test_limits_that_are_not_served_leave_the_lowest_tier_in_force() -> None:
    venue, ledger = Venue(limits_status=404), MemoryLedger()
    use(venue, ledger, lambda client: client.exchange_status(), lambda client: client.exchange_status())
    assert venue.asked == ["/account/limits", "/exchange/status", "/exchange/status"]
    assert held(ledger) == {"read": 600 - 100 - 30}


def test_a_429_empties_the_buckets_it_was_charged_to_and_is_not_repeated() -> None:
    venue, ledger = Venue(), MemoryLedger()
    request = OrderRequest("KXA-1", "bid", 5_000, 1_000_000, "c", exchange_index=2)
    (error,) = use(venue, ledger, lambda client: client.create_order(request))
    assert isinstance(error, RateLimited)
    # A write does not wait for the account's limits to be asked.
    assert venue.asked == [ORDERS]
    assert held(ledger)["write:2"] == 0


@pytest.mark.parametrize(
    "page",
    [
        b"\x00" * 4096, b"\xff\xfe", b"[]", b"5", b'{"read":', b'{"read": null, "write:0": null}', b'{"read": [1]}',
        b'{"read": "x"}', b'{"read": ["x", {}]}', b'{"read": [-1e300, 0]}', b'{"account": {}}', b'{"account": 5}',
        b'{"account": {"at": "now"}}', b'{"account": {"at": 0, "terms": [1], "default": 1, "costs": {}}}',
        b'{"account": {"at": 0, "terms": [0, 0, 0, 0], "default": 10, "costs": {}}}',
        b'{"account": {"at": 0, "terms": [10, 10, 10, 10], "default": "x", "costs": 3}}',
    ],
)  # fmt: skip
def test_whatever_stands_in_the_shared_page_calls_go_on_and_wait_a_little_at_most(tmp_path: Path, page: bytes) -> None:
    path = tmp_path / "page.json"
    path.write_bytes(page)
    fast = AccountLimits("fast", BucketTerms(1_000, 2_000), BucketTerms(1_000, 2_000), (), {})
    budget = KalshiLimits(is_signed=True, ledger=FileLedger(path), account=fast, monotonic=lambda: 0.0)

    async def main() -> None:
        async with asyncio.timeout(5):
            assert budget.is_due()
            await budget.acquire("GET", "/markets")
            await budget.acquire("POST", ORDERS)

    asyncio.run(main())


def test_a_budget_that_cannot_be_written_down_lets_nothing_be_sent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    budget = limits(FileLedger(tmp_path / "file" / "page.json"))
    with pytest.raises(TransientError, match="budget"):
        asyncio.run(budget.acquire("POST", ORDERS))


def test_a_long_list_of_costs_fits_the_shared_page_and_keeps_the_dearest(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path / "page.json")
    costs = {f"GET /portfolio/a_rather_long_name_of_an_endpoint_{n}/:order_id": float(n) for n in range(11, 311)}
    costs["DELETE /portfolio/events/orders/:order_id"] = 10.0
    limits(ledger).learn(SMALL, EndpointCosts(10.0, costs, {}))
    other = limits(ledger)
    assert not other.is_due()
    asyncio.run(other.acquire("GET", "/portfolio/a_rather_long_name_of_an_endpoint_310/x"))
    # As dear as usual, where we assume it to be cheap: that is worth its place too.
    asyncio.run(other.acquire("DELETE", f"{ORDERS}/abc", routing=2))
    assert held(ledger) == {"read": -5, "write:2": 90}


def test_costs_that_could_not_be_asked_for_again_stay_as_they_were() -> None:
    budget = limits(MemoryLedger())
    budget.learn(SMALL, EndpointCosts(10.0, {"GET /markets": 30.0}, {}))
    budget.learn(SMALL, None)
    ledger = budget._ledger
    asyncio.run(budget.acquire("GET", "/markets"))
    assert held(ledger) == {"read": 70}


def test_a_cost_below_zero_is_no_cost() -> None:
    entry = {"method": "GET", "path": "/trade-api/v2/markets", "cost": -5}
    with pytest.raises(InvalidAmount):
        parse_costs({"default_cost": 10, "endpoint_costs": [entry]})


NO_TOKENS = [
    None,
    True,
    0,
    -1,
    1e-9,
    1e-320,
    1e300,
    float("nan"),
    float("inf"),
    "NaN",
    "inf",
    "1e999",
    "1_0",
    "",
    [],
    {},
]


@pytest.mark.parametrize("value", NO_TOKENS)
@pytest.mark.parametrize("name", ["refill_rate", "bucket_capacity"])
@pytest.mark.parametrize("side", ["read", "write"])
def test_a_bucket_that_would_let_nothing_through_is_not_taken_over(side: str, name: str, value: object) -> None:
    usual = {"refill_rate": 200, "bucket_capacity": 600}
    assert read({"read": usual, "write": usual}, parse_limits).reads == BucketTerms(200.0, 600.0)
    with pytest.raises(MalformedFrame):
        read({"read": usual, "write": usual, side: {**usual, name: value}}, parse_limits)


@pytest.mark.parametrize("value", [value for value in NO_TOKENS if value not in (0, 1e-9, 1e-320)])
def test_a_cost_that_is_none_is_not_taken_over(value: object) -> None:
    listed = {"method": "GET", "path": "/trade-api/v2/markets", "cost": 10}
    assert read({"default_cost": 10, "endpoint_costs": [listed]}, parse_costs).costs == {"GET /markets": 10.0}
    with pytest.raises(MalformedFrame):
        read({"default_cost": value}, parse_costs)
    with pytest.raises(MalformedFrame):
        read({"default_cost": 10, "endpoint_costs": [listed | {"cost": value}]}, parse_costs)


def test_an_order_that_the_venue_routes_needs_room_in_every_bucket_of_writes() -> None:
    now = [0.0]
    found = limits(MemoryLedger(), now)
    assert found.left("POST", ORDERS) == 10
    asyncio.run(found.acquire("POST", ORDERS, routing=2))
    assert (found.left("POST", ORDERS), found.left("POST", ORDERS, routing=1)) == (9, 10)
    assert found.left("GET", "/markets") == 10
    now[0] += 1.0
    assert found.left("POST", ORDERS) == 10
