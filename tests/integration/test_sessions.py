"""Every session has the same settings, whatever the server, the database or the role has as its default."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import psycopg2
import pytest
import sqlalchemy
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from app.supervisor.checks.database_check import check_database
from orchestration.dbt.project import dbt_environment, one_server
from orchestration.runtime.instance import create_tables, dagster_url, prepare_instance
from streams.market.errors import ConfigurationError
from streams.settings import load_settings
from streams.storage.access.logins import Login
from streams.storage.access.sessions import PINNED, WarehouseConnection, options_arrive
from streams.storage.database import connect, database_dsn, open_pool, trouble_of_pool
from streams.storage.outages import Trouble
from streams.storage.schema import migrate
from tests.support.ports import free_port

_STRANGE = {
    "datestyle": "German, DMY",
    "timezone": "Asia/Kathmandu",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
    "synchronous_commit": "off",
}


@pytest.fixture
def strange(database: str) -> str:
    """The address of a database whose defaults are those of another country."""
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    with psycopg.connect(database, autocommit=True) as connection:
        for setting, value in _STRANGE.items():
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                    sql.Identifier(str(name)), sql.Identifier(setting), sql.Literal(value)
                )
            )
    return database


PINNED_AS_SHOWN = {**PINNED, "datestyle": "ISO, MDY"}


def test_our_sessions_are_pinned(strange: str) -> None:
    with connect(strange) as connection:
        assert _pinned_of(connection) == PINNED_AS_SHOWN
        row = connection.execute("SELECT '2026-02-03 00:00:00+00'::timestamptz::text AS t").fetchone()
        assert row == {"t": "2026-02-03 00:00:00+00"}


def test_a_time_zone_and_a_date_style_of_the_environment_win_over_nothing(
    strange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGTZ": "Asia/Kathmandu", "PGDATESTYLE": "German", "PGCLIENTENCODING": "LATIN1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGOPTIONS", "-c intervalstyle=iso_8601")
    with connect(strange) as connection:
        assert _pinned_of(connection) == PINNED_AS_SHOWN
    for name, value in dbt_environment(strange).items():
        monkeypatch.setenv(name, value)
    other = psycopg2.connect(strange)
    with other.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE lower(name) = ANY(%s)", (list(PINNED),))
        assert {name.lower(): setting for name, setting in cursor.fetchall()} == PINNED_AS_SHOWN
    other.close()


@pytest.fixture
def refused_options(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A pooler before the server that refuses `options`; the options it refused."""
    real, refused = psycopg.Connection.connect.__func__, []  # type: ignore[attr-defined]

    def connect_through(cls: type[psycopg.Connection[Any]], conninfo: str = "", **parts: Any) -> Any:
        options = parts.get("options") or psycopg.conninfo.conninfo_to_dict(conninfo).get("options")
        if options:
            refused.append(str(options))
            raise psycopg.OperationalError('connection failed: FATAL:  unsupported startup parameter: "options"')
        return real(cls, conninfo, **parts)

    monkeypatch.setattr(psycopg.Connection, "connect", classmethod(connect_through))
    monkeypatch.setattr(psycopg, "connect", psycopg.Connection.connect)
    return refused


@pytest.mark.parametrize("autocommit", [True, False])
def test_where_options_are_refused_a_session_is_pinned_by_statements(
    strange: str, refused_options: list[str], autocommit: bool
) -> None:
    address = psycopg.conninfo.make_conninfo(strange, options="-c work_mem=9MB -c search_path=raw,\\ trading")
    limits = {"statement_timeout": "7000"}
    with WarehouseConnection.connect(
        address, session_settings=limits, autocommit=autocommit, row_factory=dict_row
    ) as connection:
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        connection.execute("SELECT 1")
        connection.rollback()
        assert _pinned_of(connection) == PINNED_AS_SHOWN
        row = connection.execute(
            "SELECT current_setting('work_mem') AS w, current_setting('statement_timeout') AS t,"
            " current_setting('search_path') AS s"
        ).fetchone()
    assert row == {"w": "9MB", "t": "7s", "s": "raw, trading"}
    assert len(refused_options) == 1


def test_a_start_is_refused_where_options_do_not_arrive(strange: str, refused_options: list[str]) -> None:
    assert not options_arrive(strange)
    with pytest.raises(ConfigurationError, match="keeps `options` from the server"):
        check_database(load_settings(database_url=strange))
    assert refused_options


def test_options_arrive_at_a_server(strange: str) -> None:
    assert options_arrive(strange)


def _pinned_of(connection: psycopg.Connection[Any]) -> dict[str, str]:
    found = connection.execute(
        "SELECT name, setting FROM pg_settings WHERE lower(name) = ANY(%s)", (list(PINNED),)
    ).fetchall()
    return {row["name"].lower(): row["setting"] for row in found}


def test_an_address_with_options_of_its_own_keeps_them_and_is_pinned(strange: str) -> None:
    address = psycopg.conninfo.make_conninfo(strange, options="-c datestyle=German -c work_mem=9MB")
    with connect(address) as connection:
        row = connection.execute(
            "SELECT current_setting('datestyle') AS d, current_setting('work_mem') AS w"
        ).fetchone()
    assert row == {"d": "ISO, MDY", "w": "9MB"}


def test_a_pool_is_pinned_and_lends_no_connection_that_the_server_has_ended(strange: str) -> None:
    with open_pool(strange, max_size=2, statement_timeout_s=7) as pool:
        with pool.connection() as connection:
            row = connection.execute(
                "SELECT current_setting('timezone') AS z, current_setting('statement_timeout') AS t,"
                " pg_backend_pid() AS p"
            ).fetchone()
            assert row is not None
            assert (row["z"], row["t"]) == ("UTC", "7s")
        with psycopg.connect(strange, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (row["p"],))
        with pool.connection() as connection:
            assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}


def test_a_pool_without_a_free_connection_is_busy_and_one_without_a_server_away(database: str) -> None:
    assert trouble_of_pool(database) is Trouble.BUSY
    assert trouble_of_pool(psycopg.conninfo.make_conninfo(database, port=1)) is Trouble.AWAY


def test_statements_are_prepared_as_the_setting_says(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    for setting, prepared in (("5", True), ("0", False)):
        monkeypatch.setenv("CROSSBOOK_DATABASE_PREPARE_THRESHOLD", setting)
        with connect(database_dsn(load_settings(), Login.INTERFACE)) as connection:
            for _ in range(8):
                connection.execute("SELECT %s::int", (1,))
            row = connection.execute("SELECT count(*) > 0 AS any FROM pg_prepared_statements").fetchone()
            assert row == {"any": prepared}
            assert connection.execute(
                "SELECT current_setting('crossbook.prepare_threshold', true) AS s"
            ).fetchone() in (
                {"s": None},
                {"s": ""},
            )


def test_the_schema_and_a_batch_of_rows_are_made_under_strange_defaults(strange: str) -> None:
    migrate(strange, "sandbox")
    with connect(strange) as connection:
        connection.execute("SELECT raw.ensure_day('trades', '2026-02-03', now())")
        bounds = connection.execute(
            "SELECT pg_get_expr(relpartbound, oid) AS b FROM pg_class WHERE relname = 'trades_20260203'"
        ).fetchone()
    assert bounds == {"b": "FOR VALUES FROM ('2026-02-03 00:00:00+00') TO ('2026-02-04 00:00:00+00')"}


def test_dagster_writes_its_times_in_utc(strange: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", strange)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    environment = prepare_instance(load_settings())
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    create_tables(environment)
    with dg.DagsterInstance.get() as instance:
        run = instance.create_run_for_job(_job())
        record = instance.get_run_record_by_id(run.run_id)
    assert record is not None
    assert abs(record.create_timestamp.timestamp() - time.time()) < 600
    engine = sqlalchemy.create_engine(dagster_url(strange), poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("SHOW timezone")).scalar() == "UTC"
        assert connection.execute(sqlalchemy.text("SHOW search_path")).scalar() == "dagster"
        assert connection.execute(sqlalchemy.text("SHOW lock_timeout")).scalar() == "0"


def _job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def idle() -> None:
        nothing()

    return idle


def test_dbt_reads_and_writes_pinned(strange: str, monkeypatch: pytest.MonkeyPatch) -> None:

    environment = dbt_environment(strange)
    monkeypatch.setenv("PGOPTIONS", environment["PGOPTIONS"])
    with psycopg2.connect(strange) as connection, connection.cursor() as cursor:
        for name, value in {**PINNED_AS_SHOWN, "lock_timeout": "200ms"}.items():
            cursor.execute(f"SHOW {name}")
            row = cursor.fetchone()
            assert row is not None
            assert row[0] == value
    connection.close()


def test_dbt_uses_the_server_of_several_that_answers_and_all_the_address_says(database: str) -> None:
    parts = conninfo_to_dict(database)
    host, port, closed = str(parts["host"]), str(parts["port"]), str(free_port())
    given = {"target_session_attrs": "read-write", "sslmode": "disable", "sslrootcert": "/ca.pem"}
    found = dbt_environment(
        one_server(make_conninfo(database, host=f"{host},{host}", port=f"{closed},{port}", **given))
    )
    assert (found["DBT_CROSSBOOK_HOST"], found["DBT_CROSSBOOK_PORT"]) == (host, port)
    assert (found["PGTARGETSESSIONATTRS"], found["PGSSLROOTCERT"]) == ("read-write", "/ca.pem")
    assert "PGPASSWORD" not in found
    nobody = one_server(make_conninfo(database, host=f"{host},{host}", port=f"{closed},{closed}"))
    assert conninfo_to_dict(nobody)["port"] == closed
    assert one_server(database) == database


def test_dagster_waits_for_its_tables_through_an_outage(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    environment = prepare_instance(load_settings())
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    create_tables(environment)
    real, failures = psycopg2.connect, [3]

    def connect_after_a_while(*arguments: object, **options: object) -> object:
        failures[0] -= 1
        if failures[0] >= 0:
            raise psycopg2.OperationalError("connection to server failed: FATAL:  the database system is starting up")
        return real(*arguments, **options)

    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage).__module__ == "orchestration.runtime.storage"
        monkeypatch.setattr(psycopg2, "connect", connect_after_a_while)
        run = instance.create_run_for_job(_job())
        failures[0] = 3
        instance.report_engine_event("told through an outage", run)
        assert any("told through" in (entry.message or "") for entry in instance.all_logs(run.run_id))


def test_the_connections_that_are_free_are_counted_by_a_plain_owner_too(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as connection, ExitStack() as opened:
        connection.execute("CREATE ROLE c_desk LOGIN PASSWORD 'of-a-test'")
        connection.execute(f"ALTER DATABASE {connection.info.dbname} OWNER TO c_desk")
        opened.callback(connection.execute, "DROP ROLE c_desk")
        opened.callback(connection.execute, f"ALTER DATABASE {connection.info.dbname} OWNER TO CURRENT_USER")
        row = connection.execute("SELECT current_setting('max_connections')::int").fetchone()
        assert row is not None
        desk = make_conninfo(database, user="c_desk", password="of-a-test")
        settings = load_settings(database_url=desk, home=tmp_path)
        connection.execute("ALTER ROLE c_desk SET statement_timeout = '30s'")
        with pytest.raises(ConfigurationError, match="longer than 30 s"):
            check_database(settings, needed=1)
        connection.execute("ALTER ROLE c_desk RESET ALL")
        for _ in range(5):
            opened.enter_context(psycopg.connect(database))
        check_database(settings, needed=row[0] - 30)
        with pytest.raises(ConfigurationError, match="more connections"):
            check_database(settings, needed=row[0] - 3 - 5)
