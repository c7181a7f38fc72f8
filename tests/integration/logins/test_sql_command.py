"""`crossbook sql`: as the reader and nobody else, and every type as text or JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from app.cli.database import ask
from app.cli.main import cli
from streams.processes.parts import SECRET_NAMES
from streams.storage.access.logins import Login
from streams.storage.access.rights import give_rights, make_groups
from streams.storage.schema import migrate
from tests.conftest import new_database
from tests.support.logins import logins_of


@pytest.fixture(scope="module")
def addresses(postgres_dsn: str) -> Iterator[dict[Login, str]]:
    """The owner's address and the reader's, of a migrated database."""
    with new_database(postgres_dsn) as owner, logins_of(owner, {Login.READER: "w_reader"}) as logins:
        migrate(owner, "sandbox")
        yield {Login.OWNER: owner, **logins}


@pytest.fixture(params=["a login of the reader's", "one login for all"])
def asked(
    request: pytest.FixtureRequest, addresses: dict[Login, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[Login, str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", addresses[Login.OWNER])
    if request.param.startswith("a login"):
        monkeypatch.setenv("CROSSBOOK_DATABASE_URL_READER", addresses[Login.READER])
    return addresses


def run(query: str) -> Result:
    return CliRunner().invoke(cli, ["sql", query, "--json"])


ESCAPES = [
    "RESET ROLE",
    "SET ROLE crossbook",
    "SET SESSION AUTHORIZATION crossbook",
    "COPY (SELECT 1) TO PROGRAM 'touch {mark}'",
    "RESET ROLE; COPY (SELECT 1) TO PROGRAM 'touch {mark}'",
    "SELECT 1) AS answer; RESET ROLE; COPY (SELECT 1) TO PROGRAM 'touch {mark}'; SELECT (1",
    "DO $$ BEGIN EXECUTE 'RESET ROLE'; EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch {mark}'''; END $$",
    "SELECT set_config('role', 'none', false), query_to_xml('SELECT pg_read_file(''/etc/passwd'')', true, true, '')",
    "SELECT set_config('session_authorization', 'crossbook', false), pg_read_file('/etc/passwd')",
    "SELECT pg_read_file('/etc/passwd')",
    "COMMIT; COPY (SELECT 1) TO PROGRAM 'touch {mark}'",
    "DELETE FROM trading.switches",
    "SET transaction_read_only = off; INSERT INTO trading.switches (state, set_by, set_at) VALUES ('kill', 'x', now())",
    "SELECT lo_import('/etc/passwd')",
    "WITH x AS (INSERT INTO trading.switches (state, set_by, set_at)"
    " VALUES ('kill', 'x', now()) RETURNING 1) SELECT * FROM x",
]


@pytest.mark.parametrize("query", ESCAPES)
def test_the_reader_stays_the_reader(asked: dict[Login, str], tmp_path: Path, query: str) -> None:
    mark = tmp_path / "mark"
    result = run(query.format(mark=mark))
    assert "root:" not in result.output
    assert not mark.exists()
    assert "Traceback" not in result.output
    if result.exit_code:
        assert result.stdout == ""
    with psycopg.connect(asked[Login.OWNER]) as connection:
        assert connection.execute("SELECT count(*) FROM trading.switches").fetchone() == (1,)


@pytest.mark.parametrize(
    "altered",
    [
        "ALTER FUNCTION trading.read_as_reader(text) SECURITY INVOKER",
        "ALTER FUNCTION trading.read_as_reader(text) SECURITY INVOKER SET role = 'crossbook_reader'",
        "ALTER FUNCTION trading.read_as_reader(text) SET role = 'crossbook_reader'",
        "DROP FUNCTION trading.read_as_reader(text)",
    ],
)
def test_a_reader_who_alters_the_way_of_asking_gets_nobody_s_rights(
    addresses: dict[Login, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, altered: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", addresses[Login.OWNER])
    with psycopg.connect(addresses[Login.READER], autocommit=True) as reader:
        reader.execute("SET default_transaction_read_only = off")
        reader.execute(altered.encode())
    for query in ("SELECT 1 AS one", "SELECT set_config('role', 'none', false), pg_read_file('/etc/passwd')"):
        refused = run(query)
        assert refused.exit_code != 0
        assert "root:" not in refused.output
    with psycopg.connect(addresses[Login.OWNER], autocommit=True) as connection:
        give_rights(connection)
    assert json.loads(run("SELECT current_user::text AS me").stdout) == [{"me": "crossbook_reader"}]


def test_who_asks_is_the_reader(asked: dict[Login, str]) -> None:
    (row,) = json.loads(run("SELECT current_user::text AS me").stdout)
    assert row["me"] in ("w_reader", "crossbook_reader")


TYPES = """SELECT interval '1 day 02:00' AS i, inet '10.0.0.1/8' AS n, int4range(1, 3) AS r, ARRAY[1, 2] AS a,
    ARRAY[[1.5, NULL]]::numeric[] AS d, '\\xff00'::bytea AS b, 'NaN'::numeric AS nan, 'Infinity'::numeric AS inf,
    '-Infinity'::float8 AS f, 'NaN'::float4 AS g, date '0044-03-15 BC' AS bc, 'infinity'::timestamptz AS never,
    '-infinity'::date AS always, timestamptz '2026-01-02 03:04:05.5+00' AS t, '{"a": [1e400, 1.5, null]}'::jsonb AS j,
    timetz '12:00+05:45' AS z, uuid '00000000-0000-0000-0000-000000000001' AS u, point '(1,2)' AS p,
    ARRAY['infinity'::date, '2026-01-02'] AS days, tstzmultirange(tstzrange(NULL, NULL)) AS m, NULL AS nothing,
    0.50::numeric AS half, true AS yes, macaddr '08:00:2b:01:02:03' AS mac, B'101' AS bits, 'a b'::tsvector AS words,
    ROW(1, 'x') AS pair, money '1' AS cash, 9223372036854775807::bigint AS big,
    pg_lsn '0/1' AS lsn, timestamp '9999-12-31 23:59:59' AS late, interval '-178000000 years' AS ages"""


def test_every_type_is_text_or_json(asked: dict[Login, str]) -> None:
    result = run(TYPES)
    assert result.exit_code == 0, result.output

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    (row,) = json.loads(result.stdout, parse_constant=refuse)
    assert (row["nan"], row["inf"], row["f"], row["g"]) == ("NaN", "Infinity", "-Infinity", "NaN")
    assert (row["never"], row["always"], row["bc"]) == ("infinity", "-infinity", "0044-03-15 BC")
    assert (row["t"], row["half"], row["big"], row["nothing"]) == (
        "2026-01-02T03:04:05.5+00:00", "0.50", 9223372036854775807, None,
    )  # fmt: skip
    assert (row["b"], row["n"], row["i"], row["r"]) == ("\\xff00", "10.0.0.1/8", "1 day 02:00:00", "[1,3)")
    assert (row["a"], row["days"]) == ([1, 2], ["infinity", "2026-01-02"])


def test_every_table_of_ours_can_be_printed(asked: dict[Login, str]) -> None:
    listed = """SELECT table_schema || '.' || table_name AS name FROM information_schema.tables
        WHERE table_schema IN ('raw', 'trading')"""
    names = [row["name"] for row in json.loads(run(listed).stdout)]
    assert len(names) > 50
    for name in names:
        printed = run(f"SELECT * FROM {name} LIMIT 2;")
        assert printed.exit_code == 0, f"{name}: {printed.output}"


def test_what_is_not_there_is_said_as_it_is(asked: dict[Login, str]) -> None:
    for query, word in (("SELECT nothing()", "nothing"), ("SELECT * FROM nowhere.x", "nowhere")):
        result = run(query)
        assert (result.exit_code, result.stdout) == (1, "")
        assert word in result.stderr


def test_columns_of_one_name_are_all_shown(asked: dict[Login, str]) -> None:
    assert json.loads(run("SELECT 1 AS a, 2 AS a, 3 AS b -- with a comment").stdout) == [{"a": 1, "a_2": 2, "b": 3}]


def test_a_text_that_is_no_query_is_one_sentence(asked: dict[Login, str]) -> None:
    for query in ("SELECT", "'", "LISTEN x; SELECT nothing", "COPY (SELECT 1) TO STDOUT", "\ud800", ""):
        result = run(query)
        assert "Traceback" not in result.output, query
        assert result.exception is None or isinstance(result.exception, SystemExit), query


@pytest.mark.parametrize("rights", ["CREATEROLE", "NOCREATEROLE"])
def test_an_owner_who_is_no_superuser_migrates_and_its_reader_reads_or_one_sentence_says_why_not(
    postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rights: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with new_database(postgres_dsn) as admin, psycopg.connect(admin, autocommit=True) as connection:
        make_groups(connection)
        name = psycopg.conninfo.conninfo_to_dict(admin)["dbname"]
        connection.execute(f"CREATE ROLE w_desk LOGIN PASSWORD 'of-a-test' {rights}")
        connection.execute(f"ALTER DATABASE {name} OWNER TO w_desk")
        try:
            desk = psycopg.conninfo.make_conninfo(admin, user="w_desk", password="of-a-test")
            monkeypatch.setenv("DATABASE_URL", desk)
            migrate(desk, "sandbox")
            refused = run("SELECT 1 AS one")
            assert (refused.exit_code, refused.stdout) == (2, "")
            assert "CROSSBOOK_DATABASE_URL_READER" in refused.stderr
            connection.execute("GRANT crossbook_reader TO w_desk")
            migrate(desk, "sandbox")
            assert json.loads(run("SELECT current_user::text AS me").stdout) == [{"me": "crossbook_reader"}]
        finally:
            connection.execute("DROP OWNED BY w_desk CASCADE")
            connection.execute(f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
            connection.execute("DROP ROLE w_desk")


def test_psql_has_the_address_in_its_environment_and_no_other_secret(
    addresses: dict[Login, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", addresses[Login.OWNER])
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    refused = CliRunner().invoke(cli, ["sql"])
    assert refused.exit_code == 2
    assert "CROSSBOOK_DATABASE_URL_READER" in refused.stderr
    monkeypatch.setenv("CROSSBOOK_DATABASE_URL_READER", addresses[Login.READER])
    started: list[tuple[list[str], dict[str, str]]] = []

    def become(_path: str, arguments: list[str], environment: dict[str, str]) -> None:
        started.append((arguments, environment))
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", become)
    CliRunner().invoke(cli, ["sql"])
    ((arguments, environment),) = started
    assert len(arguments) == 1
    assert (environment["PGUSER"], environment["PGPASSWORD"]) == ("w_reader", "of-a-test")
    assert SECRET_NAMES & set(environment) == set()


def test_an_address_in_either_form_reaches_psql_whole() -> None:
    found = ask.psql_environment("host=h port=6432 user=u password='p w' dbname=d sslmode=require options='-c x=1'")
    assert {found[name] for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE")} == {
        "h", "6432", "u", "p w", "d", "require",
    }  # fmt: skip
    assert found["PGOPTIONS"].startswith("-c x=1 -c default_transaction_read_only=on")


def test_the_administrator_s_sql_names_owner_and_database_and_no_password(
    addresses: dict[Login, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://desk:hunter2@h/books")
    result = CliRunner().invoke(cli, ["database", "sql"])
    assert result.exit_code == 0, result.output
    assert 'SET ROLE "desk"' in result.stdout
    assert '"books"' in result.stdout
    assert "hunter2" not in result.output
    assert json.loads(CliRunner().invoke(cli, ["database", "sql", "--json"]).stdout)["sql"] in result.stdout


def test_a_document_of_any_size_is_printed(asked: dict[Login, str]) -> None:
    result = run(
        "SELECT ('1' || repeat('0', 5000))::jsonb AS long, (repeat('[', 2000) || repeat(']', 2000))::json AS deep"
    )
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    long, deep = "1" + "0" * 5000, "[" * 2000 + "]" * 2000
    if "row" in row:  # through the owner a row comes as one document
        assert long in row["row"]
        assert deep in row["row"]
    else:
        assert row == {"long": long, "deep": deep}
