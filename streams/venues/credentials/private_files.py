"""Files with secrets: written whole and for their owner only, and read only where nobody else may read them."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from streams.market.errors import ConfigurationError
from streams.private_folders import sync_folder

_SIZE_MAX = 16_000_000


def write_private(path: Path, content: bytes) -> None:
    """Replace a file whole, readable by its owner only, and synced before it appears.

    Raises:
        ConfigurationError: If it cannot be written; the old file is as it was.
    """
    _write(path, content, lambda scratch: scratch.replace(path))


def make_private(path: Path, content: bytes) -> None:
    """Write a file as `write_private` does, unless there is one by then.

    Raises:
        ConfigurationError: If it cannot be written.
    """

    def place(scratch: Path) -> None:
        with suppress(FileExistsError):
            path.hardlink_to(scratch)
        scratch.unlink()

    _write(path, content, place)


def _write(path: Path, content: bytes, place: Callable[[Path], object]) -> None:
    """Write beside the file, synced and whole, and have that put in its place."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            place(scratch)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None


def read_private(path: Path) -> bytes | None:
    """Return the content of a file with secrets, None where there is none.

    Raises:
        ConfigurationError: If it cannot be read, is no file, belongs to somebody else, or others may read or write it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if path.is_symlink():
            raise ConfigurationError(f"{path} is a link to a file that is not there; remove it.") from None
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _SIZE_MAX:
            raise ConfigurationError(f"{path} is not a file of secrets; move it away.")
        if os.geteuid() not in (0, found.st_uid):
            raise ConfigurationError(f"{path} belongs to another user; run `chown` on it, or use a home of your own.")
        if found.st_mode & 0o077:
            raise ConfigurationError(f"{path} can be read by others; run `chmod 600 {path}`.")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    finally:
        os.close(descriptor)
