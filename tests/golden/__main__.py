"""`python -m tests.golden --write [name ...]` runs the golden runs and stores them; without `--write` it compares."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.golden.runs import runs
from tests.golden.stored import FOLDER, as_text, first_difference, path_of


def main() -> int:
    """Run what is named, or everything; 1 if something differs from what is stored."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("--write", action="store_true", help="store what the runs bring")
    parser.add_argument("names", nargs="*", help="runs; all without one")
    told = parser.parse_args()
    known, is_same = runs(), True
    FOLDER.mkdir(exist_ok=True)
    for name in told.names or known:
        with tempfile.TemporaryDirectory() as folder:
            fresh = as_text(known[name](Path(folder)))
        if told.write:
            path_of(name).write_text(fresh)
        else:
            stored = path_of(name).read_text() if path_of(name).exists() else ""
            difference = first_difference(stored, fresh)
            is_same = is_same and not difference
            print(f"{name}: {difference or 'the same'}")
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main())
