"""Fills as they are written: new ones, changes of state, and amounts that their venue restates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from streams.market.identity import Venue
from streams.market.trading import FillState, NewFill, OrderRow
from streams.storage.database import Connection, fetch_one, read_clock


@dataclass(frozen=True, slots=True)
class StoredFill:
    """A fill as it was written; `revision`: how often its venue has restated it."""

    fill_id: int
    state: FillState
    contracts_e6: int
    cash_e6: int
    fee_e6: int
    computed_fee_e6: int | None
    revision: int

    def is_restated_by(self, fill: NewFill) -> bool:
        """Whether its venue says other amounts now; a fee that it does not state is none of them."""
        is_other_fee = fill.is_fee_stated and self.fee_e6 != fill.fee_e6
        return is_other_fee or (self.contracts_e6, self.cash_e6) != (fill.contracts_e6, fill.cash_e6)


def upsert_fill(connection: Connection, order: OrderRow, fill: NewFill) -> StoredFill | None:
    """Write a fill, its change of state or of its amounts; returns what was written before, None when it is new.

    `confirmed` and `failed` are last words on its state: a late reading never takes them back. Amounts of one that has
    not failed are those that the venue said last.
    """
    before = fetch_one(
        connection,
        StoredFill,
        """SELECT fill_id, state, contracts_e6, cash_e6, fee_e6, computed_fee_e6, revision
           FROM trading.fills
           WHERE venue = %s AND venue_fill_id = %s AND order_id = %s FOR UPDATE""",
        (order.venue, fill.venue_fill_id, order.order_id),
    )
    if before is not None:
        _change_fill(connection, before, fill)
        return before
    connection.execute(
        """INSERT INTO trading.fills (order_id, venue, venue_fill_id, market_id, outcome, action, contracts_e6, cash_e6,
               fee_e6, computed_fee_e6, state, filled_at, payload, environment, recorded_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            order.order_id,
            order.venue,
            fill.venue_fill_id,
            order.market_id,
            order.outcome,
            order.action,
            fill.contracts_e6,
            fill.cash_e6,
            fill.fee_e6,
            fill.computed_fee_e6,
            fill.state,
            fill.filled_at,
            Jsonb(fill.payload),
            order.environment,
            read_clock(connection),
        ),
    )
    return None


def _change_fill(connection: Connection, before: StoredFill, fill: NewFill) -> None:
    connection.execute(
        "UPDATE trading.fills SET state = %s, payload = %s WHERE fill_id = %s AND state = 'provisional'",
        (fill.state, Jsonb(fill.payload), before.fill_id),
    )
    if before.state != "failed" and fill.state != "failed" and before.is_restated_by(fill):
        connection.execute(
            """UPDATE trading.fills SET contracts_e6 = %s, cash_e6 = %s, fee_e6 = %s, computed_fee_e6 = %s,
                   payload = %s, revision = revision + 1 WHERE fill_id = %s""",
            (
                fill.contracts_e6,
                fill.cash_e6,
                fill.fee_e6,
                fill.computed_fee_e6,
                Jsonb(fill.payload),
                before.fill_id,
            ),
        )


def written_fills(connection: Connection, venue: Venue, venue_fill_ids: Sequence[str]) -> set[tuple[str, int]]:
    """Return which of these fills are written, as (the venue's id, the number of our order)."""
    rows = connection.execute(
        "SELECT venue_fill_id, order_id FROM trading.fills WHERE venue = %s AND venue_fill_id = ANY(%s)",
        (venue.value, list(venue_fill_ids)),
    ).fetchall()
    return {(row["venue_fill_id"], row["order_id"]) for row in rows}
