"""Cash of accounts on exchange shards: what is reserved, transfers, and allocations that are kept."""

from __future__ import annotations

from streams.market.errors import Refused
from streams.sandbox.core.shards import REBALANCE_MS, rebalanced
from streams.sandbox.exchange.settlement import Settling


class Treasury(Settling):
    """Moves cash between shards."""

    _rebalanced_ms: int = 0

    def reserved_e6(self, account_id: str) -> int:
        """Cash that the account's open buys may still need."""
        return sum(self.buying_power.reserved_by_shard(self.accounts.accounts[account_id]).values())

    def transfer(self, account_id: str, source: int, target: int, amount_e6: int, now_ms: int) -> None:
        """Move free cash between shards.

        Raises:
            Refused: `invalid_amount`, `insufficient_shard_balance`.
        """
        account = self.accounts.accounts[account_id]
        if amount_e6 <= 0 or source == target:
            raise Refused("invalid_amount")
        free = account.cash_by_shard_e6.get(source, 0) - self.buying_power.reserved_by_shard(account).get(source, 0)
        if amount_e6 > free:
            raise Refused("insufficient_shard_balance", f"balance: {free}, amount: {amount_e6}")
        account.add_cash(source, -amount_e6)
        account.add_cash(target, amount_e6)
        self.note_account(account, "", now_ms)

    def set_netting(self, account_id: str, *, is_on: bool) -> None:
        """Return collateral across the markets of an event from the account's next trade there on, or stop doing so."""
        account = self.accounts.accounts[account_id]
        promised = [ticket.request.market_id for ticket in self.state.open_orders(account_id)]
        self.netting.switch(account, promised, is_on=is_on)
        self.changes.touch(account_id)

    def net_at_once(self, account_id: str, now_ms: int) -> None:
        """Return what the account's positions guarantee already, without waiting for its next trade."""
        account = self.accounts.accounts[account_id]
        for market_id in list(account.positions):
            group = self.netting.group_for(account, market_id)
            if group is not None and self.netting.follow(account, group):
                self.note_account(account, "", now_ms)

    def end_uncovered(self, market_ids: set[str], now_ms: int) -> None:
        """End orders in these markets, newest first, that the cash of their owner does not cover any more."""
        for ticket in sorted(self.resting.values(), key=lambda ticket: -ticket.number):
            if ticket.request.market_id not in market_ids:
                continue
            account, shard = (
                self.accounts.accounts[ticket.request.account_id],
                self.accounts.shard(ticket.request.market_id),
            )
            if self.buying_power.reserved_by_shard(account).get(shard, 0) > account.cash_by_shard_e6.get(shard, 0):
                self.end_resting(ticket, now_ms, "margin")

    def set_allocation(self, account_id: str, percents: dict[int, int]) -> None:
        """Say what share of the cash each shard should hold; {} leaves the cash where it is from now on.

        Raises:
            Refused: `invalid_allocation` unless the percents add up to 100.
        """
        if percents and (sum(percents.values()) != 100 or min(percents.values()) < 0):
            raise Refused("invalid_allocation")
        self.accounts.accounts[account_id].allocation = dict(percents)
        self.changes.touch(account_id)

    def rebalance(self, now_ms: int) -> None:
        """Every ten seconds, move free cash towards the accounts' allocations."""
        if abs(now_ms - self._rebalanced_ms) < REBALANCE_MS:
            return
        self._rebalanced_ms = now_ms
        for account in self.accounts.accounts.values():
            if not account.allocation:
                continue
            reserved = self.buying_power.reserved_by_shard(account)
            cash = rebalanced(account.cash_by_shard_e6, reserved, account.allocation)
            if cash != account.cash_by_shard_e6:
                account.cash_by_shard_e6 = cash
                self.note_account(account, "", now_ms)
