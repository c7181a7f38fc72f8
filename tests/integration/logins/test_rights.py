"""What each login may do and may not, tried as that login."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from app.supervisor.checks.logins import check_logins, shared_logins
from streams.market.errors import ConfigurationError
from streams.storage.access import rights
from streams.storage.access.logins import GROUPS, Login
from streams.storage.access.reader_limits import ReaderLimits
from streams.storage.access.rights import administrator_sql, give_rights, login_name
from streams.storage.database import connect
from streams.storage.reader.watchdog import end_readers
from streams.storage.schema import migrate
from tests.conftest import new_database
from tests.support.logins import logins_of, settings_of

SIGNAL = """INSERT INTO trading.signals (group_id, leg_set, shard, environment, is_tradable, opened_at, open_edge_usd,
    peak_edge_usd, last_edge_usd, contracts_e6, cost_e6, fee_e6, profit_e6, updated_at)
    SELECT group_id, gen_random_uuid()::text, 0, 'sandbox', true, now(), 1, 1, 1, 1, 1, 1, 1, now()
    FROM trading.groups"""
EXECUTION = """INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch, edge_usd,
    contracts_e6, started_at, updated_at)
    SELECT signal_id, 1, group_id, 'sandbox', 'live', 'HEDGED', 1, 1, 1, now(), now() FROM trading.signals
    ON CONFLICT DO NOTHING"""
ENTRY = """WITH l AS (INSERT INTO trading.ledger (entry_key, kind, venue, market_id, outcome, cash_e6, contracts_e6,
    mode, environment, happened_at, recorded_at)
    VALUES (gen_random_uuid()::text, 'fill', 'kalshi', 'K', 'yes', -1, 1, 'live', 'sandbox', now(), now()) RETURNING *)
    INSERT INTO trading.postings (entry_id, line_no, account, venue, market_id, outcome, unit, amount_e6)
    SELECT entry_id, n, account, venue, market_id, CASE WHEN n > 2 THEN outcome END,
        CASE WHEN n > 2 THEN 'contract' ELSE 'usd' END, amount
    FROM l, (VALUES (1, 'cash', -1), (2, 'trading', 1), (3, 'positions', 1), (4, 'trading', -1))
        AS x (n, account, amount)"""
LEASE = """INSERT INTO trading.leases (name, holder, epoch, acquired_at, heartbeat_at, expires_at)
    VALUES ('x', 'x', 1, now(), now(), now()) ON CONFLICT (name) DO UPDATE SET epoch = trading.leases.epoch + 1"""
REFUSAL = """INSERT INTO trading.refusals (signal_id, reason, environment, refused_at)
    SELECT signal_id, 'paused', 'sandbox', now() FROM trading.signals"""
ALERT = (
    "INSERT INTO trading.alerts (kind, severity, dedup_key, message, raised_at)"
    " VALUES ('k', 'notice', gen_random_uuid(), 'm', now())"
)
SWITCH = "INSERT INTO trading.switches (state, set_by, set_at) VALUES ('pause', 'mara', now())"
DELTA = """INSERT INTO raw.book_deltas (received_at, venue, market_id, side, price_e4, size_change_e6, size_after_e6,
    segment_id, frame_offset, entry_index, payload) VALUES (now(), 'kalshi', 'K', 'bid', 1, 1, 1, 1, 1, 1, '{}')"""
MARKET = """WITH v AS (INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title,
    outcomes, status, terms, payload, seen_at)
    VALUES ('kalshi', gen_random_uuid(), 'h', 't', 'e', 'T', '[]', 'open', '{}', '{}',
    now()) RETURNING *) INSERT INTO raw.market_state (venue, market_id, version_id, status, first_seen_at, last_seen_at)
    SELECT venue, market_id, version_id, 'open', now(), now() FROM v"""
EVENT = """INSERT INTO raw.events (venue, event_id, payload, first_seen_at, last_seen_at)
    VALUES ('kalshi', 'e', '{}', now(), now()) ON CONFLICT (venue, event_id) DO UPDATE SET title = 'another'"""
CANDIDATE = """INSERT INTO trading.pair_candidates (kalshi_market_id, polymarket_market_id, rank, score, reasons,
    kalshi_text_hash, polymarket_text_hash, first_seen_at, last_seen_at)
    VALUES (gen_random_uuid(), 'p', 1, 1, '[]', 'a', 'b', now(), now())"""
WATCH = (
    "INSERT INTO trading.watch_list (venue, market_id, added_by, added_at)"
    " VALUES ('kalshi', gen_random_uuid(), 'mara', now())"
)
VIEW = """SELECT trading.keep_views('[{"schema": "analytics", "name": "one", "query": "SELECT 1 AS one"}]')"""
TABLE = "CREATE TABLE analytics.made_by_dbt AS SELECT 1 AS one; DROP TABLE analytics.made_by_dbt"
ORDERS = "UPDATE trading.orders SET reason = ''"
PROGRAM = "COPY (SELECT 1) TO PROGRAM 'cat'"

MAY = {
    Login.DAGSTER: ["CREATE TABLE dagster.t (i int); DROP TABLE dagster.t"],
    Login.BATCH: [MARKET, EVENT, CANDIDATE, ALERT, "SELECT raw.ensure_day('quotes', current_date + 9, now())"],
    Login.DBT: [VIEW, TABLE, "SELECT trading.open_analytics()", "CREATE TEMPORARY TABLE t (i int)"],
    Login.RECORDER: [DELTA, LEASE, SIGNAL, "DELETE FROM raw.segments", "LISTEN crossbook_wanted"],
    Login.TRADING: [EXECUTION, ENTRY, LEASE, ALERT, ORDERS, "SELECT trading.compact_totals()"],
    Login.INTERFACE: [SWITCH, WATCH, "DELETE FROM trading.watch_list"],
    Login.READER: ["SELECT count(*) FROM trading.ledger", "SELECT count(*) FROM raw.market_state_v1"],
}
WRITES = {
    "market": (MARKET, {Login.BATCH}),
    "candidate": (CANDIDATE, {Login.BATCH}),
    "delta": (DELTA, {Login.RECORDER}),
    "signal": (SIGNAL, {Login.RECORDER}),
    "execution": (EXECUTION, {Login.TRADING}),
    "ledger entry": (ENTRY, {Login.TRADING}),
    "order": (ORDERS, {Login.TRADING}),
    "refusal": (REFUSAL, {Login.BATCH, Login.TRADING}),
    "lease": (LEASE, {Login.RECORDER, Login.TRADING}),
    "alert": (ALERT, {Login.BATCH, Login.TRADING, Login.RECORDER, Login.INTERFACE}),
    "switch": (SWITCH, {Login.INTERFACE}),
    "breaker": ("SELECT trading.reduce_by_breaker('why', 1, now())", {Login.TRADING}),
    "watched market": (WATCH, {Login.INTERFACE}),
    "total": ("UPDATE trading.position_totals SET cash_e6 = 0", set()),
    "totals added up": ("SELECT trading.compact_totals()", {Login.TRADING}),
    "lookup": ("SELECT raw.look_up('kalshi', 'K')", set()),
    "view": (VIEW, {Login.DBT}),
    "table of the warehouse": (TABLE, {Login.DBT}),
    "partition": ("SELECT raw.ensure_day('trades', current_date + 8, now())", {Login.BATCH, Login.RECORDER}),
    "detached partition": ("ALTER TABLE raw.quotes DETACH PARTITION raw.quotes_19700101", set()),
    "dropped table": ("DROP TABLE trading.ledger", set()),
    "ledger changed": ("UPDATE trading.ledger SET cash_e6 = 0", set()),
    "postings changed": ("UPDATE trading.postings SET amount_e6 = 0", set()),
    "postings deleted": ("DELETE FROM trading.postings", set()),
    "decision changed": ("UPDATE trading.group_decisions SET decision = 'approve'", set()),
    "program": (PROGRAM, set()),
    "file": ("COPY (SELECT 1) TO '/tmp/x'", set()),
    "file read": ("SELECT pg_read_file('/etc/passwd')", set()),
    "role": ("CREATE ROLE somebody", set()),
    "owner's role": ("SET ROLE crossbook", set()),
    "owner's session": ("SET SESSION AUTHORIZATION crossbook", set()),
    "schema": ("CREATE SCHEMA mine", set()),
    "Dagster's table": ("CREATE TABLE dagster.t (i int); DROP TABLE dagster.t", {Login.DAGSTER}),
}


@dataclass(frozen=True)
class Installed:
    """A migrated database with a login for each kind of process."""

    owner: str
    addresses: dict[Login, str]


@pytest.fixture(scope="module")
def installed(postgres_dsn: str) -> Iterator[Installed]:
    names = {login: f"t_{login}" for login in GROUPS}
    with new_database(postgres_dsn) as owner, logins_of(owner, names) as addresses:
        migrate(owner, "sandbox")
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(
                """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment,
                    updated_at)
                   VALUES ('g', 'pair', 't', '[]', '[]', true, 'sandbox', now())"""
            )
            connection.execute(SIGNAL)
        yield Installed(owner, addresses)


def allowed(address: str, statement: str) -> bool:
    """Whether a login may do it; a statement that is tried is taken back."""
    with psycopg.connect(address) as connection:
        try:
            connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            return False
        except (psycopg.errors.RaiseException, psycopg.errors.ReadOnlySqlTransaction) as error:
            return "append-only" in str(error)
        finally:
            connection.rollback()
    return True


@pytest.mark.parametrize(("login", "statement"), [(login, one) for login, several in MAY.items() for one in several])
def test_a_login_may_do_its_work(installed: Installed, login: Login, statement: str) -> None:
    assert allowed(installed.addresses[login], statement)


@pytest.mark.parametrize("what", WRITES)
def test_nobody_may_do_what_is_another_s(installed: Installed, what: str) -> None:
    statement, may = WRITES[what]
    assert {login for login in GROUPS if allowed(installed.addresses[login], statement)} == may


def test_a_ledger_entry_and_a_market_are_followed_whoever_writes_them(installed: Installed) -> None:
    with psycopg.connect(installed.addresses[Login.TRADING]) as connection:
        connection.execute(ENTRY)
        held = connection.execute("SELECT contracts_e6 FROM trading.position_totals WHERE market_id = 'K'").fetchone()
        connection.rollback()
    with psycopg.connect(installed.addresses[Login.BATCH]) as connection:
        before = connection.execute("SELECT count(*) FROM raw.market_lookup").fetchone()
        connection.execute(MARKET)
        after = connection.execute("SELECT count(*) FROM raw.market_lookup").fetchone()
        connection.rollback()
    assert held == (1,)
    assert before is not None
    assert after == (before[0] + 1,)


def test_what_dbt_makes_is_its_group_s_and_open_to_those_who_read(installed: Installed) -> None:
    with psycopg.connect(installed.addresses[Login.DBT], autocommit=True) as connection:
        connection.execute(VIEW)
        connection.execute("CREATE TABLE analytics.made AS SELECT 1 AS one")
        connection.execute("SELECT trading.open_analytics()")
    with psycopg.connect(installed.owner, autocommit=True) as connection:
        owners = connection.execute(
            "SELECT relowner::regrole::text FROM pg_class WHERE relnamespace = 'analytics'::regnamespace"
        ).fetchall()
    assert set(owners) == {("crossbook_dbt",)}
    for login in (Login.BATCH, Login.INTERFACE, Login.READER):
        for relation in ("analytics.one", "analytics.made"):
            assert allowed(installed.addresses[login], f"SELECT one FROM {relation}"), (login, relation)
    assert not allowed(installed.addresses[Login.INTERFACE], "INSERT INTO analytics.made VALUES (2)")


def test_an_upgrade_hands_over_what_the_owner_made_before(postgres_dsn: str) -> None:
    names = {login: f"u_{login}" for login in GROUPS}
    with new_database(postgres_dsn) as owner:
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(
                """CREATE SCHEMA analytics; CREATE TABLE analytics.old AS SELECT 1 AS one;
                   CREATE VIEW analytics.old_view AS SELECT one FROM analytics.old;
                   CREATE SCHEMA dagster; CREATE TABLE dagster.runs (id serial PRIMARY KEY);
                   CREATE TYPE dagster.kind AS ENUM ('a')"""
            )
        with logins_of(owner, names) as addresses:
            migrate(owner, "sandbox")
            migrate(owner, "sandbox")
            assert allowed(addresses[Login.DBT], "DROP VIEW analytics.old_view; DROP TABLE analytics.old")
            assert allowed(addresses[Login.DAGSTER], "INSERT INTO dagster.runs DEFAULT VALUES; DROP TABLE dagster.runs")
            for login in (Login.BATCH, Login.INTERFACE, Login.READER):
                assert allowed(addresses[login], "SELECT one FROM analytics.old_view")
            with psycopg.connect(addresses[Login.DBT], autocommit=True) as connection:
                connection.execute("CREATE TABLE analytics.new AS SELECT 1 AS one")
            assert allowed(addresses[Login.READER], "SELECT one FROM analytics.new")
            with psycopg.connect(owner) as connection:
                assert connection.execute("SELECT to_regrole('crossbook_face')").fetchone() == (None,)


def test_an_upgrade_that_a_session_keeps_from_a_table_says_so(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "_PATIENCE_S", 0.5)
    with new_database(postgres_dsn) as owner, psycopg.connect(owner) as busy:
        busy.execute("CREATE SCHEMA analytics; CREATE TABLE analytics.old AS SELECT 1 AS one")
        busy.commit()
        busy.execute("SELECT one FROM analytics.old")
        with logins_of(owner, {Login.DBT: "x_dbt"}):
            with pytest.raises(ConfigurationError, match="in use by another session"):
                migrate(owner, "sandbox")
            busy.rollback()
            migrate(owner, "sandbox")
            owned = busy.execute("SELECT relowner::regrole::text FROM pg_class WHERE oid = 'analytics.old'::regclass")
            assert owned.fetchone() == ("crossbook_dbt",)
            busy.rollback()


def test_rights_that_somebody_gave_or_took_are_put_right_at_the_next_start(postgres_dsn: str) -> None:
    names = {login: f"v_{login}" for login in GROUPS}
    with new_database(postgres_dsn) as owner, logins_of(owner, names) as addresses:
        migrate(owner, "sandbox")
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("GRANT INSERT ON trading.switches TO crossbook_recorder")
            connection.execute("REVOKE INSERT ON trading.switches FROM crossbook_interface")
            give_rights(connection)
        assert not allowed(addresses[Login.RECORDER], SWITCH)
        assert allowed(addresses[Login.INTERFACE], SWITCH)


@pytest.mark.parametrize("is_restored", [True, False])
def test_no_function_of_ours_that_changes_anything_is_open_to_everybody(postgres_dsn: str, is_restored: bool) -> None:
    """A restore brings functions without their rights, and what nobody says of a function opens it to everybody."""
    with new_database(postgres_dsn) as owner, psycopg.connect(owner, autocommit=True) as connection:
        migrate(owner, "sandbox")
        if is_restored:
            connection.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA raw, trading TO PUBLIC")
            migrate(owner, "sandbox")
        found = connection.execute(
            """SELECT DISTINCT p.oid::regproc::text
               FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner)))
               WHERE p.pronamespace IN ('raw'::regnamespace, 'trading'::regnamespace) AND grantee = 0
                   AND p.prorettype <> 'trigger'::regtype ORDER BY 1"""
        ).fetchall()
        harmless = {
            "raw.search_for",
            "raw.signs_of",
            "raw.words_of",
            "trading.closes_at",
            "trading.is_reader",
            "trading.utc_day",
        }
        assert {name for (name,) in found} == harmless


def test_the_administrator_s_sql_can_be_run_before_the_first_start_and_again(postgres_dsn: str, tmp_path: Path) -> None:
    names = {login: login_name(login) for login in GROUPS}
    with new_database(postgres_dsn) as owner:
        parts = psycopg.conninfo.conninfo_to_dict(owner)
        script = administrator_sql(str(parts["user"]), str(parts["dbname"]))
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(script.encode())
            connection.execute("DROP SCHEMA public")
        migrate(owner, "sandbox")
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(script.encode())
        with logins_of(owner, names) as addresses:
            settings = settings_of(tmp_path, owner, addresses)
            check_logins(settings)
            assert shared_logins(settings) == []
            for login, statements in MAY.items():
                assert allowed(addresses[login], statements[0]), login


def test_after_the_administrator_s_sql_a_plain_owner_ends_readers_and_dbt_builds(postgres_dsn: str) -> None:
    reader = login_name(Login.READER)
    with new_database(postgres_dsn) as admin, psycopg.connect(admin, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute("CREATE ROLE x_desk LOGIN PASSWORD 'of-a-test'")
        connection.execute(administrator_sql("x_desk", name).encode())
        connection.execute(f"ALTER ROLE {reader} PASSWORD 'of-a-test'")
        desk = psycopg.conninfo.make_conninfo(admin, user="x_desk", password="of-a-test")
        try:
            migrate(desk, "sandbox")
            connection.execute(administrator_sql("x_desk", name).encode())
            with (
                connect(desk) as owner,
                psycopg.connect(
                    psycopg.conninfo.make_conninfo(admin, user=reader, password="of-a-test"), autocommit=True
                ) as session,
            ):
                session.execute("SET default_transaction_read_only = off")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute("SELECT FROM trading.locks FOR UPDATE")
                session.execute("SELECT pg_advisory_lock(generate_series(1, 200))")
                assert [ending.rule for ending in end_readers(owner, ReaderLimits())] == ["locks"]
            may = "SELECT has_database_privilege(%s, current_database(), 'temp')"
            for role, is_allowed in (("crossbook_dbt", True), ("x_desk", True), (reader, False)):
                assert connection.execute(may, (role,)).fetchone() == (is_allowed,), role
            limited = connection.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", (reader,)).fetchone()
            assert limited == (10,)
        finally:
            connection.execute(f"ALTER ROLE {reader} RESET ALL")
            connection.execute("REVOKE pg_read_all_stats, pg_signal_backend FROM x_desk")
            connection.execute("DROP OWNED BY x_desk CASCADE; DROP ROLE x_desk")


@pytest.mark.parametrize(
    ("login", "of", "why"),
    [
        (Login.READER, Login.TRADING, "is no member of crossbook_reader"),
        (Login.DBT, Login.READER, "is no member of crossbook_dbt"),
        (Login.READER, Login.OWNER, "may do more than read"),
    ],
)
def test_a_login_that_cannot_do_its_work_or_can_do_more_is_refused_by_the_name_of_its_setting(
    installed: Installed, tmp_path: Path, login: Login, of: Login, why: str
) -> None:
    wrong = {**installed.addresses, login: {**installed.addresses, Login.OWNER: installed.owner}[of]}
    with pytest.raises(ConfigurationError, match=f"CROSSBOOK_DATABASE_URL_{login.upper()}.*{why}"):
        check_logins(settings_of(tmp_path, installed.owner, wrong))


def test_a_login_of_another_database_is_refused(installed: Installed, postgres_dsn: str, tmp_path: Path) -> None:
    with new_database(postgres_dsn) as other:
        migrate(other, "sandbox")
        name = psycopg.conninfo.conninfo_to_dict(other)["dbname"]
        elsewhere = psycopg.conninfo.make_conninfo(installed.addresses[Login.TRADING], dbname=name)
        with pytest.raises(ConfigurationError, match="another database"):
            check_logins(settings_of(tmp_path, installed.owner, {**installed.addresses, Login.TRADING: elsewhere}))
