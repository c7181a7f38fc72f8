"""What people asked for: rows of `trading.commands`, each with one consumer that writes its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.storage.database import Connection, fetch_one, read_clock

CommandKind = Literal["flatten", "resync", "re_ingest", "resolve"]


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command that waits for its result. `subject` (JSON) says what it is about."""

    command_id: int
    subject: JsonDocument
    asked_by: str


def write_command(connection: Connection, kind: CommandKind, subject: JsonDocument, asked_by: str) -> int:
    """Write what a person asks for; returns the command's id."""
    row = connection.execute(
        "INSERT INTO trading.commands (kind, subject, asked_by, asked_at) VALUES (%s, %s, %s, %s) RETURNING command_id",
        (kind, Jsonb(subject), asked_by, read_clock(connection)),
    ).fetchone()
    assert row is not None
    return int(row["command_id"])


def pending_flatten(connection: Connection, execution_id: int) -> int | None:
    """Return the id of the flatten of an execution that has no result yet, None where there is none."""
    row = connection.execute(
        """SELECT command_id FROM trading.commands
           WHERE kind = 'flatten' AND done_at IS NULL AND subject @> %s ORDER BY command_id LIMIT 1""",
        (Jsonb({"execution_id": execution_id}),),
    ).fetchone()
    return None if row is None else int(row["command_id"])


def take(connection: Connection, kind: CommandKind, after: int) -> CommandRow | None:
    """Note that the next command of a kind without a result is taken up; returns it, None when there is no other.

    Args:
        connection: In autocommit mode; the row is locked only while it is marked.
        kind: As in `trading.commands`.
        after: Only commands with a larger id, so that a settlement cycle looks at each once.
    """
    with connection.transaction():
        command = fetch_one(
            connection,
            CommandRow,
            """SELECT command_id, subject, asked_by FROM trading.commands
               WHERE kind = %s AND done_at IS NULL AND command_id > %s
               ORDER BY command_id LIMIT 1 FOR UPDATE SKIP LOCKED""",
            (kind, after),
        )
        if command is not None:
            connection.execute(
                "UPDATE trading.commands SET taken_at = %s WHERE command_id = %s",
                (read_clock(connection), command.command_id),
            )
    return command


def is_done(connection: Connection, command_id: int) -> bool:
    """Whether a command has its result."""
    row = connection.execute("SELECT done_at FROM trading.commands WHERE command_id = %s", (command_id,)).fetchone()
    return row is not None and row["done_at"] is not None


def finish(connection: Connection, command_id: int, result: str) -> None:
    """Write what became of a command; the first result stays."""
    connection.execute(
        "UPDATE trading.commands SET done_at = %s, result = %s WHERE command_id = %s AND done_at IS NULL",
        (read_clock(connection), result, command_id),
    )
