"""What execution and recorder answer is, byte by byte, what they answered when it was stored."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.golden.execution import goldens, lives
from tests.golden.execution.answers import PURE
from tests.golden.execution.stage import Plain


@pytest.mark.parametrize("name", list(PURE))
def test_answers_are_those_that_were_stored(name: str) -> None:
    same(name, PURE[name]())


@pytest.mark.parametrize("name", lives.NAMES)
def test_the_rows_a_life_leaves_are_those_that_were_stored(database: str, name: str) -> None:
    same(f"rows/{name}", lives.play(name, database))


def same(name: str, rows: Iterable[Plain]) -> None:
    difference = goldens.first_difference(name, rows)
    if difference:
        pytest.fail(difference, pytrace=False)
