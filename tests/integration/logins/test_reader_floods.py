"""What a reader changes of itself, and what it takes of all that is shared: neither stops a start or a kill."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from app.operator_actions import set_switch
from app.supervisor.checks.logins import check_logins
from streams.settings import load_settings
from streams.storage.access.reader_limits import ReaderLimits
from streams.storage.access.reader_login import make_reader
from streams.storage.database import connect
from streams.storage.reader.apply import apply_reader_limits
from streams.storage.reader.watchdog import ReaderWatchdog
from streams.storage.store.guards.reader_sessions import end_all_readers
from streams.storage.store.risk import current_switch
from tests.support.readers import alerts, is_ended, reader_login, until

LIMITS = ReaderLimits()


@pytest.fixture
def reader(database: str) -> Iterator[str]:
    """The address of a reader of the test's database."""
    with reader_login(database) as address:
        yield address


def fill_the_table_of_locks(session: psycopg.Connection[tuple[object, ...]]) -> None:
    """Take every place for a lock that the server has; those of advisory locks outlive the statement that fails."""
    with pytest.raises(psycopg.errors.OutOfMemory):
        session.execute("SELECT pg_advisory_lock(generate_series(1, 1000000))")


def test_a_reader_who_takes_all_the_room_for_locks_is_ended_and_named(database: str, reader: str) -> None:
    dog = ReaderWatchdog(lambda: database, LIMITS, 0.05)
    with connect(database) as connection, psycopg.connect(reader, autocommit=True) as session:
        dog.look(connection)
        fill_the_table_of_locks(session)
        with pytest.raises(psycopg.errors.OutOfMemory):
            connection.execute("SELECT count(*) FROM pg_stat_activity")
        dog.look(connection)
        until(lambda: is_ended(session))
        dog.look(connection)
    assert any("no room left for locks" in message for message in alerts(database))


def test_a_kill_ends_who_takes_all_the_room_for_locks(database: str, reader: str) -> None:
    with connect(database) as connection, psycopg.connect(reader, autocommit=True) as session:
        end_all_readers(connection, is_trial=True)
        fill_the_table_of_locks(session)
        set_switch(connection, "kill", who="Ada")
        assert current_switch(connection) == "kill"
        assert is_ended(session)


def test_only_readers_are_ended_when_there_is_no_room_for_locks(database: str, reader: str) -> None:
    with connect(database) as connection, connect(database) as other, psycopg.connect(reader) as session:
        other.execute("SET ROLE crossbook_trading")
        login = psycopg.conninfo.conninfo_to_dict(reader)["user"]
        for role in ("crossbook", "crossbook_interface"):
            connection.execute(f"SET ROLE {role}")
            assert end_all_readers(connection, is_trial=True) == [login]
            assert not is_ended(session)
        assert end_all_readers(connection) == [login]
        until(lambda: is_ended(session))
        assert other.execute("SELECT 1 AS one").fetchone() == {"one": 1}


def _parts(address: str) -> tuple[str, str]:
    found = psycopg.conninfo.conninfo_to_dict(address)
    return str(found["user"]), str(found["password"])


CHANGES = [
    "ALTER ROLE CURRENT_USER PASSWORD 'another'",
    "ALTER ROLE CURRENT_USER SET local_preload_libraries = 'nothing'",
    "ALTER ROLE CURRENT_USER IN DATABASE {database} SET local_preload_libraries = 'nothing'",
    "ALTER ROLE CURRENT_USER RESET ALL",
]


def test_a_start_gives_the_reader_back_what_it_changed_of_itself(database: str, reader: str) -> None:
    name, password = _parts(reader)
    with connect(database) as connection:
        for change in CHANGES:
            for is_open in (False, True):
                with psycopg.connect(reader) as session:
                    session.execute("SET idle_in_transaction_session_timeout = 0")
                    session.execute("SET default_transaction_read_only = off")
                    session.commit()
                    session.execute(change.format(database=connection.info.dbname).encode())
                    if not is_open:
                        session.commit()
                    make_reader(connection, name, password, LIMITS)
                    if not is_ended(session):
                        session.rollback()
        with psycopg.connect(reader) as session:
            assert session.execute("SHOW statement_timeout").fetchone() == ("5min",)
            assert session.execute("SHOW log_min_messages").fetchone() == ("fatal",)


def test_a_start_that_was_broken_off_lets_the_reader_in_again(database: str, reader: str) -> None:
    name, password = _parts(reader)
    with connect(database) as connection:
        connection.execute(f"ALTER ROLE {name} NOLOGIN")
        make_reader(connection, name, password, LIMITS)
    psycopg.connect(reader).close()


def test_a_reader_can_neither_fill_the_server_s_log_nor_its_disk(database: str, reader: str) -> None:
    with connect(database) as connection:
        assert apply_reader_limits(connection, LIMITS) == []
    with psycopg.connect(reader, autocommit=True) as session:
        for statement in ("SET log_min_messages = 'debug5'", "SELECT pg_export_snapshot()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement.encode())


def test_readers_who_have_taken_all_their_connections_do_not_refuse_a_start(
    database: str, reader: str, tmp_path: Path
) -> None:
    name, _ = _parts(reader)
    settings = load_settings(home=tmp_path, database_url=database, database_url_reader=reader)
    with connect(database) as connection, ExitStack() as opened:
        connection.execute(f"ALTER ROLE {name} CONNECTION LIMIT 2")
        for _ in range(2):
            opened.enter_context(psycopg.connect(reader))
        check_logins(settings)
