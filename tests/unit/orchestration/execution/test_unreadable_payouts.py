"""A settlement that cannot be read leaves its own market open; what the others paid is booked."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from orchestration.execution.venues.gateway import AwaitedMarket, Payouts
from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.errors import IncompleteList
from streams.venues.common.responses import read_page
from streams.venues.polymarket.data.portfolio import parse_activity
from tests.support.kalshi_stub import Stub, ask

SETTLED = {
    "ticker": "A", "market_result": "yes", "yes_count_fp": "1.00", "no_count_fp": "0.00", "fee_cost": "0.00",
    "yes_total_cost_dollars": "0.40", "no_total_cost_dollars": "0.00", "revenue": 100, "value": 100,
}  # fmt: skip
ONE, OTHER = f"0x{'a' * 64}", f"0x{'b' * 64}"
REDEEMED = {
    "type": "REDEEM",
    "condition_id": ONE,
    "token_id": "1",
    "usdc_size": 5,
    "size": 5,
    "timestamp": 1_800_000_000,
}


@pytest.mark.parametrize(
    "odd", [None, 7, [], {}, {"ticker": "B"}, SETTLED | {"ticker": "B", "revenue": "x"}, SETTLED | {"ticker": None}]
)
def test_on_kalshi(odd: Any) -> None:
    listed = (200, {"settlements": [odd, SETTLED], "cursor": ""})
    by_name = (200, {"settlements": [odd], "cursor": ""})
    markets = [AwaitedMarket("A", None, is_over=True), AwaitedMarket("B", None, is_over=True)]
    found = ask(Stub(listed, by_name), lambda client: KalshiGateway(client).payouts(markets))
    assert [(payout.market_id, payout.settlement_e4) for payout in found.found] == [("A", 10_000)]
    assert _unreadable(found) == {"": 1, "B": 1}


def _unreadable(found: Payouts) -> dict[str, int]:
    return {name: len(error.unreadable) for name, error in found.failed.items() if isinstance(error, IncompleteList)}


class Client:
    """A client of Polymarket whose activity is as its data API gives it; a row without a market is in every answer."""

    def __init__(self, *rows: Any) -> None:
        self.rows = rows

    async def activity(self, _wallet: str, *, condition: str | None = None, **_filters: object) -> Any:
        rows = [row for row in self.rows if condition is None or _market_of(row) in (None, condition)]
        return read_page(orjson.dumps({"data": rows}), "data", parse_activity)[1].whole("data")


def _market_of(row: Any) -> str | None:
    name = row.get("condition_id") if isinstance(row, dict) else None
    return None if name is None else str(name).lower()


def payouts(*rows: Any) -> Payouts:
    credentials: Any = type("Wallet", (), {"wallet": "0x1"})()
    client: Any = Client(*rows)
    markets = [AwaitedMarket(name, 10_000, is_over=True) for name in (ONE, OTHER)]
    return asyncio.run(PolymarketGateway(client, credentials).payouts(markets))


@pytest.mark.parametrize("change", [{"usdc_size": None}, {"timestamp": "soon"}, {"usdc_size": 1e30}, {"size": "x"}])
def test_on_polymarket_it_costs_the_market_that_it_names(change: dict[str, Any]) -> None:
    found = payouts(REDEEMED, REDEEMED | {"condition_id": OTHER.upper().replace("0X", "0x")} | change)
    assert [(payout.market_id, payout.paid_e6) for payout in found.found] == [(ONE, 5_000_000)]
    assert _unreadable(found) == {"": 1, OTHER: 1}


@pytest.mark.parametrize("odd", [None, 7, {}, REDEEMED | {"condition_id": None, "timestamp": None}])
def test_on_polymarket_one_that_names_no_market_may_be_of_any(odd: Any) -> None:
    found = payouts(REDEEMED, odd)
    assert found.found == []
    assert _unreadable(found) == {"": 1, ONE: 1, OTHER: 1}


def test_on_polymarket_all_is_booked_where_all_can_be_read() -> None:
    found = payouts(REDEEMED, REDEEMED)
    assert [(payout.market_id, payout.paid_e6) for payout in found.found] == [(ONE, 10_000_000), (OTHER, None)]
    assert found.failed == {}
