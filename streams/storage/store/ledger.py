"""The ledger in double entry: each row with its postings, written once by key; the only source of PnL.

A row of `trading.ledger` says what changed of our account at a venue; its rows of `trading.postings` say which accounts
of our books it moved, and cancel out. A deferred constraint compares the two at the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.market.identity import MarketRef, Outcome, Venue
from streams.market.venue_traits import TRAITS
from streams.storage.database import Connection, fetch_all, fetch_int, fetch_one, read_clock
from streams.storage.store.guards.locks import hold_account, hold_market


@dataclass(frozen=True, slots=True)
class NewPosting:
    """A line of an entry: dollars of an account, or contracts where it has an outcome."""

    account: str
    venue: str
    amount_e6: int
    market_id: str | None
    outcome: str | None
    shard: int | None


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A row of the ledger with its postings."""

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
    postings: Sequence[NewPosting]


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


@dataclass(frozen=True, slots=True)
class Deposits:
    """What was paid into an account, and in how many entries."""

    number: int
    cash_e6: int


@dataclass(frozen=True, slots=True)
class ShardCash:
    """What the markets of one exchange shard have moved; None for those whose shard is not known."""

    shard: int | None
    cash_e6: int


def lock_account(connection: Connection, venue: str, mode: str) -> None:
    """Keep others from trading with a simulated account until the end of the transaction."""
    hold_account(connection, venue, mode)


def lock_market(connection: Connection, venue: str, market_id: str) -> None:
    """Keep others from booking on a market until the end of the transaction."""
    hold_market(connection, venue, market_id)


def write_entries(connection: Connection, entries: Sequence[NewEntry], mode: str, environment: str) -> int:
    """Write ledger rows that are not there yet (by key) with their postings, and return how many were new.

    All of it is one statement, so that an entry stands there as a whole or not at all.

    Raises:
        psycopg.errors.CheckViolation: At the commit, if the postings of an entry do not balance.
    """
    if not entries:
        return 0
    row = connection.execute(
        """WITH given AS (
               SELECT * FROM jsonb_to_recordset(%(entries)s) AS x (entry_key text, kind text, venue text,
                   market_id text, outcome text, execution_id bigint, order_id bigint, cash_e6 bigint,
                   contracts_e6 bigint, happened_at timestamptz, place int)
           ), written AS (
               INSERT INTO trading.ledger (entry_key, kind, venue, market_id, outcome, execution_id, order_id, cash_e6,
                   contracts_e6, mode, environment, happened_at, recorded_at)
               SELECT entry_key, kind, venue, market_id, outcome, execution_id, order_id, cash_e6, contracts_e6,
                   %(mode)s, %(environment)s, happened_at, %(now)s FROM given ORDER BY place
               ON CONFLICT (entry_key) DO NOTHING RETURNING entry_id, entry_key
           ), posted AS (
               INSERT INTO trading.postings (entry_id, line_no, account, venue, shard, market_id, outcome, unit,
                   amount_e6)
               SELECT w.entry_id, p.line_no, p.account, p.venue, p.shard, p.market_id, p.outcome,
                   CASE WHEN p.outcome IS NULL THEN 'usd' ELSE 'contract' END, p.amount_e6
               FROM jsonb_to_recordset(%(postings)s) AS p (entry_key text, line_no int, account text, venue text,
                   shard int, market_id text, outcome text, amount_e6 bigint)
               JOIN written AS w USING (entry_key)
           )
           SELECT count(*) AS n FROM written""",
        {
            "entries": Jsonb([_entry_row(entry, mode, place) for place, entry in enumerate(entries)]),
            "postings": Jsonb(
                [
                    {"entry_key": f"{mode}:{entry.key}", "line_no": number, **asdict(posting)}
                    for entry in entries
                    for number, posting in enumerate(entry.postings, start=1)
                ]
            ),
            "mode": mode,
            "environment": environment,
            "now": read_clock(connection),
        },
    ).fetchone()
    assert row is not None
    return int(row["n"])


def _entry_row(entry: NewEntry, mode: str, place: int) -> JsonDocument:
    return {
        "entry_key": f"{mode}:{entry.key}",
        "kind": entry.kind,
        "venue": entry.venue,
        "market_id": entry.market_id,
        "outcome": entry.outcome,
        "execution_id": entry.execution_id,
        "order_id": entry.order_id,
        "cash_e6": entry.cash_e6,
        "contracts_e6": entry.contracts_e6,
        "happened_at": entry.happened_at.isoformat(),
        "place": place,
    }


def has_entry(connection: Connection, key: str, mode: str) -> bool:
    """Whether an entry was written."""
    row = connection.execute("SELECT 1 AS x FROM trading.ledger WHERE entry_key = %s", (f"{mode}:{key}",)).fetchone()
    return row is not None


def ledger_cash_e6(connection: Connection, venue: str, mode: str) -> int:
    """Return the cash our ledger says the account at a venue holds."""
    return fetch_int(
        connection,
        """SELECT coalesce(sum(amount_e6), 0)::bigint FROM trading.account_totals
           WHERE venue = %s AND mode = %s AND account IN ('cash', 'in_transit', 'provisional')""",
        (venue, mode),
    )


@dataclass(frozen=True, slots=True)
class AccountTotal:
    """The dollars that stand on an account of our books, by exchange shard where cash is kept apart."""

    account: str
    shard: int | None
    amount_e6: int


def account_totals(connection: Connection, venue: str, mode: str) -> list[AccountTotal]:
    """Return what stands on each account of our books for a venue; accounts on which nothing stands are left out."""
    return fetch_all(
        connection,
        AccountTotal,
        """SELECT account, shard, sum(amount_e6)::bigint AS amount_e6 FROM trading.account_totals
           WHERE venue = %s AND mode = %s GROUP BY account, shard HAVING sum(amount_e6) <> 0
           ORDER BY account, shard NULLS FIRST""",
        (venue, mode),
    )


def market_shard(connection: Connection, venue: Venue, market_id: str) -> int | None:
    """Return the exchange shard whose cash a market moves; None where there is one pot, or it is not known."""
    if not TRAITS[venue].exchange_shards:
        return None
    row = connection.execute(
        """SELECT (v.terms ->> 'exchange_index')::int AS shard FROM raw.market_state AS s
           JOIN raw.market_versions AS v USING (version_id) WHERE s.venue = %s AND s.market_id = %s""",
        (venue.value, market_id),
    ).fetchone()
    return None if row is None else row["shard"]


def deposits(connection: Connection, venue: str, mode: str) -> Deposits:
    """Return what was paid into the account at a venue."""
    found = fetch_one(
        connection,
        Deposits,
        """SELECT count(*) AS number, coalesce(sum(cash_e6), 0)::bigint AS cash_e6 FROM trading.ledger
           WHERE venue = %s AND mode = %s AND kind = 'deposit'""",
        (venue, mode),
    )
    assert found is not None
    return found


def shard_cash(connection: Connection, venue: str, mode: str) -> list[ShardCash]:
    """Return the cash that the markets of a venue have moved, by their exchange shard."""
    return fetch_all(
        connection,
        ShardCash,
        """SELECT (v.terms ->> 'exchange_index')::int AS shard, sum(l.cash_e6)::bigint AS cash_e6
           FROM trading.ledger AS l
           LEFT JOIN raw.market_state AS s ON s.venue = l.venue AND s.market_id = l.market_id
           LEFT JOIN raw.market_versions AS v USING (version_id)
           WHERE l.venue = %s AND l.mode = %s AND l.market_id IS NOT NULL GROUP BY 1""",
        (venue, mode),
    )


def is_held_against(connection: Connection, mode: str, market: MarketRef, outcome: Outcome, execution_id: int) -> bool:
    """Whether other executions of a mode hold more of the other outcome of a market than of this one."""
    held = fetch_int(
        connection,
        """SELECT coalesce(sum(CASE WHEN outcome = %s THEN contracts_e6 ELSE -contracts_e6 END), 0)::bigint
           FROM trading.ledger WHERE mode = %s AND venue = %s AND market_id = %s AND execution_id <> %s""",
        (outcome, mode, market.venue.value, market.market_id, execution_id),
    )
    return held < 0


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
           FROM trading.ledger WHERE mode = %s AND venue = %s AND market_id = %s AND kind <> 'accrual'
           GROUP BY execution_id, outcome ORDER BY execution_id, outcome""",
        (mode, venue.value, market_id),
    )


@dataclass(frozen=True, slots=True)
class Accrued:
    """What was set aside for one market: dollars it owed at its result, paid or not, and those on `suspense`."""

    owed_e6: int
    suspense_e6: int
    entries: int


def market_accrued(connection: Connection, mode: str, venue: Venue, market_id: str) -> Accrued:
    """Return what was set aside for one market by entries of kind `accrual`."""
    found = fetch_one(
        connection,
        Accrued,
        """SELECT coalesce(-sum(p.amount_e6) FILTER (WHERE p.account = 'trading'), 0)::bigint AS owed_e6,
               coalesce(sum(p.amount_e6) FILTER (WHERE p.account = 'suspense'), 0)::bigint AS suspense_e6,
               count(DISTINCT l.entry_id) AS entries
           FROM trading.ledger AS l JOIN trading.postings AS p USING (entry_id)
           WHERE l.mode = %s AND l.venue = %s AND l.market_id = %s AND l.kind = 'accrual'""",
        (mode, venue.value, market_id),
    )
    assert found is not None
    return found


def compact_totals(connection: Connection) -> None:
    """Add up the changes of the sums by day that were written one by one; no figure differs before and after."""
    connection.execute("SELECT trading.compact_totals()")
