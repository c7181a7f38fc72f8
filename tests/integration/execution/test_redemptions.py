"""What a resolved market owes and does not pay by itself is redeemed, once, and alarmed while it is not there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from orchestration.execution.reconcile import reconcile
from orchestration.execution.settlement import ensure_deposits, settle
from orchestration.execution.settlement_cycle import alarm_unredeemed
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import AwaitedMarket, Payout, Payouts
from streams.market.errors import OutcomeUnknown, Refused
from streams.market.identity import Venue
from streams.market.trading import Target
from streams.storage.database import connect
from streams.storage.store.orders import load_orders
from streams.storage.store.risk import set_switch
from tests.support.fake_venue import (
    POLYMARKET_MARKET,
    FakeVenue,
    fake_settings,
    rows,
    seed_group,
    seed_signal,
    set_books,
)
from tests.support.ledger_rows import insert_entry
from tests.support.settled_hedges import HELD, hedged, pay

UNREDEEMED = "SELECT 1 FROM trading.alerts WHERE kind = 'unredeemed' AND cleared_at IS NULL"


class Unredeemed(FakeVenue):
    """A venue that pays when the wallet redeems, and not before."""

    answer: Exception | None = None

    async def payouts(self, markets: Sequence[AwaitedMarket]) -> Payouts:
        known = [(market.market_id, market.known_e4) for market in markets]
        return Payouts([Payout(name, value, self.paid.get(name), None) for name, value in known if value is not None])

    async def redeem(self, target: Target) -> str:
        self.redeemed.append(target.market_id)
        if self.answer is not None:
            raise self.answer
        return "transaction-1"


@pytest.mark.parametrize(
    ("answer", "state"),
    [(None, "taken"), (OutcomeUnknown("timeout"), "unknown"), (Refused("no_relayer", "no key"), "refused")],
)
def test_what_is_resolved_and_not_paid_is_redeemed_once_and_alarmed_while_it_is_not_there(
    database: str, answer: Exception | None, state: str
) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            venues = {venue: Unredeemed(venue, connection, n, {}) for n, venue in enumerate(Venue)}
            context = TradingContext(fake_settings(), "live", venues)
            await ensure_deposits(connection, context)
            set_books(venues, random.Random(5))
            await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
            for _ in range(20):
                await reconcile(connection, context, "run")
            fake = venues[Venue.POLYMARKET]
            fake.answer = answer
            order = next(o for o in load_orders(connection, 1) if o.venue is Venue.POLYMARKET)
            wins = 10_000 if order.outcome == "yes" else 0
            connection.execute("UPDATE raw.market_state SET status = 'settled', settlement_e4 = %s", (wins,))
            for _ in range(3):
                await settle(connection, context)
            assert fake.redeemed == [POLYMARKET_MARKET]
            [asked] = rows(connection, "SELECT state, due_e6 FROM trading.redemptions")
            assert asked == {"state": state, "due_e6": order.filled_e6}
            assert [row["venue"] for row in rows(connection, HELD)] == ["polymarket"]

            connection.execute("UPDATE trading.redemptions SET asked_at = asked_at - interval '2 hours'")
            await settle(connection, context)
            assert len(fake.redeemed) == 2
            alarm_unredeemed(connection, context.mode)
            assert len(rows(connection, UNREDEEMED)) == 1
            # A part arrives, and then the rest: both are booked, and it is asked for until all of it is there.
            for paid in (order.filled_e6 // 3, order.filled_e6):
                fake.paid[POLYMARKET_MARKET] = paid
                await settle(connection, context)
                cash = "SELECT sum(cash_e6)::bigint AS n FROM trading.ledger WHERE kind IN ('settlement', 'adjustment')"
                assert rows(connection, cash + " AND venue = 'polymarket'")[0]["n"] == paid
            alarm_unredeemed(connection, context.mode)
            assert rows(connection, UNREDEEMED) == []
            assert rows(connection, "SELECT 1 FROM trading.settlements WHERE is_due") == []

    asyncio.run(main())


def test_a_wallet_that_is_busy_is_asked_again_by_the_next_cycle(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            order = next(o for o in load_orders(connection, 1) if o.venue is Venue.POLYMARKET)
            wins = 10_000 if order.outcome == "yes" else 0
            connection.execute("UPDATE raw.market_state SET status = 'settled', settlement_e4 = %s", (wins,))
            asked: list[str] = []

            async def redeem(target: Target) -> str:
                asked.append(target.market_id)
                if len(asked) < 3:
                    raise Refused("wallet_busy", "another transaction runs")
                return "transaction-1"

            monkeypatch.setattr(venues[Venue.POLYMARKET], "redeem", redeem)
            for _ in range(5):
                await settle(connection, context)
            states = rows(connection, "SELECT state FROM trading.redemptions ORDER BY redemption_id")
            assert [row["state"] for row in states] == ["busy", "busy", "taken"]

    asyncio.run(main())


def test_less_than_a_cent_is_not_waited_for(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            monkeypatch.setattr(FakeVenue, "payouts", Unredeemed.payouts)
            order = next(o for o in load_orders(connection, 1) if o.venue is Venue.POLYMARKET)
            insert_entry(
                connection,
                "fill:dust",
                "fill",
                "polymarket",
                market_id=POLYMARKET_MARKET,
                outcome=order.outcome,
                execution_id=1,
                contracts_e6=9_000 - order.filled_e6,
            )
            wins = 10_000 if order.outcome == "yes" else 0
            connection.execute("UPDATE raw.market_state SET status = 'settled', settlement_e4 = %s", (wins,))
            await settle(connection, context)
            assert venues[Venue.POLYMARKET].redeemed == []
            assert rows(connection, HELD) == []
            kept = "SELECT sum(cash_e6)::bigint AS n FROM trading.ledger WHERE kind IN ('settlement', 'adjustment')"
            assert rows(connection, kept) == [{"n": 0}]

    asyncio.run(main())


def test_a_result_that_changes_while_it_is_read_is_read_again(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = FakeVenue.payouts

    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            pay(venues, 10_000)
            await settle(connection, context)

            async def meanwhile(self: FakeVenue, markets: Sequence[AwaitedMarket]) -> Payouts:
                answer = await read(self, markets)
                connection.execute("UPDATE raw.market_state SET status = 'settled', settlement_e4 = 0")
                return answer

            with monkeypatch.context() as patch:
                patch.setattr(FakeVenue, "payouts", meanwhile)
                connection.execute("UPDATE trading.settlements SET is_due = true")
                await settle(connection, context)
            due = "SELECT is_due, settlement_e4 FROM trading.settlements"
            assert rows(connection, due) == [{"is_due": True, "settlement_e4": 10_000}] * 2

    asyncio.run(main())


def test_nothing_is_redeemed_under_a_kill(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            venues[Venue.POLYMARKET].settled.clear()
            order = next(o for o in load_orders(connection, 1) if o.venue is Venue.POLYMARKET)
            wins = 10_000 if order.outcome == "yes" else 0
            connection.execute("UPDATE raw.market_state SET status = 'settled', settlement_e4 = %s", (wins,))
            set_switch(connection, "kill", "mara", "a test")
            await settle(connection, context)
            assert venues[Venue.POLYMARKET].redeemed == []
            set_switch(connection, "run", "mara", "a test")
            await settle(connection, context)
            assert venues[Venue.POLYMARKET].redeemed == [POLYMARKET_MARKET]

    asyncio.run(main())
