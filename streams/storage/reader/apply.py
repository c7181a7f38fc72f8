"""Holds the logins of a server that may only read to their limits, as far as the owner may."""

from __future__ import annotations

import psycopg
from psycopg import sql

from streams.storage.access.reader_limits import READER_ROLE, ReaderLimits, database_statements, login_statements
from streams.storage.database import Connection
from streams.storage.outages import is_catalogue_race
from streams.storage.store.guards.reader_sessions import list_reader_logins, may_end_readers

_ATTEMPTS = 50
_NOT_REVOKED = "01006"
"""SQLSTATE of the warning that a right was left because somebody else has given it."""


def apply_reader_limits(connection: Connection, limits: ReaderLimits) -> list[str]:
    """Hold every login that may only read to the limits; return the statements for which the owner has no right.

    Args:
        connection: Of the owner, in autocommit mode; the schema is there.
        limits: As set.
    """
    database = connection.info.dbname
    if not connection.execute("SELECT 1 AS x FROM pg_roles WHERE rolname = %s", (READER_ROLE,)).fetchone():
        return []
    statements = database_statements(database)
    for login in list_reader_logins(connection):
        statements += login_statements(login, limits)
    refused = [text for statement in statements if (text := _refused(connection, statement))]
    if not may_end_readers(connection):
        owner = sql.Identifier(connection.info.user)
        refused.append(sql.SQL("GRANT pg_read_all_stats, pg_signal_backend TO {}").format(owner).as_string(connection))
    return refused


def _refused(connection: Connection, statement: sql.Composed) -> str:
    """Run a statement; returns its text when the owner may not, empty when it was done or cannot be on this server."""
    text = statement.as_string(connection)
    notices: list[str | None] = []

    def note(notice: psycopg.errors.Diagnostic) -> None:
        notices.append(notice.sqlstate)

    connection.add_notice_handler(note)
    try:
        _execute(connection, statement)
    except psycopg.errors.InsufficientPrivilege:
        return text
    except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName):
        return ""  # of another version of PostgreSQL; a database without the schema `public`
    finally:
        connection.remove_notice_handler(note)
    return text if _NOT_REVOKED in notices else ""


def _execute(connection: Connection, statement: sql.Composed) -> None:
    """Run a statement again while somebody else, another start or the login itself, changes the same."""
    for attempt in range(_ATTEMPTS):
        try:
            connection.execute(statement)
        except psycopg.InternalError as error:
            if not is_catalogue_race(error) or attempt == _ATTEMPTS - 1:
                raise
        else:
            return
