"""The sandbox's journal at 8,000 markets with ten quotes each: the database against the files that came before it.

`python -m tests.bench.bench_memory` prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}; values
are milliseconds, so a ratio above 1 says that the database takes longer. Both sides put the same state of the same two
exchanges on disk before they are done, taking turns. The baseline writes as the journal of format 2 did: a line with a
checksum and fdatasync for what changed, a whole snapshot in place of the one before.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import ListMarket, PlaceOrder
from streams.sandbox.core.records import Changes
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.exchange.persistence.old_journal import OldJournal
from streams.sandbox.exchange.persistence.saved_state import QUOTES_AT_ONCE, SavedState
from streams.sandbox.exchange.persistence.snapshot import exchange_state, listing_state, take_changes
from tests.engine.quoted import CONTRACT, NOW, listing, request

MARKETS, LEVELS, ORDERS, ROUNDS = 8_000, 5, 1_000, 5
FLOW = {"quotes": [[f"kalshi:{number}", number, *range(12), [[4_000 + n, n, 50] for n in range(10)]]
                   for number in range(MARKETS)]}  # fmt: skip
"""About as much as the simulated market keeps of itself."""

Exchanges = dict[Venue, Exchange]


class Files:
    """Writes as the journal of format 2 did."""

    def __init__(self, folder: Path, exchanges: Exchanges) -> None:
        self._folder, self._exchanges = folder, exchanges
        self._descriptors = {name: self._append_to(name) for name in ("listings.log", "tail-1.log")}

    def commit(self) -> None:
        """Append what changed."""
        for exchange in self._exchanges.values():
            if exchange.state.changes.listings:
                fresh = [exchange.state.markets[market_id] for market_id in exchange.state.changes.listings]
                self._write("listings.log", b"".join(_line(listing_state(listed)) for listed in fresh))
                exchange.state.changes.listings = []
            record = take_changes(exchange)
            if record is not None:
                self._write("tail-1.log", _line(record))

    def encoded(self) -> bytes:
        """The whole snapshot as a line; this held the sandbox up."""
        exchanges = {venue.value: exchange_state(exchange) for venue, exchange in self._exchanges.items()}
        head = {"format": 2, "generation": 1, "anchor_ms": NOW, "source": "bench", "written_ms": NOW}
        return _line({**head, "flow": FLOW, "exchanges": exchanges})

    def replace(self, line: bytes) -> None:
        """Put a snapshot in place of the one before; this was done in a thread."""
        fresh = self._folder / "snapshot.new"
        with fresh.open("wb") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._folder / "snapshot.json")

    def _append_to(self, name: str) -> int:
        return os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _write(self, name: str, lines: bytes) -> None:
        os.write(self._descriptors[name], lines)
        os.fdatasync(self._descriptors[name])


class Bench:
    """Two exchanges, and both ways to keep them."""

    def __init__(self, folder: Path) -> None:
        self.exchanges = {venue: Exchange(venue, FaultPlan(), 1) for venue in Venue}
        for name in ("files", "database"):
            (folder / name).mkdir()
        self._folder = folder
        self._files = Files(folder / "files", self.exchanges)
        self._saved = SavedState(folder / "database", self.exchanges)
        self._saved.read()
        self._saved.begin("bench", NOW, {}, NOW)
        self.results: list[dict[str, Any]] = []

    def list_markets(self) -> None:
        """Put the first listings on disk, then quote every market."""
        for venue, exchange in self.exchanges.items():
            act = listing(venue)
            for number in range(MARKETS // 2):
                ids = {"market_id": _name(number), "yes_token": f"{number}1", "no_token": f"{number}2"}
                exchange.apply(ListMarket(act.event, replace(act.market, **ids)), NOW)
            exchange.state.accounts.open_account("me", 10**6 * CONTRACT)
        self._compare("memory_first_listings", [self._both()])
        for venue, exchange in self.exchanges.items():
            for number in range(MARKETS // 2):
                for level in range(1, LEVELS + 1):
                    for side, price in (("bid", 5_000 - 100 * level), ("ask", 5_000 + 100 * level)):
                        ref, key = MarketRef(venue, _name(number)), f"{number}.{side}{level}"
                        exchange.apply(PlaceOrder(ref, "maker", key, side, price, 50 * CONTRACT), NOW)  # type: ignore[arg-type]

    def orders(self) -> None:
        """What one order changes: a ticket, a trade, an account with a position."""
        taken = []
        for number in range(ORDERS):
            order = request(f"o{number}", "yes", "buy", 5_100, 1)
            self.exchanges[Venue.POLYMARKET].order_entry.place(replace(order, market_id=_name(number)), NOW)
            taken.append(self._both())
        self._compare("memory_commit_of_an_order", taken)

    def all_markets(self) -> None:
        """Every market changes its state."""
        taken = []
        for _ in range(ROUNDS):
            for exchange in self.exchanges.values():
                exchange.state.changes = Changes(markets=set(exchange.state.markets))
            taken.append(self._both())
        self._compare("memory_commit_of_all_markets", taken)

    def snapshots(self) -> None:
        """Quotes of every market and the flow: how long requests wait at a time, and all of it together."""
        longest: tuple[list[float], list[float]] = ([], [])
        whole: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            for venue, exchange in self.exchanges.items():
                self._saved._watches[venue].quoted.update(exchange.state.markets)
            parts = [_ms_of(self._saved.gather) for _ in range(MARKETS // QUOTES_AT_ONCE + 1)]
            parts.append(_ms_of(partial(self._saved.write_snapshot, FLOW, NOW)))
            start = time.perf_counter()
            line = self._files.encoded()
            held = _ms_since(start)
            written = _ms_of(partial(self._files.replace, line))
            longest[0].append(max(parts))
            longest[1].append(held)
            whole[0].append(sum(parts))
            whole[1].append(held + written)
        self._note("memory_snapshot_longest_wait", *longest)
        self._note("memory_snapshot_in_all", *whole)

    def read_back(self) -> None:
        """Everything from disk as documents."""
        self._saved.close()
        taken: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            saved = SavedState(self._folder / "database", self.exchanges)
            taken[0].append(_ms_of(saved.read))
            saved.close()
            old = OldJournal(self._folder / "files")
            taken[1].append(_ms_of(old.read))
            old.close()
        self._note("memory_read_back", *taken)

    def _both(self) -> tuple[float, float]:
        """Commit what changed on both sides; the milliseconds of each."""
        pending = {venue: replace(exchange.state.changes) for venue, exchange in self.exchanges.items()}
        ours = _ms_of(self._saved.commit)
        for venue, exchange in self.exchanges.items():
            exchange.state.changes = pending[venue]
        return ours, _ms_of(self._files.commit)

    def _compare(self, name: str, taken: list[tuple[float, float]]) -> None:
        self._note(name, [ours for ours, _ in taken], [plain for _, plain in taken])

    def _note(self, name: str, ours: list[float], plain: list[float]) -> None:
        value, base = statistics.median(ours), statistics.median(plain)
        self.results.append({
            "name": name, "value": round(value, 3), "unit": "ms", "baseline": "journal of files",
            "baseline_value": round(base, 3), "ratio": round(value / base, 2),
        })  # fmt: skip


def _name(number: int) -> str:
    return f"0x{number:064x}"


def _line(record: dict[str, Any]) -> bytes:
    text = orjson.dumps(record)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def _ms_of(act: Callable[[], Any]) -> float:
    start = time.perf_counter()
    act()
    return _ms_since(start)


def main() -> None:
    """Measure and print."""
    # Beside the results, because a temporary folder may lie in memory, where writing through costs nothing.
    with tempfile.TemporaryDirectory(dir=Path(__file__).parents[2]) as folder:
        bench = Bench(Path(folder))
        for measure in (bench.list_markets, bench.orders, bench.all_markets, bench.snapshots, bench.read_back):
            measure()
    print(json.dumps(bench.results))


if __name__ == "__main__":
    main()
