"""Order groups and the dead man's switch: the brakes that the venues pull themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest

from orchestration.execution.account_news import AccountNews
from orchestration.execution.accounts.dead_mans_switch import fed_dead_mans_switch
from orchestration.execution.accounts.order_groups import group_limit_e6
from orchestration.execution.venues.gateway import HeldBack, OrderSpec, PreparedOrder
from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.order_groups import OrderGroups
from streams.market.errors import AuthenticationFailed, Refused
from streams.market.identity import Venue
from streams.market.limits import LIMIT_NAMES, limit_values
from streams.market.trading import Target
from streams.market.user_stream_events import OrderGroupUpdate
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.polymarket.errors import HeartbeatMismatch
from tests.unit.orchestration.execution.test_kalshi_gateway import TARGET

TRIPPED = {"error": {"code": "invalid_order", "message": "order group has been triggered"}}


def spec(action: Any = "buy", target: Target = TARGET) -> OrderSpec:
    return OrderSpec(target, "yes", action, 4_000, 1_000_000)


def sent(order: OrderSpec, answer: Any = None, **options: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Prepare and send an order; returns its body and what was told of trips."""
    told: list[tuple[str, str]] = []
    bodies: list[dict[str, Any]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        done = {"order_id": "o", "fill_count": "0.00", "remaining_count": "0.00", "ts_ms": 1}
        return httpx.Response(201 if answer is None else 400, content=json.dumps(answer or done).encode())

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http:
            where = endpoints(Settings(_env_file=None))
            client = KalshiClient(where, None, http=http, limits=KalshiLimits.unlimited(), **options)
            groups = OrderGroups(client, lambda group, why: told.append((group, why)), {2: "group-2"})
            gateway = KalshiGateway(client, groups)
            prepared: PreparedOrder = gateway.prepare(order)
            if answer is None:
                await gateway.send(prepared)
            else:
                with pytest.raises(Refused):
                    await gateway.send(prepared)

    asyncio.run(main())
    return bodies[0], told


def test_what_buys_stands_in_the_group_of_its_shard_and_what_sells_in_none() -> None:
    assert sent(spec())[0]["order_group_id"] == "group-2"
    assert "order_group_id" not in sent(spec("sell"))[0]


@pytest.mark.parametrize("shard", [None, 3])
def test_a_market_whose_shard_has_no_group_is_sold_on_but_not_bought(shard: int | None) -> None:
    target = replace(TARGET, terms=replace(TARGET.terms, exchange_index=shard))
    with pytest.raises(HeldBack, match="no order group"):
        sent(spec(target=target))
    assert sent(spec("sell", target))[0]["ticker"] == "KXA-1"


def test_a_refusal_of_the_group_is_told_and_no_other_is() -> None:
    ((group, why),) = sent(spec(), TRIPPED)[1]
    assert (group, "order group has been triggered" in why) == ("group-2", True)
    assert sent(spec(), {"error": {"code": "trading_is_paused", "message": "paused"}})[1] == []
    assert sent(spec("sell"), TRIPPED)[1] == []


def test_an_order_names_the_subaccount_that_is_set() -> None:
    assert sent(spec(), subaccount=7)[0]["subaccount"] == 7
    assert sent(spec(), subaccount=0)[0]["subaccount"] == 0
    assert "subaccount" not in sent(spec())[0]


def test_the_user_stream_tells_of_a_trip_and_of_nothing_else() -> None:
    told: list[tuple[str, str]] = []
    news = AccountNews([], on_tripped=lambda group, why: told.append((group, why)))
    for kind in ("created", "limit_updated", "triggered", "reset", "deleted"):
        news.note(OrderGroupUpdate(Venue.KALSHI, "g", kind))
    assert told == [("g", "kalshi says that it has tripped")]


@pytest.mark.parametrize(
    ("contracts_e6", "hedges", "limit_e6"),
    [
        (50_000_000, 120, 6_000_000_000),
        (1, 1, 1_000_000),  # the venue takes no less than one contract
        (33_333, 31, 1_040_000),  # up to the next step of 0.01
        (10_000_000_000_000, 100_000, 1_000_000_000_000),  # and no more than a million
    ],
)
def test_a_group_holds_what_the_gate_lets_begin_within_its_window(
    contracts_e6: int, hedges: int, limit_e6: int
) -> None:
    limits = replace(
        limit_values(dict.fromkeys(LIMIT_NAMES, Decimal(1))), order_contracts_e6=contracts_e6, hedges_per_minute=hedges
    )
    assert group_limit_e6(limits) == limit_e6


class Beats:
    """Answers beats in turn with ids, or raises; the last answer is given for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.named: list[str] = []

    async def post_heartbeat(self, heartbeat_id: str) -> str:
        self.named.append(heartbeat_id)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return str(answer)


def fed(beats: Beats | None, work: Callable[[list[str]], Any]) -> list[str]:
    """Hold the switch while `work` is done; returns why the run was told to end."""
    ended: list[str] = []

    async def main() -> None:
        context: Any = type("Context", (), {"beats": beats})()
        async with fed_dead_mans_switch(context, ended.append):
            await work(ended)

    asyncio.run(main())
    return ended


async def at_once(ended: list[str]) -> None:
    return None


async def until_told(ended: list[str]) -> None:
    for _ in range(100):
        await asyncio.sleep(0)


def test_the_first_beat_is_sent_before_anything_is_traded() -> None:
    beats = Beats("id-1")
    assert fed(beats, at_once) == []
    assert beats.named == [""]
    assert fed(None, at_once) == []  # on paper nothing is sent to the venue


def test_a_refused_first_beat_keeps_the_run_from_trading() -> None:
    with pytest.raises(AuthenticationFailed):
        fed(Beats(AuthenticationFailed("no such key")), at_once)


def test_a_run_whose_beats_are_refused_later_is_told_to_end() -> None:
    mismatch = HeartbeatMismatch("id-9")
    (why,) = fed(Beats(mismatch, AuthenticationFailed("revoked")), until_told)
    assert why == "the dead man's switch is not fed any more: revoked"


def test_an_error_that_nobody_foresaw_ends_the_run_and_is_not_raised_a_second_time() -> None:
    (why,) = fed(Beats(HeartbeatMismatch("id-9"), ValueError("odd")), until_told)
    assert why == "the dead man's switch is not fed any more: odd"
