"""Mutants of a file: one small change each, found in its syntax tree. PURE.

    `<` becomes `<=` and `>=`, and so on; `==` `!=`, `is` `is not`, `in` `not in`
    `+` `-`, `*` `//`, `/` `*`, `//` `*`, `%` `//`; a sign is dropped
    `and` `or`; `not` is dropped; a bare condition is negated; True False
    a number is one more, and one less
    `min` `max`
    a returned value becomes None
    a statement is dropped: a call, a change of something that exists, a raise, a break, a continue

Decorators, annotations and texts are left as they are: they decide nothing.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
_EXTREMES = {"min": "max", "max": "min"}
_SKIPPED = frozenset({"annotation", "returns", "decorator_list", "format_spec", "type_params", "bases"})
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_DROPPED = (ast.Expr, ast.AugAssign, ast.Raise, ast.Break, ast.Continue, ast.Delete)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a file.

    Attributes:
        path: Of the file, from the root of the repository.
        index: Its place among the changes of the file.
        line: Where it is; `span` are the lines of its statement, of a compound one those of its head.
        within: The function or class it is in, empty at the top of the file.
        number: Which of the equal changes within it this is, from 1.
        is_in_function: It lies in the body of a function, so that importing the file does not run it.
    """

    path: str
    index: int
    line: int
    span: range
    within: str
    before: str
    after: str
    number: int
    is_in_function: bool

    @property
    def name(self) -> str:
        """Its name, which stays when lines move."""
        which = f" #{self.number}" if self.number > 1 else ""
        return f"{self.path} {self.within or '(top)'}: {self.before} -> {self.after}{which}"


@dataclass(frozen=True, slots=True)
class _Place:
    parent: ast.AST
    field: str
    position: int | None

    def put(self, node: ast.AST) -> None:
        if self.position is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.position] = node


@dataclass(frozen=True, slots=True)
class _Change:
    place: _Place
    node: ast.AST
    replacement: ast.AST
    span: range
    within: str
    is_in_function: bool


@dataclass(frozen=True, slots=True)
class _Scope:
    span: range
    within: str = ""
    is_in_function: bool = False
    bound: frozenset[str] = frozenset()


def mutants(path: str, source: str) -> list[Mutant]:
    """Return all mutants of a file in the order of its text.

    Args:
        path: Its path from the root of the repository.
        source: Its text.
    """
    found: list[Mutant] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    for index, change in enumerate(_changes(ast.parse(source))):
        before, after = _text(change.node), _text(change.replacement)
        seen[change.within, before, after] += 1
        number = seen[change.within, before, after]
        line = getattr(change.node, "lineno", change.span.start)
        found.append(
            Mutant(path, index, line, change.span, change.within, before, after, number, change.is_in_function)
        )
    return found


def mutated(source: str, index: int) -> ast.Module:
    """Return the tree of a file with one of its changes made."""
    tree = ast.parse(source)
    change = _changes(tree)[index]
    change.place.put(change.replacement)
    return ast.fix_missing_locations(tree)


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 100 else text[:97] + "..."


def _changes(tree: ast.Module) -> list[_Change]:
    return list(_within(tree, _Scope(range(1, 2))))


def _within(node: ast.AST, scope: _Scope) -> Iterator[_Change]:
    """Give the changes of everything below a node."""
    scope = _entered(node, scope)
    for field, value in ast.iter_fields(node):
        if field in _SKIPPED:
            continue
        several = value if isinstance(value, list) else [value]
        for position, child in enumerate(several):
            if not isinstance(child, ast.AST) or _is_text(child) or _is_type_only(child):
                continue
            place = _Place(node, field, position if isinstance(value, list) else None)
            here = _of_statement(
                child, replace(scope, is_in_function=False) if isinstance(child, ast.arguments) else scope
            )
            for replacement in _replacements(child, field, here):
                ast.copy_location(replacement, child)
                yield _Change(place, child, replacement, here.span, here.within, here.is_in_function)
            yield from _within(child, here)
            scope = _with_names(child, scope)


def _entered(node: ast.AST, scope: _Scope) -> _Scope:
    if isinstance(node, _SCOPES):
        name = f"{scope.within}.{node.name}" if scope.within else node.name
        is_function = scope.is_in_function or not isinstance(node, ast.ClassDef)
        return _Scope(scope.span, name, is_function, _arguments(node))
    return replace(scope, is_in_function=True) if isinstance(node, ast.Lambda) else scope


def _arguments(node: ast.AST) -> frozenset[str]:
    if not isinstance(node, _FUNCTIONS):
        return frozenset()
    every = node.args
    return frozenset(one.arg for one in [*every.posonlyargs, *every.args, *every.kwonlyargs])


def _of_statement(node: ast.AST, scope: _Scope) -> _Scope:
    """Return the scope with the lines of a statement; of a compound one with those of its head."""
    if not isinstance(node, ast.stmt):
        return scope
    body = getattr(node, "body", None)
    last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
    return replace(scope, span=range(node.lineno, last + 1))


def _with_names(node: ast.AST, scope: _Scope) -> _Scope:
    """Return the scope with the names that a statement binds: to bind one of them again can be dropped."""
    if not isinstance(node, ast.stmt) or isinstance(node, _SCOPES):
        return scope
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    return replace(scope, bound=scope.bound | names)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_type_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _replacements(node: ast.AST, field: str, scope: _Scope) -> Iterator[ast.AST]:
    """Give what may stand in a node's place."""
    if isinstance(node, ast.stmt):
        yield from _other_statements(node, scope)
    elif isinstance(node, ast.expr):
        yield from _other_expressions(node)
        if field in ("test", "ifs") and not isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp):
            yield ast.UnaryOp(ast.Not(), copy.deepcopy(node))


def _other_statements(node: ast.stmt, scope: _Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Return):
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield ast.Return(ast.Constant(None))
    elif isinstance(node, _DROPPED) or (isinstance(node, ast.Assign) and _is_rebound(node.targets, scope)):
        yield ast.Pass()


def _is_rebound(targets: Sequence[ast.expr], scope: _Scope) -> bool:
    """Whether everything that is assigned exists before, so that the file still makes sense without the statement."""
    names = [name for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    stored = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    return scope.is_in_function and stored <= scope.bound


def _other_expressions(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare():
            yield from _other_comparisons(node)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            yield _changed(node, op=_ARITHMETIC[type(node.op)]())
        case ast.BoolOp():
            yield _changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield copy.deepcopy(node.operand)
        case ast.Name(id="min" | "max" as name):
            yield ast.Name(_EXTREMES[name], ast.Load())
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))


def _other_comparisons(node: ast.Compare) -> Iterator[ast.expr]:
    for position, op in enumerate(node.ops):
        for other in _COMPARISONS[type(op)]:
            yield _changed(node, ops=[*node.ops[:position], other(), *node.ops[position + 1 :]])


def _changed(node: ast.expr, **fields: Any) -> ast.expr:
    other = copy.deepcopy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other
