"""An account that shows something else than our books: explained, found late, foreign, or a break."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestration.execution.accounts.check_accounts import Checked, check_accounts
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import AccountFill, AccountMove, OpenOrder
from streams.market.identity import Venue
from streams.market.trading import NewFill, RefusalReason
from streams.storage.database import Connection, connect
from streams.storage.store.accounting.breaks import foreign_waiting, load_differences
from streams.storage.store.accounting.switches import account_switches, replace_account, restored_accounts, why_reduced
from streams.storage.store.ledger import account_totals, ledger_cash_e6
from streams.storage.store.risk import set_switch
from tests.support.fake_venue import KALSHI_MARKET, FakeVenue, rows, seed_signal
from tests.support.settled_hedges import hedged

ALERTS = "SELECT kind, severity FROM trading.alerts WHERE cleared_at IS NULL AND kind <> 'late_fill' ORDER BY kind"


class World:
    """A hedge, its two accounts, and a clock that the test sets."""

    def __init__(self, connection: Connection, context: TradingContext, venues: dict[Venue, FakeVenue]) -> None:
        self.connection, self.context, self.venues = connection, context, venues
        self.now = datetime.now(UTC) + timedelta(seconds=5)
        self.kalshi, self.polymarket = venues[Venue.KALSHI], venues[Venue.POLYMARKET]

    async def check(self, after_s: float = 30) -> dict[Venue, Checked]:
        """Let time pass, and compare."""
        self.now += timedelta(seconds=after_s)
        return {checked.venue: checked for checked in await check_accounts(self.connection, self.context, self.clock)}

    def clock(self) -> datetime:
        return self.now

    def resume(self, venue: Venue) -> int | None:
        """A person lets an account open again."""
        self.now += timedelta(seconds=1)
        seen = account_switches(self.connection, "live")[venue]
        return replace_account(self.connection, seen, "mara", "it was me", self.now)

    def state(self, venue: Venue) -> str:
        switch = account_switches(self.connection, "live").get(venue)
        return "run" if switch is None else switch.state

    async def trade(self) -> RefusalReason | None:
        signal = seed_signal(self.connection, int(self.now.timestamp()))
        result = await SignalTrader(self.connection, self.context, "run").trade(signal)
        return None if result.refusal is None else result.refusal.reason

    def alerts(self) -> list[str]:
        return [row["kind"] for row in rows(self.connection, ALERTS)]


Story = Callable[[World], Coroutine[Any, Any, None]]


def told(database: str, story: Story) -> None:
    async def main() -> None:
        with connect(database) as connection:
            context, venues = await hedged(connection)
            connection.execute("DELETE FROM trading.account_readings")
            await story(World(connection, context, venues))

    asyncio.run(main())


def by_hand(world: World, number: int, contracts: int, cash: int) -> AccountFill:
    """Somebody buys YES on Kalshi by hand."""
    fill = NewFill(f"hand-{number}", contracts, cash, 100, "confirmed", world.now, {})
    return AccountFill(Venue.KALSHI, f"order-{number}", KALSHI_MARKET, "yes", "", "buy", True, fill)


def test_accounts_that_agree_are_read_and_nothing_else_happens(database: str) -> None:
    async def story(world: World) -> None:
        for _ in range(2):
            found = await world.check()
            assert {checked.verdict for checked in found.values()} == {"agrees"}
        assert await world.check(after_s=5) == {}, "not more often than every 20 s"
        assert rows(world.connection, "SELECT count(*) AS n FROM trading.account_readings") == [{"n": 4}]
        assert load_differences(world.connection, "live") == []
        assert world.alerts() == []

    told(database, story)


def test_cash_that_nothing_explains_on_two_readings_reduces_that_account_until_a_person_resumes(database: str) -> None:
    async def story(world: World) -> None:
        world.kalshi.cash -= 9_200_000
        assert (await world.check())[Venue.KALSHI].verdict == "outside"
        assert (world.state(Venue.KALSHI), world.alerts()) == ("run", [])
        await world.check()
        assert (world.state(Venue.KALSHI), world.state(Venue.POLYMARKET)) == ("reduce", "run")
        assert world.alerts() == ["account_break"]
        assert await world.trade() is RefusalReason.REDUCING
        (broken,) = load_differences(world.connection, "live")
        assert (broken.what, broken.venue_e6 - broken.booked_e6, broken.state) == ("cash", -9_200_000, "open")

        # That the figures agree again ends nothing: only a person does.
        world.kalshi.cash += 9_200_000
        await world.check()
        assert (world.state(Venue.KALSHI), world.alerts()) == ("reduce", ["account_break"])
        world.kalshi.cash -= 9_200_000
        await world.check()

        assert world.resume(Venue.KALSHI) is not None
        found = await world.check()
        assert found[Venue.KALSHI].verdict == "agrees"
        assert ledger_cash_e6(world.connection, "kalshi", "live") == world.kalshi.cash
        foreign = [t.amount_e6 for t in account_totals(world.connection, "kalshi", "live") if t.account == "foreign"]
        assert foreign == [9_200_000]
        assert (world.state(Venue.KALSHI), world.alerts()) == ("run", [])
        assert why_reduced(world.connection, "live", ["kalshi", "polymarket"]) is None
        states = "SELECT state, acknowledged_by IS NOT NULL AS by FROM trading.account_breaks"
        assert rows(world.connection, states) == [{"state": "acknowledged", "by": True}]

    told(database, story)


def test_after_a_restore_nothing_opens_until_both_accounts_agree_with_the_books_again(database: str) -> None:
    async def story(world: World) -> None:
        await world.check()
        world.connection.execute(
            "INSERT INTO trading.switches (state, set_by, set_at) VALUES ('pause', 'restore', %s)", (world.now,)
        )
        set_switch(world.connection, "run", "Ada", "go on")
        assert await world.trade() is RefusalReason.REDUCING, "a person's resume is not enough"
        world.kalshi.cash -= 9_200_000
        await world.check()
        assert restored_accounts(world.connection, "live") == [Venue.KALSHI], "what happened since is not booked"
        assert await world.trade() is RefusalReason.REDUCING
        world.kalshi.cash += 9_200_000
        await world.check()
        assert restored_accounts(world.connection, "live") == []
        assert why_reduced(world.connection, "live", ["kalshi", "polymarket"]) is None
        assert restored_accounts(world.connection, "paper") == []

    told(database, story)


def test_what_comes_on_top_of_an_acknowledged_difference_is_a_break_of_its_own(database: str) -> None:
    async def story(world: World) -> None:
        world.kalshi.cash -= 5_000_000
        await world.check()
        await world.check()
        world.resume(Venue.KALSHI)
        world.kalshi.cash -= 3_000_000
        assert (await world.check())[Venue.KALSHI].verdict == "outside"
        await world.check()
        assert world.state(Venue.KALSHI) == "reduce"
        open_now = [row for row in load_differences(world.connection, "live") if row.state == "open"]
        assert [row.venue_e6 - row.booked_e6 for row in open_now] == [-3_000_000]

    told(database, story)


def test_a_resume_that_has_not_seen_a_newer_break_is_refused(database: str) -> None:
    async def story(world: World) -> None:
        world.kalshi.cash -= 5_000_000
        await world.check()
        await world.check()
        seen = account_switches(world.connection, "live")[Venue.KALSHI]
        world.kalshi.held[KALSHI_MARKET, "yes"] = world.kalshi.held.get((KALSHI_MARKET, "yes"), 0) + 4_000_000
        await world.check()
        await world.check()
        assert replace_account(world.connection, seen, "mara", "it was me", world.now) is None
        assert world.state(Venue.KALSHI) == "reduce"

    told(database, story)


def test_contracts_that_nothing_explains_are_a_break_and_are_booked_once_a_person_says_so(database: str) -> None:
    async def story(world: World) -> None:
        key = next(key for key, held in world.polymarket.held.items() if held)
        world.polymarket.held[key] -= 2_000_000
        await world.check()
        await world.check()
        (broken,) = load_differences(world.connection, "live")
        assert broken.what == f"position:{key[0]}:{key[1]}"
        assert world.state(Venue.POLYMARKET) == "reduce"
        world.resume(Venue.POLYMARKET)
        assert (await world.check())[Venue.POLYMARKET].verdict == "agrees"

    told(database, story)


def test_what_somebody_trades_by_hand_is_booked_to_foreign_and_waits_for_a_person(database: str) -> None:
    async def story(world: World) -> None:
        await world.check()
        world.kalshi.foreign_fills.append(by_hand(world, 1, 4_000_000, 2_000_000))
        world.kalshi.cash -= 2_000_100
        world.kalshi.held[KALSHI_MARKET, "yes"] = world.kalshi.held.get((KALSHI_MARKET, "yes"), 0) + 4_000_000
        _net(world.kalshi)
        found = await world.check()
        assert found[Venue.KALSHI].verdict == "agrees", "its books are the venue's at once"
        assert (world.state(Venue.KALSHI), world.alerts()) == ("reduce", ["foreign"])
        assert await world.trade() is RefusalReason.REDUCING
        (waiting,) = foreign_waiting(world.connection, "live")
        assert (waiting.kind, waiting.contracts_e6, waiting.cash_e6) == ("fill", 4_000_000, 2_000_000)
        await world.check()
        assert len(foreign_waiting(world.connection, "live")) == 1, "seen twice, booked once"
        assert len(rows(world.connection, "SELECT 1 FROM trading.ledger WHERE kind = 'foreign'")) == 2

        world.resume(Venue.KALSHI)
        await world.check()
        assert (world.state(Venue.KALSHI), world.alerts()) == ("run", [])
        assert foreign_waiting(world.connection, "live") == []

    told(database, story)


def test_an_order_of_somebody_else_that_rests_reduces_the_account(database: str) -> None:
    async def story(world: World) -> None:
        world.polymarket.foreign_orders.append(OpenOrder("0xdead", "0xdead", "0xtest1", 5_000_000))
        await world.check()
        assert (world.state(Venue.POLYMARKET), world.alerts()) == ("reduce", ["foreign"])
        await world.check()
        assert len(rows(world.connection, "SELECT 1 FROM trading.account_switches")) == 1, "once for each thing"

    told(database, story)


def test_a_fill_of_ours_that_comes_after_its_order_was_given_up_is_found_and_booked(database: str) -> None:
    """The worked case: 20 contracts at 0.46 on an order that counted as never seen; -9.20 stood in no row."""

    async def story(world: World) -> None:
        (order,) = rows(
            world.connection,
            """SELECT o.order_id, i.market_id, i.outcome, o.client_order_id FROM trading.orders AS o
               JOIN trading.intents AS i USING (intent_id) WHERE o.venue = 'polymarket' ORDER BY 1 LIMIT 1""",
        )
        world.connection.execute(
            """UPDATE trading.orders SET state = 'expired', reason = 'the venue never saw it',
                   closed_at = now() - interval '1 day' WHERE order_id = %s""",
            (order["order_id"],),
        )
        late = {"id": "late", "size": 20_000_000, "cash": 9_200_000, "fee": 0, "state": "confirmed"}
        world.polymarket._orders[order["client_order_id"]]["fills"].append(late)
        world.polymarket.cash -= 9_200_000
        key = (order["market_id"], order["outcome"])
        world.polymarket.held[key] += 20_000_000
        before = ledger_cash_e6(world.connection, "polymarket", "live")
        found = await world.check()
        assert ledger_cash_e6(world.connection, "polymarket", "live") == before - 9_200_000 == world.polymarket.cash
        assert found[Venue.POLYMARKET].verdict == "agrees"
        assert world.state(Venue.POLYMARKET) == "run"
        assert foreign_waiting(world.connection, "live") == []

    told(database, story)


def test_a_difference_that_what_is_open_allows_alarms_after_two_minutes_only(database: str) -> None:
    async def story(world: World) -> None:
        world.connection.execute(
            """INSERT INTO trading.fills (order_id, venue, venue_fill_id, market_id, outcome, action, contracts_e6,
                   cash_e6, fee_e6, state, filled_at, payload, environment, recorded_at)
               SELECT o.order_id, 'polymarket', 'p', i.market_id, i.outcome, 'buy', 1000000, 500000, 0, 'provisional',
                   now(), '{}', 'sandbox', now() FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
               WHERE o.venue = 'polymarket' LIMIT 1"""
        )
        world.polymarket.cash += 400_000
        assert (await world.check())[Venue.POLYMARKET].verdict == "explained"
        await world.check(60)
        assert world.alerts() == []
        await world.check(61)
        assert (world.alerts(), world.state(Venue.POLYMARKET)) == (["unexplained"], "run")
        world.polymarket.cash -= 400_000
        await world.check()
        assert world.alerts() == []

    told(database, story)


def test_an_account_that_cannot_be_read_does_not_keep_the_other_from_being_compared(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: World) -> None:
        from streams.market.errors import Unavailable

        async def away() -> Any:
            raise Unavailable("away")

        monkeypatch.setattr(world.kalshi, "positions", away)
        with pytest.raises(Unavailable):
            await world.check()
        read = "SELECT venue, verdict FROM trading.account_readings"
        assert rows(world.connection, read) == [{"venue": "polymarket", "verdict": "agrees"}]

    told(database, story)


def _net(fake: FakeVenue) -> None:
    """Pay matched contracts at once, as Kalshi does."""
    matched = min(fake.held.get((KALSHI_MARKET, side), 0) for side in ("yes", "no"))
    if matched > 0:
        fake.cash += matched
        for side in ("yes", "no"):
            fake.held[KALSHI_MARKET, side] -= matched


def test_what_was_paid_in_or_out_at_the_venue_is_booked_and_no_break(database: str) -> None:
    async def story(world: World) -> None:
        await world.check()
        world.kalshi.cash += 50_000_000
        world.kalshi.moves.append(AccountMove("d1", "deposit", 50_000_000, "done", world.now))
        await world.check()
        assert (await world.check())[Venue.KALSHI].verdict == "agrees"
        world.kalshi.cash -= 20_000_000
        world.kalshi.moves.append(AccountMove("w1", "withdrawal", 20_000_000, "done", world.now))
        for _ in range(3):
            await world.check()
        assert (world.state(Venue.KALSHI), world.alerts()) == ("run", [])
        kinds = "SELECT kind, cash_e6 FROM trading.ledger WHERE entry_key LIKE '%:move:%' ORDER BY entry_id"
        assert [(row["kind"], row["cash_e6"]) for row in rows(world.connection, kinds)] == [
            ("deposit", 50_000_000), ("withdrawal", -20_000_000)
        ]  # fmt: skip

    told(database, story)


def test_what_a_person_has_let_be_is_not_booked_again_when_the_venue_lists_it_at_last(database: str) -> None:
    async def story(world: World) -> None:
        await world.check()
        paid_at = world.now
        world.kalshi.cash += 50_000_000
        for _ in range(3):
            await world.check()
        assert world.state(Venue.KALSHI) == "reduce"
        world.resume(Venue.KALSHI)
        await world.check()
        world.kalshi.moves.append(AccountMove("d1", "deposit", 50_000_000, "done", paid_at))
        for _ in range(3):
            checked = await world.check()
        assert (checked[Venue.KALSHI].verdict, world.state(Venue.KALSHI)) == ("agrees", "run")

    told(database, story)
