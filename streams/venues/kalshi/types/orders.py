"""Kalshi's orders and fills in integer units: what is sent and what comes back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

from streams.market.errors import InvalidAmount
from streams.market.identity import Outcome, Side
from streams.market.units import PRICE_ONE_E4, SIZE_SCALE, price_decimal
from streams.venues.common.decimals import wire_bound_e4, wire_cash_e6, wire_size_e6
from streams.venues.common.listed_fields import id_of, stated_flag
from streams.venues.common.times import at_ms, parse_time
from streams.venues.kalshi.types.market_frames import outcome_of

TimeInForce = Literal["immediate_or_cancel", "fill_or_kill", "good_till_canceled"]
Action = Literal["buy", "sell"]
SelfTradePrevention = Literal["taker_at_cross", "maker"]
SIZE_STEP_E6 = SIZE_SCALE // 100
_DIRECTIONS: dict[tuple[str, str], Outcome] = {
    ("bid", "buy"): "yes",
    ("ask", "buy"): "no",
    ("yes", "buy"): "yes",
    ("yes", "sell"): "no",
    ("no", "buy"): "no",
    ("no", "sell"): "yes",
}


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A limit order as the venue takes it: one side of the YES book.

    Attributes:
        side: bid buys YES (or sells NO), ask sells YES (or buys NO).
        price_e4: YES dollars.
        size_e6: Contracts, a multiple of 0.01.
        client_order_id: Ours; a second order under it is refused, which makes a re-send recognisable.
        expiration_s: Unix seconds, only with good_till_canceled.
        reduce_only: Never beyond closing a holding; only with immediate_or_cancel.
        exchange_index: The market's own shard; None has the venue route by ticker. Never a guess: a wrong one answers
            that there is no such market.
        cancel_on_pause: Cancelled when trading pauses.
        order_group_id: Its group, empty for none.
        subaccount: Whose order it is, 0 for the primary one; None leaves it to the key.
        self_trade_prevention: Whether this order stops at one of our own, or our own is cancelled.
    """

    market_id: str
    side: Side
    price_e4: int
    size_e6: int
    client_order_id: str
    time_in_force: TimeInForce = "immediate_or_cancel"
    post_only: bool = False
    reduce_only: bool = False
    expiration_s: int | None = None
    exchange_index: int | None = None
    cancel_on_pause: bool = False
    order_group_id: str = ""
    subaccount: int | None = None
    self_trade_prevention: SelfTradePrevention = "taker_at_cross"

    def body(self) -> bytes:
        """Return the exact bytes of the request; the same request always gives the same bytes.

        Raises:
            InvalidAmount: If price or size cannot be ordered, or options contradict each other.
        """
        return orjson.dumps(self.document())

    def document(self) -> dict[str, Any]:
        """Return the request as JSON; errors as for `body`."""
        if not self.client_order_id:
            raise InvalidAmount("an order without a client_order_id could not be found again")
        if self.expiration_s is not None and self.time_in_force != "good_till_canceled":
            raise InvalidAmount("an expiry needs good_till_canceled")
        if self.reduce_only and self.time_in_force != "immediate_or_cancel":
            raise InvalidAmount("reduce_only needs immediate_or_cancel")
        document: dict[str, Any] = {
            "ticker": self.market_id,
            "client_order_id": self.client_order_id,
            "side": self.side,
            "count": wire_count(self.size_e6),
            "price": wire_price(self.price_e4),
            "time_in_force": self.time_in_force,
            "self_trade_prevention_type": self.self_trade_prevention,
        }
        options = {
            "post_only": self.post_only or None,
            "reduce_only": self.reduce_only or None,
            "expiration_time": self.expiration_s,
            "exchange_index": self.exchange_index,
            "cancel_order_on_pause": self.cancel_on_pause or None,
            "order_group_id": self.order_group_id or None,
            "subaccount": self.subaccount,
        }
        return document | {name: value for name, value in options.items() if value is not None}


def wire_price(price_e4: int) -> str:
    """Return a price as the venue takes it.

    Raises:
        InvalidAmount: If it does not lie strictly between 0 and 1 dollar.
    """
    if not 0 < price_e4 < PRICE_ONE_E4:
        raise InvalidAmount(f"price out of range: {price_e4}")
    return str(price_decimal(price_e4))


def wire_count(size_e6: int) -> str:
    """Return contracts as the venue takes them.

    Raises:
        InvalidAmount: If they are not a positive multiple of 0.01.
    """
    if size_e6 <= 0 or size_e6 % SIZE_STEP_E6:
        raise InvalidAmount(f"size is not a positive multiple of 0.01: {size_e6}")
    return f"{size_e6 // SIZE_SCALE}.{size_e6 % SIZE_SCALE // SIZE_STEP_E6:02d}"


def order_request(
    market_id: str,
    *,
    outcome: Outcome,
    action: Action,
    price_e4: int,
    size_e6: int,
    client_order_id: str,
    time_in_force: TimeInForce = "immediate_or_cancel",
) -> OrderRequest:
    """Return the order that buys or sells an outcome at a limit price of that outcome.

    Buying NO at q is selling YES at 1 - q on the one book; a holding of the other outcome is netted by the venue.
    """
    side: Side = "bid" if (outcome == "yes") == (action == "buy") else "ask"
    yes_price = price_e4 if outcome == "yes" else PRICE_ONE_E4 - price_e4
    return OrderRequest(market_id, side, yes_price, size_e6, client_order_id, time_in_force)


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """What creating an order answered. The averages are None where nothing was filled.

    `average_fee_usd` and `average_price_usd` are the venue's own averages per contract, rounded by it: fills are what
    the ledger is made of.
    """

    order_id: str
    client_order_id: str
    filled_e6: int
    remaining_e6: int
    average_price_usd: str | None
    average_fee_usd: str | None
    venue_ts_ms: int | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CancelAnswer:
    """What cancelling an order answered: how much of it was still resting."""

    order_id: str
    reduced_e6: int
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OrderState:
    """One of our orders as the venue lists it.

    Attributes:
        status: resting, canceled or executed (or a newer word).
        price_e4: The limit in YES dollars; 0 or 10,000 on market orders of old.
        cash_e6: What its fills cost or brought, without fees.
        fee_e6: Fees of its fills.
    """

    order_id: str
    client_order_id: str
    market_id: str
    status: str
    outcome: Outcome
    price_e4: int
    initial_e6: int
    filled_e6: int
    remaining_e6: int
    cash_e6: int
    fee_e6: int
    created_at: datetime | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FillState:
    """One execution of one of our orders.

    Attributes:
        outcome: Which way it went: `yes` is buy YES or sell NO, `no` the reverse; the venue does not tell which.
        yes_price_e4: Price in YES dollars.
        fee_e6: What the venue says the fill cost.
    """

    fill_id: str
    order_id: str
    market_id: str
    outcome: Outcome
    yes_price_e4: int
    size_e6: int
    fee_e6: int
    is_taker: bool
    created_at: datetime | None
    payload: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """(fill_id, order_id): both our orders may be in one match."""
        return self.fill_id, self.order_id

    def price_of(self, outcome: Outcome) -> int:
        """Return the price of an outcome in this fill as `price_e4`."""
        return self.yes_price_e4 if outcome == "yes" else PRICE_ONE_E4 - self.yes_price_e4


def parse_order_answer(document: dict[str, Any]) -> OrderAnswer:
    """Return the answer of POST /portfolio/events/orders. Raises KeyError or InvalidAmount where it is not one."""
    return OrderAnswer(
        order_id=id_of(document, "order_id"),
        client_order_id=str(document.get("client_order_id") or ""),
        filled_e6=wire_size_e6(document["fill_count"]),
        remaining_e6=wire_size_e6(document["remaining_count"]),
        average_price_usd=document.get("average_fill_price"),
        average_fee_usd=document.get("average_fee_paid"),
        venue_ts_ms=document.get("ts_ms"),
        payload=document,
    )


def parse_cancel_answer(document: dict[str, Any]) -> CancelAnswer:
    """Return the answer of DELETE /portfolio/events/orders/{id}."""
    return CancelAnswer(id_of(document, "order_id"), wire_size_e6(document["reduced_by"]), document)


def parse_order(document: dict[str, Any]) -> OrderState:
    """Return one order of GET /portfolio/orders or of the socket's `user_order`."""
    return OrderState(
        order_id=id_of(document, "order_id"),
        client_order_id=str(document.get("client_order_id") or ""),
        market_id=id_of(document, "ticker"),
        status=str(document["status"]),
        outcome=direction_of(document),
        price_e4=wire_bound_e4(document["yes_price_dollars"]),
        initial_e6=wire_size_e6(document["initial_count_fp"]),
        filled_e6=wire_size_e6(document["fill_count_fp"]),
        remaining_e6=wire_size_e6(document["remaining_count_fp"]),
        cash_e6=cash_of(document, "taker_fill_cost_dollars") + cash_of(document, "maker_fill_cost_dollars"),
        fee_e6=cash_of(document, "taker_fees_dollars") + cash_of(document, "maker_fees_dollars"),
        created_at=parse_time(document.get("created_time")),
        payload=document,
    )


def parse_fill(document: dict[str, Any]) -> FillState:
    """Return one fill of GET /portfolio/fills or of the socket's `fill`."""
    return FillState(
        fill_id=id_of(document, "fill_id" if document.get("fill_id") else "trade_id"),
        order_id=id_of(document, "order_id"),
        market_id=id_of(document, "ticker" if document.get("ticker") else "market_ticker"),
        outcome=direction_of(document),
        yes_price_e4=wire_bound_e4(document["yes_price_dollars"]),
        size_e6=wire_size_e6(document["count_fp"]),
        fee_e6=cash_of(document, "fee_cost"),
        is_taker=stated_flag(document, "is_taker"),
        created_at=parse_time(document.get("created_time")) or at_ms(document.get("ts_ms")),
        payload=document,
    )


def cash_of(document: dict[str, Any], name: str) -> int:
    """Return an amount of dollars as `cash_e6`; raises KeyError where it is absent, InvalidAmount where it is none."""
    return wire_cash_e6(document[name])


def direction_of(document: dict[str, Any]) -> Outcome:
    """Return which way an order or a fill goes: `yes` is buy YES or sell NO, `no` the reverse.

    `outcome_side` and `book_side` carry the same bit; the deprecated `side` needs its `action` beside it.

    Raises:
        KeyError, InvalidAmount: If no words tell it.
    """
    if document.get("outcome_side"):
        return outcome_of(document["outcome_side"])
    if document.get("book_side"):
        return _DIRECTIONS[document["book_side"], "buy"]
    return _DIRECTIONS[document["side"], document["action"]]
