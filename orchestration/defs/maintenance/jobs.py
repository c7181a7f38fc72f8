"""Maintenance of the database: partitions ahead; old partitions, decisions, segment files and Dagster's past gone."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import dagster as dg

from orchestration.resources import PlatformResource
from orchestration.runtime.failures.retries import retried
from orchestration.runtime.retention import Retention, forget_the_past
from orchestration.tags import BATCH
from streams.storage.database import Connection
from streams.storage.partitions import FAR_DAY, delete_old_segments, drop_old_partitions, ensure_partitions, far_days
from streams.storage.store.alerts import clear_other_alerts
from streams.storage.store.gate.decisions import forget_decisions
from streams.storage.store.gate.plan_decisions import forget_plan_decisions

_DAYS_AHEAD = 3


@dg.op
@retried
def keep_partitions(context: dg.OpExecutionContext, platform: PlatformResource) -> None:
    """Make the next days' partitions and drop those older than the retention, with old segment files and decisions."""
    settings = platform.settings()
    now = datetime.now(UTC)
    today = now.date()

    def keep(connection: Connection) -> tuple[list[str], list[str], int]:
        made = ensure_partitions(connection, today, _DAYS_AHEAD)
        dropped = drop_old_partitions(connection, today, settings.raw_retention_days)
        forget_decisions(connection, now - timedelta(days=settings.gate_retention_days))
        forget_plan_decisions(connection, now - timedelta(days=settings.gate_retention_days))
        clear_other_alerts(connection, FAR_DAY, [f"{FAR_DAY}:{day}" for day in far_days(connection, today)])
        return made, dropped, delete_old_segments(connection, now - timedelta(hours=settings.segment_retention_hours))

    made, dropped, deleted = platform.ride_out(keep)
    context.log.info(f"made {made}, dropped {dropped}, deleted {deleted} segment files")
    context.add_output_metadata({"made": made, "dropped": dropped, "segment_files_deleted": deleted})


@dg.op
@retried
def forget_old_runs(context: dg.OpExecutionContext, platform: PlatformResource) -> None:
    """Delete Dagster's runs, events, output files, check results and evaluations older than their retention."""
    settings = platform.settings()
    now = datetime.now(UTC)
    retention = Retention(
        succeeded_since=now - timedelta(hours=settings.run_retention_hours),
        failed_since=now - timedelta(days=settings.failed_run_retention_days),
        evaluations_since=now - timedelta(hours=settings.evaluation_retention_hours),
    )
    context.add_output_metadata(asdict(forget_the_past(context.instance, retention)))


@dg.job(
    tags=BATCH,
    description="Partitions of the coming days; retention of old ones, of segment files and of Dagster's past.",
)
def upkeep() -> None:
    """Keep the database and the disk in shape."""
    keep_partitions()
    forget_old_runs()
