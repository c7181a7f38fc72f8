"""Rows of the ledger as tests need them: any kind, any amounts, with the postings that make them balance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from orchestration.execution.decide.postings import Account, Posting
from streams.market.identity import Venue
from streams.storage.database import Connection
from streams.storage.store.ledger import NewEntry, NewPosting, write_entries

_CONTRA: Mapping[str, Account] = {
    "deposit": "deposits",
    "withdrawal": "deposits",
    "fee": "fees",
    "rebate": "rebates",
    "adjustment": "rounding",
    "foreign": "foreign",
}

BULK_POSTINGS = """
INSERT INTO trading.postings (entry_id, line_no, account, venue, market_id, outcome, unit, amount_e6)
SELECT l.entry_id, x.line_no, x.account, l.venue, l.market_id, x.outcome,
    CASE WHEN x.outcome IS NULL THEN 'usd' ELSE 'contract' END, x.amount_e6
FROM trading.ledger AS l CROSS JOIN LATERAL (VALUES
    (1, 'cash', NULL, l.cash_e6), (2, 'trading', NULL, -l.cash_e6),
    (3, 'positions', l.outcome, l.contracts_e6), (4, 'trading', l.outcome, -l.contracts_e6)
) AS x (line_no, account, outcome, amount_e6)
WHERE NOT EXISTS (SELECT FROM trading.postings AS p WHERE p.entry_id = l.entry_id)
  AND (x.line_no < 3 OR l.outcome IS NOT NULL);
"""
"""Postings for all entries that were inserted by a statement of their own, in the same transaction."""


def insert_entry(
    connection: Connection,
    key: str,
    kind: str,
    venue: str,
    *,
    market_id: str | None = None,
    outcome: Any = None,
    execution_id: int | None = None,
    cash_e6: int = 0,
    contracts_e6: int = 0,
    mode: str = "live",
    at: datetime | None = None,
) -> None:
    """Insert one entry with balanced postings; it must be new."""
    contra = _CONTRA.get(kind, "trading")
    postings = [
        Posting("cash", Venue(venue), cash_e6, market_id),
        Posting(contra, Venue(venue), -cash_e6, market_id),
    ]
    if contracts_e6:
        postings += [
            Posting("positions", Venue(venue), contracts_e6, market_id, outcome),
            Posting("trading", Venue(venue), -contracts_e6, market_id, outcome),
        ]
    entry = NewEntry(
        key=key,
        kind=kind,
        venue=venue,
        market_id=market_id,
        outcome=outcome,
        cash_e6=cash_e6,
        contracts_e6=contracts_e6,
        execution_id=execution_id,
        order_id=None,
        happened_at=at or datetime.now(UTC),
        postings=[NewPosting(p.account, p.venue, p.amount_e6, p.market_id, p.outcome, p.shard) for p in postings],
    )
    assert write_entries(connection, [entry], mode, "sandbox") == 1
