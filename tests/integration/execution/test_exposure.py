"""Exposure is a fact in rows: it is summed over restarts, and its two budgets act whatever is waited for."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from orchestration.execution.decide.exposure import Moment
from orchestration.execution.reconcile import reconcile
from orchestration.execution.run_execution import _LAST_STEP_S, _WATCH_S
from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderAnswer, PreparedOrder
from streams.market.identity import Venue
from streams.market.trading import BootTime
from streams.process_id import ProcessId
from streams.storage.database import Connection, connect
from streams.storage.store.gate.reservations import held_back
from streams.storage.store.hedges.abandoned import load_abandoned
from tests.support.fake_venue import FakeVenue, fake_settings, rows, seed_group, seed_signal, set_books

GONE = f"{socket.gethostname()}:{replace(ProcessId.own(), ticks=1)}"
"""A process of this host that is not there any more."""
START = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Killed(BaseException):
    """The process dies here."""


class Clock:
    """The present of a test, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> Moment:
        return Moment(BootTime("boot", int(self.seconds * 1_000)), START + timedelta(seconds=self.seconds))


class Story:
    """A pair of markets, and what happens when its second leg is sent to Kalshi."""

    def __init__(self, connection: Connection, **settings: Any) -> None:
        self.connection, self.clock = connection, Clock()
        self.venues = {venue: FakeVenue(venue, connection, index, {}) for index, venue in enumerate(Venue)}
        self.context = TradingContext(fake_settings(**settings), "live", self.venues, moment=self.clock)

    def when_second_leg_leaves(self, act: Callable[[], Awaitable[None]]) -> None:
        kalshi, send = self.venues[Venue.KALSHI], self.venues[Venue.KALSHI].send

        async def acted(order: PreparedOrder) -> OrderAnswer:
            await act()
            return await send(order)

        kalshi.send = acted  # type: ignore[method-assign]

    async def trade(self) -> None:
        await ensure_deposits(self.connection, self.context)
        set_books(self.venues, random.Random(5))
        for venue in self.venues.values():
            for levels in venue.asks.values():
                for level in levels:
                    level[1] = 100_000_000
        await SignalTrader(self.connection, self.context, "run").trade(seed_signal(self.connection, 1))

    def execution(self) -> dict[str, Any]:
        return rows(self.connection, "SELECT * FROM trading.executions")[0]

    def alerts(self) -> set[str]:
        return {
            row["kind"] for row in rows(self.connection, "SELECT kind FROM trading.alerts WHERE cleared_at IS NULL")
        }

    async def sees(self, alert: str) -> bool:
        """Whether an alert is raised within half a minute."""
        for _ in range(3_000):
            if alert in self.alerts():
                return True
            await asyncio.sleep(0.01)
        return False


def play(database: str, story: Callable[[Story], Awaitable[None]], **settings: Any) -> None:
    with connect(database) as connection:
        seed_group(connection)

        async def main() -> None:
            await story(Story(connection, **settings))

        asyncio.run(main())


def test_the_first_budget_alarms_while_an_order_is_waited_for_and_the_hedge_goes_on(database: str) -> None:
    async def story(world: Story) -> None:
        async def slow() -> None:
            assert world.alerts() == set()
            # some 20 dollars stand alone: a dollar second is used up in the twentieth part of a second
            world.clock.seconds += 0.1
            told.append(await world.sees("exposed"))

        told: list[bool] = []
        world.when_second_leg_leaves(slow)
        await world.trade()
        assert told == [True]
        assert world.execution()["state"] == "HEDGED"
        assert world.alerts() == set()

    play(database, story, exposure_alarm_usd_s=Decimal(1))


def test_a_budget_that_is_used_up_is_seen_within_a_second() -> None:
    assert _WATCH_S + _LAST_STEP_S < 1


def test_the_second_budget_ends_a_hedge_that_waits_for_a_venue_and_keeps_its_order(database: str) -> None:
    async def story(world: Story) -> None:
        async def never() -> None:
            world.clock.seconds += 35
            await asyncio.sleep(3_600)

        world.when_second_leg_leaves(never)
        await asyncio.wait_for(world.trade(), 60)
        execution = world.execution()
        assert (execution["state"], execution["detail"]["why"]) == ("ESCALATED", "exposed for too long")
        assert set(world.alerts()) == {"exposed", "escalated"}
        assert execution["detail"]["exposure_e6_s"] >= 600_000_000
        # it may have arrived: it is looked for, nothing is bought again for it, and its reservation stays
        sent = rows(world.connection, "SELECT state FROM trading.orders ORDER BY order_id")
        assert sent[1]["state"] == "sent"
        assert sum(held.cash_e6 for held in held_back(world.connection, "live") if held.venue == "kalshi") > 0

    play(database, story)


@pytest.mark.parametrize(("away_s", "end"), [(7, "HEDGED"), (60, "ESCALATED")])
def test_who_takes_over_after_a_kill_between_the_legs_counts_the_time_nobody_worked_on_it(
    database: str, away_s: int, end: str
) -> None:
    async def story(world: Story) -> None:
        async def die() -> None:
            assert load_abandoned(world.connection, "live") == []
            world.connection.execute("UPDATE trading.leases SET holder = %s", (GONE,))
            raise Killed

        kalshi, send = world.venues[Venue.KALSHI], world.venues[Venue.KALSHI].send
        world.when_second_leg_leaves(die)
        with pytest.raises(Killed):
            await world.trade()
        execution_id, exposed = world.execution()["execution_id"], world.execution()["detail"]["exposed"]["level_e6"]
        assert exposed > 19_000_000
        kalshi.send = send  # type: ignore[method-assign]
        world.clock.seconds += away_s
        assert load_abandoned(world.connection, "live") == [execution_id]  # the sensor starts a settlement cycle
        for _ in range(3):
            await reconcile(world.connection, world.context, "heir")
        execution = world.execution()
        assert load_abandoned(world.connection, "live") == []
        assert execution["state"] == end
        spent = execution["detail"]["exposure_e6_s"]
        assert spent >= away_s * exposed
        assert (spent < 600_000_000) == (end == "HEDGED")
        assert world.alerts() == ({"escalated"} if end == "ESCALATED" else set())

    play(database, story)
