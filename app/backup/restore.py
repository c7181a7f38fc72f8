"""Restore a backup into a home that has no data yet. Trading stays paused until a person resumes it."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

from app.backup.archive import ACCOUNTS, KEY_FILES, PEOPLE, SANDBOX, SETTINGS, WAREHOUSE, Manifest, read_archive
from app.backup.tools import explained_database, is_empty, run_tool
from app.doors.store.file import accounts_path
from app.doors.store.whole_file import has_people
from app.supervisor.checks.preflight import UNFINISHED_RESTORE
from app.supervisor.state import HomeLock, read_state
from streams.documents import load_document
from streams.market.errors import ConfigurationError
from streams.private_folders import make_private_folder
from streams.settings import Settings
from streams.storage.access.logins import Login
from streams.storage.database import connect, database_dsn, embedded_server
from streams.storage.server.cluster_record import is_cluster
from streams.storage.store.risk import set_switch

_DOORS = "doors"
"""Folder of the accounts."""
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


def restore(settings: Settings, source: Path) -> tuple[Manifest, list[str]]:
    """Restore `source` into this home; return what it held, and the names of secret settings that must be set again.

    Raises:
        ConfigurationError: If the file is no whole backup, the environment is another, the home is not empty or cannot
            be written, or something runs there.
        TransientError: If a program fails. What was made is removed again.
    """
    home = settings.home_dir
    if read_state(home) is not None:
        raise ConfigurationError(f"Crossbook runs in {home}; stop it first (`crossbook down`).")
    lock = HomeLock(home)
    lock.acquire()
    try:
        with explained_database():
            return _restore(settings, source)
    except OSError as error:
        raise ConfigurationError(f"Nothing was restored: {error.filename or home}: {error.strerror}.") from None
    finally:
        lock.release()


def _restore(settings: Settings, source: Path) -> tuple[Manifest, list[str]]:
    home = settings.home_dir
    for left in home.glob(".restore-*"):  # of one that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=".restore-", dir=home))
    try:
        manifest = read_archive(source, folder)
        values, secrets = _read_settings(source, folder)
        _check_target(settings, manifest)
        (home / UNFINISHED_RESTORE).touch()
        try:
            _fill(settings, folder, manifest)
            (home / "restored.env").write_text("\n".join([*values, ""]), encoding="utf-8")
        except BaseException:
            _clear(settings)
            raise
        (home / UNFINISHED_RESTORE).unlink()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return manifest, secrets


def _check_target(settings: Settings, manifest: Manifest) -> None:
    if manifest.environment != settings.venues:
        raise ConfigurationError(
            f"The backup is of CROSSBOOK_VENUES={manifest.environment}, this start is of {settings.venues}."
        )
    if (settings.home_dir / UNFINISHED_RESTORE).exists():
        _clear(settings)
    there = [name for name in ("postgres", "sandbox", "segments", *KEY_FILES) if (settings.home_dir / name).exists()]
    # A command that looked for somebody has made accounts of nobody.
    there += [_DOORS] if has_people(settings.home_dir) else []
    if there:
        raise ConfigurationError(
            f"{settings.home_dir} has data already ({', '.join(there)}); restore into a new CROSSBOOK_HOME."
        )
    if settings.database_url is None and is_cluster(embedded_server(settings).data_dir):
        raise ConfigurationError(
            f"{embedded_server(settings).data_dir} holds the database of an earlier home in this place; restore into a "
            "new CROSSBOOK_HOME."
        )
    if settings.database_url is not None and not is_empty(database_dsn(settings, Login.OWNER)):
        raise ConfigurationError("The database that DATABASE_URL names is not empty; restore into a new one.")


def _fill(settings: Settings, folder: Path, manifest: Manifest) -> None:
    home = settings.home_dir
    server = embedded_server(settings)
    if settings.database_url is None:
        server.start()
    try:
        dsn = database_dsn(settings, Login.OWNER)
        # Owners and rights are given at the next start, to the roles of that server.
        arguments = [
            "--no-owner",
            "--no-privileges",
            "--exit-on-error",
            "--single-transaction",
            str(folder / WAREHOUSE),
        ]
        run_tool(settings, "pg_restore", dsn, arguments)
        with connect(dsn, application="crossbook-restore") as connection:
            set_switch(connection, "pause", "restore", f"restored from a backup of {manifest.made_at}")
            connection.execute("ANALYZE")
    finally:
        if settings.database_url is None:
            server.stop()
    if SANDBOX in manifest.members:
        journal = home / "sandbox" / "journal"
        journal.mkdir(mode=0o700, parents=True)
        shutil.move(folder / SANDBOX, journal / "memory.db")
    if ACCOUNTS in manifest.members:
        (home / "sandbox").mkdir(mode=0o700, exist_ok=True)
        shutil.move(folder / ACCOUNTS, home / "sandbox" / ACCOUNTS)
    if PEOPLE in manifest.members:
        shutil.rmtree(home / _DOORS, ignore_errors=True)  # accounts of nobody
        make_private_folder(accounts_path(home).parent)
        shutil.move(folder / PEOPLE, accounts_path(home))
        accounts_path(home).chmod(0o600)
    for name in KEY_FILES:
        if name in manifest.members:
            shutil.move(folder / name, home / name)


def _clear(settings: Settings) -> None:
    """Remove what an unfinished restore has made. A given database is never touched: its restore is one transaction."""
    if settings.database_url is None:
        embedded_server(settings).destroy()
    for name in ("postgres", "sandbox", _DOORS):
        shutil.rmtree(settings.home_dir / name, ignore_errors=True)
    for name in KEY_FILES:
        (settings.home_dir / name).unlink(missing_ok=True)


def _read_settings(source: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Return the lines of the settings that were backed up, and the names of those whose values are not among them."""
    if not (folder / SETTINGS).exists():
        return [], []
    try:
        kept = load_document(folder / SETTINGS)
        values, secrets = dict(kept.get("values", {})), list(kept.get("secrets", []))
        if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in (*values, *secrets)):
            raise ValueError("names of settings are capitals")
        if not all(isinstance(value, str) for value in values.values()):
            raise TypeError("values are texts")
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{source} is damaged: {SETTINGS} cannot be read ({type(error).__name__}).") from None
    return [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items()], secrets
