"""Proves that the walk down the books and the linear program find the same, on many random books.

    python -m tests.proofs.edges [--books 100000] [--first 0] [--processes 2]

Prints the figures as JSON; a book on which they differ by more than rounding is printed, and the exit is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from multiprocessing import Pool

from tests.support.random_books import bundle, compare

_BATCH = 500
_REPORTED = 25


def batch(first: int) -> tuple[Counter[str], list[str]]:
    """Compare `_BATCH` books from the first one on; what they were, and where both differ."""
    counts: Counter[str] = Counter()
    differing: list[str] = []
    for seed in range(first, first + _BATCH):
        found = compare(bundle(seed))
        counts[found.kind] += 1
        counts["with an edge"] += found.walked_e6 > 0
        counts["equal to the last digit"] += found.walked_e6 == found.solved_e6
        if not found.agrees:
            differing.append(f"seed {seed}: {found}")
    return counts, differing


def main() -> int:
    """Run the comparison; 1 when they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--books", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    started = time.monotonic()
    counts: Counter[str] = Counter()
    differing: list[str] = []
    with Pool(options.processes) as pool:
        for done, failed in pool.imap_unordered(batch, range(options.first, options.first + options.books, _BATCH)):
            counts += done
            differing += failed
    for line in differing[:_REPORTED]:
        print(line, file=sys.stderr)
    took = round(time.monotonic() - started)
    print(json.dumps({"books": options.books, **counts, "differing": len(differing), "seconds": took}))
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
