"""The user that the embedded server runs as, and what that user may reach."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from streams.market.errors import ConfigurationError

_UNPRIVILEGED_USERS = ("postgres", "nobody")


def server_user() -> pwd.struct_passwd | None:
    """Return the unprivileged user to run the server as; None when we are not root and run it ourselves."""
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigurationError("PostgreSQL cannot run as root and there is no unprivileged user; run as another user.")


def closed_folder(folder: Path) -> Path | None:
    """Return the first of `folder` and those above it that the server's user may not pass through; None if it may."""
    owner = server_user()
    for part in (folder.resolve(), *folder.resolve().parents):
        if part.exists():
            found = part.stat()
            is_own = owner is not None and found.st_uid == owner.pw_uid
            if not found.st_mode & (0o100 if is_own else 0o001):
                return part
    return None


def write_secret(path: Path, text: str) -> None:
    """Write a file that only we can read, in the place of whatever was there; follows no link."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
