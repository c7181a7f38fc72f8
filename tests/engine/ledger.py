"""A second bookkeeping: what every account must own, from trades and inventory steps alone, by its own arithmetic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from streams.market.identity import Venue
from streams.sandbox.core.records import OrderRecord, Trade, TradeSide
from streams.sandbox.exchange.exchange import Exchange

ONE = 10_000


class Ledger:
    """Cash and contracts of the accounts from outside. Fees are taken as charged; what they are is tested elsewhere."""

    def __init__(self, venue: Venue, accounts: Iterable[str], deposit_e6: int) -> None:
        self._venue = venue
        self.step_e6 = 1
        """Payouts are in whole steps."""
        self.cash = dict.fromkeys(accounts, deposit_e6)
        self._held: dict[tuple[str, str, str], int] = defaultdict(int)
        self._failed: set[str] = set()
        self._orders: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])

    def trade(self, trade: Trade) -> None:
        """An order was filled: the taker's price is rounded against it, the maker gets or pays the rest of a dollar."""
        for side in (trade.taker, trade.maker):
            if side.charge is not None:
                role = "taker" if side is trade.taker else "maker"
                sums = self._orders[side.order_id, role]
                sums[0] += _worth(trade, side)
                sums[1] += side.charge.fee_e6
                # Later fills of an order can be free: Kalshi gives back what it rounded up before.
                is_first = sums[0] == _worth(trade, side)
                is_charged = role == "taker" and is_first and trade.size_e6 >= 1_000_000
                assert side.charge.fee_e6 > 0 or not is_charged, "takers pay fees"
                self._move(trade, side, 1)
                if self._venue is Venue.KALSHI:
                    self.merge(side.account_id, trade.market_id, self._pairs(side.account_id, trade.market_id))

    def fail(self, trade: Trade) -> None:
        """A trade never settled: everything it moved goes back, once."""
        if trade.trade_id not in self._failed:
            self._failed.add(trade.trade_id)
            for side in (trade.taker, trade.maker):
                if side.charge is not None:
                    self._move(trade, side, -1)

    def _move(self, trade: Trade, side: TradeSide, sign: int) -> None:
        assert side.charge is not None
        buys = side.intent.action == "buy"
        worth = _worth(trade, side)
        self.cash[side.account_id] += sign * ((-worth if buys else worth) - side.charge.fee_e6)
        self._held[side.account_id, trade.market_id, side.intent.outcome] += sign * trade.size_e6 * (1 if buys else -1)

    def _pairs(self, account: str, market: str) -> int:
        return min(self._held[account, market, "yes"], self._held[account, market, "no"])

    def merge(self, account: str, market: str, size_e6: int) -> None:
        """Pairs became dollars; a negative size is a split."""
        self.cash[account] += size_e6
        for outcome in ("yes", "no"):
            self._held[account, market, outcome] -= size_e6

    def convert(self, account: str, named: list[str], others: list[str], size_e6: int, results: dict[str, int]) -> None:
        """NO of the named markets became dollars and YES of the others; YES that has a result is paid at once."""
        for market in named:
            self._held[account, market, "no"] -= size_e6
        for market in others:
            if market not in results:
                self._held[account, market, "yes"] += size_e6
        self.cash[account] += (len(named) - 1) * size_e6
        self.cash[account] += sum(results.get(market, 0) for market in others) * size_e6 // ONE

    def pay(self, account: str, market: str, settlement_e4: int) -> None:
        """A position was settled, rounded down (a debt up)."""
        yes, no = self._held[account, market, "yes"], self._held[account, market, "no"]
        payout = yes * settlement_e4 // ONE + no * (ONE - settlement_e4) // ONE
        self.cash[account] += payout // self.step_e6 * self.step_e6
        self._held[account, market, "yes"] = self._held[account, market, "no"] = 0

    def owes(self, account: str, market: str) -> bool:
        """Whether the account has to deliver contracts it has not got."""
        return min(self._held[account, market, "yes"], self._held[account, market, "no"]) < 0

    def compare(self, exchange: Exchange) -> None:
        """The exchange's accounts and orders say the same."""
        for account_id, cash in self.cash.items():
            account = exchange.state.accounts.accounts[account_id]
            assert account.cash_e6 == cash, f"the cash of {account_id} is {cash}: {account.cash_e6}"
            for market_id in exchange.state.markets:
                for outcome in ("yes", "no"):
                    held = self._held[account_id, market_id, outcome]
                    assert account.held_e6(market_id, outcome) == held, f"{account_id} holds {held} {market_id}"  # type: ignore[arg-type]
        for record in exchange.state.orders.values():
            self._compare_order(record)

    def _compare_order(self, record: OrderRecord) -> None:
        said = [[record.taker_cash_e6, record.taker_fees_e6], [record.maker_cash_e6, record.maker_fees_e6]]
        sums = [self._orders.get((record.order_id, role), [0, 0]) for role in ("taker", "maker")]
        assert said == sums, f"what {record.order_id} paid is {sums}: {said}"


def _worth(trade: Trade, side: TradeSide) -> int:
    """What a side's contracts cost or bring."""
    intent = trade.taker.intent
    price = trade.price_e4 if intent.outcome == "yes" else ONE - trade.price_e4
    whole, rest = divmod(price * trade.size_e6, ONE)
    takers = whole + (rest > 0 and intent.action == "buy")
    return takers if side.intent.outcome == intent.outcome else trade.size_e6 - takers
