"""No event, tick or error that Dagster keeps holds a secret, wherever a run or a sensor put it."""

import json
import sys
from typing import Any

import dagster as dg
import pytest
from dagster import EventLogEntry
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._serdes import serialize_value
from dagster._utils.error import serializable_error_info_from_exc_info
from dagster_shared.error import SerializableErrorInfo

from orchestration.runtime import clean_records
from orchestration.runtime.clean_records import clean_record, guard_errors
from streams.redaction import register_secret

SECRET = 'Canary-of/a run "é"'
MARK = "Canary-of"


@pytest.fixture(autouse=True)
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster as it comes, whatever another test has opened."""
    register_secret(SECRET)
    monkeypatch.setattr(SerializableErrorInfo, "from_traceback", classmethod(clean_records.error_of_dagster))


@dg.asset
def metadata() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        metadata={
            "text": SECRET,
            "markdown": dg.MetadataValue.md(f"| {SECRET} |"),
            "json": {"deep": [{"er": [SECRET]}], SECRET: 1},
            "url": dg.MetadataValue.url(f"https://u:{MARK}@h/"),
            "password": f"{MARK} unknown",
            "login": {"api_key": f"{MARK} unknown", "rows": 7},
            "rows": 7,
        },
        tags={"said": "x"},
    )


@dg.asset
def words(context: dg.AssetExecutionContext) -> None:
    context.log.info(f"using {SECRET}")
    context.log.warning(json.dumps({"k": SECRET}))


@dg.asset
def failing() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        error.add_note(SECRET)
        raise RuntimeError(f"no {SECRET}") from error


@dg.asset
def failing_with_metadata() -> None:
    raise dg.Failure(f"no {SECRET}", metadata={"sent": SECRET})


@dg.asset_check(asset=words)
def checked() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description=SECRET, metadata={"found": SECRET})


def _events(*assets: Any) -> list[EventLogEntry]:
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(list(assets), instance=instance, raise_on_error=False)
        return [*instance.all_logs(done.run_id)]


@pytest.mark.parametrize("asset", [metadata, words, failing, failing_with_metadata])
def test_a_stored_event_holds_no_secret(asset: Any) -> None:
    events = _events(asset, checked) if asset is words else _events(asset)
    assert MARK in "".join(serialize_value(event) for event in events)
    clean = [clean_record(event) for event in events]
    assert MARK not in "".join(serialize_value(event) for event in clean)
    for before, after in zip(events, clean, strict=True):
        assert after.dagster_event_type is before.dagster_event_type
        assert (after.run_id, after.step_key, after.job_name) == (before.run_id, before.step_key, before.job_name)


def test_what_is_no_secret_stays_and_an_event_without_one_is_the_same_object() -> None:
    clean = [clean_record(event) for event in _events(metadata)]
    made = next(event.asset_materialization for event in clean if event.asset_materialization)
    assert made.asset_key == dg.AssetKey("metadata")
    assert made.metadata["rows"].value == 7
    assert made.metadata["login"].value == {"api_key": "[redacted]", "rows": 7}
    event = next(event for event in clean if event.dagster_event_type is dg.DagsterEventType.RUN_START)
    assert clean_record(event) is event


def test_a_secret_that_is_a_name_of_ours_hides_no_step() -> None:
    register_secret("metadata")
    clean = [clean_record(event) for event in _events(metadata)]
    made = next(event for event in clean if event.asset_materialization)
    assert made.asset_materialization is not None
    assert made.asset_materialization.asset_key == dg.AssetKey("metadata")
    assert made.step_key == "metadata"


def test_an_error_is_clean_where_it_is_made_with_all_its_causes() -> None:
    guard_errors()
    guard_errors()
    try:
        failing.op.compute_fn.decorated_fn()  # type: ignore[union-attr]
    except RuntimeError:
        found = serializable_error_info_from_exc_info(sys.exc_info())
    assert found.cls_name == "RuntimeError"
    assert found.message == "RuntimeError: no [redacted]\n"
    assert found.cause is not None
    assert "KeyError" in found.cause.message
    assert found.stack
    assert MARK not in found.to_string()


def test_a_tick_holds_no_secret() -> None:
    error = SerializableErrorInfo(f"no {SECRET}", [SECRET], "ValueError", SerializableErrorInfo(SECRET, [], None))
    failed = clean_record(TickData("origin", "watch", InstigatorType.SENSOR, TickStatus.FAILURE, 1.0, error=error))
    skipped = clean_record(
        TickData("origin", "watch", InstigatorType.SENSOR, TickStatus.SKIPPED, 1.0, skip_reason=f"as {SECRET}")
    )
    assert MARK not in serialize_value(failed) + serialize_value(skipped)
    assert (failed.instigator_name, failed.status) == ("watch", TickStatus.FAILURE)
    assert skipped.skip_reason == "as [redacted]"
