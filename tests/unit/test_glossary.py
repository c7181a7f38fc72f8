"""The glossary has a line for every word that is stored, and none for a word that is not stored any more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.alerting.kinds import KINDS

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
RUNBOOK = ROOT / "docs" / "runbooks" / "recorder.md"
SQL = sorted((ROOT / "streams" / "storage" / "migrations" / "sql").glob("*.sql"))
_STORED = ("streams/storage/**/*.py", "orchestration/execution/**/*.py", "streams/market/trading.py")
"""Where every enumeration is one of stored words."""
_STORED_BY_NAME = {
    "streams/market/identity.py": {"Venue", "Outcome", "Side"},
    "streams/market/listing.py": {"MarketStatus"},
    "orchestration/matching/verdict.py": {"Relation", "Polarity"},
}
_NOT_ENUMERATED = (
    {"edge_below_exit", "stale", "taken", "group_ended", "decision_changed", "monitor_stopped", "unwatched"},
    {"open", "traded", "refused", "passed"},
    {"covered", "gap", "ended"},
    {"data_test"},
)
"""Words that no enumeration of a stored column holds: close reasons and fates of signals, an end of coverage."""
_CHECK = re.compile(r"CHECK \((\w+) IN \(([^)]*)\)\)")
_ALERT_OF_SQL = re.compile(r"INSERT INTO trading\.alerts[^;]*?VALUES \('(\w+)'")
_FIRST_CELL = re.compile(r"^\| ((?:`[^`]+`(?:, )?)+)")


def _tables(page: Path) -> list[set[str]]:
    """The words in `code` of each table's first column."""
    tables: list[set[str]] = [set()]
    for line in page.read_text().splitlines():
        if not line.startswith("|"):
            tables.append(set())
        elif found := _FIRST_CELL.match(line):
            tables[-1].update(re.findall(r"`([^`]+)`", found[1]))
    return [table for table in tables if table]


def _values(node: ast.stmt) -> tuple[str, set[str]] | None:
    """Name and values of a StrEnum or of a named Literal of strings."""
    if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "StrEnum" for base in node.bases):
        return node.name, {
            line.value.value
            for line in node.body
            if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant)
        }
    is_literal = (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Subscript)
        and ast.unparse(node.value.value) == "Literal"
    )
    if not is_literal:
        return None
    values = ast.literal_eval(node.value.slice)
    return ast.unparse(node.targets[0]), {values} if isinstance(values, str) else set(values)


def _enumerations() -> Iterator[tuple[str, set[str]]]:
    named = [(ROOT / path, names) for path, names in _STORED_BY_NAME.items()]
    whole = [(path, None) for pattern in _STORED for path in sorted(ROOT.glob(pattern))]
    for path, names in [*named, *whole]:
        for node in ast.parse(path.read_text()).body:
            found = _values(node)
            if found is not None and (names is None or found[0] in names):
                yield f"{path.relative_to(ROOT)}:{found[0]}", found[1]


def _checks() -> Iterator[tuple[str, set[str]]]:
    for path in SQL:
        for column, values in _CHECK.findall(path.read_text()):
            yield f"{path.name}:{column}", set(re.findall(r"'([^']+)'", values))


def _alert_kinds() -> set[str]:
    """The second argument of each call of `raise_alert`, a text or a constant of the module; those of SQL, `KINDS`."""
    kinds = set()
    for path in sorted(path for room in ("app", "orchestration", "streams") for path in (ROOT / room).rglob("*.py")):
        module = ast.parse(path.read_text())
        constants = {
            ast.unparse(node.targets[0]): node.value.value
            for node in module.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "raise_alert":
                kind = node.args[1]
                if not isinstance(kind, ast.Attribute):  # one of the table of kinds otherwise
                    kinds.add(kind.value if isinstance(kind, ast.Constant) else constants[ast.unparse(kind)])
    for path in SQL:
        kinds.update(_ALERT_OF_SQL.findall(path.read_text()))
    return kinds | set(KINDS)


STORED = [*_enumerations(), *_checks()]


@pytest.mark.parametrize(("values"), [v for _, v in STORED], ids=[name for name, _ in STORED])
def test_stored_words_of_one_kind_have_lines_in_one_table(values: set[str]) -> None:
    assert any(values <= table for table in _tables(GLOSSARY))


def test_no_line_is_left_of_a_word_that_is_not_stored_any_more() -> None:
    causes = {"sequence_hole"}
    known = [*(values for _, values in STORED), _alert_kinds(), *_NOT_ENUMERATED]
    stale = [
        table - set().union(*(values for values in known if values <= table))
        for table in _tables(GLOSSARY)
        if not causes <= table
    ]
    assert [words for words in stale if words] == []


def test_the_test_sees_the_states_the_reasons_and_the_tables_columns() -> None:
    seen = [values for _, values in STORED]
    assert any({"HEDGED", "ESCALATED"} <= values for values in seen)
    assert any({"stale_book", "edge_gone"} <= values for values in seen)
    assert len(list(_checks())) >= 15


def test_every_alert_kind_has_a_line() -> None:
    kinds = _alert_kinds()
    assert {"escalated", "kill"} <= kinds
    assert kinds == set(KINDS), "each kind that is raised has its severity, its way out and its end"
    assert any(kinds <= table for table in _tables(GLOSSARY))


def test_the_glossary_and_the_recorder_s_runbook_name_the_same_coverage_causes() -> None:
    [explained] = [table for table in _tables(GLOSSARY) if "sequence_hole" in table]
    [acted_on] = [table for table in _tables(RUNBOOK) if "sequence_hole" in table]
    assert explained == acted_on
