"""Keeps one recorder run per shard alive, and tells the catalogue what the recorders wrote."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from orchestration.defs.recording.assets import RECORDED_KEYS
from orchestration.defs.recording.jobs import record_streams
from orchestration.resources import PlatformResource
from orchestration.runtime.kept_runs.recorders import decide, end_dead_run, recorder_runs
from orchestration.tags import SHARD_TAG
from streams.recorder.service import lease_name
from streams.storage.recording_status import ClosedSegments, closed_segments
from streams.storage.store.leases import find_lease, recorder_counters


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
            runs = recorder_runs(context.instance, record_streams.name, shard)
            decision = decide(find_lease(connection, lease_name(shard)), runs)
            for run_id in decision.dead_run_ids:
                end_dead_run(context.instance, run_id)
            if decision.start:
                yield dg.RunRequest(
                    run_config={"ops": {"record_shard": {"config": {"shard": shard, "shards": shards}}}},
                    tags={SHARD_TAG: str(shard)},
                )
            else:
                reasons.append(f"shard {shard}: {decision.reason}")
    if reasons:
        yield dg.SkipReason("; ".join(reasons))


@dg.sensor(minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def recorder_reports(
    context: dg.SensorEvaluationContext, platform: PlatformResource
) -> dg.SensorResult | dg.SkipReason:
    """Report one materialisation of the recorded tables per batch of closed segments, observations in between."""
    with platform.connect() as connection:
        since = datetime.fromisoformat(context.cursor) if context.cursor else datetime.fromtimestamp(0, UTC)
        closed = closed_segments(connection, since)
        if closed is not None:
            return dg.SensorResult(
                asset_events=[_materialised(key, closed) for key in RECORDED_KEYS], cursor=closed.until.isoformat()
            )
        counters = recorder_counters(connection)
    if not counters:
        return dg.SkipReason("no segment was closed and no recorder runs")
    metadata = {name: dg.MetadataValue.json(detail) for name, detail in counters.items()}
    return dg.SensorResult(
        asset_events=[dg.AssetObservation(asset_key=key, metadata=metadata) for key in RECORDED_KEYS[:1]],
        cursor=context.cursor,
    )


def _materialised(key: dg.AssetKey, closed: ClosedSegments) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key=key,
        metadata={
            "segments": closed.segments,
            "frames": closed.frames,
            "deltas": closed.deltas,
            "segment_bytes": closed.bytes_written,
            "from": str(closed.since),
            "to": str(closed.until),
        },
    )
