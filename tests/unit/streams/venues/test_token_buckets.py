"""Token buckets, alone and shared by processes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.market.errors import TooLate
from streams.venues.common.token_buckets import (
    UNCOUNTED,
    FileLedger,
    Ledger,
    MemoryLedger,
    TokenBucket,
    acquire_together,
    calls_left,
)


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(round(seconds, 6))
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    return clock


@pytest.fixture(params=["memory", "file"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    return MemoryLedger() if request.param == "memory" else FileLedger(tmp_path / "limits" / "a.json")


def test_a_bucket_makes_callers_wait_for_what_it_lacks(clock: Clock, ledger: Ledger) -> None:
    async def main() -> None:
        bucket = TokenBucket(10, 20, clock, ledger=ledger)
        await bucket.acquire(20)
        await bucket.acquire(5)
        bucket.drain()
        await bucket.acquire(10)

    asyncio.run(main())
    assert clock.waits == [0.5, 1.0]


def test_the_tightest_bucket_says_how_many_calls_are_left(clock: Clock, ledger: Ledger) -> None:
    wide, tight = (TokenBucket(10, size, clock, ledger=ledger, name=str(size)) for size in (100, 25))
    uncounted = TokenBucket(1e9, 1e9, clock, ledger=ledger, name="uncounted")
    assert calls_left([(wide, 10), (tight, 10), (uncounted, 10)]) == 2
    assert calls_left([(uncounted, 10)]) == calls_left([(tight, 0)]) == UNCOUNTED

    async def main() -> None:
        await tight.acquire(25)
        assert calls_left([(tight, 10)]) == 0
        clock.now += 0.99
        assert calls_left([(tight, 10)]) == 0
        clock.now += 0.01
        assert calls_left([(tight, 10)]) == 1
        assert calls_left([(tight, 1_000)]) == 0  # counts as all that it holds
        clock.now += 1.5
        assert calls_left([(tight, 1_000)]) == 1

    asyncio.run(main())
    with ledger.open() as entries:
        entries["25"] = "torn"
    assert calls_left([(tight, 10)]) == 0


def test_a_turn_that_would_come_too_late_is_refused_at_once_and_takes_nothing(clock: Clock, ledger: Ledger) -> None:
    async def main() -> None:
        bucket = TokenBucket(10, 20, clock, ledger=ledger)
        await bucket.acquire(20)
        with pytest.raises(TooLate, match=r"room in 1\.00 s"):
            await bucket.acquire(10, clock() + 0.9)
        assert clock.waits == []
        await bucket.acquire(10, clock() + 1.0)  # nobody stands before it

    asyncio.run(main())
    assert clock.waits == [1.0]


def test_several_buckets_are_charged_at_once_and_the_slowest_decides(clock: Clock, ledger: Ledger) -> None:
    slow, fast = TokenBucket(1, 10, clock, ledger=ledger, name="slow"), TokenBucket(100, 10, clock, ledger=ledger)

    async def main() -> None:
        await acquire_together([(slow, 10), (fast, 10)])
        await acquire_together([(slow, 2), (fast, 2)])
        await fast.acquire(10)

    asyncio.run(main())
    assert clock.waits == [2.0]


def test_what_is_in_flight_is_kept_back_but_a_whole_bucket_may_be_taken(clock: Clock, ledger: Ledger) -> None:
    bucket = TokenBucket(10, 20, clock, ledger=ledger, lag_s=0.5)
    asyncio.run(bucket.acquire(15))
    assert clock.waits == []
    clock.now += 100
    # Full is 15 here; five more refill while waiting, and the venue's 20 are certain.
    asyncio.run(bucket.acquire(20))
    assert clock.waits == [0.5]


def test_a_very_fast_bucket_is_never_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    asyncio.run(TokenBucket(1e9, 1, ledger=FileLedger(path)).acquire(1e12))
    assert not path.exists()


def test_a_caller_that_gives_up_gives_its_tokens_back(ledger: Ledger) -> None:
    bucket = TokenBucket(0.001, 1, ledger=ledger)

    async def main() -> None:
        await bucket.acquire(1)
        task = asyncio.create_task(bucket.acquire(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    with ledger.open() as entries:
        assert bucket.refilled(entries) == pytest.approx(0.0, abs=0.05)


def test_callers_are_served_in_the_order_of_their_coming() -> None:
    served: list[int] = []
    bucket = TokenBucket(500, 1)

    async def caller(number: int) -> None:
        await bucket.acquire(1)
        served.append(number)

    async def main() -> None:
        await asyncio.gather(*(caller(number) for number in range(6)))

    asyncio.run(main())
    assert served == list(range(6))


@pytest.mark.parametrize("page", [b"{", b"[1]", b"\x00" * 4096, b'{"tokens":[5,'])
def test_a_file_that_cannot_be_read_starts_empty(tmp_path: Path, clock: Clock, page: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(page)
    bucket = TokenBucket(10, 20, clock, ledger=FileLedger(path))
    asyncio.run(bucket.acquire(10))
    asyncio.run(bucket.acquire(10))
    assert clock.waits == [1.0, 1.0]


def test_after_a_restart_of_the_machine_a_bucket_is_full(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "a.json"
    asyncio.run(TokenBucket(10, 20, clock, ledger=FileLedger(path)).acquire(20))
    clock.now = 3.0
    asyncio.run(TokenBucket(10, 20, clock, ledger=FileLedger(path)).acquire(20))
    assert clock.waits == []


def test_more_entries_than_a_page_are_refused_and_change_nothing(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path / "a.json")
    with pytest.raises(ValueError, match="one page"), ledger.open() as entries:
        entries["long"] = "x" * 5_000
    with ledger.open() as entries:
        assert entries == {}


def run(path: Path, times: int, *, rate: float = 40.0, capacity: float = 10.0) -> subprocess.Popen[str]:
    arguments = [str(path), str(rate), str(capacity), str(times)]
    root = Path(__file__).resolve().parents[4]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.bucket_process", *arguments],
        stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip


def test_two_processes_share_one_bucket(tmp_path: Path) -> None:
    path, rate, capacity, each = tmp_path / "a.json", 40.0, 10.0, 25
    processes = [run(path, each, rate=rate, capacity=capacity) for _ in range(2)]
    taken = sorted(float(line) for process in processes for line in process.communicate(timeout=60)[0].split())
    assert len(taken) == 2 * each
    # Whatever span one looks at, no more than the capacity, what was refilled in it, and one of each process that was
    # its own before and is only seen late.
    for first in range(len(taken)):
        for last in range(first + 1, len(taken)):
            assert last - first + 1 <= capacity + rate * (taken[last] - taken[first]) + len(processes) + 0.5


def test_a_process_that_is_killed_does_not_stop_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    victim = run(path, 1_000_000, rate=100_000.0, capacity=100_000.0)
    assert victim.stdout is not None
    for _ in range(50):
        victim.stdout.readline()
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=60)
    bucket = TokenBucket(1_000.0, 10.0, ledger=FileLedger(path))
    asyncio.run(asyncio.wait_for(bucket.acquire(1), 60))
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
