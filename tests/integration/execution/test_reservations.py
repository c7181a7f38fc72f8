"""The whole hedge is held back in the transaction of its first intent, whatever happens beside it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from orchestration.execution.decide.gate.plan_facts import LegQuote, PlanQuotes, quotes_to_json
from orchestration.execution.decide.hedge_plan import Plan, PlanLeg
from orchestration.execution.decide.plan import plan_to_json
from orchestration.execution.decide.risk_checks import Refusal
from orchestration.execution.gate.admission import LOCK_WAIT_S, admit
from orchestration.execution.gate.readings import refresh_states
from orchestration.execution.reconcile import reconcile
from orchestration.execution.settlement import settle
from orchestration.execution.trade_signal import SignalTrader, TradeResult
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderKey, OrderReading, OrderSpec, PreparedOrder
from streams.market.errors import OutcomeUnknown
from streams.market.identity import Venue
from streams.market.trading import ExecutionState
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.store import executions
from streams.storage.store.gate.daily_result import daily_result_e6
from streams.storage.store.gate.decisions import forget_decisions
from streams.storage.store.gate.readings import write_cash
from streams.storage.store.gate.releases import release_edge
from streams.storage.store.gate.reservations import orders_held_back
from streams.storage.store.gate.waiting import list_waiting
from streams.storage.store.leases import acquire, process_holder
from streams.storage.store.market_groups import load_market_infos
from streams.storage.store.risk import lock_acting, set_limit, set_switch, tied_up
from tests.support.fake_venue import FakeVenue, approve, fake_settings, markets_of, rows, seed_group, seed_signal

pytestmark = pytest.mark.anyio

FEES = ("0.25", "0.01")
"""Small ones, so that YES at 0.45 and NO at 0.53 earn."""
LEGS_E6, LOSS_BOUND_E6 = 49_000_000, 1_000_000
FEE_BOUNDS_E6 = 221_613 + 265_010 + 223_800
"""Kalshi's leg, 0.07 x 0.25 x 50 x 0.45 x 0.55 and what 50 pieces may be rounded up by; Polymarket's, 0.01 of 26.50,
which may buy more contracts at a better price; and one unwind at Kalshi."""
HELD_E6 = LEGS_E6 + LOSS_BOUND_E6 + FEE_BOUNDS_E6


def patient(**more: Any) -> Settings:
    """Settings under which no decision grows old, however slow the machine is."""
    ages = dict.fromkeys(("lease_ttl_s", "venue_state_max_age_s", "fee_schedule_max_age_s"), 600)
    settings = fake_settings(trade_loss_cap_usd="1", **ages, **more)
    return settings.model_copy(update={"decision_ttl_ms": 600_000})


class Run:
    """A trading run with one account at each venue and 50 contracts to be had at 0.45 and 0.53 in its own group."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.venues = {venue: FakeVenue(venue, connection, number, {}) for venue in Venue}
        self.context = TradingContext(patient(), "live", self.venues)
        kalshi, polymarket = markets_of(number)
        self.venues[Venue.KALSHI].asks[kalshi, "yes"] = [[4_500, 50_000_000]]
        self.venues[Venue.KALSHI].asks[kalshi, "no"] = [[5_700, 50_000_000]]
        self.venues[Venue.POLYMARKET].asks[polymarket, "no"] = [[5_300, 50_000_000]]
        self.venues[Venue.POLYMARKET].asks[polymarket, "yes"] = [[4_900, 50_000_000]]
        self.signal = seed_signal(connection, number, group=number)

    async def trade(self) -> TradeResult:
        return await SignalTrader(self.connection, self.context, "run").trade(self.signal)

    def total_e6(self) -> int:
        return tied_up(self.connection, "live").total_e6

    def plan(self) -> int:
        """Write an execution that is about to open, decided on 50 contracts."""
        kalshi, polymarket = markets_of(self.number)
        legs = (
            PlanLeg(0, Venue.POLYMARKET, polymarket, "no", 5_300, (0, 10_000), 26_500_000, min_notional_e6=1_000_000),
            PlanLeg(1, Venue.KALSHI, kalshi, "yes", 4_500, (10_000, 0), 22_500_000),
        )
        plan = Plan(legs, 50_000_000, 200, 50_000_000, 600_000_000, 1_000_000, LOSS_BOUND_E6)
        now = datetime.now(UTC)
        books = (LegQuote(5_300, 5_100, 50_000_000, None), LegQuote(4_500, 4_300, 50_000_000, None))
        detail = {
            "plan": plan_to_json(plan),
            "binding": "depth",
            "planned_profit_e6": 650_000,
            "quotes": quotes_to_json(PlanQuotes(now, now, books)),
        }
        new = executions.NewExecution(
            signal_id=self.signal,
            attempt=1,
            group_id=f"g{self.number}",
            environment="sandbox",
            mode="live",
            state="PLANNED",
            run_id="run",
            epoch=1,
            edge_usd=Decimal("0.01"),
            contracts_e6=50_000_000,
            detail=detail,
        )
        self.leases = [
            lease
            for key in plan.market_keys
            if (lease := acquire(self.connection, f"market:{key}", process_holder(), "run", 60)) is not None
        ]
        found = executions.create_execution(self.connection, new)
        assert found is not None
        return found

    def admit(self, execution_id: int) -> Refusal | None:
        self.read_venues()
        return self.judge(execution_id)

    def read_venues(self) -> None:
        """Read what both venues say, as a run does before it decides."""
        names = markets_of(self.number)
        found = load_market_infos(self.connection, [f"{v}:{name}" for v, name in zip(Venue, names, strict=True)])
        with ThreadPoolExecutor(1) as pool:  # a test may run in a loop of its own
            pool.submit(
                asyncio.run,
                refresh_states(self.connection, self.context, list(found.values()), lambda: datetime.now(UTC)),
            ).result()

    def judge(self, execution_id: int) -> Refusal | None:
        with self.connection.transaction():
            lock_acting(self.connection, LOCK_WAIT_S)
            now = datetime.now(UTC)
            return admit(self.connection, self.context, execution_id, self.leases, now, is_within_life=True)


@pytest.fixture
def two_runs(database: str) -> Iterator[tuple[Run, Run]]:
    """Two runs on connections of their own, each with a signal of its own group, and both accounts read."""
    with connect(database) as first, connect(database) as second:
        for number in (1, 2):
            seed_group(first, number=number, fees=FEES)
        for venue in Venue:
            write_cash(first, "live", venue.value, {None: 10_000_000_000}, datetime.now(UTC))
        yield Run(first, 1), Run(second, 2)


def limit(connection: Connection, name: str, value: str) -> None:
    set_limit(connection, name, Decimal(value), "tester")


def held_e6(connection: Connection) -> int:
    held = "sum(reserved_e6 + CASE WHEN is_first THEN spare_e6 ELSE 0 END)"
    return int(rows(connection, f"SELECT {held} AS n FROM trading.stakes")[0]["n"])


def test_fifty_contracts_hold_back_about_51_dollars_and_a_second_such_hedge_is_refused(
    two_runs: tuple[Run, Run],
) -> None:
    run, other = two_runs
    limit(run.connection, "total_usd", "60")
    assert run.admit(run.plan()) is None
    assert run.total_e6() == held_e6(run.connection) == HELD_E6
    assert 50_500_000 < HELD_E6 < 51_000_000
    refusal = other.admit(other.plan())
    assert refusal is not None
    assert (refusal.reason, refusal.detail) == ("limit_total", "101.420846 of 60.000000")
    assert run.total_e6() == HELD_E6
    found = rows(run.connection, "SELECT is_allowed, checks FROM trading.gate_decisions ORDER BY decision_id")
    assert [row["is_allowed"] for row in found] == [True, False]
    for row, verdict in zip(found, ("pass", "refuse"), strict=True):
        total = next(check for check in row["checks"] if check["check"] == "total")
        assert (total["verdict"], total["limit"], total["unit"]) == (verdict, "60.000000", "USD")


@pytest.mark.parametrize(("left", "is_taken"), [(4, True), (3, False)])
def test_an_open_hedge_holds_back_the_orders_of_its_legs_and_of_one_unwind(
    two_runs: tuple[Run, Run], left: int, is_taken: bool
) -> None:
    run, other = two_runs
    assert run.admit(run.plan()) is None
    assert orders_held_back(run.connection, "live") == {Venue.KALSHI: 2, Venue.POLYMARKET: 2}
    other.venues[Venue.KALSHI].orders_left = left
    refusal = other.admit(other.plan())
    assert (refusal is None) == is_taken
    if refusal is not None:
        assert (refusal.reason, refusal.detail) == ("order_rate", "4 of 3")
        other.venues[Venue.KALSHI].orders_left = None
        newest = rows(run.connection, "SELECT max(execution_id) AS n FROM trading.executions")[0]["n"]
        unread = other.judge(int(newest))
        assert unread is not None
        assert unread.detail == "the request budget of kalshi could not be read"


async def test_a_leg_that_was_begun_holds_back_an_unwind_alone_and_the_end_holds_back_nothing(
    two_runs: tuple[Run, Run],
) -> None:
    run, _ = two_runs
    seen: list[dict[Venue, int]] = []
    for fake in run.venues.values():
        before_sending(fake, lambda: seen.append(orders_held_back(run.connection, "live")))
    assert (await run.trade()).state is ExecutionState.HEDGED
    assert [sum(held.values()) for held in seen] == [3, 2]
    assert orders_held_back(run.connection, "live") == {}


async def test_fills_turn_what_is_held_back_into_what_is_spent_and_the_end_releases_the_rest(
    two_runs: tuple[Run, Run],
) -> None:
    run, _ = two_runs
    seen: list[int] = []
    for fake in run.venues.values():
        before_sending(fake, lambda: seen.append(run.total_e6()))
    result = await run.trade()
    assert result.state is ExecutionState.HEDGED, result
    assert seen == [HELD_E6, HELD_E6]
    assert held_e6(run.connection) == 0
    fees = int(rows(run.connection, "SELECT sum(fee_e6) AS n FROM trading.fills")[0]["n"])
    assert run.total_e6() == LEGS_E6 + fees


async def test_the_day_counts_what_is_exposed_as_lost_and_what_is_locked_as_nothing(two_runs: tuple[Run, Run]) -> None:
    run, _ = two_runs
    now = datetime.now(UTC)
    seen: list[int] = []
    for fake in run.venues.values():
        before_sending(fake, lambda: seen.append(daily_result_e6(run.connection, "live", now)))
    result = await run.trade()
    assert result.state is ExecutionState.HEDGED, result
    first = rows(run.connection, "SELECT -sum(cash_e6) AS n FROM trading.ledger WHERE market_id = '0xtest1'")[0]["n"]
    assert seen == [-LOSS_BOUND_E6 - 223_800, -int(first)]  # what it may lose; what its first leg has cost
    assert daily_result_e6(run.connection, "live", now) == 0
    for fake, market in zip(run.venues.values(), markets_of(1), strict=True):
        fake.settle_market(market, 10_000)
    await reconcile(run.connection, run.context, "run")
    await settle(run.connection, run.context)
    locked = rows(run.connection, "SELECT realised_pnl_e6 FROM trading.executions")[0]["realised_pnl_e6"]
    assert daily_result_e6(run.connection, "live", now) == locked > 0
    assert daily_result_e6(run.connection, "live", now + timedelta(days=1)) == 0


async def test_an_edge_that_is_too_good_is_taken_when_a_person_has_released_it(two_runs: tuple[Run, Run]) -> None:
    run, _ = two_runs
    limit(run.connection, "edge_usd", "0.012")
    refused = await run.trade()
    assert refused.refusal is not None
    assert refused.refusal.reason == "edge_too_good"
    [item] = list_waiting(run.connection, "live")
    assert item.act == f"crossbook release {run.signal} --up-to 0.013177"
    release_edge(run.connection, run.signal, Decimal("0.0132"), "Ada", "", datetime.now(UTC))
    run.connection.execute("UPDATE trading.executions SET started_at = started_at - interval '1 hour'")
    assert (await run.trade()).state is ExecutionState.HEDGED
    assert list_waiting(run.connection, "live") == []


async def test_nothing_is_released_while_an_order_is_unknown(two_runs: tuple[Run, Run]) -> None:
    run, other = two_runs
    limit(run.connection, "total_usd", "60")
    run.context = replace(run.context, settings=patient(execution_max_s=0.05, unknown_absent_after_s=60.0))
    fake = run.venues[Venue.POLYMARKET]

    async def lost(order: PreparedOrder) -> str | None:
        raise OutcomeUnknown("timeout")

    fake.send = lost  # type: ignore[method-assign]
    result = await run.trade()
    assert result.state is ExecutionState.ESCALATED
    assert run.total_e6() == HELD_E6
    refusal = other.admit(other.plan())
    assert refusal is not None
    assert refusal.reason == "limit_total"

    async def rejected(key: OrderKey) -> OrderReading:
        return OrderReading(is_found=True, is_final=True, status="rejected")

    fake.read = rejected  # type: ignore[method-assign]
    run.connection.execute("UPDATE trading.orders SET watch_looked_ms = NULL")
    await reconcile(run.connection, run.context, "run")
    assert run.total_e6() == 0


def before_sending(fake: FakeVenue, act: Callable[[], Any]) -> None:
    send = fake.send

    async def acting(order: PreparedOrder) -> str | None:
        act()
        return await send(order)

    fake.send = acting  # type: ignore[method-assign]


def test_equal_refusals_of_one_episode_are_one_row_with_a_count(two_runs: tuple[Run, Run]) -> None:
    run, _ = two_runs
    limit(run.connection, "total_usd", "50")
    execution_id = run.plan()
    for name in ("total_usd", "total_usd", "pair_usd"):
        limit(run.connection, name, "50")
        refusal = run.admit(execution_id)
        assert refusal is not None
    found = rows(run.connection, "SELECT * FROM trading.gate_decisions ORDER BY decision_id")
    assert [(row["reason"], row["decisions"]) for row in found] == [("limit_total", 2), ("limit_pair", 1)]
    assert found[0]["last_decided_at"] > found[0]["decided_at"]
    assert forget_decisions(run.connection, found[0]["last_decided_at"]) == 0
    assert forget_decisions(run.connection, datetime.now(UTC)) == 2


BEFORE_THE_COMMIT: dict[str, tuple[Callable[[Connection], object], str]] = {
    "approval revoked": (lambda c: approve(c, "pause"), "pair_not_approved"),
    "text changed": (
        lambda c: c.execute("UPDATE raw.market_versions SET text_hash = 'other' WHERE venue = 'kalshi'"),
        "lapsed",
    ),
    "pair lapsed": (lambda c: c.execute("UPDATE trading.pairs SET kalshi_text_hash = 'other'"), "lapsed"),
    "limit lowered": (lambda c: limit(c, "total_usd", "50.5"), "limit_total"),
    "switch reduced": (lambda c: set_switch(c, "reduce", "tester"), "reducing"),
    "market closed": (lambda c: c.execute("UPDATE raw.market_state SET status = 'closed'"), "not_tradable"),
    "signal closed": (lambda c: c.execute("UPDATE trading.signals SET closed_at = now()"), "signal_closed"),
    "cash gone": (
        lambda c: write_cash(c, "live", "kalshi", {None: 23_000_000}, datetime.now(UTC)),
        "balance",
    ),
    "cash read long ago": (
        lambda c: c.execute("UPDATE trading.venue_readings SET read_at = read_at - interval '16 seconds'"),
        "balance",
    ),
    "clock set back": (
        lambda c: c.execute("UPDATE trading.venue_readings SET read_at = read_at + interval '1 hour'"),
        "venue_unavailable",
    ),
    "cash dated later than now": (
        lambda c: c.execute(
            "UPDATE trading.venue_readings SET read_at = read_at + interval '1 hour' WHERE kind = 'cash'"
        ),
        "balance",
    ),
    "signal dated later than now": (
        lambda c: c.execute("UPDATE trading.signals SET updated_at = updated_at + interval '1 hour'"),
        "signal_closed",
    ),
}


@pytest.mark.parametrize("change", list(BEFORE_THE_COMMIT))
async def test_what_changes_before_the_commit_stops_the_hedge(two_runs: tuple[Run, Run], change: str) -> None:
    run, other = two_runs
    act, reason = BEFORE_THE_COMMIT[change]
    fake = run.venues[Venue.POLYMARKET]
    prepare = fake.prepare

    def acting(spec: OrderSpec) -> PreparedOrder:
        act(other.connection)
        return prepare(spec)

    fake.prepare = acting  # type: ignore[method-assign]
    result = await run.trade()
    assert result.refusal is not None
    assert result.refusal.reason == reason
    assert not rows(run.connection, "SELECT * FROM trading.intents")
    assert not rows(run.connection, "SELECT * FROM trading.reservations")
    assert not any(venue.sent for venue in run.venues.values())


class Interleaved:
    """A connection that lets something happen before its n-th statement."""

    def __init__(self, connection: Connection, number: int, act: Callable[[], None]) -> None:
        self._connection = connection
        self._left = number
        self._act = act

    def execute(self, *args: Any, **more: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            self._act()
        return self._connection.execute(*args, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.mark.parametrize("scarce", ["limit", "cash"])
def test_two_runs_at_once_never_pass_one_limit_nor_spend_the_same_cash(
    two_runs: tuple[Run, Run], database: str, scarce: str
) -> None:
    """One gate after the other, begun at each statement of the first: whoever is second waits, or is refused."""
    first, second = two_runs
    if scarce == "limit":
        limit(first.connection, "total_usd", "60")
    first_id, second_id = first.plan(), second.plan()
    for run in two_runs:
        run.read_venues()
    mine = first.connection
    statement = 0
    with connect(database) as watching:
        while True:
            statement += 1
            mine.execute("TRUNCATE trading.reservations, trading.gate_decisions")
            for venue in Venue:
                cash = 50_000_000 if scarce == "cash" else 10_000_000_000
                write_cash(mine, "live", venue.value, {None: cash}, datetime.now(UTC))
            found: list[Refusal | BaseException | None] = []

            def admit_second(found: list[Any] = found) -> None:
                try:
                    found.append(second.judge(second_id))
                except BaseException as error:
                    found.append(error)

            thread = threading.Thread(target=admit_second)

            def begin(thread: threading.Thread = thread) -> None:
                thread.start()
                wait_until_blocked(watching, thread)

            first.connection = Interleaved(mine, statement, begin)  # type: ignore[assignment]
            allowed = first.judge(first_id) is None
            if thread.ident is None:
                break  # there are no more statements
            thread.join(10)
            held = rows(watching, "SELECT DISTINCT execution_id FROM trading.reservations")
            assert allowed + (found == [None]) == len(held) == 1, (statement, found)
            total = tied_up(watching, "live").total_e6
            assert total == HELD_E6, statement
    assert statement > 10


def wait_until_blocked(watching: Connection, thread: threading.Thread) -> None:
    """Wait until the other run has come to its end or waits for a lock."""
    deadline = time.monotonic() + 10
    while thread.is_alive() and time.monotonic() < deadline:
        waiting = watching.execute(
            """SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"""
        ).fetchone()
        if waiting is not None:
            return
        time.sleep(0.002)
