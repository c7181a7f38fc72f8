"""A note that a hedge stands exposed while the database is away: whoever supervises tells of it at once.

Alerts are rows, and without a database there are none. A run leaves its note in the home instead, one file for each
hedge; the supervisor looks for notes twice a second and has channels of its own.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from streams.logs import get_logger
from streams.market.errors import ConfigurationError
from streams.private_folders import make_private_folder

_FOLDER = "distress"
_SIZE_MAX = 2_000


def note_distress(home: Path, name: str, message: str) -> None:
    """Leave a note; one of the same name takes its place. That it cannot be written is logged, and raises nothing.

    Args:
        home: The home.
        name: Letters, digits and dashes.
        message: One sentence for people.
    """
    get_logger().error("a hedge is in distress", name=name, message=message)
    folder = home / _FOLDER
    try:
        make_private_folder(folder)
        draft = folder / f".{name}"
        draft.write_text(message[:_SIZE_MAX])
        draft.replace(folder / name)
    except (OSError, ConfigurationError) as error:
        get_logger().error("its note cannot be written", name=name, reason=type(error).__name__)


def take_notes(home: Path) -> list[str]:
    """Return the notes that were left, and take them away."""
    found: list[str] = []
    with suppress(OSError):
        for path in sorted((home / _FOLDER).iterdir()):
            if not path.name.startswith("."):
                found.append(path.read_bytes()[: 4 * _SIZE_MAX].decode(errors="replace"))
                path.unlink()
    return found
