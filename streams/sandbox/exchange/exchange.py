"""One sandbox exchange: its state and the services on it, and what moves it: market actions, and time.

It knows engine, accounts and records; it knows no wire format, no socket, no file. Time comes in with every call.
"""

from __future__ import annotations

from streams.market.errors import Refused
from streams.market.identity import Venue
from streams.sandbox.core.book import Order
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import (
    CancelOrder,
    CloseMarket,
    DetermineMarket,
    ListMarket,
    MarketAction,
    PlaceOrder,
    SettleMarket,
)
from streams.sandbox.core.profile import ZERO, Profile
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.exchange.buying_power import BuyingPower
from streams.sandbox.exchange.change_feed import ChangeFeed
from streams.sandbox.exchange.inventory import Inventory
from streams.sandbox.exchange.lagged_replica import LaggedReplica
from streams.sandbox.exchange.market_lifecycle import MarketLifecycle
from streams.sandbox.exchange.order_entry import OrderEntry
from streams.sandbox.exchange.price_grids import PriceGrids
from streams.sandbox.exchange.settlement import Settlement
from streams.sandbox.exchange.settlement_timing import SettlementTiming
from streams.sandbox.exchange.state import ExchangeState
from streams.sandbox.exchange.trade_capture import TradeCapture
from streams.sandbox.exchange.trading_status import TradingStatus
from streams.sandbox.exchange.transfers import Transfers

SHORT_LIFE_MS = 24 * 3_600_000
KEPT_UNTRADED_MS = 900_000
KEPT_TRADED_MS = 7 * 24 * 3_600_000
_EVICT_EVERY_MS = 60_000


class Exchange:
    """One venue's exchange. What it holds is `state`; what can be done with it, the services beside it."""

    def __init__(self, venue: Venue, faults: FaultPlan, seed: int = 0, profile: Profile = ZERO) -> None:
        self.state = state = ExchangeState(venue, faults, seed, profile)
        self.replica = LaggedReplica(state)
        self.feed = ChangeFeed(state, self.replica)
        self.timing = SettlementTiming(state)
        self.price_grids = PriceGrids(state, self.feed)
        self.capture = TradeCapture(state, self.feed, self.timing, self.price_grids)
        self.buying_power = BuyingPower(state, self.timing)
        self.settlement = Settlement(state, self.feed, self.capture, self.timing, self.buying_power)
        self.inventory = Inventory(state, self.feed, self.buying_power)
        self.transfers = Transfers(state, self.feed, self.capture, self.buying_power)
        self.status = TradingStatus(state, self.capture)
        self.order_entry = OrderEntry(state, self.feed, self.capture, self.status, self.buying_power)
        self.lifecycle = MarketLifecycle(state, self.feed, self.capture, self.order_entry)
        self._evicted_ms = 0

    # -- market actions ---------------------------------------------------------------------------------------------

    def apply(self, action: MarketAction, now_ms: int) -> None:
        """Carry out one action. Those that come too late (a closed market, an unknown order) change nothing."""
        if isinstance(action, PlaceOrder):
            self._place_simulated(action, now_ms)
        elif isinstance(action, CancelOrder):
            self._cancel_simulated(action, now_ms)
        elif isinstance(action, ListMarket):
            self.lifecycle.list_market(action, now_ms)
        else:
            listed = self.state.markets.get(action.market.market_id)
            if listed is None:
                return
            if isinstance(action, CloseMarket):
                self.lifecycle.close(listed, now_ms)
            elif isinstance(action, DetermineMarket):
                self.lifecycle.determine(listed, action, now_ms)
            elif isinstance(action, SettleMarket):
                self.settlement.settle_market(listed, now_ms)
            else:
                self.price_grids.change(listed, action.tick_e4, now_ms)

    def _place_simulated(self, action: PlaceOrder, now_ms: int) -> None:
        self.capture.expire(now_ms)
        order = Order(
            participant_order_id(action.account, action.order_key),
            action.account,
            action.market.market_id,
            action.side,
            action.price_e4,
            action.size_e6,
            action.size_e6,
            "ioc" if action.is_immediate else "gtc",
            self.state.mode == "post_only",
            self_trade="maker",
            is_house=True,
            client_order_id=action.order_key,
        )
        try:
            self.status.check_entry(action.market.market_id, is_post_only=not action.is_immediate)
            self.state.engine.submit(order)
        except Refused:
            self.state.refused_participant_orders += 1
            return
        self.capture.publish(action.market.market_id, now_ms)

    def _cancel_simulated(self, action: CancelOrder, now_ms: int) -> None:
        if self.status.is_standing_still:
            self.state.waiting_cancels.append(action)
        elif self.state.engine.cancel(participant_order_id(action.account, action.order_key)) is not None:
            self.capture.publish(action.market.market_id, now_ms)

    # -- time -------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Let time pass: modes end, orders expire, held ones are released, trades settle, cash is rebalanced."""
        self.replica.prepare(now_ms)
        self.status.tick(now_ms)
        if not self.status.is_standing_still:
            waiting, self.state.waiting_cancels = self.state.waiting_cancels, []
            for action in waiting:
                self._cancel_simulated(action, now_ms)
        self.capture.expire(now_ms)
        self.order_entry.release(now_ms)
        self.settlement.settle_trades(now_ms)
        self.transfers.rebalance(now_ms)
        if now_ms - self._evicted_ms >= _EVICT_EVERY_MS:
            self._evicted_ms = now_ms
            for market_id in evictable(self.state, now_ms):
                self.evict_market(market_id)

    def evict_market(self, market_id: str) -> None:
        """Drop a market that was settled long ago with everything that belongs to it; lists and journal lose it."""
        state = self.state
        orders = {order_id for order_id, record in state.orders.items() if record.request.market_id == market_id}
        trades = {trade_id for trade_id, trade in state.trades.items() if trade.market_id == market_id}
        for order_id in orders:
            del state.orders[order_id]
        for trade_id in trades:
            del state.trades[trade_id]
        state.payouts = [payout for payout in state.payouts if payout.market_id != market_id]
        for account in state.accounts.accounts.values():
            account.positions.pop(market_id, None)
        state.accounts.evict_market(market_id)
        state.collateral.evict_market(market_id)
        self.replica.evict(orders, trades)
        state.engine.evict(market_id)
        state.changes.evict(market_id, orders, trades)
        listed = state.markets.pop(market_id, None)
        if listed is not None:
            self.feed.publish_eviction(listed)


def participant_order_id(account: str, order_key: str) -> str:
    """The engine's id of an order of a simulated participant."""
    return f"{account}/{order_key}"


def evictable(state: ExchangeState, now_ms: int) -> list[str]:
    """Return the markets nobody misses: short-lived, settled long ago, and no account holds any of them.

    A market in which no external account had an order goes after a quarter of an hour, any other after seven days: then
    its orders, trades and payouts go with it, as at the venues, whose old records move to another tier. One across
    whose event collateral is returned stays until the whole event has settled.
    """
    due = [market for market in state.markets.values() if _is_due(market, now_ms, KEPT_UNTRADED_MS)]
    if not due:
        return []
    traded = {record.request.market_id for record in state.orders.values()}
    held = {
        market_id
        for account in state.accounts.accounts.values()
        for market_id, position in account.positions.items()
        if position.yes_e6 or position.no_e6
    }
    return [
        market.market_id
        for market in due
        if market.market_id not in held
        and not state.collateral.is_needed(market.market_id)
        and (market.market_id not in traded or _is_due(market, now_ms, KEPT_TRADED_MS))
    ]


def _is_due(listed: ListedMarket, now_ms: int, kept_ms: int) -> bool:
    if listed.settled_ms is None or now_ms - listed.settled_ms < kept_ms:
        return False
    return listed.close_ms - round(listed.market.open_time.timestamp() * 1000) <= SHORT_LIFE_MS
