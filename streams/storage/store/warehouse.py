"""The warehouse as a whole: the environment it is bound to, and the views of `analytics` that are always there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import psycopg
from psycopg.types.json import Jsonb

from streams.market.identity import Environment
from streams.storage.database import Connection, fetch_int


@dataclass(frozen=True, slots=True)
class LiveView:
    """One view: where it is, and the query it is made from."""

    schema: str
    name: str
    query: str


def stamp_environment(connection: psycopg.Connection[tuple[object, ...]], environment: Environment) -> str:
    """Bind the database to an environment unless it is bound already; returns the environment it belongs to."""
    connection.execute(
        "INSERT INTO trading.environment_stamp (environment) VALUES (%s) ON CONFLICT DO NOTHING", (environment,)
    )
    row = connection.execute("SELECT environment FROM trading.environment_stamp").fetchone()
    return environment if row is None else str(row[0])


def load_environment(connection: Connection) -> str:
    """Return the exchanges this database is stamped with, or 'unknown' before the first migration's stamp."""
    row = connection.execute("SELECT environment FROM trading.environment_stamp").fetchone()
    return "unknown" if row is None else str(row["environment"])


def keep_views(connection: Connection, views: Sequence[LiveView]) -> int:
    """Make the views, or change those whose query is another one, all in one transaction; return how many changed.

    Readers are not kept waiting: a lock that is not free at once is given up and asked for again.

    Raises:
        psycopg.Error: If a query cannot be used; then nothing has changed.
    """
    return fetch_int(connection, "SELECT trading.keep_views(%s)", (Jsonb([asdict(view) for view in views]),))
