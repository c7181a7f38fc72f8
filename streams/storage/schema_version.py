"""Which schema this code was written for, without loading what migrates."""

from __future__ import annotations

from pathlib import Path

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


def code_schema_version() -> str:
    """Return the number of the newest migration of this code, like "0003"."""
    return max(path.stem.split("_", 1)[0] for path in _VERSIONS.glob("[0-9]*.py"))
