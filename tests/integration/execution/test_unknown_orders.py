"""Orders of unknown fate: what proves that one never arrived, who looks for it, and what a crash leaves of that."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestration.execution.reconcile import account_lease, reconcile
from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.settlement_cycle import why_due
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.unknown_orders.looking import look_on
from orchestration.execution.venues.gateway import OrderAnswer, OrderExists, OrderKey, OrderReading, PreparedOrder
from streams.market.errors import OutcomeUnknown
from streams.market.identity import Venue
from streams.market.trading import BootTime, Siblings
from streams.storage.database import Connection, connect
from streams.storage.store import orders
from streams.storage.store.leases import acquire
from tests.support.fake_venue import FakeVenue, fake_settings, rows, seed_group, seed_signal, set_books


class Killed(BaseException):
    """The process dies here."""


class Hidden(FakeVenue):
    """Its orders are there and are not shown until told to; it counts who asks."""

    is_silent = True
    behind_s: float | None = 0.5
    reads = 0
    searches = 0

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        if order.client_order_id not in self._orders:
            await super().send(order)
        raise OutcomeUnknown("the answer is lost")

    async def read(self, key: OrderKey) -> OrderReading:
        self.reads += 1
        return OrderReading(is_found=False) if self.is_silent else await super().read(key)

    async def search(self, key: OrderKey, siblings: Siblings) -> OrderReading:
        self.searches += 1
        return OrderReading(is_found=False, behind_s=self.behind_s)


@dataclass
class Clock:
    """The clock that nobody sets, set by the test."""

    seconds: float = 1_000.0
    boot: str = "first"

    def __call__(self) -> BootTime:
        return BootTime(self.boot, int(self.seconds * 1000))

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Stage:
    """Both accounts, whose first order was sent and got no answer."""

    connection: Connection
    venues: dict[Venue, Any]
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        settings = fake_settings(
            execution_max_s=0.001, unknown_absent_after_s=30.0, polymarket_absent_after_s=120.0, trading="live"
        )
        settings = settings.model_copy(update={"decision_ttl_ms": 600_000, "lease_ttl_s": 600.0})  # a slow machine's
        self.context = TradingContext(settings, "live", self.venues, boot_clock=self.clock)
        seed_group(self.connection)
        set_books(self.venues, random.Random(5))
        asyncio.run(ensure_deposits(self.connection, self.context))
        asyncio.run(SignalTrader(self.connection, self.context, "run").trade(seed_signal(self.connection, 1)))

    @property
    def venue(self) -> Hidden:
        found: Hidden = self.venues[Venue(self.order()["venue"])]
        return found

    @property
    def after_s(self) -> float:
        return self.context.absent_after_s(self.venue.venue)

    def order(self) -> dict[str, Any]:
        return rows(self.connection, "SELECT * FROM trading.orders ORDER BY order_id LIMIT 1")[0]

    def state(self) -> str:
        return str(rows(self.connection, "SELECT state FROM trading.executions")[0]["state"])

    def look(self, *seconds: float) -> None:
        """Reconcile so many seconds after the order was sent, each."""
        for second in seconds:
            self.clock.seconds = 1_000.0 + second
            asyncio.run(reconcile(self.connection, self.context, "cycle"))


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with connect(database) as connection:
        yield Stage(connection, {venue: Hidden(venue, connection, index, {}) for index, venue in enumerate(Venue)})


def test_an_order_of_unknown_fate_escalates_its_trade_and_keeps_reservation_and_market(stage: Stage) -> None:
    assert (stage.order()["state"], stage.state()) == ("unknown", "ESCALATED")
    before = rows(stage.connection, "SELECT sum(tied_up_e6) AS n FROM trading.exposure")[0]["n"]
    assert before > 0
    stage.look(5, 20, 29)
    assert rows(stage.connection, "SELECT sum(tied_up_e6) AS n FROM trading.exposure")[0]["n"] == before
    result = asyncio.run(SignalTrader(stage.connection, stage.context, "next").trade(seed_signal(stage.connection, 2)))
    assert result.refusal is not None
    assert result.refusal.reason == "unknown_order_on_market"
    assert len(rows(stage.connection, "SELECT 1 FROM trading.orders")) == 1


def test_absence_is_proven_by_two_whole_lists_past_the_waiting_time(stage: Stage) -> None:
    stage.look(stage.after_s - 1, stage.after_s + 10)
    assert (stage.order()["state"], stage.order()["absent_reads"]) == ("unknown", 1)
    stage.look(stage.after_s + 20)
    assert (stage.order()["state"], stage.state()) == ("expired", "FLAT")
    assert not rows(stage.connection, "SELECT 1 FROM trading.alerts WHERE kind = 'escalated' AND cleared_at IS NULL")


@pytest.mark.parametrize("step", ["1 hour", "-1 hour"])
def test_a_step_of_the_wall_clock_neither_shortens_nor_lengthens_the_waiting(stage: Stage, step: str) -> None:
    stage.connection.execute(f"UPDATE trading.orders SET sent_at = sent_at + interval '{step}'")
    stage.look(1, 5, stage.after_s - 2, stage.after_s - 1)
    assert (stage.order()["state"], stage.order()["absent_reads"]) == ("unknown", 0)
    stage.look(stage.after_s + 10, stage.after_s + 20)
    assert stage.order()["state"] == "expired"


def test_after_a_reboot_the_waiting_begins_anew(stage: Stage) -> None:
    stage.look(stage.after_s + 10)
    assert stage.order()["absent_reads"] == 1
    stage.clock.boot = "second"
    stage.look(-990, -980, stage.after_s - 991)
    assert (stage.order()["state"], stage.order()["absent_reads"]) == ("unknown", 0)
    stage.look(stage.after_s - 980, stage.after_s - 970)
    assert stage.order()["state"] == "expired"


@pytest.mark.parametrize("behind_s", [None, 1_000.0])
def test_lists_that_come_late_or_not_whole_prove_nothing(stage: Stage, behind_s: float | None) -> None:
    stage.venue.behind_s = behind_s
    stage.look(*range(121, 400, 10))
    assert (stage.order()["state"], stage.state()) == ("unknown", "ESCALATED")
    assert stage.venue.searches > 20


def test_an_order_that_was_shown_once_is_never_absent(stage: Stage) -> None:
    stage.connection.execute("UPDATE trading.orders SET is_seen = true")
    stage.look(*range(121, 400, 10), 100_000, 200_000)
    assert stage.order()["state"] == "unknown"
    assert stage.venue.searches == 0


class Duplicate(Hidden):
    """Says that it has an order of this id already."""

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        raise OrderExists("409 order_already_exists")


def test_that_an_order_is_there_already_is_no_refusal_and_no_absence(database: str) -> None:
    with connect(database) as connection:
        stage = Stage(connection, {venue: Duplicate(venue, connection, n, {}) for n, venue in enumerate(Venue)})
        assert (stage.order()["state"], stage.order()["is_seen"]) == ("unknown", True)
        stage.look(200, 400, 5_000)
        assert stage.order()["state"] == "unknown"


def test_one_reader_at_a_time_holds_the_account(stage: Stage, database: str) -> None:
    with connect(database) as other:
        assert acquire(other, account_lease("live"), "somebody", "run", 60.0)
        before = stage.venue.reads
        stage.look(stage.after_s + 10, stage.after_s + 20)
        assert stage.venue.reads == before
        assert stage.order()["state"] == "unknown"


def test_killed_between_reading_and_writing_nothing_of_the_proof_is_lost_or_counted_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.look(stage.after_s + 10)

    def dies(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(orders, "update_order", dies)
        with pytest.raises(Killed):
            stage.look(stage.after_s + 20)
    assert (stage.order()["state"], stage.order()["absent_reads"]) == ("unknown", 1)
    stage.look(stage.after_s + 30)
    assert stage.order()["state"] == "expired"


def test_looks_come_each_second_then_each_ten_seconds_and_the_next_cycle_is_asked_for_in_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.venue.behind_s = None
    stage.look(2)
    before = stage.venue.reads
    looks = asyncio.run(look_on(stage.connection, stage.context, "cycle", sleep=stage.clock.sleep))
    assert looks == stage.venue.reads - before
    assert 45 <= looks <= 51
    stage.look(100)
    before = stage.venue.reads
    assert asyncio.run(look_on(stage.connection, stage.context, "cycle", sleep=stage.clock.sleep)) in (4, 5)
    stage.look(4_000)
    assert asyncio.run(look_on(stage.connection, stage.context, "cycle", sleep=stage.clock.sleep)) == 0
    monkeypatch.setattr("orchestration.execution.settlement_cycle.boot_now", stage.clock)
    stage.clock.seconds += 60
    assert "looks" not in why_due(stage.connection, stage.context.settings)
    stage.clock.seconds += 6
    assert "looks" in why_due(stage.connection, stage.context.settings)
    stage.look(100_000_000)
    assert stage.venue.reads > before, "without an end"


class Rests(FakeVenue):
    """Its order rests; what is read right after a cancel comes from before it, then from within it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.cancels = 0
        self.answers: list[OrderReading] = []

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        self.sent.append(order.client_order_id)
        return OrderAnswer("o-1")

    async def read(self, key: OrderKey) -> OrderReading:
        return self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)

    async def cancel(self, key: OrderKey) -> None:
        self.cancels += 1


def test_what_is_read_right_after_a_cancel_ends_nothing(database: str) -> None:
    resting = OrderReading(True, venue_order_id="o-1", status="resting")
    ended = OrderReading(True, is_final=True, venue_order_id="o-1", filled_e6=0, status="canceled")
    with connect(database) as connection:
        venues = {venue: Rests(venue, connection, n, {}) for n, venue in enumerate(Venue)}
        for venue in venues.values():
            venue.answers = [resting]
        stage = Stage(connection, venues)
        assert stage.order()["state"] == "resting"
        rests = venues[Venue(stage.order()["venue"])]
        assert rests.cancels == 1
        rests.answers = [ended]
        cancelled_s = stage.order()["watch_cancelled_ms"] / 1000 - 1_000
        stage.clock.seconds += 0.5
        connection.execute("UPDATE trading.orders SET watch_looked_ms = 0")
        asyncio.run(reconcile(connection, stage.context, "cycle"))
        assert stage.order()["state"] == "unknown"
        stage.look(cancelled_s + 10)
        assert (stage.order()["state"], stage.state()) == ("canceled", "FLAT")


def test_only_the_market_of_the_order_is_blocked(stage: Stage) -> None:
    order = rows(stage.connection, "SELECT venue, market_id FROM trading.intents")[0]
    asked = [f"{order['venue']}:{order['market_id']}"]
    assert orders.count_unresolved_on(stage.connection, asked, "live") == 1
    assert orders.count_unresolved_on(stage.connection, ["kalshi:KXOTHER"], "live") == 0
