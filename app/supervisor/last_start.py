"""How the last start of a home went: written by `up`, read by `doctor`, also when nothing runs."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

_NAME = "last_start.json"
_REASON_MAX = 1000


@dataclass(frozen=True, slots=True)
class LastStart:
    """The last start. `reason`: one sentence on why it failed, empty where it went well. `at`: ISO 8601, UTC."""

    at: str
    reason: str


def note_start(home: Path, reason: str = "") -> None:
    """Write how a start went; a home that cannot be written is none of the start's business here."""
    document = asdict(LastStart(datetime.now(UTC).isoformat(timespec="seconds"), reason[:_REASON_MAX]))
    path = home / _NAME
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(document))
        draft.replace(path)


def forget_last_start(home: Path) -> None:
    """Remove what was written, after the home was reset."""
    with suppress(OSError):
        (home / _NAME).unlink()


def read_last_start(home: Path) -> LastStart | None:
    """Return how the last start went, None where there was none or nothing usable was written."""
    try:
        document = json.loads((home / _NAME).read_text())
        return LastStart(str(document["at"]), str(document["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
