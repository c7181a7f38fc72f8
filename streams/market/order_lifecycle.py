"""The lifecycle of our orders and fills, put together from messages that come twice, late and in any order. Pure.

Messages of a user stream, responses of calls and rows of REST reads all go through the same two machines, so that it
does not matter which of them came first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from streams.market.user_stream_events import FillStatus, FillUpdate, OrderUpdate

FillStep = Literal["first", "advanced", "repeated", "outdated", "contradicted"]
"""What a message reported of a fill.

contradicted: CONFIRMED and FAILED were both reported; the first stands, and only a read of the venue can tell.
"""

_RANK: dict[FillStatus, int] = {"matched": 0, "retrying": 1, "mined": 2, "confirmed": 3, "failed": 3}


class FillLifecycles:
    """Every fill by (fill_id, order_id), each at the latest status that is known."""

    def __init__(self) -> None:
        self.fills: dict[tuple[str, str], FillUpdate] = {}

    def apply(self, update: FillUpdate) -> FillStep:
        """Apply a message; the fill stands in `fills` as it is after it.

        A final status stays. Of two that are not final the later one by the venue's clock counts: MINED may go back to
        RETRYING when a block is lost. Where no time is stated, the one nearer to the end counts.
        """
        known = self.fills.get(update.key)
        if known is None:
            self.fills[update.key] = update
            return "first"
        if update.status == known.status:
            return "repeated"
        if known.is_final:
            return "contradicted" if update.is_final else "outdated"
        if not update.is_final and not _is_later(update, known):
            return "outdated"
        self.fills[update.key] = update
        return "advanced"

    def filled_e6(self, order_id: str) -> int:
        """Contracts of an order in fills that have not failed."""
        return sum(
            fill.size_e6 for fill in self.fills.values() if fill.order_id == order_id and fill.status != "failed"
        )

    def unsettled(self) -> list[FillUpdate]:
        """Fills that are neither confirmed nor failed: what has to be asked for when the socket falls silent."""
        return [fill for fill in self.fills.values() if not fill.is_final]


def _is_later(update: FillUpdate, known: FillUpdate) -> bool:
    if update.status == "matched":
        return False
    ours, theirs = update.venue_sent_ms, known.venue_sent_ms
    if ours is None or theirs is None or ours == theirs:
        return _RANK[update.status] > _RANK[known.status]
    return ours > theirs


class OrderLifecycles:
    """Every order by its id, each as far as is known: what was filled never shrinks, and an end stays."""

    def __init__(self) -> None:
        self.orders: dict[str, OrderUpdate] = {}

    def apply(self, update: OrderUpdate) -> OrderUpdate | None:
        """Apply a message and return the order as it is now; None where the message reports nothing new.

        A placement that arrives after the match it led to changes nothing; a cancellation that states no filled amount
        keeps the one known before.
        """
        known = self.orders.get(update.order_id)
        if known is None:
            self.orders[update.order_id] = update
            return update
        merged = _merge(known, update)
        if _facts(merged) == _facts(known):
            return None
        self.orders[update.order_id] = merged
        return merged

    def working(self) -> list[OrderUpdate]:
        """Orders that may still execute."""
        return [order for order in self.orders.values() if not order.is_final]


def _merge(known: OrderUpdate, update: OrderUpdate) -> OrderUpdate:
    filled = max(known.filled_e6, update.filled_e6)
    is_newer = update.filled_e6 > known.filled_e6 or (
        update.filled_e6 == known.filled_e6 and (update.venue_sent_ms or 0) >= (known.venue_sent_ms or 0)
    )
    has_ended = update.is_final and not known.is_final
    is_late = known.is_final and not update.is_final
    base = update if has_ended or (is_newer and not is_late) else known
    if base.status == "unknown" and known.status != "unknown":
        base = replace(base, status=known.status)
    if filled == base.filled_e6:
        return base
    return replace(base, filled_e6=filled, remaining_e6=0 if base.is_final else max(base.original_e6 - filled, 0))


def _facts(order: OrderUpdate) -> tuple[object, ...]:
    return order.status, order.filled_e6, order.remaining_e6, order.original_e6, order.price_e4, order.reason
