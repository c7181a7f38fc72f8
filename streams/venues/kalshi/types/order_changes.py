"""Changes of orders that rest, batches and order groups of Kalshi: what is sent and what comes back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from streams.market.errors import InvalidAmount, MalformedFrame, OutcomeUnknown, StreamsError
from streams.market.identity import Side
from streams.venues.common.decimals import wire_size_e6, wire_whole
from streams.venues.common.listed_fields import id_of, shown, stated_flag
from streams.venues.common.responses import items_of, read
from streams.venues.kalshi.errors import error_for, error_of
from streams.venues.kalshi.types.orders import (
    SIZE_STEP_E6,
    CancelAnswer,
    OrderAnswer,
    parse_cancel_answer,
    parse_order_answer,
    wire_count,
    wire_price,
)

Answer = TypeVar("Answer")
_MAX_GROUP_CONTRACTS_E6 = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Amendment:
    """A changed price, size or expiry of a resting order.

    The order keeps its place in the queue if only the expiry changes or the size shrinks; else it loses it.

    Attributes:
        side / price_e4: YES side and YES price, as on the order.
        total_e6: Contracts already filled and those still wanted, together.
        client_order_id: Its present id, if the venue shall check it.
        new_client_order_id: What it is to be called from now on; empty keeps the name.
        expiration_s: Unix seconds; None keeps what it has, 0 takes it away.
    """

    order_id: str
    market_id: str
    side: Side
    price_e4: int
    total_e6: int
    client_order_id: str = ""
    new_client_order_id: str = ""
    expiration_s: int | None = None

    def document(self) -> dict[str, Any]:
        """Return the request; raises InvalidAmount if price or size cannot be ordered."""
        document: dict[str, Any] = {
            "ticker": self.market_id,
            "side": self.side,
            "price": wire_price(self.price_e4),
            "count": wire_count(self.total_e6),
        }
        if self.client_order_id:
            document["client_order_id"] = self.client_order_id
        if self.new_client_order_id:
            document["updated_client_order_id"] = self.new_client_order_id
        if self.expiration_s is not None:
            document["expiration_time"] = self.expiration_s
        return document


@dataclass(frozen=True, slots=True)
class AmendAnswer:
    """What amending answered. The venue may leave any figure out: None, and a read tells it."""

    order_id: str
    client_order_id: str
    filled_e6: int | None
    remaining_e6: int | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DecreaseAnswer:
    """What decreasing answered: how much rests now."""

    order_id: str
    client_order_id: str
    remaining_e6: int
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BatchItem(Generic[Answer]):
    """One order of a batch, in the order they were sent: what it answered, or the error that befell it alone."""

    answer: Answer | None
    error: StreamsError | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OrderGroup:
    """Orders that are cancelled together when they fill more than a limit within 15 seconds.

    Attributes:
        limit_e6: Contracts over any 15 seconds; None where the venue does not say.
        is_armed: Whether it watches; a group that tripped refuses orders until it is reset.
        order_ids: Its orders, where one group was asked for.
    """

    group_id: str
    limit_e6: int | None
    is_armed: bool
    order_ids: tuple[str, ...]
    exchange_index: int | None
    payload: dict[str, Any]


def decrease_body(market_id: str, *, by_e6: int | None = None, to_e6: int | None = None) -> dict[str, Any]:
    """Return the request that shrinks an order by or to a number of contracts.

    Raises:
        InvalidAmount: If not exactly one of them is given, or it is no multiple of 0.01.
    """
    if (by_e6 is None) == (to_e6 is None):
        raise InvalidAmount("decrease by or to, exactly one of them")
    document: dict[str, Any] = {"market_ticker": market_id}
    if by_e6 is not None:
        document["reduce_by"] = wire_count(by_e6)
    elif to_e6 is not None:
        document["reduce_to"] = wire_count(to_e6) if to_e6 else "0.00"
    return document


def parse_amend_answer(document: dict[str, Any]) -> AmendAnswer:
    """Return the answer of an amend."""
    return AmendAnswer(
        order_id=id_of(document, "order_id"),
        client_order_id=str(document.get("client_order_id") or ""),
        filled_e6=_size(document, "fill_count"),
        remaining_e6=_size(document, "remaining_count"),
        payload=document,
    )


def parse_decrease_answer(document: dict[str, Any]) -> DecreaseAnswer:
    """Return the answer of a decrease."""
    return DecreaseAnswer(
        id_of(document, "order_id"),
        str(document.get("client_order_id") or ""),
        wire_size_e6(document["remaining_count"]),
        document,
    )


def parse_batch_create(document: dict[str, Any], client_order_ids: Sequence[str]) -> list[BatchItem[OrderAnswer]]:
    """Return one result per order sent, matched by client_order_id; raises KeyError where it is no batch's answer."""
    entries = _by_id(document, "client_order_id")
    return [_item(entries.get(name), name, parse_order_answer) for name in client_order_ids]


def parse_batch_cancel(document: dict[str, Any], order_ids: Sequence[str]) -> list[BatchItem[CancelAnswer]]:
    """Return one result per order, matched by order_id; raises KeyError where it is no batch's answer."""
    entries = _by_id(document, "order_id")
    return [_item(entries.get(name), name, parse_cancel_answer) for name in order_ids]


def _by_id(document: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Return the entries of a batch's answer by id; what is none leaves its order without a word."""
    entries = [entry for entry in items_of(document, "orders") if isinstance(entry, dict)]
    return {str(entry.get(name) or ""): entry for entry in entries}


def _item(entry: dict[str, Any] | None, name: str, parse: Callable[[dict[str, Any]], Answer]) -> BatchItem[Answer]:
    if entry is None:
        return BatchItem(None, OutcomeUnknown(f"the answer of the batch does not name {name}", (name,)), {})
    if entry.get("error"):
        failure = error_for(*error_of(entry["error"]), is_write=True)
        if isinstance(failure, OutcomeUnknown):
            failure.order_ids = (name,)
        return BatchItem(None, failure, entry)
    try:
        return BatchItem(read(entry, parse), None, entry)
    except MalformedFrame as error:
        what = f"the answer for {name} cannot be read: {error.reason}"
        return BatchItem(None, OutcomeUnknown(what, (name,)), entry)


def group_body(limit_e6: int) -> dict[str, Any]:
    """Return the request that makes an order group or changes its limit.

    Raises:
        InvalidAmount: If the limit is not 1 to 1,000,000 contracts in steps of 0.01.
    """
    if not 1_000_000 <= limit_e6 <= _MAX_GROUP_CONTRACTS_E6 or limit_e6 % SIZE_STEP_E6:
        raise InvalidAmount(f"a group's limit is 1 to 1,000,000 contracts in steps of 0.01: {limit_e6}")
    return {"contracts_limit_fp": wire_count(limit_e6)}


def parse_group(document: Mapping[str, Any], group_id: str = "") -> OrderGroup:
    """Return a group of the list, or the one that was asked for by `group_id` (the answer does not repeat it)."""
    return OrderGroup(
        group_id=group_id or id_of(document, "id"),
        limit_e6=_size(document, "contracts_limit_fp"),
        is_armed=stated_flag(document, "is_auto_cancel_enabled"),
        order_ids=tuple(str(order_id) for order_id in document.get("orders") or ()),
        exchange_index=shown(document.get("exchange_index"), wire_whole),
        payload=dict(document),
    )


def _size(document: Mapping[str, Any], name: str) -> int | None:
    value = document.get(name)
    return None if value in (None, "") else wire_size_e6(value)
