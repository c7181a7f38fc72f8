"""`make campaign SEEDS=n`: the shell of trading in virtual time against both sandbox exchanges, seed after seed.

Each seed has a PostgreSQL database of its own. A seed that breaks a promise is printed with what it broke; `--first`
and `--trace` run it again alone. With `--bugs` (`make campaign-bugs`) the shell gets one mistake after the other, and
each must break a promise within so many seeds.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import structlog

from streams.storage.schema import migrate
from tests.campaign.bugs import BUGS
from tests.campaign.judge import Report
from tests.campaign.seed import REAL_S, run_seed
from tests.conftest import _own_server, new_database

_PROGRESS_S = 10.0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where seeds run: a server, the database that each one copies, and a folder."""

    server: str
    template: str
    folder: Path


def main() -> int:
    """Run the seeds, or make the mistakes; returns 1 where a promise was broken, or a mistake was not found."""
    parser = argparse.ArgumentParser(prog="campaign")
    parser.add_argument("--seeds", type=int, default=100, help="how many, or at most for each mistake")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="so many at a time, each in a process of its own")
    parser.add_argument("--real", type=float, default=REAL_S, help="the longest that a seed may take (seconds)")
    parser.add_argument("--trace", action="store_true", help="print the trace of each seed")
    parser.add_argument("--bugs", action="store_true", help="make each known mistake, and see that it is found")
    parser.add_argument("--bug", choices=sorted(BUGS), help="this one alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crossbook-campaign-") as folder, _server(Path(folder) / "db") as server:
        with new_database(server) as template:
            migrate(template, "sandbox")
            place = _Place(server, template, Path(folder))
            campaign = _Campaign(place, options.jobs, options.real)
            seeds = range(options.first, options.first + options.seeds)
            if options.bugs or options.bug:
                return campaign.find_bugs(seeds, [options.bug] if options.bug else list(BUGS))
            return campaign.run(seeds, is_traced=options.trace)


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """A PostgreSQL server of this campaign alone."""
    yield from _own_server(folder)


class _Campaign:
    def __init__(self, place: _Place, jobs: int, real_s: float) -> None:
        self._place, self._jobs, self._real_s = place, jobs, real_s

    def run(self, seeds: range, *, is_traced: bool) -> int:
        began, told, reports = time.monotonic(), time.monotonic(), list[Report]()
        for report in self._reports(seeds):
            reports.append(report)
            for broken in report.broken:
                print(f"seed {report.seed}: {broken}", flush=True)
            if is_traced:
                print("\n".join(report.trace), flush=True)
            if time.monotonic() - told > _PROGRESS_S:
                told = time.monotonic()
                print(f"{len(reports)} of {len(seeds)} seeds after {told - began:.0f} s", flush=True)
        ended, refused = Counter[str](), Counter[str]()
        for report in reports:
            ended.update(report.ended)
            refused.update(report.refused)
        failed, took_s = sum(bool(report.broken) for report in reports), time.monotonic() - began
        print(
            f"{len(reports)} seeds in {took_s:.0f} s ({len(reports) / took_s:.2f} a second), {failed} broke a promise;"
            f" executions {dict(sorted(ended.items()))}, {sum(report.orders for report in reports)} orders,"
            f" {sum(report.kills for report in reports)} kills, {sum(report.stops for report in reports)} stops,"
            f" {sum(one.virtual_s for one in reports):.0f} virtual s; refusals {dict(sorted(refused.items()))}"
        )
        return min(failed, 1)

    def find_bugs(self, seeds: range, names: Sequence[str]) -> int:
        missed = 0
        for name in names:
            began = time.monotonic()
            found = next((report for report in self._reports(seeds, name) if report.broken), None)
            missed += found is None
            said = (
                f"not found in {len(seeds)} seeds" if found is None else f"seed {found.seed}: {found.broken[0][:300]}"
            )
            print(f"{name} ({time.monotonic() - began:.0f} s): {said}", flush=True)
        return min(missed, 1)

    def _reports(self, seeds: Iterable[int], bug: str | None = None) -> Iterator[Report]:
        """Give the reports in the order of their seeds."""
        if self._jobs == 1:
            yield from (_run(self._place, seed, bug, self._real_s) for seed in seeds)
            return
        with ProcessPoolExecutor(self._jobs, mp_context=get_context("spawn")) as pool:
            under_way: deque[Future[Report]] = deque()
            try:
                for seed in seeds:
                    under_way.append(pool.submit(_run, self._place, seed, bug, self._real_s))
                    if len(under_way) > self._jobs:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)


def _run(place: _Place, seed: int, bug: str | None, real_s: float) -> Report:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    home = place.folder / f"seed-{seed}"
    with new_database(place.server, place.template) as dsn, BUGS[bug]() if bug else nullcontext():
        report = run_seed(dsn, seed, home, real_s=real_s)
    shutil.rmtree(home, ignore_errors=True)
    return report


if __name__ == "__main__":
    sys.exit(main())
