"""The account at each venue beside our books: what was read last, what differs, and whether it may open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from streams.market.identity import Venue
from streams.market.units import cash_decimal
from streams.storage.database import Connection
from streams.storage.store.accounting.breaks import AccountReading, foreign_waiting, last_readings, load_differences
from streams.storage.store.accounting.switches import AccountSwitch, account_switches, restored_accounts


@dataclass(frozen=True, slots=True)
class AccountDifference:
    """A figure that differs: dollars of `cash`, contracts of "position:MARKET:OUTCOME"; `state`: watched or open."""

    what: str
    state: str
    low: Decimal
    high: Decimal
    venue: Decimal
    since: datetime


@dataclass(frozen=True, slots=True)
class ForeignThing:
    """An order or a fill that Crossbook did not send and nobody has acknowledged."""

    kind: str
    market_id: str
    order_id: str
    contracts: Decimal
    cash_usd: Decimal
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as people see it.

    Attributes:
        state: `run`, or `reduce` where only a person lets it open again.
        seen: Names the switch in force, None where nobody has switched the account.
    """

    venue: str
    state: str
    set_by: str
    reason: str
    set_at: datetime | None
    seen: str | None
    reading: AccountReading | None
    differences: tuple[AccountDifference, ...]
    foreign: tuple[ForeignThing, ...]


def load_accounts(connection: Connection, mode: str) -> list[AccountView]:
    """Return the account at each venue in one trading mode (live | paper)."""
    readings = last_readings(connection, mode)
    switches = account_switches(connection, mode)
    views = [_view(connection, mode, venue, switches.get(venue), readings.get(venue.value)) for venue in Venue]
    waiting = restored_accounts(connection, mode)
    return [_restored(view) if view.state == "run" and Venue(view.venue) in waiting else view for view in views]


def _restored(view: AccountView) -> AccountView:
    """Return an account that was not compared with the restored books yet, or did not agree."""
    why = "the database was restored; it opens by itself once it agrees with the books"
    return replace(view, state="reduce", set_by="restore", reason=why)


def _view(
    connection: Connection, mode: str, venue: Venue, switch: AccountSwitch | None, reading: AccountReading | None
) -> AccountView:
    differences = [
        AccountDifference(
            row.what,
            row.state,
            cash_decimal(row.low_e6),
            cash_decimal(row.high_e6),
            cash_decimal(row.venue_e6),
            row.since,
        )
        for row in load_differences(connection, mode, venue)
    ]
    foreign = [
        ForeignThing(
            row.kind,
            row.market_id,
            row.order_id,
            cash_decimal(row.contracts_e6),
            cash_decimal(row.cash_e6),
            row.seen_at,
        )
        for row in foreign_waiting(connection, mode, venue)
    ]
    return AccountView(
        venue.value,
        "run" if switch is None else switch.state,
        "" if switch is None else switch.set_by,
        "" if switch is None else switch.reason,
        None if switch is None else switch.set_at,
        None if switch is None else switch.seen,
        reading,
        tuple(differences),
        tuple(foreign),
    )
