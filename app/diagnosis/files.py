"""Looks at the home, its secret files, the keystore and the `.env` beside the command."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from app.api_token import is_token, token_path
from app.diagnosis.facts import FileFacts
from app.doors.accounts import accounts_path
from app.doors.store.whole_file import accounts_trouble
from app.supervisor.checks.preflight import check_home, check_people, check_platform, check_restored
from app.supervisor.last_start import read_last_start
from streams.disk import free_inodes
from streams.env_files import values_in_file
from streams.market.errors import ConfigurationError
from streams.settings import Settings, is_secret, setting_name
from streams.storage.access.logins import GROUPS
from streams.storage.kill_files import is_kill_on_disk
from streams.storage.server.embedded import binaries_dir
from streams.venues.credentials.keystore import Keystore
from streams.venues.credentials.private_files import read_private

_SECRET_FILES = (
    "keystore.json", "keystore.key", "sandbox/accounts.json", "doors/accounts.sqlite", "postgres/pg_password",
    *(f"postgres/{login}_password" for login in GROUPS),
)  # fmt: skip
_KEPT_LONGER_S = 6 * 3600
_OTHERS = 0o077


def look_at_files(settings: Settings, *, opens_keys: bool) -> FileFacts:
    """Return what there is to say of the home and the files beside it.

    Args:
        settings: Of the whole system.
        opens_keys: Whether the keys may be opened: never in a process that only serves pages.
    """
    home = settings.home_dir
    token, is_open = _token(settings)
    names, keystore = _keystore(settings) if opens_keys else ((), "")
    accounts = accounts_trouble(home)
    return FileFacts(
        platform=_said(check_platform),
        # Whether there is room is asked of its own.
        home=_said(lambda: check_home(home, 0)),
        home_rights=_home_rights(home),
        free_mb=_free_mb(home),
        free_inodes=free_inodes([_existing(home)]),
        binaries="" if settings.database_url is not None else _said(binaries_dir),
        token=token,
        open_token=is_open,
        open_files=tuple(name for name in _SECRET_FILES if _is_open(home / name)),
        env_file=_env_file(Path(".env")),
        keystore=keystore,
        key_names=names,
        short_passphrase=bool(names) and Keystore(settings).has_short_passphrase,
        late_segments=_late_segments(home / "segments", settings.segment_retention_hours),
        last_start=read_last_start(home),
        kill_on_disk=is_kill_on_disk(home),
        accounts=accounts,
        people="" if accounts or not accounts_path(home).exists() else _said(lambda: check_people(settings)),
        restore=_said(lambda: check_restored(home)),
    )


def _said(check: Callable[[], object]) -> str:
    try:
        check()
    except ConfigurationError as error:
        return str(error)
    return ""


def _free_mb(home: Path) -> int:
    disk = os.statvfs(_existing(home))
    return disk.f_bavail * disk.f_frsize // 1_000_000


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _home_rights(home: Path) -> str:
    try:
        found = home.stat()
    except OSError:
        return ""
    if found.st_mode & 0o002:
        return f"everybody may write in {home}"
    if found.st_mode & 0o020 and found.st_gid != os.getgid():
        return f"another group may write in {home}"
    if os.geteuid() not in (0, found.st_uid):
        return f"{home} belongs to another user"
    return ""


def _token(settings: Settings) -> tuple[str, bool]:
    path = token_path(settings)
    if _is_open(path):
        return "", True
    try:
        raw = read_private(path)
    except ConfigurationError as error:
        return str(error).rstrip("."), False
    if raw is None or is_token(raw.decode("ascii", "replace").strip()):
        return "", False
    return f"{path} holds no usable token", False


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False


def _env_file(path: Path) -> str:
    """Return the path of a `.env` that others can read and that holds a secret, else nothing."""
    if not _is_open(path):
        return ""
    try:
        held = {name for name, value in values_in_file(path).items() if value}
    except ConfigurationError:
        return ""
    secret = {setting_name(name) for name, field in Settings.model_fields.items() if is_secret(field)}
    return str(path.absolute()) if held & secret else ""


def _keystore(settings: Settings) -> tuple[tuple[str, ...], str]:
    """Return the names of the keystore's entries, and why it or one of those we use cannot be opened."""
    home = settings.home_dir
    path = home / "keystore.json"
    if not os.path.lexists(path):
        return (), ""
    keystore = Keystore(settings)
    try:
        names = tuple(keystore.list())
        if names and not (home / "keystore.key").exists() and _needs_key_file(path):
            return names, f"{home / 'keystore.key'} is missing: entries of the keystore are sealed with it"
        for name in names:
            if name.endswith(f"-{settings.venues}"):
                keystore.get(name)
    except ConfigurationError as error:
        return (), str(error)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return (), f"{path} cannot be read: {type(error).__name__}"
    return names, ""


def _needs_key_file(path: Path) -> bool:
    entries = json.loads(path.read_bytes())["entries"]
    return any(entry["key"] == "file" for entry in entries.values())


def _late_segments(folder: Path, retention_hours: int) -> int:
    before = time.time() - retention_hours * 3600 - _KEPT_LONGER_S
    count = 0
    for path in folder.glob("shard=*/date=*/*.seg"):
        try:
            count += path.stat().st_mtime < before
        except OSError:
            continue
    return count
