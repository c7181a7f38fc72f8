"""Kalshi's portfolio reads: balance, positions, orders, fills, settlements, limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from streams.market.units import PRICE_ONE_E4
from streams.sandbox.accounts import Position
from streams.sandbox.kalshi_face.errors import bad_parameter, not_found
from streams.sandbox.kalshi_face.formats import DOLLARS, count, moment, money, money4
from streams.sandbox.kalshi_face.objects import exchange_index
from streams.sandbox.kalshi_face.public import paged
from streams.sandbox.records import ListedMarket, Payout, Ticket, Trade, TradeSide
from streams.sandbox.server import Request, Response, Router

if TYPE_CHECKING:
    from streams.sandbox.kalshi_face.auth import KalshiKey
    from streams.sandbox.kalshi_face.face import KalshiFace

USER_ID = "00000000-0000-4000-8000-000000000001"


class PortfolioRest:
    """Handlers that read an account. Every one is signed."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        signed = self._face.signed
        router.add("GET", "/portfolio/balance", signed(self.balance))
        router.add("GET", "/portfolio/positions", signed(self.positions))
        router.add("GET", "/portfolio/fills", signed(self.fills))
        router.add("GET", "/portfolio/settlements", signed(self.settlements))
        router.add("GET", "/portfolio/orders", signed(self.orders))
        router.add("GET", "/portfolio/orders/{order_id}", signed(self.order))
        router.add("GET", "/account/limits", signed(self.limits))

    def balance(self, request: Request, key: KalshiKey) -> Response:
        """Cash that resting orders do not hold, and what positions are worth at the mid."""
        account = self._exchange.accounts.accounts[key.account_id]
        cash = account.cash_e6 - self._exchange.reserved_e6(key.account_id)
        value = sum(
            _worth_e6(self._exchange.markets[market_id], position) for market_id, position in account.positions.items()
        )
        return Response(
            200,
            {
                "balance": cash // 10_000,
                "balance_dollars": money4(cash),
                "balance_breakdown": [{"exchange_index": 0, "balance": money4(cash)}],
                "portfolio_value": value // 10_000,
                "updated_ts": self._face.now_ms() // 1000,
            },
        )

    def positions(self, request: Request, key: KalshiKey) -> Response:
        """Positions in unsettled markets; without a filter only those that are not flat."""
        account = self._exchange.accounts.accounts[key.account_id]
        ticker, event = request.param("ticker"), request.param("event_ticker")
        rows = [
            (self._exchange.markets[market_id], position)
            for market_id, position in account.positions.items()
            if (not ticker or market_id == ticker)
            and (not event or self._exchange.markets[market_id].market.event_id == event)
            and (position.volume_e6 or position.yes_e6 or position.no_e6)
        ]
        unsettled = request.param("settlement_status", "unsettled") == "unsettled"
        rows = [row for row in rows if not (unsettled and row[0].status == "settled")]
        return Response(
            200,
            {
                "cursor": "",
                "market_positions": [position_object(listed, position) for listed, position in rows],
                "event_positions": list(_event_positions(rows)),
            },
        )

    def fills(self, request: Request, key: KalshiKey) -> Response:
        """Fills, newest first."""
        tickers, order_id = set(request.params("ticker")), request.param("order_id")
        low, high = _time_range(request)
        rows = [
            (trade, side)
            for trade in reversed(self._exchange.trades.values())
            for side in (trade.taker, trade.maker)
            if side.account_id == key.account_id
            and (not tickers or trade.market_id in tickers)
            and (not order_id or side.order_id == order_id)
            and low <= trade.at_ms <= high
        ]
        page, cursor = paged(rows, request.param("cursor"), _limit(request), lambda _: True)
        return Response(200, {"cursor": cursor, "fills": [self._fill(trade, side) for trade, side in page]})

    def settlements(self, request: Request, key: KalshiKey) -> Response:
        """Settled positions, newest first."""
        ticker, event = request.param("ticker"), request.param("event_ticker")
        low, high = _time_range(request)
        rows = [
            payout
            for payout in reversed(self._exchange.payouts)
            if payout.account_id == key.account_id
            and (not ticker or payout.market_id == ticker)
            and (not event or self._exchange.markets[payout.market_id].market.event_id == event)
            and low <= payout.at_ms <= high
        ]
        page, cursor = paged(rows, request.param("cursor"), _limit(request), lambda _: True)
        return Response(200, {"cursor": cursor, "settlements": [self._settlement(payout) for payout in page]})

    def orders(self, request: Request, key: KalshiKey) -> Response:
        """Orders, newest first."""
        ticker, events, status = request.param("ticker"), set(request.params("event_ticker")), request.param("status")
        if status and status not in ("resting", "canceled", "executed"):
            return bad_parameter("GetOrders: Status")
        low, high = _time_range(request)
        rows = [
            ticket
            for ticket in reversed(self._exchange.tickets.values())
            if ticket.request.account_id == key.account_id
            and (not ticker or ticket.request.market_id == ticker)
            and (not events or self._exchange.markets[ticket.request.market_id].market.event_id in events)
            and (not status or ticket.status == status)
            and low <= ticket.created_ms <= high
        ]
        page, cursor = paged(rows, request.param("cursor"), _limit(request), lambda _: True)
        return Response(200, {"cursor": cursor, "orders": [self._order(ticket) for ticket in page]})

    def order(self, request: Request, key: KalshiKey, order_id: str) -> Response:
        """One order of the account."""
        ticket = self._exchange.tickets.get(order_id)
        if ticket is None or ticket.request.account_id != key.account_id:
            return not_found()
        return Response(200, {"order": self._order(ticket)})

    def limits(self, request: Request, key: KalshiKey) -> Response:
        """The basic tier's buckets (the sandbox does not enforce them)."""
        bucket = {"read": {"refill_rate": 200, "bucket_capacity": 600}}
        return Response(
            200, {"usage_tier": "basic", "grants": [], **bucket, "write": {"refill_rate": 100, "bucket_capacity": 100}}
        )

    def _order(self, ticket: Ticket) -> dict[str, Any]:
        return order_object(ticket, self._exchange.markets[ticket.request.market_id])

    def _fill(self, trade: Trade, side: TradeSide) -> dict[str, Any]:
        assert side.charge is not None
        listed = self._exchange.markets[trade.market_id]
        return {
            "fill_id": trade.trade_id,
            "trade_id": trade.trade_id,
            "order_id": side.order_id,
            "ticker": trade.market_id,
            "market_ticker": trade.market_id,
            **directions("bid" if side.intent.outcome == "yes" else "ask"),
            "count_fp": count(trade.size_e6),
            "yes_price_dollars": DOLLARS[trade.price_e4],
            "no_price_dollars": DOLLARS[PRICE_ONE_E4 - trade.price_e4],
            "is_taker": side is trade.taker,
            "fee_cost": money(side.charge.fee_e6),
            "exchange_index": exchange_index(listed),
            "subaccount_number": 0,
            "created_time": moment(trade.at_ms),
            "ts": trade.at_ms // 1000,
        }

    def _settlement(self, payout: Payout) -> dict[str, Any]:
        listed = self._exchange.markets[payout.market_id]
        return {
            "ticker": payout.market_id,
            "event_ticker": listed.market.event_id,
            "exchange_index": exchange_index(listed),
            "market_result": payout.result,
            "yes_count_fp": count(payout.yes_e6),
            "no_count_fp": count(payout.no_e6),
            "yes_total_cost_dollars": money(payout.yes_cost_e6),
            "no_total_cost_dollars": money(payout.no_cost_e6),
            "revenue": payout.payout_e6 // 10_000,
            "value": payout.settlement_e4 // 100,
            "fee_cost": money(payout.fees_e6),
            "settled_time": moment(payout.at_ms),
        }


def directions(book_side: str) -> dict[str, str]:
    """The current direction fields and the deprecated ones that are still sent."""
    outcome = "yes" if book_side == "bid" else "no"
    return {"outcome_side": outcome, "book_side": book_side, "side": outcome, "action": "buy"}


def order_object(ticket: Ticket, listed: ListedMarket) -> dict[str, Any]:
    """One order as REST shows it."""
    request = ticket.request
    body: dict[str, Any] = {
        "order_id": ticket.order_id,
        "user_id": USER_ID,
        "client_order_id": request.client_order_id,
        "ticker": request.market_id,
        "exchange_index": exchange_index(listed),
        **directions(request.side),
        "type": "limit",
        "status": "canceled" if ticket.status == "canceled_resolved" else ticket.status,
        "yes_price_dollars": DOLLARS[request.price_e4],
        "no_price_dollars": DOLLARS[PRICE_ONE_E4 - request.price_e4],
        "initial_count_fp": count(request.size_e6),
        "fill_count_fp": count(ticket.filled_e6),
        "remaining_count_fp": count(ticket.remaining_e6),
        "taker_fill_cost_dollars": money(ticket.taker_cash_e6),
        "maker_fill_cost_dollars": money(ticket.maker_cash_e6),
        "taker_fees_dollars": money(ticket.taker_fees_e6),
        "maker_fees_dollars": money(ticket.maker_fees_e6),
        "self_trade_prevention_type": request.self_trade,
        "subaccount_number": 0,
        "created_time": moment(ticket.created_ms),
        "last_update_time": moment(ticket.updated_ms),
    }
    if request.expires_ms is not None:
        body["expiration_time"] = moment(request.expires_ms)
    return body


def position_object(listed: ListedMarket, position: Position) -> dict[str, Any]:
    """One market's net position."""
    return {
        "ticker": listed.market_id,
        "exchange_index": exchange_index(listed),
        "position_fp": count(position.yes_e6 - position.no_e6),
        "market_exposure_dollars": money(position.yes_cost_e6 + position.no_cost_e6),
        "total_traded_dollars": money(position.traded_e6),
        "realized_pnl_dollars": money(position.realized_e6),
        "fees_paid_dollars": money(position.fees_e6),
        "last_updated_ts": moment(position.updated_ms),
    }


def _event_positions(rows: list[tuple[ListedMarket, Position]]) -> Iterator[dict[str, Any]]:
    by_event: dict[str, list[Position]] = {}
    for listed, position in rows:
        by_event.setdefault(listed.market.event_id, []).append(position)
    for event_id, positions in by_event.items():
        exposure = sum(p.yes_cost_e6 + p.no_cost_e6 for p in positions)
        yield {
            "event_ticker": event_id,
            "event_exposure_dollars": money(exposure),
            "total_cost_dollars": money(sum(p.traded_e6 for p in positions)),
            "total_cost_shares_fp": count(sum(p.volume_e6 for p in positions)),
            "realized_pnl_dollars": money(sum(p.realized_e6 for p in positions)),
            "fees_paid_dollars": money(sum(p.fees_e6 for p in positions)),
        }


def _worth_e6(listed: ListedMarket, position: Position) -> int:
    bid, ask = listed.book.best_bid or 0, listed.book.best_ask or PRICE_ONE_E4
    yes_e4 = listed.settlement_e4 if listed.settlement_e4 is not None else (bid + ask) // 2
    return (position.yes_e6 * yes_e4 + position.no_e6 * (PRICE_ONE_E4 - yes_e4)) // PRICE_ONE_E4


def _limit(request: Request) -> int:
    text = request.param("limit", "100")
    return min(max(1, int(text)), 1000) if text.isdigit() else 100


def _time_range(request: Request) -> tuple[int, int]:
    low, high = request.param("min_ts", "0"), request.param("max_ts", "")
    return (int(low) * 1000 if low.isdigit() else 0), (int(high) * 1000 + 999 if high.isdigit() else 2**62)
