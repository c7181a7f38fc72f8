"""Can an account pay for an order? Asked before the order reaches the book, of what it would trade right now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from streams.market.errors import Refused
from streams.market.fees import (
    FeeSchedule,
    KalshiFeeSchedule,
    fee_bound_e6,
    spend_fee_bound_e6,
    taker_fee_e6,
)
from streams.market.identity import Outcome, Side, Venue, other_outcome
from streams.market.units import PRICE_ONE_E4, cash_decimal, cash_e6_of
from streams.sandbox.core.accounts import Account, schedule_at
from streams.sandbox.core.collateral_return import Group, Stake
from streams.sandbox.core.records import ListedMarket, OrderRequest, Ticket

if TYPE_CHECKING:
    from streams.sandbox.exchange.settlement import Settling


def check_funds(
    exchange: Settling,
    request: OrderRequest,
    listed: ListedMarket,
    fills: list[tuple[int, int]],
    amended: Ticket | None = None,
) -> None:
    """Refuse an order its account cannot pay (or whose contracts it does not hold).

    Args:
        exchange: Whose order it is.
        request: The order.
        listed: Its market.
        fills: What it would trade now, [(price_e4 in YES terms, size_e6)].
        amended: The order that this one takes the place of; what it reserves is free for it.

    Raises:
        Refused: `insufficient_balance`, or `insufficient_shard_balance` when the cash is on other shards; amounts are
            in the message.
    """
    account = exchange.accounts.accounts[request.account_id]
    if request.intent.action == "sell":
        check_tokens(exchange, account, request.market_id, request.intent.outcome, request.size_e6, amended)
        return
    schedule = schedule_of(account, listed)
    group = exchange.netting.group_for(account, request.market_id)
    if group is None:
        needed = _cash_needed(request, schedule, fills) - _released_by_netting(exchange, account, request, amended)
    else:
        needed = _fees_needed(request, schedule, fills)
        needed += _added_to_group(exchange, account, group, request, fills, amended)
    check_cash(exchange, account, listed.shard, needed, amended)


def check_cash(exchange: Settling, account: Account, shard: int, needed_e6: int, amended: Ticket | None = None) -> None:
    """Refuse what a shard's free cash does not cover.

    Raises:
        Refused: `insufficient_balance`, or `insufficient_shard_balance` when other shards hold enough.
    """
    reserved = reserved_by_shard(exchange, account, amended)
    unmined = unmined_cash_e6(exchange, account)
    available = account.cash_by_shard_e6.get(shard, 0) - reserved.get(shard, 0) - unmined
    if needed_e6 <= available:
        return
    elsewhere = account.cash_e6 - sum(reserved.values()) - unmined
    code = "insufficient_shard_balance" if needed_e6 <= elsewhere else "insufficient_balance"
    raise Refused(code, f"balance: {available}, order amount: {needed_e6}")


def check_tokens(
    exchange: Settling,
    account: Account,
    market_id: str,
    outcome: Outcome,
    size_e6: int,
    amended: Ticket | None = None,
) -> None:
    """Refuse what the account's free contracts do not cover: held, not promised to open sells, and mined.

    Raises:
        Refused: `insufficient_balance`.
    """
    held = account.held_e6(market_id, outcome)
    promised = sum(
        ticket.remaining_e6
        for ticket in open_orders(exchange, account, amended)
        if ticket.request.market_id == market_id
        and ticket.request.intent.action == "sell"
        and ticket.request.intent.outcome == outcome
    )
    free = held - promised - unmined_e6(exchange, account, market_id, outcome)
    if size_e6 > free:
        raise Refused("insufficient_balance", f"balance: {cash_decimal(free)}, order amount: {cash_decimal(size_e6)}")


def unmined_e6(exchange: Settling, account: Account, market_id: str, outcome: Outcome) -> int:
    """Contracts bought that are not on the chain yet, where that keeps them from being sold."""
    if not exchange.needs_mining:
        return 0
    return sum(
        trade.size_e6
        for trade in exchange.unsettled.values()
        for side in (trade.taker, trade.maker)
        if trade.status in ("MATCHED", "RETRYING")
        and trade.market_id == market_id
        and side.account_id == account.account_id
        and side.intent.outcome == outcome
        and side.intent.action == "buy"
    )


def unmined_cash_e6(exchange: Settling, account: Account) -> int:
    """Proceeds of sales that are not on the chain yet, where that keeps them from being spent."""
    if not exchange.needs_mining:
        return 0
    return sum(
        side.charge.cash_change_e6
        for trade in exchange.unsettled.values()
        for side in (trade.taker, trade.maker)
        if trade.status in ("MATCHED", "RETRYING")
        and side.account_id == account.account_id
        and side.intent.action == "sell"
        and side.charge is not None
    )


def reserved_by_shard(exchange: Settling, account: Account, amended: Ticket | None = None) -> dict[int, int]:
    """Cash that the account's open buys may still need, by shard, fees included.

    On Kalshi orders that only close a position need none: their contracts meet held ones and become a dollar each. The
    cheapest orders are taken to be the closing ones, so that never too little is reserved. Where the account nets
    across an event, its orders there are taken together (`Netting.needed_e6`).
    """
    reserved: dict[int, int] = {}
    closing: dict[tuple[str, Side], int] = {}
    netted: dict[str, list[Stake]] = {key: [] for key in account.returned_e6}
    buys = [ticket for ticket in open_orders(exchange, account, amended) if ticket.request.intent.action == "buy"]
    for ticket in sorted(buys, key=lambda ticket: ticket.request.cost_e4):
        request = ticket.request
        listed = exchange.markets[request.market_id]
        group = exchange.netting.group_for(account, request.market_id)
        if group is not None:
            netted.setdefault(group.key, []).append(_stake(request, ticket.remaining_e6))
            fee = _ticket_fee_bound(ticket, schedule_of(account, listed))
            reserved[listed.shard] = reserved.get(listed.shard, 0) + fee
            continue
        key = (request.market_id, request.side)
        if key not in closing:
            closing[key] = _opposite_e6(exchange, account, request)
        closed = min(closing[key], ticket.remaining_e6)
        closing[key] -= closed
        needed = _most_needed(ticket, ticket.remaining_e6 - closed, schedule_of(account, listed))
        reserved[listed.shard] = reserved.get(listed.shard, 0) + needed
    for name, stakes in netted.items():
        group = exchange.netting.group(name)
        reserved[group.shard] = reserved.get(group.shard, 0) + exchange.netting.needed_e6(account, group, stakes)
    return reserved


def spare_cash_e6(exchange: Settling, account: Account, group: Group) -> int:
    """Cash on a group's shard that nothing outside the group holds."""
    within = exchange.netting.needed_e6(account, group, _stakes(exchange, account, group, None))
    held = reserved_by_shard(exchange, account).get(group.shard, 0) - within
    return account.cash_by_shard_e6.get(group.shard, 0) - held


def schedule_of(account: Account, listed: ListedMarket) -> FeeSchedule:
    """The market's fees as this account pays them."""
    schedule = listed.schedule
    return schedule_at(schedule, account.precision_e6) if isinstance(schedule, KalshiFeeSchedule) else schedule


def _most_needed(ticket: Ticket, opening_e6: int, schedule: FeeSchedule) -> int:
    request = ticket.request
    if request.spend_e6 is not None:
        return request.spend_e6 + spend_fee_bound_e6(request.spend_e6, schedule)
    return cash_e6_of(request.cost_e4, opening_e6, paying=True) + _ticket_fee_bound(ticket, schedule)


def _ticket_fee_bound(ticket: Ticket, schedule: FeeSchedule) -> int:
    return _fee_bound(ticket.request, ticket.remaining_e6, schedule, is_taker=ticket.status == "delayed")


def _stake(request: OrderRequest, size_e6: int) -> Stake:
    cost = cash_e6_of(request.cost_e4, size_e6, paying=True)
    return Stake(request.market_id, request.intent.outcome, size_e6, cost)


def _stakes(exchange: Settling, account: Account, group: Group, amended: Ticket | None) -> list[Stake]:
    return [
        _stake(ticket.request, ticket.remaining_e6)
        for ticket in open_orders(exchange, account, amended)
        if exchange.netting.group_for(account, ticket.request.market_id) is group
    ]


def _added_to_group(
    exchange: Settling,
    account: Account,
    group: Group,
    request: OrderRequest,
    fills: list[tuple[int, int]],
    amended: Ticket | None,
) -> int:
    """What an order adds to what the account's orders in a group may take, without fees; negative if it brings cash."""
    before = _stakes(exchange, account, group, amended)
    bought = [_stake(replace(request, price_e4=price), size) for price, size in fills]
    rest = request.size_e6 - sum(size for _, size in fills)
    after = before if request.tif in ("ioc", "fok") or not rest else [*before, _stake(request, rest)]
    netting = exchange.netting
    return netting.needed_e6(account, group, after, bought) - netting.needed_e6(account, group, before)


def _fee_bound(request: OrderRequest, size_e6: int, schedule: FeeSchedule, *, is_taker: bool) -> int:
    """The most an order's fees can be, but for a rounding per fill; makers mostly pay none on Kalshi."""
    if isinstance(schedule, KalshiFeeSchedule) and not schedule.rate_e4(is_taker=is_taker):
        return 0
    return fee_bound_e6(request.cost_e4, size_e6, schedule, is_taker=is_taker)


def _cash_needed(request: OrderRequest, schedule: FeeSchedule, fills: list[tuple[int, int]]) -> int:
    total = _fees_needed(request, schedule, fills)
    for price, size in fills:
        total += cash_e6_of(_cost_at(request, price), size, paying=True)
    if request.tif in ("ioc", "fok"):
        return max(total, request.spend_e6 or 0)
    rest = request.size_e6 - sum(size for _, size in fills)
    return total + cash_e6_of(request.cost_e4, rest, paying=True)


def _fees_needed(request: OrderRequest, schedule: FeeSchedule, fills: list[tuple[int, int]]) -> int:
    total = sum(taker_fee_e6(_cost_at(request, price), size, schedule) for price, size in fills)
    rest = request.size_e6 - sum(size for _, size in fills)
    if rest and request.tif not in ("ioc", "fok"):
        total += _fee_bound(request, rest, schedule, is_taker=False)
    return total


def _cost_at(request: OrderRequest, price_e4: int) -> int:
    return price_e4 if request.intent.outcome == "yes" else PRICE_ONE_E4 - price_e4


def _opposite_e6(exchange: Settling, account: Account, request: OrderRequest) -> int:
    """Held contracts of the other outcome that bought ones turn into cash; none on Polymarket."""
    if exchange.venue is not Venue.KALSHI:
        return 0
    return max(0, account.held_e6(request.market_id, other_outcome(request.intent.outcome)))


def _released_by_netting(exchange: Settling, account: Account, request: OrderRequest, amended: Ticket | None) -> int:
    promised = sum(
        ticket.remaining_e6
        for ticket in open_orders(exchange, account, amended)
        if ticket.request.market_id == request.market_id and ticket.request.side == request.side
    )
    return min(max(0, _opposite_e6(exchange, account, request) - promised), request.size_e6)


def open_orders(exchange: Settling, account: Account, amended: Ticket | None = None) -> list[Ticket]:
    """The account's orders that rest or are held, but for the one that is being amended."""
    return [
        ticket
        for tickets in (exchange.resting, exchange.delayed)
        for ticket in tickets.values()
        if ticket.request.account_id == account.account_id and ticket is not amended
    ]
