"""Leases in Postgres: who may act on a name, with an epoch that fences whoever held it before.

A lease is alive until its expiry and is kept alive by heartbeats. A new holder gets a larger epoch; a former holder's
heartbeat and its guarded writes fail from then on.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any

import psutil
from psycopg.types.json import Jsonb

from streams.market.errors import PermanentError
from streams.storage.database import Connection, Row


class LeaseLost(PermanentError):
    """Someone else holds the lease now, or it was released: stop acting under it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease we hold. `epoch` grows with each holder of `name`."""

    name: str
    holder: str
    run_id: str
    epoch: int
    ttl_s: float


def process_holder() -> str:
    """Return a name of this process that no later process shares: host, process id and its start time."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_holder_dead(holder: str) -> bool:
    """Whether `holder` names a process of this host that is gone. Other hosts' processes count as alive."""
    host, _, rest = holder.rpartition(":")
    host, _, pid = host.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        process = psutil.Process(int(pid))
        return f"{process.create_time():.2f}" != rest or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def acquire(connection: Connection, name: str, holder: str, run_id: str, ttl_s: float) -> Lease | None:
    """Take the lease if it is free, expired or already ours; None when another holder has it.

    A holder that takes its own live lease again gets a new epoch too.
    """
    row = connection.execute(
        """INSERT INTO trading.leases AS l (name, holder, run_id, epoch, acquired_at, heartbeat_at, expires_at)
           VALUES (%(name)s, %(holder)s, %(run)s, 1, clock_timestamp(), clock_timestamp(),
                   clock_timestamp() + make_interval(secs => %(ttl)s))
           ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, run_id = excluded.run_id, epoch = l.epoch + 1,
               acquired_at = excluded.acquired_at, heartbeat_at = excluded.heartbeat_at,
               expires_at = excluded.expires_at, released_at = NULL, detail = '{}'
           WHERE l.released_at IS NOT NULL OR l.expires_at < clock_timestamp() OR l.holder = excluded.holder
           RETURNING epoch""",
        {"name": name, "holder": holder, "run": run_id, "ttl": ttl_s},
    ).fetchone()
    return None if row is None else Lease(name, holder, run_id, int(row["epoch"]), ttl_s)


def heartbeat(connection: Connection, lease: Lease, detail: dict[str, Any] | None = None) -> None:
    """Prolong the lease by its time to live and store `detail` (JSON) beside it.

    Raises:
        LeaseLost: If the lease has a new holder or was released. An expired lease nobody took is prolonged.
    """
    row = connection.execute(
        """UPDATE trading.leases SET heartbeat_at = clock_timestamp(),
               expires_at = clock_timestamp() + make_interval(secs => %s), detail = coalesce(%s, detail)
           WHERE name = %s AND epoch = %s AND released_at IS NULL RETURNING epoch""",
        (lease.ttl_s, None if detail is None else Jsonb(detail), lease.name, lease.epoch),
    ).fetchone()
    if row is None:
        raise LeaseLost(f"the lease {lease.name} is no longer ours")


def release(connection: Connection, lease: Lease) -> None:
    """Give the lease back; does nothing when it is no longer ours."""
    connection.execute(
        "UPDATE trading.leases SET released_at = clock_timestamp() WHERE name = %s AND epoch = %s",
        (lease.name, lease.epoch),
    )


def release_dead(connection: Connection, name: str) -> bool:
    """Release a lease whose holder is a process of this host that is gone, without waiting for its expiry."""
    row = find_lease(connection, name)
    if row is None or row["released_at"] is not None or not is_holder_dead(row["holder"]):
        return False
    connection.execute(
        """UPDATE trading.leases SET released_at = clock_timestamp()
           WHERE name = %s AND epoch = %s AND released_at IS NULL""",
        (name, row["epoch"]),
    )
    return True


def find_lease(connection: Connection, name: str) -> Row | None:
    """Return the lease's row with `is_alive` and `age_s` (seconds since its heartbeat) as the database sees them."""
    return connection.execute(
        """SELECT *, released_at IS NULL AND expires_at >= clock_timestamp() AS is_alive,
               extract(epoch FROM clock_timestamp() - heartbeat_at)::float8 AS age_s
           FROM trading.leases WHERE name = %s""",
        (name,),
    ).fetchone()
