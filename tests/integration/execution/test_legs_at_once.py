"""All legs of a hedge leave at once: reserved and written together, covered by one last look, matched together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration.execution.decide.gate.venue_states import MarketState
from orchestration.execution.reconcile import reconcile
from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.trade_signal import SignalTrader, TradeResult
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderAnswer, PreparedOrder
from streams.market.identity import Venue
from streams.market.trading import ExecutionState, MarketInfo, RefusalReason
from streams.storage.database import Connection, connect
from streams.storage.store.gate.reservations import held_back
from streams.storage.store.risk import set_switch
from tests.support.fake_venue import FakeVenue, fake_settings, look_again, rows, seed_group, seed_signal, set_books

pytestmark = pytest.mark.anyio

SLOW, FAST = Venue.POLYMARKET, Venue.KALSHI


class TimedVenue(FakeVenue):
    """A venue whose orders are matched, and answered, when the test says so."""

    def __init__(self, venue: Venue, connection: Connection, told: list[str]) -> None:
        super().__init__(venue, connection, list(Venue).index(venue), {})
        self.told = told
        self.delay_ms = 0
        self.on_leaving: Callable[[], object] = lambda: None
        self.answered = asyncio.Event()
        self.answered.set()

    async def market_state(self, market: MarketInfo) -> MarketState:
        return replace(await super().market_state(market), delay_ms=self.delay_ms)

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        order.check()
        self.told.append(f"{self.venue} leaves")
        self.on_leaving()
        answer = await super().send(replace(order, last_check=None))
        await self.answered.wait()
        self.told.append(f"{self.venue} is answered")
        return answer


class World:
    """A pair of markets on two such venues, 100 contracts at every level."""

    def __init__(self, connection: Connection, home: Path, **settings: Any) -> None:
        self.connection = connection
        self.told: list[str] = []
        self.venues = {venue: TimedVenue(venue, connection, self.told) for venue in Venue}
        self.context = TradingContext(fake_settings(home=home, legs_at_once=True, **settings), "live", self.venues)
        set_books(self.venues, random.Random(5))  # type: ignore[arg-type]
        for fake in self.venues.values():
            for levels in fake.asks.values():
                for level in levels:
                    level[1] = 100_000_000

    async def trade(self) -> TradeResult:
        await ensure_deposits(self.connection, self.context)
        return await SignalTrader(self.connection, self.context, "run").trade(seed_signal(self.connection, 1))

    def orders(self) -> list[dict[str, Any]]:
        return rows(
            self.connection,
            """SELECT o.venue, o.state, o.reason, i.purpose, i.size_e6, o.filled_e6, i.leg_no
               FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id) ORDER BY o.order_id""",
        )

    def detail(self) -> dict[str, Any]:
        return dict(rows(self.connection, "SELECT detail FROM trading.executions")[0]["detail"])


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    with connect(database) as connection:
        seed_group(connection)
        yield World(connection, tmp_path)


async def test_both_orders_leave_before_either_is_answered_the_slower_one_first(world: World) -> None:
    world.venues[SLOW].answered.clear()
    world.venues[FAST].on_leaving = world.venues[SLOW].answered.set
    result = await world.trade()
    assert result.state is ExecutionState.HEDGED, result
    assert world.told[:2] == [f"{SLOW} leaves", f"{FAST} leaves"]
    first, second = world.orders()
    assert {first["venue"], second["venue"]} == {SLOW, FAST}
    transactions = rows(world.connection, "SELECT count(DISTINCT xmin::text) AS n FROM trading.intents")
    assert transactions[0]["n"] == 1
    assert {first["purpose"], second["purpose"]} == {"open"}
    assert (
        rows(world.connection, "SELECT count(*) AS n FROM trading.gate_decisions WHERE execution_id > 0")[0]["n"] == 1
    )
    sends = world.detail()["sends"]
    # half the difference of the assumed round trips, 155 and 50 ms
    assert sorted(sends["planned_ms"]) == [0, 52]
    assert all(left >= planned for left, planned in zip(sends["left_ms"], sends["planned_ms"], strict=True))


async def test_what_was_compared_is_kept_with_the_decision(world: World) -> None:
    await world.trade()
    kept = rows(world.connection, "SELECT inputs, result FROM trading.plan_decisions")[0]
    assert kept["result"]["sending"]["is_at_once"] is True
    odds = dict(kept["inputs"]["headroom"]["v"]["odds"]["m"])
    assert odds["polymarket:0xtest1"]["v"]["match_ms"] == 77


async def test_all_legs_are_held_back_for_before_anything_leaves(world: World) -> None:
    held: list[int] = []

    def count() -> None:
        held.append(rows(world.connection, "SELECT count(*) AS n FROM trading.reservations")[0]["n"])

    world.venues[SLOW].on_leaving = count
    await world.trade()
    assert held == [2]


async def test_where_the_first_may_not_leave_none_does(world: World) -> None:
    send = world.venues[SLOW].send

    async def paused(order: PreparedOrder) -> OrderAnswer:
        set_switch(world.connection, "pause", "somebody", "now")
        return await send(order)

    world.venues[SLOW].send = paused  # type: ignore[method-assign]
    result = await world.trade()
    assert result.refusal is not None
    assert result.refusal.reason is RefusalReason.PAUSED
    assert world.told == []
    assert [order["state"] for order in world.orders()] == ["expired", "expired"]
    assert rows(world.connection, "SELECT state FROM trading.executions")[0]["state"] == "FLAT"


@pytest.mark.parametrize("switch", ["pause", "reduce"])
async def test_once_the_first_has_left_the_others_complete_it(world: World, switch: Any) -> None:
    world.venues[SLOW].on_leaving = lambda: set_switch(world.connection, switch, "somebody", "now")
    world.venues[SLOW].answered.clear()
    world.venues[FAST].on_leaving = world.venues[SLOW].answered.set
    result = await world.trade()
    assert result.state is ExecutionState.HEDGED, result


async def test_a_kill_between_the_two_keeps_the_second_back(world: World) -> None:
    """The look of the first covers the second for 100 ms at most; it leaves later than that here."""
    world.venues[SLOW].delay_ms = 200
    world.venues[SLOW].answered.clear()

    def kill() -> None:
        set_switch(world.connection, "kill", "somebody", "now")
        asyncio.get_running_loop().call_later(0.4, world.venues[SLOW].answered.set)

    world.venues[SLOW].on_leaving = kill
    result = await world.trade()
    assert result.state is ExecutionState.ESCALATED
    assert world.venues[FAST].sent == []


async def test_the_first_is_answered_before_the_second_leaves_and_decides_its_size(world: World) -> None:
    """A third of it is there: the second, held back for 252 ms, is bought in turn, as much as the answer says."""
    world.venues[SLOW].delay_ms = 200

    def shrink() -> None:
        for levels in world.venues[SLOW].asks.values():
            for level in levels:
                level[1] = 7_000_000

    world.venues[SLOW].on_leaving = shrink
    result = await world.trade()
    assert result.state is ExecutionState.HEDGED, result
    bought = {order["venue"]: order for order in world.orders() if order["state"] != "expired"}
    dropped = [order for order in world.orders() if order["state"] == "expired"]
    assert [order["venue"] for order in dropped] == [FAST]
    assert "answered before" in dropped[0]["reason"]
    assert bought[FAST]["size_e6"] <= bought[SLOW]["filled_e6"] < dropped[0]["size_e6"]


async def test_the_first_finds_nothing_and_nothing_else_is_bought(world: World) -> None:
    world.venues[SLOW].delay_ms = 200

    def empty() -> None:
        for levels in world.venues[SLOW].asks.values():
            for level in levels:
                level[1] = 0

    world.venues[SLOW].on_leaving = empty
    result = await world.trade()
    assert result.state is ExecutionState.FLAT, result
    assert world.venues[FAST].sent == []


async def test_the_first_leaves_only_while_the_last_still_can(database: str, tmp_path: Path) -> None:
    """The second is held back for 252 ms of a decision's life of 1,000; the first gets its turn after 900."""
    with connect(database) as connection:
        seed_group(connection)
        world = World(connection, tmp_path, decision_ttl_ms=1_000)
        world.venues[SLOW].delay_ms = 200
        send = world.venues[SLOW].send

        async def late(order: PreparedOrder) -> OrderAnswer:
            await asyncio.sleep(0.9)
            return await send(order)

        world.venues[SLOW].send = late  # type: ignore[method-assign]
        result = await world.trade()
        assert result.refusal is not None
        assert result.refusal.reason is RefusalReason.STALE_BOOK
        assert world.told == []


async def test_a_leg_that_finds_nothing_beside_one_that_fills_is_mended(world: World) -> None:
    def empty() -> None:
        for levels in world.venues[FAST].asks.values():
            for level in levels:
                level[0] = min(level[0] + 50, 9_900)  # half a cent dearer

    world.venues[SLOW].answered.clear()

    def leave() -> None:
        empty()
        world.venues[SLOW].answered.set()

    world.venues[FAST].on_leaving = leave
    result = await world.trade()
    assert result.state in (ExecutionState.HEDGED, ExecutionState.FLAT), result
    assert [order["purpose"] for order in world.orders()][2:] != []
    assert held_back(world.connection, "live") == []


async def test_a_market_that_holds_orders_for_a_second_is_bought_in_turn(world: World) -> None:
    world.venues[SLOW].delay_ms = 1_000
    result = await world.trade()
    assert result.state is ExecutionState.HEDGED, result
    assert world.told == [f"{SLOW} leaves", f"{SLOW} is answered", f"{FAST} leaves", f"{FAST} is answered"]
    assert world.detail()["plan"]["holds_ms"] == []


async def test_one_leg_that_alone_passes_the_cap_on_exposure_is_not_sent_with_another(
    database: str, tmp_path: Path
) -> None:
    """The order of the legs matters in turn only: the first has to fit the cap, the last need not."""
    with connect(database) as connection:
        seed_group(connection)
        world = World(connection, tmp_path, exposure_budget_usd=12)
        result = await world.trade()
        assert result.state is ExecutionState.HEDGED, result
        kept = rows(connection, "SELECT result FROM trading.plan_decisions")[0]["result"]
        assert kept["sending"]["why"] == "one leg alone would pass the cap on exposure"
        assert world.told[1] == f"{SLOW} is answered"


async def test_whoever_takes_over_between_the_two_sends_no_second_order_of_a_leg(world: World) -> None:
    """The process ends when both have left; another reads what became of them."""

    class Killed(BaseException):
        pass

    sends = {venue: fake.send for venue, fake in world.venues.items()}
    both = asyncio.Barrier(2)
    for venue, fake in world.venues.items():

        async def dies(order: PreparedOrder, venue: Venue = venue) -> OrderAnswer:
            await sends[venue](order)
            await both.wait()
            raise Killed

        fake.send = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await world.trade()
    for venue, fake in world.venues.items():
        fake.send = sends[venue]  # type: ignore[method-assign]
    world.connection.execute("UPDATE trading.leases SET expires_at = expires_at - interval '1 minute'")
    look_again(world.connection)
    await reconcile(world.connection, world.context, "other")
    assert {venue: len(fake.sent) for venue, fake in world.venues.items()} == {SLOW: 1, FAST: 1}
    assert rows(world.connection, "SELECT state FROM trading.executions")[0]["state"] == "HEDGED"
