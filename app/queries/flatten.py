"""What a flatten of one trade would sell, at worst for how much: what people see before they ask for it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal

from app.queries.books import load_book
from app.queries.trades import TradeFilter, TradeRow, load_trades
from streams.storage.database import Connection

_LEAST_PRICE = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class FlattenLeg:
    """What is held of one outcome and what it may be sold for, in dollars per contract.

    Attributes:
        contracts: Held now; never less than 0.
        best_bid: As recorded last; None where nobody bids or no book was recorded.
        worst_price: The least it may be sold at; None without a bid: then the first bid that shows itself sets it.
        book_age_s: Seconds since the book last changed; None without one.
        is_stale: The book is not kept live by the recorder, so `best_bid` may be an old one.
    """

    venue: str
    market_id: str
    outcome: str
    title: str
    contracts: Decimal
    best_bid: Decimal | None
    worst_price: Decimal | None
    book_age_s: float | None
    is_stale: bool


@dataclass(frozen=True, slots=True)
class FlattenOffer:
    """Everything a person must see before they have a trade sold. `slippage_usd`: how far below the best bid."""

    execution_id: int
    title: str
    state: str
    mode: str
    is_settled: bool
    slippage_usd: Decimal
    legs: tuple[FlattenLeg, ...]

    @property
    def seen(self) -> str:
        """A short text that stays the same while trade, state and contracts are the same; prices may move."""
        return trade_seen(self.execution_id, self.state, self.is_settled, self.legs)

    @property
    def least_usd(self) -> Decimal | None:
        """What the sale brings at the worst, before fees; None while a leg has no worst price."""
        prices = [(leg.contracts, leg.worst_price) for leg in self.legs if leg.contracts]
        if any(price is None for _, price in prices):
            return None
        return sum((contracts * (price or 0) for contracts, price in prices), Decimal(0))

    @property
    def sentences(self) -> list[str]:
        """One sentence per leg: what is sold, how much of it, and down to which price."""
        return [_sentence(leg, self.slippage_usd) for leg in self.legs]


def load_flatten_offer(connection: Connection, execution_id: int, slippage_usd: Decimal) -> FlattenOffer | None:
    """Return what a flatten of a trade would sell now; None when there is no such trade.

    Args:
        connection: To the warehouse.
        execution_id: The trade.
        slippage_usd: `settings.flatten_slippage_usd`.
    """
    found = load_trades(connection, TradeFilter(execution_id=execution_id), limit=1).rows
    if not found:
        return None
    trade = found[0]
    return FlattenOffer(
        execution_id=trade.execution_id,
        title=trade.title,
        state=trade.state,
        mode=trade.mode,
        is_settled=trade.settled_at is not None,
        slippage_usd=slippage_usd,
        legs=tuple(_legs(connection, trade, slippage_usd)),
    )


def trade_seen(execution_id: int, state: str, is_settled: bool, legs: tuple[FlattenLeg, ...]) -> str:
    """Return the text that names a trade in the state and size it has."""
    held = sorted((leg.venue, leg.market_id, leg.outcome, f"{leg.contracts:.6f}") for leg in legs)
    document = json.dumps([execution_id, state, is_settled, held])
    return hashlib.sha256(document.encode()).hexdigest()[:16]


def _legs(connection: Connection, trade: TradeRow, slippage_usd: Decimal) -> list[FlattenLeg]:
    legs = []
    for leg in trade.legs:
        book = load_book(connection, leg["venue"], leg["market_id"])
        bid = None
        if book is not None:
            # The bid for NO is what remains of a dollar beside the best ask for YES.
            levels = book.bids if leg["outcome"] == "yes" else tuple((1 - price, size) for price, size in book.asks)
            bid = levels[0][0] if levels else None
        legs.append(
            FlattenLeg(
                venue=leg["venue"],
                market_id=leg["market_id"],
                outcome=leg["outcome"],
                title=leg["title"],
                contracts=max(Decimal(0), Decimal(leg["filled"])),
                best_bid=bid,
                worst_price=None if bid is None else max(_LEAST_PRICE, bid - slippage_usd),
                book_age_s=None if book is None else round(book.age_s, 1),
                is_stale=book is None or book.state != "live",
            )
        )
    return legs


def _sentence(leg: FlattenLeg, slippage_usd: Decimal) -> str:
    what = f"{_short(leg.contracts)} contracts {leg.outcome.upper()} of {leg.venue}:{leg.market_id}"
    if not leg.contracts:
        return f"nothing of {leg.outcome.upper()} of {leg.venue}:{leg.market_id}: none is held"
    if leg.worst_price is None or leg.best_bid is None:
        return (
            f"{what}: nobody bids now; the first bid that shows itself less ${_short(slippage_usd)} is the worst price"
        )
    age = ", from a book that is not live" if leg.is_stale else ""
    return f"{what}, at worst ${_short(leg.worst_price)} each (best bid ${_short(leg.best_bid)}{age})"


def _short(value: Decimal) -> str:
    return f"{value.normalize():f}"
