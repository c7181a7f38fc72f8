"""Which signals an armed trading run takes, and how it hands over."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.types.json import Jsonb

from orchestration.execution.armed.account_lease import AccountLease, account_name
from orchestration.execution.armed.armed_run import ArmedRun, Desk, Tally, Trade, claimed
from orchestration.execution.armed.untaken_signals import untaken_signals
from orchestration.execution.trade_signal import TradeResult
from orchestration.runtime.kept_runs.trader import alert_on_unarmed
from streams.market.trading import ExecutionState
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.hints import Hints
from streams.storage.store.leases import find_lease, process_holder
from streams.storage.store.risk import set_switch
from streams.storage.store.signals import claim_group, release_group

SETTINGS = Settings(venues="sandbox", trading="live")


def open_signal(connection: Connection, group: str) -> int:
    connection.execute(
        """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment, updated_at)
           VALUES (%s, 'ladder', 't', %s, '[[]]', true, 'sandbox', now()) ON CONFLICT DO NOTHING""",
        (group, Jsonb([{"venue": "kalshi", "market_id": group}])),
    )
    row = connection.execute(
        """INSERT INTO trading.signals (group_id, leg_set, shard, environment, is_tradable, opened_at, open_edge_usd,
               peak_edge_usd, last_edge_usd, contracts_e6, cost_e6, fee_e6, profit_e6, updated_at)
           VALUES (%s, 'set', 0, 'sandbox', true, %s, 1, 1, 1, 1, 1, 1, 1, now()) RETURNING signal_id""",
        (group, datetime.now(UTC)),
    ).fetchone()
    assert row is not None
    return int(row["signal_id"])


def hedger(connection: Connection, traded: list[int], *, most: list[int] | None = None) -> Trade:
    """Return a stand-in for the trader that hedges whatever it is given."""
    at_work = 0

    async def trade(signal_id: int) -> TradeResult:
        nonlocal at_work
        at_work += 1
        if most is not None:
            most.append(at_work)
        await asyncio.sleep(0)
        row = connection.execute(
            """INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch, edge_usd,
                   contracts_e6, started_at, updated_at)
               SELECT signal_id, 1, group_id, environment, 'live', 'HEDGED', 1, 1, 1, now(), now() FROM trading.signals
               WHERE signal_id = %s RETURNING execution_id""",
            (signal_id,),
        ).fetchone()
        assert row is not None
        traded.append(signal_id)
        at_work -= 1
        return TradeResult(signal_id, row["execution_id"], ExecutionState.HEDGED)

    return trade


@contextmanager
def armed(dsn: str, traded: list[int], desks: int = 1, name: str = "a", trade: Trade | None = None) -> Iterator[Tally]:
    """Run an armed run in a thread and stop it afterwards; what it raises is raised here."""
    tally, failed = Tally(), []
    started = threading.Event()
    stop: list[Callable[[], object]] = []

    async def work(stack: ExitStack) -> None:
        event, loop = asyncio.Event(), asyncio.get_running_loop()
        stop.append(lambda: loop.is_closed() or loop.call_soon_threadsafe(event.set))
        look, news = (stack.enter_context(connect(dsn)) for _ in range(2))
        places = []
        for number in range(desks):
            connection = stack.enter_context(connect(dsn))
            places.append(Desk(connection, trade or hedger(connection, traded), process_holder(f"{name}-{number}")))
        hints = Hints(news, "crossbook_signals", 0.01)
        run = ArmedRun(SETTINGS, look, places, lambda longest: hints.wait(min(longest, 0.05)), tally)
        started.set()
        await run.until(event)

    def main() -> None:
        try:
            with ExitStack() as stack:
                asyncio.run(work(stack))
        except Exception as error:
            failed.append(error)
            started.set()

    thread = threading.Thread(target=main)
    thread.start()
    assert started.wait(30)
    try:
        yield tally
    finally:
        for act in stop:
            act()
        thread.join(30)
        assert not thread.is_alive()
        if failed:
            raise failed[0]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)


def test_an_armed_run_takes_the_signals_that_open(database: str) -> None:
    traded: list[int] = []
    with connect(database) as connection, armed(database, traded) as tally:
        opened = []
        for group in ("a", "b", "c"):
            opened.append(open_signal(connection, group))
            wait_until(lambda: len(traded) == len(opened))
    assert traded == opened
    assert tally.ended == {"HEDGED": 3}
    assert tally.at_work == 0


def test_several_runs_with_several_desks_take_each_signal_once(database: str) -> None:
    with connect(database) as connection:
        signals = [open_signal(connection, f"g{number}") for number in range(12)]
    traded: list[int] = []
    with armed(database, traded, 2, "a"), armed(database, traded, 2, "b"):
        wait_until(lambda: len(traded) >= len(signals))
    assert sorted(traded) == signals


def test_desks_work_at_a_time_but_never_on_one_group(database: str) -> None:
    """A signal that takes long does not keep those of other groups waiting; one of its own group waits."""
    with connect(database) as connection:
        slow, other = open_signal(connection, "a"), open_signal(connection, "b")
        connection.execute("UPDATE trading.signals SET leg_set = 'other' WHERE signal_id = %s", (slow,))
        second = open_signal(connection, "a")
        gate = threading.Event()
        traded: list[int] = []
        inner = hedger(connection, traded)

        async def trade(signal_id: int) -> TradeResult:
            if signal_id == slow:
                await asyncio.to_thread(gate.wait, 60)
            return await inner(signal_id)

        with armed(database, traded, 3, trade=trade):
            wait_until(lambda: other in traded)
            assert traded == [other]
            gate.set()
            wait_until(lambda: len(traded) == 3)
    assert traded == [other, slow, second]


def test_a_group_that_another_run_works_on_is_left_to_it(database: str) -> None:
    traded: list[int] = []
    with connect(database) as other:
        signal = open_signal(other, "a")
        claim = claim_group(other, signal)
        assert claim is not None
        assert claim.is_held
        with armed(database, traded, name="x"):
            free = open_signal(other, "b")
            wait_until(lambda: traded == [free])
            release_group(other, claim)
            wait_until(lambda: traded == [free, signal])


def test_the_claim_of_a_process_that_died_counts_no_more(database: str) -> None:
    with connect(database) as other:
        signal = open_signal(other, "a")
        claim_group(other, signal)
        host = socket.gethostname()
        other.execute("UPDATE trading.leases SET holder = %s", (f"{host}:{2**22 + 1}:1.00",))
        with claimed(other, signal) as is_ours:
            assert is_ours


def test_nothing_is_taken_while_the_switch_is_not_run(database: str) -> None:
    traded: list[int] = []
    with connect(database) as connection:
        set_switch(connection, "pause", "tester")
        signal = open_signal(connection, "a")
        with armed(database, traded):
            hints_seen = time.monotonic() + 0.3
            wait_until(lambda: time.monotonic() > hints_seen)
            assert traded == []
            set_switch(connection, "run", "tester")
            wait_until(lambda: traded == [signal])


def test_a_run_whose_warehouse_fails_at_one_desk_ends_the_others_work_first(database: str) -> None:
    with connect(database) as connection:
        broken, slow = open_signal(connection, "a"), open_signal(connection, "b")
        traded: list[int] = []
        inner = hedger(connection, traded)

        async def trade(signal_id: int) -> TradeResult:
            if signal_id == broken:
                raise psycopg.OperationalError("gone")
            await asyncio.sleep(0.1)
            return await inner(signal_id)

        with pytest.raises(psycopg.OperationalError), armed(database, traded, 2, trade=trade):
            wait_until(lambda: traded == [slow])


# -- the account -------------------------------------------------------------------------------------------------------


def account(dsn: str, run_id: str, ended: list[str], version: str = "v") -> AccountLease:
    return AccountLease(dsn, SETTINGS, run_id, detail=lambda: {"version": version}, on_end=ended.append)


def test_the_armed_run_states_its_version_from_the_first_moment(database: str) -> None:
    lease = account(database, "a", [], "one")
    assert lease.arm(lambda: True)
    with connect(database) as connection:
        row = find_lease(connection, account_name("live"))
    lease.give_back()
    assert row is not None
    assert (row.run_id, row.detail["version"], row.is_held) == ("a", "one", True)


def test_a_run_that_wants_the_account_gets_it_from_the_one_that_has_it(database: str) -> None:
    ended: list[str] = []
    first, second = account(database, "a", ended), account(database, "b", [])
    assert first.arm(lambda: True)
    assert second.arm(lambda: True)
    assert ended == ["run b takes over"]
    assert second.epoch > first.epoch
    with connect(database) as connection:
        row = find_lease(connection, account_name("live"))
        assert row is not None
        assert row.run_id == "b"
        first.give_back()  # what is not ours any more is not given back
        second.give_back()
        row = find_lease(connection, account_name("live"))
        assert row is not None
        assert row.released_at is not None


def test_a_run_that_is_not_wanted_any_more_stops_asking_for_the_account(database: str) -> None:
    ended: list[str] = []
    first, second = account(database, "a", ended), account(database, "b", [])
    assert first.arm(lambda: True)
    assert not second.arm(lambda: False)
    first.give_back()
    assert ended == []


def test_a_run_that_lost_the_account_takes_no_more(database: str) -> None:
    ended: list[str] = []
    first = account(database, "a", ended)
    assert first.arm(lambda: True)
    with connect(database) as connection:
        connection.execute("UPDATE trading.leases SET epoch = epoch + 1 WHERE name = %s", (account_name("live"),))
    wait_until(lambda: bool(ended))
    first.give_back()
    assert ended == ["another run holds the account"]


# -- what nobody takes -------------------------------------------------------------------------------------------------


def test_a_signal_is_the_armed_runs_for_two_seconds(database: str) -> None:
    with connect(database) as connection:
        signal = open_signal(connection, "a")
        assert untaken_signals(connection, SETTINGS, 4) == []
        connection.execute("UPDATE trading.signals SET opened_at = opened_at - interval '2 seconds'")
        assert [found.signal_id for found in untaken_signals(connection, SETTINGS, 4)] == [signal]
        assert untaken_signals(connection, SETTINGS, 0) == []


def test_a_signal_that_was_refused_a_moment_ago_is_the_armed_runs_again(database: str) -> None:
    with connect(database) as connection:
        signal = open_signal(connection, "a")
        connection.execute("UPDATE trading.signals SET opened_at = opened_at - interval '10 seconds'")
        connection.execute(
            """INSERT INTO trading.refusals (signal_id, reason, environment, refused_at)
               VALUES (%s, 'stale_book', 'sandbox', now() - interval '3 seconds')""",
            (signal,),
        )
        assert untaken_signals(connection, SETTINGS, 4) == []
        connection.execute("UPDATE trading.refusals SET refused_at = refused_at - interval '10 seconds'")
        assert [found.signal_id for found in untaken_signals(connection, SETTINGS, 4)] == [signal]


# -- nobody is armed ---------------------------------------------------------------------------------------------------


def test_that_no_run_is_armed_alarms_until_one_is(database: str) -> None:
    with connect(database) as connection:

        def is_told(watched_s: float, settings: Settings = SETTINGS) -> bool:
            alert_on_unarmed(connection, settings, watched_s)
            row = connection.execute(
                "SELECT count(*) AS n FROM trading.alerts WHERE kind = 'no_armed_run' AND cleared_at IS NULL"
            ).fetchone()
            return row is not None and bool(row["n"])

        assert not is_told(59.0)  # the first one has a minute to be armed
        assert is_told(61.0)
        assert not is_told(61.0, Settings(venues="sandbox", trading="off"))
        lease = account(database, "a", [])
        assert lease.arm(lambda: True)
        assert not is_told(600.0)
        lease.give_back()
        connection.execute("UPDATE trading.leases SET heartbeat_at = heartbeat_at - interval '2 minutes'")
        assert not is_told(59.0)  # of the start before
        assert is_told(600.0)
