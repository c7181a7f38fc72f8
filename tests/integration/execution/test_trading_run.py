from __future__ import annotations

import asyncio
import socket
import threading
import time
from datetime import UTC, datetime

from psycopg.types.json import Jsonb

from orchestration.execution.trade_signal import TradeResult
from orchestration.execution.trading_run import Trade, trade_and_wait
from streams.market.trading import ExecutionState
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.store.risk import set_switch
from streams.storage.store.signals import claim_group, release_group

SETTINGS = Settings(venues="sandbox")


def open_signal(connection: Connection, group: str) -> int:
    connection.execute(
        """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment)
           VALUES (%s, 'ladder', 't', %s, '[[]]', true, 'sandbox') ON CONFLICT DO NOTHING""",
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


def hedger(connection: Connection) -> Trade:
    """Return a stand-in for the trader that hedges whatever it is given."""

    async def trade(signal_id: int) -> TradeResult:
        row = connection.execute(
            """INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch, edge_usd,
                   contracts_e6)
               SELECT signal_id, 1, group_id, environment, 'live', 'HEDGED', 1, 1, 1 FROM trading.signals
               WHERE signal_id = %s RETURNING execution_id""",
            (signal_id,),
        ).fetchone()
        assert row is not None
        return TradeResult(signal_id, row["execution_id"], ExecutionState.HEDGED)

    return trade


def run(dsn: str, signal_ids: list[int], stay_s: float, into: list[int] | None = None) -> list[int]:
    with connect(dsn) as connection:
        outcomes = asyncio.run(trade_and_wait(connection, SETTINGS, hedger(connection), signal_ids, stay_s))
    traded = [outcome.signal_id for outcome in outcomes]
    if into is not None:
        into += traded
    return traded


def test_a_run_that_stays_takes_the_signals_that_open_meanwhile(database: str) -> None:
    with connect(database) as connection:
        opened = [open_signal(connection, "a")]
        traded: list[int] = []
        thread = threading.Thread(target=run, args=(database, opened[:1], 3_600.0, traded))
        thread.start()
        try:
            for group in ("b", "c"):
                wait_until_traded(connection, len(opened))
                opened.append(open_signal(connection, group))
            wait_until_traded(connection, len(opened))
        finally:
            set_switch(connection, "pause", "tester")
            thread.join()
    assert traded == opened


def wait_until_traded(connection: Connection, number: int) -> None:
    deadline = time.monotonic() + 90
    while connection.execute("SELECT count(*) AS n FROM trading.executions").fetchone() != {"n": number}:
        assert time.monotonic() < deadline, "the signals were not traded"
        time.sleep(0.02)


def test_a_run_that_stays_ends_when_no_signal_comes(database: str) -> None:
    with connect(database) as connection:
        first = open_signal(connection, "a")
    assert run(database, [first], 0.5) == [first]


def test_a_run_that_does_not_stay_takes_its_own_signals_only(database: str) -> None:
    with connect(database) as connection:
        first, other = open_signal(connection, "a"), open_signal(connection, "b")
    assert run(database, [first], 0) == [first]
    assert run(database, [other], 0) == [other]


def test_several_runs_take_each_signal_once(database: str) -> None:
    with connect(database) as connection:
        signals = [open_signal(connection, f"g{number}") for number in range(12)]
    traded: list[int] = []
    threads = [threading.Thread(target=run, args=(database, signals[:3], 1.0, traded)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(traded) == signals


def test_a_group_that_another_run_works_on_is_left_to_it(database: str) -> None:
    with connect(database) as other:
        signal = open_signal(other, "a")
        claim = claim_group(other, signal)
        assert claim is not None
        assert claim.is_held
        assert run(database, [signal], 0.5) == []
        release_group(other, claim)
    assert run(database, [signal], 0) == [signal]


def test_the_claim_of_a_process_that_died_counts_no_more(database: str) -> None:
    with connect(database) as other:
        signal = open_signal(other, "a")
        claim_group(other, signal)
        host = socket.gethostname()
        other.execute("UPDATE trading.leases SET holder = %s", (f"{host}:{2**22 + 1}:1.00",))
    assert run(database, [signal], 0) == [signal]


def test_no_run_stays_once_the_switch_is_not_run(database: str) -> None:
    with connect(database) as connection:
        set_switch(connection, "pause", "tester")
        open_signal(connection, "a")
    assert run(database, [], 3_600.0) == []
