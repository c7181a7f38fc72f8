"""Dislocations of recorded books, and the best instant of each that was still there after our latency. PURE.

A dislocation is what the edge monitor calls an episode: the edge of one bundle reaches the entry level, and is gone for
the disarm time. It is looked at on every quote of its books and ten times a second. The books of the instant at which
the clip would have earned most are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from orchestration.execution.edge_monitor.monitor import DEPTH, best_offer
from orchestration.execution.edge_monitor.watchlist import Rules
from orchestration.opportunities.bundles import Bundle
from orchestration.opportunities.edges import Edge, Offer, may_earn, walk
from orchestration.opportunities.episodes import Episode, Level, Waits
from streams.market.book import Book
from streams.market.events import BookSnapshot, Quote
from streams.market.identity import MarketRef, market_key
from streams.market.units import PRICE_SCALE

_LOOK_NS = 100_000_000

BundleKey = tuple[str, str]
"""(group, leg set)."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A bundle that might be traded between two moments (wall clock, nanoseconds); `rules` in the order of its legs."""

    key: BundleKey
    bundle: Bundle
    rules: tuple[Rules, ...]
    from_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class Search:
    """What a dislocation is, and which instants of it count.

    Attributes:
        entry_usd / exit_usd: Net edge per contract that opens one, and below which it is gone.
        least_profit_e6: Least profit of the clip (1e-6 dollar).
        clip_e6: Most contracts of one execution.
        most_edge_usd: An edge above it waits for a person: such an instant does not count.
        latency_ns: From the opening to the first instant that counts.
        disarm_ns: How long the edge must be gone.
    """

    entry_usd: Decimal
    exit_usd: Decimal
    least_profit_e6: int
    clip_e6: int
    most_edge_usd: Decimal
    latency_ns: int
    disarm_ns: int


@dataclass(slots=True)
class Dislocation:
    """One dislocation; `best_ns` None: no instant of it counted. `books` are those of the best instant, by market."""

    key: BundleKey
    opened_ns: int
    closed_ns: int = 0
    best_ns: int | None = None
    profit_e6: int = 0
    books: Mapping[str, BookSnapshot] = field(default_factory=dict)


@dataclass(slots=True)
class _Running:
    episode: Episode
    found: Dislocation


class DislocationFinder:
    """Watches books as they are recorded. Implements `streams.recorder.observer.Observer`.

    Attributes:
        found: The dislocations that are over, in the order of their ends.
    """

    def __init__(self, watched: Sequence[Watched], search: Search) -> None:
        self._watched = {each.key: each for each in watched}
        self._by_market: dict[str, list[BundleKey]] = {}
        for each in watched:
            for market, _ in each.bundle.legs:
                self._by_market.setdefault(market, []).append(each.key)
        self._search = search
        self._exit_e4 = int(search.exit_usd * PRICE_SCALE)
        self._waits = Waits(0, search.disarm_ns, 0)
        self._books: dict[str, Book] = {}
        self._running: dict[BundleKey, _Running] = {}
        self._now_ns = 0
        self.found: list[Dislocation] = []

    def on_quote(self, quote: Quote, book: Book) -> None:
        """Take a market's book in and look at the bundles that it is part of."""
        market = market_key(quote.venue, quote.market_id)
        if quote.is_live:
            self._books[market] = book
        else:
            self._books.pop(market, None)
        for key in self._by_market.get(market, ()):
            self._look(self._watched[key], quote.received_ns)

    def on_tick(self, now_ns: int) -> None:
        """Look at what is dislocated, ten times a second: time alone makes an instant count, or ends one."""
        if now_ns < self._now_ns + _LOOK_NS:
            return
        self._now_ns = now_ns
        for key in list(self._running):
            self._look(self._watched[key], now_ns)

    def lose_books(self) -> None:
        """Forget all books: the recorder has begun anew."""
        self._books.clear()

    def close(self) -> None:
        """End what is dislocated: the recording is over."""
        for running in self._running.values():
            self._end(running, self._now_ns)
        self._running.clear()

    def _look(self, watched: Watched, now_ns: int) -> None:
        running = self._running.get(watched.key)
        if not watched.from_ns <= now_ns < watched.until_ns:
            if running is not None:
                self._end(self._running.pop(watched.key), now_ns)
            return
        level, edge = self._level(watched)
        if running is None:
            if level != "entry":
                return
            running = _Running(Episode(now_ns), Dislocation(watched.key, now_ns))
            self._running[watched.key] = running
        if running.episode.see(level, now_ns, (), self._waits) == "close":
            self._end(self._running.pop(watched.key), running.episode.below_ns or now_ns)
        elif edge is not None:
            self._note(watched, running.found, edge, now_ns)

    def _end(self, running: _Running, now_ns: int) -> None:
        running.found.closed_ns = now_ns
        self.found.append(running.found)

    def _level(self, watched: Watched) -> tuple[Level, Edge | None]:
        books = [self._books.get(market) for market, _ in watched.bundle.legs]
        if any(book is None or book.is_crossed for book in books):
            return "unknown", None
        payoff, tops, offers = watched.bundle.payoff_e4, [], []
        for book, (_, outcome), rules in zip(books, watched.bundle.legs, watched.rules, strict=True):
            assert book is not None
            price, size = best_offer(book, outcome)
            tops.append((price, size, rules.fees))
        if payoff - sum(price for price, _, _ in tops) <= self._exit_e4 or not may_earn(tops, payoff, self._exit_e4):
            return "below", None
        for book, (_, outcome), rules in zip(books, watched.bundle.legs, watched.rules, strict=True):
            assert book is not None
            minimums = (rules.size_step_e6, rules.min_size_e6, rules.min_notional_e6)
            offers.append(Offer("", book.offers(outcome)[:DEPTH], rules.fees, *minimums))
        edge = walk(offers, payoff, threshold_e4=self._exit_e4, max_size_e6=self._search.clip_e6)
        if edge is None or edge.best_edge_usd < self._search.exit_usd:
            return "below", None
        is_enough = edge.best_edge_usd >= self._search.entry_usd and edge.profit_e6 >= self._search.least_profit_e6
        return ("entry" if is_enough else "held"), edge

    def _note(self, watched: Watched, found: Dislocation, edge: Edge, now_ns: int) -> None:
        """Keep the books of an instant that counts and is better than all before it."""
        is_late_enough = now_ns >= found.opened_ns + self._search.latency_ns
        if not is_late_enough or edge.profit_e6 <= found.profit_e6 or edge.best_edge_usd > self._search.most_edge_usd:
            return
        found.best_ns, found.profit_e6 = now_ns, edge.profit_e6
        found.books = {market: _snapshot(market, self._books[market]) for market, _ in watched.bundle.legs}


def _snapshot(market: str, book: Book) -> BookSnapshot:
    ref = MarketRef.from_key(market)
    return BookSnapshot(ref.venue, ref.market_id, book.bid_levels()[:DEPTH], book.ask_levels()[:DEPTH])
