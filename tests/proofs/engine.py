"""Proves the engine on many random sequences of events; every tenth is also read through both wire faces.

    python -m tests.proofs.engine [--sequences 100000] [--length 40] [--first 0] [--processes 2]

Prints the figures as JSON; a sequence that breaks something is printed as short as it can be made, and the exit is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from multiprocessing import Pool

from streams.market.identity import Venue
from tests.engine.campaign import Failure, attempt
from tests.engine.steps import sequence
from tests.engine.wires import wires_of

_BATCH = 200
_EVERY = 10
_REPORTED = 25


def batch(task: tuple[int, int]) -> tuple[Counter[str], list[Failure]]:
    """Run `_BATCH` seeds from the first one on, venues in turn; what was done, and what failed."""
    first, length = task
    counts: Counter[str] = Counter()
    failures: list[Failure] = []
    wires = {venue: wires_of(venue) for venue in Venue}
    for seed in range(first, first + _BATCH):
        venue = list(Venue)[seed % 2]
        is_wired = seed // 2 % _EVERY == 0
        found = attempt(venue, seed // 2, length, wires[venue] if is_wired else None)
        if found is not None:
            failures.append(found)
        counts[f"sequences {venue}"] += 1
        counts["through the faces"] += is_wired
        counts.update(f"step {step.kind}" for step in sequence(venue, seed // 2, length))
    return counts, failures


def main() -> int:
    """Run the campaign; 1 when something broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=40)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    started = time.monotonic()
    counts: Counter[str] = Counter()
    failures: list[Failure] = []
    finished = 0
    tasks = [(first, options.length) for first in range(options.first, options.first + options.sequences, _BATCH)]
    with Pool(options.processes) as pool:
        for done, failed in pool.imap_unordered(batch, tasks):
            counts += done
            failures += failed
            for failure in failed:
                print(failure, file=sys.stderr, flush=True)
            finished += 1
            if finished % _REPORTED == 0:
                seconds = time.monotonic() - started
                print(f"{finished * _BATCH} sequences, {len(failures)} failures, {seconds:.0f} s", file=sys.stderr)
    steps = {name.removeprefix("step "): n for name, n in sorted(counts.items()) if name.startswith("step ")}
    figures = {
        "sequences": sum(n for name, n in counts.items() if name.startswith("sequences ")),
        **{name: n for name, n in sorted(counts.items()) if not name.startswith("step ")},
        "steps": sum(steps.values()),
        "by kind": steps,
        "failures": len(failures),
        "seconds": round(time.monotonic() - started, 1),
    }
    print(json.dumps(figures, indent=2))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
