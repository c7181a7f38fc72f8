"""Hedged trades against the real sandbox exchanges, over their wire: placed, partially filled, settled, balanced."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from app.operator_actions import ask_flatten
from orchestration.execution.accounts.check_accounts import check_accounts
from orchestration.execution.accounts.live_checks import prepare_accounts
from orchestration.execution.accounts.order_groups import keep_order_groups
from orchestration.execution.settlement_cycle import run_cycle
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext, open_trading_context
from orchestration.execution.venues.gateway import OrderSpec
from streams.market.errors import Refused
from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import load_plan
from streams.sandbox.core.identifiers import polymarket_ids
from streams.sandbox.core.model import (
    CatalogueEvent,
    CatalogueMarket,
    CloseMarket,
    DetermineMarket,
    ListMarket,
    MarketAction,
    ParticipantFill,
    PlaceOrder,
    SettleMarket,
)
from streams.sandbox.process.process import Sandbox, SandboxOptions
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.store.accounting.breaks import load_differences
from streams.storage.store.accounting.switches import account_switches, replace_account
from streams.storage.store.market_groups import load_market_infos
from streams.storage.store.risk import set_limit
from streams.venues.common.http import http_client
from streams.venues.credentials.keystore import ensure_sandbox_credentials
from streams.venues.factory import kalshi_client, polymarket_client
from streams.venues.kalshi.types import listings as kalshi_listings
from streams.venues.polymarket.gamma import listings as gamma_listings
from tests.support.decisions import write_decision
from tests.support.ports import free_port

IDS = polymarket_ids("will-it-rain")
KALSHI = MarketRef(Venue.KALSHI, "KXRAIN-26NOV20")
POLYMARKET = MarketRef(Venue.POLYMARKET, IDS.condition_id)


GROUP_PATH = "/trade-api/v2/portfolio/order_groups/create"
ORDER_PATHS = ("/trade-api/v2/portfolio/events/orders", "/clob/order")


class TwoMarkets:
    """A flow of one pair with a standing gap; closes and settles both markets when told to."""

    def __init__(self) -> None:
        self._is_listed = False
        self.end: int | None = None
        """What one YES pays at the end, once the markets are to end."""
        self._is_over = False

    def step(self, now_ms: int, fills: Sequence[ParticipantFill]) -> list[MarketAction]:
        if not self._is_listed:
            self._is_listed = True
            return [*self._listing(datetime.fromtimestamp(now_ms / 1000, UTC)), *self._quotes()]
        if self.end is not None and not self._is_over:
            self._is_over = True
            result = "yes" if self.end == 10_000 else "no" if self.end == 0 else "scalar"
            acts: list[MarketAction] = []
            for ref in (KALSHI, POLYMARKET):
                acts += [CloseMarket(ref), DetermineMarket(ref, self.end, result), SettleMarket(ref)]  # type: ignore[arg-type]
            return acts
        return []

    def snapshot(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        return None

    def _listing(self, now: datetime) -> list[MarketAction]:
        close = now + timedelta(hours=1)
        kalshi = CatalogueMarket(
            Venue.KALSHI,
            KALSHI.market_id,
            "KXRAIN",
            "KXRAIN",
            "Will it rain?",
            "Rain.",
            close,
            now,
            fee_schedule={"fee_type": "quadratic", "fee_multiplier": "1"},
        )
        polymarket = CatalogueMarket(
            Venue.POLYMARKET,
            IDS.condition_id,
            "9001",
            "",
            "Will it rain?",
            "Rain.",
            close,
            now,
            min_size_e6=5_000_000,
            fee_schedule={"rate": "0.04", "exponent": "1", "taker_only": True},
            gamma_id=IDS.gamma_id,
            slug="will-it-rain",
            yes_token=IDS.yes_token,
            no_token=IDS.no_token,
        )
        return [
            ListMarket(CatalogueEvent(Venue.KALSHI, "KXRAIN", "KXRAIN", "Rain"), kalshi),
            ListMarket(CatalogueEvent(Venue.POLYMARKET, "9001", "", "Rain"), polymarket),
        ]

    def _quotes(self) -> list[MarketAction]:
        acts: list[MarketAction] = []
        # YES is 0.42 on Kalshi and NO 0.50 on Polymarket
        for ref, bid, ask in ((KALSHI, 4_000, 4_200), (POLYMARKET, 5_000, 5_200)):
            for number in range(3):
                size = (11 + 7 * number) * 1_000_000
                step = 100 * number
                acts.append(PlaceOrder(ref, "house", f"{ref}-b{number}", "bid", bid - step, size))
                acts.append(PlaceOrder(ref, "house", f"{ref}-a{number}", "ask", ask + step, size))
        return acts


async def discover(settings: Settings, connection: Connection) -> None:
    """Store both markets as discovery would."""
    async with http_client(settings) as http:
        raw = await kalshi_client(settings, http).market(KALSHI.market_id)
        series = await kalshi_client(settings, http).series("KXRAIN")
        listed = await polymarket_client(settings, http).gamma_markets_page(closed=False)
        gamma = next(gamma_listings.parse_market(one) for one in listed.items if one["id"] == IDS.gamma_id)
    now = datetime.now(UTC)
    found = (kalshi_listings.parse_market(raw.payload, None, series.payload), gamma)
    for market in found:
        listing = market.listing
        row = connection.execute(
            """INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title, outcomes,
                   close_time, status, terms, payload, seen_at)
               VALUES (%s, %s, 'v', 't', %s, %s, '["Yes", "No"]', %s, 'open', %s, '{}', %s) RETURNING version_id""",
            (
                listing.venue,
                listing.market_id,
                listing.event_id,
                listing.title,
                listing.close_time,
                Jsonb(asdict(market.terms)),
                now,
            ),
        ).fetchone()
        assert row is not None
        connection.execute(
            """INSERT INTO raw.market_state (venue, market_id, version_id, status, first_seen_at, last_seen_at)
               VALUES (%s, %s, %s, 'open', %s, %s)""",
            (listing.venue, listing.market_id, row["version_id"], now, now),
        )


def seed_pair(connection: Connection) -> None:
    connection.execute(
        """INSERT INTO trading.pairs (pair_id, kalshi_market_id, polymarket_market_id, relation, polarity,
               kalshi_text_hash, polymarket_text_hash, environment, created_at, updated_at)
           VALUES ('p1', %s, %s, 'equivalent', 'aligned', 't', 't', 'sandbox', now(), now())""",
        (KALSHI.market_id, POLYMARKET.market_id),
    )
    write_decision(connection, "pair:p1")
    connection.execute(
        """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment, updated_at)
           VALUES ('g1', 'pair', 'Rain', %s, %s, true, 'sandbox', now())""",
        (
            Jsonb([{"venue": ref.venue.value, "market_id": ref.market_id} for ref in (KALSHI, POLYMARKET)]),
            Jsonb([[str(KALSHI), str(POLYMARKET)], []]),
        ),
    )


def seed_signal(connection: Connection) -> int:
    row = connection.execute(
        """INSERT INTO trading.signals (group_id, leg_set, shard, environment, is_tradable, opened_at, open_edge_usd,
               peak_edge_usd, last_edge_usd, contracts_e6, cost_e6, fee_e6, profit_e6, updated_at)
           VALUES ('g1', 'a', 0, 'sandbox', true, now(), 0.05, 0.05, 0.05, 1, 1, 1, 1, now()) RETURNING signal_id"""
    ).fetchone()
    assert row is not None
    for number, (ref, outcome) in enumerate(((KALSHI, "yes"), (POLYMARKET, "no"))):
        connection.execute(
            """INSERT INTO trading.signal_legs (signal_id, leg_no, venue, market_id, outcome, limit_price_e4, size_e6)
               VALUES (%s, %s, %s, %s, %s, 5000, 1000000)""",
            (row["signal_id"], number, ref.venue.value, ref.market_id, outcome),
        )
    return int(row["signal_id"])


async def until(condition: Callable[[], Awaitable[bool]], deadline_s: float = 90) -> None:
    end = time.monotonic() + deadline_s
    while not await condition():
        assert time.monotonic() < end, "the condition was not met in time"
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("faults", "settlement", "state"),
    [
        ([], 10_000, "SETTLED"),
        ([{"kind": "lost_response", "path": path, "times": 1} for path in ORDER_PATHS], 0, "SETTLED"),
        # making two of the order groups
        ([{"kind": "lost_response", "path": GROUP_PATH, "times": 2}], 0, "SETTLED"),
        ([{"kind": "partial_fill", "fraction": "0.4", "times": 1}], 3_700, "SETTLED"),
        # bought on Polymarket, refused on Kalshi: sold again at a loss, the dust of it paid at the end
        ([{"kind": "reject", "venue": "kalshi", "code": "trading_is_paused"}], 10_000, "FLAT"),
    ],
)
def test_a_trade_on_the_sandbox_ends_and_its_profit_is_the_change_of_both_balances(
    database: str, tmp_path: Path, faults: list[dict[str, Any]], settlement: int, state: str
) -> None:
    async def trade(connection: Connection, context: TradingContext, flow: TwoMarkets) -> None:
        await prepare_accounts(connection, context)
        outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection))
        assert (outcome.execution_id, outcome.refusal) != (None, None), outcome
        assert outcome.refusal is None, outcome.refusal

        purposes = {row["purpose"] for row in connection.execute("SELECT purpose FROM trading.intents")}
        assert ("unwind" in purposes) == (state == "FLAT")

        async def is_confirmed() -> bool:
            await run_cycle(connection, context, "cycle")
            row = connection.execute("SELECT count(*) AS n FROM trading.fills WHERE state = 'provisional'").fetchone()
            return row == {"n": 0}

        await until(is_confirmed)
        balances = (await run_cycle(connection, context, "cycle")).balances
        assert [(balance.difference_e6, balance.in_flight) for balance in balances] == [(0, 0), (0, 0)]
        await accounts_agree(connection, context)
        flow.end = settlement

        async def is_settled() -> bool:
            connection.execute("UPDATE raw.market_state SET settlement_e4 = %s", (settlement,))
            await run_cycle(connection, context, "cycle")
            row = connection.execute("SELECT settled_at FROM trading.executions").fetchone()
            return row is not None and row["settled_at"] is not None

        await until(is_settled)
        balances = (await run_cycle(connection, context, "cycle")).balances
        assert [balance.difference_e6 for balance in balances] == [0, 0]
        execution = connection.execute("SELECT * FROM trading.executions").fetchone()
        assert execution is not None
        assert execution["realised_pnl_e6"] == sum(balance.cash_e6 for balance in balances) - 20_000_000_000
        await accounts_agree(connection, context)
        assert execution["state"] == state
        assert (execution["realised_pnl_e6"] > 0) == (state == "SETTLED")

    on_the_sandbox(database, tmp_path, faults, trade)


def test_what_somebody_trades_by_hand_on_the_sandbox_is_booked_to_foreign(database: str, tmp_path: Path) -> None:
    async def trade(connection: Connection, context: TradingContext, flow: TwoMarkets) -> None:
        await prepare_accounts(connection, context)
        await accounts_agree(connection, context)
        infos = load_market_infos(connection, [str(KALSHI), str(POLYMARKET)])
        for ref, outcome, limit in ((KALSHI, "yes", 4_300), (POLYMARKET, "no", 5_100)):
            gateway = context.gateways[ref.venue]
            await gateway.books([infos[str(ref)].target])
            spend = 4_000_000 if gateway.buys_spend_dollars else None
            spec = OrderSpec(infos[str(ref)].target, outcome, "buy", limit, 7_000_000, spend)  # type: ignore[arg-type]
            await gateway.send(gateway.prepare(spec))
        await accounts_agree(connection, context, reduced={"kalshi", "polymarket"})
        (held,) = connection.execute("SELECT count(*) AS n FROM trading.positions WHERE contracts_e6 > 0").fetchall()
        assert held == {"n": 2}
        seen = connection.execute("SELECT venue, kind FROM trading.foreign_activity ORDER BY venue").fetchall()
        assert {(row["venue"], row["kind"]) for row in seen} == {("kalshi", "fill"), ("polymarket", "fill")}

    on_the_sandbox(database, tmp_path, [], trade)


def test_a_flatten_on_the_sandbox_sells_both_legs_and_books_its_loss(database: str, tmp_path: Path) -> None:
    async def trade(connection: Connection, context: TradingContext, flow: TwoMarkets) -> None:
        await prepare_accounts(connection, context)
        outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection))
        assert outcome.state == "HEDGED", outcome
        assert outcome.execution_id is not None
        ask_flatten(connection, outcome.execution_id, who="mara", reason="drill")

        async def is_obeyed() -> bool:
            await run_cycle(connection, context, "cycle")
            row = connection.execute("SELECT count(*) AS n FROM trading.fills WHERE state = 'provisional'").fetchone()
            return row == {"n": 0}

        await until(is_obeyed)
        command = connection.execute("SELECT * FROM trading.commands").fetchone()
        assert command is not None
        assert command["result"].startswith("FLAT: "), command["result"]
        balances = (await run_cycle(connection, context, "cycle")).balances
        assert [(balance.difference_e6, balance.in_flight) for balance in balances] == [(0, 0), (0, 0)]
        execution = connection.execute("SELECT * FROM trading.executions").fetchone()
        assert execution is not None
        assert execution["state"] == "FLAT"
        left = connection.execute(
            "SELECT coalesce(sum(contracts_e6), 0)::bigint AS n FROM trading.positions WHERE contracts_e6 > 0"
        ).fetchone()
        assert left is not None
        assert left["n"] < 20_000  # nothing, but for what is below a step
        change = sum(balance.cash_e6 for balance in balances) - 20_000_000_000
        assert change < 0
        assert execution["realised_pnl_e6"] == (None if left["n"] else change)

    on_the_sandbox(database, tmp_path, [], trade)


def test_a_tripped_order_group_reduces_the_account_until_a_person_lets_it_open_again(
    database: str, tmp_path: Path
) -> None:
    async def trade(connection: Connection, context: TradingContext, flow: TwoMarkets) -> None:
        await prepare_accounts(connection, context)
        groups = context.order_groups
        assert groups is not None
        listed = {group.group_id: group.limit_e6 for group in await groups.client.order_groups()}
        assert set(listed) == set(groups.ids.values())
        assert set(listed.values()) == {6_000_000_000}
        target = load_market_infos(connection, [str(KALSHI)])[str(KALSHI)].target
        group_id, gateway = groups.group_of(target), context.gateways[Venue.KALSHI]
        assert target.terms.exchange_index is not None
        await groups.client.trigger_order_group(group_id, exchange_index=target.terms.exchange_index)

        outcome = await SignalTrader(connection, context, "run").trade(seed_signal(connection))
        assert outcome.state == "FLAT"  # what was bought on Polymarket is sold again
        switch = account_switches(connection, context.mode)[Venue.KALSHI]
        assert (switch.state, switch.set_by) == ("reduce", "order group")
        alerts = "SELECT kind FROM trading.alerts WHERE cleared_at IS NULL AND kind = 'order_group'"
        assert len(connection.execute(alerts).fetchall()) == 1
        await keep_order_groups(connection, context, datetime.now(UTC))
        buy = OrderSpec(target, "yes", "buy", 4_300, 1_000_000)
        with pytest.raises(Refused, match="order group"):  # nobody has let it open again
            await gateway.send(gateway.prepare(buy))

        assert replace_account(connection, switch, "mara", "seen", datetime.now(UTC)) is not None
        await keep_order_groups(connection, context, datetime.now(UTC))
        assert connection.execute(alerts).fetchall() == []
        assert (await gateway.send(gateway.prepare(buy))).filled_e6 == 1_000_000

        # a limit that a person has changed reaches the venue; what the venue has lost is made anew
        set_limit(connection, "order_contracts", Decimal(2), "mara", "less")
        await groups.client.delete_order_group(group_id, exchange_index=target.terms.exchange_index)
        await keep_order_groups(connection, context, datetime.now(UTC))
        assert group_id not in groups.ids.values()
        listed = {group.group_id: group.limit_e6 for group in await groups.client.order_groups()}
        assert (set(listed), set(listed.values())) == (set(groups.ids.values()), {240_000_000})
        assert (await gateway.send(gateway.prepare(buy))).filled_e6 == 1_000_000

    on_the_sandbox(database, tmp_path, [], trade)


async def accounts_agree(connection: Connection, context: TradingContext, reduced: Set[str] = frozenset()) -> None:
    """Wait until both accounts show what our books say; there is no break, and only those named are reduced."""
    looks = itertools.count(1)

    async def do() -> bool:
        at = datetime.now(UTC) + next(looks) * timedelta(seconds=30)
        found = await check_accounts(connection, context, lambda: at)
        return [checked.verdict for checked in found] == ["agrees", "agrees"]

    await until(do)
    assert [row for row in load_differences(connection, context.mode) if row.state == "open"] == []
    switched = account_switches(connection, context.mode)
    assert {venue.value for venue, switch in switched.items() if switch.state == "reduce"} == reduced


Trade = Callable[[Connection, TradingContext, TwoMarkets], Awaitable[None]]


def on_the_sandbox(database: str, tmp_path: Path, faults: list[dict[str, Any]], trade: Trade) -> None:
    """Serve both exchanges with one pair and these faults while `trade` acts on them."""
    settings = Settings(
        home=tmp_path,
        venues="sandbox",
        kalshi_sandbox_port=free_port(),
        polymarket_sandbox_port=free_port(),
        unknown_absent_after_s=2,
        polymarket_absent_after_s=2,
        execution_max_s=60,
        limit_edge_usd=Decimal(1),
    )
    ensure_sandbox_credentials(settings)
    plan = tmp_path / "faults.json"
    timing = {"mined_ms": 200, "confirmed_ms": 500, "failed_probability": "0", "sellable": "matched"}
    plan.write_text(json.dumps({"seed": 1, "settlement": timing, "rules": faults}))
    flow = TwoMarkets()
    options = SandboxOptions(
        settings.kalshi_sandbox_port,
        settings.polymarket_sandbox_port,
        settings.home_dir / "sandbox",
        lambda anchor: (flow, None),
        faults=load_plan(plan),
    )

    async def main() -> None:
        sandbox = Sandbox(options)
        ready = asyncio.Event()
        serving = asyncio.create_task(sandbox.run(lambda document: ready.set()))
        await asyncio.wait_for(ready.wait(), 60)
        try:
            with connect(database) as connection:
                await discover(settings, connection)
                seed_pair(connection)
                async with open_trading_context(settings, connection) as context:
                    await trade(connection, context, flow)
        finally:
            sandbox.stop()
            await serving

    asyncio.run(main())
