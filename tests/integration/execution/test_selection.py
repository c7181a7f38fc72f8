"""Which trades: what a hedge is worth is kept, what the legs' gap has cost is measured, capital for long is bounded."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from psycopg.types.json import Jsonb

from orchestration.execution.trade_signal import SignalTrader, TradeResult
from orchestration.opportunities.bundles import LegKey
from orchestration.opportunities.worth import closing_e6
from streams.market.identity import Venue
from streams.market.trading import ExecutionState, RefusalReason
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.store.decisions.group_decisions import approve_groups_in_sandbox
from streams.storage.store.hedges.held import held_by_hedges
from streams.storage.store.hedges.leg_records import LegRecordRow, leg_records
from streams.storage.store.signals import load_actionable
from tests.support.fake_venue import (
    KALSHI_MARKET,
    POLYMARKET_MARKET,
    fake_settings,
    make_context,
    markets_of,
    rows,
    seed_group,
    seed_signal,
    set_books,
)

pytestmark = pytest.mark.anyio

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def trade(connection: Connection, number: int, settings: Settings) -> TradeResult:
    context, venues = make_context(connection, {}, 1, settings)
    set_books(venues, random.Random(5))
    return await SignalTrader(connection, context, "run").trade(seed_signal(connection, number))


async def test_how_far_hedges_fell_short_of_their_plans_is_measured_by_market(database: str) -> None:
    with connect(database) as connection:
        seed_group(connection)
        traded = await trade(connection, 1, fake_settings())
        assert traded.state is ExecutionState.HEDGED, traded
        row = rows(connection, "SELECT * FROM trading.executions")[0]
        keys = [f"{leg['venue']}:{leg['market_id']}" for leg in row["detail"]["plan"]["legs"]]
        connection.execute("UPDATE trading.executions SET expected_pnl_e6 = expected_pnl_e6 - 150000")
        planned = row["detail"]["planned_profit_e6"]
        short = planned - row["expected_pnl_e6"] + 150_000
        asked, later = {}, {}
        for intent in rows(
            connection,
            """SELECT i.venue || ':' || i.market_id AS market, i.leg_no, i.size_e6, o.filled_e6
               FROM trading.intents AS i JOIN trading.orders AS o USING (intent_id) WHERE i.purpose = 'open'""",
        ):
            (later if intent["leg_no"] else asked)[intent["market"]] = (
                intent["size_e6"],
                min(intent["size_e6"], intent["filled_e6"]),
            )
        expected = [LegRecordRow(key, *asked.get(key, (0, 0)), *later.get(key, (0, 0)), short) for key in keys]
        measured = leg_records(connection, "live", [*keys, "kalshi:NONE"], LONG_AGO)
        assert sorted(measured, key=str) == sorted([*expected, LegRecordRow("kalshi:NONE")], key=str)
        for mode, since in (("paper", LONG_AGO), ("live", datetime.now(UTC) + timedelta(days=1))):
            assert leg_records(connection, mode, keys, since) == [LegRecordRow(key) for key in sorted(keys)]


async def test_what_was_measured_decides_what_the_next_hedge_there_is_worth(database: str) -> None:
    settings = fake_settings(leg_prior_contracts=1)
    with connect(database) as connection:
        seed_group(connection)
        first = await trade(connection, 1, settings)
        assert first.state is ExecutionState.HEDGED, first
        detail = rows(connection, "SELECT detail FROM trading.executions")[0]["detail"]
        assert detail["worth"]["locked_e6"] == detail["planned_profit_e6"]
        assert {case["name"] for case in detail["worth"]["stress"]} == {
            "void on kalshi", "void on polymarket", "results that differ", "tie"
        }  # fmt: skip
        connection.execute("UPDATE trading.executions SET expected_pnl_e6 = expected_pnl_e6 - 1000000000")
        second = await trade(connection, 2, settings)
        assert second.refusal is not None
        assert second.refusal.reason is RefusalReason.NOT_WORTH


async def test_capital_for_long_is_bounded_in_the_plan_and_in_the_gate(database: str) -> None:
    with connect(database) as connection:
        seed_group(connection)
        refused = await trade(connection, 1, fake_settings(long_capital_days=0, long_capital_usd="0.01"))
        assert refused.refusal is not None
        assert refused.refusal.reason is RefusalReason.LIMIT_LONG
        traded = await trade(connection, 2, fake_settings(long_capital_days=0, long_capital_usd="200"))
        assert traded.state is ExecutionState.HEDGED, traded
        checks = rows(connection, "SELECT checks FROM trading.gate_decisions ORDER BY decision_id DESC")[0]["checks"]
        check = next(check for check in checks if check["check"] == "long_capital")
        assert (check["verdict"], check["limit"]) == ("pass", "200.000000")


async def test_a_set_of_three_legs_is_hedged_and_its_dearest_outcome_still_pays(database: str) -> None:
    """NO of three exclusive markets at 0.62 each: 1.86 for 2 dollars."""
    with connect(database) as connection:
        for number in (1, 2, 3):
            seed_group(connection, number=number, fees=("0.1", "0.01"))
        names = [markets_of(number)[0] for number in (1, 2, 3)]
        refs = [{"venue": "kalshi", "market_id": name} for name in names]
        keys = [f"kalshi:{name}" for name in names]
        connection.execute(
            """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment,
                   updated_at)
               VALUES ('event:e', 'event', 'Who?', %s, %s, true, 'sandbox', %s)""",
            (Jsonb(refs), Jsonb([*([key] for key in keys), []]), datetime.now(UTC)),
        )
        assert approve_groups_in_sandbox(connection, datetime.now(UTC)) == 1
        signal = seed_signal(connection, 1)
        connection.execute("UPDATE trading.signals SET group_id = 'event:e'")
        connection.execute("DELETE FROM trading.signal_legs")
        for number, name in enumerate(names):
            connection.execute(
                """INSERT INTO trading.signal_legs (signal_id, leg_no, venue, market_id, outcome, limit_price_e4,
                       size_e6) VALUES (%s, %s, 'kalshi', %s, 'no', 6200, 20000000)""",
                (signal, number, name),
            )
        context, venues = make_context(connection, {}, 1, fake_settings())
        for name in names:
            venues[Venue.KALSHI].asks[name, "no"] = [[6_200, 20_000_000]]
            venues[Venue.KALSHI].asks[name, "yes"] = [[3_900, 20_000_000]]
        traded = await SignalTrader(connection, context, "run").trade(signal)
        assert traded.state is ExecutionState.HEDGED, traded
        row = rows(connection, "SELECT contracts_e6, expected_pnl_e6, edge_usd FROM trading.executions")[0]
        assert row["contracts_e6"] == 20_000_000
        # 20 x (2 - 1.86) = 2.80, less three fees of 0.007 x 20 x 0.62 x 0.38
        assert 2_700_000 < row["expected_pnl_e6"] < 2_702_000


async def test_a_spread_that_turns_on_a_held_hedge_is_an_exit_and_takes_no_capital_for_long(database: str) -> None:
    with connect(database) as connection:
        seed_group(connection, fees=("0.1", "0.01"))
        context, venues = make_context(connection, {}, 1, fake_settings(long_capital_days=0))

        def quote(*, kalshi_yes: int, kalshi_no: int, polymarket_yes: int, polymarket_no: int) -> None:
            for venue, market, yes, no in (
                (Venue.KALSHI, KALSHI_MARKET, kalshi_yes, kalshi_no),
                (Venue.POLYMARKET, POLYMARKET_MARKET, polymarket_yes, polymarket_no),
            ):
                venues[venue].asks[market, "yes"] = [[yes, 100_000_000]]
                venues[venue].asks[market, "no"] = [[no, 100_000_000]]

        trader = SignalTrader(connection, context, "run")
        quote(kalshi_yes=4_000, kalshi_no=6_200, polymarket_yes=5_200, polymarket_no=5_000)
        first = await trader.trade(seed_signal(connection, 1))
        assert first.state is ExecutionState.HEDGED, first
        # nothing more may be tied up for long from here on
        full = replace(context, settings=fake_settings(long_capital_days=0, long_capital_usd="1"))
        trader = SignalTrader(connection, full, "run")
        again = await trader.trade(seed_signal(connection, 2))
        assert again.refusal is not None
        assert again.refusal.reason is RefusalReason.LIMIT_LONG
        quote(kalshi_yes=6_200, kalshi_no=4_000, polymarket_yes=5_000, polymarket_no=5_200)
        turned = await trader.trade(seed_signal(connection, 3, kalshi="no", polymarket="yes"))
        assert turned.state is ExecutionState.HEDGED, turned
        entry, leaving = rows(connection, "SELECT contracts_e6, detail FROM trading.executions ORDER BY execution_id")
        assert 0 < leaving["contracts_e6"] <= entry["contracts_e6"]
        assert (leaving["detail"]["worth"]["capital_e6"], leaving["detail"]["worth"]["stress"]) == (0, [])
        checks = rows(connection, "SELECT checks FROM trading.gate_decisions ORDER BY decision_id DESC")[0]["checks"]
        assert next(check for check in checks if check["check"] == "long_capital")["verdict"] == "not_applicable"
        # what is closed cannot be closed again
        held = held_by_hedges(connection, "live", "g1")
        legs: list[LegKey] = [(f"kalshi:{KALSHI_MARKET}", "no"), (f"polymarket:{POLYMARKET_MARKET}", "yes")]
        assert closing_e6(legs, held) == entry["contracts_e6"] - leaving["contracts_e6"]


def test_signals_are_taken_by_what_they_are_expected_to_bring_per_dollar_and_day(database: str) -> None:
    with connect(database) as connection:
        seed_group(connection)
        least, unknown, most, middle = (seed_signal(connection, number) for number in range(4))
        for signal, expected in ((least, "0.001"), (most, "0.02"), (middle, "0.0011")):
            connection.execute(
                "UPDATE trading.signals SET expected_per_day = %s WHERE signal_id = %s", (Decimal(expected), signal)
            )
        taken = [found.signal_id for found in load_actionable(connection, 0, 9, 9)]
        assert taken == [most, middle, least, unknown]
