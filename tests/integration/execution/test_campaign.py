"""The shell of trading in virtual time against both sandbox exchanges: a few seeds of `make campaign`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaign.bugs import BUGS
from tests.campaign.seed import run_seed
from tests.conftest import new_database

_SEEDS = range(1, 31)
_GROUPS = 5


@pytest.mark.parametrize("group", range(_GROUPS))
def test_whatever_happens_on_the_way_every_hedge_ends_and_the_ledger_is_the_venues(
    postgres_dsn: str, migrated_template: str, tmp_path: Path, group: int
) -> None:
    broken: dict[int, list[str]] = {}
    orders = 0
    for seed in _SEEDS[group::_GROUPS]:
        with new_database(postgres_dsn, migrated_template) as dsn:
            report = run_seed(dsn, seed, tmp_path / str(seed))
        orders += report.orders
        if report.broken:
            broken[seed] = report.broken
    assert broken == {}
    assert orders


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


def test_a_seed_that_takes_too_long_ends_with_what_it_waits_for(
    postgres_dsn: str, migrated_template: str, tmp_path: Path
) -> None:
    with new_database(postgres_dsn, migrated_template) as dsn:
        report = run_seed(dsn, 1, tmp_path, real_s=0.0)
    assert report.broken[0].startswith("it has taken 0 s; open: ")
    assert "at seed.py:" in report.broken[0]
