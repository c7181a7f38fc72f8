"""What a person who may only read can do to the others: nothing. Each attack is tried as such a login."""

from __future__ import annotations

import asyncio
import random
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from app.operator_actions import set_switch, switch_trading
from orchestration.execution.trade_signal import SignalTrader
from streams.market.trading import ExecutionState
from streams.process_id import private_memory_mb
from streams.settings import PROJECT_ROOT
from streams.storage.access.logins import Login
from streams.storage.access.reader_limits import ReaderLimits
from streams.storage.database import Connection, connect
from streams.storage.hints import Hints
from streams.storage.partitions import PARTITIONED_TABLES
from streams.storage.reader.apply import apply_reader_limits
from streams.storage.reader.watchdog import ReaderWatchdog, end_readers, insist
from streams.storage.schema import migrate
from streams.storage.server.embedded import EmbeddedServer
from streams.storage.store.alerts import list_alerts, raise_alert
from streams.storage.store.guards.locks import hold, make_guards
from streams.storage.store.ledger import lock_market
from streams.storage.store.risk import current_switch, lock_acting
from streams.storage.store.warehouse import LiveView, keep_views
from tests.support.fake_venue import (
    KALSHI_MARKET,
    POLYMARKET_MARKET,
    fake_settings,
    make_context,
    seed_group,
    seed_signal,
    set_books,
)
from tests.support.ports import free_port
from tests.support.readers import alerts, is_ended, reader_login, until

LIMITS = ReaderLimits(statement_s=0.4, idle_s=0.4, transaction_s=5.0, temp_mb=1)
PATIENT = ReaderLimits(temp_mb=1)
_SQL = PROJECT_ROOT / "streams" / "storage" / "migrations" / "sql"
VIEW = LiveView("analytics", "seen", "SELECT state FROM trading.switches")


@pytest.fixture
def reader(database: str) -> Iterator[str]:
    """The address of a reader of the test's database, who is held to small limits."""
    with reader_login(database) as address:
        with connect(database) as connection:
            make_guards(connection)
            assert apply_reader_limits(connection, PATIENT) == []
        yield address


@contextmanager
def watchdog(database: str, limits: ReaderLimits = LIMITS) -> Iterator[ReaderWatchdog]:
    dog = ReaderWatchdog(lambda: database, limits, 0.05)
    dog.start()
    try:
        yield dog
    finally:
        dog.stop()


def test_the_numbers_of_former_locks_stop_nothing(database: str, reader: str) -> None:
    with psycopg.connect(reader, autocommit=True) as session, connect(database) as connection:
        for number in (7_263_541, 7_263_542, 7_263_543):
            session.execute("SELECT pg_advisory_lock(%s)", (number,))
        session.execute("SELECT pg_advisory_lock(hashtextextended('kalshi:A', 0))")
        session.execute("SELECT pg_advisory_lock(hashtextextended('trade g1', 0))")
        connection.execute("SET lock_timeout = '1ms'")
        set_switch(connection, "kill", who="Ada")
        with connection.transaction():
            lock_acting(connection, 0.001)
            lock_market(connection, "kalshi", "A")
            hold(connection, "migration", 0.001)
        migrate(database, "sandbox", PATIENT)
        assert keep_views(connection, [VIEW]) == 1
        assert not is_ended(session)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM trading.locks",
        "SELECT name FROM trading.locks FOR UPDATE",
        "LOCK TABLE trading.locks IN ACCESS SHARE MODE",
        "INSERT INTO trading.locks VALUES ('acting')",
        "LOCK TABLE trading.switches IN ROW SHARE MODE",
        "SELECT * FROM trading.switches FOR KEY SHARE",
        "SELECT * FROM trading.reader_sessions()",
        "SELECT trading.end_reader_session(1, now(), 'a', 'b', now())",
        "CREATE TEMP TABLE t (x int)",
        "CREATE TABLE t (x int)",
        "CREATE TABLE analytics.t (x int)",
        "CREATE SCHEMA s",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT pg_logical_emit_message(false, 'x', 'y')",
        "SET temp_file_limit = -1",
        "SET ROLE crossbook_interface",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY (SELECT 1) TO '/tmp/x'",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user AND usename IS NOT NULL",
    ],
)
def test_a_reader_may_not(database: str, reader: str, statement: str) -> None:
    with connect(database) as connection:
        keep_views(connection, [VIEW])
    with psycopg.connect(reader, autocommit=True) as session:
        session.execute("SET default_transaction_read_only = off")
        session.execute("BEGIN")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(statement.encode())


def test_a_reader_has_ten_connections_and_no_disk(reader: str) -> None:
    with ExitStack() as opened:
        for _ in range(10):
            session = opened.enter_context(psycopg.connect(reader, autocommit=True))
        for _ in range(20):
            with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
                psycopg.connect(reader)
        session.execute("SET work_mem = '64kB'")
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            session.execute("SELECT count(*) FROM (SELECT g FROM generate_series(1, 500000) AS g ORDER BY -g) AS x")
        assert session.execute("SHOW statement_timeout").fetchone() == ("5min",)
        assert session.execute("SHOW idle_in_transaction_session_timeout").fetchone() == ("30s",)


def hold_everything(session: psycopg.Connection[tuple[object, ...]]) -> None:
    """Open a transaction that has read every table and view there is to read."""
    session.execute("SET lock_timeout = 0")
    session.execute("SET idle_in_transaction_session_timeout = 0")
    session.execute("SET statement_timeout = 0")
    names = session.execute(
        """SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p', 'v')
           AND relnamespace::regnamespace::text IN ('raw', 'trading', 'analytics')
           AND has_table_privilege(oid, 'SELECT')"""
    ).fetchall()
    session.execute("BEGIN")
    for (name,) in names:
        session.execute(f"LOCK TABLE {name} IN ACCESS SHARE MODE".encode())


def test_who_reads_every_table_keeps_neither_views_nor_tables_nor_a_kill_waiting(database: str, reader: str) -> None:
    with watchdog(database, PATIENT), connect(database) as connection:
        keep_views(connection, [VIEW])
        for what in ("views", "table", "kill"):
            with psycopg.connect(reader, autocommit=True) as session:
                hold_everything(session)
                begun = time.monotonic()
                if what == "views":
                    keep_views(connection, [LiveView("analytics", "seen", "SELECT 1 AS x")])
                elif what == "table":
                    connection.execute("TRUNCATE trading.watch_list")
                else:
                    ddl = threading.Thread(target=_alter, args=(database,))
                    ddl.start()
                    switch_trading(connection, "kill", who="Ada", wait_s=2.0)
                    ddl.join()
                assert time.monotonic() - begun < 20
                assert is_ended(session), what
    assert any("waited for it" in message for message in alerts(database))


def _waits(connection: Connection) -> bool:
    return bool(connection.execute("SELECT 1 AS x FROM pg_locks WHERE NOT granted").fetchall())


def test_an_act_that_meets_a_lock_ends_the_readers_by_itself(database: str, reader: str) -> None:
    with psycopg.connect(reader, autocommit=True) as session, connect(database) as connection:
        hold_everything(session)
        ddl = threading.Thread(target=_alter, args=(database,))
        ddl.start()
        until(lambda: _waits(connection))
        set_switch(connection, "kill", who="Ada")
        ddl.join()
        assert current_switch(connection) == "kill"
        assert is_ended(session)


def _alter(database: str) -> None:
    with connect(database) as connection:
        connection.execute("ALTER TABLE trading.switches ALTER COLUMN reason SET DEFAULT ''")


def test_an_upgrade_does_not_wait_for_readers(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        create = ("0001_raw.sql", "0001_trading.sql", "0001_roles.sql")
        for name in create:
            connection.execute((_SQL / name).read_bytes())
        for table in PARTITIONED_TABLES:
            connection.execute(f"CREATE TABLE raw.{table}_default PARTITION OF raw.{table} DEFAULT")
        for name in ("0002_polled.sql", "0003_figures.sql"):
            with connection.transaction():
                connection.execute((_SQL / name).read_bytes())
        connection.execute("CREATE TABLE trading.schema_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO trading.schema_version VALUES ('0003')")
    with reader_login(empty_database) as reader, psycopg.connect(reader, autocommit=True) as session:
        session.execute("SELECT pg_advisory_lock(7263541)")
        hold_everything(session)
        migrate(empty_database, "sandbox", PATIENT)
        assert is_ended(session)
        with psycopg.connect(reader) as again, pytest.raises(psycopg.errors.InsufficientPrivilege):
            again.execute("SELECT * FROM trading.locks")


def test_several_processes_migrate_an_empty_database_at_once(empty_database: str) -> None:
    problems: list[BaseException] = []

    def start() -> None:
        try:
            migrate(empty_database, "sandbox")
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["SET statement_timeout = 0", "SELECT pg_sleep(120)"], "a statement ran for more than 0.4 s"),
        (["SET idle_in_transaction_session_timeout = 0", "BEGIN", "SELECT 1"], "idle for more than 0.4 s"),
        (["LISTEN x", "BEGIN", "SELECT 1"], "idle for more than 0.4 s"),
        (["BEGIN", "SELECT 1 / (SELECT 0)"], "idle for more than 0.4 s"),
        (["SELECT pg_advisory_lock(g) FROM generate_series(1, 101) AS g"], "held 101 advisory locks"),
    ],
)
def test_a_reader_who_sets_its_own_limits_is_ended(
    database: str, reader: str, statements: list[str], said: str
) -> None:
    with watchdog(database), psycopg.connect(reader, autocommit=True) as session:
        try:
            for statement in statements:
                session.execute(statement.encode())
        except (psycopg.errors.DivisionByZero, psycopg.OperationalError):
            pass
        until(lambda: any(said in message for message in alerts(database)))
        until(lambda: is_ended(session))


def test_a_reader_who_takes_the_machine_s_memory_is_ended(database: str, reader: str) -> None:
    failed: list[psycopg.Error] = []

    def take() -> None:
        try:
            with psycopg.connect(reader, autocommit=True) as session:
                session.execute(
                    "DO $$ DECLARE held text := repeat('x', 200000000); BEGIN PERFORM pg_sleep(600); END $$"
                )
        except psycopg.Error as error:
            failed.append(error)

    taker = threading.Thread(target=take)
    taker.start()
    with connect(database) as connection:
        until(lambda: bool(end_readers(connection, ReaderLimits(memory_mb=100), private_memory_mb)))
    taker.join()
    assert isinstance(failed[0], psycopg.errors.AdminShutdown)
    assert "of memory" in alerts(database)[0]


def test_nobody_but_readers_is_ended(database: str, reader: str) -> None:
    with watchdog(database), connect(database) as ours, connect(database) as other:
        with ours.transaction():
            lock_acting(ours)
            waiting = threading.Thread(target=_take_acting, args=(other,))
            waiting.start()
            until(lambda: _waits(ours))
            with psycopg.connect(reader, autocommit=True) as quiet:
                quiet.execute("SELECT 1")
                for _ in range(5):
                    assert end_readers(ours, LIMITS) == []
                assert not is_ended(quiet)
        waiting.join()
        assert alerts(database) == []


def _take_acting(connection: Connection) -> None:
    with connection.transaction():
        lock_acting(connection)


def test_an_alert_that_a_watchdog_before_left_is_over_in_its_time(database: str) -> None:
    now = [0.0]
    dog = ReaderWatchdog(lambda: database, LIMITS, 1.0, lambda: now[0])
    with connect(database) as connection:
        raise_alert(connection, "reader_ended", "warning", "reader:ann:locks", "A session of ann was ended.")
        dog.look(connection)
        assert len(list_alerts(connection, open_only=True)) == 1
        now[0] = 61.0
        dog.look(connection)
        assert not list_alerts(connection, open_only=True)


def test_the_watchdog_comes_back_after_its_own_session_was_ended(database: str, reader: str) -> None:
    with watchdog(database) as dog, connect(database) as connection:
        mine = "SELECT pid FROM pg_stat_activity WHERE application_name = 'crossbook-watchdog' AND datname = %s"
        name = (connection.info.dbname,)
        until(lambda: bool(connection.execute(mine, name).fetchall()))
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({mine}) AS x", name)
        with psycopg.connect(reader, autocommit=True) as session:
            session.execute("BEGIN")
            session.execute("SELECT 1")
            until(lambda: is_ended_quietly(database))
            assert is_ended(session)
        assert dog.is_alive()


def is_ended_quietly(database: str) -> bool:
    return any("idle for more" in message for message in alerts(database))


def test_a_login_of_another_role_sees_and_ends_readers_too(database: str, reader: str) -> None:
    with psycopg.connect(reader, autocommit=True) as session, connect(database) as connection:
        session.execute("SELECT pg_advisory_lock(g) FROM generate_series(1, 200) AS g")
        connection.execute("SET ROLE crossbook_interface")
        connection.execute("CREATE TEMP TABLE of_a_role_that_writes (x int)")
        assert [ending.rule for ending in end_readers(connection, PATIENT)] == ["locks"]
        assert is_ended(session)
    assert any("held 200 advisory locks" in message for message in alerts(database))


def test_who_acts_ends_only_those_in_its_way(database: str, reader: str) -> None:
    with psycopg.connect(reader, autocommit=True) as session, connect(database) as connection:
        session.execute("SELECT pg_advisory_lock(g) FROM generate_series(1, 200) AS g")
        assert end_readers(connection, None) == []
        assert not is_ended(session)


def test_an_owner_without_the_rights_says_which_statements_are_left(database: str, reader: str) -> None:
    owner = f"owner_{secrets.token_hex(4)}"
    with connect(database) as connection:
        connection.execute(f"CREATE ROLE {owner} LOGIN PASSWORD 'x'")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA trading TO " + owner)
        connection.execute("GRANT USAGE ON SCHEMA trading TO " + owner)
        try:
            with connect(psycopg.conninfo.make_conninfo(database, user=owner, password="x")) as poor:
                left = apply_reader_limits(poor, PATIENT)
        finally:
            connection.execute(f"DROP OWNED BY {owner}")
            connection.execute(f"DROP ROLE {owner}")
    assert f'GRANT pg_read_all_stats, pg_signal_backend TO "{owner}"' in left
    assert any("lo_create(oid)" in statement for statement in left)
    assert any("temp_file_limit" in statement for statement in left)


def test_a_flood_of_notifications_hurries_nobody(database: str, reader: str) -> None:
    stop = threading.Event()

    def flood() -> None:
        with psycopg.connect(reader, autocommit=True) as session:
            while not stop.is_set():
                session.execute(
                    "SELECT pg_notify('crossbook_signals', repeat('x', 500) || g) FROM generate_series(1, 999) AS g"
                )

    with connect(database) as connection:
        waiting = Hints(connection, "crossbook_signals", 0.1)
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            begun, waits = time.monotonic(), 0
            while time.monotonic() - begun < 1.5:
                waiting.wait(0.3)
                waits += 1
        finally:
            stop.set()
            thread.join()
    assert waits <= 17


def test_a_write_is_tried_again_until_it_is_its_turn(database: str) -> None:
    with connect(database) as ours, connect(database) as other:
        with other.transaction():
            other.execute("LOCK TABLE trading.limits IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                insist(
                    ours,
                    lambda c: c.execute(
                        "INSERT INTO trading.limits (name, value, set_by, set_at) VALUES ('total_usd', 1, 'b', now())"
                    ),
                    limit_s=0,
                )
        insist(
            ours,
            lambda c: c.execute(
                "INSERT INTO trading.limits (name, value, set_by, set_at) VALUES ('total_usd', 1, 'b', now())"
            ),
        )
        assert len(ours.execute("SELECT 1 AS x FROM trading.limits").fetchall()) == 1


def test_the_login_that_a_start_makes_is_held_to_the_settings(tmp_path: Path) -> None:
    server = EmbeddedServer(home=tmp_path / "postgres", port=free_port())
    server.start()
    try:
        assert migrate(server.dsn(), "sandbox") == []
        for connections in (10, 3):
            server.create_logins(ReaderLimits(connections=connections, temp_mb=7))
        reader = server.login_dsn(Login.READER)
        with ExitStack() as opened:
            for _ in range(3):
                session = opened.enter_context(psycopg.connect(reader, autocommit=True))
            assert session.execute("SHOW temp_file_limit").fetchone() == ("7MB",)
            with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
                psycopg.connect(reader)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                session.execute("CREATE TEMP TABLE t (x int)")
        for other in ("postgres", "template1"):
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(psycopg.conninfo.make_conninfo(reader, dbname=other))
    finally:
        server.destroy()


def test_a_hedge_goes_through_between_its_legs_whatever_a_reader_holds(database: str, reader: str) -> None:
    with psycopg.connect(reader, autocommit=True) as session, connect(database) as connection:
        for number in (7_263_541, 7_263_542):
            session.execute("SELECT pg_advisory_lock(%s)", (number,))
        for key in (f"kalshi:{KALSHI_MARKET}", f"polymarket:{POLYMARKET_MARKET}", "trade g1"):
            session.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (key,))
        hold_everything(session)
        seed_group(connection)
        context, venues = make_context(connection, {}, 1, fake_settings())
        set_books(venues, random.Random(5))
        result = asyncio.run(SignalTrader(connection, context, "run").trade(seed_signal(connection, 1)))
        assert result.state is ExecutionState.HEDGED, result
        assert not is_ended(session)
