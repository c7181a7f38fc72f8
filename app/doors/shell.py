"""The person at the command line: the home's own user, who acts as owner."""

from __future__ import annotations

import getpass
from contextlib import suppress

from app.doors.names import UnusableName, checked_name
from app.doors.roles import Identity, Role

_NAMELESS = "shell"


def shell_name() -> str:
    """Return the login name of this user, as it can stand in rows: a user of a name that cannot must be able to stop.

    The system's own user may well be called `crossbook`, which is a reserved name: `shell crossbook` then.
    """
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        return _NAMELESS
    for shown in (name, f"{_NAMELESS} {name}"):
        with suppress(UnusableName):
            return checked_name(shown)
    return _NAMELESS


def shell_identity() -> Identity:
    """Return who acts from the command line."""
    return Identity(shell_name(), Role.OWNER, "shell")
