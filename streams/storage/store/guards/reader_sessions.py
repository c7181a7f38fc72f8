"""The sessions of readers: who keeps whom waiting, and how one is ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from streams.storage.database import Connection, fetch_all, fetch_one, read_clock


@dataclass(frozen=True, slots=True)
class ReaderSession:
    """One session of a login that may only read.

    Attributes:
        pid: Its server process; together with `started_at` no other session has it.
        state: As PostgreSQL says, None where the owner may not see it.
        state_changed_at, statement_at, transaction_at: Since when it is in that state, when its last statement and
            its open transaction began; None where there is none.
        advisory_locks: How many it holds.
        awaited_by: Who waits for a lock that it has, those that are no readers.
    """

    pid: int
    login: str
    started_at: datetime
    state: str | None
    state_changed_at: datetime | None
    statement_at: datetime | None
    transaction_at: datetime | None
    advisory_locks: int
    awaited_by: list[str]


@dataclass(frozen=True, slots=True)
class ServerMoment:
    """The server's clock, and how full its queue of notifications is (0 to 1)."""

    now: datetime
    queue_share: float


def may_end_readers(connection: Connection) -> bool:
    """Whether this login, the owner's, may see and end the sessions of others."""
    row = connection.execute(
        """SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
               AND pg_has_role(current_user, 'pg_signal_backend', 'USAGE') AS may"""
    ).fetchone()
    return row is not None and bool(row["may"])


def list_reader_logins(connection: Connection) -> list[str]:
    """Return the logins of this server that may only read this database, in alphabetical order."""
    rows = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolcanlogin AND trading.is_reader(oid) ORDER BY rolname"
    ).fetchall()
    return [row["rolname"] for row in rows]


def load_reader_sessions(connection: Connection) -> list[ReaderSession]:
    """Return the sessions of readers in this database."""
    return fetch_all(connection, ReaderSession, "SELECT * FROM trading.reader_sessions()")


def load_server_moment(connection: Connection) -> ServerMoment:
    """Return what time it is at the server and how full its queue of notifications is."""
    moment = fetch_one(
        connection, ServerMoment, "SELECT clock_timestamp() AS now, pg_notification_queue_usage() AS queue_share"
    )
    assert moment is not None
    return moment


def end_reader_session(connection: Connection, session: ReaderSession, rule: str, why: str) -> bool:
    """End a session and leave an alert; False when it is gone, is another by now or may not be ended.

    Args:
        connection: Of any login of ours.
        session: As it was seen.
        rule: Which rule it broke, in one word; one alert is open per login and rule.
        why: The same for people.
    """
    row = connection.execute(
        "SELECT trading.end_reader_session(%s, %s, %s, %s, %s) AS ended",
        (session.pid, session.started_at, rule, why, read_clock(connection)),
    ).fetchone()
    return row is not None and bool(row["ended"])


def end_all_readers(connection: Connection, *, is_trial: bool = False) -> list[str]:
    """End every session of readers in this database; return their logins. It needs no room for locks.

    Args:
        connection: Of any login of ours, best one on which a trial was made before.
        is_trial: Only look who they are.
    """
    row = connection.execute("SELECT trading.end_all_readers(%s) AS logins", (is_trial,)).fetchone()
    return [] if row is None else sorted(set(row["logins"]))
