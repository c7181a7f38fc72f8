"""Which sessions of readers are ended, and why; hints that come, come not at all, or come as a flood."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import sql

from streams.settings import Settings
from streams.storage.access.reader_limits import (
    ReaderLimits,
    database_statements,
    login_statements,
    reader_limits,
)
from streams.storage.hints import FLOOD, Hints
from streams.storage.reader.watchdog import sessions_to_end
from streams.storage.store.guards.reader_sessions import ReaderSession, ServerMoment

NOW = datetime(2026, 3, 24, 12, tzinfo=UTC)
LIMITS = ReaderLimits()


def ago(seconds: float | None) -> datetime | None:
    return None if seconds is None else NOW - timedelta(seconds=seconds)


def session(
    state: str | None = "active",
    *,
    changed: float | None = 0,
    statement: float | None = 0,
    transaction: float | None = None,
    locks: int = 0,
    awaited_by: list[str] | None = None,
) -> ReaderSession:
    return ReaderSession(
        7, "ada", NOW - timedelta(days=1), state, ago(changed), ago(statement), ago(transaction), locks,
        awaited_by or [],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        (session(), None),
        (session(statement=299.9, transaction=299.9), None),
        (session(statement=300.1, transaction=300.1), "statement"),
        (session("idle", changed=86_400, statement=86_400), None),
        (session("idle in transaction", changed=29.9, transaction=30), None),
        (session("idle in transaction", changed=30.1, transaction=31), "idle"),
        (session("idle in transaction (aborted)", changed=30.1), "idle"),
        (session("idle in transaction", changed=1, transaction=901), "transaction"),
        (session(statement=1, transaction=901), "transaction"),
        (session("fastpath function call", transaction=901), "transaction"),
        (session("idle in transaction", transaction=0, awaited_by=["crossbook-cli (9)"]), "keeps_waiting"),
        (session(statement=0, transaction=0, awaited_by=["crossbook-cli (9)"]), "keeps_waiting"),
        (session("idle", locks=101), "locks"),
        (session("idle", locks=100), None),
        (session(None, changed=None, statement=None), None),
    ],
)
def test_a_session_is_ended_by_the_first_rule_that_it_breaks(found: ReaderSession, rule: str | None) -> None:
    ended = sessions_to_end([found], ServerMoment(NOW, 0.0), LIMITS)
    assert [ending.rule for ending in ended] == ([] if rule is None else [rule])
    assert all(ending.why for ending in ended)


def test_every_reader_is_ended_while_the_queue_of_notifications_fills() -> None:
    sessions = [session("idle"), session()]
    assert [ending.rule for ending in sessions_to_end(sessions, ServerMoment(NOW, 0.051), LIMITS)] == ["queue"] * 2
    assert sessions_to_end(sessions, ServerMoment(NOW, 0.049), LIMITS) == []


def test_of_readers_that_take_too_much_memory_the_largest_is_ended_first() -> None:
    small, large = session(), dataclasses.replace(session(), pid=8)
    moment = ServerMoment(NOW, 0.0)
    (ending,) = sessions_to_end([small, large], moment, LIMITS, {7: 400.0, 8: 700.0})
    assert (ending.session.pid, ending.rule) == (8, "memory")
    assert "1100 MB" in ending.why
    assert sessions_to_end([small, large], moment, LIMITS, {7: 400.0, 8: 600.0}) == []
    assert sessions_to_end([small, large], moment, None, {7: 4000.0, 8: 600.0}) == []


def test_who_waited_is_named() -> None:
    found = session("idle in transaction", transaction=1, awaited_by=[f"run {n}" for n in range(9)])
    (ending,) = sessions_to_end([found], ServerMoment(NOW, 0.0), LIMITS)
    assert ending.why == "run 0, run 1, run 2, run 3, run 4 waited for it"


def test_the_limits_are_settings() -> None:
    assert reader_limits(Settings(_env_file=None)) == LIMITS
    settings = Settings(_env_file=None, reader_statement_max_s=5, reader_idle_max_s=2, reader_connections_max=3)
    assert reader_limits(settings) == ReaderLimits(connections=3, statement_s=5, idle_s=2)
    (ending,) = sessions_to_end([session(statement=6)], ServerMoment(NOW, 0.0), reader_limits(settings))
    assert ending.rule == "statement"


def test_a_hostile_name_stays_a_name() -> None:
    texts = [
        statement.as_string(None)
        for statement in [*login_statements('a"; DROP ROLE x; --', LIMITS), *database_statements('d"b')]
    ]
    assert sum('"a""; DROP ROLE x; --"' in text for text in texts) == len(login_statements("a", LIMITS))
    assert 'REVOKE TEMPORARY, CREATE ON DATABASE "d""b" FROM PUBLIC' in texts
    assert 'ALTER ROLE "a" CONNECTION LIMIT 10' in [s.as_string(None) for s in login_statements("a", LIMITS)]


class FakeConnection:
    """Hands out notifications as a script says and lets time pass by a clock of its own."""

    def __init__(self, *batches: int) -> None:
        self.batches = list(batches)
        self.said: list[str] = []
        self.now = 1_000.0

    def execute(self, statement: sql.Composed) -> None:
        self.said.append(statement.as_string(None))

    def notifies(self, *, timeout: float, stop_after: int) -> Iterator[int]:
        got = self.batches.pop(0) if self.batches else 0
        if not got:
            self.now += timeout
        yield from range(got)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def hints(connection: Any, least_s: float = 0.1) -> Hints:
    return Hints(connection, "crossbook_signals", least_s, clock=lambda: connection.now, sleep=connection.sleep)


def test_without_any_hint_a_wait_ends_in_time() -> None:
    connection = FakeConnection()
    waiting = hints(connection)
    assert [waiting.wait(1.0) for _ in range(3)] == [False] * 3
    assert connection.now == pytest.approx(1_003.0)


def test_a_single_hint_is_heard_at_once() -> None:
    connection = FakeConnection(0, 1, 0)
    waiting = hints(connection)
    assert not waiting.wait(1.0)
    assert waiting.wait(1.0)
    assert connection.now == pytest.approx(1_001.0)


def test_hints_without_end_hurry_nobody() -> None:
    connection = FakeConnection(*([1, 0] * 1_000))
    waiting = hints(connection)
    waits = 0
    while connection.now < 1_010.0:
        waiting.wait(1.0)
        waits += 1
    assert waits <= 102


def test_who_is_flooded_stops_listening_for_a_while_and_goes_on_looking() -> None:
    connection = FakeConnection(FLOOD + 1)
    waiting = hints(connection)
    assert waiting.wait(1.0)
    assert connection.said == ['LISTEN "crossbook_signals"', 'UNLISTEN "crossbook_signals"']
    waits = 0
    while connection.said[-1].startswith("UNLISTEN"):
        waiting.wait(1.0)
        waits += 1
    assert waits == pytest.approx(31, abs=1)
    assert connection.said[2] == 'LISTEN "crossbook_signals"'
