"""What people read is there at every moment: through a start, builds, a data test that fails, and an upgrade."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from app.api.main import create_app
from app.queries.health import load_marts, load_views
from orchestration.dbt import project as dbt_project
from orchestration.dbt.failed_tests import mark_results
from orchestration.dbt.project import invoke, make_views, prepare
from streams.settings import PROJECT_ROOT, Settings, load_settings
from streams.storage.database import connect
from streams.storage.schema import migrate
from streams.storage.store.alerts import FailedTest, list_failed_tests
from tests.conftest import new_database
from tests.fixtures.facts import write_facts

READS_A_SECOND = 20
BUILD = """
import json, sys
from pathlib import Path
from orchestration.dbt import project as dbt_project
dbt_project.PROJECT_DIR = Path(sys.argv[1])
dbt_project.prepare(dbt_project.load_settings())
import orchestration.definitions as module
done = module.defs().get_job_def(sys.argv[2]).execute_in_process(raise_on_error=False)
built = {m.asset_key.path[-1]: m.metadata for m in done.asset_materializations_for_node("warehouse")}
print(json.dumps({
    "success": done.success,
    "rows": {name: found["dagster/row_count"].value for name, found in built.items() if "dagster/row_count" in found},
    "built": sorted(built),
}))
"""


class Readers:
    """Reads every view of `analytics` again and again, and gives up on one that is locked for a tenth of a second."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._stop = threading.Event()
        self.rounds = 0
        self.problems: list[str] = []

    @contextmanager
    def reading(self) -> Iterator[Readers]:
        thread = threading.Thread(target=self._read)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def _read(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute("SET ROLE crossbook_reader")
            connection.execute("SET lock_timeout = '100ms'")
            query = "SELECT relname FROM pg_class WHERE relnamespace = 'analytics'::regnamespace AND relkind = 'v'"
            names = [row[0] for row in connection.execute(query)]
            while not self._stop.wait(1 / READS_A_SECOND):
                for name in names:
                    try:
                        connection.execute(f"SELECT count(*), max(t::text) FROM analytics.{name} AS t".encode())
                    except psycopg.Error as error:
                        self.problems.append(f"{name}: {error}")
                self.rounds += 1


@pytest.fixture(scope="module")
def settings(
    postgres_dsn: str, warehouse_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """A home and a database as a start leaves them, with trades in it and every table built once."""
    with new_database(postgres_dsn, warehouse_template) as dsn:
        with connect(dsn) as connection:
            write_facts(connection)
        settings = load_settings(home=tmp_path_factory.mktemp("home"), database_url=dsn)
        yield settings


def _dsn(settings: Settings) -> str:
    assert settings.database_url is not None
    return settings.database_url.get_secret_value()


@pytest.fixture(scope="module")
def changed_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project: a staging test that fails, one mart more, a view with other columns, one with one more."""
    project = tmp_path_factory.mktemp("changed") / "dbt_project"
    shutil.copytree(dbt_project.PROJECT_DIR, project)
    marts = project / "models" / "marts"
    (project / "tests" / "no_execution_is_right.sql").write_text("select * from {{ ref('stg_trading__executions') }}")
    (marts / "series" / "extra_1m.sql").write_text(
        "{{ config(unique_key=['minute'], incremental_strategy='delete+insert', on_schema_change='fail') }}\n"
        "select date_trunc('minute', now()) as minute, 1 as things"
    )
    (marts / "series" / "extra.yml").write_text(
        "models:\n  - name: extra_1m\n    description: One row per minute.\n"
        "    config:\n      meta: {dagster: {freshness: 2h, report_by: things, first_pass: true}}\n"
    )
    _replace(marts / "entities" / "orders.sql", "    order_id,\n", "    'new' as label,\n    order_id,\n")
    _replace(marts / "entities" / "fills.sql", "\nfrom {{ ref", ",\n    1 as one_more\nfrom {{ ref")
    return project


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} does not hold {old!r}"
    path.write_text(text.replace(old, new, 1))


def _build(settings: Settings, project: Path, job: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUILD, str(project), job],
        cwd=PROJECT_ROOT,
        env={**os.environ, "CROSSBOOK_HOME": str(settings.home_dir), "DATABASE_URL": _dsn(settings)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@dataclass(frozen=True)
class Story:
    """What was seen while everything happened.

    Attributes:
        readers: What those who read all the time met.
        unchanged: Views that a start of the same version changed.
        minute, full: What the minute build and the build with a failing test reported.
        failed: Data tests that failed after it.
        marked: Marts that were marked by them.
        alerts: Open alerts then.
        trades: Trades the API showed then.
        problems: What the API said of its health then.
        back: Views that the way back to the former version changed.
    """

    readers: Readers
    unchanged: int
    minute: dict[str, Any]
    full: dict[str, Any]
    failed: list[FailedTest]
    marked: set[str]
    alerts: list[dict[str, Any]]
    trades: int
    problems: list[str]
    back: int


@pytest.fixture(scope="module")
def story(settings: Settings, changed_project: Path) -> Story:
    """A start, a minute build, a full build with a failing test, an upgrade and the way back, all under readers."""
    dsn = _dsn(settings)
    with Readers(dsn).reading() as readers, pytest.MonkeyPatch.context() as monkeypatch, connect(dsn) as connection:
        migrate(dsn, "sandbox")
        unchanged = make_views(settings)
        minute = _build(settings, dbt_project.PROJECT_DIR, "build_marts")
        full = _build(settings, changed_project, "build_warehouse")
        failed = list_failed_tests(connection)
        marked = {mart.name for mart in [*load_marts(connection), *load_views(connection)] if mart.failed_tests}
        alerts = connection.execute("SELECT kind, severity FROM trading.alerts WHERE cleared_at IS NULL").fetchall()
        with TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as client:
            trades = len(client.get("/api/trades").json()["items"])
            problems = client.get("/api/health").json()["problems"]
        monkeypatch.setattr(dbt_project, "PROJECT_DIR", changed_project)
        make_views(settings)
        monkeypatch.undo()
        back = make_views(settings)
    return Story(readers, unchanged, minute, full, failed, marked, alerts, trades, problems, back)


def test_no_reader_meets_an_error_or_waits(story: Story) -> None:
    assert story.readers.problems == []
    assert story.readers.rounds > READS_A_SECOND


def test_a_start_of_the_same_version_leaves_every_view_alone(story: Story) -> None:
    assert story.unchanged == 0
    assert story.back == 2


def test_a_minute_build_builds_and_counts_tables_only(story: Story) -> None:
    assert story.minute["success"]
    tables = {"quotes_1m", "rolling_prices", "depth_1m", "volume_1m", "deltas_1m", "pair_spreads_1m"}
    assert set(story.minute["built"]) == set(story.minute["rows"]) == tables


def test_one_mart_more_needs_no_python(story: Story) -> None:
    assert story.full["rows"]["extra_1m"] == 1
    assert "trades" not in story.full["rows"]


def test_a_failed_data_test_alerts_and_marks_what_stands_on_it_and_hides_nothing(story: Story) -> None:
    (test,) = story.failed
    assert test.test == "no_execution_is_right"
    assert {"trades", "signals"} <= set(test.marts) - {"freshness"} == story.marked
    assert not {"markets", "quotes_1m"} & set(test.marts)
    assert story.alerts == [{"kind": "data_test", "severity": "warning"}]
    assert story.trades == 9
    assert any("no_execution_is_right does not pass since" in problem for problem in story.problems)


def test_the_mark_goes_when_the_test_passes_again_or_is_gone(settings: Settings, story: Story) -> None:
    manifest = json.loads(prepare(settings).read_bytes())
    for status, is_marked in (("fail", True), ("skipped", True), ("pass", False), ("warn", True)):
        test = next(node for node in manifest["nodes"].values() if node["name"] == "realised_pnl_equals_ledger")
        node = SimpleNamespace(unique_id=test["unique_id"], name=test["name"])
        with connect(_dsn(settings)) as connection:
            mark_results(connection, manifest, [SimpleNamespace(node=node, status=status, message=None)])
            assert [found.test for found in list_failed_tests(connection, "trades")] == [test["name"]] * is_marked
    del manifest["nodes"][test["unique_id"]]
    with connect(_dsn(settings)) as connection:
        mark_results(connection, manifest, [])
        assert list_failed_tests(connection) == []


def test_a_build_by_hand_does_what_a_start_does(settings: Settings, story: Story) -> None:
    with connect(_dsn(settings)) as connection:
        connection.execute("DROP VIEW analytics.trades CASCADE")
        result = invoke(settings, _dsn(settings), ["run", "--select=trades", "--log-level=error", "--quiet"])
        assert result.success
        assert connection.execute("SELECT count(*) AS n FROM analytics.trades").fetchone() == {"n": 9}
    assert make_views(settings) == 0
