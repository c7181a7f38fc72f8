"""A kill waits for no warehouse: first on disk, where it is in force, then as a row, and only then off the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import psycopg

from app.brief_warehouse import brief_connection
from streams.market.errors import ConfigurationError, StreamsError, TransientError
from streams.settings import Settings
from streams.storage.kill_files import KillFile, is_kill_on_disk, keep_kill, record_kills

T = TypeVar("T")

ROW_LIMIT_S = 6.0
"""How long a kill waits for its row (seconds), with what is under way; after that the file on disk is its answer."""
ON_DISK = (
    "The warehouse does not answer. The kill lies on disk and is in force for every order of this machine that has not"
    " left; it is recorded as soon as the warehouse is there. Machines that share the database stop only then."
)
"""What people are told of a kill that has no row yet."""


class KillNotTaken(TransientError):
    """Neither disk nor warehouse has taken a kill in time."""

    def __str__(self) -> str:
        return (
            "Neither the disk of CROSSBOOK_HOME nor the warehouse has taken the kill: orders may still be sent. Stop "
            "the system (`crossbook down`)."
        )


def kill_first(
    home: Path, write_row: Callable[[], T], *, who: str, reason: str, within_s: float = ROW_LIMIT_S
) -> T | None:
    """Put a kill on disk, then have its row written; return what that gave, None where only the disk has it yet.

    The row's writer goes on when the time is over; whatever becomes of it, the file goes only after a row.

    Args:
        home: Of the whole system.
        write_row: Writes the row, and waits for what is under way.
        who: The person's name, as it stands in the row.
        reason: Why, as it stands in the row.
        within_s: How long the row is waited for.

    Raises:
        KillNotTaken: If the disk did not take the kill and its row is not written in time.
        Exception: What `write_row` raised, if the disk did not take the kill either.
    """
    kept = _keep(home, who, reason)
    written: Future[T] = Future()

    def work() -> None:
        try:
            result = write_row()
        except BaseException as error:
            if kept is not None:
                kept.close()
            written.set_exception(error)
        else:
            if kept is not None:
                _remove(kept)
            written.set_result(result)

    threading.Thread(target=work, name="kill", daemon=True).start()
    try:
        return written.result(within_s)
    except Exception:
        if kept is not None:
            return None
        if not written.done():
            raise KillNotTaken from None
        raise


def record_kills_on_disk(settings: Settings) -> int:
    """Record the kills on disk as soon as the warehouse is there; return how many were recorded now."""
    if not is_kill_on_disk(settings.home_dir):
        return 0
    with suppress(StreamsError, psycopg.Error, OSError):
        with brief_connection(settings, "crossbook kills") as connection:
            return record_kills(connection, settings.home_dir)
    return 0


def _keep(home: Path, who: str, reason: str) -> KillFile | None:
    """Put it on disk; None where there is no home, or the disk does not take it: then only the row counts."""
    try:
        return keep_kill(home, who, reason) if home.is_dir() else None
    except (OSError, ConfigurationError):
        return None


def _remove(kept: KillFile) -> None:
    try:
        kept.remove()
    except OSError:  # it stays in force; the supervisor tries again
        with suppress(OSError):
            kept.close()
