"""`make structure`: measure how the code of the packages is built, and print it.

Sizes of packages, rooms and folders; import circles; SQL on `trading` outside the store; untyped reads; how many files
and moves a recorded delta, a sandbox order, a hedge order and a figure of the dashboard cross. What each figure means
stands in the module that measures it; `docs/structure.md` keeps the figures.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tests.structure.circles import file_circles, imports, room_circles
from tests.structure.moves import ROOT
from tests.structure.sql import known_tables, sql_outside
from tests.structure.tree import FULL_FOLDER, LONG_FILE, PACKAGES, folders, folders_with_rooms, read_sources, rooms
from tests.structure.untyped import untyped_reads

_SHOWN = 12
"""So many entries of a long list are printed; the JSON has all."""


def measure_tree(root: Path) -> dict[str, Any]:
    """Return all figures that the files alone give, ready for JSON."""
    sources = read_sources(root)
    edges = imports(sources)
    room_folders = folders_with_rooms(sources)
    outside = sql_outside(sources, known_tables(root / "streams" / "storage" / "migrations"))
    packages = {}
    for package in PACKAGES:
        inside = [source for source in sources if source.path.parts[0] == package]
        longest = max(inside, key=lambda source: source.lines)
        packages[package] = {
            "files": len(inside),
            "lines": sum(source.lines for source in inside),
            "rooms": rooms(sources, PurePosixPath(package)),
            "longest": [str(longest.path), longest.lines],
            "file_circles": file_circles(edges, PurePosixPath(package)),
        }
    return {
        "packages": packages,
        "rooms": {str(folder): rooms(sources, folder) for folder in room_folders if len(folder.parts) > 1},
        "folders": folders(sources),
        "long_files": {str(source.path): source.lines for source in sources if source.lines > LONG_FILE},
        "room_circles": {str(folder): room_circles(edges, folder) for folder in room_folders},
        "sql_outside": {
            path: dict(sorted(Counter(found.kind for found in several).items())) for path, several in outside.items()
        },
        "untyped": {room: vars(counts) for room, counts in untyped_reads(sources).items()},
    }


def measure_crossings() -> dict[str, Any]:
    """Return files, moves and calls of each crossing, ready for JSON."""
    from tests.structure.crossings import measure

    return {
        name: {"files": len(moves.files), "moves": moves.moves, "calls": moves.calls, "path": moves.path}
        for name, moves in measure().items()
    }


def report(figures: Mapping[str, Any]) -> Iterator[str]:
    """Return the lines to print."""
    yield "Packages"
    for package, sizes in figures["packages"].items():
        path, lines = sizes["longest"]
        yield f"  {package:<34}{sizes['files']:>6} files{sizes['lines']:>8} lines   longest {path} {lines}"
        yield from _rooms(sizes["rooms"])
    for folder, inside in figures["rooms"].items():
        yield f"Rooms of {folder}"
        yield from _rooms(inside)
    full = {folder: count for folder, count in figures["folders"].items() if count > FULL_FOLDER}
    yield f"Folders with more than {FULL_FOLDER} Python files directly: {len(full)}"
    yield from _counts(full)
    yield f"Files above {LONG_FILE} lines: {len(figures['long_files'])}"
    yield from _counts(figures["long_files"])
    yield "Import circles among files"
    for package, sizes in figures["packages"].items():
        yield f"  {package:<34}{_sizes(sizes['file_circles'])}"
    yield "Import circles among rooms (all folders without one are left out)"
    for folder, found in figures["room_circles"].items():
        if found or folder in PACKAGES:
            yield f"  {folder:<34}{_sizes(found)}"
    yield from _outside(figures["sql_outside"])
    yield "Untyped reads: signatures with dict[str, Any] or Row, subscripts of such; signatures with Mapping[str, Any]"
    for room, counts in figures["untyped"].items():
        yield f"  {room:<34}{counts['signatures']:>6}{counts['subscripts']:>6}{counts['mappings']:>6}"
    total = {name: sum(counts[name] for counts in figures["untyped"].values()) for name in ("signatures", "subscripts")}
    yield f"  {'together':<34}{total['signatures']:>6}{total['subscripts']:>6}"
    if "crossings" in figures:
        yield f"Crossings (Python {figures['python']}): files, moves, calls"
        for name, seen in figures["crossings"].items():
            yield f"  {name:<34}{seen['files']:>6}{seen['moves']:>6}{seen['calls']:>6}"


def _outside(found: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    kinds: Counter[str] = Counter()
    for counts in found.values():
        kinds.update(counts)
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    yield f"SQL on trading outside the store: {kinds.total()} literals in {len(found)} files ({parts or 'none'})"
    yield from _counts({path: sum(counts.values()) for path, counts in found.items()})


def _rooms(inside: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    for name, (files, lines) in inside.items():
        yield f"    {name:<32}{files:>6} files{lines:>8} lines"


def _counts(counts: Mapping[str, int]) -> Iterator[str]:
    for name, count in list(counts.items())[:_SHOWN]:
        yield f"    {name:<48}{count:>6}"
    if len(counts) > _SHOWN:
        yield f"    and {len(counts) - _SHOWN} more"


def _sizes(circles: list[list[str]]) -> str:
    if not circles:
        return "0"
    shown = "; ".join(", ".join(found[:4]) + (", ..." if len(found) > 4 else "") for found in circles[:3])
    return f"{len(circles)} of {', '.join(str(len(found)) for found in circles)}   ({shown})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.structure", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--tree", action="store_true", help="leave out the crossings, which need a database")
    options = parser.parse_args()
    figures: dict[str, Any] = {"python": platform.python_version(), **measure_tree(ROOT)}
    if not options.tree:
        figures["crossings"] = measure_crossings()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    sys.stdout.write("\n".join(report(figures)) + "\n")


if __name__ == "__main__":
    main()
