"""Kalshi's user stream frames as user stream events. Pure; the only error is MalformedFrame.

Orders and executions are read as the ones of REST are; what the sockets add stands beside them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from streams.market.errors import MalformedFrame
from streams.market.events import Acknowledgement, ChannelError
from streams.market.identity import Venue
from streams.market.units import PRICE_SCALE
from streams.market.user_stream_events import (
    FillUpdate,
    OrderGroupUpdate,
    OrderStatus,
    OrderUpdate,
    PositionUpdate,
    UserStreamEvent,
)
from streams.venues.common.decimals import check_text, wire_cash_e6, wire_ms, wire_size_e6
from streams.venues.common.responses import json_of, read
from streams.venues.kalshi.types import wire
from streams.venues.kalshi.types.market_frames import parse_frame
from streams.venues.kalshi.types.orders import FillState, OrderState, parse_fill, parse_order

_frame = msgspec.json.Decoder(wire.Frame).decode
_group = msgspec.json.Decoder(wire.OrderGroupMessage).decode
_position = msgspec.json.Decoder(wire.PositionMessage).decode
_STATUS: dict[str, OrderStatus] = {"resting": "live", "canceled": "canceled", "executed": "filled"}


class UserFrame(NamedTuple):
    """What a frame of the user stream reports; `sequence` only on channels that count."""

    event: UserStreamEvent | Acknowledgement | ChannelError | None
    subscription_id: int | None
    sequence: int | None


def parse_user_frame(raw: bytes) -> UserFrame:
    """Return what a frame of the user stream reports; its event is None for frames of other channels.

    Raises:
        MalformedFrame: For anything that is not a frame of the documented shape.
    """
    try:
        check_text(raw)
        frame = _frame(raw)
        event = read(frame, lambda found: _event_of(found, raw))
    except MalformedFrame as error:
        raise MalformedFrame(raw, error.reason) from None
    except (msgspec.DecodeError, ValueError, ArithmeticError, OSError, RecursionError) as error:
        raise MalformedFrame(raw, f"{type(error).__name__}: {error}") from None
    return UserFrame(event, frame.sid, frame.seq)


def _event_of(frame: wire.Frame, raw: bytes) -> UserStreamEvent | Acknowledgement | ChannelError | None:
    if frame.type == "fill":
        return fill_update(parse_fill(json_of(bytes(frame.msg))))
    if frame.type == "user_order":
        return order_update(parse_order(json_of(bytes(frame.msg))))
    if frame.type == "market_position":
        return _position_update(frame)
    if frame.type == "order_group_updates":
        return _group_update(frame)
    if frame.type in ("subscribed", "ok", "unsubscribed", "error"):
        (event,) = parse_frame(raw)
        assert isinstance(event, Acknowledgement | ChannelError)
        return event
    return None


def order_update(order: OrderState) -> OrderUpdate:
    """Return an order of the socket or of a REST read as an update."""
    payload = order.payload
    return OrderUpdate(
        venue=Venue.KALSHI,
        order_id=order.order_id,
        market_id=order.market_id,
        status=_STATUS.get(order.status, "unknown"),
        side="bid" if order.outcome == "yes" else "ask",
        price_e4=order.price_e4,
        original_e6=order.initial_e6,
        filled_e6=order.filled_e6,
        remaining_e6=order.remaining_e6,
        client_order_id=order.client_order_id,
        reason=str(payload.get("last_update_reason") or ""),
        venue_sent_ms=wire_ms(payload.get("last_updated_ts_ms") or payload.get("created_ts_ms")),
        payload=payload,
    )


def fill_update(fill: FillState) -> FillUpdate:
    """Return an execution of the socket or of a REST read as an update."""
    return FillUpdate(
        venue=Venue.KALSHI,
        fill_id=fill.fill_id,
        order_id=fill.order_id,
        market_id=fill.market_id,
        side="bid" if fill.outcome == "yes" else "ask",
        price_e4=fill.yes_price_e4,
        size_e6=fill.size_e6,
        # Sizes are hundredths of a contract, so the product is a whole number of millionths of a dollar.
        cash_e6=fill.yes_price_e4 * fill.size_e6 // PRICE_SCALE,
        is_taker=fill.is_taker,
        fee_e6=fill.fee_e6,
        client_order_id=str(fill.payload.get("client_order_id") or ""),
        venue_sent_ms=wire_ms(fill.payload.get("ts_ms")),
        payload=fill.payload,
    )


def _position_update(frame: wire.Frame) -> PositionUpdate:
    message = _position(frame.msg)
    return PositionUpdate(
        venue=Venue.KALSHI,
        market_id=message.market_ticker,
        contracts_e6=wire_size_e6(message.position_fp),
        cost_e6=_cash(message.position_cost_dollars),
        realised_e6=_cash(message.realized_pnl_dollars),
        fee_e6=_cash(message.fees_paid_dollars),
        payload=bytes(frame.msg),
    )


def _group_update(frame: wire.Frame) -> OrderGroupUpdate:
    message = _group(frame.msg)
    return OrderGroupUpdate(
        venue=Venue.KALSHI,
        group_id=message.order_group_id,
        kind=message.event_type,
        limit_e6=wire_size_e6(message.contracts_limit_fp) if message.contracts_limit_fp else None,
        venue_sent_ms=message.ts_ms,
        payload=bytes(frame.msg),
    )


def _cash(text: Any) -> int:
    return wire_cash_e6(text) if text else 0
