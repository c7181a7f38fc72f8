"""The ledger in double entry: what the database refuses, and what a migrated one says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from orchestration.execution.booking import book_facts, record_fill
from orchestration.execution.decide.ledger import CashMove, FillFact
from orchestration.execution.settlement_cycle import alarm_suspense
from streams.market.identity import Venue
from streams.market.trading import NewFill
from streams.storage.database import Connection, connect
from streams.storage.store.ledger import account_totals, compact_totals, lock_market
from streams.storage.store.orders import load_orders
from tests.support.fake_venue import rows
from tests.support.settled_hedges import hedged

LINES = """SELECT l.entry_key, p.account, p.unit, p.amount_e6 FROM trading.ledger AS l JOIN trading.postings AS p
    USING (entry_id) ORDER BY l.entry_id, p.line_no"""
POST = """INSERT INTO trading.postings (entry_id, line_no, account, venue, market_id, outcome, unit, amount_e6)
    VALUES (%s, %s, %s, 'kalshi', 'K', %s, %s, %s)"""
ENTRY = """INSERT INTO trading.ledger (entry_key, kind, venue, market_id, outcome, cash_e6, contracts_e6, mode,
    environment, happened_at, recorded_at)
    VALUES (%s, 'fill', 'kalshi', 'K', 'yes', -5, 7, 'live', 'sandbox', '2026-01-01', now()) RETURNING entry_id"""
WHOLE: list[tuple[Any, ...]] = [
    (1, "cash", None, "usd", -5),
    (2, "trading", None, "usd", 5),
    (3, "positions", "yes", "contract", 7),
    (4, "trading", "yes", "contract", -7),
]


class Scope:
    mode, environment = "live", "sandbox"

    def payout_step_e6(self, venue: Venue) -> int:
        return 1


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def _enter(connection: Connection, lines: list[tuple[Any, ...]], key: str = "k") -> None:
    with connection.transaction():
        row = connection.execute(ENTRY, (key,)).fetchone()
        assert row is not None
        for line in lines:
            connection.execute(POST, (row["entry_id"], *line))


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], "has no postings"),
        (WHOLE[:1] + WHOLE[2:], "the dollars of .* do not balance: -5 are left"),
        (WHOLE[:3], "the contracts of .* do not balance"),
        ([*WHOLE[:2], (3, "positions", "no", "contract", 7), WHOLE[3]], "the contracts of .* do not balance"),
        ([(1, "suspense", None, "usd", -5), *WHOLE[1:]], "says -5 and 7 of our account, its postings 0 and 7"),
    ],
)
def test_an_entry_that_does_not_balance_never_commits(
    connection: Connection, lines: list[tuple[Any, ...]], why: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=why):
        _enter(connection, lines)
    assert rows(connection, "SELECT 1 FROM trading.ledger") == []
    _enter(connection, WHOLE)
    assert len(rows(connection, LINES)) == 4


def test_postings_are_never_changed_and_nothing_is_added_that_does_not_balance(connection: Connection) -> None:
    _enter(connection, WHOLE)
    for change in ("UPDATE trading.postings SET amount_e6 = 0", "DELETE FROM trading.postings"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            connection.execute(change)
    with pytest.raises(psycopg.errors.CheckViolation, match="do not balance"):
        connection.execute(POST, (1, 5, "fees", None, "usd", 1))


def test_a_process_that_dies_between_postings_leaves_nothing(database: str, connection: Connection) -> None:
    with connect(database) as dying:
        dying.execute("BEGIN")
        row = dying.execute(ENTRY, ("k",)).fetchone()
        assert row is not None
        dying.execute(POST, (row["entry_id"], *WHOLE[0]))
        dying.close()
    assert rows(connection, "SELECT 1 FROM trading.ledger") == []
    assert rows(connection, "SELECT 1 FROM trading.account_totals") == []
    _enter(connection, WHOLE)


def test_two_writers_of_one_fact_book_it_once(database: str, connection: Connection) -> None:
    fact = FillFact("f", Venue.KALSHI, "K", "yes", "buy", 7, 5, 1, None, None)
    at, booked = datetime(2026, 1, 1, tzinfo=UTC), list[int]()
    with connect(database) as other, connection.transaction():
        booked.append(book_facts(connection, Scope(), [fact], at))
        second = threading.Thread(target=lambda: booked.append(book_facts(other, Scope(), [fact], at)))
        second.start()
        while not rows(connection, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert second.is_alive(), "it did not wait for the first"
        connection.execute("SELECT 1")
    second.join()
    assert booked == [2, 0]
    assert len(rows(connection, "SELECT 1 FROM trading.postings")) == 6


def test_what_stands_on_an_account_is_the_same_after_its_sums_are_compacted(connection: Connection) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(50):
        move = CashMove(f"deposit:kalshi:{number}", "deposit", Venue.KALSHI, {0: 3, 2: 4})
        book_facts(connection, Scope(), [move], at)
    before = [(t.account, t.shard, t.amount_e6) for t in account_totals(connection, "kalshi", "live")]
    assert before == [("cash", 0, 150), ("cash", 2, 200), ("deposits", None, -350)]
    compact_totals(connection)
    assert [(t.account, t.shard, t.amount_e6) for t in account_totals(connection, "kalshi", "live")] == before
    assert len(rows(connection, "SELECT 1 FROM trading.account_totals")) == 3


def test_a_fill_is_provisional_then_confirmed_then_restated_and_failed_ones_leave_nothing(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, _ = await hedged(connection)
            order = next(order for order in load_orders(connection, 1) if order.venue is Venue.POLYMARKET)
            sums = """SELECT p.account, sum(p.amount_e6)::bigint AS n FROM trading.postings AS p
                JOIN trading.ledger AS l USING (entry_id) WHERE l.entry_key LIKE '%new:%' AND p.unit = 'usd'
                GROUP BY 1 HAVING sum(p.amount_e6) <> 0 ORDER BY 1"""

            def say(state: Any, cash: int, contracts: int = 2_000_000) -> dict[str, int]:
                fill = NewFill("new", contracts, cash, 10_000, state, datetime.now(UTC), {})
                with connection.transaction():
                    lock_market(connection, order.venue, order.market_id)
                    record_fill(connection, context, order, fill)
                return {row["account"]: row["n"] for row in rows(connection, sums)}

            assert say("provisional", 900_000) == {"fees": 10_000, "provisional": -910_000, "trading": 900_000}
            final = {"cash": -910_000, "fees": 10_000, "trading": 900_000}
            assert say("confirmed", 900_000) == final
            assert say("confirmed", 900_000) == final, "a report that comes twice"
            assert say("provisional", 900_000) == final, "a report that comes late"
            restated = {"cash": -960_000, "fees": 10_000, "trading": 950_000}
            assert say("confirmed", 950_000) == restated
            assert say("confirmed", 950_000) == restated
            assert say("confirmed", 900_000) == final, "and back again"
            (fill,) = rows(connection, "SELECT cash_e6, revision FROM trading.fills WHERE venue_fill_id = 'new'")
            assert fill == {"cash_e6": 900_000, "revision": 2}

    asyncio.run(main())


def test_a_fee_that_our_arithmetic_does_not_explain_stands_on_suspense_and_alarms(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, _ = await hedged(connection)
            order = next(order for order in load_orders(connection, 1) if order.venue is Venue.KALSHI)
            seen = "SELECT severity FROM trading.alerts WHERE kind = 'suspense' AND cleared_at IS NULL"
            alarm_suspense(connection, context.mode)
            assert rows(connection, seen) == []
            for fee, open_alerts in ((70_000, [{"severity": "warning"}]), (20_000, [])):
                fill = NewFill("new", 1_000_000, 500_000, fee, "confirmed", datetime.now(UTC), {}, 20_000)
                with connection.transaction():
                    lock_market(connection, order.venue, order.market_id)
                    record_fill(connection, context, order, fill)
                stands = [t.amount_e6 for t in account_totals(connection, "kalshi", "live") if t.account == "suspense"]
                assert stands == [50_000] * len(open_alerts)
                alarm_suspense(connection, context.mode)
                assert rows(connection, seen) == open_alerts

    asyncio.run(main())


def test_a_fill_that_is_restated_as_it_is_confirmed_is_booked_as_the_venue_says(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, _ = await hedged(connection)
            order = next(order for order in load_orders(connection, 1) if order.venue is Venue.POLYMARKET)
            first = NewFill("new", 2_000_000, 900_000, 0, "provisional", datetime.now(UTC), {})
            for fill in (first, replace(first, state="confirmed", cash_e6=910_000)):
                with connection.transaction():
                    lock_market(connection, order.venue, order.market_id)
                    record_fill(connection, context, order, fill)
            left = """SELECT p.account, sum(p.amount_e6)::bigint AS n FROM trading.postings AS p
                JOIN trading.ledger AS l USING (entry_id) WHERE l.entry_key LIKE '%new:%' AND p.unit = 'usd' GROUP BY 1
                HAVING sum(p.amount_e6) <> 0 ORDER BY 1"""
            assert rows(connection, left) == [{"account": "cash", "n": -910_000}, {"account": "trading", "n": 910_000}]

    asyncio.run(main())
