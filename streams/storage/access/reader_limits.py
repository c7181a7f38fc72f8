"""What a login that may only read is held to: connections, times, temporary files, and what it may not call.

The same statements are run at each start, as far as the owner may, and printed for an administrator.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from streams.settings import Settings

READER_ROLE = "crossbook_reader"
"""Group role of all who may only read."""
_LARGE_OBJECTS = (
    "lo_creat(integer)",
    "lo_create(oid)",
    "lo_from_bytea(oid, bytea)",
    "lo_put(oid, bigint, bytea)",
    "lo_unlink(oid)",
    "lo_open(oid, integer)",
    "lowrite(integer, bytea)",
    "lo_truncate(integer, integer)",
    "lo_truncate64(integer, bigint)",
)
_FILES = ("pg_export_snapshot()",)
_WAL = (
    "pg_logical_emit_message(boolean, text, text)",
    "pg_logical_emit_message(boolean, text, bytea)",
    "pg_logical_emit_message(boolean, text, text, boolean)",
    "pg_logical_emit_message(boolean, text, bytea, boolean)",
)


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """How much of the server one reader may take.

    Attributes:
        connections: Most at the same time.
        statement_s, idle_s, transaction_s: Longest statement, idle time in a transaction, and transaction (seconds).
        temp_mb: Most space of temporary files per process (MB).
        memory_mb: Most memory of all readers' processes together (MB).
    """

    connections: int = 10
    statement_s: float = 300.0
    idle_s: float = 30.0
    transaction_s: float = 900.0
    temp_mb: int = 1024
    memory_mb: int = 1024


def reader_limits(settings: Settings) -> ReaderLimits:
    """Return the limits that are set."""
    return ReaderLimits(
        connections=settings.reader_connections_max,
        statement_s=settings.reader_statement_max_s,
        idle_s=settings.reader_idle_max_s,
        transaction_s=settings.reader_transaction_max_s,
        temp_mb=settings.reader_temp_mb,
        memory_mb=settings.reader_memory_mb,
    )


def login_statements(login: str, limits: ReaderLimits) -> list[sql.Composed]:
    """Return the statements that hold one login to the limits. What of it are defaults a reader may change for itself.

    The watchdog does not go by what a session has set. The limit of connections cannot be changed by the reader, nor
    can, where a superuser sets them, that of temporary files and what goes to the server's log, which it could fill.
    """
    name = sql.Identifier(login)
    defaults: list[tuple[str, str]] = [
        ("default_transaction_read_only", "on"),
        ("statement_timeout", _ms(limits.statement_s)),
        ("idle_in_transaction_session_timeout", _ms(limits.idle_s)),
        ("lock_timeout", "5s"),
        ("max_parallel_workers_per_gather", "0"),
        ("search_path", "analytics, raw, trading, public"),
    ]
    return [
        sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(name, sql.Literal(limits.connections)),
        *(_default(name, setting, value) for setting, value in defaults),
        _default(name, "temp_file_limit", f"{limits.temp_mb}MB"),
        _default(name, "log_min_messages", "fatal"),
    ]


def database_statements(database: str) -> list[sql.Composed]:
    """Return the statements that leave a reader nothing to make in a database: no table, no object, no WAL."""
    where = sql.Identifier(database)
    role = sql.Identifier(READER_ROLE)
    return [
        sql.SQL("REVOKE TEMPORARY, CREATE ON DATABASE {} FROM PUBLIC").format(where),
        sql.SQL("REVOKE TEMPORARY, CREATE ON DATABASE {} FROM {}").format(where, role),
        sql.SQL("REVOKE CREATE ON SCHEMA public FROM PUBLIC").format(),
        *(
            sql.SQL("REVOKE EXECUTE ON FUNCTION pg_catalog.{} FROM PUBLIC").format(sql.SQL(function))
            for function in (*_LARGE_OBJECTS, *_FILES, *_WAL)
        ),
    ]


def other_database_statements(databases: list[str]) -> list[sql.Composed]:
    """Return the statements that keep a reader out of the server's other databases."""
    return [
        sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)) for database in databases
    ]


def _default(name: sql.Identifier, setting: str, value: str) -> sql.Composed:
    if setting == "search_path":
        parts = sql.SQL(", ").join(sql.Identifier(part.strip()) for part in value.split(","))
        return sql.SQL("ALTER ROLE {} SET search_path = {}").format(name, parts)
    return sql.SQL("ALTER ROLE {} SET {} = {}").format(name, sql.Identifier(setting), sql.Literal(value))


def _ms(seconds: float) -> str:
    return f"{max(1, int(seconds * 1000))}ms"
