"""One cause of trouble: how it shows in the facts, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.diagnosis.facts import Facts


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found and, where there is something to do, its remedy."""

    check: str
    is_ok: bool
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that can be wrong.

    Attributes:
        check: Its name in the findings.
        meaning: What is wrong, for the table in the docs.
        remedy: What to do.
        look: Returns what was found, empty where nothing is wrong or it is not known.
        is_notice: Worth knowing, but nothing is wrong: `doctor` does not fail for it.
    """

    check: str
    meaning: str
    remedy: str
    look: Callable[[Facts], str]
    is_notice: bool = False

    def judge(self, facts: Facts) -> Finding:
        """Return the finding on these facts."""
        found = self.look(facts)
        if not found:
            return Finding(self.check, True, "well")
        return Finding(self.check, self.is_notice, found, self.remedy)
