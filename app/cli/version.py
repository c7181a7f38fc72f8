"""`crossbook --version`: the version of the package, and of the schema it was written for."""

from __future__ import annotations

from importlib import metadata

from streams.storage.schema_version import code_schema_version


def version_line() -> str:
    """Return the line that `--version` prints."""
    try:
        version = metadata.version("crossbook")
    except metadata.PackageNotFoundError:
        version = "of a source tree that is not installed"
    return f"crossbook {version} (schema {code_schema_version()})"
