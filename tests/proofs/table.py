"""What a proof has found: one line per requirement, printed as a table."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Line:
    """One requirement, what was found, and whether that meets it."""

    what: str
    required: str
    found: str
    is_ok: bool


@dataclass
class Table:
    """The lines of one proof, and figures that nothing is required of."""

    title: str
    lines: list[Line] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)

    def check(self, what: str, required: str, found: object, is_ok: bool) -> None:
        """Add a requirement with what was found."""
        self.lines.append(Line(what, required, str(found), is_ok))

    def least(self, what: str, found: int, required: int) -> None:
        """Add a requirement of at least `required`."""
        self.check(what, f">= {required:,}", f"{found:,}", found >= required)

    def same(self, what: str, found: object, required: object) -> None:
        """Add a requirement of equality."""
        self.check(what, str(required), found, found == required)

    @property
    def is_ok(self) -> bool:
        """Whether every requirement is met."""
        return bool(self.lines) and all(line.is_ok for line in self.lines)

    def render(self) -> str:
        """Return the table as GitHub's Markdown."""
        rows = ["| what | required | found | |", "|---|---|---|---|"]
        rows += [
            f"| {line.what} | {line.required} | {_short(line.found)} | {'ok' if line.is_ok else 'FAIL'} |"
            for line in self.lines
        ]
        rows += [f"| {name} | | {_short(value)} | |" for name, value in self.figures.items()]
        met = sum(line.is_ok for line in self.lines)
        return "\n".join([f"### {self.title}", "", *rows, "", f"{met} of {len(self.lines)} requirements met"])


def _short(text: str, limit: int = 400) -> str:
    text = " ".join(text.replace("|", "/").split())
    return text if len(text) <= limit else text[:limit] + " ..."
