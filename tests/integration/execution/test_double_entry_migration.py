"""A ledger of before double entry: after its migration cash and positions are the same to the micro-dollar."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.market.identity import Venue
from streams.storage.database import Connection, connect
from streams.storage.schema import migrate
from streams.storage.store.ledger import account_totals, ledger_cash_e6
from tests.golden.execution.lives import (
    flattened,
    hedged_and_settled,
    netted_and_paid_in_part,
    settlement_failed_and_reversed,
)
from tests.golden.execution.stage_database import Faults, Life, Story
from tests.support.fake_venue import rows
from tests.support.former_database import copy_rows, migrate_to

BEFORE = "0011"
TABLES = [
    ("raw.market_versions", "true"),
    ("raw.market_state", "true"),
    ("trading.groups", "true"),
    ("trading.signals", "true"),
    ("trading.executions", "true"),
    ("trading.intents", "true"),
    ("trading.orders", "true"),
    ("trading.fills", "true"),
    ("trading.ledger", "kind NOT IN ('accrual', 'confirmation')"),
    ("trading.settlements", "true"),
]
TRADES = """SELECT mode, venue, market_id, outcome, execution_id, order_id, kind, sum(cash_e6)::bigint AS cash_e6,
    sum(contracts_e6)::bigint AS contracts_e6 FROM trading.ledger WHERE kind NOT IN ('accrual', 'confirmation')
    GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7"""
POSITIONS = "SELECT * FROM trading.positions WHERE outcome IS NOT NULL ORDER BY venue, market_id, outcome"
ROWS = "SELECT * FROM trading.ledger WHERE kind NOT IN ('accrual', 'confirmation') ORDER BY entry_id"
UNBALANCED = """SELECT entry_id FROM trading.postings WHERE unit = 'contract'
    GROUP BY entry_id, venue, market_id, outcome HAVING sum(amount_e6) <> 0
    UNION ALL SELECT entry_id FROM trading.postings WHERE unit = 'usd' GROUP BY entry_id HAVING sum(amount_e6) <> 0
    UNION ALL SELECT entry_id FROM trading.ledger AS l WHERE (l.cash_e6, l.contracts_e6) <> (
        SELECT coalesce(sum(amount_e6) FILTER (WHERE unit = 'usd'
                AND account IN ('cash', 'in_transit', 'provisional')), 0),
            coalesce(sum(amount_e6) FILTER (WHERE unit = 'contract' AND account IN ('positions', 'provisional')), 0)
        FROM trading.postings AS p WHERE p.entry_id = l.entry_id)
    UNION ALL SELECT entry_id FROM trading.ledger AS l WHERE NOT EXISTS (
        SELECT FROM trading.postings AS p WHERE p.entry_id = l.entry_id)"""


async def provisional(life: Life) -> None:
    life.quote()
    life.confirm(now=False)
    await life.trade()
    await life.rounds()


CASES: list[tuple[Story, Faults]] = [
    (provisional, {}),
    (hedged_and_settled, {}),
    (netted_and_paid_in_part, {}),
    (settlement_failed_and_reversed, {"polymarket": {"failed_settlement": [1]}}),
    (flattened, {}),
]


def _accounts(connection: Connection) -> dict[tuple[str, str], int]:
    """What stands on each account of our books, over all shards."""
    found: dict[tuple[str, str], int] = {}
    for venue in Venue:
        for total in account_totals(connection, venue, "live"):
            key = (venue.value, total.account)
            found[key] = found.get(key, 0) + total.amount_e6
    return {key: amount for key, amount in found.items() if amount}


@pytest.mark.parametrize(("story", "faults"), CASES, ids=[story.__name__ for story, _ in CASES])
def test_cash_and_positions_are_the_same_before_and_after(
    database: str, empty_database: str, story: Story, faults: Faults
) -> None:
    migrate_to(empty_database, BEFORE)
    with connect(database) as today, connect(empty_database) as former:
        asyncio.run(story(Life(today, faults)))
        copy_rows(today, former, TABLES)
        before: list[Any] = [rows(former, query) for query in (ROWS, TRADES, POSITIONS)]
        migrate(empty_database, "sandbox")
        assert [rows(former, query) for query in (ROWS, TRADES, POSITIONS)] == before
        assert before[1] == rows(today, TRADES)
        for venue in Venue:
            assert ledger_cash_e6(former, venue, "live") == ledger_cash_e6(today, venue, "live")
        # What was booked one by one as it happened, and what the migration makes of the rows, is the same.
        assert _accounts(former) == _accounts(today)
        assert rows(former, UNBALANCED) == rows(today, UNBALANCED) == []
