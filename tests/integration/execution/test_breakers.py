"""Circuit breakers on the rows of trades put an account, or all trading, on `reduce` until a person resumes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.account_actions import reopen_account
from app.act_rules import UnusableReason
from app.operator_actions import set_switch
from orchestration.execution.decide.gate.breakers import Trip
from orchestration.execution.gate.breaker_watch import watch_breakers
from orchestration.execution.trade_signal import SignalTrader, TradeResult
from orchestration.execution.trading_context import TradingContext
from streams.market.identity import Venue
from streams.storage.database import Connection, connect
from streams.storage.store import risk
from streams.storage.store.accounting.switches import account_switches
from streams.storage.store.alerts import open_alerts
from streams.storage.store.gate.readings import write_cash
from streams.storage.store.gate.waiting import list_waiting
from tests.support.fake_venue import fake_settings, make_context, rows, seed_group, seed_signal, set_books

pytestmark = pytest.mark.anyio


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def context_of(connection: Connection, faults: dict[str, float], **settings: Any) -> TradingContext:
    patient = fake_settings(**settings).model_copy(update={"decision_ttl_ms": 600_000})
    context, venues = make_context(connection, faults, 1, patient)
    set_books(venues, random.Random(1))
    seed_group(connection)
    return context


async def trade(connection: Connection, context: TradingContext) -> TradeResult:
    for venue in Venue:
        write_cash(connection, "live", venue.value, {None: 10_000_000_000}, datetime.now(UTC))
    return await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))


def look(connection: Connection, context: TradingContext) -> list[Trip]:
    return watch_breakers(connection, context, datetime.now(UTC))


async def test_orders_that_are_refused_put_their_account_on_reduce_until_a_person_reopens_it(
    connection: Connection,
) -> None:
    context = context_of(connection, {"reject": 1.0}, breaker_reject_count=1, breaker_reject_share="0.5")
    await trade(connection, context)
    [order] = rows(connection, "SELECT venue, fault FROM trading.orders")
    assert order["fault"] == "refused"
    venue = Venue(order["venue"])
    switch = account_switches(connection, "live")[venue]
    assert (switch.state, switch.set_by) == ("reduce", "breaker")
    assert risk.current_switch(connection) == "run"
    [item] = list_waiting(connection, "live")
    assert (item.kind, item.subject) == ("breaker", f"reject_rate:{venue}")
    assert item.act == f"crossbook trade reopen {venue} --reason WHY"
    assert len(open_alerts(connection, "breaker")) == 1
    refused = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 2))
    assert refused.refusal is not None
    assert refused.refusal.reason == "reducing"
    assert look(connection, context) == []  # it has tripped

    reopen_account(connection, venue.value, mode="live", who="Ada", reason="the key had expired")
    assert look(connection, context) == []  # not on the same rows
    assert list_waiting(connection, "live") == []
    assert open_alerts(connection, "breaker") == []
    connection.execute("UPDATE trading.executions SET started_at = started_at - interval '1 hour'")
    await SignalTrader(connection, context, "run").trade(seed_signal(connection, 3))
    assert account_switches(connection, "live")[venue].set_by == "breaker"  # but on new ones
    assert len(rows(connection, "SELECT 1 FROM trading.breaker_trips")) == 2


async def test_sendings_without_an_answer_of_use_are_errors_of_the_venue(connection: Connection) -> None:
    context = context_of(
        connection,
        {"lost_request": 1.0},
        breaker_venue_errors_count=1,
        breaker_venue_errors_share="0.5",
        breaker_reject_count=1,
        breaker_reject_share="0",
        execution_max_s=0.05,
    )
    await trade(connection, context)
    [trip] = rows(connection, "SELECT breaker, venue, reading, threshold, counted FROM trading.breaker_trips")
    [order] = rows(connection, "SELECT venue, fault FROM trading.orders")
    assert order["fault"] == "venue"
    assert trip == {
        "breaker": "venue_errors",
        "venue": order["venue"],
        "reading": 1,
        "threshold": trip["threshold"],
        "counted": 1,
    }


def ended(connection: Connection, state: str, planned_e6: int, locked_e6: int) -> None:
    """Write a hedge that bought for 49 dollars and has ended."""
    number = len(rows(connection, "SELECT 1 FROM trading.executions")) + 1
    signal = seed_signal(connection, number)
    detail = f'{{"ended_as": "{state}", "planned_profit_e6": {planned_e6}}}'
    execution = connection.execute(
        """INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch, edge_usd,
               contracts_e6, started_at, flat_at, expected_pnl_e6, detail, updated_at)
           VALUES (%s, %s, 'g1', 'sandbox', 'live', %s, 1, 0.01, 50000000, %s, %s, %s, %s,
           now()) RETURNING execution_id""",
        (signal, number, state, datetime.now(UTC), datetime.now(UTC), locked_e6, detail),
    ).fetchone()
    assert execution is not None
    connection.execute(
        """WITH i AS (INSERT INTO trading.intents (execution_id, leg_no, purpose, venue, market_id, outcome, action,
               limit_price_e4, size_e6, reserved_e6, epoch, environment, decided_at, expires_at, created_at)
               VALUES (%(id)s, 0, 'open', 'kalshi', 'K', 'yes', 'buy', 9800, 50000000, 0, 1, 'sandbox', %(at)s,
               %(at)s, now())
               RETURNING intent_id)
           INSERT INTO trading.orders (intent_id, venue, client_order_id, state, request, environment, filled_e6,
               cash_e6, sent_at, closed_at, prepared_at)
           SELECT intent_id, 'kalshi', %(id)s::text, 'filled', '{}', 'sandbox', 50000000, 49000000, %(at)s, %(at)s,
           now()
           FROM i""",
        {"id": execution["execution_id"], "at": datetime.now(UTC)},
    )


def test_hedges_that_are_sold_again_stop_all_trading_and_going_on_needs_a_reason(connection: Connection) -> None:
    context = context_of(connection, {}, breaker_gap_count=3, breaker_gap_share="0.5", breaker_slippage_count=99)
    for state in ("HEDGED", "FLAT"):
        ended(connection, state, 650_000, 650_000)
    assert look(connection, context) == []
    ended(connection, "FLAT", 650_000, 650_000)
    assert [trip.breaker.name for trip in look(connection, context)] == ["gap_rate"]
    assert risk.current_switch(connection) == "reduce"
    [item] = list_waiting(connection, "live")
    assert (item.kind, item.subject, item.act) == ("breaker", "gap_rate", "crossbook trade resume --reason WHY")
    with pytest.raises(UnusableReason):
        set_switch(connection, "run", who="Ada")
    set_switch(connection, "pause", who="Ada")
    with pytest.raises(UnusableReason):
        set_switch(connection, "run", who="Ada")
    set_switch(connection, "run", who="Ada", reason="the makers are back")
    assert look(connection, context) == []
    assert (risk.current_switch(connection), list_waiting(connection, "live")) == ("run", [])
    set_switch(connection, "pause", who="Ada")
    set_switch(connection, "run", who="Ada")


def test_slippage_and_loss_each_trip_in_a_row_of_their_own(connection: Connection) -> None:
    context = context_of(
        connection,
        {},
        breaker_slippage_count=1,
        breaker_slippage_share="0.04",
        breaker_loss_usd="1",
        breaker_gap_count=9,
    )
    ended(connection, "FLAT", 650_000, -1_350_000)
    assert [trip.breaker.name for trip in look(connection, context)] == ["slippage", "loss"]
    assert [row.set_by for row in risk.list_switches(connection)][:2] == ["breaker", "breaker"]
    assert len(list_waiting(connection, "live")) == 2
    set_switch(connection, "run", who="Ada", reason="seen")
    assert list_waiting(connection, "live") == []


def test_what_a_person_stopped_is_left_to_them_until_they_let_trading_run(connection: Connection) -> None:
    context = context_of(connection, {}, breaker_loss_usd="1")
    ended(connection, "FLAT", 650_000, -1_350_000)
    for state in ("kill", "pause"):
        risk.set_switch(connection, state, "Ada")  # type: ignore[arg-type]
        assert look(connection, context) == []
        assert risk.current_switch(connection) == state
    risk.set_switch(connection, "run", "Ada")
    assert [trip.breaker.name for trip in look(connection, context)] == ["loss"]


def test_the_switch_of_another_mode_stays(connection: Connection) -> None:
    context = context_of(connection, {}, breaker_loss_usd="1")
    ended(connection, "FLAT", 650_000, -1_350_000)
    connection.execute("UPDATE trading.executions SET mode = 'paper'")
    assert look(connection, context) == []


def test_a_kill_that_came_meanwhile_is_renewed(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    context = context_of(connection, {}, breaker_loss_usd="1")
    ended(connection, "FLAT", 650_000, -1_350_000)
    seen = risk.last_switch(connection)
    risk.set_switch(connection, "kill", "Ada")
    monkeypatch.setattr("orchestration.execution.gate.breaker_watch.last_switch", lambda _: seen)
    assert look(connection, context) == []
    assert risk.current_switch(connection) == "kill"
