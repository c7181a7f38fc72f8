"""Which mutants a file has, and that each is one change of it."""

from __future__ import annotations

import ast

import pytest

from tests.mutation.mutants import Mutant, mutants, mutated


def changes(source: str) -> list[str]:
    return [f"{mutant.before} -> {mutant.after}" for mutant in mutants("a.py", source)]


def only(source: str, before: str, after: str) -> Mutant:
    (found,) = [mutant for mutant in mutants("a.py", source) if (mutant.before, mutant.after) == (before, after)]
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["a < b -> a <= b", "a < b -> a >= b"]),
        ("x = a <= b", ["a <= b -> a < b", "a <= b -> a > b"]),
        ("x = a > b", ["a > b -> a >= b", "a > b -> a <= b"]),
        ("x = a >= b", ["a >= b -> a > b", "a >= b -> a < b"]),
        ("x = a == b", ["a == b -> a != b"]),
        ("x = a != b", ["a != b -> a == b"]),
        ("x = a is b", ["a is b -> a is not b"]),
        ("x = a is not b", ["a is not b -> a is b"]),
        ("x = a in b", ["a in b -> a not in b"]),
        ("x = a not in b", ["a not in b -> a in b"]),
        ("x = a == b == c", ["a == b == c -> a != b == c", "a == b == c -> a == b != c"]),
        ("x = a + b", ["a + b -> a - b"]),
        ("x = a - b", ["a - b -> a + b"]),
        ("x = a * b", ["a * b -> a // b"]),
        ("x = a / b", ["a / b -> a * b"]),
        ("x = a // b", ["a // b -> a * b"]),
        ("x = a % b", ["a % b -> a // b"]),
        ("x = -a", ["-a -> a"]),
        ("x = a and b", ["a and b -> a or b"]),
        ("x = a or b", ["a or b -> a and b"]),
        ("x = not a", ["not a -> a"]),
        ("x = b if a else c", ["a -> not a"]),
        ("x = [b for b in c if b]", ["b -> not b"]),
        ("x = True", ["True -> False"]),
        ("x = 3", ["3 -> 4", "3 -> 2"]),
        ("x = 0.5", ["0.5 -> 1.5", "0.5 -> -0.5"]),
        ("x = min(a)", ["min -> max"]),
        ("x = f(key=max)", ["max -> min"]),
        ("def f():\n    return a", ["return a -> return None"]),
        ("def f():\n    g()", ["g() -> pass"]),
        ("def f():\n    raise E", ["raise E -> pass"]),
        ("def f(a):\n    a += b", ["a += b -> pass"]),
        ("def f(a):\n    a = b", ["a = b -> pass"]),
        ("while a:\n    break", ["a -> not a", "break -> pass"]),
    ],
)
def test_each_kind_of_change_is_made(source: str, expected: list[str]) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A text with 1 < 2."""',
        "x: Literal[1]",
        "def f(a: T[1]) -> T[2]:\n    pass",
        "@decorated(frozen=True)\nclass A:\n    pass",
        "x = f'{a:.1f}'",
        "if TYPE_CHECKING:\n    x = 1",
        "def f():\n    return",
        "def f():\n    return None",
        "def f():\n    a = b",
        "x = a | b",
    ],
)
def test_what_decides_nothing_or_could_only_be_a_name_error_is_left_as_it_is(source: str) -> None:
    assert changes(source) == []


def test_a_mutated_file_differs_in_its_one_change_and_keeps_its_lines() -> None:
    source = "def f(a):\n    return a < 1\n\n\ndef g(a):\n    return a < 1\n"
    for mutant in mutants("a.py", source):
        lines = ast.unparse(mutated(source, mutant.index)).splitlines()
        differing = [
            now for now, before in zip(lines, ast.unparse(ast.parse(source)).splitlines(), strict=True) if now != before
        ]
        assert len(differing) == 1
        assert mutated(source, mutant.index).body[1].lineno == 5


def test_equal_changes_within_a_function_are_told_apart_and_names_stay_when_lines_move() -> None:
    source = "def f(a):\n    return [1, 1]\n\n\ndef g(a):\n    return 1\n"
    names = [mutant.name for mutant in mutants("a.py", source)]
    assert len(set(names)) == len(names)
    assert "a.py f: 1 -> 2" in names
    assert "a.py f: 1 -> 2 #2" in names
    assert "a.py g: 1 -> 2" in names
    assert [mutant.name for mutant in mutants("a.py", "\n\n" + source)] == names


def test_a_change_of_a_default_a_field_or_a_constant_is_one_of_the_import() -> None:
    source = (
        "X = 1\n\n\nclass A:\n    x: int = 2\n\n    def f(self, a=3):\n        b = 4\n        return lambda c=5: 6\n"
    )
    places = {mutant.before: mutant.is_in_function for mutant in mutants("a.py", source) if mutant.before.isdigit()}
    assert places == {"1": False, "2": False, "3": False, "4": True, "5": False, "6": True}


def test_the_span_of_a_change_is_its_statement_and_that_of_a_compound_one_its_head() -> None:
    source = "def f(a):\n    if (\n        a < 1\n    ):\n        return [\n            7,\n        ]\n"
    assert only(source, "a < 1", "a <= 1").span == range(2, 5)
    assert only(source, "7", "8").span == range(5, 8)
    assert only(source, "7", "8").line == 6


def test_a_change_lies_within_the_innermost_function_or_class() -> None:
    source = "class A:\n    def f(self):\n        def g():\n            return 1\n"
    assert only(source, "1", "2").within == "A.f.g"
