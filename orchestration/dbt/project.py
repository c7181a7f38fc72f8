"""The dbt project as our processes run it: where it is, its environment, its manifest, and one way to invoke dbt.

dbt runs inside the calling process: a run that was forked from the warm runner has dbt imported already, which saves
the four seconds a `dbt` command needs to start. Nothing is ever written into the source tree: target and logs are in
`CROSSBOOK_HOME/dbt`. This module knows nothing of Dagster. `python -m orchestration.dbt.project` prepares the
manifest and makes the views that people read; it must have run before the code server, the API and the dashboard start.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orchestration.dbt.live_views import MATERIALIZATION, compiled_views, store_views, stored_views
from streams.market.errors import ConfigurationError
from streams.outermost import run_guarded
from streams.settings import PROJECT_ROOT, Settings, load_settings
from streams.storage.access.logins import Login
from streams.storage.access.sessions import PINNED_ENVIRONMENT, libpq_environment, session_options
from streams.storage.database import connect, database_dsn
from streams.storage.ddl import LOCK_TIMEOUT_MS
from streams.storage.store.warehouse import keep_views

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

PROJECT_DIR = PROJECT_ROOT / "dbt_project"
_IN_PROFILE = frozenset({"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE", "PGAPPNAME"})


def target_dir(settings: Settings) -> Path:
    """Return the folder of dbt's artifacts."""
    return settings.home_dir / "dbt" / "target"


def manifest_path(settings: Settings) -> Path:
    """Return the path of the manifest (which exists after `prepare`)."""
    return target_dir(settings) / "manifest.json"


def views_path(settings: Settings) -> Path:
    """Return the path of the compiled views (which exist after `prepare`)."""
    return target_dir(settings) / "views.json"


def dbt_environment(dsn: str) -> dict[str, str]:
    """Return the variables profiles.yml and libpq read, for an address in either form PostgreSQL knows."""
    parts = conninfo_to_dict(dsn)
    # A profile has no place for settings of a session, certificates and the like; libpq reads these.
    return {
        **{name: value for name, value in libpq_environment(dsn).items() if name not in _IN_PROFILE},
        "PGOPTIONS": session_options(dsn, lock_timeout=f"{LOCK_TIMEOUT_MS}ms"),
        "DBT_CROSSBOOK_HOST": str(parts.get("host") or "127.0.0.1"),
        "DBT_CROSSBOOK_PORT": str(parts.get("port") or 5432),
        "DBT_CROSSBOOK_USER": str(parts.get("user") or "crossbook"),
        "DBT_ENV_SECRET_CROSSBOOK_PASSWORD": str(parts.get("password") or ""),
        "DBT_CROSSBOOK_DATABASE": str(parts.get("dbname") or "crossbook"),
        "DBT_CROSSBOOK_SSLMODE": str(parts.get("sslmode") or "prefer"),
        **PINNED_ENVIRONMENT,
        "DO_NOT_TRACK": "1",
    }


def one_server(dsn: str) -> str:
    """Return the address of that one of several servers that is to be used now; a profile has room for one.

    Where none answers it is the first.
    """
    parts = conninfo_to_dict(dsn)
    if "," not in str(parts.get("host") or ""):
        return dsn
    try:
        with connect(dsn, application="crossbook-dbt") as connection:
            host, port = connection.info.host, str(connection.info.port)
    except psycopg.OperationalError:
        host, port = (str(parts.get(name) or "").split(",")[0] for name in ("host", "port"))
    return make_conninfo(dsn, host=host, port=port or "5432")


def dbt_options(settings: Settings) -> list[str]:
    """Return the options every invocation has in common; they decide whether a parse can be reused."""
    folder = settings.home_dir / "dbt"
    return [
        f"--project-dir={PROJECT_DIR}",
        f"--profiles-dir={PROJECT_DIR}",
        f"--target-path={folder / 'target'}",
        f"--log-path={folder / 'logs'}",
        "--log-level-file=none",
        "--no-use-colors",
        "--vars=" + json.dumps({"quote_stale_after_s": settings.quote_stale_after_s}),
    ]


def invoke(
    settings: Settings,
    dsn: str,
    command: Sequence[str],
    *,
    on_event: Sequence[Callable[[Any], None]] = (),
) -> dbtRunnerResult:
    """Run one dbt command in this process and return its result; a failing node is in the result, not raised."""
    from dbt.cli.main import dbtRunner

    target_dir(settings).mkdir(parents=True, exist_ok=True)
    with _environment(dbt_environment(one_server(dsn))):
        return dbtRunner(callbacks=list(on_event)).invoke([*command, *dbt_options(settings)])


def prepare(settings: Settings) -> Path:
    """Parse the project into the manifest, and its views into queries, unless those there are of the same project.

    Returns:
        The path of the manifest.

    Raises:
        ConfigurationError: If the project cannot be parsed.
    """
    try:
        dsn = database_dsn(settings, Login.DBT)
    except ConfigurationError:
        dsn = ""
    stamp = target_dir(settings) / "prepared"
    digest = _project_digest(settings, dsn)
    is_there = all(path.exists() for path in (stamp, manifest_path(settings), views_path(settings)))
    if is_there and stamp.read_text() == digest:
        return manifest_path(settings)
    # The database is not asked: what a view reads is known, and who has none yet may prepare all the same.
    selected = f"--select=config.materialized:{MATERIALIZATION}"
    command = ["compile", selected, "--no-introspect", "--no-populate-cache", "--quiet", "--log-level=error"]
    result = invoke(settings, dsn, command)
    if not result.success:
        raise ConfigurationError(f"The dbt project cannot be parsed: {result.exception or result.result}")
    store_views(views_path(settings), compiled_views(json.loads(manifest_path(settings).read_bytes())))
    stamp.write_text(digest)
    return manifest_path(settings)


def make_views(settings: Settings) -> int:
    """Prepare the project and make the views of the warehouse as it says; return how many were made or changed.

    Raises:
        ConfigurationError: If the project cannot be parsed, or a view cannot be made.
    """
    prepare(settings)
    try:
        with connect(database_dsn(settings, Login.DBT), application="crossbook-views") as connection:
            return keep_views(connection, stored_views(views_path(settings)))
    except psycopg.Error as error:
        raise ConfigurationError(f"The views of the warehouse cannot be made: {error}") from None


def load_manifest() -> dict[str, Any]:
    """Return the manifest of this process's home; parses the project first where nobody has prepared it.

    Raises:
        ConfigurationError: If the settings or the project cannot be used.
    """
    settings = load_settings()
    path = manifest_path(settings)
    if not path.exists():
        path = prepare(settings)
    manifest: dict[str, Any] = json.loads(path.read_bytes())
    return manifest


def _project_digest(settings: Settings, dsn: str) -> str:
    digest = hashlib.sha256(json.dumps([dbt_options(settings), sorted(dbt_environment(dsn).items())]).encode())
    for path in sorted(PROJECT_DIR.rglob("*")):
        if path.suffix in {".sql", ".yml"}:
            digest.update(str(path.relative_to(PROJECT_DIR)).encode() + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables for the time of one invocation: dbt reads its profile from the process environment only."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def main() -> None:
    """Prepare the manifest of this home; where it has a database, make its views."""
    settings = load_settings()
    print(prepare(settings))
    try:
        database_dsn(settings, Login.DBT)
    except ConfigurationError:
        return
    print(f"{make_views(settings)} views made or changed")


if __name__ == "__main__":
    sys.exit(run_guarded(main))
