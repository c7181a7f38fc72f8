"""Mistakes that cost money, each made in the shell itself: the campaign must find every one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from orchestration.execution.decide import absence
from orchestration.execution.venues import polymarket
from orchestration.execution.venues.gateway import OrderAnswer, OrderExists, PreparedOrder
from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.errors import OutcomeUnknown, Refused
from streams.market.trading import FillState


@contextmanager
def resigned_retry() -> Iterator[None]:
    """An order of unknown outcome is built anew, under another id, and sent again."""

    def wrapped(send: Callable[..., Any]) -> Callable[..., Any]:
        async def again(self: Any, order: PreparedOrder) -> OrderAnswer:
            try:
                answer: OrderAnswer = await send(self, order)
            except OutcomeUnknown:
                other = self.prepare(order.spec)
                answer = await send(self, replace(other, last_check=order.last_check))
            return answer

        return again

    with ExitStack() as patches:
        for gateway in (KalshiGateway, PolymarketGateway):
            patches.enter_context(patch.object(gateway, "send", wrapped(gateway.send)))
        yield


@contextmanager
def exists_as_reject() -> Iterator[None]:
    """Kalshi's "order already exists" is taken for a refusal of the order."""
    send = KalshiGateway.send

    async def refused(self: KalshiGateway, order: PreparedOrder) -> OrderAnswer:
        try:
            return await send(self, order)
        except OrderExists as error:
            raise Refused(str(error)) from error

    with patch.object(KalshiGateway, "send", refused):
        yield


def matched_final() -> AbstractContextManager[Any]:
    """A match on Polymarket counts as confirmed, though it can still fail to settle."""
    states: dict[str, FillState] = {"MATCHED": "confirmed", "MINED": "confirmed", "RETRYING": "confirmed"}
    return patch.object(polymarket, "_TRADE_STATES", polymarket._TRADE_STATES | states)


def empty_as_absent() -> AbstractContextManager[Any]:
    """An order that one look does not show counts as never sent."""
    return patch.object(absence, "is_absent", lambda watch: not watch.is_seen)


BUGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "re-signed retry": resigned_retry,
    "409 as reject": exists_as_reject,
    "MATCHED final": matched_final,
    "empty list read as flat": empty_as_absent,
}
"""By the name under which `make campaign-bugs` prints them."""
