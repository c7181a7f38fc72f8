"""Leases: who holds one is decided by what is known of its process, never by the clock of this machine."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from streams.process_id import ProcessId
from streams.storage.database import Connection, connect
from streams.storage.store import leases
from streams.storage.store.leases import (
    LeaseLost,
    acquire,
    heartbeat,
    holds_all,
    market_lease,
    process_holder,
    release_dead,
)

HERE = socket.gethostname()
GONE = f"{HERE}:{replace(ProcessId.own(), ticks=1)}"
HIDDEN = f"{HERE}:{replace(ProcessId.own(), namespace=1)}"
EARLIER_BOOT = f"{HERE}:{replace(ProcessId.own(), boot='00000000-0000-0000-0000-000000000000')}"


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def expire(connection: Connection, seconds: float) -> None:
    connection.execute(
        "UPDATE trading.leases SET expires_at = clock_timestamp() - make_interval(secs => %s)", (seconds,)
    )


def test_a_step_of_the_clock_makes_no_live_holder_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    holder = process_holder()
    for name in ("time", "create_time", "boot_time"):
        if hasattr(psutil, name):
            monkeypatch.setattr(psutil, name, lambda: time.time() + 3600)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: time.time() + 3600)
    assert process_holder() == holder
    assert not leases.is_holder_dead(holder)
    assert leases.is_holder_alive(holder)


@pytest.mark.parametrize(
    ("holder", "is_dead"),
    [
        (GONE, True),
        (HIDDEN, False),
        (EARLIER_BOOT, False),
        ("elsewhere:12:1.00", False),
        (f"{HERE}:{os.getpid()}:1.00", True),
        (f"{HERE}:{os.getpid()}:{psutil.Process().create_time() + 3600:.2f}", False),
        (f"{HERE}:{2**22 + 1}:1.00", True),
        (f"{HERE}:{os.getpid()}:soon", False),
        ("nonsense", False),
        ("", False),
    ],
    ids=["gone", "hidden", "earlier boot", "elsewhere", "old gone", "old step", "old none", "old garbled", "word", ""],
)
def test_only_a_holder_that_is_known_to_be_gone_is_dead(holder: str, is_dead: bool) -> None:
    assert leases.is_holder_dead(holder) is is_dead


def test_a_lease_lives_and_ends_by_the_clock_of_its_connection_alone(database: str) -> None:
    moment = [datetime(2030, 1, 1, tzinfo=UTC)]
    with connect(database, clock=lambda: moment[0]) as connection:
        mine = acquire(connection, "market:x", HIDDEN, "a", 15)
        assert mine is not None
        moment[0] += timedelta(seconds=15)
        assert acquire(connection, "market:x", "elsewhere:1", "b", 15) is None
        heartbeat(connection, mine)
        moment[0] += timedelta(seconds=15, microseconds=1)
        assert leases.runs_with_live_leases(connection) == set()
        theirs = acquire(connection, "market:x", "elsewhere:1", "b", 15)
        assert theirs is not None
        assert not holds_all(connection, [mine])
        found = leases.find_lease(connection, "market:x")
        assert found is not None
        assert (found.is_alive, found.age_s, found.late_s) == (True, 0.0, -15.0)


def test_a_late_holder_that_is_seen_to_run_is_not_usurped(connection: Connection) -> None:
    mine = acquire(connection, "shard:x", process_holder(), "a", 15)
    assert mine is not None
    expire(connection, 20)
    assert acquire(connection, "shard:x", HIDDEN, "b", 15) is None
    assert leases.runs_with_live_leases(connection) == {"a"}
    heartbeat(connection, mine)
    assert holds_all(connection, [mine])


def test_a_holder_that_hangs_is_usurped_and_fenced(connection: Connection) -> None:
    mine = acquire(connection, "shard:x", process_holder(), "a", 15)
    assert mine is not None
    expire(connection, leases.LATE_LIMIT_S + 1)
    assert leases.runs_with_live_leases(connection) == set()
    theirs = acquire(connection, "shard:x", HIDDEN, "b", 15)
    assert theirs is not None
    assert theirs.epoch == mine.epoch + 1
    assert not holds_all(connection, [mine])
    with pytest.raises(LeaseLost):
        heartbeat(connection, mine)


def test_a_market_waits_for_nobody_who_is_late(connection: Connection) -> None:
    name = market_lease("kalshi:KX")
    mine = acquire(connection, name, process_holder(), "a", 5)
    assert mine is not None
    expire(connection, 0.001)
    found = leases.find_lease(connection, name)
    assert found is not None
    assert not found.is_held
    heartbeat(connection, mine)  # nobody has taken it
    assert holds_all(connection, [mine])
    expire(connection, 0.001)
    assert acquire(connection, name, HIDDEN, "b", 5)
    assert not holds_all(connection, [mine])


@pytest.mark.parametrize(
    "holder",
    [HIDDEN, EARLIER_BOOT, "elsewhere:12:1.00", f"{HERE}:{os.getpid()}:1.00"],
    ids=["hidden", "earlier boot", "elsewhere", "old"],
)
def test_an_expired_lease_of_a_holder_that_nobody_sees_is_free(connection: Connection, holder: str) -> None:
    assert acquire(connection, "market:x", holder, "a", 15)
    assert acquire(connection, "market:x", process_holder(), "b", 15) is None
    expire(connection, 1)
    assert acquire(connection, "market:x", process_holder(), "b", 15)


def test_a_lease_of_a_process_that_is_gone_is_free_at_once(connection: Connection) -> None:
    assert acquire(connection, "market:x", GONE, "a", 15)
    assert leases.runs_with_live_leases(connection) == set()
    assert release_dead(connection, "market:x")
    assert acquire(connection, "market:x", process_holder(), "b", 15)


def test_an_expired_lease_that_nobody_took_still_covers_an_order(connection: Connection) -> None:
    held = [acquire(connection, name, process_holder(), "a", 15) for name in ("market:b", "market:a")]
    mine = [lease for lease in held if lease is not None]
    expire(connection, 100)
    assert holds_all(connection, mine)
    rows = connection.execute("SELECT expires_at > clock_timestamp() AS is_alive FROM trading.leases").fetchall()
    assert [row["is_alive"] for row in rows] == [True, True]
    assert not holds_all(connection, [])
    assert not holds_all(connection, [*mine, replace(mine[0], epoch=99)])
