"""What Dagster keeps in the warehouse holds no secret: runs, events, checks, ticks of sensors."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster_shared.error import SerializableErrorInfo

from orchestration.runtime.instance import create_tables, prepare_instance
from streams.redaction import redact_text, register_secret
from streams.settings import load_settings
from streams.storage.database import connect
from tests.support.canaries import marks_in_tables

MARK = "canaryofdagster4711"
SECRET = f'{MARK}/"ü" x'


@dg.asset
def telling(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    context.log.warning(f"using {SECRET}")
    return dg.MaterializeResult(
        metadata={"sent": SECRET, "nested": {"a": [SECRET]}, "password": "canaryofdagster4711x"}
    )


@dg.asset
def failing() -> None:
    raise ValueError(SECRET)


@dg.asset_check(asset=telling)
def checked() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description=SECRET, metadata={"found": SECRET})


@pytest.fixture
def instance(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    environment = prepare_instance(load_settings())
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    create_tables(environment)
    with dg.DagsterInstance.get() as made:
        yield made


def test_runs_and_ticks_leave_no_secret_in_the_tables_of_dagster(instance: dg.DagsterInstance, database: str) -> None:
    register_secret(SECRET)
    done = dg.materialize([telling, failing, checked], instance=instance, raise_on_error=False)
    assert not done.success
    instance.report_engine_event(f"launched with {SECRET}", done.dagster_run)
    error = SerializableErrorInfo(f"no {SECRET}", [SECRET], "ValueError", None)
    tick = instance.create_tick(TickData("origin", "watch", InstigatorType.SENSOR, TickStatus.STARTED, 1.0))
    instance.update_tick(tick.with_status(TickStatus.FAILURE, error=error))
    with connect(database) as connection:
        counted = connection.execute("SELECT count(*) AS events FROM dagster.event_logs").fetchone()
        assert counted is not None
        assert counted["events"] > 15
        assert marks_in_tables(connection, ["dagster"], [MARK]) == []
        connection.execute("UPDATE dagster.job_ticks SET tick_body = tick_body || %s", (MARK,))
        assert marks_in_tables(connection, ["dagster"], [MARK]) == [f"dagster.job_ticks: {MARK}"]
    latest = instance.get_latest_materialization_event(telling.key)
    assert latest is not None
    assert latest.asset_materialization is not None
    assert latest.asset_materialization.metadata["nested"].value == {"a": ["[redacted]"]}


def test_the_address_of_its_tables_is_a_loaded_secret_of_every_process_of_dagster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from orchestration.runtime import storage

    monkeypatch.setattr(storage, "_Runs", lambda _: None)
    monkeypatch.setattr(storage, "_Events", lambda _: None)
    monkeypatch.setattr(storage, "_Schedules", lambda _: None)
    monkeypatch.setattr(storage.DagsterPostgresStorage, "__init__", lambda *_, **__: None)
    storage.PatientStorage("postgresql://dagster:unlikely%2Fword-9@127.0.0.1:1/d")
    assert "word-9" not in redact_text("login failed: unlikely/word-9, unlikely%2Fword-9")
