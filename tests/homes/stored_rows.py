"""Digests of the rows of a home's tables, by primary key, over the columns that existed when the home was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import sql

from streams.storage.database import Connection

_DIGITS = 12


@dataclass(frozen=True)
class Table:
    """How the rows of one table are compared.

    Attributes:
        name: With its schema.
        key: Columns that name a row; of a table without a primary key, those that name a handful of rows.
        moving: Columns that may change as long as a row has not ended.
        ended: Condition under which nothing of a row changes any more; "true" where nothing ever does.
    """

    name: str
    key: tuple[str, ...]
    moving: tuple[str, ...] = ()
    ended: str = "true"


_RESTATED = (
    *("bid_close_e4", "ask_close_e4", "price_open_e4", "price_high_e4", "price_low_e4", "price_close_e4"),
    *("volume_e6", "payload", "loaded_at"),
)
TABLES = (
    Table("raw.market_ids", ("venue", "id_kind", "id")),
    Table("raw.series", ("venue", "series_id"), ("last_seen_at", "payload"), "false"),
    Table("raw.events", ("venue", "event_id"), ("last_seen_at", "payload"), "false"),
    Table("raw.market_versions", ("version_id",)),
    Table("raw.discovery_sweeps", ("sweep_id",)),
    Table("raw.candles", ("venue", "market_id", "interval_s", "bucket_start"), _RESTATED, "false"),
    Table("raw.segments", ("segment_id",)),
    Table("raw.coverage", ("coverage_id",), ("ended_at",), "ended_at IS NOT NULL"),
    Table("raw.connections", ("connection_id",)),
    Table("raw.dead_letters", ("dead_letter_id",)),
    Table("raw.book_deltas", ("segment_id",)),
    Table("raw.book_snapshots", ("segment_id",)),
    Table("raw.quotes", ("segment_id",)),
    Table("raw.trades", ("segment_id",)),
    Table("raw.lifecycle_events", ("segment_id",)),
    Table("trading.environment_stamp", ("singleton",)),
    Table("trading.pair_candidates", ("candidate_id",), ("last_seen_at",), "false"),
    Table("trading.pair_verdicts", ("verdict_id",)),
    Table("trading.judge_answers", ("content_hash",)),
    # A newer version of the rules judge judges each pair again; what the pair is, and its decisions, must stay.
    Table("trading.pairs", ("pair_id",), ("verdict_id", "updated_at"), "false"),
    Table("trading.pair_decisions", ("decision_id",)),
    Table("trading.groups", ("group_id",), ("is_tradable", "reason", "updated_at", "ended_at"), "ended_at IS NOT NULL"),
    Table("trading.watch_list", ("venue", "market_id")),
    Table("trading.signals", ("signal_id",)),
    Table("trading.signal_legs", ("signal_id", "leg_no")),
    Table(
        "trading.executions",
        ("execution_id",),
        ("state", "settled_at", "realised_pnl_e6", "detail", "updated_at"),
        "state IN ('SETTLED', 'FLAT')",
    ),
    Table("trading.execution_events", ("event_id",)),
    Table("trading.refusals", ("refusal_id",)),
    Table("trading.intents", ("intent_id",)),
    Table("trading.orders", ("order_id",)),
    Table("trading.fills", ("fill_id",)),
    Table("trading.ledger", ("entry_id",)),
    Table("trading.balances", ("balance_id",)),
    Table("trading.limits", ("limit_id",)),
    Table("trading.switches", ("switch_id",)),
    Table("trading.commands", ("command_id",)),
    Table("trading.alerts", ("alert_id",)),
)


def store_rows(connection: Connection) -> dict[str, Any]:
    """Return by table `columns`, `fixed` (those that never change) and digests: `ended` over all, `open` over fixed."""
    found = {}
    for table in TABLES:
        columns = _columns(connection, table.name)
        fixed = [column for column in columns if column not in table.moving]
        found[table.name] = {
            "columns": columns,
            "fixed": fixed,
            "ended": _digests(connection, table, columns, table.ended),
            "open": _digests(connection, table, fixed, f"NOT ({table.ended})"),
        }
    return found


def lost_rows(connection: Connection, stored: dict[str, Any]) -> dict[str, list[str]]:
    """Return by table the keys of stored rows that are gone or have changed; empty when all are as they were."""
    lost = {}
    for table in TABLES:
        then = stored[table.name]
        changed = []
        for columns, rows in ((then["columns"], then["ended"]), (then["fixed"], then["open"])):
            now = _digests(connection, table, columns, "true") if rows else {}
            changed += [key for key, digest in rows.items() if now.get(key) != digest]
        if changed:
            lost[table.name] = changed
    return lost


def states(connection: Connection) -> dict[str, str]:
    """Return the state of every execution by its number."""
    rows = connection.execute("SELECT execution_id, state FROM trading.executions ORDER BY execution_id").fetchall()
    return {str(row["execution_id"]): str(row["state"]) for row in rows}


def ledger(connection: Connection) -> dict[str, Any]:
    """Return by venue what our ledger says: `cash_e6`, and `positions`: contracts in 1e-6 by "market:outcome"."""
    cash = connection.execute(
        "SELECT venue, sum(cash_e6)::bigint AS cash_e6 FROM trading.ledger WHERE mode = 'live' GROUP BY venue"
    ).fetchall()
    positions = connection.execute(
        "SELECT * FROM trading.positions WHERE contracts_e6 <> 0 AND mode = 'live' ORDER BY market_id, outcome"
    ).fetchall()
    return {
        row["venue"]: {
            "cash_e6": row["cash_e6"],
            "positions": {
                f"{held['market_id']}:{held['outcome']}": held["contracts_e6"]
                for held in positions
                if held["venue"] == row["venue"]
            },
        }
        for row in cash
    }


def _columns(connection: Connection, table: str) -> list[str]:
    schema, name = table.split(".")
    rows = connection.execute(
        """SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s
           ORDER BY ordinal_position""",
        (schema, name),
    ).fetchall()
    return [row["column_name"] for row in rows]


def _digests(connection: Connection, table: Table, columns: list[str], condition: str) -> dict[str, str]:
    """Digest rows by key; rows that share a key are digested together, whatever their order."""
    query = sql.SQL(
        """SELECT concat_ws('|', {key}) AS key, left(md5(string_agg(digest, '' ORDER BY digest)), {digits}) AS digest
           FROM (SELECT {key}, md5(ROW({columns})::text) AS digest FROM {table} WHERE {condition}) AS rows
           GROUP BY {key} ORDER BY {key}"""
    ).format(
        key=sql.SQL(", ").join(map(sql.Identifier, table.key)),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        table=sql.Identifier(*table.name.split(".")),
        condition=sql.SQL(condition),  # type: ignore[arg-type]  # written above
        digits=sql.Literal(_DIGITS),
    )
    connection.execute("SET timezone = 'UTC'")
    return {row["key"] or "": row["digest"] for row in connection.execute(query).fetchall()}
