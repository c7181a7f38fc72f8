"""What happens to contracts outside the book: trades settle or fail, positions are paid, tokens split and merge.

A Polymarket trade is MATCHED, then its transaction is sent. It is mined (MINED, later CONFIRMED), or it reverts
(RETRYING) and is mined at the second attempt or FAILED. So a trade that fails was never mined: where tokens can be sold
only once they are mined, they are still there to be taken back. Where matched tokens can be sold at once (`sellable`
is `matched`), an account that did so owes the tokens, and pays for them when the market settles.
"""

from __future__ import annotations

from streams.market.errors import Refused
from streams.market.units import cash_e6_of
from streams.sandbox.core.accounts import Account, Charge, split_cash
from streams.sandbox.core.records import ListedMarket, Payout, Trade, TradeStatus
from streams.sandbox.exchange.former_names import FormerNames

CONVERTER = "venue:neg-risk:"
"""The account that stands for an event's negative-risk adapter: this and the event's id."""


class Settling(FormerNames):
    """Settlement of trades and markets, and the inventory operations of Polymarket."""

    # -- trades -----------------------------------------------------------------------------------------------------

    def settle_trades(self, now_ms: int) -> None:
        """Move the trades whose time has come."""
        for trade in list(self.unsettled.values()):
            if trade.status == "MATCHED" and now_ms >= trade.mined_ms:
                trade.fate = self.timing.fate(trade)
                self._advance(trade, "MINED" if trade.fate == "settles" else "RETRYING", now_ms)
            elif now_ms >= trade.final_ms and trade.status == "RETRYING":
                if trade.fate == "fails":
                    self._fail(trade, now_ms)
                else:
                    trade.fate = "settles"
                    self._advance(trade, "MINED", now_ms)
            elif now_ms >= trade.final_ms and trade.status == "MINED":
                self._advance(trade, "CONFIRMED", now_ms)

    def fail_trade(self, trade_id: str, now_ms: int) -> None:
        """Let a trade that is not mined yet fail now.

        Raises:
            Refused: `not_found` when it is unknown or settled.
        """
        trade = self.unsettled.get(trade_id)
        if trade is None or trade.status == "MINED":
            raise Refused("not_found")
        self._fail(trade, now_ms)

    def _fail(self, trade: Trade, now_ms: int) -> None:
        cash = split_cash(
            trade.price_e4, trade.size_e6, taker_side=trade.taker_side, taker_buys=trade.taker.intent.action == "buy"
        )
        for side in (trade.taker, trade.maker):
            account = self.accounts.accounts.get(side.account_id) or self.accounts.house(side.account_id)
            self.accounts.reverse(account, trade.fill(side, cash), side.charge or Charge())
            self.note_account(account, trade.market_id, now_ms)
        trade.fate = "fails"
        self._advance(trade, "FAILED", now_ms)

    def _advance(self, trade: Trade, status: TradeStatus, now_ms: int) -> None:
        trade.status, trade.status_ms = status, now_ms
        if status in ("CONFIRMED", "FAILED"):
            self.unsettled.pop(trade.trade_id, None)
        self.tell_sides(trade, now_ms)

    # -- markets ----------------------------------------------------------------------------------------------------

    def settle_market(self, listed: ListedMarket, now_ms: int) -> None:
        """Pay what a determined market owes; trades still on their way settle or fail first."""
        if listed.status != "determined" or listed.settlement_e4 is None:
            return
        for trade in [t for t in self.unsettled.values() if t.market_id == listed.market_id]:
            if trade.fate == "fails":
                self._fail(trade, now_ms)
            else:
                self._advance(trade, "CONFIRMED", now_ms)
        for account in list(self.accounts.accounts.values()):
            if account.redeems_itself or account.owes(listed.market_id):
                self._pay(account, listed, listed.settlement_e4, now_ms)
        listed.status, listed.settled_ms = "settled", now_ms
        listed.interest_e6 = 0
        self._settle_netting(listed, now_ms)
        self.tell_lifecycle(listed, "settled", now_ms)

    def _settle_netting(self, listed: ListedMarket, now_ms: int) -> None:
        """Take back what was returned against the market's payouts.

        A result its event's scheme does not allow (two winners, a ladder out of order) ends the netting: orders that
        counted on it are cancelled, what was returned is taken from the cash that no other order holds, the rest from
        later payouts of the event. What is owed when the whole event has settled is the venue's loss.
        """
        for account in list(self.accounts.accounts.values()):
            group = self.netting.group_for(account, listed.market_id)
            if group is None:
                continue
            if group.is_broken:
                own = {market.market_id for market in group.markets}
                for ticket in self.open_tickets(account.account_id):
                    if ticket.request.market_id in own:
                        self.end_resting(ticket, now_ms, "margin")
            self.netting.follow(account, group, self.buying_power.spare_cash_e6(account, group))
            self.note_account(account, "", now_ms)
        over = self.netting.over(listed.market_id)
        for account in self.netting.finish(over) if over is not None else ():
            self.note_account(account, "", now_ms)

    def _pay(self, account: Account, listed: ListedMarket, settlement_e4: int, now_ms: int) -> int:
        position = account.positions.get(listed.market_id)
        if position is None:
            return 0
        yes, no, yes_cost, no_cost = position.yes_e6, position.no_e6, position.yes_cost_e6, position.no_cost_e6
        step = 1 if account.is_house else self.payout_step_e6
        payout = self.accounts.settle(account, listed.market_id, settlement_e4, now_ms, step)
        if account.is_house:
            account.positions.pop(listed.market_id)
            return payout
        if not (yes or no):
            return 0
        self.payout_count += 1
        record = Payout(
            account.account_id, listed.market_id, now_ms, settlement_e4, listed.result, yes, no, yes_cost, no_cost,
            payout, position.fees_e6, self.transaction_id(), self.payout_count,
        )  # fmt: skip
        self.payouts.append(record)
        self.changes.payouts.append(record)
        self.note_account(account, listed.market_id, now_ms)
        return payout

    # -- inventory --------------------------------------------------------------------------------------------------

    def split(self, account_id: str, market_id: str, size_e6: int, now_ms: int) -> None:
        """Turn dollars into as many YES and NO.

        Raises:
            Refused: `market_not_found`, `invalid_size`, `insufficient_balance`.
        """
        account, listed = self._inventory(account_id, market_id, size_e6)
        self.buying_power.check_cash(account, listed.shard, size_e6)
        self.accounts.split(account, market_id, size_e6)
        self.note_account(account, market_id, now_ms)

    def merge(self, account_id: str, market_id: str, size_e6: int, now_ms: int) -> None:
        """Turn as many YES and NO into dollars. What resting orders promise, or is not mined, cannot be merged.

        Raises:
            Refused: `market_not_found`, `invalid_size`, `insufficient_balance`.
        """
        account, _ = self._inventory(account_id, market_id, size_e6)
        for outcome in ("yes", "no"):
            self.buying_power.check_tokens(account, market_id, outcome, size_e6)
        self.accounts.merge(account, market_id, size_e6)
        self.note_account(account, market_id, now_ms)

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
        event = [m for m in self.markets.values() if m.market.event_id == event_id and m.market.is_neg_risk]
        live = {m.market_id for m in event if m.settlement_e4 is None}
        if not market_ids or not set(market_ids) <= live or len(set(market_ids)) != len(market_ids):
            raise Refused("market_not_found")
        account = self.accounts.accounts[account_id]
        if size_e6 <= 0:
            raise Refused("invalid_size")
        for market_id in market_ids:
            self.buying_power.check_tokens(account, market_id, "no", size_e6)
        adapter = self.accounts.house(f"{CONVERTER}{event_id}")
        for market_id in market_ids:
            self.accounts.hand_over(account, adapter, market_id, "no", size_e6)
        for market_id in sorted(live - set(market_ids)):
            self.accounts.split(adapter, market_id, size_e6)
            self.accounts.hand_over(adapter, account, market_id, "yes", size_e6)
        known = sum(m.settlement_e4 for m in event if m.settlement_e4 is not None)
        paid = (len(market_ids) - 1) * size_e6 + cash_e6_of(known, size_e6, paying=False)
        adapter.add_cash(0, -paid)
        account.add_cash(0, paid)
        for market_id in sorted(live):
            self.note_account(account, market_id, now_ms)
        return paid

    def redeem(self, account_id: str, market_id: str, now_ms: int) -> int:
        """Pay an account's position in a settled market; returns the dollars (1/1,000,000).

        Raises:
            Refused: `market_not_found`, `not_resolved`.
        """
        listed = self.markets.get(market_id)
        if listed is None:
            raise Refused("market_not_found")
        if listed.status != "settled" or listed.settlement_e4 is None:
            raise Refused("not_resolved")
        return self._pay(self.accounts.accounts[account_id], listed, listed.settlement_e4, now_ms)

    def _inventory(self, account_id: str, market_id: str, size_e6: int) -> tuple[Account, ListedMarket]:
        listed = self.markets.get(market_id)
        if listed is None or listed.status == "settled":
            raise Refused("market_not_found")
        if size_e6 <= 0:
            raise Refused("invalid_size")
        return self.accounts.accounts[account_id], listed
