"""Can an account pay for an order? Asked before the order reaches the book, of what it would trade right now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streams.market.errors import Refused
from streams.market.fees import FeeSchedule, KalshiFeeSchedule, fee_bound_e6, spend_fee_bound_e6, taker_fee_e6
from streams.market.identity import Outcome, Side
from streams.market.units import PRICE_ONE_E4, cash_decimal, cash_e6_of
from streams.sandbox.core.accounts import Account, schedule_at
from streams.sandbox.core.collateral_return import Group, Stake
from streams.sandbox.core.records import OrderRecord, OrderRequest
from streams.sandbox.exchange.settlement_timing import SettlementTiming
from streams.sandbox.exchange.state import ExchangeState

_IMMEDIATE = ("ioc", "fok")
_PENDING = ("MATCHED", "RETRYING")
"""States of a trade whose transaction is not on the chain."""
Fills = Sequence[tuple[int, int]]
"""What an order would trade now: (price_e4 in YES terms, size_e6)."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an account must have free for an order: dollars, or contracts of the outcome it sells (1/1,000,000).

    Cash is negative where the order brings more than it takes.
    """

    cash_e6: int = 0
    tokens_e6: int = 0


class _Taken(NamedTuple):
    """What an order takes at once: contracts, their cost, and the fees, also those the rest may bring."""

    size_e6: int
    cost_e6: int
    fees_e6: int


class BuyingPower:
    """What is free of an account's cash and contracts, and what an order takes of it."""

    def __init__(self, state: ExchangeState, timing: SettlementTiming) -> None:
        self._state = state
        self._timing = timing

    # -- orders -----------------------------------------------------------------------------------------------------

    def check(self, request: OrderRequest, fills: Fills, replaced: OrderRecord | None = None) -> None:
        """Refuse an order its account cannot pay (or whose contracts it does not hold).

        Args:
            request: The order.
            fills: What it would trade now.
            replaced: The order that this one takes the place of; what it reserves is free for it.

        Raises:
            Refused: `insufficient_balance`, or `insufficient_shard_balance` when the cash is on other shards; amounts
                are in the message.
        """
        account = self._state.accounts.accounts[request.account_id]
        others = self._state.open_orders(request.account_id, replaced)
        needed = self.required(request, fills, others)
        if request.intent.action == "sell":
            self._check_tokens(account, request.market_id, request.intent.outcome, needed.tokens_e6, others)
        else:
            self._check_cash(account, self._state.markets[request.market_id].shard, needed.cash_e6, others)

    def required(self, request: OrderRequest, fills: Fills, others: Sequence[OrderRecord]) -> Requirement:
        """Return what an order needs beside the account's other open orders.

        A buy needs what it takes at once with its fees, and its limit for the rest. Where pairs become cash it needs
        nothing for contracts that close a position. Where collateral is returned across the event, it needs what it
        adds to the worst that can happen there.
        """
        if request.intent.action == "sell":
            return Requirement(tokens_e6=request.size_e6)
        account, listed = self._state.accounts.accounts[request.account_id], self._state.markets[request.market_id]
        taken = _taken(request, fills, schedule_at(listed.schedule, account.precision_e6))
        group = self._state.collateral.group_for(account, request.market_id)
        if group is not None:
            added = self._added_to_group(account, group, request, fills, others)
            return Requirement(taken.fees_e6 + added)
        if request.tif in _IMMEDIATE:
            cash = max(taken.cost_e6 + taken.fees_e6, request.spend_e6 or 0)
        else:
            rest = cash_e6_of(request.cost_e4, request.size_e6 - taken.size_e6, paying=True)
            cash = taken.cost_e6 + taken.fees_e6 + rest
        opposite = self._opposite_e6(account, request)
        return Requirement(cash - _closed_e6(request, opposite, others) if opposite else cash)

    def _opposite_e6(self, account: Account, request: OrderRequest) -> int:
        """Held contracts of the other outcome that bought ones turn into cash, where pairs become cash."""
        position = account.positions.get(request.market_id)
        if position is None or not self._state.rules.pairs_become_cash:
            return 0
        return max(0, position.no_e6 if request.intent.outcome == "yes" else position.yes_e6)

    def _added_to_group(
        self, account: Account, group: Group, request: OrderRequest, fills: Fills, others: Iterable[OrderRecord]
    ) -> int:
        """What an order adds to what the account's orders in a group may take, without fees; negative if it brings."""
        before = self._stakes(account, group, others)
        bought = [_stake(request, size, _cost_at(request, price)) for price, size in fills]
        rest = request.size_e6 - sum(size for _, size in fills)
        after = before if request.tif in _IMMEDIATE or not rest else [*before, _stake(request, rest)]
        collateral = self._state.collateral
        return collateral.needed_e6(account, group, after, bought) - collateral.needed_e6(account, group, before)

    def _stakes(self, account: Account, group: Group, records: Iterable[OrderRecord]) -> list[Stake]:
        group_for = self._state.collateral.group_for
        return [
            _stake(record.request, record.remaining_e6)
            for record in records
            if group_for(account, record.request.market_id) is group
        ]

    # -- cash -------------------------------------------------------------------------------------------------------

    def check_cash(self, account: Account, shard: int, needed_e6: int) -> None:
        """Refuse what a shard's free cash does not cover.

        Raises:
            Refused: `insufficient_balance`, or `insufficient_shard_balance` when other shards hold enough.
        """
        self._check_cash(account, shard, needed_e6, self._state.open_orders(account.account_id))

    def _check_cash(self, account: Account, shard: int, needed_e6: int, others: Sequence[OrderRecord]) -> None:
        has_reserved = others or account.returned_e6
        reserved = self._reserved_by_shard(account, others) if has_reserved else {}
        pending = self._pending_cash_e6(account) if self._state.unsettled else 0
        available = account.cash_by_shard_e6.get(shard, 0) - reserved.get(shard, 0) - pending
        if needed_e6 <= available:
            return
        elsewhere = account.cash_e6 - sum(reserved.values()) - pending
        code = "insufficient_shard_balance" if needed_e6 <= elsewhere else "insufficient_balance"
        raise Refused(code, f"balance: {available}, order amount: {needed_e6}")

    def reserved_by_shard(self, account: Account) -> dict[int, int]:
        """Cash that the account's open buys may still need, by shard, fees included.

        Where pairs become cash, orders that only close a position need none: their contracts meet held ones and become
        a dollar each. The cheapest orders are taken to be the closing ones, so that never too little is reserved. Where
        collateral is returned across an event, the account's orders there are taken together
        (`Netting.needed_e6`).
        """
        return self._reserved_by_shard(account, self._state.open_orders(account.account_id))

    def _reserved_by_shard(self, account: Account, records: Sequence[OrderRecord]) -> dict[int, int]:
        reserved: dict[int, int] = {}
        closing: dict[tuple[str, Side], int] = {}
        stakes: dict[str, list[Stake]] = {}
        for key in account.returned_e6:
            stakes[key] = []
        for record in sorted(records, key=_limit_cost_e4):
            request = record.request
            if request.intent.action == "sell":
                continue
            listed = self._state.markets[request.market_id]
            schedule = schedule_at(listed.schedule, account.precision_e6)
            group = self._state.collateral.group_for(account, request.market_id)
            if group is not None:
                stakes.setdefault(group.key, []).append(_stake(request, record.remaining_e6))
                needed = _fee_bound_of(record, schedule)
            else:
                place = (request.market_id, request.side)
                left = closing[place] if place in closing else self._opposite_e6(account, request)
                closed = min(left, record.remaining_e6)
                closing[place] = left - closed
                needed = _most_needed(record, record.remaining_e6 - closed, schedule)
            reserved[listed.shard] = reserved.get(listed.shard, 0) + needed
        for key, staked in stakes.items():
            shard = self._state.collateral.group(key).shard
            needed = self._state.collateral.needed_e6(account, self._state.collateral.group(key), staked)
            reserved[shard] = reserved.get(shard, 0) + needed
        return reserved

    def spare_cash_e6(self, account: Account, group: Group) -> int:
        """Cash on a group's shard that nothing outside the group holds."""
        records = self._state.open_orders(account.account_id)
        within = self._state.collateral.needed_e6(account, group, self._stakes(account, group, records))
        held = self._reserved_by_shard(account, records).get(group.shard, 0) - within
        return account.cash_by_shard_e6.get(group.shard, 0) - held

    def _pending_cash_e6(self, account: Account) -> int:
        """Proceeds of sales that are pending on the chain, where that keeps them from being spent."""
        if not self._timing.needs_mining:
            return 0
        return sum(
            side.charge.cash_change_e6
            for trade in self._state.unsettled.values()
            for side in (trade.taker, trade.maker)
            if trade.status in _PENDING
            and side.account_id == account.account_id
            and side.intent.action == "sell"
            and side.charge is not None
        )

    # -- contracts --------------------------------------------------------------------------------------------------

    def check_tokens(self, account: Account, market_id: str, outcome: Outcome, size_e6: int) -> None:
        """Refuse what the account's free contracts do not cover: held, not reserved for open sells, and mined.

        Raises:
            Refused: `insufficient_balance`.
        """
        self._check_tokens(account, market_id, outcome, size_e6, self._state.open_orders(account.account_id))

    def _check_tokens(
        self, account: Account, market_id: str, outcome: Outcome, size_e6: int, others: Iterable[OrderRecord]
    ) -> None:
        reserved = sum(
            record.remaining_e6
            for record in others
            if record.request.market_id == market_id
            and record.request.intent.action == "sell"
            and record.request.intent.outcome == outcome
        )
        pending = self.pending_tokens_e6(account, market_id, outcome)
        free = account.held_e6(market_id, outcome) - reserved - pending
        if size_e6 > free:
            amounts = f"balance: {cash_decimal(free)}, order amount: {cash_decimal(size_e6)}"
            raise Refused("insufficient_balance", amounts)

    def pending_tokens_e6(self, account: Account, market_id: str, outcome: Outcome) -> int:
        """Contracts bought that are pending on the chain, where that keeps them from being sold."""
        if not self._state.unsettled or not self._timing.needs_mining:
            return 0
        return sum(
            trade.size_e6
            for trade in self._state.unsettled.values()
            for side in (trade.taker, trade.maker)
            if trade.status in _PENDING
            and trade.market_id == market_id
            and side.account_id == account.account_id
            and side.intent.outcome == outcome
            and side.intent.action == "buy"
        )


def _taken(request: OrderRequest, fills: Fills, schedule: FeeSchedule) -> _Taken:
    """What an order takes at once, by a market's fees as its account pays them."""
    taken = cost = fees = 0
    for price, size in fills:
        at = _cost_at(request, price)
        taken += size
        cost += cash_e6_of(at, size, paying=True)
        fees += taker_fee_e6(at, size, schedule)
    if taken != request.size_e6 and request.tif not in _IMMEDIATE:
        fees += _fee_bound(request, request.size_e6 - taken, schedule, is_taker=False)
    return _Taken(taken, cost, fees)


def _closed_e6(request: OrderRequest, opposite_e6: int, others: Iterable[OrderRecord]) -> int:
    """What an order brings back as its contracts meet held ones of the other outcome that no other order meets."""
    for record in others:
        if record.request.market_id == request.market_id and record.request.side == request.side:
            opposite_e6 -= record.remaining_e6
    return min(max(0, opposite_e6), request.size_e6)


def _limit_cost_e4(record: OrderRecord) -> int:
    return record.request.cost_e4


def _most_needed(record: OrderRecord, opening_e6: int, schedule: FeeSchedule) -> int:
    request = record.request
    if request.spend_e6 is not None:
        return request.spend_e6 + spend_fee_bound_e6(request.spend_e6, schedule)
    return cash_e6_of(request.cost_e4, opening_e6, paying=True) + _fee_bound_of(record, schedule)


def _fee_bound_of(record: OrderRecord, schedule: FeeSchedule) -> int:
    return _fee_bound(record.request, record.remaining_e6, schedule, is_taker=record.status == "delayed")


def _fee_bound(request: OrderRequest, size_e6: int, schedule: FeeSchedule, *, is_taker: bool) -> int:
    """The most an order's fees can be, but for a rounding per fill; makers mostly pay none on Kalshi."""
    if isinstance(schedule, KalshiFeeSchedule) and not schedule.rate_e4(is_taker=is_taker):
        return 0
    return fee_bound_e6(request.cost_e4, size_e6, schedule, is_taker=is_taker)


def _stake(request: OrderRequest, size_e6: int, cost_e4: int | None = None) -> Stake:
    """Contracts an order buys, at its limit unless another price is given."""
    cost = cash_e6_of(request.cost_e4 if cost_e4 is None else cost_e4, size_e6, paying=True)
    return Stake(request.market_id, request.intent.outcome, size_e6, cost)


def _cost_at(request: OrderRequest, price_e4: int) -> int:
    return price_e4 if request.intent.outcome == "yes" else PRICE_ONE_E4 - price_e4
