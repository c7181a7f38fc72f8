"""Simulated fills against real books: what the venue's book holds at the moment of sending is what is filled.

The books are not changed by it, so the same contracts can be bought again; figures of paper trading are upper bounds.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from orchestration.execution.decide.plan import leg_book
from orchestration.execution.venues.gateway import (
    AwaitedMarket,
    Gateway,
    OpenOrder,
    OrderKey,
    OrderReading,
    OrderSpec,
    Payout,
    Payouts,
    PreparedOrder,
)
from streams.market.errors import Refused
from streams.market.events import BookSnapshot, Levels
from streams.market.fees import taker_fee_e6
from streams.market.identity import Venue
from streams.market.trading import NewFill, Target
from streams.market.units import PRICE_SCALE, cash_e6_of

START_CASH_E6 = 10_000_000_000
"""Ten thousand dollars on each venue."""


class PaperGateway:
    """A venue whose books are real and whose orders are not. `ledger_cash` says what the account has left."""

    is_simulated = True

    def __init__(self, venue: Gateway, ledger_cash: Callable[[], int]) -> None:
        self.venue: Venue = venue.venue
        self.buys_spend_dollars = venue.buys_spend_dollars
        self._venue = venue
        self._ledger_cash = ledger_cash
        self._specs: dict[str, OrderSpec] = {}
        self._readings: dict[str, OrderReading] = {}

    async def books(self, targets: Sequence[Target]) -> Mapping[str, BookSnapshot]:
        """Return the venue's real books."""
        return await self._venue.books(targets)

    def prepare(self, spec: OrderSpec) -> PreparedOrder:
        """Note the order under a new id."""
        client_order_id = f"paper-{uuid.uuid4()}"
        self._specs[client_order_id] = spec
        return PreparedOrder(client_order_id, {"paper": True})

    async def send(self, order: PreparedOrder) -> str | None:
        """Fill the order from the book as it is now."""
        spec = self._specs[order.client_order_id]
        snapshot = (await self._venue.books([spec.target])).get(spec.target.market_id)
        book = None if snapshot is None else leg_book(snapshot, spec.outcome, 0)
        levels: Levels = [] if book is None else (book.asks if spec.action == "buy" else book.bids)
        order.check()
        fills = tuple(_fill(order.client_order_id, number, *piece, spec) for number, piece in _pieces(spec, levels))
        self._readings[order.client_order_id] = OrderReading(
            True, is_final=True, venue_order_id=order.client_order_id, fills=fills, status="paper"
        )
        return order.client_order_id

    async def read(self, key: OrderKey) -> OrderReading:
        """Return what was filled; an order of a former process is not known any more."""
        return self._readings.get(key.client_order_id, OrderReading(is_found=False))

    async def cancel(self, key: OrderKey) -> None:
        """Nothing rests."""

    async def cancel_all(self) -> None:
        """Nothing rests."""

    async def open_orders(self) -> Sequence[OpenOrder]:
        """Nothing rests."""
        return []

    async def cash_e6(self) -> int:
        """Return what the ledger leaves of the start cash."""
        return self._ledger_cash() or START_CASH_E6

    async def cash_by_shard(self) -> Mapping[int | None, int]:
        """Return the same: paper has one pot."""
        return {None: await self.cash_e6()}

    async def payouts(self, markets: Sequence[AwaitedMarket]) -> Payouts:
        """Return the markets whose settlement is known; they pay at once."""
        known = [(market.market_id, market.known_e4) for market in markets]
        return Payouts([Payout(name, value, None, None, {"paper": True}) for name, value in known if value is not None])

    async def redeem(self, target: Target) -> str:
        """Nothing is owed: what a market pays is taken as paid at once."""
        raise Refused("nothing_owed", "paper is paid at once")


def _pieces(spec: OrderSpec, levels: Levels) -> list[tuple[int, tuple[int, int]]]:
    left, dollars = spec.size_e6, spec.spend_e6
    pieces: list[tuple[int, int]] = []
    for price, size in levels:
        is_acceptable = price <= spec.limit_price_e4 if spec.action == "buy" else price >= spec.limit_price_e4
        part = min(size, left if dollars is None else dollars * PRICE_SCALE // price)
        if not is_acceptable or part <= 0:
            break
        pieces.append((price, part))
        left -= part
        dollars = None if dollars is None else dollars - cash_e6_of(price, part, paying=True)
    return list(enumerate(pieces))


def _fill(client_order_id: str, number: int, price: int, size: int, spec: OrderSpec) -> NewFill:
    is_buy = spec.action == "buy"
    return NewFill(
        venue_fill_id=f"{client_order_id}:{number}",
        contracts_e6=size,
        cash_e6=cash_e6_of(price, size, paying=is_buy),
        fee_e6=taker_fee_e6(price, size, spec.target.schedule, is_buy=is_buy),
        state="confirmed",
        filled_at=datetime.now(UTC),
        payload={"paper": True, "price_e4": price},
    )
