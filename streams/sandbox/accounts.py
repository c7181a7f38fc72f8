"""What the accounts of one venue own: cash, positions, reservations. Pure integers, no wire, no clock.

Every contract in existence is backed by one dollar in `escrow_e6`: buyers of YES and NO pay it together, holders of
both (or the winner) get it back. So cash of all accounts + escrow + fees never changes, and after a market is settled
nothing of it is left in escrow. Amounts that do not come out even are rounded once; what one side pays the other gets.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from streams.market.fees import FeeSchedule, KalshiFeeSchedule, KalshiOrderFees, maker_fee_e6, taker_fee_e6
from streams.market.identity import Outcome, Side, Venue
from streams.market.units import PRICE_ONE_E4, cash_e6_of

Action = Literal["buy", "sell"]


@dataclass(slots=True)
class Position:
    """What an account holds of one market, with what it cost and what it made."""

    yes_e6: int = 0
    no_e6: int = 0
    yes_cost_e6: int = 0
    no_cost_e6: int = 0
    realized_e6: int = 0
    fees_e6: int = 0
    traded_e6: int = 0
    volume_e6: int = 0
    updated_ms: int = 0
    opened_ms: int = 0

    def held_e6(self, outcome: Outcome) -> int:
        """Contracts held of an outcome."""
        return self.yes_e6 if outcome == "yes" else self.no_e6

    def cost_e6(self, outcome: Outcome) -> int:
        """What the contracts held of an outcome cost, without fees."""
        return self.yes_cost_e6 if outcome == "yes" else self.no_cost_e6

    def change(self, outcome: Outcome, contracts_e6: int, cost_e6: int) -> None:
        """Add to the contracts and to the cost of an outcome."""
        if outcome == "yes":
            self.yes_e6 += contracts_e6
            self.yes_cost_e6 += cost_e6
        else:
            self.no_e6 += contracts_e6
            self.no_cost_e6 += cost_e6

    def take_out(self, outcome: Outcome, contracts_e6: int) -> int:
        """Remove contracts with their share of the cost, and return that cost."""
        held = self.held_e6(outcome)
        cost = self.cost_e6(outcome) * contracts_e6 // held if held else 0
        self.change(outcome, -contracts_e6, -cost)
        return cost


@dataclass(slots=True)
class Account:
    """One account. `is_house`: the flow's; it may owe any amount and is never refused."""

    account_id: str
    cash_e6: int = 0
    is_house: bool = False
    positions: dict[str, Position] = field(default_factory=dict)

    def position(self, market_id: str) -> Position:
        """The position in a market, made when there is none."""
        found = self.positions.get(market_id)
        if found is None:
            found = self.positions[market_id] = Position()
        return found


@dataclass(frozen=True, slots=True)
class Intent:
    """What an order does to its account: buys or sells an outcome. `netted`: both outcomes at once become cash."""

    outcome: Outcome
    action: Action


def buying(side: Side) -> Intent:
    """The order of an account that holds a net position: a bid buys YES, an ask buys NO."""
    return Intent("yes" if side == "bid" else "no", "buy")


@dataclass(slots=True)
class Charge:
    """What one fill did to one account: cash change (fee included) and the fee in it, in 1/1,000,000 dollar."""

    cash_change_e6: int
    fee_e6: int


class Accounts:
    """All accounts of one venue."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.accounts: dict[str, Account] = {}
        self.escrow_e6: dict[str, int] = {}
        self.fees_e6 = 0
        self.order_fees: dict[str, KalshiOrderFees] = {}

    def open_account(self, account_id: str, cash_e6: int, *, is_house: bool = False) -> Account:
        """Return the account, made with that cash when it is new."""
        if account_id not in self.accounts:
            self.accounts[account_id] = Account(account_id, cash_e6, is_house)
        return self.accounts[account_id]

    def house(self, account_id: str) -> Account:
        """A house account: unlimited cash."""
        found = self.accounts.get(account_id)
        return found if found is not None else self.open_account(account_id, 0, is_house=True)

    def nets(self, account: Account) -> bool:
        """Whether holding both outcomes turns into cash by itself: on Kalshi always, on Polymarket for the house."""
        return account.is_house or self.venue is Venue.KALSHI

    def fill(
        self,
        account: Account,
        market_id: str,
        order_id: str,
        intent: Intent,
        price_e4: int,
        size_e6: int,
        cash_e6: int,
        schedule: FeeSchedule,
        *,
        is_taker: bool,
        now_ms: int,
    ) -> Charge:
        """Book one fill for one side of it.

        Args:
            account: Whose fill.
            market_id: The market.
            order_id: The order; Kalshi's fees accumulate per order.
            intent: What is bought or sold.
            price_e4: Price of that outcome.
            size_e6: Contracts.
            cash_e6: What is paid or received for them, as `split_cash` divided it.
            schedule: The market's fees; the house pays none.
            is_taker: Which fee applies.
            now_ms: When.
        """
        position = account.position(market_id)
        position.opened_ms = position.opened_ms or now_ms
        position.updated_ms = now_ms
        fee = 0 if account.is_house else self._fee(order_id, intent, price_e4, size_e6, schedule, is_taker)
        before = account.cash_e6
        if intent.action == "buy":
            account.cash_e6 -= cash_e6
            position.change(intent.outcome, size_e6, cash_e6)
            self._escrow(market_id, cash_e6)
        else:
            cost = position.take_out(intent.outcome, size_e6)
            account.cash_e6 += cash_e6
            position.realized_e6 += cash_e6 - cost
            self._escrow(market_id, -cash_e6)
        account.cash_e6 -= fee
        self.fees_e6 += fee
        position.fees_e6 += fee
        position.traded_e6 += cash_e6
        position.volume_e6 += size_e6
        if self.nets(account):
            self.merge(account, market_id, min(position.yes_e6, position.no_e6))
        return Charge(account.cash_e6 - before, fee)

    def reverse(self, account: Account, market_id: str, intent: Intent, size_e6: int, charge: Charge) -> bool:
        """Take a fill back (a trade that never settled). False, and nothing done, when its contracts are gone."""
        position = account.position(market_id)
        cash = abs(charge.cash_change_e6 + charge.fee_e6)
        if intent.action == "buy":
            if position.held_e6(intent.outcome) < size_e6 and not self.nets(account):
                return False
            position.change(intent.outcome, -size_e6, -cash)
            self._escrow(market_id, -cash)
        else:
            position.change(intent.outcome, size_e6, cash)
            self._escrow(market_id, cash)
        account.cash_e6 -= charge.cash_change_e6
        position.fees_e6 -= charge.fee_e6
        self.fees_e6 -= charge.fee_e6
        return True

    def merge(self, account: Account, market_id: str, contracts_e6: int) -> int:
        """Turn pairs of YES and NO into cash, one dollar each; returns the dollars (1/1,000,000)."""
        if contracts_e6 <= 0:
            return 0
        position = account.position(market_id)
        cost = position.take_out("yes", contracts_e6) + position.take_out("no", contracts_e6)
        account.cash_e6 += contracts_e6
        position.realized_e6 += contracts_e6 - cost
        self._escrow(market_id, -contracts_e6)
        return contracts_e6

    def settle(self, account: Account, market_id: str, settlement_e4: int, now_ms: int) -> int:
        """Pay a position out and empty it; returns the payout (1/1,000,000 dollar), which may be zero.

        What is lost by rounding down stays in escrow.
        """
        position = account.positions.get(market_id)
        if position is None or not (position.yes_e6 or position.no_e6):
            return 0
        payout = cash_e6_of(settlement_e4, position.yes_e6, paying=position.yes_e6 < 0)
        payout += cash_e6_of(PRICE_ONE_E4 - settlement_e4, position.no_e6, paying=position.no_e6 < 0)
        account.cash_e6 += payout
        position.realized_e6 += payout - position.yes_cost_e6 - position.no_cost_e6
        position.yes_e6 = position.no_e6 = position.yes_cost_e6 = position.no_cost_e6 = 0
        position.updated_ms = now_ms
        self._escrow(market_id, -payout)
        return payout

    def forget_order(self, order_id: str) -> None:
        """Drop an ended order's fee accumulator."""
        self.order_fees.pop(order_id, None)

    def _escrow(self, market_id: str, change_e6: int) -> None:
        self.escrow_e6[market_id] = self.escrow_e6.get(market_id, 0) + change_e6

    def _fee(
        self, order_id: str, intent: Intent, price_e4: int, size_e6: int, schedule: FeeSchedule, is_taker: bool
    ) -> int:
        if isinstance(schedule, KalshiFeeSchedule):
            fees = self.order_fees.get(order_id)
            if fees is None:
                fees = self.order_fees[order_id] = KalshiOrderFees(schedule)
            return fees.fill(price_e4, size_e6, is_taker=is_taker, is_buy=intent.action == "buy").fee_e6
        charge = taker_fee_e6 if is_taker else maker_fee_e6
        return charge(price_e4, size_e6, schedule, is_buy=intent.action == "buy")


def split_cash(price_e4: int, size_e6: int, *, taker_side: Side, taker_buys: bool) -> tuple[int, int]:
    """Return what the YES leg and the NO leg of a trade are worth; together exactly one dollar per contract.

    The price is rounded against the taker: up for what it pays, down for what it gets.
    """
    yes_leg_is_takers = (taker_side == "bid") == taker_buys
    if yes_leg_is_takers:
        yes = cash_e6_of(price_e4, size_e6, paying=taker_buys)
    else:
        yes = size_e6 - cash_e6_of(PRICE_ONE_E4 - price_e4, size_e6, paying=taker_buys)
    return yes, size_e6 - yes


def account_state(account: Account, markets: set[str] | None = None) -> dict[str, Any]:
    """Return an account as JSON values; only the positions of `markets` when given."""
    return {
        "account_id": account.account_id,
        "cash_e6": account.cash_e6,
        "positions": {m: asdict(p) for m, p in account.positions.items() if markets is None or m in markets},
    }


def restore_account(account: Account, state: dict[str, Any]) -> None:
    """Take over what `account_state` wrote; positions it does not name stay."""
    account.cash_e6 = state["cash_e6"]
    for market_id, position in state["positions"].items():
        account.positions[market_id] = Position(**position)
