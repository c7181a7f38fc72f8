"""What an account showed and our books do not say: readings, breaks, and what others did on the account.

A figure that differs is watched; once it is a break it stays open until a person lets the account open again. A switch
to `run` that is younger than a break acknowledges it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.market.identity import Venue
from streams.storage.database import Connection, fetch_all, fetch_one

BreakState = Literal["watched", "open", "acknowledged", "agrees"]
ReadingVerdict = Literal["agrees", "explained", "outside"]
ForeignKind = Literal["order", "fill"]


@dataclass(frozen=True, slots=True)
class NewReading:
    """One comparison of an account with our books: its cash, what we allow, and what all of its figures say."""

    mode: str
    venue: Venue
    began_at: datetime
    ended_at: datetime
    last_write_at: datetime | None
    verdict: ReadingVerdict
    cash_e6: int
    low_e6: int
    booked_e6: int
    high_e6: int
    environment: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of an account that differs.

    Attributes:
        what: "cash", or "position:MARKET:OUTCOME".
        low_e6 / high_e6: What our books allow.
        since: When it was first seen to differ.
        outside_reads: Readings in a row that nothing of ours explains.
    """

    break_id: int
    mode: str
    venue: Venue
    what: str
    low_e6: int
    booked_e6: int
    high_e6: int
    venue_e6: int
    state: BreakState
    since: datetime
    outside_reads: int
    opened_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewDifference:
    """A figure as it was read."""

    what: str
    low_e6: int
    booked_e6: int
    high_e6: int
    venue_e6: int
    since: datetime
    outside_reads: int


_COLUMNS = """break_id, mode, venue, what, low_e6, booked_e6, high_e6, venue_e6, state, since, outside_reads,
    opened_at"""


def write_reading(connection: Connection, new: NewReading) -> None:
    """Write a reading."""
    connection.execute(
        """INSERT INTO trading.account_readings (mode, venue, began_at, ended_at, last_write_at, verdict, cash_e6,
               low_e6, booked_e6, high_e6, environment) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            new.mode,
            new.venue.value,
            new.began_at,
            new.ended_at,
            new.last_write_at,
            new.verdict,
            new.cash_e6,
            new.low_e6,
            new.booked_e6,
            new.high_e6,
            new.environment,
        ),
    )


@dataclass(frozen=True, slots=True)
class AccountReading:
    """The last comparison of an account with our books, in dollars."""

    venue: str
    read_at: datetime
    verdict: str
    cash_usd: Decimal
    low_usd: Decimal
    booked_usd: Decimal
    high_usd: Decimal


def last_readings(connection: Connection, mode: str) -> dict[str, AccountReading]:
    """Return the last comparison of each account; one that was never compared is missing."""
    rows = fetch_all(
        connection,
        AccountReading,
        """SELECT v.venue, r.began_at AS read_at, r.verdict, r.cash_e6 / 1e6 AS cash_usd, r.low_e6 / 1e6 AS low_usd,
               r.booked_e6 / 1e6 AS booked_usd, r.high_e6 / 1e6 AS high_usd
           FROM (VALUES ('kalshi'), ('polymarket')) AS v (venue)
           CROSS JOIN LATERAL (SELECT * FROM trading.account_readings AS x
               WHERE x.mode = %(mode)s AND x.venue = v.venue ORDER BY x.reading_id DESC LIMIT 1) AS r""",
        {"mode": mode},
    )
    return {row.venue: row for row in rows}


def last_clean_at(connection: Connection, mode: str, venue: Venue) -> datetime | None:
    """Return when the last reading of an account began that agreed or was explained; None if there was none."""
    row = connection.execute(
        """SELECT max(began_at) AS at FROM trading.account_readings
           WHERE mode = %s AND venue = %s AND verdict <> 'outside'""",
        (mode, venue.value),
    ).fetchone()
    return None if row is None else row["at"]


def load_differences(connection: Connection, mode: str, venue: Venue | None = None) -> list[Difference]:
    """Return the figures that differ and are not acknowledged, oldest first; of one account, or of all."""
    return fetch_all(
        connection,
        _difference,
        f"""SELECT {_COLUMNS} FROM trading.account_breaks
            WHERE mode = %(mode)s AND ended_at IS NULL AND (%(venue)s::text IS NULL OR venue = %(venue)s)
            ORDER BY break_id""",
        {"mode": mode, "venue": None if venue is None else venue.value},
    )


def watch_difference(connection: Connection, mode: str, venue: Venue, new: NewDifference, environment: str) -> int:
    """Write a figure that differs, or what is known of it now, and return its number; a break stays one."""
    row = connection.execute(
        """INSERT INTO trading.account_breaks (mode, venue, what, low_e6, booked_e6, high_e6, venue_e6, state, since,
               outside_reads, environment)
           VALUES (%(mode)s, %(venue)s, %(what)s, %(low)s, %(booked)s, %(high)s, %(value)s, 'watched', %(since)s,
               %(reads)s, %(environment)s)
           ON CONFLICT (mode, venue, what) WHERE ended_at IS NULL DO UPDATE SET low_e6 = excluded.low_e6,
               booked_e6 = excluded.booked_e6, high_e6 = excluded.high_e6, venue_e6 = excluded.venue_e6,
               outside_reads = excluded.outside_reads
           RETURNING break_id""",
        {
            "mode": mode,
            "venue": venue.value,
            "what": new.what,
            "low": new.low_e6,
            "booked": new.booked_e6,
            "high": new.high_e6,
            "value": new.venue_e6,
            "since": new.since,
            "reads": new.outside_reads,
            "environment": environment,
        },
    ).fetchone()
    assert row is not None
    return int(row["break_id"])


def open_break(connection: Connection, break_id: int, at: datetime) -> bool:
    """Make a watched figure a break; False where it is one already."""
    cursor = connection.execute(
        "UPDATE trading.account_breaks SET state = 'open', opened_at = %s WHERE break_id = %s AND state = 'watched'",
        (at, break_id),
    )
    return cursor.rowcount == 1


def end_watched(connection: Connection, break_id: int, at: datetime) -> None:
    """Forget a figure that differed and agrees again; a break is not ended by that."""
    connection.execute(
        """UPDATE trading.account_breaks SET state = 'agrees', ended_at = %s
           WHERE break_id = %s AND state = 'watched'""",
        (at, break_id),
    )


def end_acknowledged(connection: Connection, break_id: int, switch_id: int, at: datetime) -> None:
    """End a break that a person has acknowledged by a switch of the account."""
    connection.execute(
        """UPDATE trading.account_breaks SET state = 'acknowledged', ended_at = %s, acknowledged_by = %s
           WHERE break_id = %s AND state = 'open'""",
        (at, switch_id, break_id),
    )


def cash_let_be_at(connection: Connection, mode: str, venue: Venue) -> datetime | None:
    """Return when the last break of an account's cash opened that a person has let be, None where there was none."""
    row = connection.execute(
        """SELECT max(opened_at) AS at FROM trading.account_breaks
           WHERE mode = %s AND venue = %s AND what = 'cash' AND state = 'acknowledged'""",
        (mode, venue.value),
    ).fetchone()
    return None if row is None else row["at"]


def _difference(*, venue: str, **columns: object) -> Difference:
    return Difference(venue=Venue(venue), **columns)  # type: ignore[arg-type]


# -- what others did ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ForeignActivity:
    """An order or a fill of the account that Crossbook did not send; of an order, what rests."""

    kind: ForeignKind
    venue_id: str
    order_id: str
    market_id: str
    outcome: str | None
    action: str | None
    contracts_e6: int
    cash_e6: int
    fee_e6: int
    happened_at: datetime | None
    seen_at: datetime
    detail: JsonDocument


def note_foreign(connection: Connection, mode: str, venue: Venue, new: ForeignActivity, environment: str) -> bool:
    """Write what somebody else did on an account, once; False where it is known already."""
    cursor = connection.execute(
        """INSERT INTO trading.foreign_activity (mode, venue, kind, venue_id, order_id, market_id, outcome, action,
               contracts_e6, cash_e6, fee_e6, happened_at, seen_at, detail, environment)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (mode, venue, kind, venue_id) DO NOTHING""",
        (
            mode,
            venue.value,
            new.kind,
            new.venue_id,
            new.order_id,
            new.market_id,
            new.outcome,
            new.action,
            new.contracts_e6,
            new.cash_e6,
            new.fee_e6,
            new.happened_at,
            new.seen_at,
            Jsonb(new.detail),
            environment,
        ),
    )
    return cursor.rowcount == 1


def foreign_waiting(connection: Connection, mode: str, venue: Venue | None = None) -> list[ForeignActivity]:
    """Return what others did and nobody has acknowledged, oldest first."""
    return fetch_all(
        connection,
        ForeignActivity,
        """SELECT kind, venue_id, order_id, market_id, outcome, action, contracts_e6, cash_e6, fee_e6, happened_at,
               seen_at, detail FROM trading.foreign_activity
           WHERE mode = %(mode)s AND acknowledged_by IS NULL AND (%(venue)s::text IS NULL OR venue = %(venue)s)
           ORDER BY activity_id""",
        {"mode": mode, "venue": None if venue is None else venue.value},
    )


def acknowledge_foreign(connection: Connection, mode: str, venue: Venue, switch_id: int, before: datetime) -> int:
    """Take what others did before a time as acknowledged by a switch of the account; returns how much of it."""
    cursor = connection.execute(
        """UPDATE trading.foreign_activity SET acknowledged_by = %s
           WHERE mode = %s AND venue = %s AND acknowledged_by IS NULL AND seen_at <= %s""",
        (switch_id, mode, venue.value, before),
    )
    return cursor.rowcount


# -- what is open of an account ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProvisionalRow:
    """A fill that is not confirmed: signed changes of cash (fee in) and contracts."""

    market_id: str
    outcome: str
    cash_e6: int
    contracts_e6: int


@dataclass(frozen=True, slots=True)
class HeldRow:
    """Contracts of an outcome that our books hold; `is_over`: its market has ended and may have paid already."""

    market_id: str
    outcome: str
    contracts_e6: int
    is_over: bool


def provisional_fills(connection: Connection, mode: str, venue: Venue) -> list[ProvisionalRow]:
    """Return the fills of an account that are not confirmed."""
    return fetch_all(
        connection,
        ProvisionalRow,
        """SELECT f.market_id, f.outcome,
               CASE f.action WHEN 'buy' THEN -f.cash_e6 ELSE f.cash_e6 END - f.fee_e6 AS cash_e6,
               CASE f.action WHEN 'buy' THEN f.contracts_e6 ELSE -f.contracts_e6 END AS contracts_e6
           FROM trading.fills AS f JOIN trading.orders AS o USING (order_id) JOIN trading.intents AS i USING (intent_id)
           JOIN trading.executions AS e USING (execution_id)
           WHERE f.state = 'provisional' AND f.venue = %s AND e.mode = %s ORDER BY f.fill_id""",
        (venue.value, mode),
    )


def held_contracts(connection: Connection, mode: str, venue: Venue, now: datetime) -> list[HeldRow]:
    """Return what our books hold at a venue."""
    return fetch_all(
        connection,
        HeldRow,
        """SELECT p.market_id, p.outcome, sum(p.contracts_e6)::bigint AS contracts_e6,
               coalesce(bool_or(s.status IN ('closed', 'determined', 'settled') OR v.close_time < %(now)s), true)
                   OR EXISTS (SELECT 1 FROM trading.settlements AS t WHERE t.mode = %(mode)s AND t.venue = %(venue)s
                       AND t.market_id = p.market_id) AS is_over
           FROM trading.position_totals AS p
           LEFT JOIN raw.market_state AS s ON s.venue = p.venue AND s.market_id = p.market_id
           LEFT JOIN raw.market_versions AS v ON v.version_id = s.version_id
           WHERE p.mode = %(mode)s AND p.venue = %(venue)s AND p.contracts_e6 <> 0
           GROUP BY p.market_id, p.outcome ORDER BY p.market_id, p.outcome""",
        {"mode": mode, "venue": venue.value, "now": now},
    )


def settled_among(connection: Connection, mode: str, venue: Venue, market_ids: Sequence[str]) -> set[str]:
    """Return which of these markets are booked to their end."""
    rows = connection.execute(
        """SELECT market_id FROM trading.settlements
           WHERE mode = %s AND venue = %s AND market_id = ANY(%s) AND NOT is_due""",
        (mode, venue.value, list(market_ids)),
    ).fetchall()
    return {row["market_id"] for row in rows}


def last_write_at(connection: Connection, mode: str, venue: Venue) -> datetime | None:
    """Return when we last changed anything of an account: an order, or an entry of the ledger."""
    return fetch_one(
        connection,
        _at,
        """SELECT greatest(
               (SELECT recorded_at FROM trading.ledger WHERE mode = %(mode)s AND venue = %(venue)s
                ORDER BY entry_id DESC LIMIT 1),
               (SELECT greatest(o.prepared_at, o.sent_at, o.answered_at, o.closed_at) FROM trading.orders AS o
                JOIN trading.intents AS i USING (intent_id) JOIN trading.executions AS e USING (execution_id)
                WHERE e.mode = %(mode)s AND o.venue = %(venue)s ORDER BY o.order_id DESC LIMIT 1)) AS at""",
        {"mode": mode, "venue": venue.value},
    )


def _at(*, at: datetime | None) -> datetime | None:
    return at


@dataclass(frozen=True, slots=True)
class ListedSince:
    """From when on a venue's lists are compared with our rows.

    Attributes:
        opened_at: When the account's cash was first booked; what happened before is in it.
        read_from: Since when not everything is known to be explained.
        last_began_at: When the last reading began, None before the first.
    """

    opened_at: datetime
    read_from: datetime
    last_began_at: datetime | None


def lists_since(connection: Connection, mode: str, venue: Venue) -> ListedSince | None:
    """Return from when on the lists of an account are compared; None before its cash was booked.

    While all is explained, from the last reading on; once something is not, from the last one in which every figure
    was that of our books.
    """
    return fetch_one(
        connection,
        ListedSince,
        """SELECT d.opened_at, greatest(d.opened_at, r.read_from) AS read_from,
               (SELECT began_at FROM trading.account_readings WHERE mode = %(mode)s AND venue = %(venue)s
                ORDER BY reading_id DESC LIMIT 1) AS last_began_at
           FROM (SELECT min(happened_at) AS opened_at FROM trading.ledger
                 WHERE entry_key = %(key)s HAVING count(*) > 0) AS d
           CROSS JOIN (SELECT (SELECT max(began_at) FROM trading.account_readings
                WHERE mode = %(mode)s AND venue = %(venue)s AND verdict = ANY(CASE
                    WHEN (SELECT verdict FROM trading.account_readings WHERE mode = %(mode)s AND venue = %(venue)s
                          ORDER BY reading_id DESC LIMIT 1) = 'outside' THEN ARRAY['agrees']
                    ELSE ARRAY['agrees', 'explained'] END)) AS read_from) AS r""",
        {"mode": mode, "venue": venue.value, "key": f"{mode}:deposit:{venue.value}:first"},
    )


def is_foreign(connection: Connection, mode: str, venue: Venue, order_id: str) -> bool:
    """Whether an order is known to be somebody else's."""
    row = connection.execute(
        "SELECT 1 AS x FROM trading.foreign_activity WHERE mode = %s AND venue = %s AND order_id = %s LIMIT 1",
        (mode, venue.value, order_id),
    ).fetchone()
    return row is not None


def is_noted(connection: Connection, mode: str, venue: Venue, venue_id: str) -> bool:
    """Whether a fill is noted as somebody else's."""
    row = connection.execute(
        """SELECT 1 AS x FROM trading.foreign_activity
           WHERE mode = %s AND venue = %s AND kind = 'fill' AND venue_id = %s""",
        (mode, venue.value, venue_id),
    ).fetchone()
    return row is not None
