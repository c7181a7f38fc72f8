"""The version of Dagster that this room was written for: it uses modules of Dagster that are not public."""

from __future__ import annotations

from importlib.metadata import version

from streams.market.errors import ConfigurationError

WRITTEN_FOR = "1.13.27"


def check_version() -> None:
    """Make sure that the Dagster which is installed is the one whose private modules we know.

    Raises:
        ConfigurationError: If it is another one.
    """
    found = version("dagster")
    if found != WRITTEN_FOR:
        raise ConfigurationError(
            f"Crossbook uses private modules of Dagster {WRITTEN_FOR}, but {found} is installed: "
            "install what requirements.lock names."
        )
