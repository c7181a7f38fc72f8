"""The last look: whose epoch is over opens nothing, a late turn is refused at once, and no database means no order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from orchestration.execution.reconcile import reconcile
from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.trade_signal import SignalTrader, TradeResult
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderAnswer, OrderSpec, PreparedOrder
from streams.alerting.distress import take_notes
from streams.market.errors import OutcomeUnknown, TooLate
from streams.market.identity import Venue
from streams.market.trading import RefusalReason
from streams.storage.database import Connection, connect
from streams.storage.store.leases import acquire, process_holder
from tests.support.fake_venue import FakeVenue, fake_settings, look_again, rows, seed_group, seed_signal, set_books
from tests.support.waiting import eventually

FIRST, SECOND = Venue.POLYMARKET, Venue.KALSHI
Send = Callable[[PreparedOrder], Awaitable[OrderAnswer]]


class World:
    """A pair of markets on two fake venues, which keep a connection of their own."""

    def __init__(self, database: str, connection: Connection, home: Path) -> None:
        self.database, self.connection = database, connection
        self.venues = {venue: FakeVenue(venue, connection, index, {}) for index, venue in enumerate(Venue)}
        self.context = TradingContext(fake_settings(home=home), "live", self.venues)

    def instead(self, venue: Venue, act: Callable[[Send, PreparedOrder], Awaitable[OrderAnswer]]) -> None:
        """Let a venue do something else with the orders that are sent to it."""
        send = self.venues[venue].send

        async def acted(order: PreparedOrder) -> OrderAnswer:
            return await act(send, order)

        self.venues[venue].send = acted  # type: ignore[method-assign]

    async def trade(self, connection: Connection | None = None) -> TradeResult:
        await ensure_deposits(self.connection, self.context)
        set_books(self.venues, random.Random(5))
        for venue in self.venues.values():
            for levels in venue.asks.values():
                for level in levels:
                    level[1] = 100_000_000
        trader = SignalTrader(connection or self.connection, self.context, "run")
        return await trader.trade(seed_signal(self.connection, 1))

    def states(self) -> list[str]:
        return [row["state"] for row in rows(self.connection, "SELECT state FROM trading.orders ORDER BY order_id")]

    def sent(self) -> Mapping[Venue, int]:
        return {venue: len(fake.sent) for venue, fake in self.venues.items()}


def play(database: str, home: Path, story: Callable[[World], Awaitable[None]]) -> None:
    with connect(database) as connection:
        seed_group(connection)

        async def main() -> None:
            await story(World(database, connection, home))

        asyncio.run(main())


@pytest.mark.parametrize(("overtaken", "sent"), [(FIRST, (0, 0)), (SECOND, (1, 1))])
def test_who_lost_the_account_opens_nothing_and_finishes_what_is_open(
    database: str, tmp_path: Path, overtaken: Venue, sent: tuple[int, int]
) -> None:
    async def story(world: World) -> None:
        account = acquire(world.connection, "trader:live", process_holder("a"), "run", 60.0)
        world.context = replace(world.context, account=lambda: account)
        fake = world.venues[overtaken]
        prepare = fake.prepare

        def prepared(spec: OrderSpec) -> PreparedOrder:
            # between the decision and its order another run has taken the account
            world.connection.execute("UPDATE trading.leases SET epoch = epoch + 1 WHERE name = 'trader:live'")
            return prepare(spec)

        fake.prepare = prepared  # type: ignore[method-assign]
        result = await world.trade()
        assert (world.sent()[FIRST], world.sent()[SECOND]) == sent
        if overtaken is FIRST:
            assert result.refusal is not None
            assert result.refusal.reason is RefusalReason.NO_LEASE
        else:
            assert result.state == "HEDGED"

    play(database, tmp_path, story)


def test_an_account_that_is_lost_while_the_connection_is_waited_for_keeps_the_order_back(
    database: str, tmp_path: Path
) -> None:
    async def story(world: World) -> None:
        account = acquire(world.connection, "trader:live", process_holder("a"), "run", 60.0)
        world.context = replace(world.context, account=lambda: account)

        async def overtaken(send: Send, order: PreparedOrder) -> OrderAnswer:
            world.connection.execute("UPDATE trading.leases SET epoch = epoch + 1 WHERE name = 'trader:live'")
            order.check()  # as the transport does when the connection stands
            return await send(order)

        world.instead(FIRST, overtaken)
        result = await world.trade()
        assert result.refusal is not None
        assert result.refusal.reason is RefusalReason.NO_LEASE
        assert (world.states(), world.sent()[FIRST]) == (["expired"], 0)

    play(database, tmp_path, story)


def test_an_order_whose_turn_would_come_too_late_was_never_sent(database: str, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async def late(_send: Send, order: PreparedOrder) -> OrderAnswer:
            assert order.deadline is not None
            raise TooLate("the venue's request budget has room in 3.00 s, which is too late")

        world.instead(FIRST, late)
        result = await world.trade()
        assert result.refusal is not None
        assert (result.refusal.reason, "3.00 s" in result.refusal.detail) == (RefusalReason.STALE_BOOK, True)
        assert (world.states(), world.sent()[FIRST]) == (["expired"], 0)

    play(database, tmp_path, story)


def test_a_turn_that_comes_too_late_at_the_second_sending_leaves_the_first_one_unknown(
    database: str, tmp_path: Path
) -> None:
    async def story(world: World) -> None:
        answers: list[Exception] = [OutcomeUnknown("timeout"), TooLate("too late")]

        async def lost(send: Send, order: PreparedOrder) -> OrderAnswer:
            if len(answers) == 2:
                await send(order)
            if answers:
                raise answers.pop(0)
            return await send(order)

        world.instead(FIRST, lost)
        await world.trade()
        [first, *_] = rows(world.connection, "SELECT * FROM trading.orders ORDER BY order_id")
        assert answers == []
        assert first["filled_e6"] > 0  # it is read, not bought again
        assert world.sent()[FIRST] == 1

    play(database, tmp_path, story)


@pytest.mark.parametrize("moment", ["the first leg is answered", "the second leg is about to leave"])
def test_without_the_database_nothing_is_sent_and_when_it_is_back_it_is_reconciled_first(
    database: str, tmp_path: Path, moment: str
) -> None:
    async def story(world: World) -> None:
        with connect(database) as trading:

            def cut() -> None:
                world.connection.execute("SELECT pg_terminate_backend(%s)", (trading.info.backend_pid,))

            async def cut_afterwards(send: Send, order: PreparedOrder) -> OrderAnswer:
                answer = await send(order)
                cut()
                return answer

            async def cut_before(send: Send, order: PreparedOrder) -> OrderAnswer:
                cut()
                order.check()  # as the transport does when the connection stands
                return await send(order)

            if moment == "the first leg is answered":
                world.instead(FIRST, cut_afterwards)
            else:
                world.instead(SECOND, cut_before)
            with pytest.raises(psycopg.Error):
                await world.trade(trading)
        assert world.sent()[SECOND] == 0
        [note] = take_notes(tmp_path)  # the supervisor tells of it, without a database
        assert "execution 1 stands exposed with" in note
        assert take_notes(tmp_path) == []
        await _mended(world)

    play(database, tmp_path, story)


async def _mended(world: World) -> None:
    """Take the hedge over: what was sent is read before anything else is."""
    happened: list[str] = []
    for venue, fake in world.venues.items():
        _noted(fake, venue, happened)
        fake.send = FakeVenue.send.__get__(fake)  # type: ignore[method-assign]
    world.connection.execute("UPDATE trading.leases SET released_at = now()")
    for _ in range(10):
        look_again(world.connection)
        await asyncio.sleep(0.05)  # an order that never arrived is absent after 0.2 s
        await reconcile(world.connection, world.context, "heir")
    [execution] = rows(world.connection, "SELECT * FROM trading.executions")
    assert execution["state"] == "HEDGED"
    assert happened.index(f"read {FIRST}") < happened.index(f"prepare {SECOND}")
    held = [sum(fake.held.values()) for fake in world.venues.values()]
    assert held[0] == held[1] > 0


def _noted(fake: FakeVenue, venue: Venue, happened: list[str]) -> None:
    read, prepare = fake.read, fake.prepare

    async def noted_read(key: Any) -> Any:
        happened.append(f"read {venue}")
        return await read(key)

    def noted_prepare(spec: OrderSpec) -> PreparedOrder:
        happened.append(f"prepare {venue}")
        return prepare(spec)

    fake.read, fake.prepare = noted_read, noted_prepare  # type: ignore[method-assign]


def test_the_leases_of_a_hedge_are_prolonged_while_a_venue_is_waited_for(database: str, tmp_path: Path) -> None:
    beats = "SELECT min(heartbeat_at) AS at FROM trading.leases WHERE name LIKE 'market:%'"

    async def story(world: World) -> None:
        async def slow(send: Send, order: PreparedOrder) -> OrderAnswer:
            for _ in range(2):
                before = rows(world.connection, beats)
                await asyncio.to_thread(eventually, lambda before=before: rows(watching, beats) != before, 60)
            return await send(order)

        world.instead(SECOND, slow)
        with connect(database) as watching:
            assert (await world.trade()).state == "HEDGED"

    play(database, tmp_path, story)
