"""What tests of execution share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill that a test leaves on the disk of its home concerns no other test."""
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path / "own_home"))
