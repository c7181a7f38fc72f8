"""An account as its owner may read it: venues answer reads from a replica that lies some hundred milliseconds behind.

Copies of what changes are kept while they can still be asked for; without a lag nothing is copied and reads are live.
"""

from __future__ import annotations

from collections import deque
from copy import copy
from dataclasses import replace
from typing import Generic, TypeVar

from streams.sandbox.core.accounts import Account
from streams.sandbox.core.records import OrderRecord, Payout, Trade
from streams.sandbox.exchange.state import ExchangeState

T = TypeVar("T")


class Versions(Generic[T]):
    """The states of things by id, each with the time from which it held."""

    def __init__(self) -> None:
        self._states: dict[str, deque[tuple[int, T]]] = {}

    def add(self, key: str, at_ms: int, state: T, seen_ms: int) -> None:
        """Note a new state; the last one of a millisecond counts. Nobody will ask for what was before `seen_ms`."""
        states = self._states.setdefault(key, deque())
        if states and states[-1][0] == at_ms:
            states.pop()
        states.append((at_ms, state))
        self.at(key, seen_ms)

    def last(self, key: str) -> T | None:
        """The newest state that was noted."""
        states = self._states.get(key)
        return states[-1][1] if states else None

    def at(self, key: str, at_ms: int) -> T | None:
        """The state at a time; the oldest known one when all are newer; None when none was noted."""
        states = self._states.get(key)
        if not states:
            return None
        while len(states) > 1 and states[1][0] <= at_ms:
            states.popleft()
        return states[0][1]

    def evict(self, key: str) -> None:
        """Drop every state of one thing."""
        self._states.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        self._states.clear()


class LaggedReplica:
    """An exchange as it was `read_lag_ms` of its profile ago. What it returns must not be changed."""

    def __init__(self, state: ExchangeState) -> None:
        self._state = state
        self._orders: Versions[OrderRecord] = Versions()
        self._trades: Versions[Trade] = Versions()
        self._accounts: Versions[Account] = Versions()
        self._changed: dict[str, int] = {}
        """Orders by when they changed last, oldest first: none is older than the lag."""

    # -- reading ----------------------------------------------------------------------------------------------------

    def order(self, order_id: str, now_ms: int) -> OrderRecord | None:
        """One order; None when it is unknown, or too young to be seen."""
        live, lag = self._state.orders.get(order_id), self._lag
        if live is None or not lag:
            return live
        return None if live.created_ms > now_ms - lag else self._orders.at(order_id, now_ms - lag) or live

    def orders(self, account_id: str, now_ms: int) -> list[OrderRecord]:
        """All orders of an account, oldest first."""
        own = [t.order_id for t in self._state.orders.values() if t.request.account_id == account_id]
        return [seen for order_id in own if (seen := self.order(order_id, now_ms)) is not None]

    def open_orders(self, account_id: str, now_ms: int) -> list[OrderRecord]:
        """The account's orders that rest or wait, oldest first."""
        state = self._state
        self._drop_seen(now_ms)
        names = {**state.resting, **state.delayed, **self._changed}
        own = [live for name in names if (live := state.orders[name]).request.account_id == account_id]
        found = (self.order(live.order_id, now_ms) for live in sorted(own, key=lambda live: live.number))
        return [seen for seen in found if seen is not None and seen.is_open]

    def trades(self, account_id: str, now_ms: int) -> list[Trade]:
        """All trades of an account, oldest first."""
        cut = now_ms - self._lag
        own = [
            trade
            for trade in self._state.trades.values()
            if trade.at_ms <= cut and account_id in (trade.taker.account_id, trade.maker.account_id)
        ]
        return [self._trades.at(trade.trade_id, cut) or trade for trade in own] if self._lag else own

    def account(self, account_id: str, now_ms: int) -> Account:
        """Cash and positions of an account.

        Raises:
            KeyError: If there is no such account.
        """
        live = self._state.accounts.accounts[account_id]
        return self._accounts.at(account_id, now_ms - self._lag) or live if self._lag else live

    def payouts(self, account_id: str, now_ms: int) -> list[Payout]:
        """What settled positions of an account paid, oldest first."""
        cut = now_ms - self._lag
        return [p for p in self._state.payouts if p.account_id == account_id and p.at_ms <= cut]

    # -- noting: only where reads lag -------------------------------------------------------------------------------

    def note_order(self, record: OrderRecord, now_ms: int) -> None:
        """An order changed."""
        seen = replace(record, request=copy(record.request), trade_ids=list(record.trade_ids))
        self._orders.add(record.order_id, now_ms, seen, now_ms - self._lag)
        self._changed.pop(record.order_id, None)
        self._changed[record.order_id] = now_ms

    def note_trade(self, trade: Trade, now_ms: int) -> None:
        """A trade was made or its settlement moved on."""
        self._trades.add(trade.trade_id, now_ms, copy(trade), now_ms - self._lag)

    def note_account(self, account: Account, market_id: str, now_ms: int) -> None:
        """Cash changed, and the position in a market if one is named."""
        last = self._accounts.last(account.account_id)
        if last is None:
            positions = {held: copy(position) for held, position in account.positions.items()}
        else:
            positions = dict(last.positions)
            if market_id in account.positions:
                positions[market_id] = copy(account.positions[market_id])
        seen = replace(
            account,
            cash_by_shard_e6=dict(account.cash_by_shard_e6),
            positions=positions,
            returned_e6=dict(account.returned_e6),
        )
        self._accounts.add(account.account_id, now_ms, seen, now_ms - self._lag)

    def prepare(self, now_ms: int) -> None:
        """Note what was never noted, so that its first change is seen late too; without a lag, drop every copy.

        Called as time passes: an account must be there for a moment before its first change.
        """
        if not self._lag:
            for versions in (self._accounts, self._orders, self._trades):
                versions.clear()
            self._changed.clear()
            return
        self._drop_seen(now_ms)
        for account in self._state.accounts.accounts.values():
            if not account.is_house and self._accounts.last(account.account_id) is None:
                self.note_account(account, "", now_ms)
        for records in (self._state.resting, self._state.delayed):
            for record in records.values():
                if self._orders.last(record.order_id) is None:
                    self.note_order(record, now_ms)

    def _drop_seen(self, now_ms: int) -> None:
        """Drop the copies of orders that have ended and are seen as they are."""
        for order_id, at_ms in list(self._changed.items()):
            if at_ms > now_ms - self._lag:
                return
            del self._changed[order_id]
            if not self._state.orders[order_id].is_open:
                self._orders.evict(order_id)

    def evict(self, order_ids: set[str], trade_ids: set[str]) -> None:
        """Drop orders and trades that are not kept any more."""
        for order_id in order_ids:
            self._changed.pop(order_id, None)
            self._orders.evict(order_id)
        for trade_id in trade_ids:
            self._trades.evict(trade_id)

    @property
    def _lag(self) -> int:
        return self._state.profile.read_lag_ms
