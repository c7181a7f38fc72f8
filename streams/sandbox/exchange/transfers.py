"""Cash of accounts on exchange shards: transfers, allocations that are kept, and collateral that is returned."""

from __future__ import annotations

from streams.market.errors import Refused
from streams.sandbox.core.shards import REBALANCE_MS, rebalanced
from streams.sandbox.exchange.buying_power import BuyingPower
from streams.sandbox.exchange.change_feed import ChangeFeed
from streams.sandbox.exchange.state import ExchangeState
from streams.sandbox.exchange.trade_capture import TradeCapture


class Transfers:
    """Moves cash between exchange shards."""

    def __init__(
        self, state: ExchangeState, feed: ChangeFeed, capture: TradeCapture, buying_power: BuyingPower
    ) -> None:
        self._state = state
        self._feed = feed
        self._capture = capture
        self._buying_power = buying_power
        self._rebalanced_ms = 0

    def reserved_e6(self, account_id: str) -> int:
        """Cash that the account's open buys may still need."""
        return sum(self._buying_power.reserved_by_shard(self._state.accounts.accounts[account_id]).values())

    def transfer(self, account_id: str, source: int, target: int, amount_e6: int, now_ms: int) -> None:
        """Move free cash between shards.

        Raises:
            Refused: `invalid_amount`, `insufficient_shard_balance`.
        """
        account = self._state.accounts.accounts[account_id]
        if amount_e6 <= 0 or source == target:
            raise Refused("invalid_amount")
        reserved = self._buying_power.reserved_by_shard(account)
        free = account.cash_by_shard_e6.get(source, 0) - reserved.get(source, 0)
        if amount_e6 > free:
            raise Refused("insufficient_shard_balance", f"balance: {free}, amount: {amount_e6}")
        account.add_cash(source, -amount_e6)
        account.add_cash(target, amount_e6)
        self._feed.note_account(account, "", now_ms)

    def set_allocation(self, account_id: str, percents: dict[int, int]) -> None:
        """Say what share of the cash each shard should hold; {} leaves the cash where it is from now on.

        Raises:
            Refused: `invalid_allocation` unless the percents add up to 100.
        """
        if percents and (sum(percents.values()) != 100 or min(percents.values()) < 0):
            raise Refused("invalid_allocation")
        self._state.accounts.accounts[account_id].allocation = dict(percents)
        self._state.changes.touch(account_id)

    def rebalance(self, now_ms: int) -> None:
        """Every ten seconds, move free cash towards the accounts' allocations."""
        if abs(now_ms - self._rebalanced_ms) < REBALANCE_MS:
            return
        self._rebalanced_ms = now_ms
        for account in self._state.accounts.accounts.values():
            if not account.allocation:
                continue
            reserved = self._buying_power.reserved_by_shard(account)
            cash = rebalanced(account.cash_by_shard_e6, reserved, account.allocation)
            if cash != account.cash_by_shard_e6:
                account.cash_by_shard_e6 = cash
                self._feed.note_account(account, "", now_ms)

    # -- collateral that is returned --------------------------------------------------------------------------------

    def set_collateral_return(self, account_id: str, *, is_on: bool) -> None:
        """Return collateral across the markets of an event from the account's next trade there on, or stop doing so."""
        account = self._state.accounts.accounts[account_id]
        open_markets = [record.request.market_id for record in self._state.open_orders(account_id)]
        self._state.collateral.switch(account, open_markets, is_on=is_on)
        self._state.changes.touch(account_id)

    def return_at_once(self, account_id: str, now_ms: int) -> None:
        """Return what the account's positions guarantee already, without waiting for its next trade."""
        account, collateral = self._state.accounts.accounts[account_id], self._state.collateral
        for market_id in list(account.positions):
            group = collateral.group_for(account, market_id)
            if group is not None and collateral.follow(account, group):
                self._feed.note_account(account, "", now_ms)

    def end_uncovered(self, market_ids: set[str], now_ms: int) -> None:
        """End orders in these markets, newest first, that the cash of their owner does not cover any more."""
        accounts = self._state.accounts
        for record in sorted(self._state.resting.values(), key=lambda record: -record.number):
            if record.request.market_id not in market_ids:
                continue
            account, shard = accounts.accounts[record.request.account_id], accounts.shard(record.request.market_id)
            reserved = self._buying_power.reserved_by_shard(account)
            if reserved.get(shard, 0) > account.cash_by_shard_e6.get(shard, 0):
                self._capture.end_resting(record, now_ms, "margin")
