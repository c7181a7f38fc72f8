"""The walk down the books and the linear program, two ways to one answer, on 2,000 random books."""

from __future__ import annotations

import pytest

from tests.support.random_books import bundle, compare


@pytest.mark.parametrize("first", range(0, 2_000, 500))
def test_walk_and_program_agree_on_random_books(first: int) -> None:
    found = [(seed, compare(bundle(seed))) for seed in range(first, first + 500)]
    assert [(seed, compared) for seed, compared in found if not compared.agrees] == []
    assert sum(compared.walked_e6 > 0 for _, compared in found) > 150
