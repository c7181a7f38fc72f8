"""How full the disk may get: an alarm first, then no new trades, then nothing but recording.

A disk is full when it has no bytes left, or no inodes: a file that is to be made needs one of them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from streams.market.errors import ConfigurationError
from streams.settings import Settings

_MARGIN = 1.1
_ROOM_MB = 64
_ROOM_INODES = 100


class DiskLevel(IntEnum):
    """What a disk's free space still allows; a higher level allows less."""

    ENOUGH = 0
    LOW = 1
    NO_NEW_TRADES = 2
    ONLY_RECORDING = 3


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Below how much each level begins: free space (MB), or free inodes."""

    low: int
    no_new_trades: int
    only_recording: int

    def level(self, free: float, before: DiskLevel = DiskLevel.ENOUGH) -> DiskLevel:
        """Return the level now. One that was reached is left only with a tenth more than its mark is free."""
        marks = {
            DiskLevel.ONLY_RECORDING: self.only_recording,
            DiskLevel.NO_NEW_TRADES: self.no_new_trades,
            DiskLevel.LOW: self.low,
        }
        for level, mark in marks.items():
            if free < (mark * _MARGIN if before >= level else mark):
                return level
        return DiskLevel.ENOUGH


INODE_MARKS = Watermarks(10_000, 3_000, 1_000)
"""Free inodes. The database makes files by the hundred, the recorder two a minute; nothing is set by people here."""


def watermarks(settings: Settings) -> Watermarks:
    """Return the marks that are set."""
    return Watermarks(settings.disk_low_mb, settings.disk_no_new_trades_mb, settings.disk_only_recording_mb)


def free_mb(folders: Iterable[Path]) -> float:
    """Return the free space (MB) of the fullest of the disks that these folders lie on.

    Folders that are missing or cannot be asked, as on a disk that is gone, do not count.
    """
    found = [float("inf")]
    for folder in folders:
        with suppress(OSError):
            found.append(shutil.disk_usage(folder).free / 1e6)
    return min(found)


def free_inodes(folders: Iterable[Path]) -> float:
    """Return the free inodes of the disk with the fewest; a disk that makes them as they are needed does not count."""
    found = [float("inf")]
    for folder in folders:
        with suppress(OSError):
            disk = os.statvfs(folder)
            if disk.f_files:
                found.append(disk.f_favail)
    return min(found)


def is_only_recording(settings: Settings) -> bool:
    """Return whether the disk is so full now that nothing but recording may go on."""
    folders = data_folders(settings)
    levels = (watermarks(settings).level(free_mb(folders)), INODE_MARKS.level(free_inodes(folders)))
    return max(levels) is DiskLevel.ONLY_RECORDING


def is_full(settings: Settings) -> bool:
    """Return whether a disk is so full that whoever must write ends; the database's smallest file has 16 MB."""
    folders = data_folders(settings)
    return free_mb(folders) < _ROOM_MB or free_inodes(folders) < _ROOM_INODES


def data_folders(settings: Settings) -> list[Path]:
    """Return a folder on each disk that the system fills: the home and, where it is known, the embedded database's."""
    from streams.storage.database import embedded_server

    folders = [settings.home_dir]
    if settings.database_url is None:
        with suppress(ConfigurationError, OSError):
            folders.append(embedded_server(settings).data_dir)
    return folders
