"""Runs through the warm runner on a real instance: launched, ended, killed, and taken over when it is gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from orchestration.runtime.instance import prepare_instance
from orchestration.runtime.warm_protocol import (
    WarmRunnerUnavailable,
    Worker,
    request_launch,
    socket_path,
    start_ticks,
)
from streams.processes.parts import Process
from streams.settings import PROJECT_ROOT, Settings, load_settings

JOBS = """
import time
import dagster as dg

@dg.op
def nap():
    time.sleep(600)

@dg.op
def nod():
    pass

@dg.job(executor_def=dg.in_process_executor)
def sleepy():
    nap()

@dg.job(executor_def=dg.in_process_executor)
def quick():
    nod()
"""


def wait_for(condition: Callable[[], bool], limit_s: float = 150.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def settings(empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE_URL", empty_database)
    return load_settings()


@pytest.fixture
def instance(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in prepare_instance(settings).items():
        monkeypatch.setenv(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dagster import DagsterInstance

        with DagsterInstance.get() as made:
            yield made


@pytest.fixture
def warm(instance: Any, settings: Settings) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration.runtime.warm_runner", "--module=dagster"],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert "listens" in process.stdout.readline()
    yield process
    process.terminate()
    process.wait(timeout=150)


def new_run(instance: Any, tmp_path: Path, name: str) -> str:
    from dagster._core.definitions.reconstruct import ReconstructableJob

    file = tmp_path / "jobs.py"
    file.write_text(JOBS)
    job = ReconstructableJob.for_file(str(file), name)
    run = instance.create_run_for_job(job_def=job.get_definition(), job_code_origin=job.get_python_origin())
    return str(run.run_id)


def status(instance: Any, run_id: str) -> str:
    return str(instance.get_run_by_id(run_id).status.value)


def test_a_run_is_forked_ends_and_can_be_ended_and_its_death_is_seen(
    instance: Any, warm: subprocess.Popen[str], tmp_path: Path
) -> None:
    from dagster._core.launcher.base import WorkerStatus

    quick = new_run(instance, tmp_path, "quick")
    instance.launch_run(quick, None)
    wait_for(lambda: status(instance, quick) == "SUCCESS")

    ended = new_run(instance, tmp_path, "sleepy")
    instance.launch_run(ended, None)
    wait_for(lambda: status(instance, ended) == "STARTED")
    health = instance.run_launcher.check_run_worker_health(instance.get_run_by_id(ended))
    assert health.status == WorkerStatus.RUNNING
    assert instance.run_launcher.terminate(ended)
    wait_for(lambda: status(instance, ended) == "CANCELED")
    assert not instance.run_launcher.terminate(ended)

    killed = new_run(instance, tmp_path, "sleepy")
    instance.launch_run(killed, None)
    wait_for(lambda: status(instance, killed) == "STARTED")
    os.kill(int(instance.get_run_by_id(killed).tags["crossbook/worker_pid"]), signal.SIGKILL)
    run = instance.get_run_by_id(killed)
    wait_for(lambda: instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.FAILED)


def test_the_end_of_the_warm_runner_ends_its_runs(
    instance: Any, warm: subprocess.Popen[str], settings: Settings, tmp_path: Path
) -> None:
    run_id = new_run(instance, tmp_path, "sleepy")
    instance.launch_run(run_id, None)
    wait_for(lambda: status(instance, run_id) == "STARTED")
    warm.terminate()
    warm.wait(timeout=150)
    # Nobody asked Dagster to cancel it, so it counts as failed; what matters is that it ended and said so.
    assert status(instance, run_id) == "FAILURE"
    assert not socket_path(settings).exists()


def test_a_launch_without_a_warm_runner_falls_back_to_the_stock_launcher(instance: Any, tmp_path: Path) -> None:
    from dagster._core.errors import DagsterInvariantViolationError

    run_id = new_run(instance, tmp_path, "quick")
    with pytest.raises(DagsterInvariantViolationError, match="workspace"):
        instance.launch_run(run_id, None)
    assert any("launched by the code server" in str(record) for record in instance.all_logs(run_id))


def test_dagsters_tables_lie_in_their_own_schema(instance: Any, settings: Settings, empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection:
        rows = connection.execute(
            "SELECT table_schema, count(*) FROM information_schema.tables"
            " WHERE table_schema IN ('dagster', 'public') GROUP BY table_schema"
        ).fetchall()
    assert [row[0] for row in rows] == ["dagster"]
    assert (settings.home_dir / "dagster" / "dagster.yaml").exists()


def test_recorder_and_trade_runs_do_not_queue(instance: Any) -> None:
    from orchestration.runtime.coordinator import SlotRunCoordinator
    from orchestration.runtime.launcher import WarmRunLauncher

    assert isinstance(instance.run_coordinator, SlotRunCoordinator)
    assert isinstance(instance.run_launcher, WarmRunLauncher)
    assert "QUEUED_RUN_COORDINATOR" in instance.get_required_daemon_types()


def test_a_launch_is_refused_where_no_warm_runner_listens(tmp_path: Path) -> None:
    with pytest.raises(WarmRunnerUnavailable):
        request_launch(tmp_path / "none.sock", "run", Process.BATCH_RUN, [])


def test_a_reused_process_id_is_not_taken_for_the_run() -> None:
    ticks = start_ticks(os.getpid())
    assert ticks is not None
    assert Worker(os.getpid(), ticks).is_alive()
    assert not Worker(os.getpid(), ticks - 1).is_alive()
    assert not Worker(os.getpid(), ticks, "another boot").is_alive()
    assert not Worker(os.getpid(), ticks - 1).signal(signal.SIGKILL)


def test_nothing_is_sent_into_a_folder_that_others_can_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trap:
        trap.bind(str(tmp_path / "warm.sock"))
        trap.listen()
        with pytest.raises(WarmRunnerUnavailable, match="written by others"):
            request_launch(tmp_path / "warm.sock", "run", Process.BATCH_RUN, [])


def test_all_definitions_load_with_owners_groups_and_lineage(settings: Settings) -> None:
    script = """
import json, orchestration.definitions as module
repository = module.defs().get_repository_def()
repository.load_all_definitions()
graph = repository.asset_graph
specs = [graph.get(key) for key in graph.materializable_asset_keys]
mart = graph.get(next(key for key in graph.materializable_asset_keys if key.path == ["analytics", "quotes_1m"]))
staged = graph.get(next(k for k in graph.materializable_asset_keys if k.path[-1] == "stg_raw__markets"))
print(json.dumps({
    "jobs": sorted(repository.job_names),
    "by_the_clock": sorted([*(s.name for s in repository.schedule_defs), *(s.name for s in repository.sensor_defs)]),
    "executors": sorted({repository.get_job(name).executor_def.name for name in repository.job_names}),
    "without_owner": [s.key.to_user_string() for s in specs if not s.owners or not s.description],
    "checks": len(graph.asset_check_keys),
    "blocking": sorted(key.name for key in graph.asset_check_keys if graph.get(key).blocking),
    "mart": [mart.group_name, sorted(mart.kinds), mart.freshness_policy is not None],
    "writers": sorted(key.to_user_string() for key in staged.parent_keys),
}))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert {"first_pass", "build_marts", "build_warehouse"} <= set(found["jobs"])
    assert {"full_sweep", "default_automation_condition_sensor"} <= set(found["by_the_clock"])
    assert found["executors"] == ["in_process"], "a run stays in the process it was forked into"
    assert found["without_owner"] == []
    assert found["checks"] > 50
    assert found["blocking"] == ["list_is_whole", "list_is_whole", "no_lapsed_pair_is_tradable"]
    assert found["mart"] == ["marts", ["dbt", "postgres", "table"], True]
    assert found["writers"] == ["kalshi_listings", "polymarket_listings"]


def test_tables_are_due_every_minute_and_views_and_data_tests_every_ten(settings: Settings) -> None:
    script = """
import json, dagster as dg, orchestration.definitions as module
from datetime import UTC, datetime
definitions = module.defs()
repository = definitions.get_repository_def()
graph = repository.asset_graph
sensors = [s for s in repository.sensor_defs if isinstance(s, dg.AutomationConditionSensorDefinition)]
found = {"conditioned": sum(graph.get(key).automation_condition is not None for key in
    [*graph.materializable_asset_keys, *graph.asset_check_keys])}
for sensor in sensors:
    keys = sensor.asset_selection.resolve(graph)
    with dg.DagsterInstance.ephemeral() as instance:
        cursor, due = None, {}
        for minute in ("11:59", "12:00", "12:01", "12:02", "12:03"):
            result = dg.evaluate_automation_conditions(
                definitions, instance, asset_selection=sensor.asset_selection, cursor=cursor,
                evaluation_time=datetime.fromisoformat(f"2026-01-01T{minute}:10").replace(tzinfo=UTC))
            cursor = result.cursor
            assets = sum(result.get_num_requested(key) for key in keys)
            due[minute] = [assets, result.total_requested - assets]
    tables = sum("table" in graph.get(key).kinds for key in keys
        if graph.get(key).automation_condition is not None)
    found[sensor.name] = {"due": due, "tables": tables, "slot": sensor.run_tags["crossbook/slot"],
        "is_running": sensor.default_status is dg.DefaultSensorStatus.RUNNING}
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    tables, views = found["default_automation_condition_sensor"], found["warehouse_automation_sensor"]
    assert all((sensor["slot"], sensor["is_running"]) == ("batch", True) for sensor in (tables, views))
    number = tables["tables"]
    assert number > 0
    assert views["tables"] == 0
    assert [tables["due"][minute] for minute in ("11:59", "12:00")] == [[0, 0], [number, 0]]
    assert tables["due"]["12:02"] == [number, 0], "the evaluation after a request sees no tick"
    checks = tables["due"]["12:03"][1]
    assert checks > 0
    assert views["due"]["12:02"] == [0, 0]
    assert views["due"]["12:03"][0] + number + checks + views["due"]["12:03"][1] == found["conditioned"]


def test_faces_streams_and_pure_rooms_do_not_import_dagster() -> None:
    script = """
import importlib, pkgutil, sys
for name in ("streams", "app", "orchestration.matching", "orchestration.judging", "orchestration.opportunities",
        "orchestration.execution"):
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, name + "."):
        is_script = any(part in found.name for part in (".dashboard.", ".migrations.", "__main__"))
        if not is_script:
            importlib.import_module(found.name)
print([name for name in sys.modules if name.split(".")[0] in {"dagster", "dbt"}])
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
