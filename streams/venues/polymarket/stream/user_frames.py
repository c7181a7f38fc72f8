"""Polymarket's user stream frames as user stream events. Pure; the only error is MalformedFrame.

Orders and trades are read as the ones of REST are; the kind of an order's event (PLACEMENT, UPDATE, CANCELLATION) and
the reason of a kill stand in its status.
"""

from __future__ import annotations

import re
from typing import Any

from streams.market.errors import InvalidAmount, MalformedFrame
from streams.market.identity import Venue
from streams.market.user_stream_events import FillStatus, FillUpdate, OrderStatus, OrderUpdate, UserStreamEvent
from streams.venues.common.decimals import check_text
from streams.venues.common.responses import json_of, read
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.clob.orders import OrderState, TradeState, parse_order, parse_trade

_SECONDS_END = 4_102_444_800  # the year 2100
_LONGEST_MS = 13
_CANCELED = re.compile(r"(?:ORDER_STATUS_)?CANCELL?ED_?(.*)", re.IGNORECASE | re.DOTALL)
_STATUS: dict[str, OrderStatus] = {
    "LIVE": "live",
    "MATCHED": "filled",
    "DELAYED": "delayed",
    "UNMATCHED": "live",  # marketable, not matched after its delay, and resting since
    "INVALID": "refused",
}
_FILL_STATUS: dict[str, FillStatus] = {
    "MATCHED": "matched",
    "MINED": "mined",
    "RETRYING": "retrying",
    "CONFIRMED": "confirmed",
    "FAILED": "failed",
}


def parse_user_frame(raw: bytes, credentials: PolymarketCredentials) -> list[UserStreamEvent]:
    """Return the orders and fills of a frame (one object or an array of them), in its order.

    A trade without a fill of ours gives nothing; events of other kinds are passed over.

    Raises:
        MalformedFrame: If it is not a frame of the documented shape.
    """
    if raw.strip() == b"PONG":
        return []
    try:
        check_text(raw)
        document = json_of(raw)
        events: list[UserStreamEvent] = []
        for entry in document if isinstance(document, list) else [document]:
            events += read(entry, lambda message: _events_of(message, credentials))
    except MalformedFrame as error:
        raise MalformedFrame(raw, error.reason) from None
    except (InvalidAmount, ArithmeticError, OSError, RecursionError) as error:
        raise MalformedFrame(raw, f"{type(error).__name__}: {error}") from None
    return events


def _events_of(message: dict[str, Any], credentials: PolymarketCredentials) -> list[UserStreamEvent]:
    kind = message.get("event_type")
    if kind == "order":
        return [order_update(parse_order(message))]
    if kind == "trade":
        return list(fill_updates(parse_trade(message, credentials.api_key, credentials.wallet)))
    return []


def order_update(order: OrderState) -> OrderUpdate:
    """Return an order of the socket or of a REST read as an update."""
    payload = order.payload
    status, reason = _status_of(order)
    return OrderUpdate(
        venue=Venue.POLYMARKET,
        order_id=order.order_id,
        market_id=order.market_id,
        status=status,
        side="bid" if order.side == "BUY" else "ask",
        price_e4=order.price_e4,
        original_e6=order.original_e6,
        filled_e6=order.matched_e6,
        remaining_e6=max(order.original_e6 - order.matched_e6, 0) if status in ("live", "delayed") else 0,
        token_id=order.token_id,
        reason=reason,
        venue_sent_ms=_ms(payload.get("timestamp")),
        payload=payload,
    )


def _status_of(order: OrderState) -> tuple[OrderStatus, str]:
    """A killed order is cancelled with the reason behind its status; INVALID may come as a cancellation."""
    word = str(order.payload.get("status") or "")
    if order.status.startswith("CANCELED"):
        reason = _CANCELED.fullmatch(word)
        return "canceled", (reason and reason[1]) or "CANCELED"
    if str(order.payload.get("type") or "").upper() == "CANCELLATION":
        return "canceled", word
    status = _STATUS.get(order.status, "unknown")
    if status == "live" and 0 < order.original_e6 <= order.matched_e6:
        status = "filled"
    return status, ""


def fill_updates(trade: TradeState) -> tuple[FillUpdate, ...]:
    """Return our fills in a trade of the socket or of a REST read, each at the trade's status."""
    at_ms = _ms(trade.payload.get("last_update") or trade.payload.get("timestamp"))
    return tuple(
        FillUpdate(
            venue=Venue.POLYMARKET,
            fill_id=fill.trade_id,
            order_id=fill.order_id,
            market_id=trade.market_id,
            side="bid" if fill.side == "BUY" else "ask",
            price_e4=fill.price_e4,
            size_e6=fill.size_e6,
            cash_e6=fill.cash_e6,
            is_taker=fill.is_taker,
            status=_FILL_STATUS[trade.status],
            token_id=fill.token_id,
            venue_sent_ms=at_ms,
            payload=trade.payload,
        )
        for fill in trade.fills
    )


def _ms(value: Any) -> int | None:
    """Milliseconds of a time that is seconds in some rows and milliseconds in others.

    None where there is none or none that can be: no fill is lost for its time.
    """
    text = str(value)
    if not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_MS:
        return None
    number = int(text)
    at_ms = number * 1000 if number < _SECONDS_END else number
    return at_ms if at_ms < _SECONDS_END * 1000 else None
