"""Contracts that are made and unmade outside the book: split, merged, converted."""

from __future__ import annotations

from streams.market.errors import Refused
from streams.market.units import cash_e6_of
from streams.sandbox.core.accounts import Account
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.exchange.buying_power import BuyingPower
from streams.sandbox.exchange.change_feed import ChangeFeed
from streams.sandbox.exchange.state import ExchangeState

CONVERTER = "venue:neg-risk:"
"""The account that stands for an event's negative-risk adapter: this and the event's id."""


class Inventory:
    """Polymarket's operations on tokens, by which no order is traded."""

    def __init__(self, state: ExchangeState, feed: ChangeFeed, buying_power: BuyingPower) -> None:
        self._state = state
        self._feed = feed
        self._buying_power = buying_power

    def split(self, account_id: str, market_id: str, size_e6: int, now_ms: int) -> None:
        """Turn dollars into as many YES and NO.

        Raises:
            Refused: `market_not_found`, `invalid_size`, `insufficient_balance`.
        """
        account, listed = self._account_and_market(account_id, market_id, size_e6)
        self._buying_power.check_cash(account, listed.shard, size_e6)
        self._state.accounts.split(account, market_id, size_e6)
        self._feed.note_account(account, market_id, now_ms)

    def merge(self, account_id: str, market_id: str, size_e6: int, now_ms: int) -> None:
        """Turn as many YES and NO into dollars. What resting orders reserve, or is not mined, cannot be merged.

        Raises:
            Refused: `market_not_found`, `invalid_size`, `insufficient_balance`.
        """
        account, _ = self._account_and_market(account_id, market_id, size_e6)
        for outcome in ("yes", "no"):
            self._buying_power.check_tokens(account, market_id, outcome, size_e6)
        self._state.accounts.merge(account, market_id, size_e6)
        self._feed.note_account(account, market_id, now_ms)

    def convert(self, account_id: str, event_id: str, market_ids: list[str], size_e6: int, now_ms: int) -> int:
        """Turn NO of several markets of a negative-risk event into dollars and YES of all its others.

        NO on m markets become m - 1 dollars each and YES on every market that is not named; YES of a market that has
        its result is paid at once. The event's adapter takes the NO, splits dollars for the YES it hands out, and keeps
        their NO: together worth what it paid, as exactly one market of the event resolves to YES.

        Returns:
            The dollars paid (1/1,000,000).

        Raises:
            Refused: `market_not_found`, `invalid_size`, `insufficient_balance`.
        """
        event = [m for m in self._state.markets.values() if m.market.event_id == event_id and m.market.is_neg_risk]
        live = {m.market_id for m in event if m.settlement_e4 is None}
        if not market_ids or not set(market_ids) <= live or len(set(market_ids)) != len(market_ids):
            raise Refused("market_not_found")
        if size_e6 <= 0:
            raise Refused("invalid_size")
        accounts = self._state.accounts
        account = accounts.accounts[account_id]
        for market_id in market_ids:
            self._buying_power.check_tokens(account, market_id, "no", size_e6)
        adapter = accounts.participant(f"{CONVERTER}{event_id}")
        for market_id in market_ids:
            accounts.hand_over(account, adapter, market_id, "no", size_e6)
        for market_id in sorted(live - set(market_ids)):
            accounts.split(adapter, market_id, size_e6)
            accounts.hand_over(adapter, account, market_id, "yes", size_e6)
        known = sum(m.settlement_e4 for m in event if m.settlement_e4 is not None)
        paid = (len(market_ids) - 1) * size_e6 + cash_e6_of(known, size_e6, paying=False)
        adapter.add_cash(0, -paid)
        account.add_cash(0, paid)
        for market_id in sorted(live):
            self._feed.note_account(account, market_id, now_ms)
        return paid

    def _account_and_market(self, account_id: str, market_id: str, size_e6: int) -> tuple[Account, ListedMarket]:
        listed = self._state.markets.get(market_id)
        if listed is None or listed.status == "settled":
            raise Refused("market_not_found")
        if size_e6 <= 0:
            raise Refused("invalid_size")
        return self._state.accounts.accounts[account_id], listed
