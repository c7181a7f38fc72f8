"""Can an account pay for an order? Asked before the order reaches the book, of what it would trade right now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.market.errors import Refused
from streams.market.fees import fee_bound_e6, taker_fee_e6
from streams.market.identity import Venue, other_outcome
from streams.market.units import PRICE_ONE_E4, cash_decimal, cash_e6_of
from streams.sandbox.accounts import Account
from streams.sandbox.records import ListedMarket, OrderRequest

if TYPE_CHECKING:
    from streams.sandbox.exchange import Exchange


def check_funds(exchange: Exchange, request: OrderRequest, listed: ListedMarket, fills: list[tuple[int, int]]) -> None:
    """Refuse an order its account cannot pay (or whose contracts it does not hold).

    Args:
        exchange: Whose order it is.
        request: The order.
        listed: Its market.
        fills: What it would trade now, [(price_e4 in YES terms, size_e6)].

    Raises:
        Refused: `insufficient_balance`, with amounts in the message.
    """
    account = exchange.accounts.accounts[request.account_id]
    if request.intent.action == "sell":
        _check_contracts(exchange, account, request)
        return
    available = account.cash_e6 - exchange.reserved_e6(request.account_id)
    needed = _cash_needed(request, listed, fills) - _released_by_netting(exchange, account, request)
    if needed > available:
        raise Refused("insufficient_balance", f"balance: {available}, order amount: {needed}")


def _cash_needed(request: OrderRequest, listed: ListedMarket, fills: list[tuple[int, int]]) -> int:
    is_yes = request.intent.outcome == "yes"
    total = 0
    for price, size in fills:
        cost_e4 = price if is_yes else PRICE_ONE_E4 - price
        total += cash_e6_of(cost_e4, size, paying=True) + taker_fee_e6(cost_e4, size, listed.schedule)
    if request.tif in ("ioc", "fok"):
        return total
    limit_e4 = request.price_e4 if is_yes else PRICE_ONE_E4 - request.price_e4
    rest = request.size_e6 - sum(size for _, size in fills)
    if rest:
        total += cash_e6_of(limit_e4, rest, paying=True)
        total += fee_bound_e6(limit_e4, rest, listed.schedule, is_taker=False)
    return total


def _released_by_netting(exchange: Exchange, account: Account, request: OrderRequest) -> int:
    """On Kalshi contracts of the other outcome turn into a dollar each when they meet the bought ones."""
    if exchange.venue is not Venue.KALSHI:
        return 0
    held = account.position(request.market_id).held_e6(other_outcome(request.intent.outcome))
    promised = sum(
        ticket.remaining_e6
        for ticket in exchange.open_tickets(account.account_id)
        if ticket.request.market_id == request.market_id and ticket.request.side == request.side
    )
    return min(max(0, held - promised), request.size_e6)


def _check_contracts(exchange: Exchange, account: Account, request: OrderRequest) -> None:
    position = account.position(request.market_id)
    held = position.held_e6(request.intent.outcome)
    resting = sum(
        ticket.remaining_e6
        for ticket in exchange.open_tickets(account.account_id)
        if ticket.request.market_id == request.market_id and ticket.request.intent == request.intent
    )
    arriving = 0
    if exchange.faults.settlement.sellable == "mined":
        arriving = sum(
            trade.size_e6
            for trade in exchange.unsettled.values()
            for side in (trade.taker, trade.maker)
            if trade.status == "MATCHED"
            and trade.market_id == request.market_id
            and side.account_id == account.account_id
            and side.intent.outcome == request.intent.outcome
            and side.intent.action == "buy"
        )
    if request.size_e6 > held - resting - arriving:
        free = cash_decimal(held - resting - arriving)
        raise Refused("insufficient_balance", f"balance: {free}, order amount: {cash_decimal(request.size_e6)}")
