"""Switches and limits, and what is tied up against them. Everything that acts reads them under one lock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from streams.market.trading import LimitValues, SwitchState, TiedUp
from streams.market.units import CASH_SCALE, SIZE_SCALE
from streams.settings import Settings
from streams.storage.database import Connection, fetch_all, fetch_int

ACTING_LOCK = 7_263_542
"""Advisory lock of the transaction that writes an intent; a trigger takes it for each new row of trading.switches."""


@dataclass(frozen=True, slots=True)
class SwitchRow:
    """A row of `trading.switches`: what somebody set, and why."""

    state: SwitchState
    set_by: str
    set_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A row of `trading.limits`: dollars, contracts for `order_contracts`."""

    name: str
    value: Decimal
    set_by: str
    reason: str
    set_at: datetime


def lock_acting(connection: Connection) -> None:
    """Take the lock of acting until the end of the transaction; a kill waits for it and the other way round."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (ACTING_LOCK,))


def last_switch(connection: Connection) -> SwitchRow | None:
    """Return the switch in force with who set it; None when there is none, which only a damaged database has."""
    found = list_switches(connection, 1)
    return found[0] if found else None


def list_switches(connection: Connection, limit: int = 50) -> list[SwitchRow]:
    """Return the last changes of the switch, newest first."""
    return fetch_all(
        connection,
        SwitchRow,
        "SELECT state, set_by, set_at, reason FROM trading.switches ORDER BY switch_id DESC LIMIT %s",
        (limit,),
    )


def current_switch(connection: Connection) -> SwitchState:
    """Return the switch in force; `kill` when there is none."""
    switch = last_switch(connection)
    return "kill" if switch is None else switch.state


def set_switch(connection: Connection, state: SwitchState, set_by: str, reason: str = "") -> int:
    """Write a new switch and return its id; waits for an intent that is being written."""
    row = connection.execute(
        "INSERT INTO trading.switches (state, set_by, reason) VALUES (%s, %s, %s) RETURNING switch_id",
        (state, set_by, reason),
    ).fetchone()
    assert row is not None
    return int(row["switch_id"])


def set_limit(connection: Connection, name: str, value: Decimal, set_by: str, reason: str = "") -> int:
    """Write a new value of a limit (dollars, or contracts for `order_contracts`) and return its id."""
    row = connection.execute(
        "INSERT INTO trading.limits (name, value, set_by, reason) VALUES (%s, %s, %s, %s) RETURNING limit_id",
        (name, value, set_by, reason),
    ).fetchone()
    assert row is not None
    return int(row["limit_id"])


def load_limits(connection: Connection) -> dict[str, LimitRow]:
    """Return the operator's limits by name. A limit that was never set is missing; its default is in Settings."""
    rows = fetch_all(
        connection,
        LimitRow,
        """SELECT DISTINCT ON (name) name, value, set_by, reason, set_at FROM trading.limits
           ORDER BY name, limit_id DESC""",
    )
    return {row.name: row for row in rows}


def current_limits(connection: Connection, settings: Settings) -> LimitValues:
    """Return the last value of each limit, the setting's where nobody set one."""
    given = load_limits(connection)

    def value(name: str, default: Decimal, scale: int) -> int:
        return int((given[name].value if name in given else default) * scale)

    return LimitValues(
        order_contracts_e6=value("order_contracts", settings.limit_order_contracts, SIZE_SCALE),
        market_e6=value("market_usd", settings.limit_market_usd, CASH_SCALE),
        pair_e6=value("pair_usd", settings.limit_pair_usd, CASH_SCALE),
        total_e6=value("total_usd", settings.limit_total_usd, CASH_SCALE),
        daily_loss_e6=value("daily_loss_usd", settings.limit_daily_loss_usd, CASH_SCALE),
    )


def tied_up(connection: Connection, mode: str) -> TiedUp:
    """Return what open executions of a mode have cost so far, with the reservations of unresolved orders."""
    rows = connection.execute(
        """SELECT group_id, venue, market_id, tied_up_e6 AS cash_e6, unconfirmed_e6 FROM trading.exposure
           WHERE mode = %s""",
        (mode,),
    ).fetchall()
    by_market: dict[tuple[str, str], int] = {}
    by_group: dict[str, int] = {}
    for row in rows:
        cash = int(row["cash_e6"])
        key = (row["venue"], row["market_id"])
        by_market[key] = by_market.get(key, 0) + cash
        by_group[row["group_id"]] = by_group.get(row["group_id"], 0) + cash
    provisional = sum(int(row["unconfirmed_e6"]) for row in rows)
    return TiedUp(by_market, by_group, sum(by_group.values()), provisional, _today(connection, mode))


def _today(connection: Connection, mode: str) -> int:
    return fetch_int(
        connection,
        """SELECT coalesce(sum(realised_e6), 0)::bigint FROM trading.day_totals
           WHERE mode = %s AND day = trading.utc_day(now())""",
        (mode,),
    )
