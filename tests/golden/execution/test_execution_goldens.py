"""What execution and recorder answer is, byte by byte, what they answered when it was stored."""

from __future__ import annotations

import pytest

from tests.golden.execution import goldens, lives
from tests.golden.execution.answers import PURE


@pytest.mark.parametrize("name", list(PURE))
def test_answers_are_those_that_were_stored(name: str) -> None:
    assert goldens.first_difference(name, PURE[name]()) == ""


@pytest.mark.parametrize("name", lives.NAMES)
def test_the_rows_a_life_leaves_are_those_that_were_stored(database: str, name: str) -> None:
    assert goldens.first_difference(f"rows/{name}", lives.play(name, database)) == ""
