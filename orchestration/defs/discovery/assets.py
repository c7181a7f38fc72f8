"""Discovery: the venues' market lists and their price history as assets."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from orchestration.discovery.history import HistoryWindow, load_windows
from orchestration.discovery.sweep import PageFailed, SweepSummary
from orchestration.discovery.venue_sweep import sweep_venue
from orchestration.resources import PlatformResource
from orchestration.runtime.failures.retries import retried
from streams.inert import in_markdown
from streams.market.identity import Venue
from streams.storage.discovered.sweeps import is_list_whole

OWNERS = ["team:discovery"]
FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=30), warn_window=timedelta(minutes=10))
VENUE_DAYS = dg.MultiPartitionsDefinition(
    {
        "venue": dg.StaticPartitionsDefinition([str(venue) for venue in Venue]),
        "day": dg.DailyPartitionsDefinition(start_date="2026-01-01", end_offset=1),
    }
)
_IS_WHOLE = "list_is_whole"


def _is_whole(venue: Venue) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        _IS_WHOLE,
        asset=f"{venue}_listings",
        blocking=True,
        description="A full list has at least half of the markets of the full list before it.",
    )


class DiscoveryConfig(dg.Config):
    """How much of the list is taken. The first sweep of a database is always full."""

    full: bool = False


class HistoryConfig(dg.Config):
    """Without a partition, the last `days` of both venues are loaded (0: as the setting `backfill_days` says).

    Pairs come first; what is not reached within `budget_s` of a venue is reported and left to the next run.
    """

    days: int = 0
    budget_s: float = 45.0


@dg.asset(
    group_name="discovery",
    owners=OWNERS,
    kinds={"python", "postgres"},
    freshness_policy=FRESHNESS,
    check_specs=[_is_whole(Venue.KALSHI)],
)
@retried
def kalshi_listings(config: DiscoveryConfig, platform: PlatformResource) -> Iterator[dg.MaterializeResult[None]]:
    """Kalshi's markets: a row of raw.market_versions per change of a market, one of raw.market_state per market."""
    yield _discover(platform, Venue.KALSHI, full=config.full)


@dg.asset(
    group_name="discovery",
    owners=OWNERS,
    kinds={"python", "postgres"},
    freshness_policy=FRESHNESS,
    check_specs=[_is_whole(Venue.POLYMARKET)],
)
@retried
def polymarket_listings(config: DiscoveryConfig, platform: PlatformResource) -> Iterator[dg.MaterializeResult[None]]:
    """Polymarket's markets: a row of raw.market_versions per change of a market, one of raw.market_state per market."""
    yield _discover(platform, Venue.POLYMARKET, full=config.full)


@dg.asset(
    group_name="backfill",
    owners=OWNERS,
    kinds={"python", "postgres"},
    deps=[kalshi_listings, polymarket_listings, "pairs"],
    partitions_def=VENUE_DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
@retried
def candle_history(
    context: dg.AssetExecutionContext, config: HistoryConfig, platform: PlatformResource
) -> dg.MaterializeResult[None]:
    """Candlesticks and price history from the venues: a row of raw.candles per market, interval and bucket."""
    settings = platform.settings()
    windows = _windows(context, config.days or settings.backfill_days)
    loaded = platform.ride_out(
        lambda connection: asyncio.run(load_windows(settings, connection, windows, config.budget_s))
    )
    return dg.MaterializeResult(
        metadata={
            "windows": len(windows),
            "candles": sum(counts.candles for _, counts in loaded),
            "requests": sum(counts.requests for _, counts in loaded),
            "unreadable": sum(counts.unreadable for _, counts in loaded),
            "requests_failed": sum(counts.failed for _, counts in loaded),
            "requests_not_reached": sum(counts.not_reached for _, counts in loaded),
            **{f"candles_{venue}": sum(c.candles for v, c in loaded if v == venue) for venue in Venue},
        }
    )


def _windows(context: dg.AssetExecutionContext, days: int) -> list[HistoryWindow]:
    """The days of each venue this run loads, adjoining days as one window."""
    now = datetime.now(UTC)
    if not context.has_partition_key and not context.has_partition_key_range:
        return [HistoryWindow(venue, now - timedelta(days=days), now) for venue in Venue]
    by_venue: dict[str, list[datetime]] = {}
    for key in context.partition_keys:
        assert isinstance(key, str)
        parts = VENUE_DAYS.get_partition_key_from_str(key).keys_by_dimension
        day = datetime.fromisoformat(parts["day"]).replace(tzinfo=UTC)
        by_venue.setdefault(parts["venue"], []).append(day)
    return [
        HistoryWindow(Venue(venue), min(found), min(max(found) + timedelta(days=1), now))
        for venue, found in by_venue.items()
    ]


def _discover(platform: PlatformResource, venue: Venue, *, full: bool) -> dg.MaterializeResult[None]:
    settings = platform.settings()
    try:
        summary = platform.ride_out(lambda connection: asyncio.run(sweep_venue(settings, connection, venue, full=full)))
    except PageFailed as error:
        raise dg.Failure(description=str(error), metadata={"cursor": error.cursor}) from error
    is_whole, seen = platform.ride_out(lambda connection: is_list_whole(connection, venue))
    # Only a full list is followed by a matching of everything, which half a list would mislead.
    check = dg.AssetCheckResult(
        passed=is_whole or summary.kind != "full",
        check_name=_IS_WHOLE,
        asset_key=f"{venue}_listings",
        metadata={"markets_in_last_full_lists": dg.MetadataValue.json(seen)},
    )
    return dg.MaterializeResult(metadata=_describe(summary), check_results=[check])


def _describe(summary: SweepSummary) -> dict[str, dg.MetadataValue | int | float | str]:
    counts = summary.counts
    states = "\n".join(f"| {in_markdown(state)} | {number} |" for state, number in sorted(counts.by_status.items()))
    return {
        "sweep": summary.kind,
        "pages": summary.pages,
        "markets_seen": counts.seen,
        "markets_new": counts.new,
        "markets_changed": counts.changed,
        "markets_gone": summary.gone,
        "events": summary.events,
        "malformed": summary.malformed,
        "malformed_share": round(summary.malformed_share, 4),
        "repeated_cursors": summary.repeated_cursors,
        "unreadable_cursors": summary.unreadable_cursors,
        "lost_pages": summary.lost_pages,
        "life_cycle": dg.MetadataValue.md(f"| status | markets |\n|---|---|\n{states}"),
    }
