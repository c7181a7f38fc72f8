"""SQL on the schema `trading` that stands outside the store: literals, and names that are put together.

A text counts as

- `statement`: `trading.<name>` behind a word of SQL (FROM, JOIN, INTO, UPDATE, TABLE, ...), or anywhere in a text that
  has a statement's verb in capitals;
- `composed`: the name is put together from pieces: an f-string, a sum, `%`, `format`, `join`, `sql.Identifier`;
- `name`: nothing but `trading.<table>`, where the migrations know such a table: it ends in somebody's SQL.

Docstrings, names of loggers, keys of Dagster and what a `metadata=` says about an asset's table do not count.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.structure.tree import Source

STORE = ("streams/storage/store/", "streams/storage/migrations/")
CLOCKS = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(\s*\)"
    r"|\b(current_timestamp|current_time|current_date|localtimestamp|localtime)\b|'(now|today|tomorrow|yesterday)'",
    re.IGNORECASE,
)
"""By which a statement of PostgreSQL reads the server's clock."""
_PIECE = "{}"
_NAME = r'(?<![\w."])"?trading"?\."?[a-z_]'
_BEHIND_A_WORD = re.compile(
    r"\b(from|join|into|update|table|only|using|delete|truncate|copy|lock|view|exists|references|analyze|vacuum|on)"
    r'\s+(if\s+(not\s+)?exists\s+)?\(?"?trading"?\."?[a-z_]',
    re.IGNORECASE,
)
_VERB = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|FROM|JOIN|CREATE|ALTER|DROP|TRUNCATE|COPY|LOCK|GRANT)\b")
_COMPOSED = re.compile(r'(?<![\w."])"?trading"?\."?(\{|%s|%\()')
_TABLE = re.compile(r"\bCREATE\s+(?:TABLE|VIEW)\s+(?:IF\s+NOT\s+EXISTS\s+)?trading\.(\w+)", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """One literal: its file, line, and kind (`statement`, `composed` or `name`)."""

    path: str
    line: int
    kind: str


def known_tables(root: Path) -> frozenset[str]:
    """Return the tables and views of the schema that SQL files and Python files below `root` create."""
    texts = (path.read_text() for pattern in ("*.sql", "*.py") for path in root.rglob(pattern))
    return frozenset(name for text in texts for name in _TABLE.findall(text))


def sql_outside(
    sources: Sequence[Source], tables: frozenset[str], excluded: Sequence[str] = STORE
) -> dict[str, list[Found]]:
    """Return what was found per file, the file with the most first; `excluded` are beginnings of paths."""
    found: dict[str, list[Found]] = {}
    for source in sources:
        path = str(source.path)
        if path.startswith(tuple(excluded)):
            continue
        here = [
            Found(path, node.lineno, kind)
            for node, text in _texts(source.tree)
            if (kind := kind_of(text, tables)) is not None
        ]
        if here:
            found[path] = here
    return dict(sorted(found.items(), key=lambda entry: (-len(entry[1]), entry[0])))


def clocks_read(sources: Sequence[Source], folder: str = STORE[0]) -> list[Found]:
    """Return the texts below a folder that read the server's clock, but for statements that read nothing from a table.

    Pieces of statements count too: what they end in may be a statement on `trading`.
    """
    return [
        Found(str(source.path), node.lineno, "clock")
        for source in sources
        if str(source.path).startswith(folder)
        for node, text in _texts(source.tree)
        if CLOCKS.search(text) and not (text.startswith("SELECT ") and " FROM " not in text and "trading" not in text)
    ]


def kind_of(text: str, tables: frozenset[str]) -> str | None:
    """Return what a text is, its pieces written as `{}`; None when it is no SQL on `trading`."""
    if _COMPOSED.search(text):
        return "composed"
    if _BEHIND_A_WORD.search(text) or (_VERB.search(text) and re.search(_NAME, text)):
        return "statement"
    return "name" if text.strip().startswith("trading.") and text.strip()[8:] in tables else None


def _texts(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Each text of a file once: the outermost expression that makes it, and the text with `{}` for unknown pieces."""
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.keyword) and node.arg == "metadata":
            continue
        text = _text(node, constants) if isinstance(node, ast.expr) else None
        if text is None or not isinstance(node, ast.expr):
            waiting.extend(ast.iter_child_nodes(node))
            continue
        yield node, text
        waiting.extend(_pieces(node))


def _text(node: ast.expr, constants: Mapping[str, str]) -> str | None:
    """The text an expression makes, as far as it is known; None when it makes none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else _known(part, constants) for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left, constants), _text(node.right, constants)
        if left is None and right is None:
            return None
        return (_known(node.left, constants) if left is None else left) + (
            _known(node.right, constants) if right is None else right
        )
    if isinstance(node, ast.Call):
        return _called(node, constants)
    return None


def _called(node: ast.Call, constants: Mapping[str, str]) -> str | None:
    """`".".join([a, b])` and `sql.Identifier(a, b)` as the name they make."""
    called = ast.unparse(node.func)
    parts: Sequence[ast.expr] = ()
    if called.rpartition(".")[2] == "Identifier":
        parts = node.args
    elif called in ("'.'.join",) and node.args and isinstance(node.args[0], ast.List | ast.Tuple):
        parts = node.args[0].elts
    if len(parts) < 2:
        return None
    schema = _known(parts[0], constants)
    return f"{schema}.{_PIECE}"


def _known(node: ast.expr, constants: Mapping[str, str]) -> str:
    """The text of a piece: a literal, a constant of the file, else `{}`."""
    if isinstance(node, ast.FormattedValue):
        node = node.value
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return constants.get(node.id, _PIECE) if isinstance(node, ast.Name) else _PIECE


def _pieces(node: ast.expr) -> Iterator[ast.AST]:
    """What stands inside a text's pieces and may hold texts of its own."""
    if isinstance(node, ast.JoinedStr):
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield part.value
    elif isinstance(node, ast.BinOp):
        for side in (node.left, node.right):
            if isinstance(side, ast.BinOp | ast.JoinedStr):
                yield from _pieces(side)
            elif not isinstance(side, ast.Constant):
                yield side
