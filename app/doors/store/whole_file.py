"""The file of the accounts as a whole: whether it can be used, and a copy of it for a backup."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from app.doors.store.file import accounts_path
from streams.market.errors import ConfigurationError


def copy_accounts(home: Path, target: Path) -> bool:
    """Copy the accounts of a home as of one moment, while they are used or not; return whether there are any.

    Sessions and links stay behind: a restore signs nobody in.

    Raises:
        ConfigurationError: If they cannot be read, or are damaged.
    """
    path = accounts_path(home)
    if not path.exists():
        return False
    try:
        with closing(_open_to_read(path)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            trouble = _trouble(copy)
            if not trouble:
                copy.execute("PRAGMA journal_mode = DELETE")
                copy.execute("PRAGMA secure_delete = ON")
                for table in ("sessions", "links", "wrong_passwords"):
                    copy.execute(f"DELETE FROM {table}")
                copy.commit()
    except (sqlite3.Error, OSError) as error:
        trouble = str(error)
    if trouble:
        raise ConfigurationError(f"{path} cannot be copied: {trouble}.")
    return True


def accounts_trouble(home: Path) -> str:
    """Return why the accounts of a home cannot be used; empty where they can, or where there are none yet."""
    path = accounts_path(home)
    if not os.path.lexists(path):
        return ""
    try:
        with closing(_open_to_read(path)) as source:
            trouble = _trouble(source)
            source.execute("SELECT name, role FROM people LIMIT 1")
    except (sqlite3.Error, OSError) as error:
        trouble = str(error)
    if not trouble and not os.access(path, os.W_OK):
        trouble = "it cannot be written"
    return f"{path} cannot be used: {trouble}" if trouble else ""


def has_people(home: Path) -> bool:
    """Whether a home's accounts hold anybody; where they cannot be read, somebody may be in them."""
    path = accounts_path(home)
    if not os.path.lexists(path):
        return False
    try:
        with closing(_open_to_read(path)) as source:
            return source.execute("SELECT 1 FROM people LIMIT 1").fetchone() is not None
    except (sqlite3.Error, OSError):
        return True


def _open_to_read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5.0)


def _trouble(connection: sqlite3.Connection) -> str:
    found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    return "" if found == "ok" else "it is damaged"
