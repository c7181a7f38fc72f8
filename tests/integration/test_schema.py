"""The schema on a real server."""

import psycopg
import pytest

from streams.market.errors import ConfigurationError
from streams.settings import PROJECT_ROOT
from streams.storage.schema import migrate
from tests.structure.sql import CLOCKS

_SQL = PROJECT_ROOT / "streams" / "storage" / "migrations" / "sql"


def test_migrating_twice_changes_nothing(database: str) -> None:
    migrate(database, "sandbox")
    with psycopg.connect(database) as connection:
        versions = connection.execute("SELECT version_num FROM trading.schema_version").fetchall()
    assert len(versions) == 1


def test_nothing_that_stands_in_schema_trading_reads_a_clock(database: str) -> None:
    """Its tables, views, functions and triggers: a row has the time that its writer gave."""
    with psycopg.connect(database) as connection:
        found = connection.execute(
            """SELECT d.adrelid::regclass || '.' || a.attname, pg_get_expr(d.adbin, d.adrelid)
               FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
               JOIN pg_class AS c ON c.oid = d.adrelid WHERE c.relnamespace = 'trading'::regnamespace
               UNION ALL SELECT oid::regproc::text, prosrc FROM pg_proc
                   WHERE pronamespace = 'trading'::regnamespace
                   OR pronamespace = 'raw'::regnamespace AND strpos(prosrc, 'trading.') > 0
               UNION ALL SELECT viewname, definition FROM pg_views WHERE schemaname = 'trading'
               UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
                   WHERE connamespace = 'trading'::regnamespace
               UNION ALL SELECT t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger AS t
                   JOIN pg_class AS c ON c.oid = t.tgrelid WHERE c.relnamespace = 'trading'::regnamespace"""
        ).fetchall()
    assert len(found) > 200
    assert [name for name, text in found if CLOCKS.search(text)] == []


def test_what_was_polled_before_the_mark_is_marked_by_the_upgrade(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        for name in ("0001_raw.sql", "0001_trading.sql", "0001_roles.sql"):
            connection.execute((_SQL / name).read_bytes())
        connection.execute("CREATE TABLE trading.schema_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO trading.schema_version VALUES ('0001')")
        for table in ("book_snapshots", "quotes"):
            connection.execute(f"CREATE TABLE raw.{table}_default PARTITION OF raw.{table} DEFAULT")
        for run, reason in (("keyless", "polled"), ("keyed", "received")):
            row = connection.execute(
                """INSERT INTO raw.segments (shard, run_id, path, opened_at) VALUES (0, %(run)s, %(run)s, now())
                   RETURNING segment_id""",
                {"run": run},
            ).fetchone()
            connection.execute(
                """INSERT INTO raw.connections (connection_id, shard, venue, run_id, started_at)
                   VALUES (%(run)s, 0, 'kalshi', %(run)s, now())""",
                {"run": run},
            )
            for venue in ("kalshi", "polymarket"):
                for number, word in enumerate((reason if venue == "kalshi" else "received", "periodic")):
                    values = {"venue": venue, "reason": word, "segment": row and row[0], "offset": number}
                    connection.execute(
                        """INSERT INTO raw.book_snapshots (received_at, venue, market_id, reason, bids, asks,
                               segment_id, frame_offset)
                           VALUES (now(), %(venue)s, 'A', %(reason)s, '[]', '[]', %(segment)s, %(offset)s)""",
                        values,
                    )
                    connection.execute(
                        """INSERT INTO raw.quotes (received_at, venue, market_id, state, segment_id, frame_offset)
                           VALUES (now(), %(venue)s, 'A', 'live', %(segment)s, %(offset)s)""",
                        values,
                    )
    migrate(empty_database, "sandbox")
    with psycopg.connect(empty_database) as connection:
        for table in ("quotes_v1", "book_snapshots_v1"):
            marked = connection.execute(
                f"""SELECT venue, run_id, is_polled, count(*) FROM raw.{table} JOIN raw.segments USING (segment_id)
                    GROUP BY 1, 2, 3 ORDER BY 1, 2"""
            ).fetchall()
            assert marked == [
                ("kalshi", "keyed", False, 2),
                ("kalshi", "keyless", True, 2),
                ("polymarket", "keyed", False, 2),
                ("polymarket", "keyless", False, 2),
            ]
        connections = connection.execute("SELECT connection_id, is_polled FROM raw.connections_v1").fetchall()
    assert sorted(connections) == [("keyed", False), ("keyless", True)]


def test_decisions_on_pairs_become_decisions_on_groups(empty_database: str) -> None:
    """Each stays what it was: bound to its texts, under its time and name."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        for name in ("0001_raw.sql", "0001_trading.sql", "0001_roles.sql"):
            connection.execute((_SQL / name).read_bytes())
        connection.execute("CREATE TABLE trading.schema_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO trading.schema_version VALUES ('0001')")
        for pair in "ab":
            connection.execute(
                """INSERT INTO trading.pairs (pair_id, kalshi_market_id, polymarket_market_id, relation, polarity,
                       kalshi_text_hash, polymarket_text_hash, environment, created_at, updated_at)
                   VALUES (%s, %s, 'P', 'equivalent', 'aligned', 'k', 'p', 'sandbox', now(), now())""",
                (pair, f"K{pair}"),
            )
        connection.execute(
            """INSERT INTO trading.pair_decisions (pair_id, decision, decided_by, reason, kalshi_text_hash,
                   polymarket_text_hash, environment, decided_at)
               VALUES ('a', 'reject', 'ada', 'no', 'k', 'p', 'sandbox', '2026-11-01 10:00+00'),
                   ('a', 'approve', 'bob', 'read', 'k', 'p', 'sandbox', '2026-11-02 10:00+00'),
                   ('b', 'approve', 'bob', 'read', 'old', 'p', 'sandbox', '2026-11-03 10:00+00')"""
        )
        before = connection.execute("SELECT * FROM trading.pair_decisions ORDER BY decision_id").fetchall()
    migrate(empty_database, "sandbox")
    with psycopg.connect(empty_database) as connection:
        query = """SELECT decision_id, pair_id, decision, decided_by, reason, kalshi_text_hash, polymarket_text_hash,
            environment, decided_at FROM trading.pair_decisions ORDER BY decision_id"""
        assert connection.execute(query).fetchall() == before
        states = connection.execute(
            "SELECT group_id, state, decided_by FROM trading.group_states ORDER BY 1"
        ).fetchall()
        assert states == [("pair:a", "approved", "bob"), ("pair:b", "lapsed", "bob")]


def test_a_database_of_another_environment_is_refused(database: str) -> None:
    with pytest.raises(ConfigurationError, match="belongs to sandbox"):
        migrate(database, "live")


def test_a_decision_cannot_be_changed(database: str) -> None:
    with psycopg.connect(database) as connection, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        connection.execute("UPDATE trading.switches SET state = 'kill'")
