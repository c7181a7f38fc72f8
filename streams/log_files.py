"""Log files that stay small, and lines that may be lost: a disk that takes nothing stops no work.

At a start the log of the one before is kept, and what outgrows its limit begins anew.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TextIO

LOG_MAX_BYTES = 20_000_000


def write_line(line: str) -> None:
    """Write a line to stderr. Where that takes none (a full disk, a closed terminal) it is lost; nothing is raised."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def begin_log(path: Path) -> None:
    """Put what the last start wrote aside as `<name>.1`; a log that cannot be moved goes on as it is."""
    with suppress(OSError):
        if path.stat().st_size:
            path.replace(_kept(path))


def trim_log(path: Path, limit_bytes: int = LOG_MAX_BYTES) -> bool:
    """Copy a log that has outgrown its limit to `<name>.1` and empty it in place, whoever has it open to append.

    A disk without room for the copy empties it all the same. Returns whether it did.
    """
    try:
        if path.stat().st_size <= limit_bytes:
            return False
        try:
            shutil.copyfile(path, _kept(path))
        except OSError:
            _kept(path).unlink(missing_ok=True)
        os.truncate(path, 0)
    except OSError:
        return False
    return True


class LogFile:
    """A stream that writes to another one and to a file that stays small. No failure of either reaches the writer.

    The other one may be a terminal that is closed while the writer lives on.
    """

    def __init__(self, path: Path, beside: TextIO, limit_bytes: int = LOG_MAX_BYTES) -> None:
        self._path = path
        self._beside = beside
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        begin_log(path)

    def write(self, text: str) -> int:
        """Write a text to both."""
        with self._lock, suppress(OSError, ValueError):
            trim_log(self._path, self._limit_bytes)
            with self._path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text)
        with suppress(OSError, ValueError):
            self._beside.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream; the file is written at once."""
        with suppress(OSError, ValueError):
            self._beside.flush()


def _kept(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")
