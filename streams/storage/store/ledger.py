"""The ledger: signed changes of cash and contracts, written once by key; the only source of PnL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from streams.market.identity import Outcome, Venue
from streams.storage.database import Connection, fetch_all, fetch_int
from streams.storage.store.guards.locks import hold_market


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A row of the ledger."""

    key: str
    kind: str
    venue: str
    market_id: str | None
    outcome: str | None
    cash_e6: int
    contracts_e6: int
    execution_id: int | None
    order_id: int | None
    happened_at: datetime


@dataclass(frozen=True, slots=True)
class MarketSum:
    """The entries of one market summed up: by execution and outcome, None for what belongs to none of them.

    Attributes:
        traded_e6: Contracts moved by fills and by what took them back.
        settled_e6: Contracts moved by payouts.
        paid_e6: Cash of payouts; where there is no outcome, of everything.
        payouts: How many entries of payouts there are; where there is no outcome, of any kind.
        has_result: Entries of a result are among them.
    """

    execution_id: int | None
    outcome: Outcome | None
    traded_e6: int
    settled_e6: int
    paid_e6: int
    payouts: int
    has_result: bool


def lock_market(connection: Connection, venue: str, market_id: str) -> None:
    """Keep others from booking on a market until the end of the transaction."""
    hold_market(connection, venue, market_id)


def write_entries(connection: Connection, entries: Sequence[NewEntry], mode: str, environment: str) -> int:
    """Write ledger rows that are not there yet (by key) and return how many were new."""
    written = 0
    for entry in entries:
        cursor = connection.execute(
            """INSERT INTO trading.ledger (entry_key, kind, venue, market_id, outcome, execution_id, order_id, cash_e6,
                   contracts_e6, mode, environment, happened_at)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (entry_key) DO NOTHING""",
            (
                f"{mode}:{entry.key}",
                entry.kind,
                entry.venue,
                entry.market_id,
                entry.outcome,
                entry.execution_id,
                entry.order_id,
                entry.cash_e6,
                entry.contracts_e6,
                mode,
                environment,
                entry.happened_at,
            ),
        )
        written += cursor.rowcount
    return written


def has_entry(connection: Connection, key: str, mode: str) -> bool:
    """Whether an entry was written."""
    row = connection.execute("SELECT 1 AS x FROM trading.ledger WHERE entry_key = %s", (f"{mode}:{key}",)).fetchone()
    return row is not None


def ledger_cash_e6(connection: Connection, venue: str, mode: str) -> int:
    """Return the cash our ledger says the account at a venue holds."""
    return fetch_int(
        connection,
        "SELECT coalesce(sum(cash_e6), 0)::bigint FROM trading.cash_totals WHERE venue = %s AND mode = %s",
        (venue, mode),
    )


def market_sums(connection: Connection, mode: str, venue: Venue, market_id: str) -> list[MarketSum]:
    """Return what stands in the ledger for one market, by execution and outcome."""
    return fetch_all(
        connection,
        MarketSum,
        """SELECT execution_id, outcome,
               coalesce(sum(contracts_e6) FILTER (WHERE kind <> 'settlement'), 0)::bigint AS traded_e6,
               coalesce(sum(contracts_e6) FILTER (WHERE kind = 'settlement'), 0)::bigint AS settled_e6,
               coalesce(sum(cash_e6) FILTER (WHERE kind = 'settlement' OR outcome IS NULL), 0)::bigint AS paid_e6,
               count(*) FILTER (WHERE kind = 'settlement' OR outcome IS NULL) AS payouts,
               bool_or(kind = 'settlement' OR split_part(entry_key, ':', 2) IN ('netting-end', 'rounding'))
                   AS has_result
           FROM trading.ledger WHERE mode = %s AND venue = %s AND market_id = %s
           GROUP BY execution_id, outcome ORDER BY execution_id, outcome""",
        (mode, venue.value, market_id),
    )


def compact_totals(connection: Connection) -> None:
    """Add up the changes of the sums by day that were written one by one; no figure differs before and after."""
    connection.execute("SELECT trading.compact_totals()")
