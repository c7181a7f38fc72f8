"""Every fault of the sandbox exchanges against our own clients: what is reported is what happened, or unknown.

`python -m tests.proofs.faults [--seeds N]` runs each case with N seeds and writes `docs/venues/faults.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from pathlib import Path

from streams.logs import configure_logs
from tests.proofs import fault_feeds, fault_orders

PAGE = Path(__file__).parents[2] / "docs" / "venues" / "faults.md"
_INTRODUCTION = """# Faults

Written by `make proof-faults`. Each row is one fault of the [sandbox](../sandbox.md) against our own clients, {seeds}
runs of it, each with another seed. The exchanges live in the same process, so that what a client reports can be held
against what happened: *wrong* counts reports that contradict it, and must be 0. A client may always say that it does
not know.
"""
_ORDERS = """
## Orders

`done`: the write was acknowledged. `refused`: the venue said no. `nothing`: the client promises that nothing happened
and a later attempt may work. `unknown`: only reads may follow; trading sends identical bytes once more, which never
makes a second order, and then reads until the venue has proved the outcome.

| fault | venue | operation | the client says | at the exchange | afterwards | wrong |
|---|---|---|---|---|---|---|
"""
_FEEDS = """
## Books

A maker changes the book {changes} times while the fault acts. `marked stale`: how often the recorder no longer trusted
its book, in all runs. At the end a book is live and right, or marked stale. On the way Kalshi's sequence numbers
tell at the next frame; Polymarket's feed has none, so a frame lost behind the best prices is found by the removal of a
level never seen, by the next match, or by comparison with a whole book, within {verify} s here and within
`CROSSBOOK_BOOK_VERIFY_INTERVAL_S` otherwise.

| fault | venue | fired | marked stale | connections | at the end | last change to right, worst | wrong |
|---|---|---|---|---|---|---|---|
"""


async def order_rows(seeds: int) -> tuple[list[str], int]:
    """Return a table row for each case of orders, and how many reports were wrong."""
    rows, wrong = [], 0
    for case in fault_orders.CASES:
        outcomes = [await fault_orders.run_case(case, seed) for seed in range(seeds)]
        bad = [words for outcome in outcomes for words in outcome.wrong]
        wrong += len(bad)
        cells = [_counted([getattr(o, name) for o in outcomes]) for name in ("said", "happened", "later")]
        rows.append(_row(case.what, case.venue, case.operation, *cells, _wrong(bad)))
    return rows, wrong


async def feed_rows(seeds: int) -> tuple[list[str], int]:
    """Return a table row for each case of books, and how many were wrong."""
    rows, wrong = [], 0
    for case in fault_feeds.CASES:
        outcomes = await asyncio.gather(*(fault_feeds.run_case(case, seed) for seed in range(seeds)))
        bad = [words for outcome in outcomes for words in outcome.wrong]
        wrong += len(bad)
        rows.append(
            _row(
                case.what,
                case.venue,
                sum(outcome.fired for outcome in outcomes),
                sum(outcome.was_stale for outcome in outcomes),
                sum(outcome.connections for outcome in outcomes),
                _counted([outcome.end for outcome in outcomes]),
                f"{max(outcome.healed_s for outcome in outcomes):.1f} s",
                _wrong(bad),
            )
        )
    return rows, wrong


def _counted(words: list[str]) -> str:
    counts = Counter(word or "-" for word in words)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{count} x {word}" for word, count in counts.most_common())


def _wrong(bad: list[str]) -> str:
    return "0" if not bad else f"**{len(bad)}**: {_counted(bad)}"


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


async def main() -> int:
    """Run the matrix and write the page; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    configure_logs("ERROR")
    orders, wrong_orders = await order_rows(seeds)
    feeds, wrong_feeds = await feed_rows(seeds)
    page = _INTRODUCTION.format(seeds=seeds) + _ORDERS + "\n".join(orders) + "\n"
    page += _FEEDS.format(changes=fault_feeds.CHANGES, verify=fault_feeds.VERIFY_S) + "\n".join(feeds) + "\n"
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page)
    print(page)
    return 1 if wrong_orders or wrong_feeds else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
