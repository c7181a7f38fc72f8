"""Where every change of an exchange goes: to the journal's list, to the lagged replica, and to the listeners."""

from __future__ import annotations

from collections.abc import Collection

from streams.sandbox.core.accounts import Account
from streams.sandbox.core.book import LevelChanged
from streams.sandbox.core.records import LifecycleMoment, ListedMarket, Listener, OrderRecord, Trade
from streams.sandbox.exchange.lagged_replica import LaggedReplica
from streams.sandbox.exchange.state import ExchangeState


class ChangeFeed:
    """Notes what changed (`note_`) and publishes it to the listeners (`publish_`, which notes it first)."""

    def __init__(self, state: ExchangeState, replica: LaggedReplica) -> None:
        self._state = state
        self._replica = replica

    def note_order(self, record: OrderRecord, now_ms: int) -> None:
        """An order changed."""
        self._state.changes.orders.add(record.request.order_id)
        if self._state.profile.read_lag_ms:
            self._replica.note_order(record, now_ms)

    def note_account(self, account: Account, market_id: str, now_ms: int) -> None:
        """An account's cash changed, and its position in a market if one is named."""
        if account.is_house:
            return
        self._state.changes.touch(account.account_id, market_id)
        if self._state.profile.read_lag_ms:
            self._replica.note_account(account, market_id, now_ms)

    def note_trade(self, trade: Trade, now_ms: int) -> None:
        """A trade of an external account was made or moved on."""
        self._state.changes.trades[trade.trade_id] = trade
        if self._state.profile.read_lag_ms:
            self._replica.note_trade(trade, now_ms)

    def publish_lifecycle(self, listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> None:
        """A market changed its state."""
        listed.updated_ms = now_ms
        self._state.changes.markets.add(listed.market_id)
        for listener in self._state.listeners:
            listener.on_lifecycle(listed, moment, now_ms)

    def publish_order(self, record: OrderRecord, now_ms: int) -> None:
        """An order changed without the book."""
        self.note_order(record, now_ms)
        listed = self._state.markets[record.request.market_id]
        for listener in self._state.listeners:
            listener.on_order(record, listed, now_ms)

    def publish_trade(self, trade: Trade, now_ms: int) -> None:
        """A trade moved on."""
        self.note_trade(trade, now_ms)
        for listener in self._state.listeners:
            _tell_sides(listener, trade, self._state.markets[trade.market_id], now_ms)

    def publish_book(
        self,
        listed: ListedMarket,
        changes: list[LevelChanged],
        trades: list[Trade],
        records: Collection[OrderRecord],
        now_ms: int,
    ) -> None:
        """A market's book changed, with the trades and the orders of external accounts that this was about."""
        for record in records:
            self.note_order(record, now_ms)
        for listener in self._state.listeners:
            listener.on_book(listed, changes, trades, now_ms)
            for record in records:
                listener.on_order(record, listed, now_ms)
            for trade in trades:
                _tell_sides(listener, trade, listed, now_ms)

    def publish_eviction(self, listed: ListedMarket) -> None:
        """A market that was settled long ago is not served any more."""
        for listener in self._state.listeners:
            listener.on_evicted(listed)


def _tell_sides(listener: Listener, trade: Trade, listed: ListedMarket, now_ms: int) -> None:
    for side in (trade.taker, trade.maker):
        if side.charge is not None:
            listener.on_trade_side(trade, side, listed, now_ms)
