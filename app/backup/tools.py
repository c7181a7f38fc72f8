"""PostgreSQL's own programs for dumping and restoring: the server's binaries, or those on the path."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from streams.market.errors import ConfigurationError, TransientError
from streams.settings import Settings
from streams.storage.database import connect
from streams.storage.outages import Trouble, trouble_of
from streams.storage.server.embedded import binaries_dir


def run_tool(settings: Settings, tool: str, dsn: str, arguments: Sequence[str]) -> None:
    """Run `pg_dump` or `pg_restore` on a database. The password goes by the environment, never by the arguments.

    Raises:
        ConfigurationError: If the program is not there, or too old for the server.
        TransientError: If it fails; with its last line.
    """
    parts: dict[str, Any] = conninfo_to_dict(dsn)
    password = parts.pop("password", None)
    environment = {**os.environ, "PGOPTIONS": "", **({"PGPASSWORD": str(password)} if password else {})}
    command = [_program(settings, tool), f"--dbname={make_conninfo(**parts)}", "--no-password", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")  # noqa: S603
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        if "server version mismatch" in done.stderr:
            raise ConfigurationError(f"{tool} is older than the server; put one of the server's version on the path.")
        raise TransientError(f"{tool} failed: {said[0]}")


@contextmanager
def explained_database() -> Iterator[None]:
    """Say in one sentence that the database cannot be had.

    Raises:
        TransientError: If so.
    """
    try:
        yield
    except psycopg.Error as error:
        if not isinstance(error, psycopg.OperationalError) and trouble_of(error) is Trouble.PERMANENT:
            raise
        said = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise TransientError(f"The warehouse does not answer: {said[0].strip()}") from None


def is_empty(dsn: str) -> bool:
    """Whether a database holds none of our schemas."""
    with connect(dsn, application="crossbook-restore") as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_namespace WHERE nspname IN ('raw', 'trading', 'dagster', 'analytics') LIMIT 1"
        ).fetchone()
    return found is None


def _program(settings: Settings, tool: str) -> str:
    if settings.database_url is None:
        return str(binaries_dir() / tool)
    found = shutil.which(tool)
    if found is not None:
        return found
    return str(binaries_dir() / tool)
