"""`make mutation`: change the pure parts of what decides about money, one small change at a time; do the tests see it?

Each mutant runs in a process of its own with those tests that touch its lines, until the first one fails. What survives
is listed; it fails the run unless `survivors.toml` gives its reason, and so does a score below the least one.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.mutation.dependents import importing_tests
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.running import MutationRun
from tests.mutation.survivors import complaints, list_survivors, read_accepted, rows, table
from tests.mutation.targets import GOLDEN, ROOT, UNIT, target_files

_EVERY_S = 15.0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=1, help="run every n-th mutant only")
    parser.add_argument("--only", default="", help="only files whose path contains this")
    parser.add_argument("--processes", type=int, default=2, help="mutants that run at once")
    parser.add_argument("--least", type=float, default=90.0, help="the least score of all together, in percent")
    return parser.parse_args()


def _mutants(files: list[Path], sample: int) -> list[Mutant]:
    found = [mutant for file in files for mutant in mutants(str(file.relative_to(ROOT)), file.read_text())]
    return found[::sample]


def main() -> int:
    """Run the mutants and print what became of them; 0 if nothing is to be complained of, else 1."""
    options, began = _options(), time.monotonic()
    files = [file for file in target_files() if options.only in str(file.relative_to(ROOT))]
    chosen = _mutants(files, options.sample)
    tests = [test for folder in (UNIT, GOLDEN) for test in importing_tests(ROOT / folder, files)]
    print(f"{len(chosen)} mutants of {len(files)} files, {len(tests)} files of tests", flush=True)
    said, shown = began, 0

    def report(done: int) -> None:
        nonlocal said, shown
        if time.monotonic() - said >= _EVERY_S:
            lines, shown = list_survivors(run.fates)[shown:], len(list_survivors(run.fates))
            said = time.monotonic()
            print("\n".join([*lines, f"{done} of {len(chosen)} mutants, {said - began:.0f} s"]), flush=True)

    run = MutationRun(files, chosen, options.processes, report)
    code = run.run(tests)
    if run.failed or len(run.fates) < len(chosen):
        print("\n".join(run.failed) or f"pytest ended with {code} before all mutants had run")
        return 1
    fates = {mutant: run.fates[mutant] for mutant in chosen}
    found = complaints(fates, read_accepted(), options.least, is_whole=options.sample == 1 and not options.only)
    print("\n".join(found))
    print(table(rows(fates)))
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets and dictionaries in the same order in every run
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.mutation", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    os.chdir(ROOT)
    sys.exit(main())
