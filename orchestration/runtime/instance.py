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
from streams.market.errors import ConfigurationError
from streams.settings import PROJECT_ROOT, Settings, load_settings
from streams.storage.database import connect, database_dsn

SCHEMA = "dagster"


def dagster_url(dsn: str) -> str:
    """Return the SQLAlchemy address of Dagster's tables: the warehouse's, with schema `dagster` as search path.

    Both forms of a PostgreSQL address are understood; its other parameters (sslmode and the like) are kept.
    """
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    user, password = quote(parts.pop("user", "")), quote(parts.pop("password", ""), safe="")
    host, port = parts.pop("host", "127.0.0.1"), parts.pop("port", "5432")
    database = quote(parts.pop("dbname", user), safe="")
    parts["options"] = " ".join(filter(None, [parts.get("options"), f"-csearch_path={SCHEMA}"]))
    if host.startswith("/"):
        parts["host"], host = host, ""
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    return f"postgresql://{login}{host}:{port}/{database}?{urlencode(parts, quote_via=quote)}"


def instance_environment(settings: Settings) -> dict[str, str]:
    """Return the variables every Dagster process needs; contains the database's password."""
    return {
        "DAGSTER_HOME": str(settings.home_dir / "dagster"),
        "CROSSBOOK_DAGSTER_PG_URL": dagster_url(database_dsn(settings)),
        "CROSSBOOK_CODE_SERVER_PORT": str(settings.code_server_port),
        "DAGSTER_DISABLE_TELEMETRY": "true",
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
    with connect(database_dsn(settings)) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
    return instance_environment(settings)


def create_tables(environment: dict[str, str]) -> None:
    """Create or upgrade Dagster's tables before several processes would try to at once; keep stops of old schedules.

    Args:
        environment: Of `prepare_instance`; is set in this process.
    """
    import os

    os.environ.update(environment)
    from dagster import DagsterInstance

    from orchestration.runtime.stopped_schedules import carry_stops

    with DagsterInstance.get() as instance:
        instance.upgrade()
        carry_stops(instance)


def main() -> None:
    """Prepare everything and print the environment as one JSON document on stdout (it holds a password)."""
    try:
        environment = prepare_instance(load_settings())
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    create_tables(environment)
    print(json.dumps(environment))


if __name__ == "__main__":
    main()
