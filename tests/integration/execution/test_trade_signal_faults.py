"""What a venue or a crash can do between two writes: nothing is lost, sent twice, sent late, or left resting."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest

from orchestration.execution import settlement_cycle
from orchestration.execution.decide.exposure import Moment
from orchestration.execution.follow_orders import OrderFollower
from orchestration.execution.reconcile import reconcile
from orchestration.execution.sending.send_orders import OrderSender
from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OpenOrder, OrderAnswer, OrderKey, OrderReading, PreparedOrder
from streams.market.errors import OutcomeUnknown, TransientError, Unavailable
from streams.market.events import BookSnapshot
from streams.market.identity import Venue
from streams.market.trading import BootTime, ExecutionState, Target
from streams.storage.database import Connection, connect
from streams.storage.store import orders
from streams.storage.store.risk import set_switch
from tests.support.fake_venue import (
    FakeVenue,
    fake_settings,
    look_again,
    make_context,
    rows,
    seed_group,
    seed_signal,
    set_books,
)


class Killed(BaseException):
    """The process dies here."""


def dies(*_args: Any, **_more: Any) -> None:
    """Stand where a process is killed."""
    raise Killed


async def hedged(connection: Connection, context: TradingContext, venues: Mapping[Venue, FakeVenue]) -> None:
    seed_group(connection)
    await ensure_deposits(connection, context)
    set_books(venues, random.Random(5))
    outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
    assert outcome.state is ExecutionState.HEDGED, outcome


def test_a_crash_right_after_a_failed_settlement_was_noted_still_hedges_anew(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = make_context(connection, {"failed_settlement": 1.0}, 1, fake_settings())
            polymarket = venues[Venue.POLYMARKET]
            monkeypatch.setattr(polymarket, "_random", Never())
            await hedged(connection, context, venues)
            monkeypatch.setattr(polymarket, "_random", random.Random(1))
            resolve = OrderFollower.resolve

            async def dies_afterwards(self: OrderFollower, *args: Any) -> None:
                await resolve(self, *args)
                if rows(connection, "SELECT 1 FROM trading.fills WHERE state = 'failed'"):
                    raise Killed

            with monkeypatch.context() as patch:
                patch.setattr(OrderFollower, "resolve", dies_afterwards)
                with pytest.raises(Killed):
                    await until_killed(connection, context)
            assert rows(connection, "SELECT count(*) AS n FROM trading.fills WHERE state = 'failed'")[0]["n"] == 1
            polymarket._faults = {}
            await reconcile(connection, context, "next")
            execution = rows(connection, "SELECT * FROM trading.executions")[0]
            held = rows(
                connection,
                "SELECT venue, sum(contracts_e6)::bigint AS size FROM trading.positions GROUP BY venue ORDER BY venue",
            )
            assert execution["state"] in ("HEDGED", "FLAT")
            assert abs(held[0]["size"] - held[1]["size"]) < 1_000_000, held
            assert execution["detail"]["unmatched_e6"] <= 1_000_000

    asyncio.run(main())


async def until_killed(connection: Connection, context: TradingContext) -> None:
    for _ in range(20):
        await reconcile(connection, context, "killed")


class Never(random.Random):
    """Settles nothing: a match stays provisional, and no other fault happens."""

    def random(self) -> float:
        return 0.999


class Forgetful(FakeVenue):
    """Answers no order and shows none until told to."""

    is_silent = True

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        if self.is_silent and order.client_order_id in self._orders:
            raise OutcomeUnknown("timeout")
        answer = await super().send(order)
        if self.is_silent:
            raise OutcomeUnknown("timeout")
        return answer

    async def read(self, key: OrderKey) -> OrderReading:
        return OrderReading(is_found=False) if self.is_silent else await super().read(key)


def test_a_crash_right_after_a_late_fill_was_noted_still_sells_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            venues = {venue: Forgetful(venue, connection, index, {}) for index, venue in enumerate(Venue)}
            context = TradingContext(fake_settings(execution_max_s=6.0), "live", venues)
            await ensure_deposits(connection, context)
            set_books(venues, random.Random(5))
            await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
            assert rows(connection, "SELECT state FROM trading.executions")[0]["state"] == "FLAT"
            for venue in venues.values():
                venue.is_silent = False
            look_again(connection)
            with monkeypatch.context() as patch:
                patch.setattr("orchestration.execution.late_fills.raise_alert", dies)
                with pytest.raises(Killed):
                    await reconcile(connection, context, "killed")
            for _ in range(20):
                await reconcile(connection, context, "next")
            states = [row["state"] for row in rows(connection, "SELECT state FROM trading.execution_events")]
            assert states[1:3] == ["FLAT", "UNWINDING"]
            assert rows(connection, "SELECT 1 FROM trading.intents WHERE purpose = 'unwind'")
            assert rows(connection, "SELECT 1 FROM trading.alerts WHERE kind = 'late_fill'")

    asyncio.run(main())


class Slept(Forgetful):
    """Shows its order only after the machine has slept, between a look and what is made of it."""

    clock = 0.0

    @staticmethod
    def moment() -> Moment:
        return Moment(BootTime("boot", int(Slept.clock * 1_000)), datetime.now(UTC))

    async def read(self, key: OrderKey) -> OrderReading:
        found = await super().read(key)
        if self.is_silent:
            self.is_silent = False
            Slept.clock += 1_000.0
        return found


def test_what_took_long_to_decide_is_read_again_before_a_trade_is_given_up(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.execution.run_execution.time", Mock(monotonic=lambda: Slept.clock))

    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            venues = {venue: Slept(venue, connection, index, {}) for index, venue in enumerate(Venue)}
            context = TradingContext(fake_settings(), "live", venues, moment=Slept.moment)
            await ensure_deposits(connection, context)
            set_books(venues, random.Random(5))
            await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
            [execution] = rows(connection, "SELECT state, detail FROM trading.executions")
            assert execution["detail"]["why"] != "the outcome of an order is not known"
            assert execution["detail"]["unmatched_e6"] > 0

    asyncio.run(main())


class Resting(FakeVenue):
    """An account with an order that rests, from wherever it came."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.resting = [OpenOrder("o-1", "", "M", 1_000_000)]
        self.answers: list[Exception | None] = []
        self.cancels = 0

    async def cancel_all(self) -> None:
        self.cancels += 1
        error = self.answers.pop(0) if self.answers else None
        if error is not None:
            raise error
        self.resting = []

    async def open_orders(self) -> Sequence[OpenOrder]:
        return self.resting


def test_a_kill_cancels_what_rests_on_every_account_and_says_what_could_not_be(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            venues = {venue: Resting(venue, connection, index, {}) for index, venue in enumerate(Venue)}
            context = TradingContext(fake_settings(), "live", venues)
            await settlement_cycle.run_cycle(connection, context, "run")
            assert [fake.cancels for fake in venues.values()] == [0, 0], "nobody asked for it"
            alarms = "SELECT dedup_key FROM trading.alerts WHERE kind = 'resting' AND cleared_at IS NULL"
            set_switch(connection, "kill", "tester")
            assert "kill" in settlement_cycle.why_due(connection, context.settings)
            venues[Venue.KALSHI].answers = [TransientError("busy")]
            await settlement_cycle.run_cycle(connection, context, "run")
            assert [fake.cancels for fake in venues.values()] == [1, 1]
            assert [row["dedup_key"] for row in rows(connection, alarms)] == ["resting:kalshi"]
            assert "kill" in settlement_cycle.why_due(connection, context.settings), "until nothing rests"
            await settlement_cycle.run_cycle(connection, context, "run")
            assert [fake.cancels for fake in venues.values()] == [2, 1]
            assert not rows(connection, alarms)
            assert "kill" in settlement_cycle.why_due(connection, context.settings), "until nothing is seen to rest"
            await settlement_cycle.run_cycle(connection, context, "run")
            assert [fake.cancels for fake in venues.values()] == [2, 1], "what is empty is not asked again"
            assert "kill" not in settlement_cycle.why_due(connection, context.settings)
            set_switch(connection, "run", "tester")
            await settlement_cycle.run_cycle(connection, context, "run")
            set_switch(connection, "kill", "tester")
            assert "kill" in settlement_cycle.why_due(connection, context.settings), "the next kill looks anew"

    asyncio.run(main())


def test_a_kill_cancels_even_where_an_account_cannot_tell_its_cash(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            venues = {venue: Resting(venue, connection, index, {}) for index, venue in enumerate(Venue)}

            async def broken() -> int:
                raise TransientError("no answer")

            venues[Venue.KALSHI].cash_e6 = broken  # type: ignore[method-assign]
            set_switch(connection, "kill", "tester")
            with pytest.raises(TransientError):
                await settlement_cycle.run_cycle(connection, TradingContext(fake_settings(), "live", venues), "run")
            assert [fake.cancels for fake in venues.values()] == [1, 1]

    asyncio.run(main())


EXPIRE = "UPDATE trading.orders SET state = 'expired', reason = 'it was never sent'"
OUTLIVE = "UPDATE trading.intents SET expires_at = clock_timestamp() - interval '1 second'"


@pytest.mark.parametrize("meanwhile", [EXPIRE, OUTLIVE], ids=["another run has expired it", "its decision is too old"])
def test_an_order_that_must_not_leave_any_more_is_not_sent(
    database: str, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            context, venues = make_context(connection, {}, 1, fake_settings())
            set_books(venues, random.Random(5))
            write = OrderSender._write

            def slow(self: OrderSender, new: orders.NewIntent, *more: Any, **named: Any) -> Any:
                order_id = write(self, new, *more, **named)
                connection.execute(meanwhile)
                return order_id

            monkeypatch.setattr(OrderSender, "_write", slow)
            outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
            assert not any(fake.sent for fake in venues.values())
            assert {row["state"] for row in rows(connection, "SELECT state FROM trading.orders")} == {"expired"}
            assert outcome.refusal is not None
            assert (outcome.state, outcome.refusal.reason) == (ExecutionState.FLAT, "stale_book")

    asyncio.run(main())


class Refined(FakeVenue):
    """Its market changes to tenths of cents after the first order; its books say so, the catalogue not yet."""

    async def books(self, targets: Sequence[Target]) -> Mapping[str, BookSnapshot]:
        found = await super().books(targets)
        return {name: replace(book, tick_e4=10 if self.sent else 100) for name, book in found.items()}


def test_what_mends_a_hedge_is_priced_on_the_grid_its_book_states_now(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            venues = {
                Venue.KALSHI: FakeVenue(Venue.KALSHI, connection, 1, {"reject": 1.0}),
                Venue.POLYMARKET: Refined(Venue.POLYMARKET, connection, 2, {}),
            }
            set_books(venues, random.Random(5))
            await SignalTrader(
                connection, TradingContext(fake_settings(execution_max_s=6.0), "live", venues), "run"
            ).trade(seed_signal(connection, 1))
            specs = list(venues[Venue.POLYMARKET].prepared.values())
            assert [spec.action for spec in specs[:2]] == ["buy", "sell"]
            assert [spec.target.terms.price_ranges for spec in specs[:2]] == [((0, 10_000, 100),), ((0, 10_000, 10),)]

    asyncio.run(main())


class Pausing(FakeVenue):
    """Takes no orders, or tells no books, for a number of calls."""

    pauses = 0
    silences = 0

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        if self.pauses:
            self.pauses -= 1
            raise Unavailable("the engine restarts", retry_after_s=0.375)
        return await super().send(order)

    async def books(self, targets: Sequence[Target]) -> Mapping[str, BookSnapshot]:
        if self.silences and self.sent:
            self.silences -= 1
            raise TransientError("no answer")
        return await super().books(targets)


def paused(connection: Connection) -> tuple[TradingContext, dict[Venue, Pausing]]:
    seed_group(connection)
    venues = {venue: Pausing(venue, connection, index, {}) for index, venue in enumerate(Venue)}
    set_books(venues, random.Random(5))
    return TradingContext(fake_settings(), "live", venues), venues


def test_a_venue_that_takes_no_order_now_is_waited_for_with_the_second_leg(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    async def main() -> None:
        with connect(database) as connection:
            context, venues = paused(connection)
            venues[Venue.KALSHI].pauses = 3
            monkeypatch.setattr(asyncio, "sleep", noted)
            outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
            assert outcome.state is ExecutionState.HEDGED, outcome
            assert pauses.count(0.375) == 3, "as long as the venue asks for"

    asyncio.run(main())


def test_a_venue_that_takes_no_first_order_is_the_reason_given(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = paused(connection)
            venues[Venue.POLYMARKET].pauses = 1
            outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
            assert outcome.refusal is not None
            assert (outcome.state, outcome.refusal.reason) == (ExecutionState.FLAT, "venue_unavailable")

    asyncio.run(main())


def test_books_that_cannot_be_read_for_a_moment_do_not_leave_a_hedge_half_open(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = paused(connection)
            venues[Venue.POLYMARKET].silences = 2
            outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
            assert outcome.state is ExecutionState.HEDGED, outcome

    asyncio.run(main())
