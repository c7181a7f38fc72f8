"""Back up warehouse, sandbox, people, keystore and settings into one file, while the system runs or is stopped.

While it runs in the sandbox, trading pauses until nothing is under way, and the exchanges are copied just after the
moment that the warehouse is copied of: so no order, fill or payout is in the warehouse that the exchanges do not know.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import httpx

from app.backup.archive import (
    ACCOUNTS,
    KEY_FILES,
    PEOPLE,
    SANDBOX,
    SETTINGS,
    WAREHOUSE,
    Manifest,
    refuse_taken,
    write_archive,
)
from app.backup.tools import explained_database, run_tool
from app.doors.store.whole_file import copy_accounts
from app.supervisor.backup_pause import SET_BY, is_paused_for_backup, only_backup
from app.supervisor.checks.preflight import check_restored
from app.supervisor.state import HomeLock, read_state
from streams.market.errors import ConfigurationError, TransientError
from streams.private_folders import home_socket
from streams.settings import Settings, setting_name, written_value
from streams.storage.access.logins import Login
from streams.storage.database import connect, database_dsn, embedded_server
from streams.storage.store.executions import count_open_longer_than
from streams.storage.store.risk import current_switch, last_switch, replace_switch, set_switch
from streams.storage.store.warehouse import newest_migration
from streams.venues.common.http import HttpRequest, whole_exchange

_QUIET_LIMIT_S = 120.0
_COPY_LIMIT_S = 60.0
_SQLITE = b"SQLite format 3\x00"
"""How every database of SQLite begins."""


def back_up(settings: Settings, target: Path) -> Manifest:
    """Write a backup of this home to `target` and return what it holds.

    Raises:
        ConfigurationError: If there is nothing to back up, the target cannot be meant or written, or somebody else
            makes a backup or starts the system.
        TransientError: If trades do not come to rest, or a program fails. Nothing is left under the name then.
    """
    refuse_taken(target)
    place = target.absolute().parent
    if not place.is_dir():
        raise ConfigurationError(f"{target} cannot be written: {place} is no folder.")
    if settings.database_url is None and not (embedded_server(settings).home / "pg_password").exists():
        raise ConfigurationError(f"There is nothing to back up in {settings.home_dir}.")
    check_restored(settings.home_dir)
    try:
        settings.home_dir.mkdir(parents=True, exist_ok=True)
        with only_backup(settings.home_dir), _running_or_held(settings.home_dir) as is_running:
            with _draft(settings, place) as folder, explained_database():
                about = _collect(settings, folder, is_running=is_running)
                return write_archive(target, folder, about)
    except OSError as error:
        raise ConfigurationError(f"No backup was made: {error.filename or target}: {error.strerror}.") from None


def _collect(settings: Settings, folder: Path, *, is_running: bool) -> Manifest:
    """Put copies of everything into `folder`; return the manifest without sums."""
    with _warehouse(settings) as dsn:
        schema = _copy_databases(settings, dsn, folder, is_running=is_running)
    for name in KEY_FILES:
        if (settings.home_dir / name).exists():
            shutil.copyfile(settings.home_dir / name, folder / name)
    copy_accounts(settings.home_dir, folder / PEOPLE)
    (folder / SETTINGS).write_text(json.dumps(settings_to_keep(settings)))
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    return Manifest(version("crossbook"), settings.venues, made_at, {}, schema)


def settings_to_keep(settings: Settings) -> dict[str, object]:
    """Return the settings that were set as {"values": {name: text}, "secrets": [names]}; no secret's value."""
    values: dict[str, str] = {}
    hidden: list[str] = []
    for field in sorted(settings.model_fields_set - {"home", "i_understand"}):
        value = getattr(settings, field)
        if hasattr(value, "get_secret_value") or "@" in str(value):
            hidden.append(setting_name(field))
        elif value is not None:
            values[setting_name(field)] = written_value(value)
    return {"values": values, "secrets": hidden}


@contextmanager
def _running_or_held(home: Path) -> Iterator[bool]:
    """Say whether the system runs. One that is stopped stays so: no start is possible meanwhile."""
    if read_state(home) is not None:
        yield True
        return
    lock = HomeLock(home)
    lock.acquire()
    try:
        yield False
    finally:
        lock.release()


@contextmanager
def _draft(settings: Settings, place: Path) -> Iterator[Path]:
    """Give a folder beside the target that only we may enter; what a killed backup of this home left goes."""
    who = os.fsencode(f"{socket.gethostname()}:{settings.home_dir}")  # several machines may share the folder
    prefix = f".backup-{sha256(who).hexdigest()[:10]}-"
    for left in place.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _warehouse(settings: Settings) -> Iterator[str]:
    """Give the address of the warehouse; the embedded server of a stopped system runs meanwhile."""
    server = embedded_server(settings)
    starts = settings.database_url is None and server.running_pid() is None
    if starts:
        server.start()
    try:
        yield database_dsn(settings, Login.OWNER)
    finally:
        if starts:
            server.stop()


def _copy_databases(settings: Settings, dsn: str, folder: Path, *, is_running: bool) -> str:
    """Copy warehouse and sandbox as of one moment; return the number of the warehouse's newest migration."""
    with connect(dsn, application="crossbook-backup") as connection:
        schema = newest_migration(connection)
        with _at_rest(dsn) if is_running and settings.venues == "sandbox" else nullcontext():
            # It is idle for as long as the dump takes, and its snapshot ends with it.
            connection.execute("SET idle_in_transaction_session_timeout = 0")
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            row = connection.execute("SELECT pg_export_snapshot() AS snapshot").fetchone()
            assert row is not None
            if settings.venues == "sandbox":
                _copy_sandbox(settings, folder, is_running=is_running)
        arguments = ["--format=custom", f"--snapshot={row['snapshot']}", f"--file={folder / WAREHOUSE}"]
        run_tool(settings, "pg_dump", dsn, arguments)
    return schema


@contextmanager
def _at_rest(dsn: str) -> Iterator[None]:
    """Pause trading until no execution is open; afterwards it goes on, unless somebody set the switch meanwhile."""
    with connect(dsn, application="crossbook-backup") as connection:
        # A pause of another backup is of one that was killed: there is only one at a time.
        is_paused = current_switch(connection) == "run" or is_paused_for_backup(connection)
        if is_paused:
            set_switch(connection, "pause", SET_BY, "a backup is made; trading goes on by itself")
        try:
            deadline = time.monotonic() + _QUIET_LIMIT_S
            while count_open_longer_than(connection, 0):
                if time.monotonic() > deadline:
                    raise TransientError(f"Trades did not come to rest within {_QUIET_LIMIT_S:.0f} s; try again later.")
                time.sleep(0.2)
            yield
        finally:
            last = last_switch(connection)
            if is_paused and last is not None and last.set_by == SET_BY:
                replace_switch(connection, last, "run", SET_BY, "the backup has its moment")


def _copy_sandbox(settings: Settings, folder: Path, *, is_running: bool) -> None:
    accounts = settings.home_dir / "sandbox" / ACCOUNTS
    if accounts.exists():
        shutil.copyfile(accounts, folder / ACCOUNTS)
    if is_running:
        (folder / SANDBOX).write_bytes(_ask_sandbox(home_socket(settings.home_dir, "sandbox.sock")))
        return
    database = settings.home_dir / "sandbox" / "journal" / "memory.db"
    if not database.exists():
        raise ConfigurationError("The sandbox has no database yet; start it once with this version, then back up.")
    if database.stat().st_size == 0:
        raise ConfigurationError(f"{database} is empty; put a copy of its folder in its place, then back up.")
    try:
        with closing(sqlite3.connect(database, timeout=0)) as source:
            (folder / SANDBOX).write_bytes(source.serialize())
    except sqlite3.Error as error:
        raise ConfigurationError(f"{database} cannot be copied ({error}); is a sandbox still running on it?") from None


def _ask_sandbox(path: Path) -> bytes:
    try:
        answer = whole_exchange(HttpRequest("GET", "http://sandbox/copy"), _COPY_LIMIT_S, path)
    except (httpx.HTTPError, TimeoutError) as error:
        raise TransientError(f"The sandbox gives no copy of itself: {type(error).__name__}") from None
    if not answer.is_success or not answer.body.startswith(_SQLITE):
        raise TransientError(f"The sandbox gives no copy of itself: HTTP {answer.status}")
    return answer.body
