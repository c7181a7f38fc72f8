"""The lease of the armed trading run: who of several runs takes signals, kept alive by a thread of its own.

One run per account set is armed. A run that is started while another is armed announces itself under a second lease;
the armed one sees it within a second, gives the account back, and finishes what it has begun while the next one is
armed already.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg

from streams.logs import get_logger
from streams.market.documents import JsonDocument
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.store.leases import (
    Lease,
    LeaseLost,
    acquire,
    find_lease,
    heartbeat,
    process_holder,
    release,
    release_dead,
)

BEAT_S = 1.0
"""Time between two heartbeats; as often the armed run looks whether another one wants to follow it."""
_POLL_S = 0.05
_APPLICATION = "crossbook armed run"


def account_name(mode: str) -> str:
    """Return the name of the lease of the armed trading run of a trading mode."""
    return f"trader:{mode}"


def _next_name(mode: str) -> str:
    return f"trader-next:{mode}"


class AccountLease:
    """The account of the trading mode in force, wanted or held by one run.

    Args:
        dsn: Of the warehouse; the lease has a connection of its own.
        settings: With the trading mode and the lease's time to live.
        run_id: Of the run.
        detail: What stands beside the lease at each heartbeat (JSON).
        on_end: Called once, from the thread of the lease, with the reason why no signal is to be taken any more.
    """

    def __init__(
        self,
        dsn: str,
        settings: Settings,
        run_id: str,
        *,
        detail: Callable[[], JsonDocument],
        on_end: Callable[[str], None],
    ) -> None:
        self._dsn = dsn
        self._name, self._next = account_name(settings.trading_mode), _next_name(settings.trading_mode)
        self._run_id = run_id
        self._ttl_s = settings.trading_lease_ttl_s
        self._detail = detail
        self._on_end = on_end
        self._holder = process_holder(f"trader-{run_id}")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lease: Lease | None = None

    @property
    def lease(self) -> Lease | None:
        """The account's lease as it was taken, whatever has become of it; None where it never was."""
        return self._lease

    @property
    def epoch(self) -> int:
        """The epoch under which the account is held; 0 where it never was."""
        return 0 if self._lease is None else self._lease.epoch

    def arm(self, is_wanted: Callable[[], bool]) -> bool:
        """Take the account, from the run that has it where there is one; False when it is not wanted any more.

        Raises:
            psycopg.Error: If the warehouse does not answer.
        """
        holder = self._holder
        with connect(self._dsn, application=_APPLICATION) as connection:
            announced: Lease | None = None
            announced_at = 0.0
            try:
                while is_wanted():
                    release_dead(connection, self._name)
                    self._lease = acquire(connection, self._name, holder, self._run_id, self._ttl_s)
                    if self._lease is not None:
                        heartbeat(connection, self._lease, self._detail())
                        break
                    if time.monotonic() - announced_at >= BEAT_S:
                        release_dead(connection, self._next)
                        announced = acquire(connection, self._next, holder, self._run_id, self._ttl_s) or announced
                        announced_at = time.monotonic()
                    self._stop.wait(_POLL_S)
            finally:
                if announced is not None:
                    release(connection, announced)
        if self._lease is None:
            return False
        self._thread = threading.Thread(target=self._keep, name="account lease", daemon=True)
        self._thread.start()
        return True

    def give_back(self) -> None:
        """Give the account back, if it is still ours, and stop the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _keep(self) -> None:
        """Beat until told to stop, until another run follows, or until the lease is lost."""
        assert self._lease is not None
        alive_at = time.monotonic()
        why = ""
        while not why and not self._stop.is_set():
            try:
                with connect(self._dsn, application=_APPLICATION) as connection:
                    while not why and not self._stop.is_set():
                        heartbeat(connection, self._lease, self._detail())
                        alive_at = time.monotonic()
                        why = self._follower(connection)
                        if not why:
                            self._stop.wait(BEAT_S)
                    release(connection, self._lease)
            except LeaseLost:
                why = "another run holds the account"
            except psycopg.Error as error:
                get_logger().warning("the lease of the armed run was not prolonged", reason=str(error).strip())
                if time.monotonic() - alive_at > self._ttl_s:
                    why = "the account could not be kept: the warehouse does not answer"
                self._stop.wait(BEAT_S)
        if why:
            self._on_end(why)

    def _follower(self, connection: Connection) -> str:
        """Return that another run wants the account; empty when none does."""
        waiting = find_lease(connection, self._next)
        if waiting is None or not waiting.is_held or waiting.run_id == self._run_id:
            return ""
        return f"run {waiting.run_id} takes over"
