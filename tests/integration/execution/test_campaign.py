"""The shell of trading in virtual time against both sandbox exchanges: a few seeds of `make campaign`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaign.bugs import BUGS
from tests.campaign.seed import run_seed
from tests.conftest import new_database


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_whatever_happens_on_the_way_every_hedge_ends_and_the_ledger_is_the_venues(
    database: str, tmp_path: Path, seed: int
) -> None:
    report = run_seed(database, seed, tmp_path)
    assert report.broken == []
    assert report.orders


def test_the_same_seed_is_the_same_trace(postgres_dsn: str, migrated_template: str, tmp_path: Path) -> None:
    traces = []
    for name in ("a", "b"):
        with new_database(postgres_dsn, migrated_template) as dsn:
            traces.append(run_seed(dsn, 3, tmp_path / name).trace)
    assert traces[0]
    assert traces[0] == traces[1]


def test_a_match_that_is_taken_for_final_is_found(postgres_dsn: str, migrated_template: str, tmp_path: Path) -> None:
    with BUGS["MATCHED final"]():
        for seed in range(1, 10):
            with new_database(postgres_dsn, migrated_template) as dsn:
                if run_seed(dsn, seed, tmp_path / str(seed)).broken:
                    return
    pytest.fail("no seed found it")
