"""A settlement that cannot be read leaves its own market open; what the others paid is booked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.errors import IncompleteList
from streams.venues.common.responses import read_page
from streams.venues.polymarket.data.portfolio import parse_activity
from tests.support.kalshi_stub import Stub, ask

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
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
    stub = Stub((200, {"settlements": [odd, SETTLED], "cursor": ""}))
    found = ask(stub, lambda client: KalshiGateway(client).payouts({"A": None, "B": None}, SINCE))
    assert [(payout.market_id, payout.settlement_e4) for payout in found] == [("A", 10_000)]
    assert len(found.unreadable) == 1


class Client:
    """A client of Polymarket whose activity is as its data API gives it."""

    def __init__(self, *rows: Any) -> None:
        self.raw = orjson.dumps({"data": rows})

    async def activity(self, _wallet: str, **_filters: object) -> Any:
        return read_page(self.raw, "data", parse_activity)[1].whole("data")


def payouts(*rows: Any) -> Any:
    credentials: Any = type("Wallet", (), {"wallet": "0x1"})()
    client: Any = Client(*rows)
    return asyncio.run(PolymarketGateway(client, credentials).payouts({ONE: 10_000, OTHER: 10_000}, SINCE))


@pytest.mark.parametrize("change", [{"usdc_size": None}, {"timestamp": "soon"}, {"usdc_size": 1e30}, {"size": "x"}])
def test_on_polymarket_it_costs_the_market_that_it_names(change: dict[str, Any]) -> None:
    found = payouts(REDEEMED, REDEEMED | {"condition_id": OTHER.upper().replace("0X", "0x")} | change)
    assert [(payout.market_id, payout.paid_e6) for payout in found] == [(ONE, 5_000_000)]
    assert len(found.unreadable) == 1


@pytest.mark.parametrize("odd", [None, 7, {}, REDEEMED | {"condition_id": None, "timestamp": None}])
def test_on_polymarket_one_that_names_no_market_may_be_of_any(odd: Any) -> None:
    with pytest.raises(IncompleteList):
        payouts(REDEEMED, odd)


def test_on_polymarket_all_is_booked_where_all_can_be_read() -> None:
    found = payouts(REDEEMED, REDEEMED)
    assert [(payout.market_id, payout.paid_e6) for payout in found] == [(ONE, 10_000_000), (OTHER, None)]
    assert found.unreadable == ()
