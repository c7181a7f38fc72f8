"""The pause of trading while a backup is made: it lasts as long as whoever makes it, however that ends.

`backup.lock` in the home is locked meanwhile and never removed. The kernel frees the lock of a backup that is killed;
the supervisor then lets trading go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.supervisor.state import is_locked, take_lock
from streams.market.errors import ConfigurationError
from streams.storage.database import Connection
from streams.storage.store.risk import last_switch, replace_switch

SET_BY = "backup"
_NAME = "backup.lock"


@contextmanager
def only_backup(home: Path) -> Iterator[None]:
    """Be the only one who makes a backup of a home.

    Raises:
        ConfigurationError: If somebody else does, or the home cannot be written.
    """
    try:
        descriptor = os.open(home / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"CROSSBOOK_HOME ({home}) cannot be written: {error.strerror}.") from None
    try:
        if not take_lock(descriptor):
            raise ConfigurationError(f"Another backup of {home} is being made; wait until that is done.")
        yield
    finally:
        os.close(descriptor)


def is_paused_for_backup(connection: Connection) -> bool:
    """Whether the pause in force is that of a backup; it stands for `run`."""
    switch = last_switch(connection)
    return switch is not None and (switch.set_by, switch.state) == (SET_BY, "pause")


def end_dead_pause(connection: Connection, home: Path) -> bool:
    """Let trading go on where a backup paused it and was killed; returns whether it did."""
    switch = last_switch(connection)
    if switch is None or (switch.set_by, switch.state) != (SET_BY, "pause") or _is_being_made(home):
        return False
    return replace_switch(connection, switch, "run", SET_BY, "whoever made the backup is gone")


def _is_being_made(home: Path) -> bool:
    try:
        descriptor = os.open(home / _NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return is_locked(descriptor)
    finally:
        os.close(descriptor)
