"""The verdict on a run of mutants: nothing survives without a reason, and no reason is kept for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.running import Fate
from tests.mutation.survivors import complaints, read_accepted, rows, table
from tests.mutation.targets import target_files

FIRST, SECOND = mutants("a.py", "x = 1")
THIRD, FOURTH = mutants("b.py", "x = a < b")
ALL: dict[Mutant, Fate] = {
    FIRST: "killed",
    SECOND: "timed out",
    THIRD: "killed by a golden answer",
    FOURTH: "survived",
}


def test_the_table_has_a_row_of_each_file_and_one_of_all() -> None:
    found = rows(ALL)
    assert [(row.path, row.mutants, row.killed, row.by_golden, row.timed_out, row.survived) for row in found] == [
        ("a.py", 2, 1, 0, 1, 0),
        ("b.py", 2, 1, 1, 0, 1),
        ("all", 4, 2, 1, 1, 1),
    ]
    assert [row.score for row in found] == [100.0, 50.0, 75.0]
    assert table(found).splitlines()[-1].split() == ["all", "4", "2", "1", "1", "1", "75.0%"]


def test_a_survivor_without_a_reason_is_named_with_its_line() -> None:
    assert complaints(ALL, {}, 75.0, is_whole=True) == ["b.py:1 survived: (top): a < b -> a >= b"]
    assert complaints(ALL, {FOURTH.name: "equal"}, 75.0, is_whole=True) == []


def test_what_no_test_runs_survives() -> None:
    assert complaints({FIRST: "never run"}, {}, 0.0, is_whole=True) == ["a.py:1 never run: (top): 1 -> 2"]


def test_a_score_below_the_least_one_fails() -> None:
    assert complaints(ALL, {FOURTH.name: "equal"}, 75.1, is_whole=True) == [
        "the score is 75.0 %, at least 75.1 % is asked for"
    ]


def test_a_reason_for_a_mutant_that_is_killed_or_is_not_there_is_taken_out() -> None:
    accepted = {FOURTH.name: "equal", FIRST.name: "killed since", "c.py f: 1 -> 2": "gone"}
    assert complaints(ALL, accepted, 0.0, is_whole=True) == [
        f"has a reason and does not survive: {FIRST.name}",
        "has a reason and does not survive: c.py f: 1 -> 2",
    ]
    assert complaints(ALL, accepted, 0.0, is_whole=False) == [f"has a reason and does not survive: {FIRST.name}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[survivors]]\nmutants = ["a"]', "a has no reason"),
        ('[[survivors]]\nreason = " "\nmutants = ["a"]', "a has no reason"),
        ('[[survivors]]\nreason = "b"\nmutants = ["a", "a"]', "a has two reasons"),
    ],
)
def test_each_accepted_survivor_has_one_reason(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "accepted.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_accepted(tmp_path / "accepted.toml")


def test_every_accepted_survivor_is_a_mutant_of_today() -> None:
    root = Path(__file__).parents[3]
    names = {
        mutant.name for file in target_files() for mutant in mutants(str(file.relative_to(root)), file.read_text())
    }
    assert set(read_accepted()) - names == set()


def test_a_target_that_is_not_there_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.py"):
        target_files(tmp_path, ("gone.py",))
