"""Days of the raw tables: made before a row needs them, dropped without anybody waiting, defaults of before emptied."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from streams.market.errors import TransientError
from streams.recorder.rows import TimeText
from streams.storage import partitions
from streams.storage.database import Connection, connect
from streams.storage.ddl import run_ddl
from streams.storage.partitions import (
    PARTITIONED_TABLES,
    TableDay,
    drop_old_partitions,
    empty_default_partitions,
    ensure_days,
    ensure_partitions,
    far_days,
    partition_names,
)
from streams.storage.recording import RowBatch, commit_batch, open_segment
from streams.storage.schema import migrate
from streams.storage.segments import MAGIC

TODAY = datetime.now(UTC).date()


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def quote_line(day: date, segment: int, offset: int = 0) -> str:
    at = TimeText().of_ns(int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 10**9)
    return f"{at}\tkalshi\tA\t4000\t1000000\t\\N\t\\N\tlive\t{segment}\t{offset}\tf\n"


def batch_of(connection: Connection, *days: date) -> RowBatch:
    segment = open_segment(connection, 0, "run", Path(f"/{time.monotonic_ns()}"), datetime.now(UTC), len(MAGIC))
    batch = RowBatch(segment, len(MAGIC), len(MAGIC) + 10)
    batch.lines["quotes"] = [quote_line(day, segment, offset) for offset, day in enumerate(days)]
    return batch


def alerts(connection: Connection) -> list[str]:
    return [row["dedup_key"] for row in connection.execute("SELECT dedup_key FROM trading.alerts ORDER BY 1")]


@contextmanager
def reader(database: str, query: str = "SELECT count(*) FROM raw.quotes_v1") -> Iterator[psycopg.Connection]:
    """A session that has read and left its transaction open."""
    with psycopg.connect(database) as session:
        session.execute(query)
        yield session
        session.rollback()


def add_default(connection: Connection, table: str) -> None:
    connection.execute(f"CREATE TABLE raw.{table}_default PARTITION OF raw.{table} DEFAULT")


def test_no_table_has_a_default_partition(connection: Connection) -> None:
    assert not [name for name in partition_names(connection) if name.endswith("default")]
    assert len(partition_names(connection)) == 4 * len(PARTITIONED_TABLES)


def test_rows_of_any_day_are_written_once_and_its_day_is_made(connection: Connection, database: str) -> None:
    far = set[str]()
    for count, days in enumerate([0, 1, 2, 3, 400, 9999, -1, -40], start=1):
        day = TODAY + timedelta(days=days)
        batch = batch_of(connection, day, TODAY)
        assert commit_batch(connection, 0, "run", batch)
        assert not commit_batch(connection, 0, "run", batch)
        row = connection.execute("SELECT count(*) AS n FROM raw.quotes").fetchone()
        assert row == {"n": 2 * count}
        far |= {f"far_day:{day}"} if days > 2 or days < -1 else set()
        assert set(alerts(connection)) == far
    # Neither a start nor the maintenance of these days is in the way of what is there.
    migrate(database, "sandbox")
    day = TODAY + timedelta(days=400)
    made = [f"{table}_{day:%Y%m%d}" for table in PARTITIONED_TABLES if table != "quotes"]
    assert ensure_partitions(connection, day, 0) == sorted(made)


def test_a_far_day_is_one_alert_however_often_it_is_written(connection: Connection) -> None:
    day = TODAY + timedelta(days=30)
    for _ in range(3):
        commit_batch(connection, 0, "run", batch_of(connection, day))
    assert alerts(connection) == [f"far_day:{day}"]
    assert far_days(connection, TODAY) == [day]


def test_a_new_day_has_the_indexes_of_its_table(connection: Connection) -> None:
    ensure_days(connection, [TableDay("book_deltas", TODAY + timedelta(days=2)), TableDay("book_deltas", TODAY)])
    ensure_days(connection, [TableDay("book_deltas", TODAY + timedelta(days=9))])
    rows = connection.execute(
        """SELECT count(*) AS n FROM pg_inherits AS i JOIN pg_index AS x ON x.indexrelid = i.inhrelid
           WHERE x.indrelid = to_regclass(%s)""",
        (f"raw.book_deltas_{TODAY + timedelta(days=9):%Y%m%d}",),
    ).fetchone()
    assert rows == {"n": 2}


def test_only_our_tables_and_days_that_a_clock_tells_are_made(connection: Connection) -> None:
    for table in ("segments", "market_state", "quotes; DROP TABLE raw.quotes", "pg_class", "", None):
        for function in ("make_day(%s, %s)", "ensure_day(%s, %s, now())"):
            with pytest.raises(psycopg.errors.InvalidParameterValue, match="has no days"):
                connection.execute(f"SELECT raw.{function}", (table, TODAY))
    for day in ("infinity", "-infinity", "1969-12-31", "10000-01-01", "4713-01-01 BC", None):
        with pytest.raises(psycopg.errors.DatetimeFieldOverflow):
            connection.execute("SELECT raw.ensure_day('quotes', %s::date, now())", (day,))


def test_a_login_that_owns_nothing_makes_days_and_nobody_else(connection: Connection) -> None:
    role = f"recorder_{time.monotonic_ns()}"
    connection.execute(f"CREATE ROLE {role}")
    try:
        connection.execute(f"GRANT USAGE ON SCHEMA raw TO {role}")
        connection.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT raw.ensure_day('quotes', current_date, now())")
        connection.execute("RESET ROLE")
        connection.execute(f"GRANT EXECUTE ON FUNCTION raw.ensure_day(text, date, timestamptz) TO {role}")
        connection.execute(f"SET ROLE {role}")
        connection.execute("CREATE TEMP TABLE pg_inherits (inhrelid oid, inhdetachpending boolean)")
        connection.execute("SET search_path = pg_temp, public")
        connection.execute("SELECT raw.ensure_day('quotes', (current_date + 20), now())")
        connection.execute("RESET ROLE")
        assert len(alerts(connection)) == 1
    finally:
        connection.execute("RESET ROLE")
        connection.execute("DROP TABLE IF EXISTS pg_temp.pg_inherits")
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_many_recorders_ask_for_the_same_day_at_once(database: str) -> None:
    failures: list[BaseException] = []
    barrier = threading.Barrier(6)

    def ask() -> None:
        try:
            with connect(database) as own:
                for offset in range(10, 14):
                    barrier.wait(20)
                    ensure_days(own, [TableDay(table, TODAY + timedelta(days=offset)) for table in PARTITIONED_TABLES])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    with connect(database) as own:
        assert len(partition_names(own)) == 8 * len(PARTITIONED_TABLES)


def test_a_new_day_waits_for_no_reader(connection: Connection, database: str) -> None:
    with reader(database):
        begun = time.monotonic()
        commit_batch(connection, 0, "run", batch_of(connection, TODAY + timedelta(days=5)))
        assert time.monotonic() - begun < 1


def test_dropping_an_old_day_keeps_no_recorder_waiting(
    connection: Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_DETACH_LIMIT_S", 1.0)
    old = TODAY - timedelta(days=40)
    ensure_partitions(connection, old, 0)
    commit_batch(connection, 0, "run", batch_of(connection, old))
    dropped: list[str] = []

    def drop() -> None:
        with connect(database) as own:
            dropped.extend(drop_old_partitions(own, TODAY, 30))

    with reader(database):
        thread = threading.Thread(target=drop)
        thread.start()
        longest = 0.0
        while thread.is_alive():
            begun = time.monotonic()
            commit_batch(connection, 0, "run", batch_of(connection, TODAY))
            longest = max(longest, time.monotonic() - begun)
        assert longest < 1
        assert f"quotes_{old:%Y%m%d}" not in dropped
    # What the reader kept from ending is ended the next time.
    assert f"quotes_{old:%Y%m%d}" in drop_old_partitions(connection, TODAY, 30)
    left = connection.execute("SELECT count(*) AS n FROM pg_class WHERE relname LIKE %s", (f"%{old:%Y%m%d}",))
    assert left.fetchone() == {"n": 0}


@pytest.mark.parametrize("state", ["pending", "alone"])
def test_an_interrupted_removal_is_ended_or_undone_where_a_row_comes(
    connection: Connection, database: str, state: str
) -> None:
    old = TODAY - timedelta(days=40)
    ensure_partitions(connection, old, 0)
    name = f"raw.quotes_{old:%Y%m%d}"
    if state == "pending":
        with reader(database), pytest.raises(TransientError):
            run_ddl(connection, f"ALTER TABLE raw.quotes DETACH PARTITION {name} CONCURRENTLY", limit_s=0)
    else:
        connection.execute(f"ALTER TABLE raw.quotes DETACH PARTITION {name}")
    assert name[4:] not in partition_names(connection)
    commit_batch(connection, 0, "run", batch_of(connection, old))
    assert name[4:] in partition_names(connection)
    assert name[4:] in drop_old_partitions(connection, TODAY, 30)


def test_one_reader_leaves_the_old_days_of_its_table_and_no_other_s(
    connection: Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_DETACH_LIMIT_S", 0.0)
    for days in (41, 40, 60):
        ensure_partitions(connection, TODAY - timedelta(days=days), 0)
    later = f"quotes_{TODAY - timedelta(days=40):%Y%m%d}"
    with reader(database):
        with pytest.raises(TransientError):
            run_ddl(connection, f"ALTER TABLE raw.quotes DETACH PARTITION raw.{later} CONCURRENTLY", limit_s=0)
        for _ in range(2):
            dropped = drop_old_partitions(connection, TODAY, 30)
            assert not any(name.startswith("quotes") for name in dropped)
    assert len([name for name in drop_old_partitions(connection, TODAY, 30) if name.startswith("quotes")]) == 3


def test_rows_of_a_default_partition_move_to_their_days_and_it_is_dropped(
    connection: Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_BATCH_ROWS", 7)
    for table in PARTITIONED_TABLES:
        add_default(connection, table)
    days = [TODAY + timedelta(days=offset) for offset in (5, 6, 400, -3)]
    connection.execute(
        """INSERT INTO raw.quotes (received_at, venue, market_id, state)
           SELECT d + interval '23:59:59.999999', 'kalshi', n::text, 'live'
           FROM unnest(%s::timestamptz[]) AS d, generate_series(1, 25) AS n""",
        ([datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days],),
    )
    migrate(database, "sandbox")
    found = connection.execute("SELECT tableoid::regclass::text AS t, count(*) AS n FROM raw.quotes GROUP BY 1")
    assert {row["t"]: row["n"] for row in found} == {f"raw.quotes_{day:%Y%m%d}": 25 for day in days}
    assert not [name for name in partition_names(connection) if name.endswith("default")]
    assert alerts(connection) == []


def test_rows_of_no_day_stop_no_upgrade(connection: Connection, database: str) -> None:
    add_default(connection, "quotes")
    connection.execute(
        """INSERT INTO raw.quotes (received_at, venue, market_id, state)
           SELECT t::timestamptz, 'kalshi', 'm', 'live'
           FROM unnest(ARRAY['infinity', '-infinity', '1969-12-31', '0044-03-15 BC', '9999-12-31 12:00+00',
               '20000-01-01', '1971-01-01']) AS t"""
    )
    for moved in (1, 0):
        assert empty_default_partitions(connection) == moved
    assert connection.execute("SELECT count(*) AS n FROM raw.quotes").fetchone() == {"n": 1}
    assert connection.execute("SELECT count(*) AS n FROM raw.quotes_default").fetchone() == {"n": 6}
    migrate(database, "sandbox")


def test_a_killed_upgrade_goes_on_where_it_was(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_BATCH_ROWS", 10)
    add_default(connection, "trades")
    connection.execute(
        """INSERT INTO raw.trades
           SELECT now() + interval '9 days', 'kalshi', 'A', n::text, 1, 1, 'yes', NULL, 1, n, '{}'
           FROM generate_series(1, 55) AS n"""
    )
    move = partitions._move_batch
    left = [3]

    def killed(*arguments: object) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return move(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(partitions, "_move_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        empty_default_partitions(connection)
    monkeypatch.setattr(partitions, "_move_batch", move)
    assert empty_default_partitions(connection) == 25
    assert empty_default_partitions(connection) == 0
    row = connection.execute("SELECT count(*) AS n, count(DISTINCT trade_id) AS ids FROM raw.trades").fetchone()
    assert row == {"n": 55, "ids": 55}


def test_a_change_that_gets_no_lock_gives_up_and_leaves_the_session_as_it_was(
    connection: Connection, database: str
) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    connection.execute("SET lock_timeout = '3s'")
    with reader(database), pytest.raises(TransientError, match="open transaction"):
        run_ddl(connection, "ALTER TABLE raw.quotes ADD COLUMN x int", limit_s=1, clock=lambda: now[0], sleep=sleep)
    assert now[0] >= 1
    assert connection.execute("SHOW lock_timeout").fetchone() == {"lock_timeout": "3s"}
    run_ddl(connection, "ALTER TABLE raw.quotes ADD COLUMN x int")
