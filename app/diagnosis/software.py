"""Whether Python and the installed packages are those the lock names."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from app.diagnosis.facts import SoftwareFacts
from streams.settings import PROJECT_ROOT

_OLDEST, _TOO_NEW = (3, 11), (3, 14)


def look_at_software(lock: Path = PROJECT_ROOT / "requirements.lock") -> SoftwareFacts:
    """Return the version of Python where it is none that is supported, and the packages that differ from the lock."""
    is_supported = _OLDEST <= sys.version_info[:2] < _TOO_NEW
    return SoftwareFacts("" if is_supported else platform.python_version(), tuple(_drift(lock)))


def _drift(lock: Path) -> list[str]:
    try:
        lines = lock.read_text().splitlines()
    except OSError:
        return []  # installed from a wheel, without the lock beside it
    installed = _installed()
    found = []
    for line in lines:
        if not line or line[0] in " #":
            continue
        try:
            wanted = Requirement(line.rstrip(" \\"))
        except InvalidRequirement:
            continue
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        locked = str(wanted.specifier).removeprefix("==")
        version = installed.get(canonicalize_name(wanted.name))
        if version is None:
            found.append(f"{wanted.name} is missing, locked {locked}")
        elif not wanted.specifier.contains(version, prereleases=True):
            found.append(f"{wanted.name} {version}, locked {locked}")
    return found


def _installed() -> dict[str, str]:
    """Return the versions of the installed packages by name, from the names of their folders: nothing is opened."""
    versions: dict[str, str] = {}
    for folder in reversed(sys.path):
        for path in Path(folder or ".").glob("*.dist-info"):
            name, _, version = path.name.removesuffix(".dist-info").rpartition("-")
            versions[canonicalize_name(name)] = version
    return versions
