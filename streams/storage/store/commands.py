"""Acts people asked for: rows of `trading.commands`, each with one consumer that writes its result."""

from __future__ import annotations

from streams.storage.database import Connection, Row


def take(connection: Connection, kind: str, after: int) -> Row | None:
    """Note that the next command of a kind without a result is taken up; returns it, None when there is no other.

    Args:
        connection: In autocommit mode; the row is locked only while it is marked.
        kind: As in `trading.commands`.
        after: Only commands with a larger id, so that a round looks at each once.
    """
    with connection.transaction():
        row = connection.execute(
            """SELECT command_id, subject, asked_by FROM trading.commands
               WHERE kind = %s AND done_at IS NULL AND command_id > %s
               ORDER BY command_id LIMIT 1 FOR UPDATE SKIP LOCKED""",
            (kind, after),
        ).fetchone()
        if row is not None:
            connection.execute(
                "UPDATE trading.commands SET taken_at = clock_timestamp() WHERE command_id = %s", (row["command_id"],)
            )
    return row


def is_done(connection: Connection, command_id: int) -> bool:
    """Whether a command has its result."""
    row = connection.execute("SELECT done_at FROM trading.commands WHERE command_id = %s", (command_id,)).fetchone()
    return row is not None and row["done_at"] is not None


def finish(connection: Connection, command_id: int, result: str) -> None:
    """Write what became of a command; the first result stays."""
    connection.execute(
        """UPDATE trading.commands SET done_at = clock_timestamp(), result = %s
           WHERE command_id = %s AND done_at IS NULL""",
        (result, command_id),
    )
