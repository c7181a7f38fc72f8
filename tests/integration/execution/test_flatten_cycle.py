"""A person's flatten, from the command to its result, against the fake venues; and orders that turn up late."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from app.operator_actions import ask_flatten
from orchestration.execution import run_execution
from orchestration.execution.settlement import compare_balances, ensure_deposits
from orchestration.execution.settlement_cycle import run_cycle
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderKey, OrderReading, PreparedOrder
from streams.market.errors import OutcomeUnknown
from streams.market.identity import Venue
from streams.market.trading import ExecutionState
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.store.risk import set_switch
from streams.storage.store.signals import load_actionable
from tests.support.fake_venue import (
    KALSHI_MARKET,
    POLYMARKET_MARKET,
    FakeVenue,
    fake_settings,
    look_again,
    make_context,
    rows,
    seed_group,
    seed_signal,
    set_books,
)

START = 20_000_000_000


class World:
    """A hedged pair on two fake venues."""

    def __init__(self, connection: Connection, faults: dict[str, float], seed: int, settings: Settings) -> None:
        self.connection = connection
        self.context: TradingContext
        self.venues: dict[Venue, FakeVenue]
        self.context, self.venues = make_context(connection, faults, seed, settings)

    async def hedge(self) -> int:
        await ensure_deposits(self.connection, self.context)
        set_books(self.venues, random.Random(5))
        outcome = await SignalTrader(self.connection, self.context, "run").trade(seed_signal(self.connection, 1))
        assert outcome.execution_id is not None, outcome
        self.quote()
        return outcome.execution_id

    def quote(self) -> None:
        """Quote as before, with room for everything that is held."""
        set_books(self.venues, random.Random(5))
        for fake in self.venues.values():
            for levels in fake.asks.values():
                for level in levels:
                    level[1] = 100_000_000

    async def cycles(self, number: int = 1) -> None:
        for _ in range(number):
            await run_cycle(self.connection, self.context, "cycle")

    def command(self) -> dict[str, Any]:
        return rows(self.connection, "SELECT * FROM trading.commands ORDER BY command_id DESC LIMIT 1")[0]

    def execution(self) -> dict[str, Any]:
        return rows(self.connection, "SELECT * FROM trading.executions")[0]

    def purposes(self) -> set[str]:
        return {row["purpose"] for row in rows(self.connection, "SELECT purpose FROM trading.intents")}

    def open_alerts(self) -> set[str]:
        return {
            row["kind"] for row in rows(self.connection, "SELECT kind FROM trading.alerts WHERE cleared_at IS NULL")
        }

    def take_bids(self, venue: Venue, market: str) -> None:
        for outcome in ("yes", "no"):
            self.venues[venue].asks[market, outcome] = []

    async def assert_balanced(self) -> None:
        assert [balance.difference_e6 for balance in await compare_balances(self.connection, self.context)] == [0, 0]

    @property
    def profit(self) -> int:
        return sum(fake.cash for fake in self.venues.values()) - START


Story = Callable[[World], Coroutine[Any, Any, None]]


def play(database: str, story: Story, faults: dict[str, float] | None = None, seed: int = 1, **settings: float) -> None:
    with connect(database) as connection:
        seed_group(connection)
        asyncio.run(story(World(connection, faults or {}, seed, fake_settings(**settings))))


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """`hurry()`: from now on an execution is overdue after some 150 looks at it, however long they take."""

    def begin() -> None:
        looks = itertools.count()
        step = fake_settings().execution_max_s / 150  # the clock is read once a look
        monkeypatch.setattr(run_execution, "time", SimpleNamespace(monotonic=lambda: next(looks) * step))

    return begin


def test_a_flattened_hedge_holds_nothing_and_its_loss_is_the_change_of_cash(database: str) -> None:
    async def story(world: World) -> None:
        execution_id = await world.hedge()
        ask_flatten(world.connection, execution_id, who="mara")
        await world.cycles(12)  # the last ones follow the sales until they are confirmed
        execution, command = world.execution(), world.command()
        assert command["result"].startswith("FLAT: "), command
        assert command["taken_at"] < command["done_at"]
        assert execution["state"] == "FLAT"
        assert world.purposes() == {"open", "flatten"}
        ledger = rows(world.connection, "SELECT * FROM trading.ledger WHERE execution_id IS NOT NULL")
        assert sum(row["cash_e6"] for row in ledger) == world.profit < 0
        left = sum(row["contracts_e6"] for row in ledger)
        assert left < 20_000  # nothing, but for what is below a step
        assert execution["realised_pnl_e6"] == (None if left else world.profit)
        await world.assert_balanced()
        assert world.open_alerts() == set()
        # the signal is still open, and what a person sold is not bought again
        assert load_actionable(world.connection, 0, 9, 9) == []

    play(database, story)


@pytest.mark.parametrize("switch", ["pause", "reduce"])
def test_a_flatten_sells_while_nothing_new_may_open(database: str, switch: str) -> None:
    async def story(world: World) -> None:
        execution_id = await world.hedge()
        set_switch(world.connection, switch, "tester")  # type: ignore[arg-type]
        ask_flatten(world.connection, execution_id, who="mara")
        await world.cycles()
        assert world.execution()["state"] == "FLAT"

    play(database, story)


def test_a_flatten_under_a_kill_is_refused_and_nothing_leaves(database: str) -> None:
    async def story(world: World) -> None:
        execution_id = await world.hedge()
        sent = sum(len(fake.sent) for fake in world.venues.values())
        set_switch(world.connection, "kill", "tester")
        ask_flatten(world.connection, execution_id, who="mara")
        await world.cycles()
        assert world.command()["result"] == "refused: trading is killed"
        assert world.execution()["state"] == "HEDGED"
        assert sum(len(fake.sent) for fake in world.venues.values()) == sent

    play(database, story)


def test_a_flatten_waits_for_the_run_that_works_on_its_markets(database: str) -> None:
    async def story(world: World) -> None:
        execution_id = await world.hedge()
        ask_flatten(world.connection, execution_id, who="mara")
        world.connection.execute(
            """UPDATE trading.leases SET holder = 'other', released_at = NULL, expires_at = now() + interval '1 minute'
               WHERE name = %s""",
            (f"market:kalshi:{KALSHI_MARKET}",),
        )
        await world.cycles()
        assert world.command()["done_at"] is None
        world.connection.execute("UPDATE trading.leases SET released_at = now()")
        await world.cycles()
        assert world.execution()["state"] == "FLAT"

    play(database, story)


def test_a_hedge_with_a_leg_nobody_buys_is_kept_whole_until_somebody_does(
    database: str, hurry: Callable[[], None]
) -> None:
    async def story(world: World) -> None:
        execution_id = await world.hedge()
        hurry()
        world.take_bids(Venue.KALSHI, KALSHI_MARKET)
        ask_flatten(world.connection, execution_id, who="mara")
        await world.cycles()
        assert world.command()["result"] == f"HEDGED: no bid for yes of kalshi:{KALSHI_MARKET} within the bound"
        assert world.execution()["state"] == "HEDGED"
        assert world.purposes() == {"open"}
        assert world.open_alerts() == {"flatten"}
        world.quote()
        ask_flatten(world.connection, execution_id, who="mara")
        await world.cycles()
        assert world.execution()["state"] == "FLAT"
        assert world.open_alerts() == set()

    play(database, story)


def test_a_leg_that_loses_its_bids_in_the_middle_is_escalated_with_an_alarm(
    database: str, hurry: Callable[[], None]
) -> None:
    async def story(world: World) -> None:
        execution_id = await world.hedge()
        hurry()
        ask_flatten(world.connection, execution_id, who="mara")
        for venue, other, market in (
            (Venue.KALSHI, Venue.POLYMARKET, POLYMARKET_MARKET),
            (Venue.POLYMARKET, Venue.KALSHI, KALSHI_MARKET),
        ):
            send = world.venues[venue].send

            async def sold(order: PreparedOrder, send: Any = send, other: Venue = other, market: str = market) -> Any:
                answer = await send(order)
                world.take_bids(other, market)
                return answer

            world.venues[venue].send = sold  # type: ignore[method-assign]
        await world.cycles()
        assert world.command()["result"].startswith("ESCALATED: no bid for ")
        assert world.execution()["state"] == "ESCALATED"
        assert world.open_alerts() == {"escalated", "flatten"}
        await world.assert_balanced()
        world.connection.execute("UPDATE raw.market_state SET status = 'settled', result = 'no', settlement_e4 = 0")
        for venue, market in ((Venue.KALSHI, KALSHI_MARKET), (Venue.POLYMARKET, POLYMARKET_MARKET)):
            world.venues[venue].settled[market] = world.venues[venue].paid[market] = 0
        await world.cycles(2)
        assert world.execution()["settled_at"] is not None
        assert world.open_alerts() == set(), "what was paid out exposes nobody"

    play(database, story)


def test_thin_bids_are_sold_into_piece_by_piece_and_never_below_the_bound(
    database: str, hurry: Callable[[], None]
) -> None:
    async def story(world: World) -> None:
        execution_id = await world.hedge()
        hurry()
        for levels in (levels for fake in world.venues.values() for levels in fake.asks.values()):
            for level in levels:
                level[1] = 2_000_000
            levels.append([levels[0][0] + 600, 100_000_000])  # beyond the bound of five cents
        ask_flatten(world.connection, execution_id, who="mara")
        await world.cycles()
        sales = rows(world.connection, "SELECT * FROM trading.intents WHERE purpose = 'flatten' ORDER BY intent_id")
        assert {row["leg_no"] for row in sales} == {0, 1}
        assert sum(row["size_e6"] for row in sales if row["leg_no"] == 0) == 6_000_000
        assert world.execution()["state"] == "HEDGED"  # smaller, and still whole
        assert "within the bound" in world.command()["result"]
        await world.assert_balanced()

    play(database, story)


@pytest.mark.parametrize("dies_at", [1, 2])
def test_a_flatten_whose_round_dies_is_finished_by_the_next_one(database: str, dies_at: int) -> None:
    async def story(world: World) -> None:
        execution_id = await world.hedge()
        ask_flatten(world.connection, execution_id, who="mara")
        sends, calls = {venue: fake.send for venue, fake in world.venues.items()}, 0
        for venue, fake in world.venues.items():

            async def killed(order: PreparedOrder, venue: Venue = venue) -> Any:
                nonlocal calls
                answer = await sends[venue](order)
                calls += 1
                if calls == dies_at:
                    raise KeyboardInterrupt
                return answer

            fake.send = killed  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            await world.cycles()
        assert world.execution()["state"] == "UNWINDING"
        assert world.command()["done_at"] is None
        for venue, fake in world.venues.items():
            fake.send = sends[venue]  # type: ignore[method-assign]
        await world.cycles(3)
        assert world.execution()["state"] == "FLAT"
        assert world.command()["result"].startswith("FLAT: ")
        bought = rows(world.connection, "SELECT count(*) AS n FROM trading.intents WHERE action = 'buy'")[0]["n"]
        assert bought == 2  # nothing was bought back
        await world.assert_balanced()

    play(database, story)


FAULTS = {
    "rejects": {"reject": 0.4},
    "lost": {"lost_response": 0.3, "lost_request": 0.2, "late": 0.3},
    "failed": {"failed_settlement": 0.4},
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_whatever_the_venues_do_a_flatten_has_a_result_and_the_ledger_equals_their_cash(
    database: str, name: str
) -> None:
    async def story(world: World) -> None:
        source, trader = random.Random(3), SignalTrader(world.connection, world.context, "run")
        await ensure_deposits(world.connection, world.context)
        for number in range(6):
            set_books(world.venues, source)
            outcome = await trader.trade(seed_signal(world.connection, number))
            open_ = rows(
                world.connection, "SELECT settled_at FROM trading.executions ORDER BY execution_id DESC LIMIT 1"
            )
            if outcome.execution_id is not None and open_[0]["settled_at"] is None:
                ask_flatten(world.connection, outcome.execution_id, who="mara")
            await world.cycles()
        set_books(world.venues, source)
        await world.cycles(20)
        assert not rows(world.connection, "SELECT * FROM trading.commands WHERE result IS NULL")
        for row in rows(world.connection, "SELECT * FROM trading.executions"):
            assert row["state"] in ("HEDGED", "FLAT", "ESCALATED")
        await world.assert_balanced()

    play(database, story, FAULTS[name], 11, execution_max_s=1.0)  # being overdue is one of the ends that may be


@pytest.mark.parametrize("switch", ["run", "kill"])
def test_an_order_that_was_given_up_and_filled_after_all_is_booked_and_sold_again(database: str, switch: str) -> None:
    async def story(world: World) -> None:
        kalshi = world.venues[Venue.KALSHI]
        send, read, hidden, lost = kalshi.send, kalshi.read, set[str](), set[str]()

        async def lose_first(order: PreparedOrder) -> str | None:
            if not lost:
                lost.add(order.client_order_id)
                hidden.add(order.client_order_id)
                await send(order)
                raise OutcomeUnknown("timeout")
            if order.client_order_id in hidden:
                raise OutcomeUnknown("timeout")
            return await send(order)

        async def hide(key: OrderKey) -> OrderReading:
            return OrderReading(is_found=False) if key.client_order_id in hidden else await read(key)

        kalshi.send, kalshi.read = lose_first, hide  # type: ignore[method-assign]
        await world.hedge()
        given_up = rows(world.connection, "SELECT * FROM trading.orders WHERE reason = 'the venue never saw it'")
        assert [row["state"] for row in given_up] == ["expired"]
        await world.cycles(12)
        before = world.execution()["state"]
        assert before in ("HEDGED", "FLAT")
        hidden.clear()
        look_again(world.connection)
        set_switch(world.connection, switch, "tester")  # type: ignore[arg-type]
        await world.cycles(3)
        order = rows(world.connection, f"SELECT * FROM trading.orders WHERE order_id = {given_up[0]['order_id']}")[0]
        assert order["state"] in ("filled", "partial")
        assert rows(world.connection, "SELECT * FROM trading.alerts WHERE kind = 'late_fill'")
        await world.assert_balanced()
        if switch == "kill":
            assert world.execution()["state"] == "ESCALATED"
            assert world.open_alerts() == {"escalated", "kill", "late_fill"}
            return
        assert world.execution()["state"] == before
        assert "unwind" in world.purposes()
        assert world.open_alerts() == set()
        assert ExecutionState.UNWINDING in {
            row["state"] for row in rows(world.connection, "SELECT * FROM trading.execution_events")
        }

    play(database, story)
