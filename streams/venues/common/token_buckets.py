"""Token buckets: callers wait their turn before they sign, so that a signature is never old.

Where the tokens are counted is a ledger: in memory for one process, or in a small file that all processes of the
machine share. A caller acquires its tokens at once, below zero if it must, and then waits until the debt is refilled;
that keeps the order of arrival between processes, and nobody holds the file while waiting.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import orjson

from streams.market.errors import TooLate, TransientError

Entries = dict[str, Any]
UNLIMITED_PER_S = 1e6
"""Buckets that refill at least this fast are not counted at all."""
UNCOUNTED = 1_000_000
"""So many calls are left where nothing is counted."""
_PAGE = 4096
_MOST_DEBT_S = 3600.0
"""No queue of callers is as long as this: an entry that says so is torn."""


class Ledger(Protocol):
    """Where buckets keep what they hold: entries that one caller at a time may read and change."""

    def open(self) -> AbstractContextManager[Entries]:
        """Give the entries to read and change; nobody else has them meanwhile. Never awaited under.

        Raises:
            TransientError: If they cannot be read or written: a call that cannot be counted is not made.
        """


class MemoryLedger:
    """The entries of one process."""

    def __init__(self) -> None:
        self._entries: Entries = {}

    @contextmanager
    def open(self) -> Iterator[Entries]:
        """See `Ledger.open`."""
        yield self._entries


class FileLedger:
    """Entries in one page of a file, guarded by flock, for every process of the machine.

    The kernel drops the lock of a process that dies, and a page is written in one call, so what a crash leaves is the
    page before or after. What cannot be read in a page (a torn disk) counts as spent: its `TokenBucket`s start empty.

    Args:
        path: The file; its folder is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._owner = 0

    @contextmanager
    def open(self) -> Iterator[Entries]:
        """See `Ledger.open`."""
        with _file_at_hand():
            descriptor = self._file()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            with _file_at_hand():
                before = os.pread(descriptor, _PAGE, 0)
            entries = _entries_of(before)
            yield entries
            after = orjson.dumps(entries).ljust(_PAGE)
            if len(after) > _PAGE:
                raise ValueError(f"{len(after)} bytes of buckets do not fit one page")
            if after != before:
                with _file_at_hand():
                    os.pwrite(descriptor, after, 0)
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the file back to the system; it is opened again when it is needed."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()

    def _file(self) -> int:
        # A forked child shares the parent's open file and with it the lock, which would then guard nothing.
        if self._descriptor < 0 or self._owner != os.getpid():
            self.close()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._owner = os.getpid()
        return self._descriptor


@contextmanager
def _file_at_hand() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransientError(f"the file of the request budget cannot be used: {error.strerror}") from error


def _entries_of(page: bytes) -> Entries:
    if not page:
        return {}
    try:
        entries = orjson.loads(page)
    except orjson.JSONDecodeError:
        return {"is_torn": True}
    return entries if isinstance(entries, dict) else {"is_torn": True}


class TokenBucket:
    """Tokens that refill steadily up to a capacity.

    Args:
        rate: Tokens a second.
        capacity: Most tokens it holds.
        monotonic: Seconds of a clock that all users of the ledger share; the system's is one for all processes.
        ledger: Where it is counted; None counts in this object alone.
        name: Its entry in the ledger.
        lag_s: How much later than here the venue may charge a call. Its bucket stays full meanwhile and what it would
            refill is lost, so ours never fills up to the last `lag_s` seconds' worth.
    """

    def __init__(
        self,
        rate: float,
        capacity: float,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        ledger: Ledger | None = None,
        name: str = "tokens",
        lag_s: float = 0.0,
    ) -> None:
        self.rate = rate
        self.capacity = capacity
        self.name = name
        self.lag_s = lag_s
        self.monotonic = monotonic
        self.ledger = ledger or MemoryLedger()

    @property
    def ceiling(self) -> float:
        """Up to where it fills."""
        return max(0.0, self.capacity - self.rate * self.lag_s)

    async def acquire(self, tokens: float, deadline: float | None = None) -> None:
        """Acquire `tokens` and wait until they are there; callers are served in the order of their coming.

        A caller that is cancelled while it waits gives them back. `deadline` and errors: as for `acquire_together`.
        """
        await acquire_together([(self, tokens)], deadline)

    def drain(self) -> None:
        """Empty the bucket: the venue reported that we are too fast."""
        with self.ledger.open() as entries:
            self.store(entries, min(0.0, self.refilled(entries)))

    def refilled(self, entries: Entries) -> float:
        """Return what the bucket holds now, by its entry."""
        if self.name not in entries:
            return 0.0 if "is_torn" in entries else self.ceiling
        match entries[self.name]:
            case [int() | float() as tokens, int() | float() as at] if tokens > -_MOST_DEBT_S * self.rate:
                # A clock behind the entry's has begun again: the machine was restarted.
                passed = self.monotonic() - at
                return self.ceiling if passed < 0 else min(self.ceiling, tokens + passed * self.rate)
            case _:
                return 0.0

    def store(self, entries: Entries, tokens: float) -> None:
        """Store what the bucket holds now."""
        entries[self.name] = [round(tokens, 3), self.monotonic()]


async def acquire_together(wants: Sequence[tuple[TokenBucket, float]], deadline: float | None = None) -> None:
    """Acquire from several buckets of one ledger at once and wait for the slowest of them.

    More than a bucket's capacity counts as its capacity.

    Args:
        wants: Buckets and tokens.
        deadline: When they are of no use any more, in seconds of the buckets' clock; None waits for ever.

    Raises:
        TooLate: If they would be there after the deadline: at once, and nothing is taken.
    """
    wants = [(bucket, min(tokens, bucket.capacity)) for bucket, tokens in wants if bucket.rate < UNLIMITED_PER_S]
    if not wants:
        return
    wait = _charge(wants)
    if wait <= 0:
        return
    if deadline is not None and wants[0][0].monotonic() + wait > deadline:
        _charge([(bucket, -tokens) for bucket, tokens in wants])
        raise TooLate(f"the venue's request budget has room in {wait:.2f} s, which is too late")
    try:
        await asyncio.sleep(wait)
    except asyncio.CancelledError:
        _charge([(bucket, -tokens) for bucket, tokens in wants])
        raise


def calls_left(wants: Sequence[tuple[TokenBucket, float]]) -> int:
    """Return how many calls that cost so much in each of these buckets of one ledger could be made now without a wait.

    A bucket that is not counted lets any number through.

    Raises:
        TransientError: If the ledger cannot be read.
    """
    wants = [(bucket, min(tokens, bucket.capacity)) for bucket, tokens in wants if bucket.rate < UNLIMITED_PER_S]
    counted = [(bucket, tokens) for bucket, tokens in wants if tokens > 0]
    if not counted:
        return UNCOUNTED
    with counted[0][0].ledger.open() as entries:
        return max(0, min(int(bucket.refilled(entries) / tokens) for bucket, tokens in counted))


def _charge(wants: Sequence[tuple[TokenBucket, float]]) -> float:
    """Subtract from each bucket; return the seconds until the last of them is out of debt."""
    wait = 0.0
    with wants[0][0].ledger.open() as entries:
        for bucket, tokens in wants:
            left = min(bucket.ceiling, bucket.refilled(entries) - tokens)
            bucket.store(entries, left)
            wait = max(wait, -left / bucket.rate)
    return wait
