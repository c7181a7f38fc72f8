"""The checklists of the sandbox's pages name tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
_NAMED = re.compile(r"`(test_\w+)`")
_DEFINED = re.compile(r"^\s*(?:async )?def (test_\w+)\(", re.MULTILINE)


@pytest.mark.parametrize("page", ["kalshi-sandbox.md", "polymarket-sandbox.md"])
def test_every_named_test_exists(page: str) -> None:
    text = (ROOT / "docs" / "venues" / page).read_text()
    rows = [line for line in text.partition("## Checklist")[2].splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 30
    assert [row for row in rows if not _NAMED.search(row)] == []
    defined = {name for path in (ROOT / "tests").rglob("test_*.py") for name in _DEFINED.findall(path.read_text())}
    assert set(_NAMED.findall(text)) - defined == set()
