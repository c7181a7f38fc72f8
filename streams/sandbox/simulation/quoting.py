"""One market's makers: the orders they keep on a book and how they move them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from streams.market.identity import MarketRef, Side
from streams.sandbox.core.model import CancelOrder, MarketAction, PlaceOrder
from streams.sandbox.simulation.parameters import FlowParameters

MAKER = "house-maker"
TAKER = "house-taker"
RIVAL = "house-rival"
_WHOLE = 1_000_000
_SPREADS_E4 = ((0.55, 100), (0.85, 200), (1.0, 300))
"""(share of markets up to, width between best bid and best ask before rounding to the grid)."""


@dataclass(slots=True)
class Quotes:
    """The makers' view of one market and their resting orders.

    `few` is the size of the one order of a brief dislocation (0: the whole book is displaced), `noticed` the fair value
    of which the other venue's makers know.

    `bids` and `asks` map price_e4 to [order number, size_e6]. Orders that were filled or cancelled by the exchange are
    dropped when the flow is told; cancelling one that is already gone is allowed and does nothing.
    """

    ref: MarketRef
    index: int
    tick_ranges: tuple[tuple[int, int, int], ...]
    believed: float
    noise_sd: float
    half_spread_e4: int
    depth: float
    noise: float = 0.0
    gap: float = 0.0
    gap_until_ms: int = 0
    shy_bid_e4: int = 0
    shy_ask_e4: int = 0
    shy_until_ms: int = 0
    seen_ms: int = 0
    fine_tick: bool = False
    orders: int = 0
    few: float = 0.0
    noticed: float = 0.0
    bids: dict[int, list[int]] = field(default_factory=dict)
    asks: dict[int, list[int]] = field(default_factory=dict)

    def snapshot(self) -> list[Any]:
        """The part that changes, as JSON values."""
        return [
            self.believed, self.noise, self.gap, self.gap_until_ms, self.shy_bid_e4, self.shy_ask_e4,
            self.shy_until_ms, self.seen_ms, self.fine_tick, self.orders,
            [[price, *order] for price, order in self.bids.items()],
            [[price, *order] for price, order in self.asks.items()],
            self.few, self.noticed,
        ]  # fmt: skip

    def restore(self, state: Sequence[Any]) -> None:
        """Take back what `snapshot` gave."""
        (self.believed, self.noise, self.gap, self.gap_until_ms, self.shy_bid_e4, self.shy_ask_e4,
         self.shy_until_ms, self.seen_ms, self.fine_tick, self.orders, bids, asks, *later) = state  # fmt: skip
        self.few, self.noticed = later or (0.0, self.believed)
        self.bids = {price: [number, size] for price, number, size in bids}
        self.asks = {price: [number, size] for price, number, size in asks}

    def key(self, number: int) -> str:
        """The name of the makers' order with this number: unique over all markets of a flow."""
        return f"{self.index}.{number}"

    def tick_at(self, price_e4: int) -> int:
        """The step of the price grid at a price."""
        if self.fine_tick:
            return 10
        for start, end, step in self.tick_ranges:
            if start <= price_e4 < end:
                return step
        return self.tick_ranges[-1][2]

    @property
    def wanted_side(self) -> Side:
        """The side of a displaced book that others want to trade with."""
        return "bid" if self.gap > 0 else "ask"

    def best(self) -> tuple[int | None, int | None]:
        """The makers' best bid and ask as price_e4."""
        return max(self.bids, default=None), min(self.asks, default=None)


def new_quotes(
    ref: MarketRef,
    index: int,
    ranges: tuple[tuple[int, int, int], ...],
    start: float,
    rng: Random,
    parameters: FlowParameters,
) -> Quotes:
    """Makers for a market, with a spread, an error and a depth of their own."""
    draw = rng.random()
    width = next(width for share, width in _SPREADS_E4 if draw <= share)
    if ranges[0][2] < 100:
        width = max(20, width // 3)
    noise = parameters.noise_e4 / 1e4 * math.exp(parameters.noise_spread * rng.gauss(0.0, 1.0))
    quotes = Quotes(ref, index, ranges, start, min(noise, 0.015), width // 2, math.exp(0.5 * rng.gauss(0.0, 1.0)))
    quotes.noise = quotes.noise_sd * rng.gauss(0.0, 1.0)
    quotes.noticed = start
    return quotes


def follow(quotes: Quotes, fair: float, lag_ms: float, now_ms: int, rng: Random, memory_s: float) -> float:
    """Let the makers' fair value move toward the fair chance and return the middle they quote around."""
    passed_ms = max(now_ms - quotes.seen_ms, 0)
    quotes.seen_ms = now_ms
    quotes.believed += (fair - quotes.believed) * (1.0 - math.exp(-passed_ms / lag_ms))
    keep = math.exp(-passed_ms / (memory_s * 1000.0))
    quotes.noise = quotes.noise * keep + quotes.noise_sd * math.sqrt(1.0 - keep * keep) * rng.gauss(0.0, 1.0)
    if quotes.gap and now_ms >= quotes.gap_until_ms:
        quotes.gap = quotes.few = 0.0
    believed = quotes.believed
    scale = min(1.0, 4.0 * math.sqrt(max(believed * (1.0 - believed), 0.0)) + 0.1)
    return believed + quotes.noise * scale + quotes.gap


def refresh(quotes: Quotes, middle: float, now_ms: int, rng: Random, parameters: FlowParameters) -> list[MarketAction]:
    """Bring the book in line with the middle; when nothing needs to move, renew one level with another size."""
    bid, ask = _tops(quotes, middle, now_ms)
    actions: list[MarketAction] = []
    _withdraw(quotes, "bid", quotes.bids, [price for price in quotes.bids if price > bid], actions)
    _withdraw(quotes, "ask", quotes.asks, [price for price in quotes.asks if price < ask], actions)
    bids, asks = _ladder(quotes, bid, -1, parameters.levels), _ladder(quotes, ask, 1, parameters.levels)
    if quotes.few:
        plain_bid, plain_ask = _tops(quotes, middle - quotes.gap, now_ms)
        if quotes.gap > 0:
            bids = [bid, *_ladder(quotes, min(plain_bid, bid), -1, parameters.levels)[bid <= plain_bid :]]
        else:
            asks = [ask, *_ladder(quotes, max(plain_ask, ask), 1, parameters.levels)[ask >= plain_ask :]]
    _fill_up(quotes, "bid", bids, actions, rng, parameters)
    _fill_up(quotes, "ask", asks, actions, rng, parameters)
    if not actions:
        _renew(quotes, actions, rng, parameters)
    return actions


def _tops(quotes: Quotes, middle: float, now_ms: int) -> tuple[int, int]:
    """Best bid and ask on the grid, inside 0 and 1, at least one tick apart."""
    centre = middle * 10_000.0
    half = quotes.half_spread_e4
    shy_bid, shy_ask = (quotes.shy_bid_e4, quotes.shy_ask_e4) if now_ms < quotes.shy_until_ms else (0, 0)
    tick = quotes.tick_at(min(max(int(centre), 1), 9_999))
    bid = _on_grid(quotes, math.floor((centre - half - shy_bid) / tick + 0.5) * tick, -1)
    ask = _on_grid(quotes, math.floor((centre + half + shy_ask) / tick + 0.5) * tick, 1)
    low, high = quotes.tick_at(1), 10_000 - quotes.tick_at(9_999)
    bid = min(bid, high - quotes.tick_at(high - 1))
    return bid, max(min(ask, high), low + quotes.tick_at(low), _on_grid(quotes, bid + 1, 1))


def _on_grid(quotes: Quotes, price: int, direction: int) -> int:
    """The nearest price of the grid at or beyond `price`, downward or upward."""
    step = quotes.tick_at(price) if direction > 0 else quotes.tick_at(price - 1)
    return price // step * step if direction < 0 else -(-price // step) * step


def _ladder(quotes: Quotes, top: int, direction: int, count: int) -> list[int]:
    """Prices from the best one outward: whole cents below the best, two grid steps apart in fine tails."""
    prices: list[int] = []
    low, high = quotes.tick_at(1), 10_000 - quotes.tick_at(9_999)
    price = top
    while len(prices) < count and low <= price <= high:
        prices.append(price)
        tick = quotes.tick_at(price if direction > 0 else price - 1)
        step = tick if tick >= 100 else 100 if 1_000 < price < 9_000 and len(prices) > 1 else 2 * tick
        price += direction * step
        if step == 100:
            price = (price // 100 if direction > 0 else -(-price // 100)) * 100
        price = _on_grid(quotes, price, direction)
    return prices


def _withdraw(
    quotes: Quotes, side: Side, levels: dict[int, list[int]], prices: list[int], actions: list[MarketAction]
) -> None:
    for price in prices:
        number, _ = levels.pop(price)
        actions.append(CancelOrder(quotes.ref, MAKER, quotes.key(number)))


def _fill_up(
    quotes: Quotes, side: Side, wanted: list[int], actions: list[MarketAction], rng: Random, parameters: FlowParameters
) -> None:
    levels = quotes.bids if side == "bid" else quotes.asks
    if wanted and len(levels) > len(wanted) + 2:
        far = sorted(levels, reverse=side == "ask")
        _withdraw(quotes, side, levels, far[: len(levels) - len(wanted)], actions)
    for depth, price in enumerate(wanted):
        if price not in levels:
            actions.append(_place(quotes, side, price, depth, rng, parameters))


def _place(quotes: Quotes, side: Side, price: int, depth: int, rng: Random, parameters: FlowParameters) -> PlaceOrder:
    levels = quotes.bids if side == "bid" else quotes.asks
    usual = parameters.size_contracts * quotes.depth * (1.0 + 0.6 * depth)
    size = usual * math.exp(parameters.size_spread * rng.gauss(0.0, 1.0))
    if depth == 0 and rng.random() < parameters.thin_probability:
        size = rng.uniform(6.0, 25.0)
    if depth == 0 and quotes.few and side == quotes.wanted_side:
        size = quotes.few
    contracts = max(5, int(size))
    hundredths = rng.randrange(100) if rng.random() < 0.2 else 0
    quotes.orders += 1
    levels[price] = [quotes.orders, contracts * _WHOLE + hundredths * 10_000]
    return PlaceOrder(quotes.ref, MAKER, quotes.key(quotes.orders), side, price, levels[price][1])


def _renew(quotes: Quotes, actions: list[MarketAction], rng: Random, parameters: FlowParameters) -> None:
    side: Side = "bid" if rng.random() < 0.5 else "ask"
    levels = quotes.bids if side == "bid" else quotes.asks
    if not levels:
        return
    prices = sorted(levels, reverse=side == "bid")
    depth = min(int(rng.expovariate(0.7)), len(prices) - 1)
    price = prices[depth]
    _withdraw(quotes, side, levels, [price], actions)
    actions.append(_place(quotes, side, price, depth, rng, parameters))


def step_back(
    quotes: Quotes, side: Side, now_ms: int, rng: Random, parameters: FlowParameters, *, keeps_residue: bool
) -> list[MarketAction]:
    """Pull the best quotes of one side, for a while; perhaps leave a few contracts at the old price."""
    levels = quotes.bids if side == "bid" else quotes.asks
    actions: list[MarketAction] = []
    if not levels:
        return actions
    distance = rng.randint(*parameters.fade_e4)
    top = max(levels) if side == "bid" else min(levels)
    gone = [price for price in levels if abs(price - top) < distance]
    _withdraw(quotes, side, levels, gone, actions)
    if keeps_residue:
        quotes.orders += 1
        size = rng.randint(5, 9) * _WHOLE
        levels[top] = [quotes.orders, size]
        actions.append(PlaceOrder(quotes.ref, MAKER, quotes.key(quotes.orders), side, top, size))
    quotes.shy_bid_e4 = distance if side == "bid" else 0
    quotes.shy_ask_e4 = distance if side == "ask" else 0
    quotes.shy_until_ms = now_ms + int(rng.uniform(*parameters.fade_s) * 1000)
    return actions


def wanted_contracts(quotes: Quotes) -> int:
    """Contracts at the best price of the side that others want while the book is displaced."""
    is_bid = quotes.wanted_side == "bid"
    levels = quotes.bids if is_bid else quotes.asks
    best = (max if is_bid else min)(levels, default=0)
    return levels[best][1] // 1_000_000 if best else 0


def note_fill(quotes: Quotes, side: Side, order_key: str, remaining_e6: int) -> None:
    """Keep the makers' view in line with the book after one of their orders traded."""
    levels = quotes.bids if side == "bid" else quotes.asks
    number = int(order_key.partition(".")[2])
    for price, order in levels.items():
        if order[0] == number:
            order[1] = remaining_e6
            if remaining_e6 <= 0:
                del levels[price]
            return
