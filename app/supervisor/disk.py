"""What follows from a disk that fills up: an alarm, then no new trades, then only recording; all undone again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from app.brief_warehouse import brief_connection
from app.supervisor.telling.alarms import Alarms
from streams.disk import INODE_MARKS, DiskLevel, data_folders, free_inodes, free_mb, watermarks
from streams.market.errors import StreamsError
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.store.alerts import clear_alert
from streams.storage.store.risk import last_switch, replace_switch

KEPT_JOBS = frozenset({"record_streams", "hedged_trade", "hedge", "settle_trades"})
"""Jobs that go on at the last level: recording, and ending what is open."""

_SET_BY = "disk"
_KEY = "disk"


@dataclass(frozen=True, slots=True)
class Room:
    """What is free on the fullest disk, and the level that follows from its space (MB) and from its inodes."""

    free_mb: float = float("inf")
    by_space: DiskLevel = DiskLevel.ENOUGH
    free_inodes: float = float("inf")
    by_inodes: DiskLevel = DiskLevel.ENOUGH

    @property
    def level(self) -> DiskLevel:
        """The level in force: whichever allows less."""
        return max(self.by_space, self.by_inodes)


class DiskGuard:
    """Looks at the disk now and then.

    Args:
        settings: With the watermarks.
        alarms: Told of each level.
        end_batch_runs: Ends the runs that are not `KEPT_JOBS`.
    """

    def __init__(self, settings: Settings, alarms: Alarms, end_batch_runs: Callable[[], None]) -> None:
        self._settings = settings
        self._alarms = alarms
        self._end_batch_runs = end_batch_runs
        self._marks = watermarks(settings)
        self._room = Room()

    def look(self) -> None:
        """Measure and tell; asks nobody but the disks."""
        folders = data_folders(self._settings)
        free, inodes, before = free_mb(folders), free_inodes(folders), self._room
        self._room = Room(
            free, self._marks.level(free, before.by_space), inodes, INODE_MARKS.level(inodes, before.by_inodes)
        )
        if self._room.level is not before.level:
            self._tell()

    def follow(self) -> None:
        """Set or clear what the level that was measured last asks for."""
        level = self._room.level
        if level is DiskLevel.ONLY_RECORDING:
            self._end_batch_runs()
        with (
            suppress(psycopg.Error, StreamsError, OSError),
            brief_connection(self._settings, "crossbook supervisor") as connection,
        ):
            hold_trading(connection, is_held=level >= DiskLevel.NO_NEW_TRADES)
            clear_alert(connection, _KEY)  # of a version before the alarms of the supervisor became rows by themselves

    def _tell(self) -> None:
        for level in (DiskLevel.LOW, DiskLevel.NO_NEW_TRADES, DiskLevel.ONLY_RECORDING):
            key = f"{_KEY} {level.name.lower()}"
            if self._room.level >= level:
                self._alarms.open(key, _message(self._room, level))
            else:
                self._alarms.close(
                    key, f"The disk has room again, {self._room.free_mb:.0f} MB; over: {_FOLLOWS[level]}"
                )


_FOLLOWS = {
    DiskLevel.LOW: "free some space",
    DiskLevel.NO_NEW_TRADES: "no trade is opened",
    DiskLevel.ONLY_RECORDING: "only recording goes on",
}


def _message(room: Room, level: DiskLevel) -> str:
    if room.by_space >= level:
        return f"Only {room.free_mb:.0f} MB are free on the disk: {_FOLLOWS[level]}."
    return (
        f"Only {room.free_inodes:.0f} inodes are free on the disk, each new file needs one ({room.free_mb:.0f} MB are "
        f"free): {_FOLLOWS[level]}."
    )


def hold_trading(connection: Connection, *, is_held: bool) -> None:
    """Pause trading while the disk is too full, and let go of nothing but our own pause."""
    switch = last_switch(connection)
    if switch is None:
        return
    if is_held and switch.state == "run":
        replace_switch(connection, switch, "pause", _SET_BY, "the disk is nearly full")
    elif not is_held and (switch.set_by, switch.state) == (_SET_BY, "pause"):
        replace_switch(connection, switch, "run", _SET_BY, "the disk has room again")


def is_paused_by_disk(connection: Connection) -> bool:
    """Whether the pause in force is ours; it stands for `run`."""
    switch = last_switch(connection)
    return switch is not None and (switch.set_by, switch.state) == (_SET_BY, "pause")
