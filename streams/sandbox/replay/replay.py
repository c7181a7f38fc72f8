"""Plays recorded books: simulated orders are placed and cancelled so that each book equals the recorded one.

On Polymarket a `book` frame is itself how a match is reported: where the recorded book lost only best levels of one
side, a taker's order consumes them, so that the sandbox reports a match too. Other differences are set level by level.
A level that would cross the other side is held back until it no longer does, because a matching engine cannot show a
crossed book; how often that happened, and how many frames there were of each kind, is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from streams.market.book import Book
from streams.market.events import BookSnapshot
from streams.market.identity import MarketRef, Side, Venue
from streams.sandbox.catalogue.catalogue import Catalogue
from streams.sandbox.catalogue.truth import Condition, Fact, Truth
from streams.sandbox.core.identifiers import polymarket_ids
from streams.sandbox.core.model import (
    CancelOrder,
    CatalogueEvent,
    CatalogueMarket,
    ListMarket,
    MarketAction,
    ParticipantFill,
    PlaceOrder,
)
from streams.sandbox.core.profile import Profile
from streams.sandbox.core.scenario import Scenario
from streams.sandbox.replay.recorded_books import Level, RecordedFrame, RecordedMarket, read_recording

REPLAY = "house-replay"
TAKER = "house-replay-taker"


class ReplayFlow:
    """Turns recorded frames into market actions, at the recorded pace or faster.

    Args:
        path: A recording or a folder of recordings.
        speed: Recorded seconds per second.

    Attributes:
        counts: Frames by kind: snapshot, equal, fill, unexplained, change; levels held back or clamped at zero.
    """

    def __init__(self, path: Path, speed: float = 1.0) -> None:
        self._recording = read_recording(path)
        self._speed = speed
        self._source = path.name
        self._position = 0
        self._started_ms: int | None = None
        self._orders = 0
        self._levels: dict[MarketRef, dict[Level, list[list[int]]]] = {}
        self._wanted: dict[MarketRef, dict[Level, int]] = {}
        self._held: dict[MarketRef, set[Level]] = {}
        self.counts: Counter[str] = Counter()

    @property
    def is_finished(self) -> bool:
        """Whether every frame was played."""
        return self._position >= len(self._recording.frames)

    def catalogue(self, now: datetime) -> Catalogue:
        """The recorded markets as a catalogue; all but ids and titles is derived and says so."""
        rows = [_listing(market, now) for market in self._recording.markets.values()]
        facts = {str(market.ref): Fact(str(market.ref), "binary") for _, market in rows}
        conditions = {market.ref: Condition(str(market.ref), True) for _, market in rows}
        events = tuple(event for event, _ in rows)
        return Catalogue(
            events,
            tuple(market for _, market in rows),
            Truth(facts, conditions),
            now.date(),
            f"replay of {self._source}",
        )

    def step(self, now_ms: int, fills: Sequence[ParticipantFill]) -> list[MarketAction]:
        """Return the market actions of all frames due at `now_ms`; the first call lists the markets."""
        actions: list[MarketAction] = []
        if self._started_ms is None:
            self._started_ms = now_ms
            now = datetime.fromtimestamp(now_ms / 1000, UTC)
            actions += [ListMarket(*_listing(market, now)) for market in self._recording.markets.values()]
        self._note_fills(fills, actions)
        frames = self._recording.frames
        first_ms = frames[0].at_ms
        while not self.is_finished:
            frame = frames[self._position]
            if (frame.at_ms - first_ms) / self._speed > now_ms - self._started_ms:
                break
            self._position += 1
            self._play(frame, actions)
        return actions

    # -- frames -----------------------------------------------------------------------------------------------------

    def _play(self, frame: RecordedFrame, actions: list[MarketAction]) -> None:
        wanted = self._wanted.setdefault(frame.ref, {})
        if frame.is_snapshot:
            self._play_snapshot(frame, wanted, actions)
            return
        self.counts["change"] += 1
        for level, size in frame.sizes.items():
            after = wanted.get(level, 0) + size if frame.is_relative else size
            if after < 0:
                self.counts["clamped"] += 1
                after = 0
            _set(wanted, level, after)
        self._reconcile(frame.ref, set(frame.sizes), actions)

    def _play_snapshot(self, frame: RecordedFrame, wanted: dict[Level, int], actions: list[MarketAction]) -> None:
        after = {level: size for level, size in frame.sizes.items() if size > 0}
        kind = "snapshot" if not wanted else _difference(wanted, after)
        self.counts[kind] += 1
        changed = {level for level in wanted.keys() | after.keys() if wanted.get(level) != after.get(level)}
        if kind == "fill" and frame.ref.venue is Venue.POLYMARKET and not self._held.get(frame.ref):
            self._consume(frame.ref, wanted, after, changed, actions)
        self._wanted[frame.ref] = after
        self._reconcile(frame.ref, changed, actions)

    def _consume(
        self,
        ref: MarketRef,
        wanted: dict[Level, int],
        after: dict[Level, int],
        changed: set[Level],
        actions: list[MarketAction],
    ) -> None:
        """Let a taker buy or sell exactly what the recorded book lost."""
        side = next(iter(changed))[0]
        prices = [price for _, price in changed]
        size = sum(wanted[level] - after.get(level, 0) for level in changed)
        limit = max(prices) if side == "ask" else min(prices)
        taker_side: Side = "bid" if side == "ask" else "ask"
        self._orders += 1
        actions.append(PlaceOrder(ref, TAKER, f"x{self._orders}", taker_side, limit, size, is_immediate=True))
        levels = self._levels[ref]
        for level in changed:
            _drop_first(levels, level, wanted[level] - after.get(level, 0))

    # -- simulated orders -------------------------------------------------------------------------------------------

    def _reconcile(self, ref: MarketRef, changed: set[Level], actions: list[MarketAction]) -> None:
        """Make the simulated orders of the changed levels, and of those held back, add up to the wanted sizes."""
        wanted, levels = self._wanted[ref], self._levels.setdefault(ref, {})
        todo = changed | self._held.pop(ref, set())
        for level in sorted(todo):
            self._shrink(ref, levels, level, wanted.get(level, 0), actions)
        held: set[Level] = set()
        best_bid = max((price for side, price in levels if side == "bid"), default=0)
        best_ask = min((price for side, price in levels if side == "ask"), default=10_000)
        for level in sorted(todo):
            missing = wanted.get(level, 0) - sum(size for _, size in levels.get(level, ()))
            if missing <= 0:
                continue
            side, price = level
            if (side == "bid" and price >= best_ask) or (side == "ask" and price <= best_bid):
                held.add(level)
                self.counts["held_back"] += 1
                continue
            self._add(ref, levels, level, missing, actions)
            best_bid, best_ask = (max(best_bid, price), best_ask) if side == "bid" else (best_bid, min(best_ask, price))
        if held:
            self._held[ref] = held

    def _shrink(
        self, ref: MarketRef, levels: dict[Level, list[list[int]]], level: Level, size: int, actions: list[MarketAction]
    ) -> None:
        orders = levels.get(level, [])
        total = sum(order[1] for order in orders)
        while orders and total > size:
            number, last = orders.pop()
            actions.append(CancelOrder(ref, REPLAY, str(number)))
            total -= last
        if not orders:
            levels.pop(level, None)

    def _add(
        self, ref: MarketRef, levels: dict[Level, list[list[int]]], level: Level, size: int, actions: list[MarketAction]
    ) -> None:
        self._orders += 1
        levels.setdefault(level, []).append([self._orders, size])
        actions.append(PlaceOrder(ref, REPLAY, str(self._orders), level[0], level[1], size))

    def _note_fills(self, fills: Sequence[ParticipantFill], actions: list[MarketAction]) -> None:
        """Put back what outside orders took, so that the book stays the recorded one."""
        for fill in fills:
            if fill.account != REPLAY or fill.counterparty_is_house:
                continue
            level: Level = (fill.side, fill.price_e4)
            levels = self._levels.get(fill.market, {})
            kept = [order for order in levels.get(level, []) if str(order[0]) != fill.order_key]
            if fill.remaining_e6 > 0:
                kept.append([int(fill.order_key), fill.remaining_e6])
            if kept:
                levels[level] = kept
            else:
                levels.pop(level, None)
            self._reconcile(fill.market, {level}, actions)

    # -- keeping ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """The state as JSON values."""
        return {
            "started_ms": self._started_ms, "position": self._position, "orders": self._orders,
            "counts": dict(self.counts),
            "levels": [
                [str(ref.venue), ref.market_id, side, price, orders]
                for ref, levels in self._levels.items() for (side, price), orders in levels.items()
            ],
            "wanted": [
                [str(ref.venue), ref.market_id, side, price, size]
                for ref, levels in self._wanted.items() for (side, price), size in levels.items()
            ],
            "held": [
                [str(ref.venue), ref.market_id, side, price] for ref, held in self._held.items() for side, price in held
            ],
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `snapshot` gave, on a flow of the same recording."""
        self._started_ms, self._position, self._orders = state["started_ms"], state["position"], state["orders"]
        self.counts = Counter(state["counts"])
        self._levels, self._wanted, self._held = {}, {}, {}
        for venue, market_id, side, price, orders in state["levels"]:
            self._levels.setdefault(MarketRef(Venue(venue), market_id), {})[side, price] = [list(o) for o in orders]
        for venue, market_id, side, price, size in state["wanted"]:
            self._wanted.setdefault(MarketRef(Venue(venue), market_id), {})[side, price] = size
        for venue, market_id, side, price in state["held"]:
            self._held.setdefault(MarketRef(Venue(venue), market_id), set()).add((side, price))

    def recorded_book(self, ref: MarketRef) -> dict[Level, int]:
        """The recorded sizes of a market after the frames played so far."""
        return dict(self._wanted.get(ref, {}))

    def is_holding_back(self, ref: MarketRef) -> bool:
        """Whether some recorded level of the market waits because it would cross."""
        return bool(self._held.get(ref))

    def follow(self, profile: Profile, scenario: Scenario | None = None) -> None:
        """What was recorded does not depend on any profile or scenario."""

    def drop_orders(self) -> None:
        """Drop what is believed to rest: for an exchange that came back without simulated orders."""
        self._levels.clear()
        for ref, levels in self._wanted.items():
            self._held[ref] = set(levels)


def _set(wanted: dict[Level, int], level: Level, size: int) -> None:
    if size > 0:
        wanted[level] = size
    else:
        wanted.pop(level, None)


def _drop_first(levels: dict[Level, list[list[int]]], level: Level, size: int) -> None:
    """Take `size` from the oldest orders of a level, as a match does."""
    orders = levels.get(level, [])
    while orders and size > 0:
        taken = min(size, orders[0][1])
        orders[0][1] -= taken
        size -= taken
        if orders[0][1] == 0:
            orders.pop(0)
    if not orders:
        levels.pop(level, None)


def _difference(before: dict[Level, int], after: dict[Level, int]) -> str:
    book = Book()
    book.bids = {price: size for (side, price), size in before.items() if side == "bid"}
    book.asks = {price: size for (side, price), size in before.items() if side == "ask"}
    bids = [(price, size) for (side, price), size in after.items() if side == "bid"]
    asks = [(price, size) for (side, price), size in after.items() if side == "ask"]
    return book.differs_by(BookSnapshot(Venue.POLYMARKET, "", bids, asks))


def _listing(market: RecordedMarket, now: datetime) -> tuple[CatalogueEvent, CatalogueMarket]:
    ref = market.ref
    event_id = market.slug or ref.market_id.rsplit("-", 1)[0]
    series = "" if ref.venue is Venue.POLYMARKET else ref.market_id.split("-")[0]
    event = CatalogueEvent(ref.venue, event_id, series, market.title, category="Sports")
    is_polymarket = ref.venue is Venue.POLYMARKET
    step = 10 if market.is_fine else 100
    listed = CatalogueMarket(
        venue=ref.venue, market_id=ref.market_id, event_id=event_id, series_id=series, title=market.title,
        rules="A recorded order book; the sandbox plays it and never settles it.",
        open_time=now - timedelta(days=1), close_time=now + timedelta(days=30), outcomes=market.outcomes,
        category="Sports", price_ranges=((0, 10_000, step),), slug=market.slug,
        gamma_id=polymarket_ids(market.slug).gamma_id if is_polymarket else "", yes_token=market.yes_token,
        no_token=market.no_token, min_size_e6=1 if is_polymarket else 10_000,
        size_step_e6=1 if is_polymarket else 10_000,
        fee_schedule={} if is_polymarket else {"fee_type": "quadratic", "fee_multiplier": "1"},
        derived_fields=("title", "rules", "open_time", "close_time", "fee_schedule", "price_ranges"),
    )  # fmt: skip
    return event, listed
