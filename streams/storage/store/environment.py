"""The stamp that binds a database to one environment."""

from __future__ import annotations

import psycopg

from streams.market.identity import Environment


def stamp_environment(connection: psycopg.Connection[tuple[object, ...]], environment: Environment) -> str:
    """Bind the database to an environment unless it is bound already; returns the environment it belongs to."""
    connection.execute(
        "INSERT INTO trading.environment_stamp (environment) VALUES (%s) ON CONFLICT DO NOTHING", (environment,)
    )
    row = connection.execute("SELECT environment FROM trading.environment_stamp").fetchone()
    return environment if row is None else str(row[0])
