"""The journal of format 2, which came before the database: read once, then kept beside and never written again.

    listings.log   every listed market with its event, once
    snapshot.json  state at one moment: accounts, orders, trades, market states, house quotes, state of the flow
    tail-N.log     what external accounts and the life cycle changed since, as new values

Every line is a CRC-32 in eight hex digits, a space, and a JSON object. A line that was cut off or damaged by a crash
ends the reading of its file; everything before it counts.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.sandbox.exchange.persistence.journal import Recovered

FORMAT = 2
_KEPT = "before-sqlite"


class OldJournal:
    """The files of a folder that no database has replaced yet; locked against the version that wrote them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: int | None = _lock(folder)

    def read(self) -> Recovered | None:
        """Return what the files hold; None where the first snapshot was never written.

        Raises:
            ConfigurationError: If the snapshot is damaged or of another format; one sentence.
        """
        path = self.folder / "snapshot.json"
        if not path.exists():
            return None
        snapshot = next(_read_lines(path), None)
        if snapshot is None:
            raise ConfigurationError(
                f"{path} is damaged; put a copy of its folder in its place, or move the folder away and the sandbox "
                "starts anew."
            )
        if snapshot.get("format") != FORMAT:
            raise ConfigurationError(
                f"{self.folder} was written by another version; go on with that one, or move the folder away and the "
                "sandbox starts anew."
            )
        exchanges = {Venue(name): state for name, state in snapshot["exchanges"].items()}
        states = list(exchanges.items())
        # More than one tail: killed while a snapshot was being written.
        for tail in sorted(self.folder.glob("tail-*.log"), key=_generation):
            if _generation(tail) >= snapshot["generation"]:
                states += [(Venue(record["venue"]), record) for record in _read_lines(tail)]
        return Recovered(
            snapshot["source"],
            int(snapshot["anchor_ms"]),
            list(_read_lines(self.folder / "listings.log")),
            states,
            {venue: state["house"] for venue, state in exchanges.items()},
            snapshot["flow"],
        )

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def is_there(folder: Path) -> bool:
    """Whether files of an old journal lie in a folder."""
    return bool(_files(folder))


def keep_beside(folder: Path) -> None:
    """Move the files into a folder of their own below; files that were put there earlier stay as they are."""
    files = _files(folder)
    number, kept = 1, folder / _KEPT
    while any((kept / path.name).exists() for path in files):
        number += 1
        kept = folder / f"{_KEPT}-{number}"
    kept.mkdir(mode=0o700, exist_ok=True)
    for path in [*files, *folder.glob("lock")]:
        path.rename(kept / path.name)
    for changed in (kept, folder):
        sync_folder(changed)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(folder: Path) -> list[Path]:
    named = [path for name in ("listings.log", "snapshot.json") if (path := folder / name).exists()]
    return [*named, *folder.glob("tail-*.log")]


def _generation(tail: Path) -> int:
    return int(tail.stem.removeprefix("tail-"))


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            record = _decode(line)
            if record is None:
                return
            yield record


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


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigurationError(f"Another sandbox is already running on {folder}.") from None
    return descriptor
