"""Leases in Postgres: who may act on a name, with an epoch that fences whoever held it before.

A lease is alive until its expiry and is kept alive by heartbeats. A new holder gets a larger epoch; a former holder's
heartbeat and its guarded writes fail from then on.

A slow machine makes heartbeats late. A holder that is seen to run on this machine therefore keeps an expired lease for
`LATE_LIMIT_S` longer; one that hangs loses it after that, one that is gone at once. Leases of markets end at their
expiry, whoever is seen to run: what a hedge has exposed waits for nobody, and who was overtaken sends nothing, as the
last look before an order leaves asks for the epoch.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import psutil
from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.market.errors import PermanentError
from streams.process_id import ProcessId
from streams.storage.database import Connection, fetch_all, fetch_one, read_clock

LATE_LIMIT_S = 45.0
"""How long after its expiry a lease stays with a holder that is seen to run."""
_MARKET = "market:"

_OLD_AGE_TOLERANCE_S = 86_400.0
"""Start times in names of earlier versions moved with the clock; only a large difference says that it is another."""


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


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A row of `trading.leases`.

    Attributes:
        is_alive: Neither released nor expired, by the clock of `read_clock`, as all that is said of time here.
        age_s: Seconds since its heartbeat.
        late_s: Seconds since its expiry, negative before it.
        detail: What its holder stated at its last heartbeat (JSON).
    """

    name: str
    holder: str
    run_id: str
    epoch: int
    released_at: datetime | None
    is_alive: bool
    age_s: float
    late_s: float = 0.0
    detail: JsonDocument = field(default_factory=dict)

    @property
    def is_held(self) -> bool:
        """Whether its holder may still act under it: alive and not known to be gone, or late but seen to run."""
        if self.is_alive:
            return not is_holder_dead(self.holder)
        return self.released_at is None and self.late_s < late_limit_s(self.name) and is_holder_alive(self.holder)


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """What people see of a lease. `age_s`: seconds since the last heartbeat."""

    name: str
    holder: str
    run_id: str
    epoch: int
    age_s: Decimal
    is_alive: bool
    is_released: bool
    acquired_at: datetime


def market_lease(market_key: str) -> str:
    """Return the name of the lease of a market ("venue:market_id")."""
    return f"{_MARKET}{market_key}"


def late_limit_s(name: str) -> float:
    """Return how long after its expiry the lease of this name stays with a holder that is seen to run."""
    return 0.0 if name.startswith(_MARKET) else LATE_LIMIT_S


def process_holder(part: str = "") -> str:
    """Return a name of this process that no other process ever has: the host, for people, and its `ProcessId`.

    Args:
        part: Of the process, where several of its parts hold leases that are not to be taken for each other's.
    """
    return f"{socket.gethostname()}{f'#{part}' if part else ''}:{ProcessId.own()}"


def is_holder_dead(holder: str) -> bool:
    """Whether `holder` names a process that is known to be gone. What cannot be seen from here counts as alive."""
    process = ProcessId.parse(holder.rpartition(":")[2])
    return _is_old_holder_dead(holder) if process is None else process.is_gone


def is_holder_alive(holder: str) -> bool:
    """Whether `holder` names a process that is seen to run. What cannot be seen from here does not count."""
    process = ProcessId.parse(holder.rpartition(":")[2])
    return process is not None and process.is_alive


def _is_old_holder_dead(holder: str) -> bool:
    """`is_holder_dead` for the names of earlier versions: host, process id and start time, in seconds of the clock."""
    host, _, started = holder.rpartition(":")
    host, _, pid = host.rpartition(":")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        process = psutil.Process(int(pid))
        is_another = abs(process.create_time() - float(started)) > _OLD_AGE_TOLERANCE_S
        return is_another or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except (ValueError, psutil.Error):
        return False


def acquire(
    connection: Connection, name: str, holder: str, run_id: str, ttl_s: float, *, is_renewable: bool = True
) -> Lease | None:
    """Take the lease if it is free, expired or already ours; None when another holder has it.

    A holder that takes its own live lease again gets a new epoch too; one that is not `is_renewable` nobody gets. An
    expired lease of a holder that is seen to run stays its own for `late_limit_s` more.
    """
    now = read_clock(connection)
    before = _find(connection, name, now)
    late = before.holder if before is not None and is_holder_alive(before.holder) else ""
    row = connection.execute(
        """INSERT INTO trading.leases AS l (name, holder, run_id, epoch, acquired_at, heartbeat_at, expires_at)
           VALUES (%(name)s, %(holder)s, %(run)s, 1, %(now)s, %(now)s,
                   %(now)s + make_interval(secs => %(ttl)s))
           ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, run_id = excluded.run_id, epoch = l.epoch + 1,
               acquired_at = excluded.acquired_at, heartbeat_at = excluded.heartbeat_at,
               expires_at = excluded.expires_at, released_at = NULL, detail = '{}'
           WHERE l.released_at IS NOT NULL OR (%(renewable)s AND l.holder = excluded.holder)
               OR l.expires_at < %(now)s
                   - make_interval(secs => CASE WHEN l.holder = %(late)s THEN %(grace)s ELSE 0 END)
           RETURNING epoch""",
        {
            "name": name,
            "holder": holder,
            "run": run_id,
            "ttl": ttl_s,
            "late": late,
            "grace": late_limit_s(name),
            "renewable": is_renewable,
            "now": now,
        },
    ).fetchone()
    return None if row is None else Lease(name, holder, run_id, int(row["epoch"]), ttl_s)


def heartbeat(connection: Connection, lease: Lease, detail: JsonDocument | None = None) -> None:
    """Prolong the lease by its time to live and store `detail` (JSON) beside it.

    Raises:
        LeaseLost: If the lease has a new holder or was released. An expired lease nobody took is prolonged.
    """
    if not _prolong(connection, lease, detail, read_clock(connection)):
        raise LeaseLost(f"the lease {lease.name} is no longer ours")


def heartbeat_all(connection: Connection, leases: Sequence[Lease]) -> None:
    """Prolong several leases, each by its time to live.

    Raises:
        LeaseLost: If one of them has a new holder or was released.
    """
    for lease in leases:
        heartbeat(connection, lease)


def _prolong(connection: Connection, lease: Lease, detail: JsonDocument | None, now: datetime) -> bool:
    row = connection.execute(
        """UPDATE trading.leases SET heartbeat_at = %s, expires_at = %s, detail = coalesce(%s, detail)
           WHERE name = %s AND epoch = %s AND released_at IS NULL RETURNING epoch""",
        (
            now,
            now + timedelta(seconds=lease.ttl_s),
            None if detail is None else Jsonb(detail),
            lease.name,
            lease.epoch,
        ),
    ).fetchone()
    return row is not None


def release(connection: Connection, lease: Lease) -> None:
    """Give the lease back; does nothing when it is no longer ours."""
    connection.execute(
        "UPDATE trading.leases SET released_at = %s WHERE name = %s AND epoch = %s",
        (read_clock(connection), lease.name, lease.epoch),
    )


def release_dead(connection: Connection, name: str) -> bool:
    """Release a lease whose holder is a process of this host that is gone, without waiting for its expiry."""
    lease = find_lease(connection, name)
    if lease is None or lease.released_at is not None or not is_holder_dead(lease.holder):
        return False
    connection.execute(
        """UPDATE trading.leases SET released_at = %s
           WHERE name = %s AND epoch = %s AND released_at IS NULL""",
        (read_clock(connection), name, lease.epoch),
    )
    return True


def release_held_by(connection: Connection, holders: Sequence[str]) -> None:
    """Release every lease of these holders: of parts of this process that begin anew after a lost connection."""
    connection.execute(
        "UPDATE trading.leases SET released_at = %s WHERE released_at IS NULL AND holder = ANY(%s)",
        (read_clock(connection), list(holders)),
    )


def find_lease(connection: Connection, name: str) -> LeaseRow | None:
    """Return the lease's row, its age and whether it is alive; None if nobody had it."""
    return _find(connection, name, read_clock(connection))


def _find(connection: Connection, name: str, now: datetime) -> LeaseRow | None:
    return fetch_one(
        connection,
        LeaseRow,
        """SELECT name, holder, run_id, epoch, released_at,
               released_at IS NULL AND expires_at >= %(now)s AS is_alive,
               extract(epoch FROM %(now)s - heartbeat_at)::float8 AS age_s,
               extract(epoch FROM %(now)s - expires_at)::float8 AS late_s, detail
           FROM trading.leases WHERE name = %(name)s""",
        {"name": name, "now": now},
    )


def holds_all(connection: Connection, leases: Sequence[Lease]) -> bool:
    """Whether all these leases are ours under their epochs, each prolonged by its time to live; False for none at all.

    One that expired and that nobody took is still ours. In a transaction nobody can take them before it ends.
    """
    if not leases:
        return False
    now = read_clock(connection)
    return all(_prolong(connection, lease, None, now) for lease in sorted(leases, key=lambda one: one.name))


def runs_with_live_leases(connection: Connection) -> set[str]:
    """Return the ids of the runs that hold a lease: not expired and not known to be gone, or late but seen to run."""
    rows = connection.execute(
        """SELECT run_id, holder, expires_at >= %(now)s AS is_in_time FROM trading.leases
           WHERE released_at IS NULL AND run_id <> ''
               AND expires_at >= %(now)s - make_interval(secs => %(late)s)""",
        {"now": read_clock(connection), "late": LATE_LIMIT_S},
    ).fetchall()
    return {
        row["run_id"]
        for row in rows
        if (not is_holder_dead(row["holder"]) if row["is_in_time"] else is_holder_alive(row["holder"]))
    }


def list_recent_leases(connection: Connection) -> list[LeaseStatus]:
    """Return at most 200 leases of the last hour, the recorder's shards first.

    Of markets and market groups those that are held or lost, of others those released too.
    """
    return fetch_all(
        connection,
        LeaseStatus,
        """SELECT name, holder, run_id, epoch, round(extract(epoch FROM %(now)s - heartbeat_at), 1) AS age_s,
               released_at IS NULL AND expires_at > %(now)s AS is_alive,
               released_at IS NOT NULL AS is_released, acquired_at
           FROM trading.leases WHERE heartbeat_at > %(now)s - interval '1 hour'
               AND (released_at IS NULL OR name NOT LIKE ALL (ARRAY['market:%%', 'group:%%']))
           ORDER BY name NOT LIKE 'shard:%%', released_at IS NOT NULL, name LIMIT 200""",
        {"now": read_clock(connection)},
    )


# -- recorder shards ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecorderPulse:
    """What the unreleased leases of recorder shards say together.

    Attributes:
        recorders: How many there are.
        lag_ms: The longest time from a frame to its committed row that a recorder states.
        age_s: Seconds since the oldest of their heartbeats.
    """

    recorders: int
    lag_ms: int
    age_s: float


def recorder_pulse(connection: Connection) -> RecorderPulse:
    """Return how far the recorders are behind."""
    pulse = fetch_one(
        connection,
        RecorderPulse,
        """SELECT count(*) AS recorders, coalesce(max((detail ->> 'commit_lag_ms')::bigint), 0) AS lag_ms,
               coalesce(max(extract(epoch FROM %(now)s - heartbeat_at)), 0)::float8 AS age_s
           FROM trading.leases WHERE name LIKE 'shard:%%' AND released_at IS NULL""",
        {"now": read_clock(connection)},
    )
    assert pulse is not None
    return pulse


def recorder_counters(connection: Connection) -> dict[str, JsonDocument]:
    """Return the counters (JSON) that recorders stated within the last 30 seconds, by the name of their lease."""
    rows = connection.execute(
        """SELECT name, detail FROM trading.leases
           WHERE name LIKE 'shard:%%' AND released_at IS NULL AND heartbeat_at > %(now)s - interval '30 seconds'""",
        {"now": read_clock(connection)},
    ).fetchall()
    return {row["name"]: row["detail"] for row in rows}


def last_recorder_heartbeat(connection: Connection) -> datetime | None:
    """Return when a recorder last gave a sign of life; None where none has a shard."""
    row = connection.execute(
        "SELECT max(heartbeat_at) AS at FROM trading.leases WHERE name LIKE 'shard:%' AND released_at IS NULL"
    ).fetchone()
    return row["at"] if row else None


def recorder_age_s(connection: Connection) -> Decimal | None:
    """Return the seconds since any recorder gave a sign of life, those that ended included; None before the first."""
    row = connection.execute(
        """SELECT round(extract(epoch FROM %(now)s - max(heartbeat_at)), 1) AS age_s
           FROM trading.leases WHERE name LIKE 'shard:%%'""",
        {"now": read_clock(connection)},
    ).fetchone()
    return row["age_s"] if row else None
