"""Which files of the repository import which, read from their texts."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from tests.mutation.targets import ROOT

_PACKAGES = ("streams", "orchestration", "app", "tests")


def reached(start: Path) -> frozenset[Path]:
    """Return a file and all files of the repository that it imports, through others too."""
    found, left = {start}, [start]
    while left:
        for file in _imported(left.pop()):
            if file not in found:
                found.add(file)
                left.append(file)
    return frozenset(found)


def importing_tests(folder: Path, targets: Iterable[Path]) -> list[Path]:
    """Return the test files below a folder that import one of the targets, through others too."""
    wanted = set(targets)
    return [file for file in sorted(folder.rglob("test_*.py")) if not wanted.isdisjoint(reached(file))]


@cache
def _imported(file: Path) -> frozenset[Path]:
    return frozenset(path for name in _names(ast.parse(file.read_text())) if (path := _file_of(name)) is not None)


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _file_of(name: str) -> Path | None:
    if name.partition(".")[0] not in _PACKAGES:
        return None
    path = ROOT.joinpath(*name.split("."))
    found = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    return found[0] if found else None
