"""What Polymarket answers about our orders, cancels and trades, in integer units. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from streams.market.errors import InvalidAmount
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE
from streams.venues.decimals import wire_price_e4, wire_size_e6
from streams.venues.polymarket.amounts import OrderSide
from streams.venues.times import parse_time

_LAST_SECOND = 100_000_000_000
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
    """What POST /order answered. Its amounts are not read, their unit is not confirmed: fills come from trades.

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
    """One of our orders. `status` without prefixes: LIVE, MATCHED, CANCELED, CANCELED_MARKET_RESOLVED, INVALID, ..."""

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
        price_e4: Price of the token in dollars; for a taker who crossed several levels the venue's one price.
        cash_e6: What was paid (BUY) or received (SELL) without fee, summed over the makers it met.
    """

    trade_id: str
    order_id: str
    token_id: str
    side: OrderSide
    price_e4: int
    size_e6: int
    cash_e6: int
    is_taker: bool


@dataclass(frozen=True, slots=True)
class TradeState:
    """One trade with our fills in it.

    Attributes:
        status: MATCHED is provisional; CONFIRMED and FAILED are final.
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
        order_id=str(document["orderID"]),
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
    return CancelAnswer(
        canceled, refused, tuple(order for order in asked if order not in refused and order not in canceled), document
    )


def parse_order(document: dict[str, Any]) -> OrderState:
    """Return one order of /data/orders or /data/order/{id}."""
    return OrderState(
        order_id=str(document["id"]),
        status=str(document["status"]).upper().removeprefix("ORDER_STATUS_"),
        market_id=str(document["market"]),
        token_id=str(document["asset_id"]),
        side=side_of(document["side"]),
        price_e4=wire_price_e4(str(document["price"])),
        original_e6=wire_size_e6(str(document.get("original_size") or "0")),
        matched_e6=wire_size_e6(str(document.get("size_matched") or "0")),
        order_type=str(document.get("order_type") or ""),
        trade_ids=tuple(str(trade) for trade in document.get("associate_trades") or ()),
        created_at=_seconds(document.get("created_at")),
        payload=document,
    )


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
    if status not in _TRADE_STATUS:
        raise InvalidAmount(f"unknown trade status: {status[:40]!r}")
    if str(document.get("trader_side") or "TAKER").upper() == "TAKER":
        fills = [_taker_fill(document)]
    else:
        fills = [_maker_fill(document, entry) for entry in _makers(document) if _is_ours(entry, api_key, wallet)]
    return TradeState(
        trade_id=str(document["id"]),
        status=_TRADE_STATUS[status],
        market_id=str(document["market"]),
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
    side, token = side_of(document["side"]), str(document["asset_id"])
    price, size = wire_price_e4(str(document["price"])), wire_size_e6(str(document["size"]))
    met = [(_price_for(token, entry), wire_size_e6(str(entry["matched_amount"]))) for entry in _makers(document)]
    if sum(part for _, part in met) != size:
        met = [(price, size)]
    return FillState(
        str(document["id"]), str(document["taker_order_id"]), token, side, price, size, _cash_e6(met, side), True
    )


def _price_for(token: str, entry: dict[str, Any]) -> int:
    """The price of the taker's token in a maker's entry, which may be of the complementary outcome (mint or merge)."""
    price = wire_price_e4(str(entry["price"]))
    return price if str(entry.get("asset_id") or token) == token else PRICE_ONE_E4 - price


def _maker_fill(document: dict[str, Any], entry: dict[str, Any]) -> FillState:
    token = str(entry.get("asset_id") or document["asset_id"])
    taker_side = side_of(document["side"])
    if entry.get("side"):
        side = side_of(entry["side"])
    else:
        # Rows of 2024 do not say: against the same token a maker is on the other side, else on the same.
        is_same_token = token == str(document["asset_id"])
        side = ("SELL" if taker_side == "BUY" else "BUY") if is_same_token else taker_side
    price, size = wire_price_e4(str(entry["price"])), wire_size_e6(str(entry["matched_amount"]))
    cash = _cash_e6([(price, size)], side)
    return FillState(str(document["id"]), str(entry["order_id"]), token, side, price, size, cash, False)


def _cash_e6(pieces: list[tuple[int, int]], side: OrderSide) -> int:
    """Exact dollars of the pieces, rounded once and against us."""
    total_e10 = sum(price * size for price, size in pieces)
    return -(-total_e10 // PRICE_SCALE) if side == "BUY" else total_e10 // PRICE_SCALE


def _seconds(value: Any) -> datetime | None:
    """Return a time given as seconds, milliseconds or text: old and new rows differ, and no fill may be lost for it."""
    if value in (None, ""):
        return None
    text = str(value)
    if not text.isdigit():
        return parse_time(text)
    number = int(text)
    return datetime.fromtimestamp(number / 1000 if number > _LAST_SECOND else number, UTC)
