"""Folders that only one user may enter, also where others could have put something in their place before."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from streams.market.errors import ConfigurationError

_SOCKET_PATH_MAX = 100
"""Bytes: the kernel takes 107, and programs add their own names."""


def check_private_folder(folder: Path, owners: Collection[int] = ()) -> None:
    """Refuse a folder into which anybody but us and `owners` (user ids) could have put something.

    Raises:
        ConfigurationError: If it is missing, no folder (a link is none), somebody else's, or open to others' writing.
    """
    try:
        found = os.lstat(folder)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be used: {error.strerror}.") from None
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(f"{folder} is not a folder; somebody else may have put it there: remove it.")
    if found.st_uid not in {os.geteuid(), *owners}:
        raise ConfigurationError(f"{folder} belongs to another user; remove it.")
    if found.st_mode & 0o022:
        raise ConfigurationError(f"{folder} can be written by others; remove it.")


def make_private_folder(folder: Path, owner: tuple[int, int] | None = None) -> None:
    """Make a folder of mode 0700, or take one that was there if only we, or `owner`, could write into it.

    Args:
        folder: Its path; folders above it are made as usual.
        owner: User and group it is handed to; None to keep it.

    Raises:
        ConfigurationError: If what is there is not ours, or it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private_folder(folder, [] if owner is None else owner[:1])
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchmod(descriptor, 0o700)
            if owner is not None:
                os.fchown(descriptor, *owner)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be used: {error.strerror}.") from None


def sync_folder(folder: Path) -> None:
    """Write a folder's own entries through to the disk: files that were made, renamed or removed in it.

    Raises:
        OSError: If it cannot be opened or synced.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_folder(purpose: str, home: Path) -> Path:
    """Return the folder under /tmp for what a home's own path is too long for; its user must check it."""
    digest = sha256(os.fsencode(home.resolve())).hexdigest()[:10]
    return Path("/tmp") / f"crossbook-{purpose}-{digest}"  # noqa: S108 - checked by whoever makes or enters it


def drop_socket_folder(home: Path) -> None:
    """Remove the folder under /tmp that sockets of a home with a long path stood in, unless one still does."""
    with suppress(OSError):
        temporary_folder("run", home).rmdir()


def home_socket(home: Path, name: str) -> Path:
    """Return the path of a socket of a home: in it, or under /tmp where that path is too long for a socket.

    It is the same by whatever links somebody comes to the home.
    """
    path = home.resolve() / "run" / name
    if len(os.fsencode(path)) <= _SOCKET_PATH_MAX:
        return path
    return temporary_folder("run", home) / path.name
