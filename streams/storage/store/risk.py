"""Switches and limits, and what is tied up against them. Whoever writes an intent reads them under one lock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from streams.market.limits import LIMIT_NAMES, LimitName, LimitValues, limit_values
from streams.market.trading import SwitchState, TiedUp
from streams.settings import Settings
from streams.storage.database import Connection, fetch_all, read_clock
from streams.storage.store.guards.locks import hold, is_held


@dataclass(frozen=True, slots=True)
class SwitchRow:
    """A row of `trading.switches`: what somebody set, and why."""

    state: SwitchState
    set_by: str
    set_at: datetime
    reason: str
    switch_id: int

    @property
    def seen(self) -> str:
        """Names this switch, so that an act can say which one it was decided on."""
        return f"{self.switch_id}-{self.state}"


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A row of `trading.limits`, in the unit of its kind."""

    name: str
    value: Decimal
    set_by: str
    reason: str
    set_at: datetime
    limit_id: int


def lock_acting(connection: Connection, within_s: float | None = None) -> None:
    """Take the lock of those who write intents until the end of the transaction. A kill asks for no lock.

    Args:
        connection: In a transaction.
        within_s: Longest wait for each lock of this transaction from now on; None: no limit.

    Raises:
        psycopg.errors.LockNotAvailable: If another intent is being written for longer.
    """
    hold(connection, "acting", within_s)
    # A process that is stopped meanwhile gives the lock up, and with it what it was about to write.
    connection.execute("SELECT set_config('idle_in_transaction_session_timeout', '5s', true)")


def is_intent_being_written(connection: Connection) -> bool:
    """Whether somebody is about to write an intent, or has written one and not committed yet."""
    return is_held(connection, "acting")


def last_switch(connection: Connection) -> SwitchRow | None:
    """Return the switch in force with who set it; None when there is none, which only a damaged database has."""
    found = list_switches(connection, 1)
    return found[0] if found else None


def list_switches(connection: Connection, limit: int = 50) -> list[SwitchRow]:
    """Return the last changes of the switch, newest first."""
    return fetch_all(
        connection,
        SwitchRow,
        "SELECT state, set_by, set_at, reason, switch_id FROM trading.switches ORDER BY switch_id DESC LIMIT %s",
        (limit,),
    )


def current_switch(connection: Connection) -> SwitchState:
    """Return the switch in force; `kill` when there is none."""
    switch = last_switch(connection)
    return "kill" if switch is None else switch.state


def set_switch(connection: Connection, state: SwitchState, set_by: str, reason: str = "") -> int:
    """Write a new switch and return its id; waits for nobody who writes an intent.

    Outside of a transaction it is in force when this returns.
    """
    row = connection.execute(
        "INSERT INTO trading.switches (state, set_by, reason, set_at) VALUES (%s, %s, %s, %s) RETURNING switch_id",
        (state, set_by, reason, read_clock(connection)),
    ).fetchone()
    assert row is not None
    return int(row["switch_id"])


def set_switch_once(connection: Connection, state: SwitchState, set_by: str, reason: str) -> None:
    """Write a switch unless the same person has set it for the same reason before; `reason` must name the act."""
    connection.execute(
        """INSERT INTO trading.switches (state, set_by, reason, set_at)
           SELECT %(state)s, %(set_by)s, %(reason)s, %(now)s WHERE NOT EXISTS (
               SELECT FROM trading.switches
               WHERE state = %(state)s AND set_by = %(set_by)s AND reason = %(reason)s
           )""",
        {"state": state, "set_by": set_by, "reason": reason, "now": read_clock(connection)},
    )


def replace_switch(connection: Connection, seen: SwitchRow, state: SwitchState, set_by: str, reason: str = "") -> bool:
    """Write a new switch if `seen` is still in force; False where somebody set another one since it was read.

    What a program decides by the switch it has read must never undo what a person did meanwhile.
    """
    row = connection.execute(
        """INSERT INTO trading.switches (state, set_by, reason, set_at) SELECT %s, %s, %s, %s
           WHERE (SELECT max(switch_id) FROM trading.switches) = %s RETURNING switch_id""",
        (state, set_by, reason, read_clock(connection), seen.switch_id),
    ).fetchone()
    return row is not None and renew_missed_kill(connection, seen.switch_id, int(row["switch_id"])) is None


def renew_missed_kill(connection: Connection, seen_id: int, switch_id: int) -> SwitchRow | None:
    """Kill anew where a kill came between the switch that was seen and the one written on it; return that kill.

    A kill takes no lock, so that whoever writes another switch may not see it: they look once more afterwards.

    Args:
        connection: After the commit.
        seen_id: Of the switch that was seen.
        switch_id: Of the one that was written.
    """
    missed = fetch_all(
        connection,
        SwitchRow,
        """SELECT state, set_by, set_at, reason, switch_id FROM trading.switches
           WHERE state = 'kill' AND switch_id > %s AND switch_id < %s ORDER BY switch_id DESC LIMIT 1""",
        (seen_id, switch_id),
    )
    if not missed:
        return None
    set_switch(connection, "kill", missed[0].set_by, missed[0].reason)
    return missed[0]


def set_limit(connection: Connection, name: str, value: Decimal, set_by: str, reason: str = "") -> int:
    """Write a new value of a limit, in its unit, and return its id."""
    row = connection.execute(
        """INSERT INTO trading.limits (name, value, set_by, reason, set_at)
           VALUES (%s, %s, %s, %s, %s) RETURNING limit_id""",
        (name, value, set_by, reason, read_clock(connection)),
    ).fetchone()
    assert row is not None
    return int(row["limit_id"])


def load_limits(connection: Connection) -> dict[str, LimitRow]:
    """Return the operator's limits by name. A limit that was never set is missing; its default is in Settings."""
    rows = fetch_all(
        connection,
        LimitRow,
        """SELECT DISTINCT ON (name) name, value, set_by, reason, set_at, limit_id FROM trading.limits
           ORDER BY name, limit_id DESC""",
    )
    return {row.name: row for row in rows}


def list_limits(connection: Connection, limit: int = 200) -> list[LimitRow]:
    """Return the last values that were set, newest first."""
    return fetch_all(
        connection,
        LimitRow,
        """SELECT name, value, set_by, reason, set_at, limit_id FROM trading.limits ORDER BY limit_id DESC LIMIT %s""",
        (limit,),
    )


def current_limits(connection: Connection, settings: Settings) -> LimitValues:
    """Return the last value of each limit, the setting's where nobody set one.

    Raises:
        BadLimit: If the last value of one cannot be a limit.
    """
    given = load_limits(connection)
    return limit_values(
        {name: given[name].value if name in given else first_limit(settings, name) for name in LIMIT_NAMES}
    )


def first_limit(settings: Settings, name: LimitName) -> Decimal:
    """Return what a limit is before anybody has set it."""
    return Decimal(getattr(settings, f"limit_{name}"))


def tied_up(connection: Connection, mode: str) -> TiedUp:
    """Return what open executions of a mode have cost so far, with what they and unresolved orders hold back."""
    rows = connection.execute(
        """SELECT x.*, coalesce(v.event_id, '') AS event_id FROM (
               SELECT group_id, venue, market_id,
                   greatest(0, sum(spent_e6 + reserved_e6 + spare_e6))::bigint AS market_e6,
                   greatest(0, sum(spent_e6 + reserved_e6 + CASE WHEN is_first THEN spare_e6 ELSE 0 END))::bigint
                       AS group_e6,
                   sum(unconfirmed_e6)::bigint AS unconfirmed_e6
               FROM trading.stakes WHERE mode = %s GROUP BY group_id, venue, market_id
           ) AS x
           LEFT JOIN raw.market_state AS s ON s.venue = x.venue AND s.market_id = x.market_id
           LEFT JOIN raw.market_versions AS v USING (version_id)""",
        (mode,),
    ).fetchall()
    by_market: Counter[tuple[str, str]] = Counter()
    by_group: Counter[str] = Counter()
    by_event: Counter[tuple[str, str]] = Counter()
    by_venue: Counter[str] = Counter()
    for row in rows:
        by_market[row["venue"], row["market_id"]] += row["market_e6"]
        by_event[row["venue"], row["event_id"]] += row["market_e6"]
        by_venue[row["venue"]] += row["market_e6"]
        by_group[row["group_id"]] += row["group_e6"]
    provisional = sum(row["unconfirmed_e6"] for row in rows)
    return TiedUp(dict(by_market), dict(by_group), dict(by_event), dict(by_venue), by_group.total(), provisional)


def tied_up_beyond(connection: Connection, used: TiedUp, until: datetime) -> int:
    """Return what is tied up in groups whose cash comes back after a moment, or nobody knows when."""
    quick = connection.execute(
        "SELECT group_id FROM trading.groups WHERE group_id = ANY(%s) AND resolves_at <= %s",
        (list(used.by_group_e6), until),
    ).fetchall()
    ids = {row["group_id"] for row in quick}
    return sum(cash for group_id, cash in used.by_group_e6.items() if group_id not in ids)
