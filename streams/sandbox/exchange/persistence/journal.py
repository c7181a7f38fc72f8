"""The sandbox's database: documents in tables, each commit one transaction that is on disk when it returns.

    meta     what was written by whom: format, source, anchor_ms, written_ms
    listing, market, house            a row per market: its listing, its state, the makers' quotes in it
    ticket, trade, payout, position   rows of a market, by their own key
    account, value                    rows of a venue, by account and by name

SQLite in WAL mode with synchronous FULL. The file is locked from its opening to its closing, so one process at a time
has it; a transaction that a kill cut off is gone at the next opening, everything before it counts.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from streams.market.errors import ConfigurationError
from streams.market.identity import Venue

FORMAT = 3
"""Counts up when what the database holds changes its form; 2 was a folder of files (`old_journal`)."""

_OF_MARKETS = ("listing", "market", "house", "ticket", "trade", "payout", "position")
_REMEDY = "put a copy of its folder in its place, or move the folder away and the sandbox starts anew."
_TABLES = (*_OF_MARKETS, "account", "value")


class Row(NamedTuple):
    """A document and its place; `market_id` and `key` are empty where a table has none."""

    table: str
    venue: str
    market_id: str
    key: str
    document: bytes


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a sandbox was when it ended.

    Attributes:
        source: What its flow is made from, in words.
        anchor_ms: When it first started.
        listings: Every listed market (`snapshot.listing_state`), in the order of their numbers.
        states: States of exchanges (`snapshot.apply_state`), older ones first.
        house: Each venue's house quotes (`snapshot.reopen_books`).
        flow: The flow's state.
    """

    source: str
    anchor_ms: int
    listings: list[dict[str, Any]]
    states: list[tuple[Venue, dict[str, Any]]]
    house: dict[Venue, list[list[Any]]]
    flow: dict[str, Any]


class Journal:
    """One sandbox's database, for the thread that opened it.

    Raises:
        ConfigurationError: If another process has it, if it is damaged, somebody else's or of another format, or if the
            disk is full; one sentence each. It is left as it was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._readable():
            self._refuse_lone_log()
            if not path.exists():
                _make_empty(path)
            self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
            try:
                self._open()
            except BaseException:
                self._connection.close()
                raise

    def _refuse_lone_log(self) -> None:
        """A log without its database: what it holds would be lost with a new one, or would garble that."""
        log = self.path.with_name(f"{self.path.name}-wal")
        if log.exists() and log.stat().st_size and not (self.path.exists() and self.path.stat().st_size):
            raise ConfigurationError(f"{self.path} is missing or empty, but {log.name} is there; {_REMEDY}")

    def _open(self) -> None:
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        tables = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and not ({"meta"} <= tables <= {"meta", *_TABLES}):
            raise ConfigurationError(f"{self.path} is not a database of the sandbox; {_REMEDY}")
        if tables:
            self._refuse_other_format(dict(self._connection.execute("SELECT key, value FROM meta").fetchall()))
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value)")
        for table in _TABLES:
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {table} (venue TEXT NOT NULL, market_id TEXT NOT NULL, key TEXT NOT NULL,"
                " document BLOB NOT NULL, PRIMARY KEY (venue, market_id, key))"
            )
        self._connection.execute("COMMIT")

    def read(self) -> tuple[dict[str, str | int], list[Row]]:
        """Return what is noted of the whole, and every row; nothing where no start came as far as its first note.

        What such a start left behind is removed.
        """
        with self._readable():
            meta: dict[str, str | int] = dict(self._connection.execute("SELECT key, value FROM meta").fetchall())
            if not meta:
                with self._transaction():
                    for table in _TABLES:
                        self._connection.execute(f"DELETE FROM {table}")
                return {}, []
            self._refuse_other_format(meta)
            rows = [
                Row(table, *row)
                for table in _TABLES
                for row in self._connection.execute(f"SELECT venue, market_id, key, document FROM {table}")
            ]
        return meta, rows

    def commit(
        self,
        rows: Iterable[Row],
        evicted: Iterable[tuple[str, str]] = (),
        meta: Mapping[str, str | int] | None = None,
    ) -> None:
        """Drop everything of the forgotten markets (venue, market id), then put rows in place of those before.

        Raises:
            OSError: If it cannot be written, for instance on a full disk; then nothing of it is.
        """
        try:
            with self._transaction():
                for gone in evicted:
                    for table in _OF_MARKETS:
                        self._connection.execute(f"DELETE FROM {table} WHERE venue = ? AND market_id = ?", gone)
                for table, *values in rows:
                    self._connection.execute(
                        f"INSERT INTO {table} VALUES (?, ?, ?, ?)"
                        " ON CONFLICT DO UPDATE SET document = excluded.document",
                        values,
                    )
                self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", (meta or {}).items())
        except sqlite3.Error as error:
            reason = errno.ENOSPC if _code(error) == sqlite3.SQLITE_FULL else errno.EIO
            raise OSError(reason, str(error), str(self.path)) from error

    def copy(self) -> bytes:
        """Return the database as a file would hold it, as of the last commit."""
        return self._connection.serialize()

    def settle(self) -> None:
        """Put everything into the one file, so that it can be moved by itself.

        Raises:
            OSError: If that cannot be written.
        """
        try:
            busy, left, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            reason = errno.ENOSPC if _code(error) == sqlite3.SQLITE_FULL else errno.EIO
            raise OSError(reason, str(error), str(self.path)) from error
        if busy or left:
            raise OSError(errno.EIO, "its log could not be put into it", str(self.path))

    def _refuse_other_format(self, meta: Mapping[str, str | int]) -> None:
        if meta and meta.get("format") != FORMAT:
            raise ConfigurationError(
                f"{self.path} was written by another version; go on with that one, or move the folder away and "
                "the sandbox starts anew."
            )

    def close(self) -> None:
        """Close the file and give it free."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Say in one sentence why the database cannot be had."""
        try:
            yield
        except sqlite3.Error as error:
            if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise ConfigurationError(f"Another sandbox is already running on {self.path.parent}.") from None
            if _code(error) == sqlite3.SQLITE_FULL:
                raise ConfigurationError(f"The disk of {self.path} is full; free some space.") from None
            raise ConfigurationError(f"{self.path} cannot be used ({error}); {_REMEDY}") from None
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be used: {error.strerror}.") from None


def refuse_emptied(path: Path) -> None:
    """Refuse a file without bytes: no start leaves one, so what was in it is lost.

    Raises:
        ConfigurationError: If it is one.
    """
    if path.exists() and path.stat().st_size == 0:
        raise ConfigurationError(f"{path} is empty, which no start leaves; {_REMEDY}")


def _make_empty(path: Path) -> None:
    """Make a database without rows, whole or not at all: a file without bytes is one that was lost."""
    draft = path.with_name(f"{path.name}.first")
    remove(draft)
    draft.touch(mode=0o600)
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value)")
    draft.replace(path)


def is_begun(path: Path) -> bool:
    """Whether a database is there and noted anything: one that did not is of a first start that never came so far.

    Raises:
        ConfigurationError: As `Journal` does.
    """
    if not path.exists() or path.stat().st_size == 0:
        return False
    with closing(Journal(path)) as found:
        return bool(found.read()[0])


def remove(path: Path) -> None:
    """Remove a database with the files SQLite keeps beside it."""
    for suffix in ("-wal", "-shm", "-journal", ""):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Say in one sentence that what a file holds makes no sense.

    Raises:
        ConfigurationError: If making something of its documents fails.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ConfigurationError(
            f"{path} holds a document that makes no sense ({type(error).__name__}); {_REMEDY}"
        ) from error


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, 0 where the error is not SQLite's."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
