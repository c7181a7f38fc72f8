"""A kill on disk: in force from the moment its file is there, whatever the warehouse, the login or the proxy does.

Each kill is a file of its own in the folder `kill` of a home, so that two never meet. Whoever sends orders from this
home reads the folder with the switch row, as the last act before an order leaves; the file counts like a row `kill`.
The row is written as soon as the database is there, and only then the file is removed: at every moment one of the two
says kill. Whoever holds a file's lock writes its row; a writer that died has lost its lock, and the next one takes it
up. A row that was written by one who died before the removal is found by its reason and not written again.

The folder is of one machine. Where several machines send orders on one database, the others stop at the row.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from streams.market.documents import storable_text
from streams.market.trading import SwitchState
from streams.private_folders import make_private_folder, sync_folder
from streams.storage.database import Connection
from streams.storage.store.risk import current_switch, set_switch, set_switch_once

_UNREADABLE = ("crossbook", "a kill whose file cannot be read")
"""Name and reason of a kill whose file says nothing: its being there is enough."""
_SIZE_MAX = 1_000_000
_SPARE = ".spare"
"""An empty file that becomes a kill by its name alone."""


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    who: str
    reason: str
    since: str


@dataclass(frozen=True, slots=True)
class KillFile:
    """A kill on disk, as long as it is held by who writes its row.

    Attributes:
        path: Of its file.
        who: The person's name.
        reason: Why, in their words.
        since: When it was given, as its file says.
        lock: Descriptor of the open file, whose lock this process holds.
    """

    path: Path
    who: str
    reason: str
    since: str
    lock: int

    def close(self) -> None:
        """Leave it to the next one; it stays in force."""
        os.close(self.lock)

    def remove(self) -> None:
        """Take it away, once its row is committed.

        Raises:
            OSError: If it cannot be removed; it stays in force, and the next one tries again.
        """
        self.path.unlink(missing_ok=True)
        sync_folder(self.path.parent)
        self.close()


def kill_folder(home: Path) -> Path:
    """Return where the kills of a home lie."""
    return home / "kill"


def is_kill_on_disk(home: Path) -> bool:
    """Whether a kill lies on disk; also where that cannot be seen."""
    try:
        with os.scandir(kill_folder(home)) as found:
            return any(not entry.name.startswith(".") for entry in found)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def switch_in_force(connection: Connection, home: Path) -> SwitchState:
    """Return the switch that orders of this home are held to: kill where one lies on disk, else the row's.

    The disk is read before the row, because a file that is gone has left its row, and again after it, because the row
    may take a while.
    """
    if is_kill_on_disk(home):
        return "kill"
    switch = current_switch(connection)
    return "kill" if is_kill_on_disk(home) else switch


def prepare_kills(home: Path) -> None:
    """Make the folder and a spare file in it, so that a kill needs no room on the disk; called again and again.

    Raises:
        OSError: If the disk takes neither.
        ConfigurationError: If the folder is not only ours.
    """
    owner = _owner(home)
    make_private_folder(kill_folder(home), owner)
    spare = kill_folder(home) / _SPARE
    if not os.path.lexists(spare):
        os.close(_make_file(spare, owner))


def keep_kill(home: Path, who: str, reason: str) -> KillFile:
    """Put a kill on disk; it is in force when this returns, and held until it is closed or removed.

    It is synced where the disk does that. Where the disk takes no more its file says nothing; where it makes no more
    files, the spare one is taken.

    Raises:
        OSError: If it cannot be written.
        ConfigurationError: If the folder is not only ours.
    """
    folder = kill_folder(home)
    owner = _owner(home)
    make_private_folder(folder, owner)
    since = datetime.now(UTC).isoformat(sep=" ")
    name = f"{since.replace(' ', 'T')}-{secrets.token_hex(4)}"
    draft = folder / f".{name}"
    try:
        lock = _make_file(draft, owner)
    except OSError:
        (folder / _SPARE).rename(draft)  # of two kills at once one gets it
        lock = os.open(draft, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        content = msgspec.json.encode(_Content(storable_text(who), storable_text(reason), since))
        try:
            _write_whole(lock, content)
            os.fsync(lock)
        except OSError:  # its being there is enough; the file's time is that of the kill
            with suppress(OSError):
                os.utime(lock)
        draft.rename(folder / name)
    except BaseException:
        os.close(lock)
        with suppress(OSError):
            draft.unlink()
        raise
    kept = KillFile(folder / name, who, reason, since, lock)
    for place in (folder, home):
        with suppress(OSError):
            sync_folder(place)
    return kept


def record_kills(connection: Connection, home: Path) -> int:
    """Write the row of each kill on disk that nobody else is writing, then remove its file; return how many.

    Args:
        connection: To the warehouse, outside of a transaction.
        home: Of the whole system.

    Raises:
        psycopg.Error: If the warehouse fails; the file stays.
        OSError: If the folder cannot be read or a file not be removed.
    """
    count = 0
    for path in _kill_paths(home):
        kill = _take(path)
        if kill is None:
            continue
        try:
            set_switch_once(connection, "kill", kill.who, f"{kill.reason} (on disk since {kill.since})".strip())
        except BaseException:
            kill.close()
            raise
        kill.remove()
        count += 1
    return count


def record_kill(connection: Connection, kill: KillFile) -> int:
    """Write the row of a kill that this process has just put on disk; return the switch's id. The file stays."""
    return set_switch(connection, "kill", kill.who, kill.reason)


def _kill_paths(home: Path) -> list[Path]:
    try:
        return sorted(path for path in kill_folder(home).iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []


def _take(path: Path) -> KillFile | None:
    """Return a kill with its lock; None while another process holds it, or once it is recorded."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists():  # who held it has removed it meanwhile
            raise BlockingIOError
    except BlockingIOError:
        os.close(lock)
        return None
    said = _content(lock)
    return KillFile(path, said.who, said.reason, said.since, lock)


def _content(descriptor: int) -> _Content:
    """Return what a kill's file says; where it says nothing, its time names the kill in its row."""
    try:
        return msgspec.json.decode(os.pread(descriptor, _SIZE_MAX, 0), type=_Content)
    except (msgspec.MsgspecError, ValueError, OSError, RecursionError):
        written = datetime.fromtimestamp(os.fstat(descriptor).st_mtime, UTC)
        return _Content(*_UNREADABLE, written.isoformat(sep=" "))


def _make_file(path: Path, owner: tuple[int, int] | None) -> int:
    """Make an empty file that only we may read, and return its open descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if owner is not None:
        os.fchown(descriptor, *owner)
    return descriptor


def _owner(home: Path) -> tuple[int, int] | None:
    """Return whose home it is where that is another user than the administrator who acts; None for our own."""
    found = home.stat()
    return (found.st_uid, found.st_gid) if os.geteuid() == 0 != found.st_uid else None


def _write_whole(descriptor: int, content: bytes) -> None:
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
