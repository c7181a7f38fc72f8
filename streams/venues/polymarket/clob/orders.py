"""What Polymarket answers about our orders, cancels and trades, in integer units. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Literal, NamedTuple

from streams.market.errors import InvalidAmount
from streams.market.units import PRICE_ONE_E4
from streams.venues.common.decimals import plain_decimal, wire_size_e6
from streams.venues.common.listed_fields import id_of
from streams.venues.common.times import at_ms, at_seconds, parse_time
from streams.venues.polymarket.amounts import OrderSide

_ONE_E10 = 10**10
_E4_IN_E10 = _ONE_E10 // PRICE_ONE_E4
TradeStatus = Literal["MATCHED", "MINED", "CONFIRMED", "RETRYING", "FAILED"]
_TRADE_STATUS: dict[str, TradeStatus] = {
    "MATCHED": "MATCHED",
    "MATCHED_NOT_BROADCASTED": "MATCHED",
    "MINED": "MINED",
    "CONFIRMED": "CONFIRMED",
    "RETRYING": "RETRYING",
    "FAILED": "FAILED",
}


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """What POST /order answered. The unit of the amounts in its payload is not confirmed: fills come from trades.

    Attributes:
        status: live, matched, delayed or unmatched. A fill-and-kill order has answered live and filled later.
        trade_ids: Trades made at placement; more may follow.
    """

    order_id: str
    status: str
    trade_ids: tuple[str, ...]
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CancelAnswer:
    """Which orders were cancelled and why others were not.

    Attributes:
        unaccounted: Ids that were asked for and stand in neither list: only a reading tells what became of them.
    """

    canceled: tuple[str, ...]
    not_canceled: dict[str, str]
    unaccounted: tuple[str, ...]
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OrderState:
    """One of our orders.

    Attributes:
        status: Without prefixes: LIVE, DELAYED, UNMATCHED, MATCHED, INVALID, CANCELED, CANCELED_MARKET_RESOLVED or
            CANCELED_ with another reason behind; words that come later pass as they are.
        price_e4: What the order states per share, to the nearest 1/10,000: the ratio of its amounts may be finer.
    """

    order_id: str
    status: str
    market_id: str
    token_id: str
    side: OrderSide
    price_e4: int
    original_e6: int
    matched_e6: int
    order_type: str
    trade_ids: tuple[str, ...]
    created_at: datetime | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FillState:
    """Our part of a trade; its key is (trade_id, order_id).

    Attributes:
        price_e4: Price of the token in dollars, to the nearest 1/10,000; for a taker who crossed several levels the
            venue's one price.
        cash_e6: What was paid (BUY) or received (SELL) without fee, summed over the makers it met.
        pieces: (price_e4, size_e6) of each of these makers; what a fee is charged on.
    """

    trade_id: str
    order_id: str
    token_id: str
    side: OrderSide
    price_e4: int
    size_e6: int
    cash_e6: int
    is_taker: bool
    pieces: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class TradeState:
    """One trade with our fills in it: the taker's, a maker's, or both where our orders met each other.

    Attributes:
        status: MATCHED is provisional, and so is a word that is not known; CONFIRMED and FAILED are final.
    """

    trade_id: str
    status: TradeStatus
    market_id: str
    fills: tuple[FillState, ...]
    matched_at: datetime | None
    payload: dict[str, Any]

    @property
    def is_final(self) -> bool:
        """Whether the status cannot change any more."""
        return self.status in ("CONFIRMED", "FAILED")


def parse_post_answer(document: dict[str, Any]) -> PostAnswer:
    """Return the answer of POST /order; raises KeyError where it is not one."""
    return PostAnswer(
        order_id=id_of(document, "orderID") if document["orderID"] not in (None, "") else "",
        status=str(document["status"]).lower(),
        trade_ids=tuple(str(trade) for trade in document.get("tradeIDs") or ()),
        payload=document,
    )


def parse_cancel_answer(document: dict[str, Any], asked: tuple[str, ...] = ()) -> CancelAnswer:
    """Return the answer of every cancelling call.

    Args:
        document: The answer.
        asked: The ids that were named; empty where all of a kind were cancelled.
    """
    canceled = tuple(str(order) for order in document["canceled"] or ())
    refused = {str(order): str(reason) for order, reason in (document.get("not_canceled") or {}).items()}
    told = {order.lower() for order in (*canceled, *refused)}
    return CancelAnswer(canceled, refused, tuple(order for order in asked if order.lower() not in told), document)


def parse_order(document: dict[str, Any]) -> OrderState:
    """Return one order of /data/orders or /data/order/{id}."""
    return OrderState(
        order_id=id_of(document, "id"),
        status=_order_status(document["status"]),
        market_id=id_of(document, "market"),
        token_id=id_of(document, "asset_id"),
        side=side_of(document["side"]),
        price_e4=_near_e4(_price_e10(document["price"])),
        original_e6=wire_size_e6(str(document.get("original_size") or "0")),
        matched_e6=wire_size_e6(str(document.get("size_matched") or "0")),
        order_type=str(document.get("order_type") or ""),
        trade_ids=tuple(str(trade) for trade in document.get("associate_trades") or ()),
        created_at=_seconds(document.get("created_at")),
        payload=document,
    )


def _order_status(text: Any) -> str:
    status = str(text).upper().removeprefix("ORDER_STATUS_")
    return "CANCELED" + status.removeprefix("CANCELLED") if status.startswith("CANCELLED") else status


def side_of(text: str) -> OrderSide:
    """Return BUY or SELL.

    Raises:
        InvalidAmount: For any other word.
    """
    if text.upper() == "BUY":
        return "BUY"
    if text.upper() == "SELL":
        return "SELL"
    raise InvalidAmount(f"unknown side: {text[:20]!r}")


def parse_trade(document: dict[str, Any], api_key: str, wallet: str) -> TradeState:
    """Return one trade of /data/trades or of the user socket with the fills that are ours.

    Args:
        document: The trade.
        api_key: Ours: a maker entry belongs to us when its owner is it.
        wallet: Ours, for rows that state no owner.
    """
    status = str(document["status"]).upper().removeprefix("TRADE_STATUS_")
    fills = [_maker_fill(document, entry) for entry in _makers(document) if _is_ours(entry, api_key, wallet)]
    # Rows that do not say which side is ours are the taker's unless a maker in them is.
    if str(document.get("trader_side") or ("MAKER" if fills else "TAKER")).upper() == "TAKER":
        fills.insert(0, _taker_fill(document))
    return TradeState(
        trade_id=id_of(document, "id"),
        status=_TRADE_STATUS.get(status, "MATCHED"),
        market_id=id_of(document, "market"),
        fills=tuple(fills),
        matched_at=_seconds(document.get("match_time") or document.get("matchtime")),
        payload=document,
    )


def _makers(document: dict[str, Any]) -> list[dict[str, Any]]:
    return document.get("maker_orders") or []


def _is_ours(entry: dict[str, Any], api_key: str, wallet: str) -> bool:
    owner = entry.get("owner")
    return owner == api_key if owner else str(entry.get("maker_address")).lower() == wallet.lower()


def _taker_fill(document: dict[str, Any]) -> FillState:
    side, token = side_of(document["side"]), id_of(document, "asset_id")
    price, size = _price_e10(document["price"]), wire_size_e6(str(document["size"]))
    met = [(_price_for(token, entry), wire_size_e6(str(entry["matched_amount"]))) for entry in _makers(document)]
    if sum(part for _, part in met) != size:
        met = [(price, size)]
    part = _OrderPart(id_of(document, "taker_order_id"), token, side, price)
    return _fill(document, part, met, is_taker=True)


def _price_for(token: str, entry: dict[str, Any]) -> int:
    """The e10 price of the taker's token in a maker's entry, perhaps of the complementary outcome (mint or merge)."""
    price = _price_e10(entry["price"])
    return price if str(entry.get("asset_id") or token) == token else _ONE_E10 - price


def _maker_fill(document: dict[str, Any], entry: dict[str, Any]) -> FillState:
    token = str(entry.get("asset_id") or document["asset_id"])
    taker_side = side_of(document["side"])
    if entry.get("side"):
        side = side_of(entry["side"])
    else:
        # Rows of 2024 do not say: against the same token a maker is on the other side, else on the same.
        is_same_token = token == id_of(document, "asset_id")
        side = ("SELL" if taker_side == "BUY" else "BUY") if is_same_token else taker_side
    price, size = _price_e10(entry["price"]), wire_size_e6(str(entry["matched_amount"]))
    part = _OrderPart(id_of(entry, "order_id"), token, side, price)
    return _fill(document, part, [(price, size)], is_taker=False)


class _OrderPart(NamedTuple):
    """Our order in a trade; `price_e10` is the price the trade states for it."""

    order_id: str
    token: str
    side: OrderSide
    price_e10: int


def _fill(document: dict[str, Any], part: _OrderPart, met: list[tuple[int, int]], *, is_taker: bool) -> FillState:
    """Return a fill of (price_e10, size_e6) pieces; its dollars are exact, rounded once and against us."""
    total_e16 = sum(price * size for price, size in met)
    return FillState(
        trade_id=id_of(document, "id"),
        order_id=part.order_id,
        token_id=part.token,
        side=part.side,
        price_e4=_near_e4(part.price_e10),
        size_e6=sum(size for _, size in met),
        cash_e6=-(-total_e16 // _ONE_E10) if part.side == "BUY" else total_e16 // _ONE_E10,
        is_taker=is_taker,
        pieces=tuple((_near_e4(price), size) for price, size in met),
    )


def _price_e10(value: Any) -> int:
    """Return a stated price in 1e-10 dollars: a price of a ratio has more digits than the grid, and still counts.

    Raises:
        InvalidAmount: If it does not lie strictly between 0 and 1.
    """
    price = int((Decimal(plain_decimal(value)) * _ONE_E10).to_integral_value(ROUND_HALF_EVEN))
    if not 0 < price < _ONE_E10:
        raise InvalidAmount(f"price out of range: {str(value)[:40]!r}")
    return price


def _near_e4(price_e10: int) -> int:
    return min(max((price_e10 + _E4_IN_E10 // 2) // _E4_IN_E10, 1), PRICE_ONE_E4 - 1)


def _seconds(value: Any) -> datetime | None:
    """Return a time given as seconds, milliseconds or text: old and new rows differ, and no fill may be lost for it."""
    return at_seconds(value) or at_ms(value) or parse_time(value)
