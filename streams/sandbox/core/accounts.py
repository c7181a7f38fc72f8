"""What the accounts of one venue own: cash on each shard, positions. Pure integers, no wire, no clock.

Every contract in existence is backed by one dollar in `escrow_e6`: buyers of YES and NO pay it together, holders of
both (or the winner) get it back. So cash of all accounts + escrow + fees is always what was deposited, in every market
as many YES exist as NO, and after a market is settled nothing of it is left in escrow. Amounts that do not come out
even are rounded once; what one side pays the other gets. Where collateral is returned across the markets of an event
(`collateral_return`), escrow lends it; what is never paid back is `shortfall_e6`, the venue's loss.

Tokens can be owed (a negative position) by one account only: one that sold what a failed trade then took back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from streams.market.fees import FeeSchedule, KalshiFeeSchedule, KalshiOrderFees, maker_fee_e6, taker_fee_e6
from streams.market.identity import Outcome, Side
from streams.market.units import PRICE_ONE_E4, cash_e6_of
from streams.sandbox.core.shards import EVERYWHERE, split_by_share
from streams.sandbox.core.venue_rules import VenueRules

Action = Literal["buy", "sell"]
Schedule = TypeVar("Schedule", bound=FeeSchedule)


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
    """One account.

    Attributes:
        cash_by_shard_e6: Cash on each exchange shard; Polymarket has shard 0 only. Collateral is checked per shard.
        is_house: The flow's, or the venue's own; it may owe any amount and is never refused.
        precision_e6: Kalshi settles fees to this step: 100 for direct members, 10,000 for accounts through a broker.
        allocation: Percent of the cash each shard should hold; empty when nothing is moved by itself.
        redeems_itself: Whether positions of a settled market are paid without being asked for.
        deposited_e6: The cash it was opened with.
        is_netting: Whether it asked for collateral to be returned across the markets of an event.
        returned_e6: What was returned, by group of markets (`streams.sandbox.core.collateral_return`).
    """

    account_id: str
    cash_by_shard_e6: dict[int, int] = field(default_factory=dict)
    is_house: bool = False
    positions: dict[str, Position] = field(default_factory=dict)
    precision_e6: int = 100
    allocation: dict[int, int] = field(default_factory=dict)
    redeems_itself: bool = True
    deposited_e6: int = 0
    is_netting: bool = False
    returned_e6: dict[str, int] = field(default_factory=dict)

    @property
    def cash_e6(self) -> int:
        """Cash on all shards together."""
        return sum(self.cash_by_shard_e6.values())

    def add_cash(self, shard: int, change_e6: int) -> None:
        """Add to (or take from) the cash of one shard."""
        self.cash_by_shard_e6[shard] = self.cash_by_shard_e6.get(shard, 0) + change_e6

    def held_e6(self, market_id: str, outcome: Outcome) -> int:
        """Contracts held of an outcome."""
        found = self.positions.get(market_id)
        return 0 if found is None else found.held_e6(outcome)

    def owes(self, market_id: str) -> bool:
        """Whether it owes contracts of a market."""
        return min(self.held_e6(market_id, "yes"), self.held_e6(market_id, "no")) < 0

    def position(self, market_id: str) -> Position:
        """The position in a market, made when there is none."""
        found = self.positions.get(market_id)
        if found is None:
            found = self.positions[market_id] = Position()
        return found


@dataclass(frozen=True, slots=True)
class Intent:
    """What an order does to its account: buys or sells an outcome."""

    outcome: Outcome
    action: Action


def buying(side: Side) -> Intent:
    """The order of an account that holds a net position: a bid buys YES, an ask buys NO."""
    return Intent("yes" if side == "bid" else "no", "buy")


@dataclass(slots=True)
class Charge:
    """What one fill did to one account, in 1/1,000,000 dollar.

    Attributes:
        cash_change_e6: Change of the cash, fee included.
        fee_e6: The fee in it.
        realized_e6: What a sale brought beyond what the contracts had cost.
    """

    cash_change_e6: int = 0
    fee_e6: int = 0
    realized_e6: int = 0


@dataclass(frozen=True, slots=True)
class Fill:
    """One side of a trade, as an account books it.

    Attributes:
        order_id: The order; Kalshi's fees accumulate per order.
        intent: What is bought or sold.
        price_e4: Price of that outcome.
        cash_e6: What is paid or received for the contracts, as `split_cash` divided it.
        is_taker: Which fee applies.
    """

    market_id: str
    order_id: str
    intent: Intent
    price_e4: int
    size_e6: int
    cash_e6: int
    is_taker: bool
    at_ms: int


class Accounts:
    """All accounts of one venue. `shards` says where a market's cash moves; a market it does not know is on shard 0."""

    def __init__(self, rules: VenueRules) -> None:
        self.rules = rules
        self.accounts: dict[str, Account] = {}
        self.shards: dict[str, int] = {}
        self.escrow_e6: dict[str, int] = {}
        self.fees_e6 = 0
        self.shortfall_e6 = 0
        self.order_fees: dict[str, KalshiOrderFees] = {}

    def open_account(
        self, account_id: str, cash_e6: int, *, is_house: bool = False, precision_e6: int = 100
    ) -> Account:
        """Return the account, made with that cash when it is new.

        Where there are shards the cash is spread over them (40/20/20/20), so that an ordinary client can trade
        everywhere.
        """
        if account_id not in self.accounts:
            is_spread = self.rules.has_shards and not is_house
            allocation = dict(EVERYWHERE) if is_spread else {}
            cash = split_by_share(cash_e6, allocation) if is_spread else {0: cash_e6}
            self.accounts[account_id] = Account(
                account_id, cash, is_house, precision_e6=precision_e6, allocation=allocation, deposited_e6=cash_e6
            )
        return self.accounts[account_id]

    def total_e6(self) -> int:
        """Cash of all accounts, escrow and fees less what escrow lent and lost: always what was deposited."""
        cash = sum(account.cash_e6 for account in self.accounts.values())
        lent = sum(sum(account.returned_e6.values()) for account in self.accounts.values())
        return cash + sum(self.escrow_e6.values()) + self.fees_e6 - lent - self.shortfall_e6

    def shard(self, market_id: str) -> int:
        """The shard on which a market trades."""
        return self.shards.get(market_id, 0)

    def participant(self, account_id: str) -> Account:
        """A simulated participant: unlimited cash."""
        found = self.accounts.get(account_id)
        return found if found is not None else self.open_account(account_id, 0, is_house=True)

    def pairs_become_cash(self, account: Account) -> bool:
        """Whether holding both outcomes turns into cash by itself: for simulated participants it always does."""
        return account.is_house or self.rules.pairs_become_cash

    def fill(self, account: Account, fill: Fill, schedule: FeeSchedule) -> Charge:
        """Book a fill by the market's fees; simulated participants pay none."""
        position = account.position(fill.market_id)
        position.opened_ms = position.opened_ms or fill.at_ms
        position.updated_ms = fill.at_ms
        fee = 0 if account.is_house else self._fee(account, fill, schedule)
        outcome, cash, realized = fill.intent.outcome, fill.cash_e6, 0
        if fill.intent.action == "buy":
            change = -cash - fee
            position.change(outcome, fill.size_e6, cash)
            self._escrow(fill.market_id, cash)
        else:
            realized = cash - position.take_out(outcome, fill.size_e6)
            change = cash - fee
            position.realized_e6 += realized
            self._escrow(fill.market_id, -cash)
        account.add_cash(self.shard(fill.market_id), change)
        self.fees_e6 += fee
        position.fees_e6 += fee
        position.traded_e6 += cash
        position.volume_e6 += fill.size_e6
        if self.pairs_become_cash(account):
            change += self.merge(account, fill.market_id, min(position.yes_e6, position.no_e6))
        return Charge(change, fee, realized)

    def reverse(self, account: Account, fill: Fill, charge: Charge) -> None:
        """Take a fill back that was charged so: a trade that never settled.

        A buyer who sold the contracts meanwhile (possible only where matched tokens can be sold) owes them afterwards;
        one whose pairs became cash buys the pairs back.
        """
        position = account.position(fill.market_id)
        sign = -1 if fill.intent.action == "buy" else 1
        position.change(fill.intent.outcome, sign * fill.size_e6, sign * fill.cash_e6 - charge.realized_e6)
        position.realized_e6 -= charge.realized_e6
        account.add_cash(self.shard(fill.market_id), -sign * fill.cash_e6 + charge.fee_e6)
        self._escrow(fill.market_id, sign * fill.cash_e6)
        position.fees_e6 -= charge.fee_e6
        position.traded_e6 -= fill.cash_e6
        position.volume_e6 -= fill.size_e6
        self.fees_e6 -= charge.fee_e6
        if self.pairs_become_cash(account):
            self.split(account, fill.market_id, max(0, -min(position.yes_e6, position.no_e6)))
            self.merge(account, fill.market_id, min(position.yes_e6, position.no_e6))

    def split(self, account: Account, market_id: str, contracts_e6: int) -> None:
        """Turn dollars into pairs of YES and NO; the cost is booked half on each."""
        if contracts_e6 <= 0:
            return
        position = account.position(market_id)
        position.change("yes", contracts_e6, contracts_e6 - contracts_e6 // 2)
        position.change("no", contracts_e6, contracts_e6 // 2)
        account.add_cash(self.shard(market_id), -contracts_e6)
        self._escrow(market_id, contracts_e6)

    def merge(self, account: Account, market_id: str, contracts_e6: int) -> int:
        """Turn pairs of YES and NO into cash, one dollar each; returns the dollars (1/1,000,000)."""
        if contracts_e6 <= 0:
            return 0
        position = account.position(market_id)
        cost = position.take_out("yes", contracts_e6) + position.take_out("no", contracts_e6)
        account.add_cash(self.shard(market_id), contracts_e6)
        position.realized_e6 += contracts_e6 - cost
        self._escrow(market_id, -contracts_e6)
        return contracts_e6

    def hand_over(self, giver: Account, taker: Account, market_id: str, outcome: Outcome, contracts_e6: int) -> None:
        """Move contracts of an outcome from one account to another, with what they cost."""
        cost = giver.position(market_id).take_out(outcome, contracts_e6)
        taker.position(market_id).change(outcome, contracts_e6, cost)

    def settle(self, account: Account, market_id: str, settlement_e4: int, now_ms: int, step_e6: int = 1) -> int:
        """Pay a position out and empty it; returns the payout (1/1,000,000 dollar), which may be zero.

        It is rounded down to whole steps, so that a debt is rounded up; what that leaves stays in escrow.
        """
        position = account.positions.get(market_id)
        if position is None or not (position.yes_e6 or position.no_e6):
            return 0
        payout = cash_e6_of(settlement_e4, position.yes_e6, paying=False)
        payout += cash_e6_of(PRICE_ONE_E4 - settlement_e4, position.no_e6, paying=False)
        payout -= payout % step_e6
        account.add_cash(self.shard(market_id), payout)
        position.realized_e6 += payout - position.yes_cost_e6 - position.no_cost_e6
        position.yes_e6 = position.no_e6 = position.yes_cost_e6 = position.no_cost_e6 = 0
        position.updated_ms = now_ms
        self._escrow(market_id, -payout)
        return payout

    def evict_market(self, market_id: str) -> None:
        """Drop a settled market. What rounding left in its escrow becomes the venue's."""
        self.fees_e6 += self.escrow_e6.pop(market_id, 0)
        self.shards.pop(market_id, None)

    def drop_fees(self, order_id: str) -> None:
        """Drop an ended order's fee accumulator."""
        self.order_fees.pop(order_id, None)

    def _escrow(self, market_id: str, change_e6: int) -> None:
        self.escrow_e6[market_id] = self.escrow_e6.get(market_id, 0) + change_e6

    def fees_of_order(
        self, account: Account, order_id: str, schedule: KalshiFeeSchedule, accumulator_e6: int = 0
    ) -> KalshiOrderFees:
        """The fee accumulator of one Kalshi order, made at the account's precision when there is none.

        Its next fill pays by the schedule of its own moment, which may have changed since the order was placed.
        """
        at_account = schedule_at(schedule, account.precision_e6)
        fees = self.order_fees.get(order_id)
        if fees is None:
            fees = self.order_fees[order_id] = KalshiOrderFees(at_account, accumulator_e6)
        fees.schedule = at_account
        return fees

    def _fee(self, account: Account, fill: Fill, schedule: FeeSchedule) -> int:
        is_buy = fill.intent.action == "buy"
        if isinstance(schedule, KalshiFeeSchedule):
            fees = self.fees_of_order(account, fill.order_id, schedule)
            return fees.fill(fill.price_e4, fill.size_e6, is_taker=fill.is_taker, is_buy=is_buy).fee_e6
        charge = taker_fee_e6 if fill.is_taker else maker_fee_e6
        return charge(fill.price_e4, fill.size_e6, schedule, is_buy=is_buy)


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


def schedule_at(schedule: Schedule, precision_e6: int) -> Schedule:
    """The schedule as an account of that precision pays it; only Kalshi's has one."""
    if not isinstance(schedule, KalshiFeeSchedule) or schedule.step_e6 == precision_e6:
        return schedule
    return replace(schedule, account="fcm" if schedule.account == "direct" else "direct")


def account_state(account: Account, markets: set[str] | None = None) -> dict[str, Any]:
    """Return an account as values that orjson writes; only the positions of `markets` when given."""
    return {
        "account_id": account.account_id,
        "cash_by_shard_e6": sorted(account.cash_by_shard_e6.items()),
        "allocation": sorted(account.allocation.items()),
        "precision_e6": account.precision_e6,
        "redeems_itself": account.redeems_itself,
        "deposited_e6": account.deposited_e6,
        "is_netting": account.is_netting,
        "returned_e6": sorted(account.returned_e6.items()),
        "positions": {m: p for m, p in account.positions.items() if markets is None or m in markets},
    }


def restore_account(account: Account, state: dict[str, Any]) -> None:
    """Take over what `account_state` wrote; positions it does not name stay."""
    account.cash_by_shard_e6 = dict(state["cash_by_shard_e6"])
    account.allocation = dict(state["allocation"])
    account.precision_e6 = state["precision_e6"]
    account.redeems_itself = state["redeems_itself"]
    account.deposited_e6 = state["deposited_e6"]
    account.is_netting = state.get("is_netting", False)
    account.returned_e6 = dict(state.get("returned_e6", ()))
    for market_id, position in state["positions"].items():
        account.positions[market_id] = Position(**position)
