"""Settlement is what should stand in the ledger less what does: whatever comes late, twice or corrected is booked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestration.execution.follow_orders import OrderFollower
from orchestration.execution.settlement import settle
from orchestration.execution.settlement_cycle import alarm_restated
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import AwaitedMarket, OrderReading, Payouts
from orchestration.execution.venues.kalshi import KalshiGateway
from streams.market.identity import Venue
from streams.market.trading import ABSENT, NewFill, OrderRow
from streams.storage.database import Connection, connect
from streams.storage.store.alerts import clear_settled_alerts, raise_alert
from streams.storage.store.orders import load_orders
from streams.storage.store.settlement import MARKETS_TO_SETTLE, markets_to_settle
from streams.venues.kalshi.types.portfolio import SettlementState
from tests.support.fake_venue import (
    KALSHI_MARKET,
    FakeVenue,
    rows,
)
from tests.support.ledger_rows import insert_entry
from tests.support.settled_hedges import HELD, MARKETS, assert_balanced, hedged, pay

RESTATED = "SELECT 1 FROM trading.alerts WHERE kind = 'restated' AND cleared_at IS NULL"


def kalshi_order(connection: Connection) -> OrderRow:
    """The order that bought the leg on Kalshi."""
    return next(order for order in load_orders(connection, 1) if order.venue is Venue.KALSHI)


def late_fill(number: int = 1, contracts: int = 30, state: Any = "confirmed") -> NewFill:
    """A fill that nobody knew of: 30 contracts at 0.45."""
    cash = contracts * 450_000
    return NewFill(f"late-{number}", contracts * 1_000_000, cash, 0, state, datetime.now(UTC), {})


def buy_unseen(venue: FakeVenue, order: OrderRow, fill: NewFill) -> None:
    """The venue's side of a fill that we have not found."""
    key = (order.market_id, order.outcome)
    venue.cash -= fill.cash_e6
    venue.held[key] = venue.held.get(key, 0) + fill.contracts_e6


def find(connection: Connection, context: TradingContext, order: OrderRow, *fills: NewFill) -> None:
    """Read an order whose fills are these."""
    reading = OrderReading(True, is_final=True, venue_order_id=order.client_order_id, fills=fills, status="executed")
    OrderFollower(connection, context).record(order, reading)


class ListedSettlements:
    """The calls of Kalshi's client that settlement makes, over a list of what has settled."""

    def __init__(self, *listed: SettlementState) -> None:
        self.listed = list(listed)
        self.calls: list[dict[str, Any]] = []

    async def settlements(self, *, market_id: str | None = None, min_ts: int | None = None) -> list[SettlementState]:
        self.calls.append({"market_id": market_id, "min_ts": min_ts})
        return [
            row
            for row in self.listed
            if (market_id is None or row.market_id == market_id)
            and (min_ts is None or row.settled_at is None or row.settled_at.timestamp() >= min_ts)
        ]

    async def balance(self) -> int:
        return 0


def settlement(result: str, age: timedelta, market_id: str = KALSHI_MARKET) -> SettlementState:
    """A row of Kalshi's list."""
    at = datetime.now(UTC) - age
    value = {"yes": 10_000, "no": 0}.get(result)
    return SettlementState(market_id, "E", result, 0, 0, 0, 0, 0, value, 0, at, {})


def test_a_payout_older_than_a_week_is_booked(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            order = kalshi_order(connection)
            listed = ListedSettlements(settlement(order.outcome, timedelta(days=40)))
            real = KalshiGateway(listed)  # type: ignore[arg-type]
            away = replace(context, gateways={**venues, Venue.KALSHI: real})
            connection.execute("UPDATE raw.market_state SET status = 'settled' WHERE venue = 'kalshi'")
            await settle(connection, away)
            assert [row["venue"] for row in rows(connection, HELD)] == ["polymarket"]
            [paid] = rows(connection, "SELECT * FROM trading.ledger WHERE kind = 'settlement'")
            assert paid["cash_e6"] == order.filled_e6

    asyncio.run(main())


def test_a_fill_found_after_the_payout_is_booked_with_it(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            order, fill = kalshi_order(connection), late_fill()
            buy_unseen(venues[Venue.KALSHI], order, fill)
            pay(venues, 10_000 if order.outcome == "yes" else 0)
            await settle(connection, context)
            before = rows(connection, "SELECT realised_pnl_e6 FROM trading.executions")[0]["realised_pnl_e6"]
            find(connection, context, order, fill)
            await settle(connection, context)
            await assert_balanced(connection, context)
            after = rows(connection, "SELECT realised_pnl_e6 FROM trading.executions")[0]["realised_pnl_e6"]
            assert after - before == 30_000_000 - fill.cash_e6
            shared = "SELECT coalesce(sum(cash_e6), 0)::bigint AS n FROM trading.ledger WHERE kind = 'adjustment'"
            assert rows(connection, shared)[0]["n"] == 0

    asyncio.run(main())


def test_a_corrected_result_is_booked_anew(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            pay(venues, 10_000)
            await settle(connection, context)
            await assert_balanced(connection, context)
            kalshi, held = venues[Venue.KALSHI], kalshi_order(connection)
            was = held.filled_e6 if held.outcome == "yes" else 0
            kalshi.cash += held.filled_e6 - 2 * was
            kalshi.settled[KALSHI_MARKET], kalshi.paid[KALSHI_MARKET] = 0, held.filled_e6 - was
            connection.execute(
                "UPDATE raw.market_state SET settlement_e4 = 0, status = 'settled' WHERE venue = 'kalshi'"
            )
            for _ in range(2):
                await settle(connection, context)
                await assert_balanced(connection, context)

    asyncio.run(main())


def test_a_market_whose_entry_stands_there_already_costs_itself_alone(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            order = kalshi_order(connection)
            insert_entry(connection, f"settlement:kalshi:{KALSHI_MARKET}:{order.outcome}:1", "adjustment", "kalshi")
            pay(venues, 10_000)
            result = await settle(connection, context)
            assert result.errors == 1
            assert [row["venue"] for row in rows(connection, HELD)] == ["kalshi"]
            assert rows(connection, "SELECT venue FROM trading.settlements") == [{"venue": "polymarket"}]

    asyncio.run(main())


def test_an_escalated_trade_that_is_paid_needs_nobody_any_more(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            connection.execute("UPDATE trading.executions SET state = 'ESCALATED'")
            alerts = (("escalated", "execution", 1), ("flatten", "flatten", 1), ("escalated", "execution", 2))
            for kind, name, number in alerts:
                detail = {"execution_id": number}
                raise_alert(connection, kind, "critical", f"{name}:{number}", "A person must look at it.", detail)
            pay(venues, 10_000)
            await settle(connection, context)
            clear_settled_alerts(connection)
            await assert_balanced(connection, context)
            assert rows(connection, "SELECT state FROM trading.executions") == [{"state": "SETTLED"}]
            still_open = "SELECT dedup_key FROM trading.alerts WHERE cleared_at IS NULL"
            assert rows(connection, still_open) == [{"dedup_key": "execution:2"}]

    asyncio.run(main())


@pytest.mark.parametrize("is_paid_first", [True, False])
def test_what_kalshi_keeps_of_a_void_by_paying_whole_cents_is_in_the_ledger(database: str, is_paid_first: bool) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            order, fake = kalshi_order(connection), venues[Venue.KALSHI]
            hundredth = NewFill("late-1", 10_000, 4_500, 0, "confirmed", datetime.now(UTC), {})
            buy_unseen(fake, order, hundredth)
            if not is_paid_first:
                find(connection, context, order, hundredth)
            pay(venues, 7_200)
            # The list does not say what was paid; the balance does.
            kept = fake.paid.pop(KALSHI_MARKET) % 10_000
            fake.cash -= kept
            assert kept
            await settle(connection, context)
            if is_paid_first:
                find(connection, context, order, hundredth)
            await assert_balanced(connection, context)

    asyncio.run(main())


def test_a_late_fill_on_a_market_that_paid_before_results_were_kept_is_booked_by_the_next_cycle(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            order, fill = kalshi_order(connection), late_fill()
            buy_unseen(venues[Venue.KALSHI], order, fill)
            pay(venues, 10_000)
            await settle(connection, context)
            connection.execute("DELETE FROM trading.settlements")
            find(connection, context, order, fill)
            assert [row["contracts_e6"] for row in rows(connection, HELD)] == [fill.contracts_e6]
            await settle(connection, context)
            await assert_balanced(connection, context)

    asyncio.run(main())


def test_an_abandoned_order_that_filled_before_its_market_paid_is_paid_and_sells_nothing(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            order, fill = kalshi_order(connection), late_fill()
            buy_unseen(venues[Venue.KALSHI], order, fill)
            pay(venues, 0)
            await settle(connection, context)
            abandoned = "UPDATE trading.orders SET state = 'expired', reason = %s WHERE order_id = %s"
            connection.execute(abandoned, (ABSENT, order.order_id))
            find(connection, context, kalshi_order(connection), fill)
            await settle(connection, context)
            await assert_balanced(connection, context)
            [execution] = rows(connection, "SELECT state, settled_at FROM trading.executions")
            assert execution["state"] == "SETTLED"
            assert execution["settled_at"] is not None
            assert rows(connection, "SELECT 1 FROM trading.alerts WHERE kind = 'late_fill'")

    asyncio.run(main())


def test_whatever_order_fill_failure_payout_and_correction_come_in_the_ledger_is_the_same(database: str) -> None:
    """Ten orders of the same happenings, each on accounts of its own mode and markets of its own name."""

    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            order = kalshi_order(connection)
            polymarket = next(o for o in load_orders(connection, 1) if o.venue is Venue.POLYMARKET)
            provisional = late_fill(2, 7, "provisional")
            pay(venues, 10_000)
            stated = {Venue.KALSHI: {10_000: 44_000_000, 0: 61_000_000}, Venue.POLYMARKET: {10_000: 3_000_000, 0: 0}}

            def result(value: int) -> None:
                for venue, fake in venues.items():
                    fake.settled[MARKETS[venue]], fake.paid[MARKETS[venue]] = value, stated[venue][value]
                connection.execute("UPDATE trading.settlements SET is_due = true")

            happenings = {
                "late": lambda: find(connection, context, order, late_fill()),
                "match": lambda: find(connection, context, polymarket, provisional),
                "fails": lambda: find(connection, context, polymarket, replace(provisional, state="failed")),
                "yes": lambda: result(10_000),
                "no": lambda: result(0),
                "cycle": lambda: None,
            }
            seen: set[str] = set()
            source = random.Random(7)
            for _ in range(10):
                names = ["late", "yes", "match", "cycle", "yes", "fails", "cycle"]
                source.shuffle(names)
                if names.index("fails") < names.index("match"):
                    first, second = names.index("fails"), names.index("match")
                    names[first], names[second] = "match", "fails"
                with connection.transaction(force_rollback=True):
                    for name in [*names, "no", "cycle"]:
                        happenings[name]()
                        await settle(connection, context)
                    found = """SELECT execution_id, venue, outcome, kind = 'adjustment' AS shared,
                            sum(cash_e6)::bigint AS cash, sum(contracts_e6)::bigint AS size
                        FROM trading.ledger WHERE market_id IS NOT NULL AND kind NOT IN ('fill', 'fee', 'reversal')
                        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
                    seen.add(str(rows(connection, found)))
                    assert rows(connection, HELD) == []
            assert len(seen) == 1, seen

    asyncio.run(main())


def test_the_same_answer_twice_and_two_cycles_at_once_book_once(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = FakeVenue.payouts

    async def slowly(self: FakeVenue, markets: Sequence[AwaitedMarket]) -> Payouts:
        await asyncio.sleep(0)
        return await at_once(self, markets)

    async def main() -> None:
        with connect(database) as connection, connect(database) as other:
            context, venues = await hedged(connection)
            pay(venues, 10_000)
            monkeypatch.setattr(FakeVenue, "payouts", slowly)
            await asyncio.gather(settle(connection, context), settle(other, context), settle(connection, context))
            await assert_balanced(connection, context)
            count = "SELECT count(*) AS n FROM trading.ledger WHERE kind IN ('settlement', 'adjustment')"
            before = rows(connection, count)
            connection.execute("UPDATE trading.settlements SET is_due = true")
            result = await settle(connection, context)
            assert (result.entries, result.markets) == (0, 0)
            assert rows(connection, count) == before

    asyncio.run(main())


def test_an_answer_that_is_older_than_what_is_booked_changes_nothing(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            order = kalshi_order(connection)
            wins = order.outcome
            loses = "no" if wins == "yes" else "yes"
            listed = ListedSettlements(settlement(wins, timedelta(minutes=1)), settlement(loses, timedelta(minutes=9)))
            real = KalshiGateway(listed)  # type: ignore[arg-type]
            settling = replace(context, gateways={**venues, Venue.KALSHI: real})
            paid = "SELECT sum(cash_e6)::bigint AS n FROM trading.ledger WHERE venue = 'kalshi' AND kind = 'settlement'"
            await settle(connection, settling)
            assert rows(connection, paid)[0]["n"] == order.filled_e6
            # A replica that lags shows what was listed before the correction.
            listed.listed.pop(0)
            connection.execute("UPDATE trading.settlements SET is_due = true")
            await settle(connection, settling)
            assert rows(connection, paid)[0]["n"] == order.filled_e6
            # What was read before the booked reading began is not booked either, whenever it answers.
            listed.listed.insert(0, settlement(loses, timedelta(seconds=0)))
            ahead = "UPDATE trading.settlements SET is_due = true, read_at = now() + interval '1 hour'"
            connection.execute(ahead)
            await settle(connection, settling)
            assert rows(connection, paid)[0]["n"] == order.filled_e6

    asyncio.run(main())


def test_a_correction_that_is_stated_and_not_paid_yet_is_asked_for_until_it_is(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            order = kalshi_order(connection)
            wins, loses = ("yes", "no") if order.outcome == "yes" else ("no", "yes")
            listed = ListedSettlements(settlement(wins, timedelta(days=30)))
            real = KalshiGateway(listed)  # type: ignore[arg-type]
            settling = replace(context, gateways={**venues, Venue.KALSHI: real})
            connection.execute("UPDATE raw.market_state SET status = 'closed' WHERE venue = 'kalshi'")
            await settle(connection, settling)
            due = "SELECT is_due FROM trading.settlements WHERE venue = 'kalshi'"
            assert rows(connection, due) == [{"is_due": False}]
            stated = "UPDATE raw.market_state SET status = 'settled', settlement_e4 = %s WHERE venue = 'kalshi'"
            connection.execute(stated, (0 if wins == "yes" else 10_000,))
            for _ in range(2):
                await settle(connection, settling)
                assert rows(connection, due) == [{"is_due": True}]
                alarm_restated(connection, context.mode)
                assert len(rows(connection, RESTATED)) == 1
            listed.listed.insert(0, settlement(loses, timedelta(seconds=0)))
            await settle(connection, settling)
            assert rows(connection, due) == [{"is_due": False}]
            alarm_restated(connection, context.mode)
            assert rows(connection, RESTATED) == []
            paid = "SELECT sum(cash_e6)::bigint AS n FROM trading.ledger WHERE venue = 'kalshi' AND kind = 'settlement'"
            assert rows(connection, paid)[0]["n"] == 0

    asyncio.run(main())


def test_a_cycle_that_dies_within_a_market_leaves_nothing_of_it(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """The process dies here."""

    def dies(*_args: Any, **_more: Any) -> None:
        raise Killed

    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            pay(venues, 10_000)
            for place in ("save_settlement", "book_missing"):
                with monkeypatch.context() as patch:
                    patch.setattr(f"orchestration.execution.settlement.{place}", dies)
                    with pytest.raises(Killed):
                        await settle(connection, context)
                assert rows(connection, "SELECT 1 FROM trading.ledger WHERE kind = 'settlement'") == []
            with monkeypatch.context() as patch:
                patch.setattr("orchestration.execution.settlement._realise", dies)
                with pytest.raises(Killed):
                    await settle(connection, context)
            await settle(connection, context)
            await assert_balanced(connection, context)
            assert rows(connection, "SELECT state FROM trading.executions") == [{"state": "SETTLED"}]

    asyncio.run(main())


PAST = """
ALTER TABLE trading.ledger DISABLE TRIGGER USER; ALTER TABLE trading.executions DISABLE TRIGGER USER;
INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch, edge_usd, contracts_e6,
    settled_at, realised_pnl_e6, started_at, updated_at)
SELECT signal_id, 1000 + n, group_id, environment, mode, 'SETTLED', 1, 0, 1, now(), 0, now(), now()
FROM trading.executions, generate_series(1, 20000) AS n WHERE execution_id = 1;
INSERT INTO trading.ledger (entry_key, kind, venue, market_id, outcome, execution_id, contracts_e6, mode, environment,
    happened_at, recorded_at)
SELECT 'past:' || execution_id || kind, kind, 'kalshi', 'PAST-' || execution_id, 'yes', execution_id,
    CASE kind WHEN 'fill' THEN 1 ELSE -1 END, mode, environment, now(), now()
FROM trading.executions, (VALUES ('fill'), ('settlement')) AS x (kind) WHERE attempt > 1000;
INSERT INTO trading.position_totals
SELECT environment, mode, venue, market_id, outcome, 0, 0, 0, 0, false, now() FROM trading.ledger
WHERE kind = 'settlement' AND market_id LIKE 'PAST-%';
INSERT INTO trading.settlements (mode, venue, market_id, settlement_e4, read_at)
SELECT mode, venue, market_id, 10000, now() FROM trading.ledger WHERE kind = 'settlement' AND market_id LIKE 'PAST-%';
ANALYZE trading.ledger, trading.executions, trading.position_totals, trading.settlements;
"""


def rows_read(node: dict[str, Any]) -> float:
    """How many rows the scans of a plan have looked at."""
    own = 0.0
    if "Scan" in node["Node Type"]:
        own = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return own + sum(rows_read(part) for part in node.get("Plans", []))


def test_what_a_cycle_looks_at_does_not_grow_with_what_has_settled(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, _ = await hedged(connection)
            connection.execute(PAST)
            assert markets_to_settle(connection, context.mode, Venue.KALSHI) == [KALSHI_MARKET]
            explained = "EXPLAIN (ANALYZE, FORMAT JSON) " + MARKETS_TO_SETTLE
            [found] = connection.execute(explained, {"mode": context.mode, "venue": "kalshi"}).fetchall()
            assert rows_read(found["QUERY PLAN"][0]["Plan"]) < 200, found

    asyncio.run(main())
