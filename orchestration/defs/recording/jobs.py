"""The job that hosts a recorder: one long run per shard, kept alive by `stream_supervisor`."""

import dagster as dg

from orchestration.resources import PlatformResource
from orchestration.tags import RECORDER
from streams.logs import configure_logs
from streams.recorder.observer import Observer
from streams.recorder.running import run_until_signalled
from streams.recorder.service import RecorderRun, record


class ShardConfig(dg.Config):
    """Which shard of how many to record."""

    shard: int = 0
    shards: int = 1


@dg.op
def record_shard(context: dg.OpExecutionContext, config: ShardConfig, platform: PlatformResource) -> None:
    """Record the order books of one shard until the run is terminated, then drain to the warehouse."""
    from orchestration.execution.edge_monitor.monitor import EdgeMonitor

    settings = platform.settings()
    configure_logs(settings.log_level)
    observers: list[Observer] = [EdgeMonitor(settings, platform.dsn(), config.shard)]
    run = RecorderRun(config.shard, config.shards, context.run_id)
    ended = run_until_signalled(lambda stop: record(settings, run, observers, stop))
    summary = ended.result
    context.add_output_metadata({"rows": summary.rows, "replayed_frames": summary.replayed_frames, **summary.counters})
    context.log.info(f"shard {config.shard}: {summary.rows} rows, {summary.counters}")
    if ended.was_signalled:
        raise dg.DagsterExecutionInterruptedError


@dg.job(
    tags=RECORDER,
    description="Records books, trades and quotes of one shard of the wanted markets, for as long as it runs.",
)
def record_streams() -> None:
    """Host the recorder of one shard."""
    record_shard()
