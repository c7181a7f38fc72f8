"""A kill waits for nobody, and nothing that leaves after it was set leaves at all."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from typer.testing import CliRunner

from app.cli import trade
from app.operator_actions import UnderWay, await_orders, switch_trading
from orchestration.execution.reconcile import reconcile
from orchestration.execution.sending.last_check import LastCheck, deadline_of
from orchestration.execution.trade_signal import SignalTrader, TradeResult
from orchestration.execution.venues.gateway import HeldBack, OrderAnswer, PreparedOrder
from streams.market.identity import Venue
from streams.market.trading import ExecutionState, SwitchState
from streams.storage import kill_files
from streams.storage.database import Connection, connect
from streams.storage.kill_files import keep_kill
from streams.storage.store import orders
from streams.storage.store.leases import acquire, process_holder, release
from streams.storage.store.risk import current_switch, lock_acting, set_switch
from tests.support.fake_venue import FakeVenue, fake_settings, make_context, rows, seed_group, seed_signal, set_books


def trade_with(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, number: int, event: Callable[[], None], **settings: Any
) -> tuple[TradeResult, dict[Venue, FakeVenue]]:
    """Trade a signal; `event` happens between the commit of the intent of order `number` and its sending."""
    seen: list[int] = []

    def mark(on: Connection, order_id: int, *when: Any) -> bool:
        seen.append(order_id)
        if len(seen) == number:
            event()
        return marked(on, order_id, *when)

    marked = orders.mark_sent
    monkeypatch.setattr(orders, "mark_sent", mark)
    seed_group(connection)
    context, venues = make_context(connection, {}, 1, fake_settings(**settings))
    set_books(venues, random.Random(5))
    result = asyncio.run(SignalTrader(connection, context, "run").trade(seed_signal(connection, 1)))
    return result, venues


@pytest.mark.parametrize(("state", "reason"), [("kill", "killed"), ("pause", "paused"), ("reduce", "reducing")])
def test_a_switch_between_the_first_intent_and_its_sending_keeps_it_back(
    database: str, monkeypatch: pytest.MonkeyPatch, state: SwitchState, reason: str
) -> None:
    with connect(database) as connection, connect(database) as person:
        result, venues = trade_with(connection, monkeypatch, 1, lambda: _set(person, state))
        assert result.refusal is not None
        assert result.refusal.reason == reason
        assert result.state is ExecutionState.FLAT
        assert [fake.sent for fake in venues.values()] == [[], []]
        assert rows(connection, "SELECT state, reason FROM trading.orders") == [
            {"state": "expired", "reason": f"it was never sent: {reason}"}
        ]


def _set(connection: Connection, state: SwitchState) -> None:
    set_switch(connection, state, "ada")


def test_a_kill_between_the_second_intent_and_its_sending_keeps_it_back_at_the_other_venue(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(database) as connection, connect(database) as person:
        result, venues = trade_with(connection, monkeypatch, 2, lambda: _set(person, "kill"))
        assert result.state is ExecutionState.ESCALATED
        assert sorted(len(fake.sent) for fake in venues.values()) == [0, 1]
        found = rows(connection, "SELECT venue, state FROM trading.orders ORDER BY order_id")
        assert found[1]["state"] == "expired"
        assert {row["venue"] for row in found} == {"kalshi", "polymarket"}


@pytest.mark.parametrize("state", ["pause", "reduce"])
def test_a_pause_lets_the_second_leg_go(database: str, monkeypatch: pytest.MonkeyPatch, state: SwitchState) -> None:
    with connect(database) as connection, connect(database) as person:
        result, venues = trade_with(connection, monkeypatch, 2, lambda: _set(person, state))
        assert result.state is ExecutionState.HEDGED
        assert [len(fake.sent) for fake in venues.values()] == [1, 1]


@pytest.mark.parametrize(("number", "left"), [(1, [0, 0]), (2, [0, 1])])
def test_a_kill_on_disk_between_an_intent_and_its_sending_keeps_it_back(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, left: list[int]
) -> None:
    """The row says run all the while, as where the one who kills has no database."""
    with connect(database) as connection:
        result, venues = trade_with(
            connection, monkeypatch, number, lambda: keep_kill(tmp_path, "Ada", "").close(), home=tmp_path
        )
        assert result.state is (ExecutionState.FLAT if number == 1 else ExecutionState.ESCALATED)
        assert sorted(len(fake.sent) for fake in venues.values()) == left
        last = rows(connection, "SELECT state, reason FROM trading.orders ORDER BY order_id DESC LIMIT 1")
        assert last == [{"state": "expired", "reason": "it was never sent: killed"}]
        assert current_switch(connection) == "run"


def test_a_switch_that_cannot_be_read_keeps_the_order_back(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(_connection: Connection) -> SwitchState:
        raise psycopg.OperationalError("the connection is lost")

    with connect(database) as connection:
        result, venues = trade_with(
            connection, monkeypatch, 1, lambda: monkeypatch.setattr(kill_files, "current_switch", unreadable)
        )
        assert result.refusal is not None
        assert result.refusal.reason == "error"
        assert [fake.sent for fake in venues.values()] == [[], []]
        assert rows(connection, "SELECT state FROM trading.orders") == [{"state": "expired"}]


def test_an_order_whose_run_loses_the_database_ends_as_never_sent(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(database) as connection, connect(database) as other:

        def cut() -> None:
            other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")

        with pytest.raises(psycopg.OperationalError):
            trade_with(connection, monkeypatch, 1, cut)
        monkeypatch.undo()
        assert rows(other, "SELECT state FROM trading.orders") == [{"state": "prepared"}]
        context, venues = make_context(other, {}, 1, fake_settings())
        other.execute("UPDATE trading.leases SET released_at = now()")
        asyncio.run(reconcile(other, context, "next"))
        assert [fake.sent for fake in venues.values()] == [[], []]
        assert rows(other, "SELECT state, reason FROM trading.orders") == [
            {"state": "expired", "reason": "it was never sent"}
        ]
        assert rows(other, "SELECT state FROM trading.executions") == [{"state": "FLAT"}]


class KilledWhileLost(FakeVenue):
    """The answer to the first sending is lost, and a kill comes before the second."""

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        try:
            return await super().send(order)
        finally:
            set_switch(self._connection, "kill", "ada")


def test_what_was_sent_once_is_not_taken_for_never_sent_when_the_second_sending_is_kept_back(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            context, _ = make_context(connection, {}, 1, fake_settings(execution_max_s=5))
            venues = {v: KilledWhileLost(v, connection, 1, {"lost_response": 1.0}) for v in Venue}
            set_books(venues, random.Random(5))
            context = type(context)(context.settings, context.mode, venues)
            result = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
            assert result.state is ExecutionState.ESCALATED
            assert sorted(len(fake.sent) for fake in venues.values()) == [0, 1]
            for _ in range(3):
                await reconcile(connection, context, "next")
            assert [row["filled_e6"] > 0 for row in rows(connection, "SELECT filled_e6 FROM trading.orders")] == [True]

    asyncio.run(main())


def test_a_decision_that_outlived_its_books_or_lost_its_lease_is_kept_back(database: str, tmp_path: Path) -> None:
    with connect(database) as connection:
        lease = acquire(connection, "market:kalshi:A", process_holder(), "run", 15.0)
        assert lease is not None
        alive = time.monotonic() + 60
        LastCheck(connection, tmp_path, [lease], "open", alive)()
        with pytest.raises(HeldBack, match="stale_book"):
            LastCheck(connection, tmp_path, [lease], "open", time.monotonic() - 0.001)()
        with pytest.raises(HeldBack, match="no_lease"):
            LastCheck(connection, tmp_path, [], "open", alive)()
        acquire(connection, "market:kalshi:A", process_holder(), "next", 15.0)
        with pytest.raises(HeldBack, match="no_lease"):
            LastCheck(connection, tmp_path, [lease], "open", alive)()
        release(connection, lease)


def test_the_clock_of_the_machine_lengthens_no_decision() -> None:
    ahead, behind = (datetime.now(UTC) + timedelta(days=days) for days in (1, -1))
    assert deadline_of(ahead, 0.05) <= time.monotonic() + 0.05
    assert deadline_of(behind, 0.05) < time.monotonic()


def hang_with_lock(connection: Connection) -> None:
    """Take the lock of those who write intents and keep it, however slow the machine is."""
    lock_acting(connection)
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


# -- the person's side -------------------------------------------------------------------------------------------------


def test_a_kill_is_in_force_at_once_while_an_intent_is_being_written_for_ever(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    with connect(database) as writer, connect(database) as reader, writer.transaction():
        hang_with_lock(writer)
        cli = typer.Typer()
        trade.register(cli)
        answers: list[Any] = []

        def kill() -> None:
            begun = time.monotonic()
            result = CliRunner().invoke(cli, ["trade", "kill", "--by", "ada", "--json"])
            answers.append((time.monotonic() - begun, json.loads(result.stdout)))

        thread = threading.Thread(target=kill)
        thread.start()
        while current_switch(reader) != "kill":
            assert thread.is_alive() or answers
            time.sleep(0.01)
        thread.join()
        ((_, answer),) = answers
        assert answer["switch"] == "kill"
        assert answer["is_intent_open"]
        assert answer["under_way"] == []


def test_a_kill_answers_within_two_and_a_half_seconds(database: str) -> None:
    with connect(database) as writer, connect(database) as person, writer.transaction():
        hang_with_lock(writer)
        took: list[float] = []
        # the better of two, as the machine may be busy with other tests
        while len(took) < 2 and min(took, default=9.0) >= 2.5:
            begun = time.monotonic()
            switch_id, found = switch_trading(person, "kill", who="Ada", wait_s=2.0)
            took.append(time.monotonic() - begun)
            assert switch_id > 0
            assert found == UnderWay([], is_intent_open=True)
        assert min(took) < 2.5


def seed_order(connection: Connection, state: str) -> None:
    seed_group(connection)
    signal = seed_signal(connection, 1)
    connection.execute(
        """WITH e AS (
               INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch, edge_usd,
                   contracts_e6, started_at, updated_at)
                   VALUES (%s, 1, 'g1', 'sandbox', 'live', 'OPENING', 1, 1, 1, now(), now()) RETURNING execution_id
           ), i AS (
               INSERT INTO trading.intents (execution_id, leg_no, purpose, venue, market_id, outcome, action,
                   limit_price_e4, size_e6, reserved_e6, epoch, environment, decided_at, expires_at, created_at)
               SELECT execution_id, 0, 'open', 'kalshi', 'KXTEST-1', 'yes', 'buy', 1, 1, 1, 1, 'sandbox', now(),
               now(), now()
               FROM e RETURNING intent_id
           )
           INSERT INTO trading.orders (intent_id, venue, client_order_id, state, request, environment, prepared_at)
           SELECT intent_id, 'kalshi', 'c', %s, '{}', 'sandbox', now() FROM i""",
        (signal, state),
    )


def test_a_kill_waits_for_an_order_under_way_and_no_longer(database: str) -> None:
    with connect(database) as connection:
        seed_order(connection, "sent")
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds
            if now[0] > 0.5:
                connection.execute("UPDATE trading.orders SET state = 'canceled'")

        found = await_orders(connection, 2.0, clock=lambda: now[0], sleep=sleep)
        assert found.is_nothing
        assert found.sentence == ""
        assert now[0] == pytest.approx(0.55)


@pytest.mark.parametrize("state", ["prepared", "sent", "unknown", "resting"])
def test_a_kill_names_what_is_still_open(database: str, state: str) -> None:
    with connect(database) as connection:
        seed_order(connection, state)
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds

        found = await_orders(connection, 2.0, clock=lambda: now[0], sleep=sleep)
        assert now[0] == pytest.approx(2.0)
        assert found.sentence == f"Still under way: order 1 of trade 1 on kalshi:KXTEST-1 ({state})."


def test_only_a_kill_waits(database: str) -> None:
    with connect(database) as connection:
        seed_order(connection, "unknown")
        for state in ("pause", "reduce", "run"):
            begun = time.monotonic()
            _, found = switch_trading(connection, state, who="Ada", wait_s=60.0)  # type: ignore[arg-type]
            assert found.is_nothing
            assert time.monotonic() - begun < 30


def test_a_stopped_process_gives_up_the_lock_of_those_who_write_intents(database: str) -> None:
    with connect(database) as connection, connection.transaction():
        lock_acting(connection)
        assert connection.execute("SHOW idle_in_transaction_session_timeout").fetchone() == {
            "idle_in_transaction_session_timeout": "5s"
        }
    with connect(database) as connection:
        assert connection.execute("SHOW idle_in_transaction_session_timeout").fetchone() == {
            "idle_in_transaction_session_timeout": "0"
        }


def test_an_intent_that_waits_longer_than_its_decision_lives_is_refused(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection, connect(database) as other:
            seed_group(connection)
            context, venues = make_context(connection, {}, 1, fake_settings(decision_ttl_ms=300))
            set_books(venues, random.Random(5))
            with other.transaction():
                hang_with_lock(other)
                result = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
            assert result.refusal is not None
            assert result.refusal.reason == "stale_book"
            assert rows(connection, "SELECT * FROM trading.intents") == []

    asyncio.run(main())
