"""Import circles: files, or rooms, of which each one needs all the others.

Every import counts, wherever it stands: at the top of a file, inside a function, under `TYPE_CHECKING`, or as a literal
name given to `import_module`. An import hidden in a function ties two files as firmly as one at the top.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import networkx

from tests.structure.tree import Source, room_of

Edges = Mapping[PurePosixPath, set[PurePosixPath]]
"""Per file the files it imports."""


def imports(sources: Sequence[Source]) -> Edges:
    """Return which of the files import which others.

    `from a.b import c` needs the file of `a.b.c` when there is one, else that of `a.b`.
    """
    by_module = {source.module: source.path for source in sources}
    return {
        source.path: {
            by_module[name]
            for wanted in _wanted(source)
            if (name := _nearest(wanted, by_module)) is not None and by_module[name] != source.path
        }
        for source in sources
    }


def _nearest(name: str, by_module: Mapping[str, PurePosixPath]) -> str | None:
    """The longest beginning of a dotted name that is a file."""
    while name:
        if name in by_module:
            return name
        name = name.rpartition(".")[0]
    return None


def _wanted(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(source, node)
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            yield from (str(given.value) for given in node.args[:1] if isinstance(given, ast.Constant))


def _base(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = source.path.parent.parts[: len(source.path.parent.parts) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def file_circles(edges: Edges, package: PurePosixPath) -> list[list[str]]:
    """Return the circles among the files of a package, the largest first; each is its files, sorted."""
    graph = networkx.DiGraph()
    for path, needed in edges.items():
        graph.add_edges_from((str(path), str(other)) for other in needed if _are_below(package, path, other))
    return _circles(graph)


def room_circles(edges: Edges, folder: PurePosixPath) -> list[list[str]]:
    """Return the circles among the rooms of a folder, the largest first; each is its rooms, sorted."""
    graph = networkx.DiGraph()
    for path, needed in edges.items():
        for other in needed:
            if _are_below(folder, path, other) and (room_of(path, folder) != room_of(other, folder)):
                graph.add_edge(room_of(path, folder), room_of(other, folder))
    return _circles(graph)


def _are_below(folder: PurePosixPath, *paths: PurePosixPath) -> bool:
    return all(path.is_relative_to(folder) for path in paths)


def _circles(graph: networkx.DiGraph[str]) -> list[list[str]]:
    components = (sorted(found) for found in networkx.strongly_connected_components(graph))
    return sorted((found for found in components if len(found) > 1), key=lambda found: (-len(found), found))
