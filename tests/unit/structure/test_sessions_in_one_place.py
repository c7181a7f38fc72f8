"""Sessions with PostgreSQL are opened in one place, which pins them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PLACE = ROOT / "streams" / "storage" / "access" / "sessions.py"
_RAW = re.compile(r"\bpsycopg2?\.(?:Async)?(?:Connection\.)?connect\(")


def test_no_other_module_opens_a_session_by_itself() -> None:
    found = [
        str(path.relative_to(ROOT))
        for room in ("app", "orchestration", "streams")
        for path in sorted((ROOT / room).rglob("*.py"))
        if path != PLACE and _RAW.search(path.read_text())
    ]
    assert found == []
    assert _RAW.search(PLACE.read_text())
