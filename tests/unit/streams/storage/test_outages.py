"""What a failure of the database means, and how long it is waited for."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import psycopg2.errors
import pytest
import sqlalchemy.exc
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout

from streams.storage.outages import (
    Trouble,
    is_transient,
    may_be_repeated,
    ride_out,
    sqlstate_of,
    told,
    trouble_in,
    trouble_of,
)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def failing(failures: list[BaseException], result: str = "done") -> Callable[[], str]:
    def act() -> str:
        if failures:
            raise failures.pop(0)
        return result

    return act


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (errors.AdminShutdown("terminating connection due to administrator command"), Trouble.AWAY),
        (errors.CrashShutdown("x"), Trouble.AWAY),
        (errors.CannotConnectNow("the database system is starting up"), Trouble.AWAY),
        (errors.IdleSessionTimeout("x"), Trouble.AWAY),
        (errors.IdleInTransactionSessionTimeout("x"), Trouble.AWAY),
        (errors.ConnectionFailure("x"), Trouble.AWAY),
        (errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction"), Trouble.NO_WRITES),
        (errors.DiskFull("x"), Trouble.NO_WRITES),
        (errors.TooManyConnections("x"), Trouble.BUSY),
        (errors.LockNotAvailable("x"), Trouble.BUSY),
        (errors.QueryCanceled("canceling statement due to statement timeout"), Trouble.BUSY),
        (errors.SerializationFailure("x"), Trouble.CONFLICT),
        (errors.DeadlockDetected("x"), Trouble.CONFLICT),
        (errors.InternalError_("tuple concurrently updated"), Trouble.CONFLICT),
        (errors.InternalError_("unexpected chunk number 0 (expected 1) for toast value 7"), Trouble.PERMANENT),
        (errors.UndefinedTable("x"), Trouble.PERMANENT),
        (errors.UniqueViolation("x"), Trouble.PERMANENT),
        (errors.InsufficientPrivilege("x"), Trouble.PERMANENT),
        (errors.InvalidPassword("x"), Trouble.PERMANENT),
        (psycopg.OperationalError("the connection is lost"), Trouble.AWAY),
        (psycopg.OperationalError("connection failed: FATAL:  out of shared memory"), Trouble.BUSY),
        (psycopg.OperationalError("connection failed: FATAL:  sorry, too many clients already"), Trouble.BUSY),
        (psycopg.OperationalError('FATAL:  password authentication failed for user "x"'), Trouble.PERMANENT),
        (psycopg.OperationalError('FATAL:  database "x" does not exist'), Trouble.PERMANENT),
        (psycopg.InterfaceError("the connection is closed"), Trouble.AWAY),
        (PoolTimeout("couldn't get a connection after 5.00 sec"), Trouble.BUSY),
        (PoolClosed("the pool is closed"), Trouble.AWAY),
        (psycopg2.OperationalError("SSL connection has been closed unexpectedly"), Trouble.AWAY),
        (psycopg2.errors.UndefinedTable("x"), Trouble.PERMANENT),
        (sqlalchemy.exc.OperationalError("SELECT 1", {}, psycopg2.OperationalError("server closed")), Trouble.AWAY),
        (sqlalchemy.exc.InternalError("x", {}, errors.ReadOnlySqlTransaction("x")), Trouble.NO_WRITES),
        (sqlalchemy.exc.ProgrammingError("x", {}, errors.UndefinedTable("x")), Trouble.PERMANENT),
        (ConnectionRefusedError("x"), Trouble.PERMANENT),
        (ValueError("x"), Trouble.PERMANENT),
    ],
)
def test_a_failure_is_what_the_server_says_it_is(error: BaseException, trouble: Trouble) -> None:
    assert trouble_of(error) is trouble


@pytest.mark.parametrize(
    ("message", "trouble"),
    [
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", Trouble.BUSY),
        ("FATAL:  no more connections allowed (max_client_conn)", Trouble.BUSY),
        ("FATAL:  the database system is starting up", Trouble.AWAY),
        ('connection to server at "127.0.0.1", port 1 failed: Connection refused', Trouble.AWAY),
        ("FATAL:  no pg_hba.conf entry for host", Trouble.PERMANENT),
        ("server does not support SSL, but SSL was required", Trouble.PERMANENT),
        ("SSL SYSCALL error: EOF detected", Trouble.AWAY),
        ("", Trouble.AWAY),
    ],
)
def test_a_refused_connection_is_told_by_its_words(message: str, trouble: Trouble) -> None:
    assert trouble_in(message) is trouble


def test_a_statement_that_took_too_long_is_busy_and_not_repeated() -> None:
    assert not is_transient(errors.QueryCanceled("x"))
    assert may_be_repeated(errors.QueryCanceled("x"))
    assert may_be_repeated(errors.AdminShutdown("x"))
    assert not may_be_repeated(errors.UndefinedTable("x"))
    assert "busy" in told(errors.QueryCanceled("x"))
    assert "does not answer" in told(psycopg.OperationalError("the connection is lost"))


def test_the_state_is_found_through_every_driver() -> None:
    wrapped = sqlalchemy.exc.OperationalError("x", {}, errors.LockNotAvailable("x"))
    assert (sqlstate_of(wrapped), sqlstate_of(ValueError("x"))) == ("55P03", None)


def test_what_passes_is_waited_for_and_told_of() -> None:
    clock = Time()
    told_of: list[BaseException] = []
    failures: list[BaseException] = [errors.AdminShutdown("x"), psycopg.OperationalError("refused")]
    assert ride_out(failing(failures), clock=clock, sleep=clock.sleep, on_wait=told_of.append) == "done"
    assert len(told_of) == 2
    assert clock.slept == [0.1, 0.2]


def test_two_minutes_are_ridden_out_and_no_more() -> None:
    clock = Time()

    def away() -> str:
        if clock.now < 1119:
            raise psycopg.OperationalError("refused")
        return "back"

    assert ride_out(away, clock=clock, sleep=clock.sleep) == "back"
    clock = Time()
    with pytest.raises(errors.AdminShutdown):
        ride_out(failing([errors.AdminShutdown("x")] * 1000), clock=clock, sleep=clock.sleep)
    assert clock.now == 1120
    assert max(clock.slept) <= 5


def test_the_time_of_the_work_itself_is_not_counted() -> None:
    clock = Time()

    def long_work() -> str:
        if clock.now == 1000:
            clock.now += 600
            raise errors.AdminShutdown("x")
        return "done"

    assert ride_out(long_work, clock=clock, sleep=clock.sleep) == "done"


def test_work_that_went_well_for_long_rides_out_another_outage() -> None:
    """A run of hours meets two outages: the second one is waited for as long as the first."""
    clock = Time()
    fails_at = iter([1000.0, 9000.0, 9100.0])

    def lasting() -> str:
        failing_at = next(fails_at, None)
        if failing_at is None:
            return "done"
        clock.now = max(clock.now, failing_at)
        raise psycopg.OperationalError("gone")

    assert ride_out(lasting, clock=clock, sleep=clock.sleep) == "done"


@pytest.mark.parametrize("error", [errors.UndefinedTable("x"), ValueError("x"), KeyboardInterrupt()])
def test_what_stays_is_raised_at_once(error: BaseException) -> None:
    clock = Time()
    with pytest.raises(type(error)):
        ride_out(failing([error]), clock=clock, sleep=clock.sleep)
    assert clock.slept == []
