"""A market's fees changed on the admin port: objects and fills follow, also after a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from streams.sandbox.exchange.persistence.snapshot import apply_state, exchange_state, reopen_books
from streams.sandbox.process.admin import change_fees

FEES = {"rate": "0.07", "exponent": "1", "taker_only": True}


def market_id(desk: Any) -> str:
    return str(next(iter(desk.exchange.state.markets)))


def shown(desk: Any) -> Any:
    return desk.get(f"/clob/clob-markets/{market_id(desk)}").get("fd")


def test_changed_fees_are_shown_charged_and_survive_a_restart(desk: Any, open_desk: Callable[..., Any]) -> None:
    assert shown(desk)["r"] == 0.05
    change_fees(desk.app, {"market_id": market_id(desk), "schedule": FEES}, desk.now[0])
    assert shown(desk)["r"] == 0.07
    desk.post("BUY", 5_100_000, 10_000_000)
    (trade,) = desk.exchange.state.trades.values()
    assert trade.taker.charge.fee_e6 == 174_930
    fresh = open_desk()
    apply_state(fresh.exchange, orjson.loads(orjson.dumps(exchange_state(desk.exchange))))
    reopen_books(fresh.exchange, [], fresh.now[0])
    fresh.pass_ms(1)
    assert shown(fresh)["r"] == 0.07
    change_fees(fresh.app, {"market_id": market_id(fresh), "schedule": {}}, fresh.now[0])
    assert shown(fresh) is None


def test_a_market_that_is_gone_leaves_no_fees_behind(desk: Any) -> None:
    name = market_id(desk)
    change_fees(desk.app, {"market_id": name, "schedule": FEES}, desk.now[0])
    desk.exchange.evict_market(name)
    assert desk.exchange.state.saved["fee_schedules"] == {}


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"market_id": "0x1"}, LookupError), ({"schedule": 5}, ValueError), ({"schedule": {"rate": "-1"}}, ValueError)],
)
def test_invalid_fee_changes_are_refused(desk: Any, changes: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        change_fees(desk.app, {"market_id": market_id(desk), "schedule": FEES, **changes}, desk.now[0])
