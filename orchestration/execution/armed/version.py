"""What an armed trading run was started with: a name that changes when code, settings or keys do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from streams.settings import PROJECT_ROOT, Settings

_ROOMS = ("orchestration", "streams")


def trading_version(settings: Settings, root: Path = PROJECT_ROOT) -> str:
    """Return a short name of the code on disk, the settings and the state of the keystore.

    No value of a setting can be read from it: secrets do not go into it, only the times and sizes of the files that
    hold keys.
    """
    digest = hashlib.sha256()
    for line in (*_files(root), *_keys(settings), repr(settings)):
        digest.update(line.encode("utf-8", "surrogateescape"))
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def _files(root: Path) -> Iterator[str]:
    for room in _ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            with suppress(OSError):
                yield f"{path.relative_to(root)} {path.stat().st_mtime_ns}"


def _keys(settings: Settings) -> Iterator[str]:
    for path in sorted(settings.home_dir.glob("keystore*")):
        with suppress(OSError):
            stat = path.stat()
            yield f"{path.name} {stat.st_mtime_ns} {stat.st_size}"
