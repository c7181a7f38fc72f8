"""Keeps one recorder run per shard alive, and tells the catalogue what the recorders wrote."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from orchestration.defs.recording.assets import RECORDED_KEYS
from orchestration.defs.recording.jobs import SHARD_TAG, record_streams
from orchestration.resources import PlatformResource
from orchestration.runtime.recorder_supervision import RecorderRun, decide
from streams.recorder.service import lease_name
from streams.storage.database import Connection, Row
from streams.storage.store.leases import find_lease, recorder_counters

_IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(job=record_streams, minimum_interval_seconds=5, default_status=dg.DefaultSensorStatus.RUNNING)
def stream_supervisor(
    context: dg.SensorEvaluationContext, platform: PlatformResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Start a recorder run for each shard that has none, and end runs whose process is gone.

    No run key: one that was used is skipped for ever, which would forbid the restart. The shard's lease decides.
    """
    shards = platform.settings().recorder_shards
    reasons = []
    with platform.connect() as connection:
        for shard in range(shards):
            runs = _runs_of(context.instance, shard)
            decision = decide(find_lease(connection, lease_name(shard)), runs)
            for run_id in decision.dead_run_ids:
                _end_dead_run(context.instance, run_id)
            if decision.start:
                yield dg.RunRequest(
                    run_config={"ops": {"record_shard": {"config": {"shard": shard, "shards": shards}}}},
                    tags={SHARD_TAG: str(shard)},
                )
            else:
                reasons.append(f"shard {shard}: {decision.reason}")
    if reasons:
        yield dg.SkipReason("; ".join(reasons))


def _runs_of(instance: dg.DagsterInstance, shard: int) -> list[RecorderRun]:
    records = instance.get_run_records(
        dg.RunsFilter(job_name=record_streams.name, statuses=_IN_PROGRESS, tags={SHARD_TAG: str(shard)})
    )
    now = time.time()
    return [RecorderRun(r.dagster_run.run_id, now - r.create_timestamp.timestamp()) for r in records]


def _end_dead_run(instance: dg.DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run)
    else:
        instance.report_run_failed(run, "The process of this recorder is gone: its lease is dead.")


@dg.sensor(minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def recorder_reports(
    context: dg.SensorEvaluationContext, platform: PlatformResource
) -> dg.SensorResult | dg.SkipReason:
    """Report one materialisation of the recorded tables per batch of closed segments, observations in between."""
    with platform.connect() as connection:
        closed = _closed_segments(connection, context.cursor)
        if closed["segments"]:
            return dg.SensorResult(
                asset_events=[_materialised(key, closed) for key in RECORDED_KEYS],
                cursor=closed["last_closed_at"].isoformat(),
            )
        stated = recorder_counters(connection)
    if not stated:
        return dg.SkipReason("no segment was closed and no recorder runs")
    counters = {name: dg.MetadataValue.json(detail) for name, detail in stated.items()}
    return dg.SensorResult(
        asset_events=[dg.AssetObservation(asset_key=key, metadata=counters) for key in RECORDED_KEYS[:1]],
        cursor=context.cursor,
    )


def _closed_segments(connection: Connection, cursor: str | None) -> Row:
    since = datetime.fromisoformat(cursor) if cursor else datetime.fromtimestamp(0, UTC)
    row = connection.execute(
        """SELECT count(*) AS segments, coalesce(sum(frames), 0)::bigint AS frames,
               coalesce(sum(deltas), 0)::bigint AS deltas, coalesce(sum(bytes_written), 0)::bigint AS bytes,
               min(opened_at) AS first_opened_at, max(closed_at) AS last_closed_at
           FROM raw.segments WHERE closed_at > %s AND frames > 0""",
        (since,),
    ).fetchone()
    assert row is not None
    return row


def _materialised(key: dg.AssetKey, closed: Row) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key=key,
        metadata={
            "segments": closed["segments"],
            "frames": closed["frames"],
            "deltas": closed["deltas"],
            "segment_bytes": closed["bytes"],
            "from": str(closed["first_opened_at"]),
            "to": str(closed["last_closed_at"]),
        },
    )
