"""The next leg is sized from the answer to the one before; what is booked comes from the fills, read later."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orchestration.execution.account_news import AccountNews
from orchestration.execution.decide.execution_detail import execution_detail
from orchestration.execution.reconcile import reconcile
from orchestration.execution.sending.send_orders import OrderSender
from orchestration.execution.settlement import compare_balances, ensure_deposits
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderAnswer, OrderKey, OrderReading, PreparedOrder
from streams.market.identity import Venue
from streams.market.trading import ExecutionState
from streams.market.user_stream_events import OrderUpdate
from streams.storage.database import Connection, connect
from tests.support.fake_venue import (
    POLYMARKET_MARKET,
    FakeVenue,
    fake_settings,
    look_again,
    rows,
    seed_group,
    seed_signal,
    set_books,
)


class Told(FakeVenue):
    """Notes what it was asked for, and shows an order only after it was asked for it a few times."""

    log: list[str]
    hides = 2

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        self.log.append(f"{self.venue} send")
        return await super().send(order)

    async def read(self, key: OrderKey) -> OrderReading:
        self.log.append(f"{self.venue} read")
        if self.hides:
            self.hides -= 1
            return OrderReading(is_found=False)
        return await super().read(key)


def told(connection: Connection, **faults: float) -> tuple[TradingContext, dict[Venue, Told], list[str]]:
    seed_group(connection)
    venues = {venue: Told(venue, connection, index, faults) for index, venue in enumerate(Venue)}
    log: list[str] = []
    for venue in venues.values():
        venue.log = log
    set_books(venues, random.Random(5))
    return TradingContext(fake_settings(), "live", venues), venues, log


def trade(database: str, play: Callable[[Connection], Any]) -> None:
    with connect(database) as connection:
        asyncio.run(play(connection))


def test_the_second_leg_leaves_before_the_first_is_read_and_the_books_come_out_even(database: str) -> None:
    async def play(connection: Connection) -> None:
        context, _, log = told(connection)
        await ensure_deposits(connection, context)
        outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
        assert outcome.state is ExecutionState.HEDGED, outcome
        assert log[:2] == ["polymarket send", "kalshi send"]
        for order in rows(connection, "SELECT * FROM trading.orders"):
            assert order["is_answered_final"]
            assert order["answered_e6"] == order["seen_e6"] == order["filled_e6"] > 0
            assert order["state"] == "filled"
        for _ in range(10):
            await reconcile(connection, context, "run")
        assert [balance.difference_e6 for balance in await compare_balances(connection, context)] == [0, 0]

    trade(database, play)


def test_an_answer_that_states_no_end_is_read_before_anything_else_leaves(database: str) -> None:
    async def play(connection: Connection) -> None:
        context, _, log = told(connection, no_counts=1.0)
        await ensure_deposits(connection, context)
        outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
        assert outcome.state is ExecutionState.HEDGED, outcome
        assert log[:5] == ["polymarket send", *["polymarket read"] * 3, "kalshi send"]

    trade(database, play)


def test_an_order_that_was_answered_has_arrived_however_long_its_reads_are_silent(database: str) -> None:
    async def play(connection: Connection) -> None:
        context, venues, _ = told(connection)
        await ensure_deposits(connection, context)
        for venue in venues.values():
            venue.hides = 1_000
        context = TradingContext(fake_settings(execution_max_s=1.0, unknown_absent_after_s=0.1), "live", venues)
        outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
        assert outcome.state is ExecutionState.HEDGED, outcome
        assert {order["state"] for order in rows(connection, "SELECT state FROM trading.orders")} == {"sent"}
        # what nobody has read yet keeps its market, and the hedge all that it held back
        reserved = rows(connection, "SELECT sum(reserved_e6)::bigint AS e6 FROM trading.exposure")[0]["e6"]
        assert reserved >= rows(connection, "SELECT sum(reserved_e6)::bigint AS e6 FROM trading.intents")[0]["e6"]
        for venue in venues.values():
            venue.hides = 0
        for _ in range(10):
            look_again(connection)
            await reconcile(connection, context, "next")
        assert {order["state"] for order in rows(connection, "SELECT state FROM trading.orders")} == {"filled"}
        assert rows(connection, "SELECT state FROM trading.executions") == [{"state": "HEDGED"}]
        assert [balance.difference_e6 for balance in await compare_balances(connection, context)] == [0, 0]

    trade(database, play)


class Short(Told):
    """Answers one contract less than it filled on Kalshi."""

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        answer = await super().send(order)
        if self.venue is Venue.POLYMARKET:
            return answer
        return OrderAnswer(answer.venue_order_id, True, answer.filled_e6 - 1_000_000, answer.cash_e6, answer.fee_e6)


@pytest.mark.parametrize("hides", [0, 3])
def test_what_is_read_beyond_the_answer_counts_and_is_booked_once(database: str, hides: int) -> None:
    async def play(connection: Connection) -> None:
        seed_group(connection)
        venues = {venue: Short(venue, connection, index, {}) for index, venue in enumerate(Venue)}
        for venue in venues.values():
            venue.log, venue.hides = [], hides
        set_books(venues, random.Random(5))
        # A venue that never says the truth keeps a hedge busy until its time is over.
        context = TradingContext(fake_settings(execution_max_s=4.0), "live", venues)
        await ensure_deposits(connection, context)
        await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
        for _ in range(12):
            await reconcile(connection, context, "run")
        assert [balance.difference_e6 for balance in await compare_balances(connection, context)] == [0, 0]
        fills = rows(connection, "SELECT order_id, sum(contracts_e6)::bigint AS size FROM trading.fills GROUP BY 1")
        stated = rows(connection, "SELECT order_id, seen_e6 FROM trading.orders WHERE seen_e6 > 0")
        assert {row["order_id"]: row["size"] for row in fills} == {row["order_id"]: row["seen_e6"] for row in stated}

    trade(database, play)


def test_an_order_is_read_as_soon_as_its_venue_says_that_it_changed(database: str) -> None:
    """With a minute between two reads, only the user stream tells in time that an order can be read."""

    class Late(Told):
        async def read(self, key: OrderKey) -> OrderReading:
            found = await super().read(key)
            if not found.is_found:
                asyncio.get_running_loop().call_soon(
                    news.note,
                    OrderUpdate(self.venue, "", "M", "filled", "bid", 1, 1, 1, 0, client_order_id=key.client_order_id),
                )
            return found

    news = AccountNews([])

    async def play(connection: Connection) -> None:
        seed_group(connection)
        venues = {venue: Late(venue, connection, index, {"no_counts": 1.0}) for index, venue in enumerate(Venue)}
        for venue in venues.values():
            venue.log = []
        set_books(venues, random.Random(5))
        context = TradingContext(fake_settings(order_poll_ms=60_000), "live", venues, news)
        await ensure_deposits(connection, context)
        async with asyncio.timeout(50):
            outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
        assert outcome.state is ExecutionState.HEDGED, outcome

    trade(database, play)


# -- mending -----------------------------------------------------------------------------------------------------------


class Fading(FakeVenue):
    """Kalshi's makers step back by a few ticks as soon as the first leg has been sent."""

    fade_e4 = 0

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        for levels in self.asks.values():
            for level in levels:
                level[0] += self.fade_e4
        self.fade_e4 = 0
        return await super().send(order)


def fading(connection: Connection, fade_e4: int, **settings: Any) -> tuple[TradingContext, dict[Venue, Fading]]:
    seed_group(connection)
    venues = {venue: Fading(venue, connection, index, {}) for index, venue in enumerate(Venue)}
    set_books(venues, random.Random(5))
    venues[Venue.KALSHI].fade_e4 = fade_e4
    return TradingContext(fake_settings(**settings), "live", venues), venues


def test_a_fade_between_the_legs_is_completed_at_the_new_price_while_that_is_the_cheapest(database: str) -> None:
    async def play(connection: Connection) -> None:
        context, _ = fading(connection, 200)
        await ensure_deposits(connection, context)
        outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
        assert outcome.state is ExecutionState.HEDGED, outcome
        orders = rows(connection, "SELECT purpose, action, venue FROM trading.intents ORDER BY intent_id")
        assert [(order["purpose"], order["venue"]) for order in orders[:3]] == [
            ("open", "polymarket"),
            ("open", "kalshi"),
            ("complete", "kalshi"),
        ]
        [event] = rows(connection, "SELECT detail FROM trading.execution_events WHERE state = 'COMPLETING'")
        marks = event["detail"]
        assert marks["way"] == "complete"
        assert marks["target_e4"] < marks["limit_price_e4"] <= marks["stop_e4"]
        assert marks["target_e4"] < marks["break_even_e4"] < marks["stop_e4"]
        assert marks["result_e6"] > 0 > marks["held_e6"]
        [execution] = rows(connection, "SELECT expected_pnl_e6, detail FROM trading.executions")
        assert 0 < execution["expected_pnl_e6"] < execution["detail"]["planned_profit_e6"]

    trade(database, play)


def test_a_fade_that_no_way_mends_within_the_loss_bound_is_held_and_told_to_a_person(database: str) -> None:
    async def play(connection: Connection) -> None:
        context, venues = fading(connection, 3_000, execution_max_s=0.5)
        for levels in venues[Venue.POLYMARKET].asks.values():
            for level in levels[:1]:
                level[1] = 200_000_000
        venues[Venue.POLYMARKET].asks[POLYMARKET_MARKET, "yes"] = [[9_000, 100_000_000]]
        await ensure_deposits(connection, context)
        outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
        assert outcome.state is ExecutionState.ESCALATED, outcome
        # nothing is sold at 0.10, nor bought at a price that loses more than the bound
        assert [row["purpose"] for row in rows(connection, "SELECT purpose FROM trading.intents")] == ["open", "open"]
        assert rows(connection, "SELECT 1 FROM trading.alerts WHERE kind = 'escalated'")

    trade(database, play)


def test_the_excess_of_a_netting_venue_is_sold_to_reduce_only_unless_others_hold_against_it(database: str) -> None:
    async def play(connection: Connection) -> None:
        context, _ = fading(connection, 0)
        await ensure_deposits(connection, context)
        trader = SignalTrader(connection, context, "run")
        await trader.trade(seed_signal(connection, 1))
        sender = OrderSender(connection, context, [])
        leg = execution_detail(rows(connection, "SELECT detail FROM trading.executions")[0]["detail"]).plan.legs[1]
        assert (leg.venue, leg.outcome) == (Venue.KALSHI, "yes")
        assert sender._is_reducing(1, leg)
        assert sender._is_reducing(2, leg)
        assert not sender._is_reducing(2, replace(leg, outcome="no"))

    trade(database, play)
