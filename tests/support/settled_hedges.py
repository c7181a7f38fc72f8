"""A hedge on two stand-ins of venues, its payouts, and that the books balance after them."""

from __future__ import annotations

import random
from collections.abc import Mapping

from orchestration.execution.reconcile import reconcile
from orchestration.execution.settlement import compare_balances, ensure_deposits
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from streams.market.identity import Venue
from streams.storage.database import Connection
from streams.storage.store.ledger import compact_totals
from tests.support.fake_venue import (
    KALSHI_MARKET,
    POLYMARKET_MARKET,
    FakeVenue,
    fake_settings,
    make_context,
    rows,
    seed_group,
    seed_signal,
    set_books,
)

HELD = "SELECT venue, outcome, contracts_e6 FROM trading.positions WHERE contracts_e6 <> 0"
MARKETS = {Venue.KALSHI: KALSHI_MARKET, Venue.POLYMARKET: POLYMARKET_MARKET}


async def hedged(connection: Connection) -> tuple[TradingContext, dict[Venue, FakeVenue]]:
    """Open a hedge whose fills are all confirmed."""
    seed_group(connection)
    context, venues = make_context(connection, {}, 1, fake_settings())
    await ensure_deposits(connection, context)
    set_books(venues, random.Random(5))
    await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
    for _ in range(20):
        await reconcile(connection, context, "run")
    return context, venues


def pay(venues: Mapping[Venue, FakeVenue], settlement_e4: int) -> None:
    """Let both markets pay."""
    for venue, fake in venues.items():
        fake.settle_market(MARKETS[venue], settlement_e4)


async def assert_balanced(connection: Connection, context: TradingContext) -> None:
    """Nothing is held, the ledger's cash is the venues', and a realised trade has its cash in the ledger."""
    assert rows(connection, HELD) == []
    assert [balance.difference_e6 for balance in await compare_balances(connection, context)] == [0, 0]
    cash = "SELECT mode, venue, sum(cash_e6)::bigint AS cash_e6 FROM trading.ledger GROUP BY mode, venue ORDER BY 1, 2"
    own = """SELECT mode, venue, sum(amount_e6)::bigint AS cash_e6 FROM trading.account_totals
        WHERE account IN ('cash', 'in_transit', 'provisional') GROUP BY mode, venue ORDER BY 1, 2"""
    assert rows(connection, own) == rows(connection, cash)
    compact_totals(connection)
    assert rows(connection, own) == rows(connection, cash)
    for account in ("provisional", "receivable", "advances", "suspense"):
        stands = f"SELECT 1 FROM trading.account_totals WHERE account = '{account}' HAVING sum(amount_e6) <> 0"
        assert rows(connection, stands) == [], account
    wrong = """SELECT e.execution_id, e.realised_pnl_e6, sum(l.cash_e6) FROM trading.executions AS e
        JOIN trading.ledger AS l USING (execution_id) WHERE e.settled_at IS NOT NULL
        GROUP BY e.execution_id HAVING e.realised_pnl_e6 <> sum(l.cash_e6)"""
    assert rows(connection, wrong) == []
