"""The two sensors that look after alerts: side by side, where one part cannot be looked at, and what they note."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from app.queries.alerts import load_inbox
from orchestration.alerting.facts import Facts
from orchestration.alerting.rules import due_alerts
from orchestration.alerting.sender import send_alerts
from orchestration.alerting.watcher import apply, limits_of
from orchestration.defs.alerting import sensors
from orchestration.defs.alerting.sensors import alert_sender, alert_watcher
from orchestration.resources import PlatformResource
from streams.alerting.courier import Rests
from streams.settings import load_settings
from streams.storage.database import Connection, connect, read_clock
from streams.storage.partitions import create_partitions
from streams.storage.store.alerting import delivery, facts
from streams.storage.store.alerting.delivery import load_look_ages_s
from streams.storage.store.alerting.facts import load_table_facts
from streams.storage.store.alerts import raise_alert
from tests.support.alert_channels import local_channel

BEHIND = """INSERT INTO raw.discovery_sweeps (venue, kind, started_at, ended_at)
    VALUES ('kalshi', 'full', now() - interval '11 minutes', now() - interval '11 minutes'),
        ('polymarket', 'full', now(), now())"""
BALANCE = """INSERT INTO trading.balances (venue, cash_e6, ledger_cash_e6, environment, detail, read_at)
    VALUES ('kalshi', 1, 5000000, 'sandbox', '{"in_flight": 0}', now())"""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


@pytest.fixture
def platform(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformResource:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    return PlatformResource()


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def watch(instance: dg.DagsterInstance, platform: PlatformResource) -> None:
    repository = dg.Definitions().get_repository_def()
    alert_watcher(
        dg.build_sensor_context(instance=instance, repository_def=repository, resources={"platform": platform})
    )


def test_a_dagster_that_cannot_be_looked_at_hides_nothing_that_the_tables_say(
    instance: dg.DagsterInstance, platform: PlatformResource, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.execute(BEHIND)

    def away(*_: object) -> None:
        raise ConnectionError("Dagster's tables are away")

    monkeypatch.setattr(sensors, "look_at_dagster", away)
    with pytest.raises(ConnectionError):
        watch(instance, platform)
    assert [alert.kind for alert in load_inbox(connection)] == ["discovery_behind"]
    assert load_look_ages_s(connection) == {}, "a look that failed is none"


def test_a_switch_that_cannot_be_read_keeps_no_alert_back(
    platform: PlatformResource, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_alert(connection, "disk_full", "critical", "disk_full:shard:0", "Full.")

    def unreadable(*_: object) -> None:
        raise PermissionError("kills")

    monkeypatch.setattr(sensors, "alarm_kill", unreadable)
    with local_channel() as local:
        monkeypatch.setenv("CROSSBOOK_ALERT_WEBHOOK_URL", local.webhook)
        with pytest.raises(PermissionError):
            alert_sender(dg.build_sensor_context(resources={"platform": platform}))
    assert [received["message"] for received in local.received] == ["Full."]


def test_two_watchers_at_once_open_each_alert_once(
    database: str, connection: Connection, instance: dg.DagsterInstance, platform: PlatformResource
) -> None:
    for statement in (BEHIND, BALANCE, BALANCE):
        connection.execute(statement)

    def look() -> None:
        with connect(database) as own:
            found = Facts(1e6, None, load_table_facts(own))
            for _ in range(20):
                apply(own, due_alerts(found, limits_of(load_settings())))

    watchers = [threading.Thread(target=look) for _ in range(4)]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join()
    assert sorted(alert.kind for alert in load_inbox(connection)) == ["discovery_behind", "ledger"]
    assert len(load_inbox(connection, open_only=False)) == 2


def test_each_look_is_noted_also_where_nothing_is_wrong(
    platform: PlatformResource, instance: dg.DagsterInstance, connection: Connection, tmp_path: Path
) -> None:
    watch(instance, platform)
    send_alerts(connection, load_settings(home=tmp_path), Rests())
    ages = load_look_ages_s(connection)
    assert set(ages) == {"watcher", "sender"}
    assert all(0 <= age < 60 for age in ages.values())


def test_a_round_that_breaks_off_each_time_is_no_look(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise RuntimeError("a row that cannot be read")

    settings = load_settings(home=tmp_path, alert_channels="json://127.0.0.1")
    monkeypatch.setattr(delivery, "load_due_alerts", refuses)
    with pytest.raises(RuntimeError):
        send_alerts(connection, settings, Rests())
    assert load_look_ages_s(connection) == {}, "else nobody would tell that nothing is sent"


def visited(plan: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """How many rows of which table each part of a plan has read."""
    if "Relation Name" in plan:
        read = sum(
            plan.get(what, 0) for what in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
        )
        yield plan["Relation Name"], read * plan["Actual Loops"]
    for part in plan.get("Plans", ()):
        yield from visited(part)


def test_a_look_does_not_read_what_is_old_however_silent_a_venue_is(connection: Connection) -> None:
    create_partitions(connection, datetime.now(UTC).date() - timedelta(days=1), 2)
    for statement in (
        """INSERT INTO raw.quotes (received_at, venue, market_id, state)
           SELECT now() - interval '1 hour' - n * interval '1 second', 'kalshi', 'KX', 'live'
           FROM generate_series(1, 20000) AS n""",
        """INSERT INTO raw.dead_letters (received_at, venue, source, reason, raw)
           SELECT now() - interval '2 hours' - n * interval '1 second', 'kalshi', 'socket', 'no JSON', 'x'
           FROM generate_series(1, 20000) AS n""",
        """INSERT INTO raw.segments (shard, run_id, path, opened_at, closed_at, frames)
           SELECT 0, 'r', n, now() - interval '3 hours', now() - interval '2 hours', 1
           FROM generate_series(1, 20000) AS n""",
        """INSERT INTO raw.discovery_sweeps (venue, kind, started_at, ended_at)
           SELECT 'kalshi', 'full', now() - n * interval '1 minute', now() - n * interval '1 minute'
           FROM generate_series(1, 20000) AS n""",
        "ANALYZE raw.quotes, raw.dead_letters, raw.segments, raw.discovery_sweeps",
    ):
        connection.execute(statement)
    cursor = psycopg.ClientCursor(connection)
    values = {"window": 900, "now": read_clock(connection)}
    row = cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {facts.VENUES}", values).fetchone()
    assert row is not None
    assert {table: rows for table, rows in visited(row["QUERY PLAN"][0]["Plan"]) if rows > 100} == {}
