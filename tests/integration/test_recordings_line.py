"""A real recording through the sandbox, the recorder and PostgreSQL; the larger ones are a proof of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proofs.recordings import is_right, prove


@pytest.mark.timeout(120)
def test_recorded_kalshi_books_arrive_in_the_database_as_an_independent_fold_tells(
    shared_dir: Path, tmp_path: Path
) -> None:
    document = prove(shared_dir / "data" / "books" / "kalshi_ws_2026-08-07.json.gz", tmp_path)
    assert is_right(document), document
    assert len(document["markets"]) == 12
    assert sum(found["frames"] for found in document["markets"].values()) == 257
