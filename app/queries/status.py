"""The one document that says how the system is: what `crossbook status`, the API and the overview show."""

from __future__ import annotations

from dataclasses import asdict

from app.queries.alerts import load_banner
from app.queries.health import load_ages, load_marts, load_views
from app.queries.pairs import count_pairs
from app.queries.portfolio import load_pnl_summary
from app.queries.rows import scalar
from app.queries.trades import load_trades
from streams.market.documents import JsonDocument
from streams.storage.database import Connection
from streams.storage.store.pairs import count_candidates, count_verdicts
from streams.storage.store.risk import last_switch
from streams.storage.store.warehouse import load_environment

STATUS_TRADES_MAX = 500


def system_status(connection: Connection, *, trading_mode: str | None = None) -> JsonDocument:
    """Return the state of the system as plain values (decimals, ints, texts); the caller adds `addresses`.

    Counts are cheap ones: deltas are summed over segments, never counted. `trades` holds the last 500, newest first;
    `pnl_usd` of a trade is null until it is realised, the total is over all realised ones.

    Args:
        connection: To the warehouse.
        trading_mode: `settings.trading_mode`, shown in `mode`; the database does not know it.
    """
    switch = last_switch(connection)
    ages = load_ages(connection)
    return {
        "mode": {"venues": load_environment(connection), "trading": trading_mode},
        "switch": None if switch is None else switch.state,
        "markets": _counts(
            connection, "SELECT venue AS name, count(*) AS n FROM analytics.markets GROUP BY 1 ORDER BY 1"
        ),
        "candidates": count_candidates(connection),
        "verdicts": count_verdicts(connection),
        "pairs": count_pairs(connection),
        "deltas": int(scalar(connection, "SELECT coalesce(sum(deltas), 0) FROM raw.segments")),
        "gaps": _gaps(connection),
        "marts": [asdict(mart) for mart in load_marts(connection)],
        "views": [asdict(view) for view in load_views(connection)],
        "signals": int(scalar(connection, "SELECT count(*) FROM analytics.signals")),
        "refusals": _counts(
            connection,
            "SELECT reason AS name, sum(refusals) AS n FROM analytics.refusals GROUP BY 1 ORDER BY 2 DESC, 1",
        ),
        "trades": [
            {
                "id": trade.execution_id,
                "state": trade.state,
                "legs": trade.legs,
                "edge_usd": trade.edge_usd,
                "pnl_usd": trade.realised_pnl_usd,
            }
            for trade in load_trades(connection, limit=STATUS_TRADES_MAX).rows
        ],
        "pnl_usd": load_pnl_summary(connection).realised_usd,
        "alerts": asdict(load_banner(connection)),
        "recorder_age_s": None if ages.recorder_age_s is None else float(ages.recorder_age_s),
        "quote_age_s": None if ages.quote_age_s is None else float(ages.quote_age_s),
    }


def _gaps(connection: Connection) -> dict[str, int]:
    query = """
        SELECT (count(*) FILTER (WHERE ended_at IS NULL))::int AS open, count(*)::int AS total
        FROM raw.coverage WHERE state = 'gap'
    """
    row = connection.execute(query).fetchone() or {}
    return {"open": int(row["open"]), "total": int(row["total"])}


def _counts(connection: Connection, query: str) -> dict[str, int]:
    return {str(row["name"]): int(row["n"]) for row in connection.execute(query)}
