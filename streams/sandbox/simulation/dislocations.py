"""Dislocations of the flow: books that lag behind the other venue, ladders out of order, and rivals who take them.

How far a book must lag to leave a given edge after both venues' fees is drawn here too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from streams.market.identity import MarketRef, Side, Venue
from streams.sandbox.catalogue.truth import Truth
from streams.sandbox.core.model import CatalogueMarket, MarketAction, ParticipantFill, PlaceOrder
from streams.sandbox.simulation.makers import Makers
from streams.sandbox.simulation.parameters import FlowParameters
from streams.sandbox.simulation.quoting import MAKER, RIVAL, Quotes, note_fill
from streams.sandbox.simulation.short_series import ShortEvent
from streams.sandbox.simulation.universe import parse_ref

_KALSHI_TAKER = 0.07
"""Kalshi's taker coefficient, times the series' multiplier; source: fee schedule of 2026-07-07."""
_SHORT_LAST_GAP_MS = 8_000
"""No dislocation is opened or kept in the last seconds of a short market."""
_SHOWN_AFTER_MS = 20


def fee_share(market: CatalogueMarket, price: float) -> float:
    """Taker fee per contract in dollars at a price: only an estimate for the makers, never a booking."""
    schedule = market.fee_schedule
    if market.venue is Venue.KALSHI:
        rate = _KALSHI_TAKER * float(schedule.get("fee_multiplier", "1"))
    else:
        rate = float(schedule.get("rate", "0"))
    return rate * price * (1.0 - price)


def displacement_for_edge(
    edge: float, near: tuple[Quotes, CatalogueMarket], far: tuple[Quotes, CatalogueMarket], rng: Random
) -> float | None:
    """The displacement of `near`'s quotes that leaves `edge` dollars per contract between it and `far`, or None.

    Its sign is drawn; None when neither sign keeps the quotes between 2 and 98 cents.
    """
    quotes, market = near
    middle = quotes.believed
    spreads = (quotes.half_spread_e4 + far[0].half_spread_e4) / 10_000
    direction = 1.0 if rng.random() < 0.5 else -1.0
    for sign in (direction, -direction):
        gap = edge + spreads + fee_share(far[1], middle)
        gap += fee_share(market, min(max(middle + sign * gap, 0.01), 0.99))
        if 0.02 <= middle + sign * gap <= 0.98:
            return sign * gap
    return None


def catalogue_dislocation(parameters: FlowParameters, rng: Random) -> tuple[float, float]:
    """(edge in dollars, length in seconds) of a dislocation of the catalogue's pairs."""
    edge = parameters.gap_edge_e4 / 10_000 * math.exp(parameters.gap_edge_spread * rng.gauss(0.0, 1.0))
    minutes = parameters.gap_minutes * math.exp(parameters.gap_minutes_spread * rng.gauss(0.0, 1.0))
    return min(edge, 0.08), min(minutes, 30.0) * 60.0


def mean_dislocation_s(parameters: FlowParameters) -> float:
    """Mean length of such a dislocation in seconds."""
    return parameters.gap_minutes * 60.0 * math.exp(parameters.gap_minutes_spread**2 / 2.0)


def short_dislocation(parameters: FlowParameters, rng: Random) -> tuple[float, float]:
    """(edge in dollars, length in seconds) of a dislocation of the short series."""
    return rng.uniform(*parameters.short_gap_edge_e4) / 10_000, rng.uniform(*parameters.short_gap_s)


class Dislocations(Makers):
    """Opens and closes dislocations.

    Attributes:
        ladders: Kalshi markets "above X" of one event, lowest strike first.
        gaps: How many were opened, `brief`, `long`, `short` (series), and `taken` by rivals, since this process began.
    """

    def __init__(self, truth: Truth, seed: int, parameters: FlowParameters) -> None:
        super().__init__(truth, seed, parameters)
        self.ladders: list[list[MarketRef]] = []
        self.gaps: Counter[str] = Counter()
        self._short_events: dict[str, ShortEvent] = {}

    def _on_dislocation(self, key: str, actions: list[MarketAction]) -> None:
        ref = parse_ref(key)
        listed = self._registry.markets.get(ref)
        if listed is None or ref not in self._quotes:
            return
        parameters, rng = self.parameters, self._rng
        edge, length_s = (
            short_dislocation(parameters, rng) if listed.is_short else catalogue_dislocation(parameters, rng)
        )
        self._dislocate(ref, edge, length_s)
        if listed.is_short:
            life_ms = self._short_events[listed.condition.fact_id].coin.life_min * 60_000
            wait = length_s * 1000 + rng.expovariate(parameters.short_gaps_per_life / life_ms)
        else:
            wait = length_s * 1000 + rng.expovariate(parameters.gap_share / (mean_dislocation_s(parameters) * 1000))
        self._at(self._now_ms + wait, "gap", key)

    def _brief_wait_ms(self) -> float:
        return self._rng.expovariate(self.parameters.brief_gaps_per_h / 3_600_000)

    def _on_brief(self, key: str, actions: list[MarketAction]) -> None:
        ref = parse_ref(key)
        if ref not in self._quotes:
            return
        parameters, rng = self.parameters, self._rng
        length_s = rng.uniform(*parameters.brief_gap_s)
        few = max(5.0, parameters.brief_gap_contracts * math.exp(0.3 * rng.gauss(0.0, 1.0)))
        self._dislocate(ref, rng.uniform(*parameters.brief_gap_edge_e4) / 10_000, length_s, few)
        self._at(self._now_ms + length_s * 1000 + self._brief_wait_ms(), "brief", key)

    def _dislocate(self, ref: MarketRef, edge: float, length_s: float, few: float = 0.0) -> None:
        listed = self._registry.markets[ref]
        peers = [peer.ref for peer in listed.peers if peer.ref in self._quotes]
        if not peers:
            return
        pair = [ref, self._rng.choice(peers)]
        self._rng.shuffle(pair)
        near, far = ((self._quotes[one], self._registry.markets[one].market) for one in pair)
        end_ms = self._now_ms + int(length_s * 1000)
        if listed.is_short:
            end_ms = min(end_ms, int(listed.market.close_time.timestamp() * 1000) - _SHORT_LAST_GAP_MS)
        gap = displacement_for_edge(edge, near, far, self._rng)
        if gap is None or near[0].gap or far[0].gap or end_ms <= self._now_ms + 1_000 * (1 if few else 2):
            return
        self.gaps["brief" if few else "short" if listed.is_short else "long"] += 1
        self._displace(near[0], gap, end_ms, few)
        if self.parameters.rival_share and self._rng.random() < self.parameters.rival_share:
            reaction = self.parameters.rival_reaction_ms * math.exp(
                self.parameters.rival_reaction_spread * self._rng.gauss(0.0, 1.0)
            )
            self._at(self._now_ms + _SHOWN_AFTER_MS + reaction, "rival", str(near[0].ref))

    def _displace(self, quotes: Quotes, gap: float, end_ms: int, few: float = 0.0) -> None:
        quotes.gap, quotes.gap_until_ms, quotes.few = gap, end_ms + 500, few
        self._at(self._now_ms + _SHOWN_AFTER_MS, "quote_once", str(quotes.ref))
        self._at(end_ms, "gap_end", str(quotes.ref))

    def _on_rival(self, key: str, actions: list[MarketAction]) -> None:
        """Somebody faster takes all that is stale, and the makers know."""
        quotes = self._quotes.get(parse_ref(key))
        if quotes is None or not quotes.gap:
            return
        levels = quotes.bids if quotes.wanted_side == "bid" else quotes.asks
        best = (max if quotes.wanted_side == "bid" else min)(levels, default=0)
        stale = {price: order[1] for price, order in levels.items() if abs(price - best) <= abs(quotes.gap) * 5_000}
        if stale:
            worst = (min if quotes.wanted_side == "bid" else max)(stale)
            self._sequence += 1
            side: Side = "ask" if quotes.wanted_side == "bid" else "bid"
            taken = sum(stale.values())
            actions.append(PlaceOrder(quotes.ref, RIVAL, f"t{self._sequence}", side, worst, taken, is_immediate=True))
            self.gaps["taken"] += 1
        quotes.gap = quotes.few = 0.0
        self._at(self._now_ms + _SHOWN_AFTER_MS, "quote_once", key)

    def _on_dislocation_end(self, key: str, actions: list[MarketAction]) -> None:
        quotes = self._quotes.get(parse_ref(key))
        if quotes is None or not quotes.gap or self._now_ms < quotes.gap_until_ms - 600:
            return
        if self._rng.random() < self.parameters.rival_probability:
            side: Side = "ask" if quotes.gap > 0 else "bid"
            levels = quotes.bids if side == "ask" else quotes.asks
            if levels:
                best = max(levels) if side == "ask" else min(levels)
                self._take(quotes.ref, RIVAL, side, levels[best][1], actions)
        quotes.gap = quotes.few = 0.0
        self._refresh(quotes.ref, quotes, actions)

    def _on_ladder(self, _: str, actions: list[MarketAction]) -> None:
        parameters, rng = self.parameters, self._rng
        self._at(self._now_ms + 1 + rng.expovariate(parameters.ladder_violations_per_min / 60_000), "ladder")
        rungs = [ref for ref in rng.choice(self.ladders) if ref in self._quotes]
        close = [
            (low, high)
            for low, high in pairwise(rungs)
            if self._quotes[low].believed - self._quotes[high].believed < 0.08
            and 0.06 < self._quotes[high].believed < 0.94
            and not self._quotes[low].gap
            and not self._quotes[high].gap
        ]
        if not close:
            return
        low, high = (self._quotes[ref] for ref in rng.choice(close))
        spreads = (low.half_spread_e4 + high.half_spread_e4) / 10_000
        fees = 2 * 0.07 * high.believed * (1 - high.believed)
        shift = (low.believed - high.believed + spreads + fees + rng.uniform(0.01, 0.03)) / 2
        end_ms = self._now_ms + int(rng.uniform(*parameters.ladder_violation_s) * 1000)
        self._displace(low, -shift, end_ms)
        self._displace(high, shift, end_ms)

    def _note_fills(self, fills: Sequence[ParticipantFill], now_ms: int) -> None:
        for fill in fills:
            quotes = self._quotes.get(fill.market)
            if quotes is None or fill.account != MAKER:
                continue
            note_fill(quotes, fill.side, fill.order_key, fill.remaining_e6)
            if quotes.few and fill.side == quotes.wanted_side:
                quotes.gap = quotes.few = 0.0
            if fill.counterparty_is_house:
                continue
            quotes.gap *= 0.6
            for peer in self._registry.markets[fill.market].peers:
                # The second leg of someone who bought here is a sale there: it is the bids that step back.
                hit: Side = ("bid" if fill.side == "ask" else "ask") if not peer.is_inverted else fill.side
                self._plan_fade(peer.ref, hit, self.parameters.fade_probability, now_ms)
