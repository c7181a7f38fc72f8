"""Signals as an external asset: the edge monitor of the recorder runs writes them."""

from __future__ import annotations

import dagster as dg

signals = dg.AssetSpec(
    key=["trading", "signals"],
    description="One row per episode of an opportunity, from passing the entry level to closing.",
    group_name="trading",
    kinds={"postgres", "table"},
    owners=["team:signals"],
    deps=[["raw", "quotes"], "pairs", "market_groups"],
    metadata={"table": "trading.signals", "dagster/table_name": "trading.signals"},
)
