"""Every way of spoiling one place of a document: another value there, the place gone, the place twice."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]

NASTY: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 10**30, 0.5, 1e300, "", " ", "0", "1", "-1", "-0", "+1", " 1", "1 ", "1_0", "0x1",
    "1e3", "1e999999", "1e-999999", "inf", "-inf", "nan", "NaN", "9" * 90, "1000000000", "9999999999999", "0.00001",
    "0.0000001", "0." + "0" * 60 + "1", "٣",
    "０.5", "yes", "A", "A" * 5000, "\x1b[31m", "'; --", "2026-13-01",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z", "1999-01-01", [], [[]], [None], [True], ["A"], ["A", "A"],
    ["0.5", "1"], [0, [1], 0],
    [["0.4", "1", "2"]], {}, {"A": "1"},
    {"x": 1}, {"": None}, {"kind": []}, {"settles": {"A": "2"}}, {"name": {}},
)  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """A spoiled document: where, how, and what came of it."""

    path: Path
    how: str
    document: Any

    @property
    def place(self) -> str:
        """The path as a sentence names it."""
        return name_of(self.path)

    def __str__(self) -> str:
        return f"{self.place or 'document'} {self.how}"


def name_of(path: Path) -> str:
    """Return a path as a sentence names it: `markets[0].yes_asks`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def mutations(document: Any) -> Iterator[Mutation]:
    """Yield every mutation of every place of a document, from the whole to the leaves."""
    for path in _paths(document):
        for value in NASTY:
            yield Mutation(path, f"= {str(value)[:20]!r}", _with(document, path, value))
        if path:
            yield Mutation(path, "removed", _without(document, path))
            yield Mutation(path, "doubled", _doubled(document, path))
    for path in _paths(document):
        if isinstance(_at(document, path), dict):
            yield Mutation(path, "with a key nobody knows", _with(document, (*path, "unheard_of"), "1"))


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in steps:
        yield from _paths(item, (*path, step))


def _at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def _with(document: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    _at(changed, path[:-1])[path[-1]] = value
    return changed


def _without(document: Any, path: Path) -> Any:
    changed = copy.deepcopy(document)
    del _at(changed, path[:-1])[path[-1]]
    return changed


def _doubled(document: Any, path: Path) -> Any:
    """An entry of an array stands there twice; a value of an object stands in an array, twice."""
    changed = copy.deepcopy(document)
    holder, step = _at(changed, path[:-1]), path[-1]
    if isinstance(holder, list):
        holder.insert(int(step), copy.deepcopy(holder[int(step)]))
    else:
        holder[step] = [holder[step], copy.deepcopy(holder[step])]
    return changed
