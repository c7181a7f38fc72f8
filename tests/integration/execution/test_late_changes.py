"""Fills that come, fail or are corrected after an execution has ended; and who may still write of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestration.execution.follow_orders import OrderFollower
from orchestration.execution.reconcile import reconcile
from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderReading
from streams.market.identity import Venue
from streams.market.trading import ExecutionState, NewFill, OrderRow
from streams.processes.boot_clock import boot_now
from streams.storage.database import Connection, connect
from streams.storage.store import executions, orders
from streams.storage.store.hedges.fences import Fence, as_it_stands, take_over
from streams.storage.store.hedges.watches import load_watch, save_watch
from streams.storage.store.leases import LeaseLost
from tests.support.fake_venue import FakeVenue, fake_settings, make_context, rows, seed_group, seed_signal, set_books

ONE = 1_000_000


@dataclass
class Hedged:
    """A hedge that has ended long ago."""

    connection: Connection
    context: TradingContext
    venues: dict[Venue, FakeVenue]

    def order(self, venue: str = "kalshi") -> OrderRow:
        return next(order for order in orders.load_orders(self.connection, 1) if order.venue == venue)

    def tell(self, order: OrderRow, *more: NewFill) -> None:
        """Let a reading of an order show its fills and some more."""
        fills = (*orders.load_fills(self.connection, order.order_id), *more)
        fills = tuple({fill.venue_fill_id: fill for fill in fills}.values())
        reading = OrderReading(True, True, order.venue_order_id, sum(f.contracts_e6 for f in fills), fills, "executed")
        OrderFollower(self.connection, self.context).record(order, reading)

    def execution(self) -> dict[str, Any]:
        return rows(self.connection, "SELECT * FROM trading.executions")[0]

    def alerts(self) -> list[str]:
        found = rows(self.connection, "SELECT kind FROM trading.alerts WHERE cleared_at IS NULL ORDER BY kind")
        return [str(row["kind"]) for row in found]

    def intents(self) -> int:
        return len(rows(self.connection, "SELECT 1 FROM trading.intents"))

    def tied_up(self) -> int:
        return int(rows(self.connection, "SELECT sum(tied_up_e6)::bigint AS n FROM trading.exposure")[0]["n"] or 0)


def a_fill(contracts_e6: int = 5 * ONE, name: str = "late", state: Any = "confirmed") -> NewFill:
    return NewFill(name, contracts_e6, contracts_e6 // 2, 0, state, datetime.now(UTC), {})


@pytest.fixture
def hedged(database: str) -> Iterator[Hedged]:
    with connect(database) as connection:
        settings = fake_settings().model_copy(update={"decision_ttl_ms": 600_000, "lease_ttl_s": 600.0})
        context, venues = make_context(connection, {}, 1, settings)
        seed_group(connection)
        set_books(venues, random.Random(5))
        asyncio.run(ensure_deposits(connection, context))
        result = asyncio.run(SignalTrader(connection, context, "run").trade(seed_signal(connection, 1)))
        assert result.state is ExecutionState.HEDGED
        for _ in range(30):
            asyncio.run(reconcile(connection, context, "cycle"))
            if not rows(connection, "SELECT 1 FROM trading.fills WHERE state = 'provisional'"):
                break
        long_ago = datetime.now(UTC) - timedelta(days=90)
        connection.execute("UPDATE trading.orders SET sent_at = %s, closed_at = %s", (long_ago, long_ago))
        connection.execute("UPDATE trading.executions SET flat_at = %s", (long_ago,))
        yield Hedged(connection, context, venues)


def test_a_fill_of_an_order_that_ended_long_ago_is_booked_counted_and_mended(hedged: Hedged) -> None:
    order, before = hedged.order(), hedged.tied_up()
    hedged.tell(order, a_fill())
    assert hedged.tied_up() > before, "every limit counts it at once"
    assert (hedged.execution()["state"], hedged.alerts()) == ("UNWINDING", ["late_fill", "over_fill"])
    hedged.venues[Venue.KALSHI]._orders[order.client_order_id]["fills"].append(
        {"id": "late", "size": 5 * ONE, "cash": 5 * ONE // 2, "fee": 0, "state": "confirmed"}
    )
    asyncio.run(reconcile(hedged.connection, hedged.context, "cycle"))
    assert hedged.execution()["state"] in ("HEDGED", "ESCALATED")
    assert hedged.order().filled_e6 == order.filled_e6 + 5 * ONE


def test_the_same_reading_again_changes_nothing(hedged: Hedged) -> None:
    order = hedged.order()
    hedged.tell(order)
    assert (hedged.execution()["state"], hedged.alerts()) == ("HEDGED", [])


def test_more_than_was_ordered_is_booked_counted_and_alarmed(hedged: Hedged) -> None:
    order = hedged.order()
    over = order.size_e6 - order.filled_e6 + 3 * ONE
    hedged.tell(order, a_fill(over))
    assert hedged.order().filled_e6 == order.size_e6 + 3 * ONE
    assert hedged.alerts() == ["late_fill", "over_fill"]
    held = rows(
        hedged.connection, "SELECT sum(contracts_e6)::bigint AS n FROM trading.positions WHERE venue = 'kalshi'"
    )
    assert held[0]["n"] == order.size_e6 + 3 * ONE


@pytest.mark.parametrize("what", ["a fill", "a failure", "a correction"])
def test_an_escalated_trade_is_priced_and_alarmed_anew_and_sends_nothing(hedged: Hedged, what: str) -> None:
    connection, order = hedged.connection, hedged.order()
    provisional = a_fill(2 * ONE, "p", "provisional")
    if what == "a failure":
        hedged.tell(order, provisional)
    held = as_it_stands(connection, 1)
    executions.change_state(connection, held, ExecutionState.ESCALATED, "a test")
    connection.execute("UPDATE trading.alerts SET cleared_at = now()")
    order, sent = hedged.order(), hedged.intents()
    first = orders.load_fills(connection, order.order_id)[0]
    changes: dict[str, NewFill] = {
        "a fill": a_fill(),
        "a failure": replace(provisional, state="failed"),
        "a correction": replace(first, contracts_e6=first.contracts_e6 + 7 * ONE, cash_e6=first.cash_e6 + 3 * ONE),
    }
    before = hedged.execution()["expected_pnl_e6"]
    connection.execute("UPDATE trading.executions SET expected_pnl_e6 = 1")
    hedged.tell(order, changes[what])
    execution = hedged.execution()
    assert execution["state"] == "ESCALATED"
    assert (execution["expected_pnl_e6"] == before) == (what == "a failure")
    assert {"escalated", "late_fill"} <= set(hedged.alerts())
    asyncio.run(reconcile(connection, hedged.context, "cycle"))
    assert hedged.intents() == sent, "only a person releases what it sends"
    alerts = rows(connection, "SELECT message FROM trading.alerts WHERE kind = 'escalated'")
    connection.execute("UPDATE trading.alerts SET sent_at = now()")
    hedged.tell(hedged.order(), a_fill(name="another"))
    assert len(rows(connection, "SELECT 1 FROM trading.alerts WHERE kind = 'escalated'")) == len(alerts) + 1


WRITES: dict[str, Callable[[Hedged, Fence], object]] = {
    "change_state": lambda it, held: executions.change_state(it.connection, held, "FLAT", "late"),
    "merge_detail": lambda it, held: executions.merge_detail(it.connection, held, {"late": True}),
    "note_end": lambda it, held: executions.note_end(it.connection, held, 1),
    "note_expected_pnl": lambda it, held: executions.note_expected_pnl(it.connection, held, 1),
    "take_back_settlement": lambda it, held: executions.take_back_settlement(it.connection, held),
    "update_order": lambda it, held: orders.update_order(it.connection, held, 1, "expired", reason="late"),
    "mark_seen": lambda it, held: orders.mark_seen(it.connection, held, 1),
    "note_answer": lambda it, held: orders.note_answer(
        it.connection, held, 1, orders.StatedAnswer("late", True, 1, 1, 1), datetime.now(UTC)
    ),
    "save_watch": lambda it, held: save_watch(
        it.connection, held, replace(load_watch(it.connection, 1), absent_reads=9)
    ),
    "record": lambda it, held: OrderFollower(it.connection, it.context, held).record(
        it.order(), OrderReading(True, True, "o", None, (a_fill(),), "executed")
    ),
}
ALL = """SELECT (SELECT jsonb_agg(e ORDER BY 1) FROM trading.executions AS e) AS executions,
    (SELECT jsonb_agg(o ORDER BY order_id) FROM trading.orders AS o) AS orders,
    (SELECT jsonb_agg(f ORDER BY fill_id) FROM trading.fills AS f) AS fills,
    (SELECT count(*) FROM trading.ledger) AS entries, (SELECT count(*) FROM trading.execution_events) AS events"""


@pytest.mark.parametrize("name", list(WRITES))
def test_who_was_overtaken_writes_nothing(hedged: Hedged, name: str) -> None:
    held = as_it_stands(hedged.connection, 1)
    take_over(hedged.connection, 1, held.epoch + 1)
    before = rows(hedged.connection, ALL)
    with pytest.raises(LeaseLost):
        WRITES[name](hedged, held)
    assert rows(hedged.connection, ALL) == before
    with pytest.raises(LeaseLost):
        take_over(hedged.connection, 1, held.epoch)


def test_an_execution_that_was_overtaken_is_not_realised_by_who_read_it_before(hedged: Hedged) -> None:
    held = as_it_stands(hedged.connection, 1)
    take_over(hedged.connection, 1, held.epoch + 1)
    assert not executions.close_if_empty(hedged.connection, held)


def test_an_intent_of_who_was_overtaken_is_not_sent(hedged: Hedged) -> None:
    hedged.connection.execute("UPDATE trading.orders SET state = 'prepared'")
    hedged.connection.execute("UPDATE trading.intents SET expires_at = now() + interval '1 hour', epoch = 1")
    take_over(hedged.connection, 1, 50)
    assert not orders.mark_sent(hedged.connection, 1, datetime.now(UTC), boot_now())
    hedged.connection.execute("UPDATE trading.intents SET epoch = 50")
    assert orders.mark_sent(hedged.connection, 1, datetime.now(UTC), boot_now())
