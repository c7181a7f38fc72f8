"""What holds at every moment, whatever happened before."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from streams.market.identity import Outcome, Venue
from streams.sandbox.core.accounts import Account, Action
from streams.sandbox.core.records import OrderRecord
from tests.engine.stage import CONTRACT, DEPOSIT
from tests.engine.world import World

_FEES_E6 = 2 * CONTRACT
"""What the fees of held orders may take beyond what was there when they were taken."""
_ROUNDING_E6 = 50_000
"""What the rounding of maker fees over many fills may take beyond what was reserved for them."""


def check(world: World) -> None:
    """Raise AssertionError when something is not as it must be."""
    world.ledger.compare(world.exchange)
    _check_money(world)
    _check_books(world)
    _check_tickets(world)


def _check_money(world: World) -> None:
    exchange, accounts = world.exchange, world.exchange.state.accounts
    assert accounts.total_e6() == DEPOSIT * len(world.names), "cash, escrow and fees are what was deposited"
    for market_id, listed in exchange.state.markets.items():
        positions = [a.positions[market_id] for a in accounts.accounts.values() if market_id in a.positions]
        yes, no = sum(p.yes_e6 for p in positions), sum(p.no_e6 for p in positions)
        escrow = accounts.escrow_e6.get(market_id, 0)
        if listed.status != "settled":
            assert yes == no == escrow, f"as many YES as NO, and a dollar for each: {yes} {no} {escrow}"
        else:
            value = listed.settlement_e4 or 0
            owed = sum(p.yes_e6 * value // 10_000 + p.no_e6 * (10_000 - value) // 10_000 for p in positions)
            most = 20 + len(world.names) * exchange.state.payout_step_e6
            assert 0 <= escrow - owed <= most, f"what is left in escrow is owed: {escrow} {owed}"
    for account in accounts.accounts.values():
        for position in account.positions.values() if account.is_house else ():
            assert min(position.yes_e6, position.no_e6) >= 0, "the house owes no tokens"
    for account_id in world.names.values():
        account = accounts.accounts[account_id]
        assert min(exchange.buying_power.reserved_by_shard(account).values(), default=0) >= 0
        if world.ear.has_failed and not exchange.timing.needs_mining:
            continue
        assert all(p.yes_e6 >= 0 and p.no_e6 >= 0 for p in account.positions.values()), "nobody owes tokens"
        reserved = exchange.buying_power.reserved_by_shard(account) if world.venue is Venue.POLYMARKET else {}
        for shard, cash in account.cash_by_shard_e6.items():
            assert cash >= -_ROUNDING_E6, "nobody owes money"
            free = cash - reserved.get(shard, 0) - _unmined(world, account.account_id, "", "sell")
            assert free >= -_FEES_E6, "what orders may need is there"
        _check_tokens(world, account)


def _check_tokens(world: World, account: Account) -> None:
    """What open sells promise is held, and is mined where that is needed."""
    promised: Counter[tuple[str, Outcome]] = Counter()
    for record in (*world.exchange.state.resting.values(), *world.exchange.state.delayed.values()):
        request = record.request
        if request.account_id == account.account_id and request.intent.action == "sell":
            promised[request.market_id, request.intent.outcome] += record.remaining_e6
    for market_id, position in account.positions.items():
        for outcome in get_args(Outcome):
            free = position.held_e6(outcome) - promised[market_id, outcome]
            assert free >= _unmined(world, account.account_id, market_id, "buy", outcome), "sold tokens are there"


def _unmined(world: World, account_id: str, market_id: str, action: Action, outcome: str = "") -> int:
    """Contracts bought, or cash from sales, that are not on the chain where they have to be."""
    if not world.exchange.timing.needs_mining:
        return 0
    return sum(
        trade.size_e6 if action == "buy" else side.charge.cash_change_e6
        for trade in world.exchange.state.trades.values()
        for side in (trade.taker, trade.maker)
        if trade.status in ("MATCHED", "RETRYING")
        and side.account_id == account_id
        and side.charge is not None
        and side.intent.action == action
        and market_id in ("", trade.market_id)
        and outcome in ("", side.intent.outcome)
    )


def _check_books(world: World) -> None:
    engine = world.exchange.state.engine
    for market_id, book in engine.books.items():
        assert book.price_ranges == world.exchange.state.markets[market_id].price_ranges
        bids, asks = book.levels("bid"), book.levels("ask")
        assert (book.best_bid, book.best_ask) == (bids[0][0] if bids else None, asks[0][0] if asks else None)
        assert not bids or not asks or bids[0][0] < asks[0][0], "the book is not crossed"
        for side, levels in (("bid", book.bids), ("ask", book.asks)):
            for level in levels.values():
                assert level.total_e6 == sum(order.remaining_e6 for order in level.orders.values()) > 0
            prices = sorted(levels, reverse=side == "bid")
            queue = [(price, o.order_id, o.remaining_e6) for price in prices for o in levels[price].orders.values()]
            assert queue == world.reference.queue(market_id, side == "bid"), "the queue is the reference's"
            for level in levels.values():
                places = [order.sequence for order in level.orders.values()]
                assert places == sorted(set(places)), "later orders have later numbers"


def _check_tickets(world: World) -> None:
    exchange = world.exchange
    resting = {name for name, order in exchange.state.engine.orders.items() if not order.is_house}
    assert resting == set(exchange.state.resting)
    assert set(exchange.state.accounts.order_fees) <= resting | set(exchange.state.delayed), (
        "what has ended accrues no fees"
    )
    waiting = {
        name for name, trade in exchange.state.trades.items() if trade.status in ("MATCHED", "MINED", "RETRYING")
    }
    assert set(exchange.state.unsettled) == waiting
    for name, record in exchange.state.orders.items():
        assert record.filled_e6 == sum(exchange.state.trades[trade_id].size_e6 for trade_id in record.trade_ids)
        assert (record.status == "resting") == (name in resting)
        assert (record.status == "delayed") == (name in exchange.state.delayed)
        _check_end(world, record)
        if name in exchange.state.accounts.order_fees:
            assert exchange.state.accounts.order_fees[name].accumulator_e6 == record.fee_remainder_e6
        if name in resting:
            assert record.sequence == exchange.state.engine.orders[name].sequence
            assert record.remaining_e6 == exchange.state.engine.orders[name].remaining_e6
            assert record.request.price_e4 == exchange.state.engine.orders[name].price_e4


def _check_end(world: World, record: OrderRecord) -> None:
    """How an order stands fits what it traded."""
    request = record.request
    if not record.is_open:
        stopped = record.reason in ("immediate", "self_trade") and record.filled_e6 > 0
        assert (record.status == "executed") == (record.reason == "filled" or stopped)
        assert record.remaining_e6 == 0
        if record.reason == "filled" and request.spend_e6 is None:
            assert record.filled_e6 == request.size_e6
    if request.spend_e6 is not None:
        assert record.taker_cash_e6 <= request.spend_e6, "an order pays no more than its dollars"
    if request.is_reduce_only:
        for trade in (world.exchange.state.trades[trade_id] for trade_id in record.trade_ids):
            after = trade.taker.post_position_e6
            assert after <= 0 if request.side == "bid" else after >= 0, "a reduce-only order opens nothing"
