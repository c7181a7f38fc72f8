"""The one SQLite file of the accounts: its tables, and reading and writing them from any process and thread."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from streams.market.errors import ConfigurationError
from streams.private_folders import make_private_folder

_BUSY_MS = 5_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
    name TEXT PRIMARY KEY,
    folded TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    password TEXT,
    subject TEXT UNIQUE,
    is_active INTEGER NOT NULL DEFAULT 1,
    added_at REAL NOT NULL,
    added_by TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS links (
    hash TEXT PRIMARY KEY,
    name TEXT NOT NULL REFERENCES people ON DELETE CASCADE,
    ends_at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
    hash TEXT PRIMARY KEY,
    session TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL REFERENCES people ON DELETE CASCADE,
    how TEXT NOT NULL,
    opened_at REAL NOT NULL,
    seen_at REAL NOT NULL,
    confirmed_at REAL
) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
    token_id INTEGER PRIMARY KEY,
    label TEXT NOT NULL,
    name TEXT NOT NULL REFERENCES people ON DELETE CASCADE,
    hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    made_at REAL NOT NULL,
    ends_at REAL,
    revoked_at REAL,
    used_at REAL
) STRICT;
CREATE TABLE IF NOT EXISTS clock (place INTEGER PRIMARY KEY, at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS wrong_passwords (folded TEXT NOT NULL, at REAL NOT NULL) STRICT;
"""


def accounts_path(home: Path) -> Path:
    """Return where the accounts of a home lie."""
    return home / "doors" / "accounts.sqlite"


def accounts_stamp(home: Path) -> tuple[int, int]:
    """Return what tells the file of a home's accounts from another one in its place; zeros where there is none."""
    try:
        found = accounts_path(home).stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


class AccountFile:
    """The file of a home's accounts, for any number of processes and threads at once.

    Args:
        home: Of the whole system.

    Raises (every method):
        ConfigurationError: If the file cannot be used.
    """

    def __init__(self, home: Path) -> None:
        self._path = accounts_path(home)
        self._lock = threading.RLock()
        make_private_folder(self._path.parent)
        try:
            self._connection = sqlite3.connect(
                self._path, timeout=_BUSY_MS / 1_000, isolation_level=None, check_same_thread=False
            )
            self._path.chmod(0o600)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(f"{self._path} cannot be used: {error}.") from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def rows(self, query: str, values: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        with self._lock:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise ConfigurationError(f"{self._path} cannot be read: {error}.") from None

    def row(self, query: str, values: tuple[object, ...]) -> sqlite3.Row | None:
        """Return the first row of a query; None where there is none."""
        rows = self.rows(query, values)
        return rows[0] if rows else None

    def note(self, statement: str, *values: object) -> None:
        """Write down what a look found; a full disk or a busy file keeps nobody out, and nobody waiting."""
        with self._lock, suppress(ConfigurationError, sqlite3.Error):
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                with self.writing() as write:
                    write.execute(statement, values)
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; within another one, part of it."""
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise ConfigurationError(f"{self._path} cannot be written: {error}.") from None


def hash_of(text: str) -> str:
    """Return what is stored of a code, a session or a token."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
