"""The one file of a home's supervisor: the lock that allows one at a time, and what others may know of it.

`supervisor.json` in the home is locked by its supervisor until that ends, and never removed. Whoever asks what runs
tests the lock without taking it, so that asking never disturbs a start. Its first line names the process by boot and
start ticks: what a killed supervisor left behind is never taken for a running one, and no stranger is ever signalled.

While all is ready, `run/state.json` is a link to it, for scripts that wait for that name.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streams.market.errors import ConfigurationError, TransientError
from streams.private_folders import make_private_folder
from streams.process_id import ProcessId

_FLOCK = "hhqqi4x"
_READ_ATTEMPTS = 20


@dataclass(frozen=True)
class RunningState:
    """What `status`, `down` and a second `up` know of a running supervisor. Holds no secret.

    Attributes:
        pid: Process id of the supervisor.
        addresses: {"dagster", "dashboard", "api", "kalshi", "polymarket", "sql"}; the SQL address has no password.
        is_ready: API and dashboard have answered.
        process: Its whole identity (`ProcessId` as text); empty where an earlier version runs.
    """

    pid: int
    addresses: dict[str, str]
    is_ready: bool
    process: str = ""

    def signal(self, number: int) -> bool:
        """Send a signal to this very supervisor and to no other process; False if it cannot be reached from here."""
        known = ProcessId.parse(self.process) or ProcessId.of(self.pid)
        return known is not None and known.signal(number)

    def is_same(self, other: RunningState | None) -> bool:
        """Whether both are of one start."""
        return other is not None and (self.pid, self.process) == (other.pid, other.process)


class HomeLock:
    """An exclusive lock on a home folder; it is freed by the kernel when the holder dies."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._descriptor: int | None = None

    @property
    def state_path(self) -> Path:
        """The file with lock and state; it stays when nothing runs."""
        return self._home / "supervisor.json"

    def acquire(self) -> None:
        """Take the lock and say that a start is under way.

        Raises:
            ConfigurationError: If another supervisor holds it; the message carries its addresses. Also where the home
                cannot be written.
        """
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            make_private_folder(self._home / "run")
            descriptor = os.open(self.state_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(f"CROSSBOOK_HOME ({self._home}) cannot be written: {error.strerror}.") from None
        try:
            is_taken = take_lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise ConfigurationError(f"CROSSBOOK_HOME ({self._home}) cannot be locked: {error.strerror}.") from None
        if not is_taken:
            os.close(descriptor)
            raise ConfigurationError(self._refusal(read_state(self._home)))
        earlier = _earlier_state(self._home)
        if earlier is not None:
            os.close(descriptor)
            raise ConfigurationError(self._refusal(earlier))
        self._descriptor = descriptor
        for name in ("state.json", "supervisor.lock"):
            (self._home / "run" / name).unlink(missing_ok=True)
        self.publish({}, is_ready=False)

    def check(self) -> None:
        """See that the file we hold is still the one of this home.

        Raises:
            TransientError: If the home was removed, moved or replaced: whoever comes next holds another file, and what
                we start again would begin there with nothing.
        """
        assert self._descriptor is not None
        try:
            found, held = os.stat(self.state_path), os.fstat(self._descriptor)
        except (FileNotFoundError, NotADirectoryError):
            is_ours = False
        except OSError:  # a disk or a folder that cannot be looked at now says nothing
            return
        else:
            is_ours = (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)
        if not is_ours:
            raise TransientError(f"CROSSBOOK_HOME ({self._home}) was removed or replaced while Crossbook ran in it")

    def publish(self, addresses: dict[str, str], *, is_ready: bool) -> None:
        """Write the running state in place.

        Raises:
            ConfigurationError: If the disk is full.
        """
        assert self._descriptor is not None
        state = RunningState(os.getpid(), addresses, is_ready, str(ProcessId.own()))
        line = json.dumps(asdict(state)).encode() + b"\n"
        try:
            os.pwrite(self._descriptor, line, 0)
            os.ftruncate(self._descriptor, len(line))
            self._link(is_ready)
        except OSError as error:
            raise ConfigurationError(f"{self.state_path} cannot be written: {error.strerror}.") from None

    def release(self) -> None:
        """Empty the state and free the lock; the file stays."""
        if self._descriptor is None:
            return
        with suppress(OSError):
            self._link(False)
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = None

    def _link(self, is_ready: bool) -> None:
        link = self._home / "run" / "state.json"
        link.unlink(missing_ok=True)
        if is_ready:
            link.symlink_to(Path("..") / self.state_path.name)

    def _refusal(self, state: RunningState | None) -> str:
        where = "starting" if state is None else f"pid {state.pid}"
        if state is not None and state.addresses:
            where = ", ".join(f"{name} {address}" for name, address in state.addresses.items())
        return f"Crossbook already runs in {self._home} ({where})."


def read_state(home: Path) -> RunningState | None:
    """Return what runs in `home`, None when nothing does. Takes no lock and writes nothing.

    Raises:
        ConfigurationError: If that is not ours to know: the home is another user's.
    """
    path = home / "supervisor.json"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except PermissionError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except OSError:
        return _earlier_state(home)
    try:
        for _ in range(_READ_ATTEMPTS):
            if not is_locked(descriptor):
                return _earlier_state(home)
            state = _parse(os.pread(descriptor, 65_536, 0).split(b"\n", 1)[0])
            if state is not None and _is_plausible(state):
                return state
            time.sleep(0.01)  # between its lock and its first line, or between two lines
    finally:
        os.close(descriptor)
    return RunningState(0, {}, is_ready=False)


def take_lock(descriptor: int) -> bool:
    """Lock a file that is open to write, until it is closed or its holder dies; False if somebody else has it.

    Raises:
        OSError: If its disk knows no such locks.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except (BlockingIOError, PermissionError):
        return False
    return True


def is_locked(descriptor: int) -> bool:
    """Whether somebody else has locked a file, asked without taking the lock."""
    wanted = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    found: tuple[int, ...] = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, wanted))
    return found[0] != fcntl.F_UNLCK


def _is_plausible(state: RunningState) -> bool:
    """Whether whoever holds the lock can have written the line: a process that is gone cannot."""
    process = ProcessId.parse(state.process)
    return process is None or not process.is_gone


def _parse(line: bytes) -> RunningState | None:
    try:
        document: dict[str, Any] = json.loads(line)
        return RunningState(**document)
    except (ValueError, TypeError):
        return None


def _earlier_state(home: Path) -> RunningState | None:
    """Return what runs there if a version before this file started it: it locks `run/supervisor.lock` by flock."""
    try:
        lock = (home / "run" / "supervisor.lock").stat()
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    place = f"{os.major(lock.st_dev):02x}:{os.minor(lock.st_dev):02x}:{lock.st_ino}"
    holders = [fields[4] for fields in map(str.split, lines) if fields[1:2] == ["FLOCK"] and fields[5:6] == [place]]
    if not holders:
        return None
    try:
        state = _parse((home / "run" / "state.json").read_bytes())
    except OSError:
        state = None
    return RunningState(int(holders[0]), {} if state is None else state.addresses, is_ready=state is not None)
