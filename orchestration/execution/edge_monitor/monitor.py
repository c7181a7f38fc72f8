"""The edge monitor: an observer in the recording run that turns quotes into signals.

A quote only marks the bundles it touches; each tick evaluates marked bundles within a budget of time: first a test on
the best prices and unrounded fees, which needs no sorting and ends most of them, then a walk over the books. SQL
happens in a writer thread behind a bounded queue, so that recording never waits for it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import psycopg

from orchestration.execution.edge_monitor.own_orders import load_own_orders
from orchestration.execution.edge_monitor.priors import leg_priors, stress_priors
from orchestration.execution.edge_monitor.watchlist import WatchedBundle, Watchlist, WatchlistLoader
from orchestration.opportunities.edges import Edge, Offer, may_earn, walk
from orchestration.opportunities.episodes import Episode, Level, OwnOrder, Waits, taken_of, unseen_e6, without
from orchestration.opportunities.returns import annualised_return, days_between
from orchestration.opportunities.worth import Worth, stress_cases, worth_of
from streams.logs import get_logger
from streams.market.book import Book
from streams.market.events import Levels, Quote
from streams.market.identity import MarketRef, Outcome, market_key
from streams.market.trading import SignalLeg
from streams.market.units import CASH_SCALE, PRICE_SCALE
from streams.settings import Settings
from streams.storage.database import ROW_REFUSED, Connection, connect
from streams.storage.outages import may_be_repeated
from streams.storage.store import signals
from streams.storage.store.signals import NewSignal

SignalKey = tuple[str, str]

DEPTH = 12
_BUDGET_NS = 15_000_000
_RELOAD_S = 3.0
_ORDERS_S = 0.25
_UPDATE_NS = 1_000_000_000
_CONFIRM_NS = 5_000_000_000
_QUEUE_SIZE = 2_000
_PAUSE_S = 1.0


@dataclass(slots=True)
class _Running:
    """An opportunity above the entry level (waiting) or an open signal."""

    episode: Episode
    open_edge: Decimal
    peak: Decimal
    is_tradable: bool
    written_edge: Decimal = Decimal(0)
    updated_ns: int = 0


@dataclass(frozen=True, slots=True)
class _Write:
    """One thing for the writer: `kind` is open, update, peak or close."""

    kind: str
    key: SignalKey
    at: datetime
    edge_usd: Decimal | None = None
    signal: NewSignal | None = None
    reason: str = ""


class EdgeMonitor:
    """Watches the books of one shard. Implements `streams.recorder.observer.Observer`.

    Attributes:
        evaluations: Bundles evaluated.
        walks: Walks over the books: evaluations that the best prices did not end.
        dropped: Writes lost because the queue was full; their signals are forgotten and seen anew.
    """

    def __init__(self, settings: Settings, dsn: str, shard: int) -> None:
        self._settings = settings
        self._entry = settings.signal_entry_edge_usd
        self._exit = settings.signal_exit_edge_usd
        self._exit_e4 = int(settings.signal_exit_edge_usd * PRICE_SCALE)
        self._least_profit_e6 = int(settings.signal_min_profit_usd * CASH_SCALE)
        self._priors, self._leg_gap = stress_priors(settings), leg_priors(settings).gap_usd
        self._waits = Waits(
            settings.signal_min_duration_ms * 1_000_000,
            settings.signal_disarm_ms * 1_000_000,
            settings.feed_lag_max_ms * 1_000_000,
        )
        self._watchlist = Watchlist()
        self._next_watchlist: Watchlist | None = None
        self._must_begin_anew = False
        self._books: dict[str, Book] = {}
        self._quoted_ns: dict[str, int] = {}
        self._orders: Sequence[OwnOrder] = ()
        self._next_orders: Mapping[SignalKey, Sequence[OwnOrder]] | None = None
        self._dirty: dict[SignalKey, None] = {}
        self._running: dict[SignalKey, _Running] = {}
        self.evaluations = 0
        self.walks = 0
        self.dropped = 0
        self._writer = _Writer(dsn, shard, settings, self)
        self._writer.start()

    # -- the recorder's thread -----------------------------------------------------------------------------------------

    @property
    def watches(self) -> int:
        """How many bundles are watched now."""
        return len(self._watchlist.watched)

    def on_quote(self, quote: Quote, book: Book) -> None:
        """Keep which book is the market's and mark what it touches."""
        market = market_key(quote.venue, quote.market_id)
        if quote.is_live:
            self._books[market], self._quoted_ns[market] = book, quote.received_ns
        else:
            self._books.pop(market, None)
            self._quoted_ns.pop(market, None)
        for key in self._watchlist.by_market.get(market, ()):
            self._dirty[key] = None

    def on_tick(self, now_ns: int) -> None:
        """Evaluate what is marked, and what waits or is open, within the budget."""
        self._take_watchlist()
        self._take_orders()
        for key, running in self._running.items():
            # The edge of an open signal moves with quotes alone; one that waits, or whose edge is gone for a moment,
            # is looked at each time.
            is_quiet = running.episode.is_open and running.episode.below_ns is None
            if not is_quiet or now_ns - running.updated_ns >= _UPDATE_NS:
                self._dirty[key] = None
        end = time.perf_counter_ns() + _BUDGET_NS
        while self._dirty and time.perf_counter_ns() < end:
            key = next(iter(self._dirty))
            del self._dirty[key]
            watched = self._watchlist.watched.get(key)
            if watched is None:
                self._end(key, now_ns, "group_ended", None)
            else:
                self._evaluate(watched, now_ns)

    def close(self) -> None:
        """End all signals: nobody watches them any more."""
        now_ns = time.time_ns()
        for key in list(self._running):
            self._end(key, now_ns, "monitor_stopped", None)
        self._writer.stop()

    def replace_watchlist(self, watchlist: Watchlist) -> None:
        """Hand over a new watchlist from another thread; the next tick takes it."""
        self._next_watchlist = watchlist

    def replace_orders(self, orders: Mapping[SignalKey, Sequence[OwnOrder]]) -> None:
        """Hand over our orders on the open signals, from another thread; the next tick takes them."""
        self._next_orders = orders

    def begin_anew(self) -> None:
        """Forget what is open, from another thread: its rows were closed. The next tick does it."""
        self._must_begin_anew = True

    def _take_watchlist(self) -> None:
        if self._must_begin_anew:
            self._must_begin_anew = False
            self._dirty |= dict.fromkeys(self._running)
            self._running.clear()
        watchlist, self._next_watchlist = self._next_watchlist, None
        if watchlist is None:
            return
        for key in watchlist.watched:
            if key not in self._watchlist.watched:
                self._dirty[key] = None
        self._watchlist = watchlist

    def _take_orders(self) -> None:
        found, self._next_orders = self._next_orders, None
        if found is None:
            return
        self._orders = [order for orders in found.values() for order in orders]
        for key, orders in found.items():
            running = self._running.get(key)
            if running is not None and running.episode.is_open:
                running.episode.taken, running.episode.last_fill_ns = taken_of(orders)
                self._dirty[key] = None

    def _evaluate(self, watched: WatchedBundle, now_ns: int) -> None:
        self.evaluations += 1
        tops = []
        top = payoff = watched.bundle.payoff_e4
        for (market, outcome), rules in zip(watched.bundle.legs, watched.rules, strict=True):
            book = self._books.get(market)
            if book is None or book.is_crossed:
                self._see(watched, "unknown", None, None, now_ns)
                return
            price, size = best_offer(book, outcome)
            top -= price
            tops.append((price, size, rules.fees))
        if top <= self._exit_e4:
            self._see(watched, "below", None, Decimal(top).scaleb(-4), now_ns)
            return
        edge = self._walk(watched) if may_earn(tops, payoff, self._exit_e4) else None
        if edge is None or edge.best_edge_usd < self._exit:
            self._see(watched, "below", None, None if edge is None else edge.best_edge_usd, now_ns)
            return
        is_enough = edge.best_edge_usd >= self._entry and edge.profit_e6 >= self._least_profit_e6
        self._see(watched, "entry" if is_enough else "held", edge, edge.best_edge_usd, now_ns)

    def _walk(self, watched: WatchedBundle) -> Edge | None:
        self.walks += 1
        offers = []
        for (market, outcome), rules in zip(watched.bundle.legs, watched.rules, strict=True):
            levels: Levels = self._books[market].offers(outcome)[:DEPTH]
            if self._orders:
                shown = self._quoted_ns.get(market, 0) - self._waits.lag_ns
                levels = without(levels, unseen_e6(self._orders, market, outcome, shown))
            offers.append(Offer("", levels, rules.fees, rules.size_step_e6, rules.min_size_e6, rules.min_notional_e6))
        return walk(offers, watched.bundle.payoff_e4, threshold_e4=self._exit_e4)

    def _see(
        self, watched: WatchedBundle, level: Level, edge: Edge | None, edge_usd: Decimal | None, now_ns: int
    ) -> None:
        """Let the episode of a bundle take in its edge, and write what follows; an edge that is enough begins one."""
        key = watched.key
        running = self._running.get(key)
        if running is None:
            if level == "entry" and edge is not None:
                usd = edge.best_edge_usd
                self._running[key] = _Running(Episode(now_ns), usd, usd, watched.is_tradable)
            return
        if running.is_tradable != watched.is_tradable:
            # A decision on the group begins a new signal, which may be traded or not from its start.
            self._end(key, now_ns, "decision_changed", edge_usd)
            return
        quoted = [self._quoted_ns.get(market, 0) for market, _ in watched.bundle.legs]
        episode = running.episode
        step = episode.see(level, now_ns, quoted, self._waits)
        if step == "close":
            reason = "stale" if level == "unknown" else "edge_below_exit"
            self._end(key, episode.below_ns or now_ns, reason, edge_usd)
        elif step == "taken":
            self._end(key, now_ns, "taken", edge_usd)
        elif step == "dip" and edge_usd is not None:
            running.updated_ns, running.written_edge = now_ns, edge_usd
            self._put(_Write("update", key, _time(now_ns), edge_usd))
        elif step == "open" and edge is not None:
            running.open_edge = running.peak = edge.best_edge_usd
            self._write_edge("open", watched, edge, now_ns)
        elif step == "held" and edge is not None:
            self._follow(watched, running, edge, now_ns)

    def _follow(self, watched: WatchedBundle, running: _Running, edge: Edge, now_ns: int) -> None:
        """Keep the peak of an open signal and its present edge."""
        usd = edge.best_edge_usd
        if usd > running.peak:
            running.peak = usd
            self._write_edge("peak", watched, edge, now_ns)
        elif now_ns - running.updated_ns >= (_UPDATE_NS if usd != running.written_edge else _CONFIRM_NS):
            self._write_edge("update", watched, edge, now_ns)

    def _write_edge(self, kind: str, watched: WatchedBundle, edge: Edge, now_ns: int) -> None:
        running = self._running[watched.key]
        running.updated_ns, running.written_edge = now_ns, edge.best_edge_usd
        signal = None
        if kind != "update":
            signal = _new_signal(watched, edge, running, now_ns, self._worth(watched, edge, now_ns))
        self._put(_Write(kind, watched.key, _time(now_ns), edge.best_edge_usd, signal))

    def _worth(self, watched: WatchedBundle, edge: Edge, now_ns: int) -> Worth:
        """Return what a bundle is worth at an edge, before anything of its legs' gap is measured."""
        stress = stress_cases(watched.bundle.legs, watched.cases, self._priors, watched.categories)
        return worth_of(edge, stress, self._leg_gap, _time(now_ns), watched.cash_back_at)

    def _end(self, key: SignalKey, now_ns: int, reason: str, edge_usd: Decimal | None) -> None:
        running = self._running.pop(key, None)
        if running is not None and running.episode.is_open:
            self._put(_Write("close", key, _time(now_ns), edge_usd, None, reason))

    def _put(self, write: _Write) -> None:
        try:
            self._writer.queue.put_nowait(write)
        except queue.Full:
            self.dropped += 1
            self._running.pop(write.key, None)


class _Writer(threading.Thread):
    """Owns the connection: loads groups every few seconds and writes signals in order."""

    def __init__(self, dsn: str, shard: int, settings: Settings, monitor: EdgeMonitor) -> None:
        super().__init__(name="edge-monitor-writer", daemon=True)
        self.queue: queue.Queue[_Write | None] = queue.Queue(_QUEUE_SIZE)
        self._dsn, self._shard, self._environment = dsn, shard, settings.venues
        self._monitor = monitor
        self._loader = WatchlistLoader(needs_approval=settings.needs_approval, max_legs=settings.most_legs)
        self._ids: dict[SignalKey, int] = {}
        self._log = get_logger()

    def stop(self) -> None:
        """Write what is queued and end."""
        self.queue.put(None)
        self.join(timeout=10)

    def run(self) -> None:
        """Work until stopped; after a failure of any kind all begins anew, on another connection.

        Signals that were open are then closed as unwatched, and opened again where their edge is still there.
        """
        while True:
            try:
                with connect(self._dsn, application="crossbook-edge-monitor") as connection:
                    signals.close_orphans(connection, self._shard, datetime.now(UTC))
                    self._ids.clear()
                    self._monitor.begin_anew()
                    if self._work(connection):
                        return
            except Exception as error:  # without this thread nobody would ever see a signal again
                if isinstance(error, psycopg.Error) and may_be_repeated(error):
                    self._log.warning("the edge monitor lost its database", error=str(error))
                else:
                    self._log.error("the edge monitor failed", error=f"{type(error).__name__}: {error}", exc_info=error)
                time.sleep(_PAUSE_S)

    def _work(self, connection: Connection) -> bool:
        reload_at = orders_at = 0.0
        while True:
            if time.monotonic() >= reload_at:
                self._monitor.replace_watchlist(self._loader.load(connection))
                reload_at = time.monotonic() + _RELOAD_S
            if time.monotonic() >= orders_at:
                self._monitor.replace_orders(load_own_orders(connection, self._ids))
                orders_at = time.monotonic() + _ORDERS_S
            try:
                write = self.queue.get(timeout=max(0.01, min(reload_at, orders_at) - time.monotonic()))
            except queue.Empty:
                continue
            if write is None:
                return True
            try:
                self._write(connection, write)
            except ROW_REFUSED as error:
                self._log.error("a signal cannot be written", signal=write.key, error=str(error))

    def _write(self, connection: Connection, write: _Write) -> None:
        if write.kind == "open" and write.signal is not None:
            signal_id = signals.open_signal(connection, write.signal, self._shard, self._environment)
            if signal_id is not None:
                self._ids[write.key] = signal_id
            return
        known = self._ids.get(write.key)
        if known is None:
            return
        if write.kind == "close":
            signals.close_signal(connection, known, write.reason, write.at, write.edge_usd)
            del self._ids[write.key]
        elif write.edge_usd is not None:
            signals.update_signal(connection, known, write.edge_usd, write.signal, write.at)


def best_offer(book: Book, outcome: Outcome) -> tuple[int, int]:
    """Return the cheapest (price_e4, size_e6) an outcome is offered at; a dollar where nobody offers."""
    if outcome == "yes":
        price = book.best_ask
        return (PRICE_SCALE, 0) if price is None else (price, book.asks[price])
    price = book.best_bid
    return (PRICE_SCALE, 0) if price is None else (PRICE_SCALE - price, book.bids[price])


def _new_signal(watched: WatchedBundle, edge: Edge, running: _Running, now_ns: int, worth: Worth) -> NewSignal:
    at = _time(now_ns)
    annual = None
    if watched.cash_back_at is not None:
        annual = annualised_return(edge.profit_e6, edge.cost_e6 + edge.fee_e6, days_between(at, watched.cash_back_at))
    legs = tuple(
        SignalLeg(*MarketRef.from_key(market), outcome, taken.limit_price_e4, taken.size_e6)
        for (market, outcome), taken in zip(watched.bundle.legs, edge.legs, strict=True)
    )
    return NewSignal(
        group_id=watched.group_id,
        leg_set=watched.bundle.leg_set,
        is_tradable=watched.is_tradable,
        at=at,
        open_edge_usd=running.open_edge,
        edge_usd=edge.best_edge_usd,
        peak_edge_usd=running.peak,
        contracts_e6=edge.size_e6,
        cost_e6=edge.cost_e6,
        fee_e6=edge.fee_e6,
        profit_e6=edge.profit_e6,
        annualised_return=annual,
        expected_per_day=worth.per_capital_day,
        legs=legs,
    )


def _time(now_ns: int) -> datetime:
    return datetime.fromtimestamp(now_ns / 1e9, tz=UTC)
