"""The file of a backup: a tar archive of named members with a manifest that holds the SHA-256 of each.

    manifest.json   format, version, environment, made_at, schema, members {name: [bytes, sha256]}
    warehouse.dump  pg_dump's custom format: every schema of the warehouse, Dagster's too
    sandbox.db      the exchanges' state at the same moment (sandbox only)
    accounts.json   the sandbox's accounts (sandbox only)
    keystore.json, keystore.key, api_token   as they lie in the home, where they are there
    people.sqlite   people, their roles and tokens, without sessions (where there are any)
    settings.json   the settings that were set, without the secret ones, and the names of those

The file holds secrets; it is made with mode 0600 and appears under its name when it is complete.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streams.documents import parse_document
from streams.market.errors import ConfigurationError
from streams.storage.schema_version import code_schema_version

FORMAT = 2
"""1 knew no people."""
MANIFEST = "manifest.json"
WAREHOUSE = "warehouse.dump"
SANDBOX = "sandbox.db"
ACCOUNTS = "accounts.json"
KEY_FILES = ("keystore.json", "keystore.key", "api_token")
PEOPLE = "people.sqlite"
SETTINGS = "settings.json"
_MEMBERS = {WAREHOUSE, SANDBOX, ACCOUNTS, PEOPLE, SETTINGS, *KEY_FILES}
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        version: Of the package that made it.
        environment: The venues it is of.
        made_at: ISO 8601, UTC.
        members: Bytes and SHA-256 (hex) by name.
        schema: Number of the newest migration of its warehouse; empty where that was not noted.
    """

    version: str
    environment: str
    made_at: str
    members: dict[str, tuple[int, str]]
    schema: str = ""


def write_archive(target: Path, folder: Path, about: Manifest) -> Manifest:
    """Write the members that lie in `folder` to `target`, whole or not at all; return the manifest with their sums.

    Raises:
        ConfigurationError: If there is a file of that name by then; it is left alone.
        OSError: If it cannot be written; nothing is left under the name then.
    """
    names = sorted(path.name for path in folder.iterdir() if path.name in _MEMBERS)
    members = {name: ((folder / name).stat().st_size, _digest(folder / name)) for name in names}
    manifest = Manifest(about.version, about.environment, about.made_at, members, about.schema)
    (folder / MANIFEST).write_text(json.dumps({"format": FORMAT, **asdict(manifest)}))
    draft = folder / "draft"
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
                for name in (MANIFEST, *names):
                    archive.add(folder / name, name)
            file.flush()
            os.fsync(file.fileno())
        _name(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def refuse_taken(target: Path) -> None:
    """Refuse to write where something is already, be it a link that leads nowhere.

    Raises:
        ConfigurationError: If so.
    """
    if os.path.lexists(target):
        raise ConfigurationError(f"{target} is there already; name a file that is not.")


def _name(draft: Path, target: Path) -> None:
    """Give a file its name, in the place of nothing else."""
    try:
        os.link(draft, target)
    except FileExistsError:
        refuse_taken(target)
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        # A disk without hard links.
        refuse_taken(target)
        draft.rename(target)


def read_archive(source: Path, folder: Path) -> Manifest:
    """Unpack a backup into `folder`, each member checked against its sum; return its manifest.

    Raises:
        ConfigurationError: If it is no backup, is cut or damaged, holds anything else, or is of a newer version, or the
            folder cannot be written; one sentence. What was unpacked until then must not be used.
    """
    if source.exists() and not source.is_file():
        raise ConfigurationError(f"{source} cannot be read: it is no file.")
    try:
        with tarfile.open(source, mode="r:") as archive:
            manifest = _read_manifest(source, archive)
            left = dict(manifest.members)
            while (member := archive.next()) is not None:
                if member.name not in left:
                    raise ConfigurationError(
                        f"{source} is no backup of Crossbook: it holds more than its manifest names."
                    )
                _unpack(source, archive, member, folder / member.name, *left.pop(member.name))
    except (tarfile.TarError, EOFError) as error:
        raise ConfigurationError(f"{source} is no complete backup ({error or type(error).__name__}).") from None
    except OSError as error:
        raise ConfigurationError(f"{source} cannot be read: {error.strerror or error}.") from None
    if left:
        raise ConfigurationError(f"{source} is no complete backup ({min(left)} is missing).")
    return manifest


def _read_manifest(source: Path, archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    file = archive.extractfile(first) if first is not None and first.name == MANIFEST and first.isreg() else None
    if file is None:
        raise ConfigurationError(f"{source} is no backup of Crossbook.")
    try:
        document: dict[str, Any] = parse_document(file.read(_CHUNK).decode())
        written = _number(document["format"], least=1)
        if written > FORMAT:
            raise ConfigurationError(f"{source} was made by a newer version of Crossbook; restore it with that one.")
        members = {name: (_number(size), _text(digest)) for name, (size, digest) in document["members"].items()}
        version, environment, made_at = (_text(document[name]) for name in ("version", "environment", "made_at"))
        manifest = Manifest(version, environment, made_at, members, _text(document.get("schema", "")))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(f"{source} is damaged: its manifest cannot be read ({error}).") from None
    if manifest.schema > code_schema_version():
        raise ConfigurationError(f"{source} was made by a newer version of Crossbook; restore it with that one.")
    strange = sorted(set(members) - _MEMBERS)
    if strange or WAREHOUSE not in members:
        raise ConfigurationError(
            f"{source} is no backup of Crossbook: {', '.join(strange) or WAREHOUSE + ' is missing'}."
        )
    return manifest


def _number(value: Any, least: int = 0) -> int:
    if type(value) is not int or value < least:
        raise ValueError(f"{value!r} is no number that can be meant"[:200])
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text"[:200])
    return value


def _unpack(
    source: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, size: int, digest: str
) -> None:
    file = archive.extractfile(member) if member.isreg() and not member.issparse() else None
    if file is None or member.size != size:
        raise ConfigurationError(f"{source} is damaged: {member.name} is not what was backed up.")
    try:
        out = os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
    except OSError as error:
        raise _unwritable(target.parent, error) from None
    with out:
        while chunk := file.read(_CHUNK):
            try:
                out.write(chunk)
                out.flush()
            except OSError as error:
                raise _unwritable(target.parent, error) from None
    if _digest(target) != digest:
        raise ConfigurationError(f"{source} is damaged: {member.name} is not what was backed up.")


def _unwritable(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{folder} cannot be written: {error.strerror or error}.")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
