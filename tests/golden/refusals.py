"""Every refusal the emulators' code can write, read from the code itself: a status and the texts that go with it.

Like the stage this file knows where the code is and by which names it refuses; the stored runs do not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import streams.sandbox

_SPOKEN = frozenset({"Invalid", "Refusal", "RpcError", "Reverted", "BadCall", "BadParameter", "bad_parameter"})
"""Exceptions and functions whose text goes to the client."""
_SPOKEN_BY_ADMIN = frozenset({"LookupError", "ValueError"})
_ADMIN_FILES = ("admin.py", "admin_fees.py", "profile.py", "faults.py")
_NOT_SERVED = ("bundled", "recorded_lists.py", "recorded_books.py")


ANY, OR = "\N{HORIZONTAL ELLIPSIS}", " \N{LOGICAL OR} "


@dataclass(frozen=True, order=True)
class Refusal:
    """A status (0 where the text alone is known, -1 for a socket's error frame) and texts.

    In a text `ANY` stands for what is only known when it is said, `OR` between two of which one is said.
    """

    status: int
    texts: tuple[str, ...]

    def is_in(self, status: int, text: str) -> bool:
        """Whether an answer is this refusal."""
        return self.status in (0, status) and all(
            any(_holds(text, one.split(ANY)) for one in wanted.split(OR)) for wanted in self.texts
        )

    def __str__(self) -> str:
        return f"{self.status or '*'} {' + '.join(self.texts)}"


def _holds(text: str, fragments: list[str]) -> bool:
    at = 0
    for fragment in fragments:
        found = text.find(fragment, at)
        if found < 0:
            return False
        at = found + len(fragment)
    return True


@cache
def refusals() -> tuple[Refusal, ...]:
    """All of them, sorted."""
    root = Path(next(iter(streams.sandbox.__path__)))
    trees = {
        path.relative_to(root): ast.parse(path.read_text())
        for path in sorted(root.rglob("*.py"))
        if not set(path.relative_to(root).parts) & set(_NOT_SERVED)
    }
    named = {
        target.id: node.value.value
        for tree in trees.values()
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: set[Refusal] = set()
    for path, tree in trees.items():
        for node in ast.walk(tree):
            found |= set(_of(node, named, is_admin=path.name in _ADMIN_FILES))
    return tuple(sorted(found))


def _of(node: ast.AST, named: dict[str, str], *, is_admin: bool) -> Iterator[Refusal]:
    if isinstance(node, ast.Call):
        parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if parts and _is_status(parts[0]):
            yield from _refusals(parts, named)
        elif name in _SPOKEN or (is_admin and name in _SPOKEN_BY_ADMIN):
            texts = tuple(text for part in parts for text in _texts(part, named))
            if texts:
                yield Refusal(0, texts)
    elif isinstance(node, ast.Tuple) and len(node.elts) > 1 and _is_status(node.elts[0]):
        yield from _refusals(node.elts, named)
    elif isinstance(node, ast.Dict) and node.keys:
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        if "market_closed" in keys and "post_only_mode" in keys and all(isinstance(key, str) for key in keys):
            yield from (Refusal(0, (text,)) for value in node.values for text in _texts(value, named))
        if len(keys) > 5 and all(type(key) is int for key in keys):
            for key, value in zip(keys, node.values, strict=True):
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield Refusal(-1, (f'"code":{key},"msg":"{value.value}"',))


def _refusals(parts: list[ast.expr], named: dict[str, str]) -> Iterator[Refusal]:
    assert isinstance(parts[0], ast.Constant)
    texts = tuple(text for part in parts[1:] for text in _texts(part, named))
    if texts:
        yield Refusal(int(str(parts[0].value)), texts)


def _is_status(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and 400 <= node.value < 600


def _texts(node: ast.expr, named: dict[str, str]) -> Iterator[str]:
    """The texts of an expression; `ANY` for what is only known later."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
    elif isinstance(node, ast.Name) and node.id in named:
        yield named[node.id]
    elif isinstance(node, ast.JoinedStr):
        pattern = "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str)
            else next(iter(_texts(part.value, named)), ANY) if isinstance(part, ast.FormattedValue) else ANY
            for part in node.values
        )  # fmt: skip
        if pattern.replace(ANY, "").strip("."):
            yield pattern
    elif isinstance(node, ast.Dict):
        for value in node.values:
            yield from _texts(value, named)
    elif isinstance(node, ast.IfExp):
        yield OR.join(text for half in (node.body, node.orelse) for text in _texts(half, named))
