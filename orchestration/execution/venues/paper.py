"""A venue whose books are real and whose orders are not: fills are computed from the book at an order's arrival.

An order leaves, is on its way for half of a sampled round trip, is held back where its market does so, and then meets
the real book less what the account has taken of it. What is computed stands in `paper_matching`; what the account
holds is in the warehouse's rows (`PaperAccount`). Clock, chance, times and books come from outside (`PaperSources`).
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from orchestration.execution.decide.gate.venue_states import AccountState, MarketState, SendingState
from orchestration.execution.venues.gateway import (
    AccountFill,
    AccountMove,
    AwaitedMarket,
    Gateway,
    OpenOrder,
    OrderAnswer,
    OrderKey,
    OrderReading,
    OrderSpec,
    Payout,
    Payouts,
    PreparedOrder,
)
from orchestration.execution.venues.paper_matching import (
    DRAW_SCALE,
    LevelKey,
    PaperMatch,
    PaperProfile,
    PaperReject,
    PaperState,
    book_left,
    match_order,
    way_ms,
)
from streams.market.errors import Refused
from streams.market.events import BookSnapshot
from streams.market.identity import Outcome, Venue
from streams.market.trading import LevelTaken, MarketInfo, Siblings, Target

BookAt = Callable[[Target, datetime], Awaitable[BookSnapshot | None]]
"""Returns a market's book at an instant that may lie ahead; None when there is none."""
Matching = Callable[[PaperState], PaperMatch | PaperReject]


class PaperAccount(Protocol):
    """What the paper orders of a venue hold and have taken, by whichever process they were sent."""

    def gone(self, market_id: str) -> Mapping[LevelKey, LevelTaken]:
        """Return what is gone of a market's levels."""

    def cash_by_shard(self) -> Mapping[int | None, int]:
        """Return the cash by exchange shard; under None where the venue has one pot."""

    def fill(
        self, client_order_id: str, spec: OrderSpec, arrived_at: datetime, match: Matching
    ) -> PaperMatch | PaperReject | None:
        """Match an order with nobody else doing so, and keep its fills; None when it is not under way any more."""

    def reading(self, client_order_id: str) -> OrderReading:
        """Return what became of an order."""


@dataclass(frozen=True, slots=True)
class PaperSources:
    """All in which two runs of the same orders may differ.

    Attributes:
        book_at: Where the book at an order's arrival comes from.
        delay_ms: How long a market holds an order back that takes what is there.
        round_trips_ms: Sampled times from sending an order to its answer, without what markets hold orders back.
        random: Throws the draws of an order; they are kept in its request.
        clock: What time it is.
    """

    book_at: BookAt
    delay_ms: Callable[[Target], Awaitable[int]]
    round_trips_ms: Callable[[], Sequence[int]]
    random: random.Random
    clock: Callable[[], datetime]


def books_read_at(venue: Gateway, clock: Callable[[], datetime], sleep: Callable[[float], Awaitable[None]]) -> BookAt:
    """Return a source of books that waits for the instant and then asks the venue."""

    async def read(target: Target, at: datetime) -> BookSnapshot | None:
        await sleep(max(0.0, (at - clock()).total_seconds()))
        return (await venue.books([target])).get(target.market_id)

    return read


class PaperGateway:
    """A venue account on paper.

    Args:
        venue: Whose books are used.
        account: What it holds.
        profile: What is assumed of that which the books cannot show.
        sources: Clock, chance, times and the book at arrival.
    """

    is_simulated = True

    def __init__(self, venue: Gateway, account: PaperAccount, profile: PaperProfile, sources: PaperSources) -> None:
        self.venue: Venue = venue.venue
        self.buys_spend_dollars = venue.buys_spend_dollars
        self._venue = venue
        self._account = account
        self._profile = profile
        self._sources = sources
        self._specs: dict[str, OrderSpec] = {}

    async def books(self, targets: Sequence[Target]) -> Mapping[str, BookSnapshot]:
        """Return the venue's real books, less what the account has taken of them."""
        books = await self._venue.books(targets)
        return {market_id: book_left(book, self._account.gone(market_id)) for market_id, book in books.items()}

    def prepare(self, spec: OrderSpec) -> PreparedOrder:
        """Note the order under a new id, with its draws."""
        chance = self._sources.random
        client_order_id = f"paper-{uuid.UUID(int=chance.getrandbits(128), version=4)}"
        latency = way_ms(self._sources.round_trips_ms(), self._profile, chance.randrange(DRAW_SCALE))
        self._specs[client_order_id] = spec
        return PreparedOrder(
            client_order_id, {"paper": True, "latency_ms": latency, "fade_draw": chance.randrange(DRAW_SCALE)}
        )

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        """Let the order arrive, and fill it from the book as it is then.

        Raises:
            Refused: As the venue would, or when the order was given up while it was on its way.
        """
        spec = self._specs.pop(order.client_order_id)
        delay_ms = await self._sources.delay_ms(spec.target)
        order.check()
        arrives_at = self._sources.clock() + timedelta(milliseconds=order.request["latency_ms"] + delay_ms)
        snapshot = await self._sources.book_at(spec.target, arrives_at)
        fade_draw = order.request["fade_draw"]

        def match(state: PaperState) -> PaperMatch | PaperReject:
            return match_order(spec, snapshot, state, self._profile, fade_draw)

        result = self._account.fill(order.client_order_id, spec, self._sources.clock(), match)
        if result is None:
            raise Refused("order_not_open", "it was given up before it arrived")
        if isinstance(result, PaperReject):
            raise Refused(result.code, result.detail)
        return OrderAnswer(
            order.client_order_id,
            is_final=True,
            filled_e6=sum(fill.contracts_e6 for fill in result.fills),
            cash_e6=sum(fill.cash_e6 for fill in result.fills),
            fee_e6=sum(fill.fee_e6 for fill in result.fills),
        )

    async def read(self, key: OrderKey) -> OrderReading:
        """Return what was filled, whichever process has sent it; an order that has not arrived is not known."""
        return self._account.reading(key.client_order_id)

    async def search(self, key: OrderKey, siblings: Siblings) -> OrderReading:
        """Return what was filled; the rows have everything there is, at once."""
        return replace(await self.read(key), behind_s=0.0)

    async def cancel(self, key: OrderKey) -> None:
        """Nothing rests."""

    async def cancel_all(self) -> None:
        """Nothing rests."""

    async def open_orders(self) -> Sequence[OpenOrder]:
        """Nothing rests."""
        return []

    async def fills_since(self, since: datetime) -> Sequence[AccountFill]:
        """Nobody else trades on paper."""
        return []

    async def moves_since(self, since: datetime) -> Sequence[AccountMove]:
        """Nothing comes to or leaves paper."""
        return []

    async def client_order_id(self, venue_order_id: str) -> str:
        """Orders have one id."""
        return venue_order_id

    async def positions(self) -> Mapping[tuple[str, Outcome], int]:
        """What is held on paper stands in our own books alone."""
        return {}

    async def cash_e6(self) -> int:
        """Return the account's cash."""
        return sum(self._account.cash_by_shard().values())

    async def cash_by_shard(self) -> Mapping[int | None, int]:
        """Return the cash that orders can use."""
        return self._account.cash_by_shard()

    async def account_state(self) -> AccountState:
        """Return what the venue says of itself: an account on paper needs nothing else."""
        return await self._venue.account_state()

    def sending_state(self) -> SendingState:
        """Nothing is sent, so nothing holds it up."""
        return SendingState(None)

    async def market_state(self, market: MarketInfo) -> MarketState:
        """Return what the venue says of a market."""
        return await self._venue.market_state(market)

    async def payouts(self, markets: Sequence[AwaitedMarket]) -> Payouts:
        """Return the markets whose settlement is known; they pay at once."""
        known = [(market.market_id, market.known_e4) for market in markets]
        return Payouts([Payout(name, value, None, None, {"paper": True}) for name, value in known if value is not None])

    async def redeem(self, target: Target) -> str:
        """Nothing is owed: what a market pays is taken as paid at once."""
        raise Refused("nothing_owed", "paper is paid at once")
