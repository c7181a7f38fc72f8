"""Kalshi's portfolio reads: balance, positions, fills, settlements, orders. All lie behind writes by the reads' lag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.market.units import PRICE_ONE_E4, cash_e6_of
from streams.sandbox.core.accounts import Position
from streams.sandbox.core.collateral_return import Stake, returned_by_event
from streams.sandbox.core.records import ListedMarket, OrderRecord, Payout, Trade, TradeSide
from streams.sandbox.http.routes import Access, Rejected, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.errors import bad_parameter, not_found
from streams.sandbox.kalshi.formats import count, money4
from streams.sandbox.kalshi.paging import limit_of, one_of, paged, paged_after, time_range, whole
from streams.sandbox.kalshi.portfolio_objects import (
    event_position_objects,
    fill_object,
    order_object,
    position_object,
    settlement_object,
    shown_status,
)
from streams.sandbox.kalshi.venue import KalshiVenue

_MAX_FILL_TICKERS = 100
_MAX_EVENTS = 10


def get_balance(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Cash that resting orders do not hold, by shard, and what positions are worth at the mid.

    Collateral that was returned is cash, and is missing from the positions' worth.
    """
    only, now_ms = whole(request, "exchange_index"), venue.now_ms()
    account = venue.exchange.replica.account(key.account_id, now_ms)
    free = free_cash(venue, key, now_ms)
    is_empty = is_other_subaccount(request)
    free = {shard: 0 if is_empty else cash for shard, cash in free.items() if only in (None, shard)}
    markets = venue.exchange.state.markets
    value = sum(
        _worth_e6(markets[market_id], position)
        for market_id, position in account.positions.items()
        if market_id in markets and _is_on(markets[market_id], only)
    ) - sum(returned_by_event(account, only).values())
    return Response(
        200,
        {
            "balance": sum(free.values()) // 10_000,
            "balance_dollars": money4(sum(free.values())),
            "balance_breakdown": [
                {"exchange_index": shard, "balance": money4(cash)} for shard, cash in sorted(free.items())
            ],
            "portfolio_value": 0 if is_empty else value // 10_000,
            "updated_ts": now_ms // 1000,
        },
    )


def list_positions(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Positions, of unsettled markets unless asked otherwise."""
    limit = limit_of(request, "GetPositions", 100, 1000)
    word = one_of(request, "GetPositions", "settlement_status", ("unsettled", "settled", "all")) or "unsettled"
    counted = set(request.params("count_filter"))
    if counted - {"position", "total_traded"}:
        raise Rejected(bad_parameter("GetPositions", "CountFilter", "oneof"))
    rows = [
        (listed, position)
        for listed, position in _held(venue, request, key)
        if word == "all" or (listed.status == "settled") is (word == "settled")
    ]
    if counted:
        rows = [row for row in rows if _has(row[1], counted)]
    account = venue.exchange.replica.account(key.account_id, venue.now_ms())
    return positions_page(request, rows, limit, returned_by_event(account))


def list_fills(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Fills of the live tier, newest first."""
    if len(request.params("ticker")) > _MAX_FILL_TICKERS:
        raise Rejected(bad_parameter("GetFills", "Ticker", "max"))
    low, high = time_range(request)
    since = venue.now_ms() - venue.settings.archive_after_ms
    return fills_page(venue, request, key, "GetFills", (max(low, since), high))


def list_settlements(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Settled positions, newest first."""
    limit = limit_of(request, "GetSettlements", 100, 1000)
    ticker, event = request.param("ticker"), request.param("event_ticker")
    low, high = time_range(request)
    markets = venue.exchange.state.markets

    def matches(payout: Payout) -> bool:
        return (
            (not ticker or payout.market_id == ticker)
            and (not event or markets[payout.market_id].market.event_id == event)
            and low <= payout.at_ms <= high
        )

    payouts = venue.exchange.replica.payouts(key.account_id, venue.now_ms())
    rows = [] if is_other_subaccount(request) else [payout for payout in reversed(payouts) if matches(payout)]
    page, cursor = paged_after(rows, request.param("cursor"), limit, lambda payout: payout.transaction_id)
    bodies = [settlement_object(payout, markets[payout.market_id]) for payout in page]
    return Response(200, {"cursor": cursor, "settlements": bodies})


def list_orders(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Orders of the live tier, newest first; resting ones are always there."""
    since = venue.now_ms() - venue.settings.archive_orders_after_ms
    rows = [
        record
        for record in orders_of(venue, request, key, "GetOrders")
        if shown_status(record) == "resting" or record.updated_ms >= since
    ]
    return orders_page(venue, request, rows, "GetOrders")


def get_order(venue: KalshiVenue, request: Request, key: KalshiKey, order_id: str) -> Response:
    """One order of the account."""
    record = venue.exchange.replica.order(order_id, venue.now_ms())
    if record is None or record.request.account_id != key.account_id:
        return not_found()
    listed = venue.exchange.state.markets[record.request.market_id]
    return Response(200, {"order": order_object(record, listed, venue.settings)})


def list_queue_positions(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Contracts ahead of every resting order; markets or an event must be named."""
    tickers, event = set(request.params("market_tickers")), request.param("event_ticker")
    if not tickers and not event:
        raise Rejected(bad_parameter("Need to specify market_tickers or event_ticker"))
    rows = []
    for record in venue.exchange.state.resting_orders(key.account_id):
        listed = venue.exchange.state.markets[record.request.market_id]
        if listed.market_id in tickers or listed.market.event_id == event:
            rows.append({"order_id": record.order_id, "market_ticker": listed.market_id, **_queue(listed, record)})
    return Response(200, {"queue_positions": [] if is_other_subaccount(request) else rows})


def get_queue_position(venue: KalshiVenue, request: Request, key: KalshiKey, order_id: str) -> Response:
    """Contracts ahead of one resting order."""
    record = venue.exchange.state.orders.get(order_id)
    if record is None or record.request.account_id != key.account_id or record.status != "resting":
        return not_found()
    return Response(200, _queue(venue.exchange.state.markets[record.request.market_id], record))


def get_resting_value(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """What resting orders would cost: integer cents in total, dollars by shard."""
    value: dict[int, int] = {}
    for record in venue.exchange.replica.orders(key.account_id, venue.now_ms()):
        if record.status == "resting":
            shard = venue.exchange.state.markets[record.request.market_id].shard
            value[shard] = value.get(shard, 0) + _cost_e6(record)
    rows = [{"exchange_index": shard, "balance": money4(cash)} for shard, cash in sorted(value.items())]
    return Response(
        200,
        {"total_resting_order_value": sum(value.values()) // 10_000, "resting_order_value_breakdown": rows},
    )


def free_cash(venue: KalshiVenue, key: KalshiKey, now_ms: int) -> dict[int, int]:
    """Cash by shard that resting orders do not hold, as the account may read it.

    Every order holds its cost; those of an event in which the account nets hold what they can take together.
    """
    exchange, netted = venue.exchange, dict[str, list[Stake]]()
    account = exchange.replica.account(key.account_id, now_ms)
    free = dict(account.cash_by_shard_e6)
    for record in exchange.replica.orders(key.account_id, now_ms):
        if record.status != "resting":
            continue
        request, shard = record.request, exchange.state.markets[record.request.market_id].shard
        group = exchange.state.collateral.group_for(account, request.market_id)
        if group is None:
            free[shard] = free.get(shard, 0) - _cost_e6(record)
        else:
            stake = Stake(request.market_id, request.intent.outcome, record.remaining_e6, _cost_e6(record))
            netted.setdefault(group.key, []).append(stake)
    for name, stakes in netted.items():
        group = exchange.state.collateral.group(name)
        free[group.shard] = free.get(group.shard, 0) - exchange.state.collateral.needed_e6(account, group, stakes)
    return free


def positions_of(
    venue: KalshiVenue, request: Request, key: KalshiKey, now_ms: int
) -> list[tuple[ListedMarket, Position]]:
    """The account's positions that a request's ticker, event and shard name, in the order they were opened."""
    ticker, event, shard = request.param("ticker"), request.param("event_ticker"), whole(request, "exchange_index")
    account, markets = venue.exchange.replica.account(key.account_id, now_ms), venue.exchange.state.markets
    return [
        (markets[market_id], position)
        for market_id, position in account.positions.items()
        if market_id in markets
        and (not ticker or market_id == ticker)
        and (not event or markets[market_id].market.event_id == event)
        and _is_on(markets[market_id], shard)
        and (position.volume_e6 or position.yes_e6 or position.no_e6)
    ]


def positions_page(
    request: Request, rows: list[tuple[ListedMarket, Position]], limit: int, returned: Mapping[str, int]
) -> Response:
    """A page of markets' positions, with their events' sums less the collateral that was returned, by event."""
    page, cursor = paged(rows, request.param("cursor"), limit, lambda row: row[0].market_id)
    return Response(
        200,
        {
            "cursor": cursor,
            "market_positions": [position_object(listed, position) for listed, position in page],
            "event_positions": list(event_position_objects(page, returned)),
        },
    )


def fills_page(venue: KalshiVenue, request: Request, key: KalshiKey, call: str, span: tuple[int, int]) -> Response:
    """A page of the account's fills within [low, high] milliseconds, newest first."""
    limit, shard = limit_of(request, call, 100, 1000), whole(request, "exchange_index")
    tickers, order_id = set(request.params("ticker")), request.param("order_id")
    markets = venue.exchange.state.markets

    def matches(trade: Trade, side: TradeSide) -> bool:
        return (
            side.account_id == key.account_id
            and (not tickers or trade.market_id in tickers)
            and (not order_id or side.order_id == order_id)
            and span[0] <= trade.at_ms <= span[1]
            and _is_on(markets[trade.market_id], shard)
        )

    rows = [
        (trade, side)
        for trade in reversed(venue.exchange.replica.trades(key.account_id, venue.now_ms()))
        for side in (trade.taker, trade.maker)
        if matches(trade, side)
    ]
    if is_other_subaccount(request):
        rows = []
    page, cursor = paged_after(rows, request.param("cursor"), limit, lambda row: row[0].trade_id + row[1].order_id)
    bodies = [fill_object(trade, side, markets[trade.market_id], venue.settings) for trade, side in page]
    return Response(200, {"cursor": cursor, "fills": bodies})


def orders_of(venue: KalshiVenue, request: Request, key: KalshiKey, call: str) -> list[OrderRecord]:
    """The account's orders that a request's filters name, newest first."""
    ticker, events = request.param("ticker"), set(request.params("event_ticker"))
    if len(events) > _MAX_EVENTS:
        raise Rejected(bad_parameter(call, "EventTicker", "max"))
    status = one_of(request, call, "status", ("resting", "canceled", "executed"))
    shard, (low, high) = whole(request, "exchange_index"), time_range(request)
    if is_other_subaccount(request):
        return []
    markets = venue.exchange.state.markets
    return [
        record
        for record in reversed(venue.exchange.replica.orders(key.account_id, venue.now_ms()))
        if (not ticker or record.request.market_id == ticker)
        and (not events or markets[record.request.market_id].market.event_id in events)
        and (not status or shown_status(record) == status)
        and (shard is None or markets[record.request.market_id].shard == shard)
        and low <= record.created_ms <= high
    ]


def orders_page(venue: KalshiVenue, request: Request, rows: list[OrderRecord], call: str) -> Response:
    """One page of orders that are newest first."""
    limit = limit_of(request, call, 100, 1000)
    page, cursor = paged_after(rows, request.param("cursor"), limit, lambda record: record.order_id)
    markets = venue.exchange.state.markets
    bodies = [order_object(record, markets[record.request.market_id], venue.settings) for record in page]
    return Response(200, {"cursor": cursor, "orders": bodies})


def is_other_subaccount(request: Request) -> bool:
    """Whether a read asks for a subaccount that does not exist: the sandbox's accounts have the primary one only."""
    return bool(whole(request, "subaccount"))


def _held(venue: KalshiVenue, request: Request, key: KalshiKey) -> list[tuple[ListedMarket, Position]]:
    now_ms = venue.now_ms()
    if is_other_subaccount(request):
        return []
    return [
        (listed, position)
        for listed, position in positions_of(venue, request, key, now_ms)
        if not venue.is_archived(listed)
    ]


def _is_on(listed: ListedMarket, shard: int | None) -> bool:
    return shard is None or listed.shard == shard


def _has(position: Position, counted: set[str]) -> bool:
    return ("position" in counted and position.yes_e6 != position.no_e6) or (
        "total_traded" in counted and position.traded_e6 != 0
    )


def _cost_e6(record: OrderRecord) -> int:
    return cash_e6_of(record.request.cost_e4, record.remaining_e6, paying=True)


def _worth_e6(listed: ListedMarket, position: Position) -> int:
    bid, ask = listed.book.best_bid or 0, listed.book.best_ask or PRICE_ONE_E4
    yes_e4 = listed.settlement_e4 if listed.settlement_e4 is not None else (bid + ask) // 2
    return (position.yes_e6 * yes_e4 + position.no_e6 * (PRICE_ONE_E4 - yes_e4)) // PRICE_ONE_E4


def _queue(listed: ListedMarket, record: OrderRecord) -> dict[str, Any]:
    """Contracts that trade before the order: at better prices, and in front of it at its own."""
    request = record.request
    ahead = 0
    for price, level in listed.book.side(request.side).items():
        is_better = price > request.price_e4 if request.side == "bid" else price < request.price_e4
        if is_better:
            ahead += level.total_e6
        elif price == request.price_e4:
            for order in level.orders.values():
                if order.order_id == record.order_id:
                    break
                ahead += order.remaining_e6
    return {"queue_position_fp": count(ahead)}


ROUTES: list[Route[KalshiVenue]] = [
    Route("GET", "/portfolio/balance", get_balance, Access.SIGNED),
    Route("GET", "/portfolio/positions", list_positions, Access.SIGNED),
    Route("GET", "/portfolio/fills", list_fills, Access.SIGNED),
    Route("GET", "/portfolio/settlements", list_settlements, Access.SIGNED),
    Route("GET", "/portfolio/orders", list_orders, Access.SIGNED),
    Route("GET", "/portfolio/orders/queue_positions", list_queue_positions, Access.SIGNED),
    Route("GET", "/portfolio/orders/{order_id}", get_order, Access.SIGNED),
    Route("GET", "/portfolio/orders/{order_id}/queue_position", get_queue_position, Access.SIGNED),
    Route("GET", "/portfolio/summary/total_resting_order_value", get_resting_value, Access.SIGNED),
]
