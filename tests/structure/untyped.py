"""Untyped reads: rows of the database that cross a function's boundary without the names and types of their columns.

A signature counts when a parameter or the return carries `dict[str, Any]` or a name for it (`Row`), however deep:
`list[Row]`, `Callable[[Row], None]`. Its subscripts are reads such as `row["price_e4"]` in the function, of a parameter
or variable annotated so, or of what a loop takes from one. `Mapping[str, Any]` is counted beside: it carries values for
a query as well as rows.

A JSON document is no row: its keys are a venue's, or kept as they were written. A signature that names one by
`JsonDocument` (`streams/market/documents.py`) is not counted; one that says `dict[str, Any]` is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.structure.tree import Source

ROOMS = ("streams/storage", "streams/recorder", "orchestration/execution", "orchestration/defs", "app/queries")
_DICT = "dict[str, Any]"
_MAPPING = "Mapping[str, Any]"
_DOCUMENT = ("streams.market.documents", "JsonDocument")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Untyped:
    """Counts of one room."""

    signatures: int = 0
    subscripts: int = 0
    mappings: int = 0


def untyped_reads(sources: Sequence[Source], rooms: Sequence[str] = ROOMS) -> dict[str, Untyped]:
    """Return the counts per room, with every room that was asked for.

    Raises:
        FileNotFoundError: If a room has no file: it has moved, and its reads would be missed.
    """
    aliases = _aliases(sources)
    found = {room: Untyped() for room in rooms}
    for room, counts in found.items():
        inside = [source for source in sources if source.path.is_relative_to(PurePosixPath(room))]
        if not inside:
            raise FileNotFoundError(f"there is no Python file in {room}")
        for source in inside:
            names = _names_here(source, aliases)
            for node in ast.walk(source.tree):
                if isinstance(node, _Function):
                    _count(node, names, counts)
    return found


def _aliases(sources: Sequence[Source]) -> set[tuple[str, str]]:
    """(module, name) of every name given to `dict[str, Any]` at the top of a file."""
    found = set()
    for source in sources:
        for node in source.tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.value) == _DICT:
                found |= {(source.module, target.id) for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.AnnAssign) and node.value is not None and ast.unparse(node.value) == _DICT:
                found.add((source.module, ast.unparse(node.target)))
    return {name for name in found if name != _DOCUMENT}


def _names_here(source: Source, aliases: set[tuple[str, str]]) -> set[str]:
    """The names a file uses for `dict[str, Any]`."""
    names = {name for module, name in aliases if module == source.module}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names if (node.module or "", alias.name) in aliases}
    return names


def _count(function: _Function, names: set[str], counts: Untyped) -> None:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    given = {one.arg: one.annotation for one in every if one is not None and one.annotation is not None}
    annotations = [*given.values(), *([function.returns] if function.returns is not None else [])]
    if any(_carries(annotation, names) for annotation in annotations):
        counts.signatures += 1
    elif any(_MAPPING in ast.unparse(annotation) for annotation in annotations):
        counts.mappings += 1
    untyped = {name for name, annotation in given.items() if _carries(annotation, names)}
    body = list(_own(function))
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and _carries(node.annotation, names):
            untyped.add(node.target.id)
    for node in body:
        is_loop = isinstance(node, ast.For | ast.comprehension)
        if (
            is_loop
            and isinstance(node.iter, ast.Name)
            and node.iter.id in untyped
            and isinstance(node.target, ast.Name)
        ):
            untyped.add(node.target.id)
    counts.subscripts += sum(
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in untyped
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        for node in body
    )


def _own(function: _Function) -> Iterator[ast.AST]:
    """What stands in a function's body, functions inside it left out."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        waiting.extend(child for child in ast.iter_child_nodes(node) if not isinstance(child, _Function))


def _carries(annotation: ast.expr, names: set[str]) -> bool:
    for node in ast.walk(annotation):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                if _carries(ast.parse(node.value, mode="eval").body, names):
                    return True
            except SyntaxError:
                continue  # a text in Literal[...], not an annotation in quotes
        if isinstance(node, ast.Name) and node.id in names:
            return True
        if isinstance(node, ast.Subscript) and ast.unparse(node) == _DICT:
            return True
    return False
