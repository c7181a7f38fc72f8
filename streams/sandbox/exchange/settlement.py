"""What happens to contracts after the book: trades settle or fail, positions of settled markets are paid.

A Polymarket trade is MATCHED, then its transaction is sent. It is mined (MINED, later CONFIRMED), or it reverts
(RETRYING) and is mined at the second attempt or FAILED. So a trade that fails was never mined: where tokens can be sold
only once they are mined, they are still there to be taken back. Where matched tokens can be sold at once (`sellable`
is `matched`), an account that did so owes the tokens, and pays for them when the market settles.
"""

from __future__ import annotations

from streams.market.errors import Refused
from streams.sandbox.core.accounts import Account, Charge, split_cash
from streams.sandbox.core.records import ListedMarket, Payout, Trade, TradeStatus
from streams.sandbox.exchange.buying_power import BuyingPower
from streams.sandbox.exchange.change_feed import ChangeFeed
from streams.sandbox.exchange.settlement_timing import SettlementTiming
from streams.sandbox.exchange.state import ExchangeState
from streams.sandbox.exchange.trade_capture import TradeCapture


class Settlement:
    """Settlement of trades and of markets."""

    def __init__(
        self,
        state: ExchangeState,
        feed: ChangeFeed,
        capture: TradeCapture,
        timing: SettlementTiming,
        buying_power: BuyingPower,
    ) -> None:
        self._state = state
        self._feed = feed
        self._capture = capture
        self._timing = timing
        self._buying_power = buying_power

    # -- trades -----------------------------------------------------------------------------------------------------

    def settle_trades(self, now_ms: int) -> None:
        """Move the trades whose time has come."""
        for trade in list(self._state.unsettled.values()):
            if trade.status == "MATCHED" and now_ms >= trade.mined_ms:
                trade.fate = self._timing.fate(trade)
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
        trade = self._state.unsettled.get(trade_id)
        if trade is None or trade.status == "MINED":
            raise Refused("not_found")
        self._fail(trade, now_ms)

    def _fail(self, trade: Trade, now_ms: int) -> None:
        accounts = self._state.accounts
        legs = split_cash(
            trade.price_e4, trade.size_e6, taker_side=trade.taker_side, taker_buys=trade.taker.intent.action == "buy"
        )
        for side in (trade.taker, trade.maker):
            account = accounts.accounts.get(side.account_id) or accounts.participant(side.account_id)
            accounts.reverse(account, trade.fill(side, legs), side.charge or Charge())
            self._feed.note_account(account, trade.market_id, now_ms)
        trade.fate = "fails"
        self._advance(trade, "FAILED", now_ms)

    def _advance(self, trade: Trade, status: TradeStatus, now_ms: int) -> None:
        trade.status, trade.status_ms = status, now_ms
        if status in ("CONFIRMED", "FAILED"):
            self._state.unsettled.pop(trade.trade_id, None)
        self._feed.publish_trade(trade, now_ms)

    # -- markets ----------------------------------------------------------------------------------------------------

    def settle_market(self, listed: ListedMarket, now_ms: int) -> None:
        """Pay what a determined market owes; trades still on their way settle or fail first."""
        if listed.status != "determined" or listed.settlement_e4 is None:
            return
        for trade in [t for t in self._state.unsettled.values() if t.market_id == listed.market_id]:
            if trade.fate == "fails":
                self._fail(trade, now_ms)
            else:
                self._advance(trade, "CONFIRMED", now_ms)
        for account in list(self._state.accounts.accounts.values()):
            if account.redeems_itself or account.owes(listed.market_id):
                self._pay(account, listed, listed.settlement_e4, now_ms)
        listed.status, listed.settled_ms = "settled", now_ms
        listed.interest_e6 = 0
        self._settle_collateral(listed, now_ms)
        self._feed.publish_lifecycle(listed, "settled", now_ms)

    def _settle_collateral(self, listed: ListedMarket, now_ms: int) -> None:
        """Take back what was returned against the market's payouts.

        A result its event's scheme does not allow (two winners, a ladder out of order) ends the return of collateral:
        orders that counted on it are cancelled, what was returned is taken from the cash that no other order holds, the
        rest from later payouts of the event. What is owed when the whole event has settled is the venue's loss.
        """
        collateral = self._state.collateral
        for account in list(self._state.accounts.accounts.values()):
            group = collateral.group_for(account, listed.market_id)
            if group is None:
                continue
            if group.is_broken:
                own = {market.market_id for market in group.markets}
                for record in self._state.resting_orders(account.account_id):
                    if record.request.market_id in own:
                        self._capture.end_resting(record, now_ms, "margin")
            collateral.follow(account, group, self._buying_power.spare_cash_e6(account, group))
            self._feed.note_account(account, "", now_ms)
        over = collateral.over(listed.market_id)
        for account in collateral.finish(over) if over is not None else ():
            self._feed.note_account(account, "", now_ms)

    def redeem(self, account_id: str, market_id: str, now_ms: int) -> int:
        """Pay an account's position in a settled market; returns the dollars (1/1,000,000).

        Raises:
            Refused: `market_not_found`, `not_resolved`.
        """
        listed = self._state.markets.get(market_id)
        if listed is None:
            raise Refused("market_not_found")
        if listed.status != "settled" or listed.settlement_e4 is None:
            raise Refused("not_resolved")
        return self._pay(self._state.accounts.accounts[account_id], listed, listed.settlement_e4, now_ms)

    def _pay(self, account: Account, listed: ListedMarket, settlement_e4: int, now_ms: int) -> int:
        position, state = account.positions.get(listed.market_id), self._state
        if position is None:
            return 0
        yes, no, yes_cost, no_cost = position.yes_e6, position.no_e6, position.yes_cost_e6, position.no_cost_e6
        step = 1 if account.is_house else state.payout_step_e6
        payout = state.accounts.settle(account, listed.market_id, settlement_e4, now_ms, step)
        if account.is_house:
            account.positions.pop(listed.market_id)
            return payout
        if not (yes or no):
            return 0
        state.payout_count += 1
        record = Payout(
            account.account_id, listed.market_id, now_ms, settlement_e4, listed.result, yes, no, yes_cost, no_cost,
            payout, position.fees_e6, state.transaction_id(), state.payout_count,
        )  # fmt: skip
        state.payouts.append(record)
        state.changes.payouts.append(record)
        self._feed.note_account(account, listed.market_id, now_ms)
        return payout
