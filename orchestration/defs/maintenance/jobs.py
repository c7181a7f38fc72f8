"""Maintenance of the database: partitions ahead, old partitions and segment files gone."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from orchestration.resources import PlatformResource
from orchestration.tags import BATCH
from streams.storage.partitions import delete_old_segments, drop_old_partitions, ensure_partitions


@dg.op
def keep_partitions(context: dg.OpExecutionContext, platform: PlatformResource) -> None:
    """Make the next days' partitions and drop those older than the retention, with the segment files of old days."""
    settings = platform.settings()
    now = datetime.now(UTC)
    with platform.connect() as connection:
        made = ensure_partitions(connection, now.date(), days_ahead=3)
        dropped = drop_old_partitions(connection, now.date(), settings.raw_retention_days)
        deleted = delete_old_segments(connection, now - timedelta(hours=settings.segment_retention_hours))
    context.log.info(f"made {made}, dropped {dropped}, deleted {deleted} segment files")
    context.add_output_metadata({"made": made, "dropped": dropped, "segment_files_deleted": deleted})


@dg.job(
    tags=BATCH,
    description="Partitions of the coming days, retention of old ones and of segment files.",
)
def upkeep() -> None:
    """Keep the database and the disk in shape."""
    keep_partitions()
