"""What a PostgreSQL server of somebody else must have before a start: version, encoding, rights, connections.

Each failure is one sentence that names the remedy.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from streams.market.errors import ConfigurationError
from streams.settings import Settings
from streams.storage.access.logins import Login
from streams.storage.access.sessions import options_arrive
from streams.storage.database import Connection, connect, database_dsn, fetch_one
from streams.storage.outages import Trouble, trouble_of

CONNECTIONS_OF_A_RECORDER = 6
"""Connections of `crossbook record`: the recorder's four, and two for the schema before it."""
CONNECTIONS_NEEDED = 16
"""Connections a start needs: the most that `make proof-connections` has seen open. What is beyond waits."""
_OLDEST_VERSION = 150_000
_POOLER_PROBES = 3
_STATEMENT_S = 600.0
"""What a migration of a large table or a model after a long outage may take (seconds)."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself and of our login.

    Attributes:
        version: As in `server_version_num`.
        encoding: Of the database.
        is_read_only: Whether it takes no writes: a standby, or a login or database that may only read.
        may_create: Whether our login may make schemas in the database.
        may_use_temp: Whether it may make temporary tables, which dbt does.
        has_schemas: Whether our schemas are there already.
        max_connections: Of the server.
        free: Connections that our login could still open.
        longest_statement_s: How long a statement or transaction of our login may take; 0: as long as it takes.
    """

    version: int
    encoding: str
    is_read_only: bool
    may_create: bool
    may_use_temp: bool
    has_schemas: bool
    max_connections: int
    free: int
    longest_statement_s: float = 0.0


SESSIONS = """coalesce(a.backend_type, 'client backend') = 'client backend'
            AND a.datid IS NOT NULL AND a.usesysid IS NOT NULL"""
"""Rows of `pg_stat_activity AS a` that take a connection; a plain user is not told the kind of another one's."""

_FACTS = f"""
SELECT current_setting('server_version_num')::int AS version, pg_encoding_to_char(d.encoding) AS encoding,
    pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS is_read_only,
    has_database_privilege(d.oid, 'CREATE') AS may_create, has_database_privilege(d.oid, 'TEMP') AS may_use_temp,
    to_regnamespace('raw') IS NOT NULL AND to_regnamespace('trading') IS NOT NULL
        AND to_regnamespace('dagster') IS NOT NULL AND to_regnamespace('analytics') IS NOT NULL AS has_schemas,
    current_setting('max_connections')::int AS max_connections,
    least(
        current_setting('max_connections')::int
            - CASE WHEN r.rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::int
                + coalesce(current_setting('reserved_connections', true), '0')::int END
            - (SELECT count(*) FROM pg_stat_activity AS a WHERE {SESSIONS} AND a.pid <> pg_backend_pid()),
        CASE WHEN d.datconnlimit < 0 OR r.rolsuper THEN 2147483647 ELSE d.datconnlimit
            - (SELECT count(*) FROM pg_stat_activity AS a WHERE a.datid = d.oid AND a.pid <> pg_backend_pid()) END,
        CASE WHEN r.rolconnlimit < 0 OR r.rolsuper THEN 2147483647 ELSE r.rolconnlimit
            - (SELECT count(*) FROM pg_stat_activity AS a WHERE a.usesysid = r.oid AND a.pid <> pg_backend_pid()) END
    )::int AS free,
    coalesce((SELECT min(s.setting::bigint) FROM pg_settings AS s
        WHERE s.name IN ('statement_timeout', 'transaction_timeout') AND s.setting::bigint > 0), 0)::float8 / 1000
        AS longest_statement_s
FROM pg_database AS d, pg_roles AS r WHERE d.datname = current_database() AND r.rolname = current_user
"""


def check_database(settings: Settings, needed: int = CONNECTIONS_NEEDED) -> None:
    """Refuse a server of DATABASE_URL that a start could not use; the embedded one is as it should be.

    Args:
        settings: With the address.
        needed: Connections that must be free.

    Raises:
        ConfigurationError: With the first thing that is missing.
    """
    if settings.database_url is None:
        return
    try:
        with connect(database_dsn(settings, Login.OWNER), application="crossbook check") as connection:
            facts = fetch_one(connection, ServerFacts, _FACTS)
            is_pooled = _leads_through_a_pooler(settings, connection)
        takes_options = options_arrive(database_dsn(settings, Login.OWNER))
    except psycopg.OperationalError as error:
        said = str(error).strip().splitlines()[0]
        if trouble_of(error) is Trouble.BUSY:
            raise ConfigurationError(
                f"DATABASE_URL: the server has no connection left and {needed} are needed; raise its "
                f"max_connections or end other sessions ({said})."
            ) from None
        raise ConfigurationError(f"DATABASE_URL cannot be reached: {said}") from None
    assert facts is not None
    problem = problem_of(facts, is_pooled=is_pooled, needed=needed, takes_options=takes_options)
    if problem is not None:
        raise ConfigurationError(f"DATABASE_URL: {problem}")


def problem_of(
    facts: ServerFacts, *, is_pooled: bool, needed: int = CONNECTIONS_NEEDED, takes_options: bool = True
) -> str | None:
    """Return one sentence on why a server cannot be used, None if it can.

    Args:
        facts: What the server says.
        is_pooled: Whether several of our sessions share one of the server's.
        needed: Connections that must be free.
        takes_options: Whether `options` at the start of a session have an effect.
    """
    if facts.version < _OLDEST_VERSION:
        return f"the server is PostgreSQL {facts.version // 10_000}; 15 is the oldest supported."
    if facts.is_read_only:
        return "the server takes no writes (a standby, or default_transaction_read_only is on); name the primary."
    if facts.encoding != "UTF8":
        return f"the database is encoded in {facts.encoding}; create one with ENCODING 'UTF8' TEMPLATE template0."
    if not facts.may_create and not facts.has_schemas:
        return "the user may not create schemas in the database; GRANT CREATE ON DATABASE to it, or make it the owner."
    if not facts.may_use_temp:
        return "the user may not make temporary tables, which dbt does; GRANT TEMPORARY ON DATABASE to it."
    if 0 < facts.longest_statement_s < _STATEMENT_S:
        return (
            f"the server ends what takes longer than {facts.longest_statement_s:g} s (statement_timeout or "
            "transaction_timeout), and migrations and models do; ALTER ROLE the user SET both to 0."
        )
    if is_pooled:
        return (
            "it leads through a pooler in transaction mode, where locks, settings and notices of a session do not "
            "last; name the server itself, or a pool in session mode."
        )
    if not takes_options:
        return (
            "it leads through a pooler that keeps `options` from the server, by which Dagster and dbt pin their "
            "sessions; name the server itself, or let the pooler pass them on."
        )
    if facts.free < needed:
        return (
            f"the user can open {max(facts.free, 0)} more connections and {needed} are needed; raise "
            f"max_connections (it is {facts.max_connections}) or the limit of user or database, or end other sessions."
        )
    return None


def _leads_through_a_pooler(settings: Settings, first: Connection) -> bool:
    """Whether two of our sessions, open at once, have one and the same process of the server."""
    for _ in range(_POOLER_PROBES):
        with connect(database_dsn(settings, Login.OWNER), application="crossbook check") as second:
            if _backend(first) == _backend(second):
                return True
    return False


def _backend(connection: Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid() AS pid").fetchone()
    assert row is not None
    return int(row["pid"])
