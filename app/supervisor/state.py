"""The lock that allows one supervisor per home, and the file that tells others what it runs."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from streams.market.errors import ConfigurationError


@dataclass(frozen=True)
class RunningState:
    """The running state that `up` writes for `status`, `down` and a second `up`. Holds no secret.

    Attributes:
        pid: Process id of the supervisor.
        addresses: {"dagster", "dashboard", "api", "kalshi", "polymarket", "sql"}; the SQL address has no password.
        is_ready: API and dashboard have answered.
    """

    pid: int
    addresses: dict[str, str]
    is_ready: bool


class HomeLock:
    """An exclusive lock on a home folder; it is freed by the kernel when the holder dies."""

    def __init__(self, home: Path) -> None:
        self._dir = home / "run"
        self._file: IO[str] | None = None

    @property
    def state_path(self) -> Path:
        """Where the running state is written."""
        return self._dir / "state.json"

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            ConfigurationError: If another supervisor holds it; the message carries its addresses.
        """
        self._dir.mkdir(parents=True, exist_ok=True)
        lock = (self._dir / "supervisor.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            state = read_state(self._dir.parent)
            where = ", ".join(f"{name} {address}" for name, address in state.addresses.items()) if state else "starting"
            raise ConfigurationError(f"Crossbook already runs in {self._dir.parent} ({where}).") from None
        self._file = lock

    def publish(self, addresses: dict[str, str], *, is_ready: bool) -> None:
        """Write the running state, whole or not at all."""
        state = RunningState(os.getpid(), addresses, is_ready)
        draft = self.state_path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(state)))
        draft.replace(self.state_path)

    def release(self) -> None:
        """Remove the state and the lock file, and free the lock."""
        self.state_path.unlink(missing_ok=True)
        (self._dir / "supervisor.lock").unlink(missing_ok=True)
        if self._file is not None:
            self._file.close()
            self._file = None


def read_state(home: Path) -> RunningState | None:
    """Return what runs in `home`, None when nothing does (a state left by a killed supervisor counts as nothing)."""
    try:
        state = RunningState(**json.loads((home / "run" / "state.json").read_text()))
        lock = (home / "run" / "supervisor.lock").open("a+")
    except (OSError, ValueError, TypeError):
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return state
    return None
