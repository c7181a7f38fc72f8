"""The Python files of the packages as a tree: their sizes, the rooms they stand in, how full the folders are.

Nothing here knows a file by name: packages are given, and rooms are what stands in a folder today.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PACKAGES = ("streams", "orchestration", "app")
FULL_FOLDER = 15
"""A folder with more Python files than this directly in it is a flat list."""
LONG_FILE = 465
"""A file with more lines than this is too long."""


@dataclass(frozen=True)
class Source:
    """One Python file.

    Attributes:
        path: Where it stands below the root, with slashes.
        lines: How many lines it has, empty ones and comments included.
        tree: Its syntax tree.
    """

    path: PurePosixPath
    lines: int
    tree: ast.Module

    @property
    def module(self) -> str:
        """The name it is imported by; a package's `__init__.py` has the package's."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_sources(root: Path, packages: Sequence[str] = PACKAGES) -> list[Source]:
    """Return all Python files of the packages, sorted by path.

    Raises:
        FileNotFoundError: If there is no such package: figures of nothing would look good.
        SyntaxError: If a file is no Python.
    """
    sources = []
    for package in packages:
        if not (root / package).is_dir():
            raise FileNotFoundError(f"there is no package {package} in {root}")
        for path in sorted((root / package).rglob("*.py")):
            text = path.read_text()
            place = PurePosixPath(path.relative_to(root).as_posix())
            sources.append(Source(place, len(text.splitlines()), ast.parse(text, str(path))))
    return sources


def room_of(path: PurePosixPath, folder: PurePosixPath) -> str | None:
    """Return the room of `folder` that a file stands in: a direct subfolder, or the file itself when it stands loose.

    None when the file is not below the folder.
    """
    if not path.is_relative_to(folder):
        return None
    return path.relative_to(folder).parts[0].removesuffix(".py")


def rooms(sources: Sequence[Source], folder: PurePosixPath) -> dict[str, tuple[int, int]]:
    """Return (files, lines) per direct subfolder of `folder`; files that stand loose in it are counted as `.`."""
    found: dict[str, tuple[int, int]] = {}
    for source in sources:
        if not source.path.is_relative_to(folder):
            continue
        parts = source.path.relative_to(folder).parts
        name = parts[0] if len(parts) > 1 else "."
        files, lines = found.get(name, (0, 0))
        found[name] = (files + 1, lines + source.lines)
    return dict(sorted(found.items()))


def folders(sources: Sequence[Source]) -> dict[str, int]:
    """Return how many Python files stand directly in each folder, `__init__.py` included, the fullest first."""
    return dict(Counter(str(source.path.parent) for source in sources).most_common())


def folders_with_rooms(sources: Sequence[Source]) -> list[PurePosixPath]:
    """Return every folder that has a subfolder with Python files, sorted."""
    parents = {parent for source in sources for parent in source.path.parent.parents if parent.parts}
    return sorted(parents)
