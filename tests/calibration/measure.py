"""Measures what a flow produces: gaps between true pairs, their length and size, and how far their mids lie apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from streams.market.identity import MarketRef, Venue
from streams.sandbox.catalogue.truth import TruePair
from streams.sandbox.core.model import CatalogueMarket
from streams.sandbox.simulation.dislocations import fee_share
from tests.calibration.offline import OfflineBook, OfflineExchange


@dataclass(frozen=True, slots=True)
class Episode:
    """One stretch of time in which a pair could be bought on both venues for less than a dollar, fees included."""

    pair: TruePair
    started_s: float
    seconds: float
    peak_edge_cents: float
    contracts: float


@dataclass(slots=True)
class _Open:
    started_s: float
    seen_s: float
    peak: float
    contracts: float


@dataclass
class GapMeter:
    """Watches pairs at regular times.

    Attributes:
        tolerance_s: An edge that vanishes for no longer than this is one episode, as in the recorded ledger, which
            looked about once every half minute.
        least_edge: Dollars per contract from which an edge counts.
    """

    pairs: Sequence[TruePair]
    tolerance_s: float = 30.0
    least_edge: float = 0.002
    mid_differences_cents: list[float] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    _open: dict[TruePair, _Open] = field(default_factory=dict)

    def look(self, exchange: OfflineExchange, now_s: float, *, takes_mids: bool = True) -> None:
        """Look at all pairs at one moment."""
        for pair in self.pairs:
            first = exchange.books.get(MarketRef(Venue.KALSHI, pair.kalshi_id))
            second = exchange.books.get(MarketRef(Venue.POLYMARKET, pair.polymarket_id))
            if first is None or second is None or not (first.is_open and second.is_open):
                continue
            top = _aligned_tops(first, second, is_inverted=pair.polarity == "inverted")
            if top is None:
                continue
            bid_a, ask_a, bid_b, ask_b = top
            if takes_mids:
                self.mid_differences_cents.append(abs(bid_a + ask_a - bid_b - ask_b) * 50.0)
            markets = first.listing.market, second.listing.market
            edge = max(_edge(ask_a, bid_b, markets), _edge(ask_b, bid_a, markets))
            self._note(pair, edge, now_s)

    def _note(self, pair: TruePair, edge: float, now_s: float) -> None:
        known = self._open.get(pair)
        if edge >= self.least_edge:
            if known is None:
                self._open[pair] = _Open(now_s, now_s, edge, 0.0)
            else:
                known.seen_s, known.peak = now_s, max(known.peak, edge)
        elif known is not None and now_s - known.seen_s > self.tolerance_s:
            self._end(pair, known)

    def _end(self, pair: TruePair, known: _Open) -> None:
        del self._open[pair]
        length = known.seen_s - known.started_s
        self.episodes.append(Episode(pair, known.started_s, max(length, 1.0), known.peak * 100.0, known.contracts))

    def finish(self) -> None:
        """End the episodes that are still open."""
        for pair, known in list(self._open.items()):
            self._end(pair, known)


def _aligned_tops(
    first: OfflineBook, second: OfflineBook, *, is_inverted: bool
) -> tuple[float, float, float, float] | None:
    """Best prices of both books in the terms of the first, in dollars; None when a side is empty."""
    bid_a, ask_a = first.best()
    bid_b, ask_b = second.best()
    if bid_a is None or ask_a is None or bid_b is None or ask_b is None:
        return None
    if is_inverted:
        bid_b, ask_b = 10_000 - ask_b, 10_000 - bid_b
    return bid_a / 1e4, ask_a / 1e4, bid_b / 1e4, ask_b / 1e4


def _edge(ask: float, bid: float, markets: tuple[CatalogueMarket, CatalogueMarket]) -> float:
    """Dollars per contract left after buying at `ask` and selling at `bid`, with both venues' fees."""
    gross = bid - ask
    if gross <= 0:
        return gross
    return gross - sum(fee_share(market, (ask + bid) / 2) for market in markets)


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which `share` of the values lie; 0 when there are none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
