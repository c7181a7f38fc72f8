"""A process that has settled its interned strings does not grow by those that come and go."""

from __future__ import annotations

import subprocess
import sys

import pytest

GROWTH = """
import sys
from streams.processes.interned_strings import settle_interned_strings

def anonymous_kb():
    lines = open("/proc/self/smaps_rollup")
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))

held = [sys.intern(f"held {number}") for number in range(int(sys.argv[2]))]
if sys.argv[1] == "settled":
    settle_interned_strings()
held += [sys.intern(f"learned {number}") for number in range(int(sys.argv[3]))]
before = anonymous_kb()
for number in range(400_000):
    sys.intern(f"comes and goes {number}")
print(anonymous_kb() - before)
"""


def _growth_kb(how: str, held: int = 60_000, learned: int = 0) -> int:
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, how, str(held), str(learned)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="interned strings stay from Python 3.12 on")
def test_it_does_not_grow_by_strings_that_come_and_go() -> None:
    assert _growth_kb("as it is") > 1000, "what is settled happens otherwise"
    assert abs(_growth_kb("settled")) < 500


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="interned strings stay from Python 3.12 on")
def test_there_is_room_for_what_a_fork_learns() -> None:
    """A fork that learns 15,000 strings does not come to the next size of the table, 8 MB in the place of 4."""
    assert abs(_growth_kb("settled", 72_000, 15_000)) < 500
