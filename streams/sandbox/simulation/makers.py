"""The flow's makers and takers: what every market is quoted at, and how makers step back when something moves."""

from __future__ import annotations

import heapq
from random import Random

from streams.market.identity import MarketRef, Side, Venue
from streams.sandbox.catalogue.truth import Truth
from streams.sandbox.core.model import ChangeTick, MarketAction, PlaceOrder
from streams.sandbox.simulation.fair_values import FairValues
from streams.sandbox.simulation.parameters import FlowParameters
from streams.sandbox.simulation.quoting import TAKER, Quotes, follow, new_quotes, refresh, step_back
from streams.sandbox.simulation.universe import Registry, parse_ref

_BELIEF_MS = 100
TimedEvent = tuple[int, int, str, str]
"""(when in milliseconds, number, what, of which market)"""


class Makers:
    """The state of the flow, its heap of timed events, and the quotes of every market."""

    def __init__(self, truth: Truth, seed: int, parameters: FlowParameters) -> None:
        self.parameters = parameters
        self._seed = seed
        self._rng = Random(f"flow:{seed}")  # a text seeds alike on every version and machine
        self._fair_values = FairValues(truth, self.parameters, self._rng)
        self._registry = Registry(self.parameters)
        self._quotes: dict[MarketRef, Quotes] = {}
        self._heap: list[TimedEvent] = []
        self._sequence = 0
        self._now_ms = 0
        self._markets_made = 0

    def _at(self, when_ms: float, kind: str, key: str = "") -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (int(when_ms), self._sequence, kind, key))

    def _make_quotes(self, ref: MarketRef) -> None:
        """Give a market makers whose habits depend on seed and market alone, so that a restore finds the same."""
        listed = self._registry.markets[ref]
        self._markets_made += 1
        start = listed.market.start_price_e4 / 10_000
        if listed.is_short:
            start = self._fair_values.probability(listed.condition, self._now_ms)
        rng = Random(f"{self._seed}:{ref}")
        quotes = new_quotes(ref, self._markets_made, listed.market.price_ranges, start, rng, self.parameters)
        quotes.seen_ms = self._now_ms
        self._quotes[ref] = quotes

    def _on_fair_value(self, _: str, actions: list[MarketAction]) -> None:
        self._fair_values.advance(_BELIEF_MS / 1000)
        self._at(self._now_ms + _BELIEF_MS, "belief")

    def _on_quote(self, key: str, actions: list[MarketAction]) -> None:
        ref = parse_ref(key)
        quotes = self._quotes.get(ref)
        if quotes is None:
            return
        self._refresh(ref, quotes, actions)
        parameters, listed = self.parameters, self._registry.markets[ref]
        rate = parameters.deltas_per_s / parameters.acts_per_refresh * listed.weight / self._registry.total_weight
        if quotes.gap:
            rate *= parameters.gap_speed
            if self._rng.random() < parameters.flicker_probability:
                wanted: Side = "bid" if quotes.gap > 0 else "ask"
                residue = self._rng.random() < parameters.fade_residue
                actions.extend(step_back(quotes, wanted, self._now_ms, self._rng, parameters, keeps_residue=residue))
                quotes.shy_until_ms = self._now_ms + int(self._rng.uniform(*parameters.flicker_s) * 1000)
        self._at(self._now_ms + 1 + self._rng.expovariate(rate) * 1000, "quote", key)

    def _on_quote_once(self, key: str, actions: list[MarketAction]) -> None:
        ref = parse_ref(key)
        quotes = self._quotes.get(ref)
        if quotes is not None:
            self._refresh(ref, quotes, actions)

    def _refresh(self, ref: MarketRef, quotes: Quotes, actions: list[MarketAction]) -> None:
        parameters = self.parameters
        listed = self._registry.markets[ref]
        fair = self._fair_values.probability(listed.condition, self._now_ms)
        lag = parameters.kalshi_lag_ms if ref.venue is Venue.KALSHI else parameters.polymarket_lag_ms
        lag *= parameters.short_lag_share if listed.is_short else 1.0
        middle = follow(quotes, fair, lag, self._now_ms, self._rng, parameters.noise_memory_s)
        if ref.venue is Venue.POLYMARKET and not quotes.fine_tick and not 0.04 <= middle <= 0.96:
            quotes.fine_tick = True
            if quotes.tick_ranges[0][2] > 10:
                actions.append(ChangeTick(ref, 10))
        actions.extend(refresh(quotes, middle, self._now_ms, self._rng, parameters))
        if abs(quotes.believed - quotes.noticed) * 10_000 >= parameters.move_fade_e4:
            went_up, quotes.noticed = quotes.believed > quotes.noticed, quotes.believed
            for peer in listed.peers:
                # What is stale there after a rise here are the asks.
                stale: Side = "ask" if went_up is not peer.is_inverted else "bid"
                self._plan_fade(peer.ref, stale, parameters.move_fade_probability, self._now_ms)

    def _on_taker(self, _: str, actions: list[MarketAction]) -> None:
        rng = self._rng
        pool = self._quotes
        self._at(self._now_ms + 1 + rng.expovariate(self.parameters.takers_per_s) * 1000, "taker")
        for ref in rng.sample(list(pool), min(4, len(pool))):
            if rng.random() < self._registry.markets[ref].weight:
                side: Side = "bid" if rng.random() < 0.5 else "ask"
                size = max(5, int(rng.expovariate(1 / 18))) * 1_000_000
                self._take(ref, TAKER, side, size, actions)
                return

    def _take(self, ref: MarketRef, account: str, side: Side, size_e6: int, actions: list[MarketAction]) -> None:
        bid, ask = self._quotes[ref].best()
        price = ask if side == "bid" else bid
        if price is not None:
            self._sequence += 1
            actions.append(PlaceOrder(ref, account, f"t{self._sequence}", side, price, size_e6, is_immediate=True))

    def _plan_fade(self, ref: MarketRef, side: Side, probability: float, now_ms: int) -> None:
        parameters, rng = self.parameters, self._rng
        if parameters.fades and rng.random() < probability:
            residue = "few" if rng.random() < parameters.fade_residue else "none"
            self._at(now_ms + rng.randint(*parameters.fade_delay_ms), "fade", f"{side}|{residue}|{ref}")

    def _on_fade(self, key: str, actions: list[MarketAction]) -> None:
        side, residue, name = key.split("|", 2)
        quotes = self._quotes.get(parse_ref(name))
        if quotes is not None:
            hit: Side = "bid" if side == "bid" else "ask"
            is_few = residue == "few"
            actions.extend(step_back(quotes, hit, self._now_ms, self._rng, self.parameters, keeps_residue=is_few))
