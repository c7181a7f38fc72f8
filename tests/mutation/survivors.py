"""The survivors that are accepted, each with its reason, and the verdict on a run."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.mutants import Mutant
from tests.mutation.running import Fate

ACCEPTED = Path(__file__).with_name("survivors.toml")
_LIVES: frozenset[Fate] = frozenset({"survived", "never run"})


def read_accepted(path: Path = ACCEPTED) -> dict[str, str]:
    """Return the reason of each accepted survivor by the mutant's name.

    Raises:
        ValueError: If a reason is missing, or a mutant stands there twice.
    """
    found: dict[str, str] = {}
    for group in tomllib.loads(path.read_text()).get("survivors", []):
        reason = str(group.get("reason", "")).strip()
        for name in group["mutants"]:
            if not reason or name in found:
                raise ValueError(f"{name} has {'two reasons' if reason else 'no reason'}")
            found[name] = reason
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """What became of the mutants of one file."""

    path: str
    mutants: int
    killed: int
    by_golden: int
    timed_out: int
    survived: int

    @property
    def score(self) -> float:
        """The share of the mutants that did not survive, in percent; 100 without any."""
        return 100 * (self.mutants - self.survived) / self.mutants if self.mutants else 100.0


def rows(fates: Mapping[Mutant, Fate]) -> list[Row]:
    """Return the row of each file in the order of the mutants, and that of all together at the end."""
    by_path: dict[str, Counter[Fate]] = {}
    for mutant, fate in fates.items():
        by_path.setdefault(mutant.path, Counter())[fate] += 1
    everything = sum(by_path.values(), Counter[Fate]())
    return [_row(path, counts) for path, counts in [*by_path.items(), ("all", everything)]]


def _row(path: str, counts: Counter[Fate]) -> Row:
    survived = sum(counts[fate] for fate in _LIVES)
    golden = counts["killed by a golden answer"]
    return Row(path, counts.total(), counts["killed"] + golden, golden, counts["timed out"], survived)


def table(found: Sequence[Row]) -> str:
    """Return the rows as a table to read."""
    head = f"{'':58} {'mutants':>8} {'killed':>7} {'golden':>7} {'timeout':>7} {'lives':>6} {'score':>7}"
    lines = [
        f"{row.path:58} {row.mutants:8} {row.killed:7} {row.by_golden:7} {row.timed_out:7} {row.survived:6}"
        f" {row.score:6.1f}%"
        for row in found
    ]
    return "\n".join([head, *lines])


def list_survivors(fates: Mapping[Mutant, Fate], accepted: Mapping[str, str] | None = None) -> list[str]:
    """Return file, line and change of each survivor that is not accepted, in the order in which they were found."""
    return [
        f"{mutant.path}:{mutant.line} {fate}: {mutant.name.partition(' ')[2]}"
        for mutant, fate in fates.items()
        if fate in _LIVES and mutant.name not in (accepted or {})
    ]


def complaints(fates: Mapping[Mutant, Fate], accepted: Mapping[str, str], least: float, *, is_whole: bool) -> list[str]:
    """Return what fails a run: survivors without a reason, reasons without a survivor, a score below the least.

    Args:
        fates: What became of each mutant.
        accepted: The reason of each accepted survivor by its name.
        least: The least score of all together, in percent.
        is_whole: All mutants were run, so that a name that is not among them is none.
    """
    lives = {mutant.name for mutant, fate in fates.items() if fate in _LIVES}
    found = list_survivors(fates, accepted)
    known = {mutant.name for mutant in fates}
    found += [
        f"has a reason and does not survive: {name}"
        for name in accepted
        if name not in lives and (is_whole or name in known)
    ]
    score = rows(fates)[-1].score
    if score < least:
        found.append(f"the score is {score:.1f} %, at least {least:g} % is asked for")
    return found
