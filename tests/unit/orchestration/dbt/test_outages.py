"""A build of dbt is repeated while what failed was the database, and only then."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.dbt.outages import build_through_outages, is_outage

LOST = "Database Error in model quotes_1m\n  server closed the connection unexpectedly"
WRONG = 'Database Error in model quotes_1m\n  column "x" does not exist'


def result(*messages: str | None, exception: str | None = None) -> Any:
    nodes = [SimpleNamespace(status="error" if text else "success", message=text) for text in messages]
    error = None if exception is None else RuntimeError(exception)
    return SimpleNamespace(exception=error, result=SimpleNamespace(results=nodes))


def build(*results: Any) -> tuple[Any, float, int]:
    """Return what came of it, after how long, and how many builds there were."""
    now, left = [0.0], list(results)

    def once() -> Any:
        return left.pop(0) if len(left) > 1 else left[0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    found = build_through_outages(once, clock=lambda: now[0], sleep=sleep)
    return found, now[0], len(results) - len(left) + 1


def test_a_build_that_lost_its_connection_is_made_again() -> None:
    good = result(None, None)
    assert build(
        result(LOST, None), result(exception="connection to server at x failed: Connection refused"), good
    ) == (
        good,
        3.0,
        3,
    )


@pytest.mark.parametrize("bad", [result(WRONG), result(WRONG, LOST), result(exception="no such selector")])
def test_a_wrong_model_fails_at_once(bad: Any) -> None:
    assert build(bad) == (bad, 0.0, 1)


def test_an_outage_that_stays_is_given_up_after_two_minutes() -> None:
    bad = result(LOST)
    assert build(bad)[:2] == (bad, 120.0)


@pytest.mark.parametrize(
    "message",
    [
        "terminating connection due to administrator command\nSSL connection has been closed unexpectedly",
        "FATAL:  the database system is starting up",
        "cannot execute INSERT in a read-only transaction",
        "FATAL:  sorry, too many clients already",
        "canceling statement due to lock timeout",
        "deadlock detected",
        "tuple concurrently updated",
        "out of shared memory",
    ],
)
def test_what_an_outage_says(message: str) -> None:
    assert is_outage(message)


def test_a_wrong_password_is_no_outage() -> None:
    assert not is_outage('connection to server at "x" failed: FATAL:  password authentication failed for user "y"')
