"""Segment files: the append-only log of everything a recorder received, written before anything is parsed.

A file is an 8-byte magic and then records. A record is a 20-byte head (`<IIBBHQ`: length of the body, crc32 of the rest
of the head and the body, kind, venue, connection number, received_ns) and its body. A write that a kill or a power cut
tore leaves a tail that does not check; readers stop there and say so. Layout on disk, which is also the archive's seam:
`CROSSBOOK_HOME/segments/shard=<n>/date=<YYYY-MM-DD>/<HHMMSS>-<random>.seg`.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from streams.market.errors import IntegrityError
from streams.market.identity import Venue

MAGIC = b"CBSEG\x00\x00\x01"
_HEAD = struct.Struct("<IIBBHQ")
_CHECKED = struct.Struct("<BBHQ")
HEAD_SIZE = _HEAD.size
_LARGEST_BODY = 1 << 28
_VENUE_CODES: dict[Venue | None, int] = {None: 0, Venue.KALSHI: 1, Venue.POLYMARKET: 2}
_VENUES: dict[int, Venue | None] = {code: venue for venue, code in _VENUE_CODES.items()}


class RecordKind(IntEnum):
    """What a record is. Only FRAME comes from a venue; the others make a replay deterministic."""

    FRAME = 1
    OPENED = 2
    CLOSED = 3
    MARKETS = 4
    STATE = 5
    TICK = 6
    STALE = 7


class Record(NamedTuple):
    """One record. `offset` is where it starts in its file, `end` where the next one does."""

    offset: int
    end: int
    kind: int
    venue: Venue | None
    connection: int
    received_ns: int
    body: bytes


def pack_head(kind: int, venue: Venue | None, connection: int, received_ns: int, body: bytes) -> bytes:
    """Return the 20 bytes that stand before `body`."""
    code = _VENUE_CODES[venue]
    crc = zlib.crc32(body, zlib.crc32(_CHECKED.pack(kind, code, connection, received_ns)))
    return _HEAD.pack(len(body), crc, kind, code, connection, received_ns)


class SegmentFile:
    """A segment being written by one process. Appends reach the kernel at once; `sync` makes them durable.

    Attributes:
        size: Bytes of the records appended so far, the magic included.
        is_doubtful: Making it durable failed once: what the kernel then keeps of it is not known.
    """

    def __init__(self, path: Path) -> None:
        """Make the file.

        Raises:
            OSError: If the disk is full or gone, or there are too many open files; nothing is left of it then.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.size = len(MAGIC)
        self.is_doubtful = False
        self._is_torn = False
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        try:
            self._write(MAGIC)
        except OSError:
            os.close(self._fd)
            path.unlink(missing_ok=True)
            raise

    def append(self, parts: Sequence[bytes]) -> int:
        """Write `parts` as one piece and return the offset where it starts.

        Raises:
            OSError: If the disk is full or gone. Nothing of the piece stays in the file; what could not be cut off at
                once is cut off before the next piece is written.
        """
        start = self.size
        if self._is_torn:
            self._cut()
        try:
            self._write(b"".join(parts))
        except OSError:
            self._is_torn = True
            with suppress(OSError):
                self._cut()
            raise
        self.size = os.lseek(self._fd, 0, os.SEEK_END)
        return start

    def _write(self, body: bytes) -> None:
        data = memoryview(body)
        while data:
            data = data[os.write(self._fd, data) :]

    def _cut(self) -> None:
        os.ftruncate(self._fd, self.size)
        self._is_torn = False

    def sync(self) -> None:
        """Wait until everything appended is on the disk.

        Raises:
            OSError: If it does not get there.
        """
        try:
            os.fdatasync(self._fd)
        except OSError:
            self.is_doubtful = True
            raise

    def close(self) -> None:
        """Make it durable and close the file; errors as for `sync`, it is closed all the same."""
        if self._fd < 0:
            return
        try:
            if self._is_torn:
                with suppress(OSError):
                    self._cut()
            self.sync()
        finally:
            os.close(self._fd)
            self._fd = -1


class SegmentReader:
    """Reads the records of one file up to the first that does not check.

    Attributes:
        damage: Set at the end of iteration: None, or what was wrong with the tail.
        end: Where the last good record ended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: str | None = None
        self.end = len(MAGIC)

    def __iter__(self) -> Iterator[Record]:
        """Yield the records in the order they were written.

        Raises:
            IntegrityError: If the file is not a segment.
        """
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < len(MAGIC):
                self.damage = "shorter than its magic" if size else None
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                if data[: len(MAGIC)] != MAGIC:
                    raise IntegrityError(f"{self.path.name} is not a segment file")
                yield from self._records(data, size)

    def _records(self, data: mmap.mmap, size: int) -> Iterator[Record]:
        offset = len(MAGIC)
        while offset < size:
            if offset + HEAD_SIZE > size:
                self.damage = f"torn head at {offset}"
                return
            length, crc, kind, venue, connection, received_ns = _HEAD.unpack_from(data, offset)
            end = offset + HEAD_SIZE + length
            if length > _LARGEST_BODY or end > size:
                self.damage = f"torn body at {offset}"
                return
            body = data[offset + HEAD_SIZE : end]
            if zlib.crc32(body, zlib.crc32(_CHECKED.pack(kind, venue, connection, received_ns))) != crc:
                self.damage = f"checksum does not match at {offset}"
                return
            self.end = end
            yield Record(offset, end, kind, _VENUES.get(venue), connection, received_ns, body)
            offset = end


def segment_path(root: Path, shard: int, now: datetime) -> Path:
    """Return the path of a new segment of `shard` opened at `now`."""
    now = now.astimezone(UTC)
    name = f"{now:%H%M%S}-{secrets.token_hex(4)}.seg"
    return root / f"shard={shard}" / f"date={now:%Y-%m-%d}" / name
