"""`make campaign SEEDS=n`: the shell of trading in virtual time against both sandbox exchanges, seed after seed.

Each seed has a PostgreSQL database of its own. A seed that breaks a promise is printed with what it broke; `--first`
and `--trace` run it again alone. With `--bugs` (`make campaign-bugs`) the shell gets one mistake after the other, and
each must break a promise within so many seeds.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from streams.storage.schema import migrate
from tests.campaign.bugs import BUGS
from tests.campaign.seed import Report, run_seed
from tests.conftest import _own_server, new_database


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """A PostgreSQL server of this campaign alone."""
    yield from _own_server(folder)


def main() -> int:
    """Run the seeds, or make the mistakes; returns 1 where a promise was broken, or a mistake was not found."""
    parser = argparse.ArgumentParser(prog="campaign")
    parser.add_argument("--seeds", type=int, default=100, help="how many, or at most for each mistake")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--trace", action="store_true", help="print the trace of each seed")
    parser.add_argument("--bugs", action="store_true", help="make each known mistake, and see that it is found")
    parser.add_argument("--bug", choices=sorted(BUGS), help="this one alone")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="crossbook-campaign-") as folder, _server(Path(folder) / "db") as server:
        with new_database(server) as template:
            migrate(template, "sandbox")
            seeds = range(options.first, options.first + options.seeds)
            campaign = _Campaign(server, template, Path(folder))
            if options.bugs or options.bug:
                return campaign.find_bugs(seeds, [options.bug] if options.bug else list(BUGS))
            return campaign.run(seeds, is_traced=options.trace)


class _Campaign:
    def __init__(self, server: str, template: str, folder: Path) -> None:
        self._server, self._template, self._folder = server, template, folder
        self._runs = 0

    def run(self, seeds: range, *, is_traced: bool) -> int:
        began, reports = time.monotonic(), []
        for seed in seeds:
            report = self._seed(seed)
            reports.append(report)
            for broken in report.broken:
                print(f"seed {seed}: {broken}", flush=True)
            if is_traced:
                print("\n".join(report.trace))
        ended = sum((Counter(report.ended) for report in reports), Counter())
        failed = sum(bool(report.broken) for report in reports)
        print(
            f"{len(reports)} seeds in {time.monotonic() - began:.0f} s, {failed} broke a promise; executions"
            f" {dict(sorted(ended.items()))}, {sum(report.orders for report in reports)} orders,"
            f" {sum(report.kills for report in reports)} kills, {sum(one.virtual_s for one in reports):.0f} virtual s"
        )
        return min(failed, 1)

    def find_bugs(self, seeds: range, names: Sequence[str]) -> int:
        missed = 0
        for name in names:
            with BUGS[name]():
                found = next((report for report in map(self._seed, seeds) if report.broken), None)
            missed += found is None
            said = f"not found in {len(seeds)} seeds" if found is None else f"seed {found.seed}: {found.broken[0]}"
            print(f"{name}: {said}", flush=True)
        return min(missed, 1)

    def _seed(self, seed: int) -> Report:
        self._runs += 1
        with new_database(self._server, self._template) as dsn:
            return run_seed(dsn, seed, self._folder / str(self._runs))


if __name__ == "__main__":
    sys.exit(main())
