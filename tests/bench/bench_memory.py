"""Ways to keep a sandbox of 8,000 markets on disk: sqlite3 in WAL mode, synchronous FULL, against an append-only file.

`python -m tests.bench.bench_memory` prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}; values
are milliseconds, so a ratio above 1 says that sqlite3 takes longer. Both sides put the same documents on disk before
they are done, taking turns. Written is what one order changes (a ticket, a trade, an account, two markets), then
every market at once, and the house quotes (ten a market) in place of those before.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

MARKETS, QUOTES, ORDERS, ROUNDS = 8_000, 10, 1_500, 5
NOW = 1_795_000_000_000

Rows = list[tuple[str, str, Any]]
"""(kind, key, document)"""


class File:
    """Appends documents to a file, or puts a new one in its place."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "tail.log"
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def commit(self, rows: Rows) -> None:
        os.write(self._descriptor, orjson.dumps([document for _, _, document in rows]) + b"\n")
        os.fdatasync(self._descriptor)

    def replace(self, rows: Rows) -> None:
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(orjson.dumps([document for _, _, document in rows]))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path.with_name("snapshot.json"))


class Database:
    """A row per document, a transaction per commit."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "memory.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE state (kind TEXT, key TEXT, document BLOB, PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )

    def commit(self, rows: Rows) -> None:
        encoded = [(kind, key, orjson.dumps(document)) for kind, key, document in rows]
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", encoded)
        self._connection.execute("COMMIT")

    replace = commit


def market(number: int) -> tuple[str, str, Any]:
    """What changes of a market."""
    return (
        "market",
        f"0x{number:064x}",
        {"tick_e4": 100, "status": "open", "last_e4": 5_000, "volume_e6": number * 10**6},
    )


def order_rows(number: int) -> Rows:
    """What one order changes."""
    ref, account = f"0x{number % MARKETS:064x}", "polymarket:0x" + "cd" * 20
    ticket = {
        "order_id": f"0x{number:064x}", "account": account, "market_id": ref, "side": "bid", "price_e4": 5_000,
        "size_e6": 10**7, "remaining_e6": 0, "status": "filled", "times": [NOW] * 6, "signature": "0x" + "ef" * 65,
    }  # fmt: skip
    held = [[f"0x{other:064x}", 10**6, 5 * 10**5, 0] for other in range(30)]
    return [
        ("ticket", ticket["order_id"], ticket),
        ("trade", str(number), {"trade_id": str(number), "market_id": ref, "price_e4": 5_000, "at_ms": NOW}),
        ("account", account, {"cash_e6": 10**10, "positions": held}),
        market(number % MARKETS),
        market((number + 1) % MARKETS),
    ]


def house_rows() -> Rows:
    """The house's quotes of every market, as one document."""
    keys = [key for _, key, _ in map(market, range(MARKETS))]
    quotes = [["maker", f"{n}", key, "bid", 5_000 - n, 5 * 10**7, n] for key in keys for n in range(QUOTES)]
    return [("house", "", quotes)]


def median_ms(writers: list[Callable[[Rows], None]], batches: list[Rows]) -> list[float]:
    """Return the median time of each writer for a batch; they take turns."""
    taken: list[list[float]] = [[] for _ in writers]
    for rows in batches:
        for write, times in zip(writers, taken, strict=True):
            start = time.perf_counter()
            write(rows)
            times.append((time.perf_counter() - start) * 1000)
    return list(map(statistics.median, taken))


def main() -> None:
    """Measure and print."""
    kinds: list[tuple[str, str, list[Rows]]] = [
        ("memory_commit_of_an_order", "commit", [order_rows(number) for number in range(ORDERS)]),
        ("memory_commit_of_all_markets", "commit", [list(map(market, range(MARKETS)))] * ROUNDS),
        ("memory_house_quotes", "replace", [house_rows()] * ROUNDS),
    ]
    results = []
    # Beside the results, because a temporary folder may lie in memory, where writing through costs nothing.
    with tempfile.TemporaryDirectory(dir=Path(__file__).parents[2]) as folder:
        file, database = File(Path(folder)), Database(Path(folder))
        for name, how, batches in kinds:
            ours, plain = median_ms([getattr(side, how) for side in (database, file)], batches)
            results.append({
                "name": name, "value": round(ours, 3), "unit": "ms", "baseline": "append-only file",
                "baseline_value": round(plain, 3), "ratio": round(ours / plain, 2),
            })  # fmt: skip
    print(json.dumps(results))


if __name__ == "__main__":
    main()
