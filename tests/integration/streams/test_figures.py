"""Totals that follow the facts: the cost of what is held, sums by day, refusals, and how views are changed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from streams.settings import PROJECT_ROOT
from streams.storage.database import Connection, connect
from streams.storage.schema import migrate
from streams.storage.store.ledger import compact_totals
from streams.storage.store.warehouse import LiveView, keep_views
from tests.conftest import new_database
from tests.support.ledger_rows import insert_entry

_SQL = PROJECT_ROOT / "streams" / "storage" / "migrations" / "sql"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
Booked = tuple[str, float, float]
"""Kind, contracts, cash in dollars."""


@pytest.fixture
def figures(postgres_dsn: str, warehouse_template: str) -> Iterator[Connection]:
    """A connection to an empty warehouse with its views."""
    with new_database(postgres_dsn, warehouse_template) as dsn, connect(dsn) as connection:
        yield connection


def _book(connection: Connection, *entries: Booked, market: str = "A") -> None:
    for kind, contracts, cash in entries:
        insert_entry(
            connection,
            f"{market}:{uuid.uuid4()}",
            kind,
            "kalshi",
            market_id=market,
            outcome="yes",
            cash_e6=round(cash * 1e6),
            contracts_e6=round(contracts * 1e6),
            at=NOON,
        )


def _book_before_postings(connection: Connection, *entries: Booked, market: str) -> None:
    """Book as the first versions did, which had no postings."""
    for kind, contracts, cash in entries:
        connection.execute(
            "INSERT INTO trading.ledger (entry_key, kind, venue, market_id, outcome, cash_e6, contracts_e6, mode,"
            " environment, happened_at, recorded_at)"
            " VALUES ((SELECT 'k' || count(*) FROM trading.ledger), %s, 'kalshi', %s, 'yes',"
            " %s, %s, 'live', 'sandbox', %s, now())",
            (kind, market, round(cash * 1e6), round(contracts * 1e6), NOON),
        )


CASES: list[tuple[str, list[Booked], str, str]] = [
    ("bought again after it was sold", [("fill", 10, -4), ("fill", -10, 5), ("fill", 10, -9)], "9", "1"),
    ("bought again after a reversal", [("fill", 10, -4), ("reversal", -10, 4), ("fill", 10, -5)], "5", "0"),
    ("half sold with a fee", [("fill", 10, -4), ("fill", -5, 2.5), ("fee", 0, -0.2)], "2", "0.3"),
    ("half sold, bought with a fee", [("fill", 10, -4), ("fee", 0, -0.1), ("fill", -5, 2.5)], "2.05", "0.45"),
    ("one of two purchases reversed, with its fee",
     [("fill", 10, -4), ("fee", 0, -0.1), ("fill", 10, -5), ("fee", 0, -0.2), ("reversal", -10, 4),
      ("reversal", 0, 0.1)], "5.2", "0"),
    ("a sale that failed", [("fill", 10, -4), ("fill", -5, 2.5), ("fee", 0, -0.2), ("reversal", 5, -2.5),
                            ("reversal", 0, 0.2)], "4", "0"),
    ("a rebate of buying", [("fill", 10, -4), ("rebate", 0, 0.05)], "3.95", "0"),
    ("settled", [("fill", 10, -4), ("fee", 0, -0.1), ("settlement", -10, 10)], "0", "5.9"),
    ("void at half", [("fill", 10, -4), ("settlement", -10, 5)], "0", "1"),
    ("two purchases of one episode", [("fill", 10, -4), ("fill", -5, 2.5), ("fill", 5, -3)], "4.666667", "0.166667"),
]  # fmt: skip


@pytest.mark.parametrize(("entries", "cost", "realised"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_held_costs_the_average_of_its_episode(
    figures: Connection, entries: list[Booked], cost: str, realised: str
) -> None:
    _book(figures, *entries)
    row = figures.execute("SELECT * FROM analytics.positions").fetchone()
    assert row is not None
    assert (row["cost_usd"], row["realised_pnl_usd"]) == (Decimal(cost), Decimal(realised))


def test_an_older_database_has_its_totals_after_the_migration(empty_database: str) -> None:
    with connect(empty_database) as connection:
        for name in ("0001_raw.sql", "0001_trading.sql", "0001_roles.sql", "0002_polled.sql"):
            connection.execute((_SQL / name).read_bytes())
        connection.execute("CREATE TABLE trading.schema_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO trading.schema_version VALUES ('0002')")
        for name, entries, _, _ in CASES:
            _book_before_postings(connection, *entries, market=name)
        _trade(connection)
        _trade(connection, NOON, -250_000)
        connection.execute(
            "WITH v AS (INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title,"
            " category, outcomes, status, terms, payload, seen_at) VALUES ('kalshi', 'A', 'h', 'h', 'E', 'Bulls win?',"
            " 'Sport', '[]', 'open', '{}', '{}', now()) RETURNING version_id)"
            " INSERT INTO raw.market_state (venue, market_id, version_id, status, first_seen_at, last_seen_at)"
            " SELECT 'kalshi', 'A', version_id, 'open', now(), now() FROM v"
        )
        migrate(empty_database, "sandbox")
        folded = "SELECT market_id, contracts_e6, cash_e6, bought_e6, paid_e6 FROM trading.position_totals ORDER BY 1"
        at_once = connection.execute(folded).fetchall()
        assert len(at_once) == len(CASES)
        days = connection.execute("SELECT day, trades, losing_trades, cash_e6 FROM trading.day_totals").fetchall()
        cash = round(sum(entry[2] for case in CASES for entry in case[1]) * 1e6)
        assert days == [{"day": NOON.date(), "trades": 2, "losing_trades": 1, "cash_e6": cash}]
        outcomes = connection.execute("SELECT outcome FROM trading.signal_outcomes").fetchall()
        assert outcomes == [{"outcome": "traded"}] * 2
        states = connection.execute("SELECT mode, state, trades FROM trading.state_totals").fetchall()
        assert states == [{"mode": "live", "state": "HEDGED", "trades": 2}]
        assert connection.execute("SELECT category, words::text FROM raw.market_lookup").fetchall() == [
            {"category": "Sport", "words": "'?' 'a' 'bulls' 'win'"}
        ]
        connection.execute("DELETE FROM trading.position_totals")
        for name, entries, _, _ in CASES:
            _book(connection, *entries, market=name)
        assert connection.execute(folded).fetchall() == at_once


def _trade(connection: Connection, settled_at: datetime | None = None, realised_e6: int | None = None) -> int:
    connection.execute(
        "INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment, updated_at)"
        " VALUES ('g', 'pair', 'G', '[]', '[]', true, 'sandbox', now()) ON CONFLICT DO NOTHING"
    )
    row = connection.execute(
        "WITH s AS (INSERT INTO trading.signals (group_id, leg_set, shard, environment, is_tradable, opened_at,"
        " open_edge_usd, peak_edge_usd, last_edge_usd, contracts_e6, cost_e6, fee_e6, profit_e6, updated_at)"
        " SELECT 'g', 'x' || count(*), 0, 'sandbox', true, %(at)s, 0, 0, 0, 0, 0, 0, 0, %(at)s FROM trading.signals"
        " RETURNING signal_id)"
        " INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch, edge_usd,"
        " contracts_e6, started_at, settled_at, realised_pnl_e6, updated_at)"
        " SELECT signal_id, 1, 'g', 'sandbox', 'live', 'HEDGED', 1, 0.01, 0, %(at)s, %(settled)s, %(pnl)s, now() FROM s"
        " RETURNING execution_id",
        {"at": NOON, "settled": settled_at, "pnl": realised_e6},
    ).fetchone()
    assert row is not None
    return int(row["execution_id"])


def _days(connection: Connection) -> list[tuple[Any, ...]]:
    found = connection.execute(
        "SELECT day, trades, settled_trades, winning_trades, losing_trades, realised_pnl_usd"
        " FROM analytics.pnl_daily ORDER BY day"
    )
    return [tuple(row.values()) for row in found]


def test_trades_are_counted_by_the_state_they_are_in_now(figures: Connection) -> None:
    def counted() -> list[tuple[Any, ...]]:
        rows = figures.execute("SELECT mode, state, trades FROM analytics.trade_states ORDER BY state")
        return [tuple(row.values()) for row in rows]

    first, _ = _trade(figures), _trade(figures)
    assert counted() == [("live", "HEDGED", 2)]
    figures.execute("UPDATE trading.executions SET state = 'SETTLED' WHERE execution_id = %s", (first,))
    figures.execute("UPDATE trading.executions SET state = state")
    assert counted() == [("live", "HEDGED", 1), ("live", "SETTLED", 1)]
    figures.execute("UPDATE trading.executions SET state = 'SETTLED'")
    compact_totals(figures)
    assert counted() == [("live", "SETTLED", 2)]
    assert figures.execute("SELECT count(*) AS n FROM trading.state_totals").fetchone() == {"n": 1}


def test_a_trade_counts_where_it_settles_and_moves_with_what_is_found_later(figures: Connection) -> None:
    day, next_day = NOON.date(), (NOON + timedelta(days=1)).date()
    trade = _trade(figures)
    _trade(figures, NOON, -250_000)
    assert _days(figures) == [(day, 2, 1, 0, 1, Decimal("-0.25"))]
    figures.execute(
        "UPDATE trading.executions SET settled_at = %s, realised_pnl_e6 = 1000000 WHERE execution_id = %s",
        (NOON + timedelta(days=1), trade),
    )
    settled = (next_day, 0, 1, 1, 0, Decimal(1))
    assert _days(figures) == [(day, 2, 1, 0, 1, Decimal("-0.25")), settled]
    compact_totals(figures)
    assert figures.execute("SELECT count(*) AS n FROM trading.day_totals").fetchone() == {"n": 2}
    assert _days(figures) == [(day, 2, 1, 0, 1, Decimal("-0.25")), settled]
    figures.execute("UPDATE trading.executions SET realised_pnl_e6 = -1 WHERE execution_id = %s", (trade,))
    assert _days(figures)[1] == (next_day, 0, 1, 0, 1, Decimal("-0.000001"))


def test_refusals_count_each_episode_once_a_day(figures: Connection) -> None:
    _trade(figures)
    for hours in (0, 1, 1, 13):
        figures.execute(
            "INSERT INTO trading.refusals (signal_id, refused_at, reason, environment)"
            " SELECT signal_id, %s, 'cooldown', 'sandbox' FROM trading.signals",
            (NOON + timedelta(hours=hours),),
        )
    query = "SELECT refusals, signals, last_refused_at FROM analytics.refusals ORDER BY day"
    expected = [
        {"refusals": 3, "signals": 1, "last_refused_at": NOON + timedelta(hours=1)},
        {"refusals": 1, "signals": 1, "last_refused_at": NOON + timedelta(hours=13)},
    ]
    assert figures.execute(query).fetchall() == expected
    compact_totals(figures)
    assert figures.execute(query).fetchall() == expected


def _view(name: str, query: str) -> LiveView:
    return LiveView("analytics", name, query)


def _oid(connection: Connection, name: str) -> int:
    row = connection.execute("SELECT %s::regclass::oid::bigint AS oid", (f"analytics.{name}",)).fetchone()
    assert row is not None
    return int(row["oid"])


def test_a_view_with_the_same_query_is_left_alone(figures: Connection) -> None:
    views = [_view("below", "select 1 as a"), _view("above", 'select a from "analytics"."below"')]
    assert keep_views(figures, views) == 2
    xmin = "SELECT xmin::text AS x FROM pg_class WHERE relname = 'above'"
    before = figures.execute(xmin).fetchone()
    assert keep_views(figures, views) == 0
    assert figures.execute(xmin).fetchone() == before


def test_a_column_may_be_added_without_a_drop(figures: Connection) -> None:
    keep_views(figures, [_view("below", "select 1 as a")])
    before = _oid(figures, "below")
    assert keep_views(figures, [_view("below", "select 1 as a, 2 as b")]) == 1
    assert _oid(figures, "below") == before


def test_other_columns_take_what_stands_upon_the_view_along(figures: Connection) -> None:
    keep_views(figures, [_view("below", "select 1 as a, 2 as b"), _view("above", "select b from analytics.below")])
    figures.execute("CREATE VIEW public.somebodys AS SELECT b FROM analytics.above")
    assert keep_views(figures, [_view("below", "select 'x'::text as b")]) == 1
    assert figures.execute("SELECT b FROM public.somebodys").fetchone() == {"b": "x"}
    privilege = "SELECT has_table_privilege('crossbook_reader', 'analytics.above', 'select') AS may"
    assert figures.execute(privilege).fetchone() == {"may": True}


def test_a_table_of_an_earlier_version_becomes_the_view(figures: Connection) -> None:
    figures.execute("CREATE TABLE analytics.former AS SELECT 1 AS a")
    keep_views(figures, [_view("former", "select 2 as a")])
    assert figures.execute("SELECT a FROM analytics.former").fetchone() == {"a": 2}


def test_a_query_that_cannot_be_used_changes_nothing(figures: Connection) -> None:
    keep_views(figures, [_view("below", "select 1 as a")])
    with pytest.raises(psycopg.Error):
        keep_views(figures, [_view("below", "select 2 as a"), _view("above", "select nothing from analytics.below")])
    assert figures.execute("SELECT a FROM analytics.below").fetchone() == {"a": 1}
