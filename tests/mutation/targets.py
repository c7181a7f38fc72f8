"""What is mutated, and the tests that may kill a mutant."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_DECIDE = "orchestration/execution/decide"
TARGETS = (
    f"{_DECIDE}/gate",
    f"{_DECIDE}/risk_checks.py",
    f"{_DECIDE}/hedge.py",
    f"{_DECIDE}/mending.py",
    f"{_DECIDE}/exposure.py",
    f"{_DECIDE}/absence.py",
    f"{_DECIDE}/account_check.py",
    f"{_DECIDE}/postings.py",
    "orchestration/opportunities/leg_risk.py",
)
"""The pure parts of the risk checks, the send path and the reconciliation: files, and folders with all their files."""
UNIT, GOLDEN = "tests/unit", "tests/golden/execution"
"""Tests are tried in this order; those that need a database are left out."""


def target_files(root: Path = ROOT, targets: tuple[str, ...] = TARGETS) -> list[Path]:
    """Return the files to mutate, in the order of the targets.

    Raises:
        FileNotFoundError: If a target is not there, so that a file that moved does not fall out unseen.
    """
    found: list[Path] = []
    for target in targets:
        path = root / target
        if not path.exists():
            raise FileNotFoundError(f"{target} is to be mutated and is not there")
        several = sorted(path.glob("*.py")) if path.is_dir() else [path]
        found += [file for file in several if file.read_text().strip()]
    return found
