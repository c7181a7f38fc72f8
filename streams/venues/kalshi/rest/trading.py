"""Kalshi's order writes. Each is sent once; what becomes of it when the answer is lost is `OutcomeUnknown`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from streams.market.errors import InvalidAmount
from streams.venues.common.http import LastCheck
from streams.venues.common.listed_fields import id_as_asked, id_of
from streams.venues.common.responses import items_of, read_done, read_items
from streams.venues.kalshi.limits import Routing
from streams.venues.kalshi.rest.transport import Filter, KalshiRequest, KalshiTransport, path_part
from streams.venues.kalshi.types.order_changes import (
    AmendAnswer,
    Amendment,
    BatchItem,
    DecreaseAnswer,
    OrderGroup,
    decrease_body,
    group_body,
    parse_amend_answer,
    parse_batch_cancel,
    parse_batch_create,
    parse_decrease_answer,
    parse_group,
)
from streams.venues.kalshi.types.orders import (
    CancelAnswer,
    OrderAnswer,
    OrderRequest,
    parse_cancel_answer,
    parse_order_answer,
)

Answer = TypeVar("Answer")
_ORDERS = "/portfolio/events/orders"
_GROUPS = "/portfolio/order_groups"


class Trading(KalshiTransport):
    """Orders and order groups. The venue routes by ticker unless a request names its shard.

    Raises, for every call:
        Refused, NotFound, AuthenticationFailed: The venue refused; nothing happened.
        RateLimited, TransientError: Nothing reached it; the same request may be sent again.
        OutcomeUnknown: It may have happened; only reads may follow. `order_ids` holds the client_order_ids of what
            was created, and the order_ids of what was changed or cancelled.
    """

    async def create_order(self, request: OrderRequest) -> OrderAnswer:
        """Send an order once; one that is lost is looked for by its client_order_id in `orders`."""
        return await self.send_order(request.body())

    async def send_order(
        self, body: bytes, last_check: LastCheck | None = None, deadline: float | None = None
    ) -> OrderAnswer:
        """Send the bytes of `OrderRequest.body` (again, within the decision's life).

        `last_check` is called when nothing but the bytes themselves is left to do; what it raises keeps them back.

        Raises:
            TooLate: If its turn in the request budget would come after `deadline` (monotonic seconds).
        """
        order = orjson.loads(body)
        request = KalshiRequest(
            "POST",
            _ORDERS,
            body=body,
            routing=_routing(order.get("exchange_index")),
            last_check=last_check,
            deadline=deadline,
        )
        client_order_id = order["client_order_id"]

        def of_this_order(answer: dict[str, Any]) -> OrderAnswer:
            if answer.get("client_order_id"):
                id_as_asked(answer, "client_order_id", client_order_id)
            return parse_order_answer(answer)

        return await self._write(request, of_this_order, order_ids=[client_order_id])

    def orders_left(self) -> int:
        """Return how many orders could leave now without a wait for the request budget; asks nobody.

        Raises:
            TransientError: If the budget cannot be read.
        """
        return self._limits.left("POST", _ORDERS)

    async def cancel_order(self, order_id: str, market_ticker: str) -> CancelAnswer:
        """Cancel what rests of an order. The ticker routes it: without, the venue looks on shard 0 alone.

        Raises:
            NotFound: Nothing rests under that id: cancelled, executed or never there; only reads tell which.
        """
        request = KalshiRequest("DELETE", f"{_ORDERS}/{path_part(order_id)}", {"market_ticker": market_ticker})
        return await self._write(request, _about(order_id, parse_cancel_answer), order_ids=[order_id])

    async def cancel_all(self) -> None:
        """Cancel all resting orders on all shards; orders placed within the next minute may die too."""
        read_done(await self._send(KalshiRequest("DELETE", _ORDERS)))

    async def amend_order(self, change: Amendment) -> AmendAnswer:
        """Change price, size or expiry of a resting order."""
        path = f"{_ORDERS}/{path_part(change.order_id)}/amend"
        request = KalshiRequest("POST", path, body=orjson.dumps(change.document()))
        return await self._write(request, _about(change.order_id, parse_amend_answer), order_ids=[change.order_id])

    async def decrease_order(
        self, order_id: str, market_ticker: str, *, by_e6: int | None = None, to_e6: int | None = None
    ) -> DecreaseAnswer:
        """Shrink a resting order by or to a number of contracts; it keeps its place in the queue."""
        body = decrease_body(market_ticker, by_e6=by_e6, to_e6=to_e6)
        request = KalshiRequest("POST", f"{_ORDERS}/{path_part(order_id)}/decrease", body=orjson.dumps(body))
        return await self._write(request, _about(order_id, parse_decrease_answer), order_ids=[order_id])

    async def create_orders(self, requests: Sequence[OrderRequest]) -> list[BatchItem[OrderAnswer]]:
        """Send several orders in one call; each item answers or fails alone, in the order given.

        Raises:
            InvalidAmount: If two have one client_order_id, or all together cost more than the write bucket holds.
        """
        names = [request.client_order_id for request in requests]
        _check_distinct(names)
        batch = _batch("POST", [request.document() for request in requests])
        return await self._write(batch, lambda answer: parse_batch_create(answer, names), order_ids=names)

    async def cancel_orders(self, orders: Sequence[tuple[str, str]]) -> list[BatchItem[CancelAnswer]]:
        """Cancel several orders, given as (order_id, market_ticker), in one call; each item answers or fails alone."""
        names = [order_id for order_id, _ in orders]
        _check_distinct(names)
        whose = {} if self.subaccount is None else {"subaccount": self.subaccount}
        items = [{"order_id": order_id, "market_ticker": ticker, **whose} for order_id, ticker in orders]
        batch = _batch("DELETE", items)
        return await self._write(batch, lambda answer: parse_batch_cancel(answer, names), order_ids=names)

    # -- order groups ---------------------------------------------------------------------------------------------

    async def create_order_group(self, limit_e6: int, *, exchange_index: int | None = None) -> str:
        """Make an order group that cancels its orders when they fill more than `limit_e6` within 15 s; returns its id.

        An order group belongs to one exchange shard: the venue takes 0 where none is named.
        """
        body = group_body(limit_e6)
        if exchange_index is not None:
            body["exchange_index"] = exchange_index
        if self.subaccount is not None:
            body["subaccount"] = self.subaccount
        routing = _routing(exchange_index or 0)
        request = KalshiRequest("POST", f"{_GROUPS}/create", body=orjson.dumps(body), routing=routing)
        return await self._write(request, lambda answer: id_of(answer, "order_group_id"))

    async def order_groups(self) -> list[OrderGroup]:
        """Return the order groups, without their orders."""

        def groups_of(answer: dict[str, Any]) -> list[OrderGroup]:
            # Where there are none the list may be left out.
            entries = items_of({"order_groups": None, **answer}, "order_groups")
            return read_items(entries, parse_group).whole("order_groups")

        return await self._read(_GROUPS, groups_of)

    async def order_group(self, group_id: str) -> OrderGroup:
        """Return one order group with the ids of its orders."""
        return await self._read(f"{_GROUPS}/{path_part(group_id)}", lambda answer: parse_group(answer, group_id))

    async def delete_order_group(self, group_id: str, *, exchange_index: int | None = None) -> None:
        """Delete an order group; its orders are cancelled."""
        await self._group_write("DELETE", group_id, "", exchange_index)

    async def reset_order_group(self, group_id: str, *, exchange_index: int | None = None) -> None:
        """Have an order group count from zero and accept orders again."""
        await self._group_write("PUT", group_id, "/reset", exchange_index, b"{}")

    async def trigger_order_group(self, group_id: str, *, exchange_index: int | None = None) -> None:
        """Trip an order group by hand: its orders are cancelled and it refuses new ones until it is reset."""
        await self._group_write("PUT", group_id, "/trigger", exchange_index, b"{}")

    async def limit_order_group(self, group_id: str, limit_e6: int, *, exchange_index: int | None = None) -> None:
        """Change an order group's limit; one that is passed already trips it."""
        body = orjson.dumps(group_body(limit_e6))
        await self._group_write("PUT", group_id, "/limit", exchange_index, body)

    async def _group_write(
        self, method: str, group_id: str, act: str, exchange_index: int | None, body: bytes | None = None
    ) -> None:
        path, routing = f"{_GROUPS}/{path_part(group_id)}{act}", _routing(exchange_index or 0)
        parameters: dict[str, Filter] = {"exchange_index": exchange_index}
        read_done(await self._send(KalshiRequest(method, path, parameters, body, routing=routing)))


def _about(order_id: str, parse: Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Answer]:
    """Return what reads an answer that must be about one order."""

    def of_this_order(answer: dict[str, Any]) -> Answer:
        id_as_asked(answer, "order_id", order_id)
        return parse(answer)

    return of_this_order


def _routing(exchange_index: int | None) -> Routing:
    if exchange_index is None:
        return "by_ticker"
    return exchange_index if exchange_index > 0 else "unscoped"


def _batch(method: str, orders: list[dict[str, Any]]) -> KalshiRequest:
    body = orjson.dumps({"orders": orders})
    return KalshiRequest(method, f"{_ORDERS}/batched", body=body, items=len(orders), routing="unscoped")


def _check_distinct(names: Sequence[str]) -> None:
    if not names or not all(names) or len(set(names)) != len(names):
        raise InvalidAmount("a batch needs orders, each with an id of its own")
