"""The switch of one account: `reduce` keeps it from opening anything; the last row of an account is in force."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from streams.market.identity import Venue
from streams.market.trading import AccountState, SwitchState
from streams.storage.database import Connection, fetch_all


@dataclass(frozen=True, slots=True)
class AccountSwitch:
    """A row of `trading.account_switches`: what was set of an account, by whom and why."""

    switch_id: int
    mode: str
    venue: Venue
    state: AccountState
    set_by: str
    reason: str
    set_at: datetime

    @property
    def seen(self) -> str:
        """Names this row, so that an act can say what it was decided on."""
        return f"{self.switch_id}-{self.state}"


def account_switches(connection: Connection, mode: str) -> dict[Venue, AccountSwitch]:
    """Return the switch in force of each account of a mode; an account that nobody has switched is missing."""
    found = fetch_all(
        connection,
        _switch,
        """SELECT DISTINCT ON (venue) switch_id, mode, venue, state, set_by, reason, set_at
           FROM trading.account_switches WHERE mode = %s ORDER BY venue, switch_id DESC""",
        (mode,),
    )
    return {row.venue: row for row in found}


def why_reduced(connection: Connection, mode: str, venues: Collection[str]) -> str | None:
    """Return why one of these accounts opens nothing, None when all may open.

    After a restore none does until all of them agree with the books again.
    """
    row = connection.execute(
        """SELECT venue, reason FROM (
               SELECT DISTINCT ON (venue) venue, state, reason FROM trading.account_switches
               WHERE mode = %s AND venue = ANY(%s) ORDER BY venue, switch_id DESC
           ) AS x WHERE state <> 'run' LIMIT 1""",
        (mode, [str(venue) for venue in venues]),
    ).fetchone()
    if row is not None:
        return f"the account at {row['venue']}: {row['reason']}"
    waiting = restored_accounts(connection, mode)
    return f"the database was restored, and not compared yet: {', '.join(waiting)}" if waiting else None


def restored_accounts(connection: Connection, mode: str) -> list[Venue]:
    """Return the accounts whose fills, positions and cash are not known to be booked since the last restore.

    What was done after the backup was made is not in the database: each account is compared until it agrees. A paper
    account is in the database itself, and so is Polymarket's beside Kalshi's demo.
    """
    if mode != "live":
        return []
    rows = connection.execute(
        """SELECT v.venue FROM (
               SELECT set_at FROM trading.switches WHERE set_by = 'restore' ORDER BY switch_id DESC LIMIT 1
           ) AS restored CROSS JOIN (VALUES ('kalshi'), ('polymarket')) AS v (venue)
           WHERE NOT (v.venue = 'polymarket'
                   AND EXISTS (SELECT FROM trading.environment_stamp WHERE environment = 'demo'))
               AND NOT EXISTS (SELECT FROM trading.account_readings AS a WHERE a.mode = %s AND a.venue = v.venue
                   AND a.verdict = 'agrees' AND a.began_at > restored.set_at)
           ORDER BY v.venue""",
        (mode,),
    ).fetchall()
    return [Venue(row["venue"]) for row in rows]


def switch_on(connection: Connection, mode: str, venues: Collection[str], switch: SwitchState) -> SwitchState:
    """Return the switch as it holds for a trade on some accounts: `reduce` where one of them only reduces."""
    return "reduce" if switch == "run" and why_reduced(connection, mode, venues) is not None else switch


def set_account(  # noqa: PLR0913 - a row has as many columns
    connection: Connection, mode: str, venue: Venue, state: AccountState, set_by: str, reason: str, at: datetime
) -> int:
    """Write the switch of an account and return its id."""
    row = connection.execute(
        """INSERT INTO trading.account_switches (mode, venue, state, set_by, reason, set_at)
           VALUES (%s, %s, %s, %s, %s, %s) RETURNING switch_id""",
        (mode, venue.value, state, set_by, reason, at),
    ).fetchone()
    assert row is not None
    return int(row["switch_id"])


def replace_account(connection: Connection, seen: AccountSwitch, set_by: str, reason: str, at: datetime) -> int | None:
    """Let an account open again if `seen` is still its switch in force; None where it is another one by now."""
    row = connection.execute(
        """INSERT INTO trading.account_switches (mode, venue, state, set_by, reason, set_at)
           SELECT %(mode)s, %(venue)s, 'run', %(by)s, %(reason)s, %(at)s
           WHERE (SELECT max(switch_id) FROM trading.account_switches WHERE mode = %(mode)s AND venue = %(venue)s)
               = %(seen)s RETURNING switch_id""",
        {
            "mode": seen.mode,
            "venue": seen.venue.value,
            "by": set_by,
            "reason": reason,
            "at": at,
            "seen": seen.switch_id,
        },
    ).fetchone()
    return None if row is None else int(row["switch_id"])


def _switch(*, venue: str, **columns: object) -> AccountSwitch:
    return AccountSwitch(venue=Venue(venue), **columns)  # type: ignore[arg-type]
