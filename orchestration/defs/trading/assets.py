"""The trading tables as external assets: trading runs write them, Dagster is told of it."""

from __future__ import annotations

import dagster as dg

_TABLES: dict[str, tuple[str, list[str]]] = {
    "executions": ("One row per attempt to trade a signal: the hedge's state machine and its PnL.", ["signals"]),
    "orders": ("One row per order, written before it was sent.", ["executions"]),
    "fills": ("One row per executed piece of an order.", ["orders"]),
    "ledger": ("One row per change of our cash or contracts at a venue; never changed.", ["fills"]),
}


def _spec(table: str, grain: str, upstream: list[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=["trading", table],
        description=grain,
        group_name="trading",
        kinds={"postgres", "table"},
        owners=["team:trading"],
        deps=[["trading", name] for name in upstream],
        metadata={"table": f"trading.{table}", "dagster/table_name": f"trading.{table}"},
    )


trading_tables = [_spec(table, grain, upstream) for table, (grain, upstream) in _TABLES.items()]
TRADING_KEYS = [dg.AssetKey(["trading", table]) for table in _TABLES]
