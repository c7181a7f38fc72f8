"""What mending may still lose today: what ended hedges have lost counts, and what those before this one may lose."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from orchestration.execution.decide.hedge_plan import Plan
from orchestration.execution.decide.plan import plan_to_json
from streams.market.trading import ExecutionState
from streams.storage.database import Connection, connect
from streams.storage.store import executions
from streams.storage.store.executions import NewExecution, mending_losses_e6
from streams.storage.store.hedges.fences import Fence
from tests.support.fake_venue import seed_group, seed_signal

MIDNIGHT = datetime(2026, 12, 1, tzinfo=UTC)
EVENING, MORNING = MIDNIGHT - timedelta(hours=1), MIDNIGHT + timedelta(hours=8)
_BOUND_E6 = 5_000_000


class Hedges:
    """Executions written at times of a test's own."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.now = MORNING
        connection.clock = lambda: self.now  # type: ignore[attr-defined]
        self.signal = seed_signal(connection, 1)
        self.attempts = 0

    def opened(self, at: datetime = MORNING, mode: str = "live", bound_e6: int = _BOUND_E6) -> int:
        self.now, self.attempts = at, self.attempts + 1
        plan = plan_to_json(Plan((), 1_000_000, 0, 0, 0, 0, bound_e6))
        new = NewExecution(
            self.signal, self.attempts, "g1", "sandbox", mode, "COMPLETING", "run", 1, Decimal(0), 1_000_000,
            {"plan": plan},
        )  # fmt: skip
        number = executions.create_execution(self.connection, new)
        assert number is not None
        return number

    def ends(self, number: int, locked_e6: int, at: datetime = MORNING, state: str = "HEDGED") -> int:
        self.now = at
        executions.change_state(self.connection, Fence(number, 1), state, "ended")
        executions.note_end(self.connection, Fence(number, 1), locked_e6)
        return number

    def reopens(self, number: int, at: datetime) -> None:
        self.now = at
        executions.change_state(self.connection, Fence(number, 1), ExecutionState.UNWINDING, "a fill has failed")

    def lost_e6(self, besides: int, mode: str = "live") -> int:
        return mending_losses_e6(self.connection, mode, MIDNIGHT, besides)


@pytest.fixture
def hedges(database: str) -> Iterator[Hedges]:
    with connect(database) as opened:
        seed_group(opened)
        yield Hedges(opened)


def test_losses_of_hedges_that_ended_today_are_added_and_gains_make_up_none(hedges: Hedges) -> None:
    assert hedges.lost_e6(0) == 0
    hedges.ends(hedges.opened(), -1_000_000)
    hedges.ends(hedges.opened(), 9_000_000)
    hedges.ends(hedges.opened(), -250_000, state="ESCALATED")
    hedges.ends(hedges.opened(), 0, state="FLAT")
    assert hedges.lost_e6(0) == 1_250_000


def test_a_day_ends_at_midnight_and_a_mode_stands_alone(hedges: Hedges) -> None:
    hedges.ends(hedges.opened(EVENING), -1_000_000, MIDNIGHT - timedelta(microseconds=1))
    hedges.ends(hedges.opened(mode="paper"), -2_000_000)
    assert (hedges.lost_e6(0), hedges.lost_e6(0, "paper")) == (0, 2_000_000)
    hedges.ends(hedges.opened(EVENING), -4_000_000, MIDNIGHT)
    assert hedges.lost_e6(0) == 4_000_000


def test_the_hedge_that_asks_does_not_count_itself(hedges: Hedges) -> None:
    mine = hedges.ends(hedges.opened(), -1_000_000)
    hedges.ends(hedges.opened(), -2_000_000)
    assert hedges.lost_e6(mine) == 2_000_000
    hedges.reopens(mine, MORNING)
    assert hedges.lost_e6(mine) == 2_000_000


def test_what_is_lost_today_by_a_hedge_that_ended_before_counts_today(hedges: Hedges) -> None:
    reopened = hedges.ends(hedges.opened(EVENING), 500_000, EVENING)
    assert hedges.lost_e6(0) == 0
    hedges.reopens(reopened, MORNING)
    hedges.ends(reopened, -3_000_000, MORNING, "FLAT")
    assert hedges.lost_e6(0) == 3_000_000


def test_hedges_at_work_at_once_do_not_each_lose_the_whole_day(hedges: Hedges) -> None:
    first, second = hedges.opened(), hedges.opened(bound_e6=2_000_000)
    assert hedges.lost_e6(first) == 0
    assert hedges.lost_e6(second) == _BOUND_E6
    assert hedges.lost_e6(hedges.opened()) == _BOUND_E6 + 2_000_000
    hedges.ends(first, -1_000_000)
    assert hedges.lost_e6(second) == 1_000_000


def test_a_hedge_at_work_that_has_lost_more_than_its_bound_counts_with_that(hedges: Hedges) -> None:
    first = hedges.opened()
    hedges.now = MORNING
    executions.note_expected_pnl(hedges.connection, Fence(first, 1), -7_000_000)
    assert hedges.lost_e6(hedges.opened()) == 7_000_000


def test_one_hedge_that_was_begun_yesterday_is_still_at_work_today(hedges: Hedges) -> None:
    hedges.opened(EVENING)
    assert hedges.lost_e6(hedges.opened()) == _BOUND_E6
