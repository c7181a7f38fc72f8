"""A second bookkeeping of returned collateral: every result of the event and every set of fills written out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise, product

from streams.market.identity import Venue
from streams.sandbox.core.records import OrderRecord, Trade
from streams.sandbox.exchange.exchange import Exchange
from tests.engine.ledger import ONE, Ledger

_ROUNDING_E6 = 50_000
_MOST_ORDERS = 8

Holding = tuple[int, int]
"""(YES, NO) of a market."""
Fill = tuple[int, str, int, int]
"""(place of the market, outcome, contracts, cost)"""


def results(kind: str, settled: Sequence[int | None]) -> Iterator[tuple[int, ...]]:
    """What one YES of each market can pay, widest first: every corner of what fits the scheme and what is settled."""
    known = {value for value in settled if value is not None}
    corners = {0, ONE, *known, max(0, ONE - sum(value for value in settled if value is not None))}
    for values in product(*[sorted(corners) if value is None else [value] for value in settled]):
        if kind == "MECNET" and sum(values) > ONE:
            continue
        if kind == "DIRECNET" and any(wide < narrow for wide, narrow in pairwise(values)):
            continue
        yield values


def guaranteed_e6(kind: str, holdings: Sequence[Holding], settled: Sequence[int | None]) -> int | None:
    """The least that the unsettled holdings pay over all results; None when no result fits what is settled."""
    payouts = [
        sum(
            yes * value + no * (ONE - value)
            for (yes, no), value, paid in zip(holdings, values, settled, strict=True)
            if paid is None
        )
        // ONE
        for values in results(kind, settled)
    ]
    return min(payouts) if payouts else None


def needed_e6(
    kind: str, holdings: Sequence[Holding], settled: Sequence[int | None], returned: int, orders: Sequence[Fill]
) -> int:
    """The most cash that any set of fills takes: what they cost less what they add to the sure payout."""
    most = 0
    for size in range(len(orders) + 1):
        for fills in combinations(orders, size):
            after = [list(holding) for holding in holdings]
            for place, outcome, contracts, _ in fills:
                after[place][outcome == "no"] += contracts
            sure = guaranteed_e6(kind, [(yes, no) for yes, no in after], settled) or 0
            most = max(most, sum(cost for *_, cost in fills) + returned - sure)
    return most


class NettingLedger(Ledger):
    """Kalshi's accounts, which may net across the markets of the world's one event.

    While the results fit the event's scheme every account's returned collateral is what its contracts guarantee. What
    happens to it afterwards depends on the cash at hand: then cash and contracts only have to add up.
    """

    def __init__(self, accounts: Iterable[str], deposit_e6: int, kind: str, markets: Sequence[str]) -> None:
        super().__init__(Venue.KALSHI, accounts, deposit_e6)
        self._kind, self._markets = kind, markets
        self._settled: dict[str, int] = {}
        self._is_on: set[str] = set()
        self._expected: dict[str, int] = {}
        self._due: set[str] = set()
        self._forgiven = dict.fromkeys(self.cash, 0)

    @property
    def is_broken(self) -> bool:
        """Whether the results are none that the scheme counts on."""
        return not any(True for _ in results(self._kind, self._values))

    @property
    def _values(self) -> list[int | None]:
        return [self._settled.get(market) for market in self._markets]

    def switch(self, account: str, *, is_on: bool, has_orders: bool) -> None:
        """Netting is switched; with open orders it stays on in the event."""
        if is_on:
            self._is_on.add(account)
        elif account in self._is_on:
            self._is_on.remove(account)
            if has_orders and self._kind and not self._is_over:
                self._expected.setdefault(account, 0)

    @property
    def _is_over(self) -> bool:
        return set(self._settled) >= set(self._markets)

    def nets(self, account: str) -> bool:
        """Whether the account's collateral in the event is netted."""
        return bool(self._kind) and (account in self._is_on or account in self._expected)

    def trade(self, trade: Trade) -> None:
        """As the ledger; who nets gets or gives collateral."""
        super().trade(trade)
        self._due |= {side.account_id for side in (trade.taker, trade.maker) if side.charge is not None}

    def pay(self, account: str, market: str, settlement_e4: int) -> None:
        """As the ledger; who nets gives back what was lent on the payout."""
        super().pay(account, market, settlement_e4)
        self._settled[market] = settlement_e4
        self._due.add(account)

    def holdings(self, account: str) -> list[Holding]:
        """The account's contracts, market by market."""
        return [(self._held[account, market, "yes"], self._held[account, market, "no"]) for market in self._markets]

    def held_by_orders_e6(self, account: str, records: Sequence[OrderRecord]) -> int | None:
        """What the account's open orders may take together; None when it does not net, or there are too many."""
        if not self.nets(account) or self.is_broken or len(records) > _MOST_ORDERS:
            return None
        orders = [
            (
                self._markets.index(record.request.market_id), record.request.intent.outcome, record.remaining_e6,
                record.request.cost_e4 * record.remaining_e6 // ONE,
            )
            for record in records
        ]  # fmt: skip
        return needed_e6(self._kind, self.holdings(account), self._values, self._expected.get(account, 0), orders)

    def compare(self, exchange: Exchange) -> None:
        """As the ledger, with cash that was lent; the venue's loss is what was never given back."""
        lent = {}
        for account_id in self.cash:
            returned = exchange.state.accounts.accounts[account_id].returned_e6
            self._judge(account_id, returned)
            if self._is_over:
                assert not returned, "a settled event nets nothing"
                left = exchange.state.accounts.accounts[account_id].cash_e6 - self.cash[account_id]
                rounding = len(self._markets) * self.step_e6
                assert 0 <= left <= rounding or (left > 0 and self.is_broken), "only a broken event costs the venue"
                self._forgiven[account_id] = left
            lent[account_id] = sum(returned.values()) + self._forgiven[account_id]
        self._due.clear()
        assert exchange.state.accounts.shortfall_e6 == sum(self._forgiven.values())
        escrow = sum(exchange.state.accounts.escrow_e6.values())
        assert self.is_broken or sum(lent.values()) <= escrow, "escrow lends no more than it has"
        for account_id, cash in lent.items():
            self.cash[account_id] += cash
        try:
            super().compare(exchange)
        finally:
            for account_id, cash in lent.items():
                self.cash[account_id] -= cash

    def _judge(self, account: str, returned: dict[str, int]) -> None:
        if self._is_over:
            self._expected.pop(account, None)
            return
        if account in self._due and self.nets(account):
            self._expected[account] = guaranteed_e6(self._kind, self.holdings(account), self._values) or 0
        least, lent = self._expected.get(account, 0), sum(returned.values())
        assert lent >= 0
        assert self.is_broken or least <= lent <= least + _ROUNDING_E6, f"{account} was lent {lent}, not {least}"
