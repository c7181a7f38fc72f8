"""The warehouse built by dbt on a real server from seeded facts; every figure asserted was summed by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from orchestration.dbt.project import invoke, manifest_path, prepare
from orchestration.dbt.reference import PAGE, render_reference, sql_examples
from orchestration.dbt.reports import chart_markdown, report_mart
from streams.settings import PROJECT_ROOT, Settings, load_settings
from streams.storage.database import connect
from tests.conftest import new_database
from tests.support.decisions import write_decision
from tests.support.ledger_rows import insert_entry

SERIES = {"quotes_1m", "rolling_prices", "depth_1m", "volume_1m", "deltas_1m", "pair_spreads_1m"}
ENTITIES = {
    "markets",
    "pairs",
    "trades",
    "trade_legs",
    "trade_states",
    "orders",
    "fills",
    "positions",
    "pnl_daily",
    "signals",
    "refusals",
    "refusal_events",
    "freshness",
    "signal_funnel",
    "execution_quality",
    "order_quality",
    "fill_markouts",
    "funnel_by_reason",
    "executions_by_period",
    "orders_by_purpose",
    "fills_by_venue",
    "markouts",
    "capital_by_venue",
}


@dataclass(frozen=True)
class Warehouse:
    """A seeded database with the settings that build it.

    Attributes:
        start: The first recorded minute.
        reported: What the Dagster run that built it first said of its outputs and checks.
    """

    settings: Settings
    dsn: str
    start: datetime
    reported: dict[str, Any] = field(default_factory=dict)

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        with connect(self.dsn) as connection:
            return list(connection.execute(query, parameters or None))

    def dbt(self, *command: str) -> dict[str, str]:
        """Run one dbt command and return the state of each node."""
        result = invoke(self.settings, self.dsn, [*command, "--log-level=error"])
        assert result.exception is None, result.exception
        return {node.node.unique_id: str(node.status) for node in result.result.results}


BUILD = """
import json, orchestration.definitions as module
done = module.defs().get_job_def("build_warehouse").execute_in_process()
built = {m.asset_key.path[-1]: m.metadata for m in done.asset_materializations_for_node("warehouse")}
checks = done.get_asset_check_evaluations()
print(json.dumps({
    "success": done.success,
    "rows": built["volume_1m"]["dagster/row_count"].value,
    "counted": sorted(name for name, metadata in built.items() if "dagster/row_count" in metadata),
    "chart": built["quotes_1m"]["chart"].value[:40],
    "models": len(built),
    "failed": [check.check_name for check in checks if not check.passed],
    "checks": len(checks),
}))
"""


@pytest.fixture(scope="module")
def warehouse(
    postgres_dsn: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    with new_database(postgres_dsn, migrated_template) as dsn:
        start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=50)
        seed(dsn, start)
        settings = load_settings(home=tmp_path_factory.mktemp("home"), database_url=dsn)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", BUILD],
            cwd=PROJECT_ROOT,
            env={**os.environ, "CROSSBOOK_HOME": str(settings.home_dir), "DATABASE_URL": dsn},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        yield Warehouse(settings, dsn, start, json.loads(done.stdout.splitlines()[-1]))


def seed(dsn: str, start: datetime) -> None:
    """Two markets of one pair: 40 minutes of quotes, a book, trades, deltas, history, and one settled trade."""
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as c:
        for venue, market in (("kalshi", "K1"), ("polymarket", "0xP1")):
            c.execute(
                "INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title, outcomes,"
                " status, terms, payload, seen_at) VALUES (%s, %s, 'h', 't', 'E', %s, '[\"Yes\",\"No\"]', 'settled',"
                " '{}', '{}', %s)",
                (venue, market, f"Will it rain ({venue})?", start),
            )
        c.execute(
            "INSERT INTO raw.market_state (venue, market_id, version_id, status, result, settlement_e4, first_seen_at,"
            " last_seen_at) SELECT venue, market_id, version_id, 'settled', 'yes', 10000, %s, %s"
            " FROM raw.market_versions",
            (start, start),
        )
        c.execute(
            "INSERT INTO raw.events (venue, event_id, category, payload, first_seen_at, last_seen_at)"
            " VALUES ('kalshi', 'E', 'Weather', '{}', %s, %s)",
            (start, start),
        )
        for minute in range(40):
            at = start + timedelta(minutes=minute, seconds=45)
            # Kalshi's mid alternates 0.50 / 0.52; Polymarket's stays 0.50.
            bid = 4900 if minute % 2 == 0 else 5100
            quote(c, at, "kalshi", "K1", bid, bid + 200, minute)
            quote(c, at, "polymarket", "0xP1", 4900, 5100, minute)
        quote(c, start + timedelta(minutes=39, seconds=59), "kalshi", "K1", 5500, 5400, 99, state="crossed")
        c.execute(
            "INSERT INTO raw.book_snapshots (received_at, venue, market_id, reason, bids, asks) VALUES (%s, 'kalshi',"
            " 'K1', 'periodic', '[[4900, 10000000], [4400, 5000000], [4399, 70000000]]', '[[5100, 2500000]]')",
            (start + timedelta(seconds=10),),
        )
        for price, size, outcome in ((5000, 3_000_000, "yes"), (5200, 1_500_000, "no")):
            c.execute(
                "INSERT INTO raw.trades (received_at, venue, market_id, price_e4, size_e6, taker_outcome, segment_id,"
                " frame_offset, payload) VALUES (%s, 'kalshi', 'K1', %s, %s, %s, 1, 1, '{}')",
                (start + timedelta(seconds=5), price, size, outcome),
            )
        for offset in range(7):
            c.execute(
                "INSERT INTO raw.book_deltas (received_at, venue, market_id, side, price_e4, size_change_e6,"
                " size_after_e6, segment_id, frame_offset, entry_index, payload)"
                " VALUES (%s, 'kalshi', 'K1', 'bid', 4900, 1, 1, 1, %s, 0, '{}')",
                (start + timedelta(seconds=offset), offset),
            )
        c.execute(
            "INSERT INTO raw.coverage (shard, venue, market_id, state, started_at, run_id)"
            " VALUES (0, 'kalshi', 'K1', 'covered', %s, 'r')",
            (start,),
        )
        candle(c, "kalshi", "K1", start - timedelta(hours=2), 4400, 4600, 4500, start)
        candle(c, "polymarket", "0xP1", start - timedelta(hours=2), None, None, 4700, start)
        seed_trading(c, start)


def quote(c: Any, at: datetime, venue: str, market: str, bid: int, ask: int, offset: int, state: str = "live") -> None:
    c.execute(
        "INSERT INTO raw.quotes VALUES (%s, %s, %s, %s, 1000000, %s, 2000000, %s, 1, %s)",
        (at, venue, market, bid, ask, state, offset),
    )


def candle(
    c: Any, venue: str, market: str, at: datetime, bid: int | None, ask: int | None, price: int, loaded: datetime
) -> None:
    c.execute(
        "INSERT INTO raw.candles (venue, market_id, interval_s, bucket_start, bid_close_e4, ask_close_e4,"
        " price_close_e4, payload, loaded_at) VALUES (%s, %s, 3600, %s, %s, %s, %s, '{}', %s)",
        (venue, market, at, bid, ask, price, loaded),
    )


def seed_trading(c: Any, start: datetime) -> None:
    """Ten YES at 0.49 with 0.18 fee and ten NO at 0.48 with 0.12; YES wins: 10 - 4.90 - 4.80 - 0.30 = 0."""
    c.execute(
        "INSERT INTO trading.pairs (pair_id, kalshi_market_id, polymarket_market_id, relation, polarity,"
        " kalshi_text_hash, polymarket_text_hash, environment, created_at, updated_at)"
        " VALUES ('00000000000000aa', 'K1', '0xP1', 'equivalent', 'aligned', 't', 't', 'sandbox', now(), now())"
    )
    write_decision(c, "pair:00000000000000aa", who="ada")
    c.execute(
        "INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment, updated_at)"
        " VALUES ('g', 'pair', 'Rain', '[]', '[]', true, 'sandbox', now())"
    )
    c.execute(
        "INSERT INTO trading.signals (group_id, leg_set, shard, environment, is_tradable, opened_at, closed_at,"
        " open_edge_usd, peak_edge_usd, last_edge_usd, contracts_e6, cost_e6, fee_e6, profit_e6, updated_at)"
        " VALUES ('g', 'x', 0, 'sandbox', true, %s, %s, 0.01, 0.02, 0.001, 10000000, 9700000, 300000, 0, %s)",
        (start, start + timedelta(seconds=90), start + timedelta(seconds=90)),
    )
    c.execute(
        "INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch, edge_usd,"
        " contracts_e6, started_at, flat_at, settled_at, expected_pnl_e6, realised_pnl_e6, updated_at)"
        " VALUES (1, 1, 'g', 'sandbox', 'live', 'SETTLED', 1, 0.02, 10000000, %s, %s, %s, 0, 0, now())",
        (start, start, start + timedelta(minutes=5)),
    )
    for reason in ("cooldown", "cooldown", "stale_book"):
        c.execute(
            "INSERT INTO trading.refusals (signal_id, refused_at, reason, environment) VALUES (1, %s, %s, 'sandbox')",
            (start, reason),
        )
    legs = [("kalshi", "K1", "yes", 4_900_000, 180_000), ("polymarket", "0xP1", "no", 4_800_000, 120_000)]
    for number, (venue, market, outcome, cash, fee) in enumerate(legs):
        c.execute(
            "INSERT INTO trading.intents (execution_id, leg_no, purpose, venue, market_id, outcome, action,"
            " limit_price_e4, size_e6, reserved_e6, epoch, environment, decided_at, expires_at, created_at)"
            " VALUES (1, %s, 'open', %s, %s, %s, 'buy', 4900, 10000000, 5000000, 1, 'sandbox', %s, %s, now())",
            (number, venue, market, outcome, start, start),
        )
        c.execute(
            "INSERT INTO trading.orders (intent_id, venue, client_order_id, state, request, filled_e6, cash_e6, fee_e6,"
            " environment, prepared_at) VALUES (%s, %s, 'c', 'filled', '{}', 10000000, %s, %s, 'sandbox', now())",
            (number + 1, venue, cash, fee),
        )
        for part in (4, 6):
            amounts = (part * 1_000_000, cash * part // 10, fee * part // 10)
            c.execute(
                "INSERT INTO trading.fills (order_id, venue, venue_fill_id, market_id, outcome, action, contracts_e6,"
                " cash_e6, fee_e6, state, filled_at, payload, environment, recorded_at)"
                " VALUES (%s, %s, %s, %s, %s, 'buy', %s, %s, %s, 'confirmed', %s, '{}', 'sandbox', now())",
                (number + 1, venue, f"f{part}", market, outcome, *amounts, start),
            )
        for kind, cash_e6, contracts in (("fill", -cash, 10_000_000), ("fee", -fee, 0)):
            ledger(c, f"{kind}-{number}", kind, venue, market, outcome, cash_e6, contracts, start)
    settled = start + timedelta(minutes=5)
    ledger(c, "settle-0", "settlement", "kalshi", "K1", "yes", 10_000_000, -10_000_000, settled)
    ledger(c, "settle-1", "settlement", "polymarket", "0xP1", "no", 0, -10_000_000, settled)


def ledger(
    c: Any, key: str, kind: str, venue: str, market: str, outcome: str, cash: int, contracts: int, at: datetime
) -> None:
    insert_entry(
        c,
        key,
        kind,
        venue,
        market_id=market,
        outcome=outcome,
        execution_id=1,
        cash_e6=cash,
        contracts_e6=contracts,
        at=at,
    )


def test_every_mart_has_rows(warehouse: Warehouse) -> None:
    with connect(warehouse.dsn) as connection:
        reports = [report_mart(connection, name, "minute") for name in sorted(SERIES)]
        assert report_mart(connection, "trades", "state").bars == [("SETTLED", 1)]
    assert [report.name for report in reports if report.rows == 0] == []
    assert all("data:image/svg+xml;base64," in chart_markdown(report) for report in reports)
    for name in ENTITIES:
        assert warehouse.rows(f"SELECT 1 FROM analytics.{name} LIMIT 1"), name


def test_a_crossed_book_is_shown_as_stale_and_enters_no_statistic(warehouse: Warehouse) -> None:
    last = warehouse.start + timedelta(minutes=39)
    (row,) = warehouse.rows("SELECT * FROM analytics.quotes_1m WHERE market_id = 'K1' AND minute = %s", last)
    assert (row["is_stale"], row["bid"]) == (True, Decimal("0.5500"))
    assert not warehouse.rows("SELECT 1 FROM analytics.rolling_prices WHERE market_id = 'K1' AND minute = %s", last)


def test_history_is_marked_and_never_shares_a_window_with_what_was_recorded(warehouse: Warehouse) -> None:
    (row,) = warehouse.rows("SELECT * FROM analytics.quotes_1m WHERE market_id = 'K1' AND source = 'backfilled'")
    assert (row["minute"], row["mid"]) == (warehouse.start - timedelta(minutes=61), Decimal("0.4500"))
    first = warehouse.rows(
        "SELECT observations FROM analytics.rolling_prices WHERE market_id = 'K1' AND source = 'recorded'"
        " ORDER BY minute LIMIT 1"
    )
    assert first[0]["observations"] == 1


def test_rolling_figures_equal_the_sums_by_hand(warehouse: Warehouse) -> None:
    at = warehouse.start + timedelta(minutes=19)
    (row,) = warehouse.rows("SELECT * FROM analytics.rolling_prices WHERE market_id = 'K1' AND minute = %s", at)
    # 20 mids, half of them 0.50, half 0.52; the last 15 begin and end with 0.52: (8 * 0.52 + 7 * 0.50) / 15.
    assert (row["observations"], row["avg_60m"]) == (20, Decimal("0.510000"))
    assert row["avg_15m"] == Decimal("0.510667")
    # 19 changes of 0.02 in 19 minutes: sqrt(0.0004 * 1440) = sqrt(0.576).
    assert row["volatility_60m"] == Decimal("0.758947")


def test_spread_and_its_score_equal_the_sums_by_hand(warehouse: Warehouse) -> None:
    rows = warehouse.rows("SELECT * FROM analytics.pair_spreads_1m WHERE source = 'recorded' ORDER BY minute")
    assert [row["observations"] for row in rows] == list(range(1, 40))
    assert all(row["z_score"] is None for row in rows[:9])
    tenth = rows[9]
    # Spreads 0, 0.02, ... over ten minutes: mean 0.01, deviation sqrt(10 * 0.0001 / 9).
    assert (tenth["mid_spread"], tenth["avg_60m"]) == (Decimal("0.02000"), Decimal("0.010000"))
    assert (tenth["stddev_60m"], tenth["z_score"]) == (Decimal("0.010541"), Decimal("0.9487"))
    # Kalshi bid 0.51 against Polymarket's ask 0.51: nothing locked in.
    assert tenth["cross_edge"] == 0
    # A spread that swings to and fro has no half-life.
    assert all(row["half_life_minutes"] is None for row in rows)


def test_depth_volume_and_deltas_equal_the_sums_by_hand(warehouse: Warehouse) -> None:
    (depth,) = warehouse.rows("SELECT * FROM analytics.depth_1m")
    # 10 at 0.49 and 5 at 0.44 are within five cents, 70 at 0.4399 are not.
    assert (depth["bid_depth_contracts"], depth["bid_depth_usd"]) == (15, Decimal("7.1"))
    assert (depth["ask_depth_contracts"], depth["ask_depth_usd"]) == (Decimal("2.5"), Decimal("1.275"))
    (volume,) = warehouse.rows("SELECT * FROM analytics.volume_1m")
    assert (volume["trades"], volume["contracts"], volume["notional_usd"]) == (2, Decimal("4.5"), Decimal("2.28"))
    (deltas,) = warehouse.rows("SELECT * FROM analytics.deltas_1m")
    assert (deltas["minute"], deltas["deltas"]) == (warehouse.start, 7)


def test_a_trade_its_position_and_its_day_agree_to_the_cent(warehouse: Warehouse) -> None:
    (trade,) = warehouse.rows("SELECT * FROM analytics.trades")
    assert (trade["cost_usd"], trade["fees_usd"], trade["settlement_usd"]) == (Decimal("9.7"), Decimal("0.3"), 10)
    assert trade["realised_pnl_usd"] == trade["cash_change_usd"] == 0
    assert [leg["average_price"] for leg in trade["legs"]] == ["0.490000", "0.480000"]
    assert trade["hedged_contracts"] == 10
    positions = warehouse.rows("SELECT * FROM analytics.positions ORDER BY venue")
    assert [(row["is_open"], row["realised_pnl_usd"]) for row in positions] == [
        (False, Decimal("4.92")),
        (False, Decimal("-4.92")),
    ]
    days = warehouse.rows("SELECT sum(realised_pnl_usd) AS pnl, sum(cash_change_usd) AS cash FROM analytics.pnl_daily")
    assert (days[0]["pnl"], days[0]["cash"]) == (0, 0)


def test_refusals_and_signals_are_counted(warehouse: Warehouse) -> None:
    counts = {row["reason"]: row["refusals"] for row in warehouse.rows("SELECT * FROM analytics.refusals")}
    assert counts == {"cooldown": 2, "stale_book": 1}
    (signal,) = warehouse.rows("SELECT * FROM analytics.signals")
    assert (signal["duration_s"], signal["executions"], signal["refusals"]) == (90, 1, 3)


def test_markets_and_pairs_carry_what_people_look_for(warehouse: Warehouse) -> None:
    (pair,) = warehouse.rows("SELECT * FROM analytics.pairs")
    assert (pair["state"], pair["decided_by"], pair["kalshi_title"]) == ("approved", "ada", "Will it rain (kalshi)?")
    (market,) = warehouse.rows("SELECT * FROM analytics.markets WHERE venue = 'kalshi'")
    assert (market["is_recorded"], market["category"], market["settlement_value"]) == (True, "Weather", 1)


def test_a_second_build_adds_what_came_late_and_changes_nothing_else(warehouse: Warehouse) -> None:
    before = warehouse.rows("SELECT venue, market_id, minute, mid FROM analytics.quotes_1m ORDER BY 1, 2, 3")
    late = warehouse.start + timedelta(minutes=39, seconds=50)
    new = warehouse.start + timedelta(minutes=44, seconds=50)
    with psycopg.connect(warehouse.dsn, autocommit=True) as c:
        quote(c, late, "polymarket", "0xP1", 5900, 6100, 200)
        quote(c, new, "polymarket", "0xP1", 5900, 6100, 201)
        candle(c, "kalshi", "K1", warehouse.start - timedelta(hours=5), 4000, 4200, 4100, datetime.now(UTC))
        # Marts of a former version get the columns that are new.
        c.execute("ALTER TABLE analytics.quotes_1m DROP COLUMN is_polled")
        c.execute("ALTER TABLE analytics.pair_spreads_1m DROP COLUMN is_polled, DROP COLUMN polled_observations")
    warehouse.dbt("build", "--exclude-resource-type=unit_test")
    after = {
        (row["market_id"], row["minute"]): row["mid"]
        for row in warehouse.rows("SELECT market_id, minute, mid FROM analytics.quotes_1m")
    }
    changed = {
        (row["market_id"], row["minute"]) for row in before if after[row["market_id"], row["minute"]] != row["mid"]
    }
    assert changed == {("0xP1", warehouse.start + timedelta(minutes=39))}
    assert set(after) - {(row["market_id"], row["minute"]) for row in before} == {
        ("0xP1", warehouse.start + timedelta(minutes=44)),
        ("K1", warehouse.start - timedelta(hours=4, minutes=1)),
    }
    assert warehouse.rows("SELECT count(*) AS n FROM analytics.rolling_prices WHERE source = 'backfilled'")[0]["n"] == 3
    newest = "SELECT is_polled FROM analytics.quotes_1m ORDER BY minute DESC LIMIT 1"
    assert warehouse.rows(newest) == [{"is_polled": False}]


def test_the_reader_may_read_the_marts_and_nothing_more(warehouse: Warehouse) -> None:
    (row,) = warehouse.rows(
        "SELECT has_table_privilege('crossbook_reader', 'analytics.quotes_1m', 'select') AS reads,"
        " has_table_privilege('crossbook_reader', 'analytics.pairs', 'select') AS reads_rebuilt,"
        " has_table_privilege('crossbook_reader', 'analytics.quotes_1m', 'insert') AS writes"
    )
    assert row == {"reads": True, "reads_rebuilt": True, "writes": False}


def test_a_dagster_run_reports_rows_charts_and_checks(warehouse: Warehouse) -> None:
    found = warehouse.reported
    assert found["success"]
    assert found["rows"] == 1
    assert found["chart"].startswith("*rows per minute")
    assert set(found["counted"]) == SERIES
    assert (found["models"], found["failed"]) == (61, [])
    assert found["checks"] > 50


def test_the_logic_of_the_models_passes_its_unit_tests(warehouse: Warehouse) -> None:
    found = warehouse.dbt("test", "--select=test_type:unit").items()
    assert {state for node, state in found if node.startswith("unit_test.")} == {"pass"}


def test_an_empty_database_builds_twice(database: str, tmp_path: Path) -> None:
    empty = Warehouse(load_settings(home=tmp_path, database_url=database), database, datetime.now(UTC))
    for _ in range(2):
        assert set(empty.dbt("build", "--exclude-resource-type=unit_test").values()) == {"success", "pass"}


@pytest.mark.parametrize(("heading", "query"), sql_examples(PAGE.read_text()))
def test_a_worked_query_of_the_page_runs(warehouse: Warehouse, heading: str, query: str) -> None:
    warehouse.rows(query)


def test_the_page_has_ten_worked_queries_and_the_reference_of_this_project(warehouse: Warehouse) -> None:
    assert len(sql_examples(PAGE.read_text())) == 10
    prepare(warehouse.settings)
    manifest = json.loads(Path(manifest_path(warehouse.settings)).read_bytes())
    assert render_reference(manifest) in PAGE.read_text()


def test_every_model_and_column_is_described(warehouse: Warehouse) -> None:
    prepare(warehouse.settings)
    manifest = json.loads(Path(manifest_path(warehouse.settings)).read_bytes())
    models = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    assert set(models) >= SERIES | ENTITIES
    assert [name for name, node in models.items() if not node["description"].startswith("One row per")] == []
    described = {(node["schema"], name, column) for name, node in models.items() for column in node["columns"]}
    columns = warehouse.rows(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns"
        " WHERE table_schema LIKE 'analytics%%'"
    )
    assert {tuple(row.values()) for row in columns} == described
