"""A signal traded on a fake venue that rejects, fills in part, loses answers, shows late and fails to settle."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

import pytest

from orchestration.execution.reconcile import reconcile
from orchestration.execution.settlement import compare_balances, ensure_deposits, settle
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import OrderKey, OrderReading, PreparedOrder
from streams.market.identity import Venue
from streams.market.trading import ExecutionState
from streams.storage.database import Connection, connect
from streams.storage.store.market_groups import load_groups
from streams.storage.store.risk import set_switch
from streams.storage.store.signals import refuse_untradable
from tests.support.decisions import write_decision
from tests.support.fake_venue import (
    KALSHI_MARKET,
    POLYMARKET_MARKET,
    FakeVenue,
    approve,
    fake_settings,
    make_context,
    rows,
    seed_group,
    seed_signal,
    set_books,
)

ENDED = {"HEDGED", "FLAT", "ESCALATED", "SETTLED"}


def test_a_pair_is_hedged_settled_and_its_profit_is_the_change_of_cash(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            context, venues = make_context(connection, {}, 1, fake_settings())
            await ensure_deposits(connection, context)
            set_books(venues, random.Random(5))
            outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
            assert outcome.state is ExecutionState.HEDGED, outcome
            for _ in range(20):
                await reconcile(connection, context, "run")
            for market, fake in ((KALSHI_MARKET, Venue.KALSHI), (POLYMARKET_MARKET, Venue.POLYMARKET)):
                venues[fake].settle_market(market, 10_000)
            result = await settle(connection, context)
            assert result.executions == 1
            balances = await compare_balances(connection, context)
            assert [balance.difference_e6 for balance in balances] == [0, 0]
            execution = rows(connection, "SELECT * FROM trading.executions")[0]
            assert execution["state"] == "SETTLED"
            assert execution["realised_pnl_e6"] == sum(fake.cash for fake in venues.values()) - 20_000_000_000
            assert execution["realised_pnl_e6"] >= execution["expected_pnl_e6"] > 0

    asyncio.run(main())


class SlowVenue(FakeVenue):
    """A venue whose answers about orders take longer than a decision lives."""

    async def read(self, key: OrderKey) -> OrderReading:
        await asyncio.sleep(1.05)
        return await super().read(key)


def test_the_second_leg_is_decided_on_fresh_books_however_long_the_first_took(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            settings = fake_settings()
            venues = {venue: SlowVenue(venue, connection, index, {}) for index, venue in enumerate(Venue)}
            set_books(venues, random.Random(5))
            outcome = await SignalTrader(connection, TradingContext(settings, "live", venues), "run").trade(
                seed_signal(connection, 1)
            )
            assert outcome.state is ExecutionState.HEDGED, outcome

    asyncio.run(main())


def test_a_second_hedge_the_other_way_round_is_netted_by_the_venue_and_by_the_ledger(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            context, venues = make_context(connection, {}, 1, fake_settings())
            await ensure_deposits(connection, context)
            trader = SignalTrader(connection, context, "run")
            set_books(venues, random.Random(5))
            first = await trader.trade(seed_signal(connection, 1))
            set_books(venues, random.Random(5), edge_e4=-400)
            second = await trader.trade(seed_signal(connection, 2, kalshi="no", polymarket="yes"))
            assert (first.state, second.state) == (ExecutionState.HEDGED, ExecutionState.HEDGED)
            for _ in range(20):
                await reconcile(connection, context, "run")
            assert [balance.difference_e6 for balance in await compare_balances(connection, context)] == [0, 0]
            for market, fake in ((KALSHI_MARKET, Venue.KALSHI), (POLYMARKET_MARKET, Venue.POLYMARKET)):
                venues[fake].settle_market(market, 3_700)
            await settle(connection, context)
            assert [balance.difference_e6 for balance in await compare_balances(connection, context)] == [0, 0]
            assert rows(connection, "SELECT count(*) AS n FROM trading.executions WHERE state = 'SETTLED'")[0]["n"] == 2

    asyncio.run(main())


FAULTS: dict[str, dict[str, float]] = {
    "rejects": {"reject": 0.5},
    "partials": {"vanish": 0.8},
    "lost": {"lost_response": 0.4, "lost_request": 0.3},
    "late": {"late": 0.7, "lost_response": 0.3},
    "late answers": {"late": 0.7, "no_counts": 0.5, "vanish": 0.3},
    "failed": {"failed_settlement": 0.5},
    "everything": {
        "reject": 0.15,
        "vanish": 0.3,
        "lost_response": 0.15,
        "lost_request": 0.1,
        "late": 0.3,
        "failed_settlement": 0.15,
        "no_book": 0.05,
    },
}


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("name", list(FAULTS))
def test_whatever_the_venues_do_a_hedge_ends_and_the_ledger_equals_their_cash(
    database: str, name: str, at_once: bool
) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            settings = fake_settings(execution_max_s=15.0, legs_at_once=at_once)
            context, venues = make_context(connection, FAULTS[name], 11, settings)
            await ensure_deposits(connection, context)
            source = random.Random(3)
            trader = SignalTrader(connection, context, "run")
            for number in range(12):
                set_books(venues, source)
                await trader.trade(seed_signal(connection, number))
                await reconcile(connection, context, "run")
            set_books(venues, source)
            for _ in range(40):
                await reconcile(connection, context, "run")
            check_invariants(connection, venues)
            balances = await compare_balances(connection, context)
            assert [(balance.difference_e6, balance.in_flight) for balance in balances] == [(0, 0), (0, 0)]

    asyncio.run(main())


def check_invariants(connection: Connection, venues: Mapping[Venue, FakeVenue]) -> None:
    executions = rows(connection, "SELECT * FROM trading.executions")
    assert executions
    assert {row["state"] for row in executions} <= ENDED
    alarmed = {row["dedup_key"] for row in rows(connection, "SELECT dedup_key FROM trading.alerts")}
    for row in executions:
        if row["state"] == "ESCALATED":
            assert f"execution:{row['execution_id']}" in alarmed
        else:
            assert row["detail"]["unmatched_e6"] <= 1_000_000
    for fake in venues.values():
        assert len(set(fake.sent)) == len(fake.sent)  # nothing has arrived twice
    unresolved = "SELECT count(*) AS n FROM trading.orders WHERE state IN ('prepared', 'sent', 'unknown', 'resting')"
    assert rows(connection, unresolved)[0]["n"] == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("pause", "paused"),
        ("kill", "killed"),
        ("reduce", "reducing"),
        ("rejected", "pair_not_approved"),
        ("lapsed", "lapsed"),
        ("no_edge", "edge_gone"),
        ("closed_signal", "signal_closed"),
        ("unwatched_signal", "signal_closed"),
        ("leased", "no_lease"),
        ("closing", "closing_soon"),
        ("limit", "limit_total"),
        ("empty_shard", "balance"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_reason(database: str, change: str, reason: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            context, venues = make_context(connection, {}, 1, fake_settings())
            signal = seed_signal(connection, 1)
            set_books(venues, random.Random(5), edge_e4=0 if change == "no_edge" else 400)
            if change in ("pause", "kill", "reduce"):
                set_switch(connection, change, "tester")  # type: ignore[arg-type]
            elif change == "rejected":
                approve(connection, "reject")
            elif change == "lapsed":
                approve(connection, text_hash="other")
            elif change == "closed_signal":
                connection.execute("UPDATE trading.signals SET closed_at = now()")
            elif change == "unwatched_signal":
                connection.execute("UPDATE trading.signals SET updated_at = now() - interval '1 minute'")
            elif change == "leased":
                connection.execute(
                    """INSERT INTO trading.leases (name, holder, epoch, acquired_at, heartbeat_at, expires_at)
                       VALUES (%s, 'other', 1, now(), now(), now() + interval '1 minute')""",
                    (f"market:polymarket:{POLYMARKET_MARKET}",),
                )
            elif change == "closing":
                connection.execute("UPDATE raw.market_versions SET close_time = now() + interval '2 seconds'")
                approve(connection)
            elif change == "empty_shard":
                # The account is rich, but not where the market lies.
                venues[Venue.KALSHI].shards = {0: 10_000_000_000, 2: 0}
                connection.execute(
                    "UPDATE raw.market_versions SET terms = terms || '{\"exchange_index\": 2}' WHERE venue = 'kalshi'"
                )
            elif change == "limit":
                connection.execute(
                    "INSERT INTO trading.limits (name, value, set_by, set_at) VALUES ('total_usd', 0, 'tester', now())"
                )
            outcome = await SignalTrader(connection, context, "run").trade(signal)
            assert outcome.refusal is not None
            assert outcome.refusal.reason == reason
            assert rows(connection, "SELECT reason FROM trading.refusals") == [{"reason": reason}]
            assert not rows(connection, "SELECT * FROM trading.intents")
            assert not any(fake.sent for fake in venues.values())

    asyncio.run(main())


def test_an_execution_left_by_a_killed_run_is_brought_to_its_end(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection)
            context, venues = make_context(connection, {}, 1, fake_settings())
            await ensure_deposits(connection, context)
            set_books(venues, random.Random(5))
            kalshi_send = venues[Venue.KALSHI].send

            async def killed(order: PreparedOrder) -> str | None:
                await kalshi_send(order)
                raise KeyboardInterrupt

            venues[Venue.KALSHI].send = killed  # type: ignore[method-assign]
            with pytest.raises(KeyboardInterrupt):
                await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
            venues[Venue.KALSHI].send = kalshi_send  # type: ignore[method-assign]
            assert rows(connection, "SELECT state FROM trading.executions")[0]["state"] in ("OPENING", "PLANNED")
            for _ in range(20):
                await reconcile(connection, context, "next")
            check_invariants(connection, venues)
            assert rows(connection, "SELECT state FROM trading.executions")[0]["state"] == "HEDGED"
            assert [balance.difference_e6 for balance in await compare_balances(connection, context)] == [0, 0]

    asyncio.run(main())


def test_a_ladder_that_nobody_approved_is_refused_and_an_approved_one_is_traded(database: str) -> None:
    async def main() -> None:
        with connect(database) as connection:
            seed_group(connection, kind="ladder")
            context, venues = make_context(connection, {}, 1, fake_settings())
            set_books(venues, random.Random(5))
            refused = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
            assert refused.refusal is not None
            assert (refused.refusal.reason, refused.refusal.detail) == ("pair_not_approved", "proposed")
            assert refuse_untradable(connection, "sandbox") == 0
            write_decision(connection, "g1")
            traded = await SignalTrader(connection, context, "run").trade(seed_signal(connection, 2))
            assert traded.execution_id is not None

    asyncio.run(main())


def test_a_pair_group_knows_the_state_of_its_pair(database: str) -> None:
    with connect(database) as connection:
        seed_group(connection)
        assert [group.decision_state for group in load_groups(connection)] == ["approved"]
        approve(connection, "pause")
        assert [group.decision_state for group in load_groups(connection)] == ["paused"]
