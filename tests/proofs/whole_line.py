"""The whole line from an empty home: `python -m tests.proofs.whole_line [--seconds 240]`, or `make proof-line`.

Starts `crossbook up` as a newcomer would, looks on from outside, and afterwards checks what the line is meant to bring
about against the database, the venues' own accounts and the truth of the sandbox's world. Exit code 1 if
anything fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from streams.storage.database import Connection
from tests.proofs.accounts import Reading
from tests.proofs.table import Table
from tests.proofs.truth import load_world
from tests.proofs.watch import Watch, decreases
from tests.support.whole_home import Home

_MICRO = Decimal(1_000_000)
FAULTS = {"seed": 7, "rules": [{"kind": "partial_fill", "probability": "0.1", "fraction": "0.5"}]}
"""Makers that pull part of their quotes under an order's eyes are too rare otherwise to be met in every run."""


def run(home: Home, seconds: float, second_seconds: float) -> Table:
    """Run the line twice in one home and return what was found."""
    table = Table(f"The whole line, {seconds:.0f} s after ready, from an empty home")
    watch = Watch(home, home.start("--seconds", str(seconds)))
    code = watch.until_end(limit_s=seconds + 240)
    table.same("exit code", code, 0)
    _check_status(table, watch, home.summary())
    table.same("left behind after the stop", home.leavings(), [])
    with home.only_database() as connection:
        _check_counts(table, connection, home.summary())
        _check_trades(table, connection)
        _check_truth(table, connection)
        _check_money(table, connection, watch.cash)
        _check_marts(table, connection)
    _check_second_start(table, home, second_seconds)
    _add_figures(table, watch)
    return table


def _check_status(table: Table, watch: Watch, summary: dict[str, Any]) -> None:
    table.least("status documents during the run", len(watch.seen), 10)
    if not watch.seen:
        return
    keys = set(watch.seen[-1]) - {"addresses"}
    table.same("keys of status that the closing summary lacks", sorted(keys ^ set(summary)), [])
    table.same("counters that went down, to the closing summary", decreases([*watch.seen, summary]), [])


def _check_counts(table: Table, connection: Connection, summary: dict[str, Any]) -> None:
    table.least("markets", sum(summary["markets"].values()), 600)
    table.least("pairs approved", summary["pairs"].get("approved", 0), 20)
    deltas = _number(connection, "SELECT count(*) FROM raw.book_deltas")
    table.least("book deltas (rows counted)", deltas, 200_000)
    table.same("deltas by the closing summary", summary["deltas"], deltas)
    table.same("marts without a row", [mart["name"] for mart in summary["marts"] if not mart["rows"]], [])
    refused = summary["refusals"]
    table.check("refusals, by reason", ">= 10", f"{sum(refused.values())}: {refused}", sum(refused.values()) >= 10)
    failed = connection.execute(
        "SELECT pipeline_name AS job, count(*) AS n FROM dagster.runs WHERE status = 'FAILURE' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    table.same("Dagster runs that failed", [f"{row['n']} {row['job']}" for row in failed], [])
    unfinished = _number(
        connection, "SELECT count(*) FROM dagster.runs WHERE status IN ('STARTING', 'STARTED', 'CANCELING')"
    )
    table.same("Dagster runs left unfinished by the stop", unfinished, 0)


def _check_trades(table: Table, connection: Connection) -> None:
    hedged = _number(
        connection, "SELECT count(DISTINCT execution_id) FROM trading.execution_events WHERE state = 'HEDGED'"
    )
    table.least("hedged trades", hedged, 5)
    partial = _number(
        connection,
        """SELECT count(DISTINCT i.execution_id) FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
           WHERE o.state = 'partial'""",
    )
    table.least("trades with an order that was filled in part", partial, 1)
    unwound = _number(
        connection,
        """SELECT count(DISTINCT e.execution_id) FROM trading.executions AS e
           JOIN trading.intents AS i USING (execution_id) JOIN trading.orders AS o USING (intent_id)
           WHERE i.purpose = 'unwind' AND o.filled_e6 > 0 AND e.state IN ('HEDGED', 'FLAT', 'SETTLED')""",
    )
    table.least("trades unwound and then hedged or flat", unwound, 1)
    settled = _number(
        connection,
        """SELECT count(*) FROM trading.executions AS e WHERE e.state = 'SETTLED' AND e.realised_pnl_e6 IS NOT NULL
             AND (SELECT count(DISTINCT l.venue) FROM trading.ledger AS l
                  WHERE l.execution_id = e.execution_id AND l.kind = 'settlement') = 2""",
    )
    table.least("trades settled on both venues, PnL realised", settled, 1)
    left = _number(
        connection,
        "SELECT count(*) FROM trading.executions WHERE state IN ('PLANNED', 'OPENING', 'COMPLETING', 'UNWINDING')",
    )
    table.same("trades left open by the stop", left, 0)
    escalated = _number(connection, "SELECT count(*) FROM trading.executions WHERE state = 'ESCALATED'")
    table.figures["trades ESCALATED"] = str(escalated)


def _check_truth(table: Table, connection: Connection) -> None:
    world = load_world(connection)
    traded = connection.execute(
        """SELECT g.group_id, g.kind, g.title, g.markets, g.outcomes, count(*) AS executions FROM trading.groups AS g
           JOIN trading.executions AS e USING (group_id) GROUP BY g.group_id ORDER BY g.group_id"""
    ).fetchall()
    wrong = []
    for group in traded:
        keys = [f"{item['venue']}:{item['market_id']}" for item in group["markets"]]
        found = world.contradiction(group["outcomes"], keys)
        wrong += [f"{group['title']}: {found}"] if found else []
    table.check("traded sets that the truth contradicts", f"0 of {len(traded)}", wrong or 0, not wrong)
    planted = {
        (row["kalshi_market_id"], row["polymarket_market_id"])
        for row in connection.execute("SELECT * FROM trading.pair_candidates")
    } & set(world.near_misses)
    table.least("planted near misses among the candidates", len(planted), 1)
    paired = [
        f"{row['kalshi_market_id']} ({row['state']})"
        for row in connection.execute("SELECT * FROM trading.pair_states WHERE state = 'approved'")
        if (row["kalshi_market_id"], row["polymarket_market_id"]) in world.near_misses
    ]
    table.same("planted near misses approved", paired, [])


def _check_money(table: Table, connection: Connection, cash: list[Reading]) -> None:
    for venue in ("kalshi", "polymarket"):
        readings = [reading for reading in cash if reading.venue == venue]
        unequal = sorted({reading.cash_e6 - reading.ledger_e6 for reading in readings} - {0})
        table.check(
            f"{venue}: signed readings of its cash with nothing in flight that differ from the ledger",
            "0 of at least 1",
            f"{unequal or 0} of {len(readings)}",
            bool(readings) and not unequal,
        )
    row = connection.execute(
        """SELECT
               (SELECT coalesce(sum(realised_pnl_e6), 0) FROM trading.executions) AS realised,
               (SELECT coalesce(sum(l.cash_e6), 0) FROM trading.ledger AS l JOIN trading.executions AS e
                    USING (execution_id) WHERE e.realised_pnl_e6 IS NULL) AS open_cash,
               (SELECT coalesce(sum(cash_e6), 0) FROM trading.ledger
                WHERE execution_id IS NULL AND kind <> 'deposit') AS unassigned,
               (SELECT coalesce(sum(cash_e6), 0) FROM trading.ledger WHERE kind <> 'deposit') AS change"""
    ).fetchone()
    assert row is not None
    parts = row["realised"] + row["open_cash"] + row["unassigned"]
    table.check(
        "realised PnL + cash of open trades + rounding and netting = change of cash (usd)",
        str(row["change"] / _MICRO),
        " + ".join(str(row[name] / _MICRO) for name in ("realised", "open_cash", "unassigned")),
        parts == row["change"],
    )


def _check_marts(table: Table, connection: Connection) -> None:
    """A mart is as old as its last build, so only rows that it holds as realised are compared."""
    row = connection.execute(
        """SELECT count(*) FILTER (WHERE t.realised_pnl_usd IS NOT NULL) AS shown,
               count(*) FILTER (WHERE t.realised_pnl_usd <> e.realised_pnl_e6 / 1000000.0) AS unequal,
               count(*) FILTER (WHERE t.realised_pnl_usd < 0) AS losing,
               count(*) FILTER (WHERE e.realised_pnl_e6 < 0 AND t.realised_pnl_usd IS NOT NULL
                                  AND t.realised_pnl_usd >= 0) AS hidden
           FROM analytics.trades AS t JOIN trading.executions AS e USING (execution_id)"""
    ).fetchone()
    assert row is not None
    table.check(
        "marts.trades: realised trades whose PnL is not the ledger's",
        "0 of at least 1",
        f"{row['unequal']} of {row['shown']}",
        row["shown"] > 0 and row["unequal"] == 0,
    )
    losing = _number(connection, "SELECT count(*) FROM trading.executions WHERE realised_pnl_e6 < 0")
    table.check(
        "losing trades shown as such",
        "none hidden",
        f"{row['losing']} in the mart, {losing} in all",
        row["hidden"] == 0,
    )


def _check_second_start(table: Table, home: Home, seconds: float) -> None:
    before = home.summary()
    again = Watch(home, home.start("--seconds", str(seconds)))
    code = again.until_end(limit_s=seconds + 240)
    after = home.summary()
    is_going_on = code == 0 and bool(after) and after["deltas"] > before["deltas"]
    table.check("a second start goes on", "exit 0, more deltas", f"exit {code}, {after.get('deltas')}", is_going_on)
    table.same("counters that went down over the second start", decreases([before, *again.seen, after]), [])
    lost = {trade["id"] for trade in before["trades"]} - {trade["id"] for trade in after.get("trades", [])}
    table.same("trades of the first start missing in the second", sorted(lost), [])
    differing = sorted({reading.cash_e6 - reading.ledger_e6 for reading in again.cash} - {0})
    table.check(
        "second start: readings of cash that differ from the ledger",
        "0 of at least 1",
        f"{differing or 0} of {len(again.cash)}",
        bool(again.cash) and not differing,
    )
    table.same("left behind after the second stop", home.leavings(), [])


def _add_figures(table: Table, watch: Watch) -> None:
    for name, seconds in watch.first.items():
        table.figures[f"first seen: {name}"] = f"{seconds:.0f} s after the start"
    table.figures["from the start to the end of the stop"] = f"{watch.ended_after_s:.0f} s"
    table.figures["most memory (PSS of all processes)"] = f"{watch.most_memory_mb:,} MB"


def _number(connection: Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(next(iter(row.values()))) if row else 0


def main() -> int:
    """Run the proof in a temporary home and print the table."""
    parser = argparse.ArgumentParser(description="Run the whole line from an empty home and check it.")
    parser.add_argument("--seconds", type=float, default=240, help="how long it runs after everything is ready")
    parser.add_argument("--second-seconds", type=float, default=45, help="how long the second start runs")
    parser.add_argument("--keep", action="store_true", help="keep the home, for looking at what was found")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="crossbook-proof-"))
    home = Home.make(folder / "home")
    home.environment["CROSSBOOK_SANDBOX_FAULTS"] = str(folder / "faults.json")
    (folder / "faults.json").write_text(json.dumps(FAULTS))
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} in {home.path}", file=sys.stderr, flush=True)
    try:
        table = run(home, arguments.seconds, arguments.second_seconds)
    finally:
        if not arguments.keep:
            home.clear()
    print(table.render())
    return 0 if table.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
