"""Make Dagster's home and its schema in the warehouse. `python -m orchestration.runtime.instance` prints what to set.

Nothing of Dagster is imported until the tables are made, so that reading the environment stays cheap.
"""

from __future__ import annotations

import json
import shutil
import sys
from urllib.parse import quote, urlencode

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from orchestration.runtime.dagster_version import check_version
from streams.outermost import run_guarded
from streams.settings import PROJECT_ROOT, Settings, load_settings
from streams.storage.access.logins import Login
from streams.storage.access.sessions import LIVELINESS, PINNED_ENVIRONMENT, session_options
from streams.storage.database import connect, database_dsn
from streams.storage.ddl import LOCK_TIMEOUT_MS, run_ddl, until_locked

SCHEMA = "dagster"


def dagster_url(dsn: str) -> str:
    """Return the SQLAlchemy address of Dagster's tables: the warehouse's, with schema `dagster` as search path.

    Both forms of a PostgreSQL address are understood; its other parameters (sslmode and the like) are kept. Sessions
    are pinned like ours: Dagster writes times without a zone, which are UTC only where the session's zone is.
    """
    return _dagster_url(dsn, search_path=SCHEMA)


def _dagster_url(dsn: str, **session_settings: str) -> str:
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    name = parts.pop("user", "")
    user, password = quote(name, safe=""), quote(parts.pop("password", ""), safe="")
    host, port = parts.pop("host", "127.0.0.1"), parts.pop("port", "5432")
    database = parts.pop("dbname", name)
    if quote(database, safe="") != database:
        # SQLAlchemy takes a database as it stands in the path, and would look for one with the percent signs.
        database, parts["dbname"] = "", database
    parts = LIVELINESS | parts | {"options": session_options(dsn, **session_settings)}
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if host.startswith("/") or "," in host or not port.isdigit():
        # A socket, or several servers; SQLAlchemy understands them here alone, and wants a port for each.
        hosts = host.count(",") + 1
        place, parts["host"], parts["port"] = "", host, port if "," in port else ",".join([port] * hosts)
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    return f"postgresql://{login}{place}/{database}?{urlencode(parts, quote_via=quote)}"


def instance_environment(settings: Settings) -> dict[str, str]:
    """Return the variables every Dagster process needs; contains the database's password."""
    return {
        "DAGSTER_HOME": str(settings.home_dir / "dagster"),
        "CROSSBOOK_DAGSTER_PG_URL": dagster_url(database_dsn(settings, Login.DAGSTER)),
        "CROSSBOOK_CODE_SERVER_PORT": str(settings.code_server_port),
        "DAGSTER_DISABLE_TELEMETRY": "true",
        **PINNED_ENVIRONMENT,
        "PYTHONPATH": str(PROJECT_ROOT),  # the launcher and the coordinator are named in dagster.yaml
    }


def prepare_instance(settings: Settings) -> dict[str, str]:
    """Write Dagster's home, make its schema, and return `instance_environment`.

    Raises:
        ConfigurationError: If there is no database, it may not be written, or this is not the Dagster we know.
    """
    check_version()
    home = settings.home_dir / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    (settings.home_dir / "run").mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", home / "dagster.yaml")
    with connect(database_dsn(settings, Login.DAGSTER)) as connection:
        # Dagster's own login may not make a schema; then the owner has made it.
        found = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL AS is_there", (SCHEMA,)).fetchone()
        if found is None or not found["is_there"]:
            run_ddl(connection, sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
    return instance_environment(settings)


def create_tables(environment: dict[str, str]) -> None:
    """Create or upgrade Dagster's tables before several processes would try to at once; keep stops of old schedules.

    Args:
        environment: Of `prepare_instance`; is set in this process.
    """
    import os

    # Its tables change under short locks; the processes that come later wait for theirs as usual.
    url = environment["CROSSBOOK_DAGSTER_PG_URL"]
    short = _dagster_url(url, search_path=SCHEMA, lock_timeout=f"{LOCK_TIMEOUT_MS}ms")
    os.environ.update({**environment, "CROSSBOOK_DAGSTER_PG_URL": short})
    from dagster import DagsterInstance

    from orchestration.runtime.stopped_schedules import carry_stops

    def upgrade() -> None:
        with DagsterInstance.get() as instance:
            instance.upgrade()
            carry_stops(instance)

    try:
        until_locked(upgrade)
    finally:
        os.environ.update(environment)


def let_interfaces_read(settings: Settings) -> None:
    """Let those who look after the system see the signs of life of Dagster's daemons, and what somebody stopped.

    Only where Dagster has a login of its own; one login that does everything reads them anyway.
    """
    with connect(database_dsn(settings, Login.DAGSTER)) as connection:
        found = connection.execute(
            """SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s AND pg_has_role(nspowner, 'usage'))
                AND to_regrole(%s) IS NOT NULL AS may_grant""",
            (SCHEMA, Login.INTERFACE.role),
        ).fetchone()
        if found is not None and found["may_grant"]:
            schema, role = sql.Identifier(SCHEMA), sql.Identifier(Login.INTERFACE.role)
            connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
            for table in ("daemon_heartbeats", "instigators"):
                grant = sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(SCHEMA, table), role)
                connection.execute(grant)


def main() -> None:
    """Prepare everything and print the environment as one JSON document on stdout (it holds a password)."""
    settings = load_settings()
    environment = prepare_instance(settings)
    create_tables(environment)
    let_interfaces_read(settings)
    print(json.dumps(environment))


if __name__ == "__main__":
    sys.exit(run_guarded(main))
