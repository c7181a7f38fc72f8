"""Orders and trades of the wallet. A write is sent once.

An order's id is the hash of what was signed, known before anything is sent: an `OutcomeUnknown` of these calls carries
it, and `order` looks it up. The same signed bytes may also be sent again: an order that exists is refused as
`duplicate_order`, which then means that it was taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson

from streams.market.errors import InvalidAmount, MalformedFrame, OutcomeUnknown, Refused
from streams.venues.common.http import LastCheck
from streams.venues.common.listed_fields import id_as_asked
from streams.venues.common.responses import document_of, json_of, read, read_write
from streams.venues.polymarket.clob import orders as states
from streams.venues.polymarket.errors import UNKNOWN_REFUSAL, code_of
from streams.venues.polymarket.signing import SignedOrder
from streams.venues.polymarket.transport import Filter, PolymarketRequest, PolymarketTransport

ORDERS_PER_POST = 15
ORDERS_PER_CANCEL = 1000
_LEGACY_FIELDS = (b'"nonce":', b'"feeRateBps":', b'"taker":')
PostOutcome = states.PostAnswer | Refused | OutcomeUnknown
"""What became of one order of a batch."""


class Trading(PolymarketTransport):
    """Posting, cancelling and reading orders."""

    async def post_order(self, signed: SignedOrder) -> states.PostAnswer:
        """Send a signed order once.

        Raises:
            Refused: The venue refused, by status or by the response's words.
            OutcomeUnknown: It may exist; `order(signed.order_id)` tells.
        """
        try:
            answer = await self.send_order(signed.content())
        except OutcomeUnknown as error:
            raise OutcomeUnknown(str(error), (signed.order_id,)) from error
        if answer.order_id.lower() != signed.order_id:
            raise OutcomeUnknown(f"the venue names another order: {answer.order_id[:70]}", (signed.order_id,))
        return answer

    async def send_order(
        self, content: bytes, last_check: LastCheck | None = None, deadline: float | None = None
    ) -> states.PostAnswer:
        """Send the bytes of `SignedOrder.content` (again, within the decision's life); errors as for `post_order`.

        `last_check` is called when nothing but the bytes themselves is left to do; what it raises keeps them back.
        Bytes of the struct of before 2026-04-28 are refused here as `order_version_mismatch`, as the venue would.

        Raises:
            TooLate: If its turn in the request budget would come after `deadline` (monotonic seconds).
        """
        if any(field in content for field in _LEGACY_FIELDS):
            raise Refused("order_version_mismatch", "an order of the struct of before 2026-04-28")
        request = PolymarketRequest("clob", "POST", "/order", content, last_check=last_check, deadline=deadline)
        outcome = read_write(await self._send_signed(request), _outcome_of)
        if isinstance(outcome, states.PostAnswer):
            return outcome
        raise outcome

    def orders_left(self) -> int:
        """Return how many orders could leave now without a wait for the request budget; asks nobody.

        Raises:
            TransientError: If the budget cannot be read.
        """
        return self._limits.left("clob", "POST", "/order")

    async def post_orders(self, signed: Sequence[SignedOrder]) -> list[PostOutcome]:
        """Send up to 15 signed orders in one request and return what became of each, in their order.

        Raises:
            InvalidAmount: If there are none or more than 15.
            Refused: The venue refused the request as a whole.
            OutcomeUnknown: Any of them may exist.
        """
        if not 0 < len(signed) <= ORDERS_PER_POST:
            raise InvalidAmount(f"1 to {ORDERS_PER_POST} orders go into one request, not {len(signed)}")
        ids = tuple(order.order_id for order in signed)
        body = orjson.dumps([order.body for order in signed])
        try:
            rows = json_of(await self._private("POST", "/orders", body=body, cost=len(signed)))
        except (OutcomeUnknown, MalformedFrame) as error:
            raise OutcomeUnknown(str(error), ids) from error
        if not isinstance(rows, list) or len(rows) != len(ids):
            raise OutcomeUnknown("the answer of a batch does not speak of each of its orders", ids)
        return [_leg(row, order_id) for row, order_id in zip(rows, ids, strict=True)]

    async def cancel(self, order_id: str) -> states.CancelAnswer:
        """Cancel what rests of one order."""
        return await self._cancel("/order", orjson.dumps({"orderID": order_id}), (order_id,))

    async def cancel_orders(self, order_ids: Sequence[str]) -> states.CancelAnswer:
        """Cancel what rests of up to 1000 orders.

        Raises:
            InvalidAmount: If there are none or more.
        """
        if not 0 < len(order_ids) <= ORDERS_PER_CANCEL:
            raise InvalidAmount(f"1 to {ORDERS_PER_CANCEL} orders go into one cancel, not {len(order_ids)}")
        return await self._cancel("/orders", orjson.dumps(list(order_ids)), tuple(order_ids), len(order_ids))

    async def cancel_all(self) -> states.CancelAnswer:
        """Cancel all resting orders of the API key."""
        return await self._cancel("/cancel-all", None, ())

    async def cancel_market_orders(self, *, market_id: str = "", token_id: str = "") -> states.CancelAnswer:
        """Cancel the resting orders of a market, of a token, or of both.

        Raises:
            InvalidAmount: If neither is named: the venue would take it for all.
        """
        named = {"market": market_id, "asset_id": token_id}
        if not (market_id or token_id):
            raise InvalidAmount("a cancel by market needs a market or a token")
        body = orjson.dumps({name: value for name, value in named.items() if value})
        return await self._cancel("/cancel-market-orders", body, ())

    async def _cancel(
        self, path: str, body: bytes | None, asked: tuple[str, ...], cost: int = 1
    ) -> states.CancelAnswer:
        try:
            raw = await self._private("DELETE", path, body=body, cost=cost)
            return read_write(raw, partial(states.parse_cancel_answer, asked=asked))
        except OutcomeUnknown as error:
            raise OutcomeUnknown(str(error), asked) from error

    async def order(self, order_id: str) -> states.OrderState:
        """Return one of our orders, also a cancelled or matched one.

        Raises:
            NotFound: The venue knows no such order (yet: it may still be on its way).
        """
        raw = await self._private("GET", f"/data/order/{order_id}")

        def as_asked(document: dict[str, Any]) -> states.OrderState:
            id_as_asked(document, "id", order_id)
            return states.parse_order(document)

        return read(document_of(raw), as_asked, raw)

    async def open_orders(self, **filters: Filter) -> list[states.OrderState]:
        """Return our resting orders; `filters` id, market, asset_id."""
        return await self._private_list("/data/orders", states.parse_order, filters)

    async def trades(self, **filters: Filter) -> list[states.TradeState]:
        """Return our trades; `filters` id, market, asset_id, maker_address, before, after (Unix seconds)."""
        credentials = self._wallet()
        parse = partial(states.parse_trade, api_key=credentials.api_key, wallet=credentials.wallet)
        return await self._private_list("/data/trades", parse, filters)


def _outcome_of(document: dict[str, Any]) -> PostOutcome:
    """Return what an answer says of one order; refusals also come as good answers.

    One that names the order beside words we do not know as a refusal ("delayed due to market conditions") may have
    taken it.
    """
    if not document.get("errorMsg") and document.get("success") is not False:
        return states.parse_post_answer(document)
    words = str(document.get("errorMsg") or "no success")
    code = code_of(words)
    if document.get("orderID") and code == UNKNOWN_REFUSAL:
        return OutcomeUnknown(f"the venue names the order and an error: {words[:300]}")
    return Refused(code, words, 200)


def _leg(row: Any, order_id: str) -> PostOutcome:
    try:
        outcome = read(row, _outcome_of)
    except MalformedFrame as error:
        return OutcomeUnknown(f"what became of one order of a batch cannot be read: {error.reason}", (order_id,))
    if isinstance(outcome, OutcomeUnknown):
        return OutcomeUnknown(str(outcome), (order_id,))
    if isinstance(outcome, states.PostAnswer) and outcome.order_id.lower() != order_id:
        return OutcomeUnknown(f"the venue names another order: {outcome.order_id[:70]}", (order_id,))
    return outcome
