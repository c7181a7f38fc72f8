"""The recorder's tables as external assets: the recorder writes them, Dagster is told of it."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

_GRAINS = {
    "book_deltas": "One row per level change of a market's order book, YES terms, as received.",
    "book_snapshots": "One row per whole order book: received, polled, or kept once a minute.",
    "quotes": "One row per change of a market's best prices, sizes or state, confirmed every 20 seconds while live.",
    "trades": "One row per public trade, YES terms.",
    "lifecycle_events": "One row per life cycle message of a market.",
    "coverage": "One row per interval of a recorded market in which its book was known, or was not and why.",
}
RECORDED_KEYS = [dg.AssetKey(["raw", table]) for table in _GRAINS]
_FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=15), warn_window=timedelta(minutes=5))


def _spec(table: str, grain: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=["raw", table],
        description=grain,
        group_name="recording",
        kinds={"postgres", "table"},
        owners=["team:recorder"],
        deps=["pairs", "market_groups"],
        freshness_policy=_FRESH if table in ("book_deltas", "quotes") else None,
        metadata={"table": f"raw.{table}", "dagster/table_name": f"raw.{table}"},
    )


recorded_tables = [_spec(table, grain) for table, grain in _GRAINS.items()]
