"""The sandbox's saved state: an append-only journal with a checksum per line, over a snapshot, in one folder.

    listings.log   every listed market with its event, once
    snapshot.json  state at one moment: accounts, orders, trades, market states, simulated quotes, state of the flow
    tail-N.log     what external accounts and the life cycle changed since, as new values (not commands)

A tail line holds the whole new value of whatever changed, so replaying it twice changes nothing, and it is on disk
before the caller is answered. A line that was cut off or damaged by a crash ends the reading; everything before it
counts.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from streams.market.errors import ConfigurationError

FORMAT = 2
"""Counts up when what a journal holds changes its form."""


@dataclass(slots=True)
class Recovered:
    """What a journal folder holds: the snapshot (None at a first start), tail records after it, and listings."""

    snapshot: dict[str, Any] | None = None
    tail: list[dict[str, Any]] = field(default_factory=list)
    listings: list[dict[str, Any]] = field(default_factory=list)


class Journal:
    """Writes one sandbox's journal. One process at a time: the folder is locked."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._lock = _lock(folder)
        self._generation = 0
        self._tail: int | None = None
        self._listings: int | None = None

    def recover(self) -> Recovered:
        """Read what is there and get ready to append. Cut-off lines are removed."""
        found = Recovered(listings=list(_read_lines(self.folder / "listings.log")))
        path = self.folder / "snapshot.json"
        if path.exists():
            lines = list(_read_lines(path))
            if not lines:
                raise ConfigurationError(f"{path} is damaged; `crossbook reset` starts the sandbox anew.")
            if lines[0].get("format") != FORMAT:
                raise ConfigurationError(
                    f"{self.folder} was written by another version; `crossbook reset` starts the sandbox anew."
                )
            found.snapshot = lines[0]
            self._generation = int(lines[0]["generation"])
        for generation in self._generations():
            if generation < self._generation:
                self._tail_path(generation).unlink()
            else:
                # More than one tail: killed while a snapshot was being written.
                found.tail.extend(_read_lines(self._tail_path(generation)))
        self._generation = max([self._generation, *self._generations()])
        self._tail = _open_for_append(self._tail_path(self._generation))
        self._listings = _open_for_append(self.folder / "listings.log")
        return found

    def append(self, record: dict[str, Any]) -> None:
        """Add a tail record; it is on disk when this returns."""
        assert self._tail is not None
        _write(self._tail, encode_line(record))

    def add_listings(self, listings: list[dict[str, Any]]) -> None:
        """Add newly listed markets; they are on disk when this returns."""
        assert self._listings is not None
        _write(self._listings, b"".join(encode_line(listing) for listing in listings))

    def replace_listings(self, listings: list[dict[str, Any]]) -> None:
        """Put these listings in place of all that were added, when many of them are of markets that are gone."""
        path = self.folder / "listings.log"
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.writelines(encode_line(listing) for listing in listings)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        if self._listings is not None:
            os.close(self._listings)
        self._listings = _open_for_append(path)

    def begin_snapshot(self) -> int:
        """Start a new tail for what comes after the state that is about to be written; returns its generation."""
        generation = self._generation + 1
        previous, self._tail = self._tail, _open_for_append(self._tail_path(generation))
        if previous is not None:
            os.close(previous)
        self._generation = generation
        return generation

    def write_snapshot(self, generation: int, line: bytes) -> None:
        """Put an encoded snapshot in place of the one before (safe to run in a thread), then drop the older tails."""
        path = self.folder / "snapshot.json"
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync_folder(self.folder)
        for older in self._generations():
            if older < generation:
                self._tail_path(older).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files and release the folder."""
        for descriptor in (self._tail, self._listings, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._tail = self._listings = self._lock = None

    def _generations(self) -> list[int]:
        return sorted(int(path.stem.removeprefix("tail-")) for path in self.folder.glob("tail-*.log"))

    def _tail_path(self, generation: int) -> Path:
        return self.folder / f"tail-{generation}.log"


def snapshot_line(generation: int, state: dict[str, Any]) -> bytes:
    """Return a snapshot as the line `write_snapshot` takes."""
    return encode_line({"format": FORMAT, "generation": generation, **state})


def encode_line(record: dict[str, Any]) -> bytes:
    """Return a record as one line: crc32 of the JSON in hex, a space, the JSON."""
    text = orjson.dumps(record)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    good = 0
    with path.open("rb") as file:
        for line in file:
            record = _decode(line)
            if record is None:
                break
            good += len(line)
            yield record
    if good != path.stat().st_size:
        os.truncate(path, good)


def _decode(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n") or len(line) < 11:
        return None
    text = line[9:-1]
    try:
        if int(line[:8], 16) != zlib.crc32(text):
            return None
    except ValueError:
        return None
    record: dict[str, Any] = orjson.loads(text)
    return record


def _open_for_append(path: Path) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _sync_folder(path.parent)
    return descriptor


def _write(descriptor: int, lines: bytes) -> None:
    """Append all of it and wait until it is on disk; where it does not fit, nothing of it stays.

    Half a line would end the reading there, and hide what is written after it.
    """
    size = os.fstat(descriptor).st_size
    left = memoryview(lines)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
        os.fdatasync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int | None:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigurationError(f"Another sandbox is already running on {folder}.") from None
    return descriptor
