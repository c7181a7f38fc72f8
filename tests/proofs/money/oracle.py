"""What could have been earned on recorded books: one execution per dislocation, at its best instant. PURE.

Each is sized by the project's own planner on the books of its instant, so fees, clip, limits, cash and floors are those
of trading. Instants are taken in the order of time; cash is back when the markets of a hedge are expected to pay. All
legs are bought at once at the prices that stood there. What was taken of a book is not offered again while the
dislocation it belongs to lasts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from orchestration.execution.decide.gate.selection import is_long
from orchestration.execution.decide.hedge_plan import PlanLeg
from orchestration.execution.decide.plan import Decision, Headroom, PlanPolicy, TradeRequest, decide
from orchestration.execution.decide.risk_checks import Refusal
from orchestration.opportunities.episodes import without
from orchestration.opportunities.returns import days_between
from streams.market.events import BookSnapshot
from streams.market.identity import Venue
from streams.market.limits import LimitValues
from streams.market.trading import TiedUp
from streams.market.units import PRICE_ONE_E4
from tests.proofs.money.dislocations import BundleKey, Dislocation

_GRACE_NS = 1_000_000_000
"""A trade that was decided so long after the end of a dislocation was decided on it: our own fill may have ended it."""

Pots = Mapping[Venue, Mapping[int | None, int]]


@dataclass(frozen=True, slots=True)
class Means:
    """What the oracle trades with: cash by venue and exchange shard at the start, limits, and the planner's numbers."""

    cash_e6: Pots
    limits: LimitValues
    policy: PlanPolicy


@dataclass(frozen=True, slots=True)
class Taking:
    """One execution of the oracle, and when its cash is back (None: not known). Amounts in 1e-6 dollar."""

    dislocation: Dislocation
    request: TradeRequest
    decision: Decision
    at: datetime
    back_at: datetime | None

    @property
    def profit_e6(self) -> int:
        """What it locks."""
        return self.decision.edge.profit_e6

    @property
    def spent_e6(self) -> int:
        """What its legs cost, fees in."""
        return sum(self.leg_spent_e6)

    @property
    def leg_spent_e6(self) -> tuple[int, ...]:
        """What each leg cost, in the order of the plan."""
        return tuple(taken.spent_e6 for taken in self.decision.edge.legs)

    @property
    def legs(self) -> Iterator[tuple[PlanLeg, int]]:
        """Each leg of the plan with what it cost."""
        return zip(self.decision.plan.legs, self.leg_spent_e6, strict=True)


@dataclass(frozen=True, slots=True)
class Missed:
    """A dislocation that the oracle may not take, and why."""

    dislocation: Dislocation
    refusal: Refusal


def take_all(
    dislocations: Sequence[Dislocation], requests: Mapping[BundleKey, TradeRequest], means: Means
) -> tuple[list[Taking], list[Missed]]:
    """Return what the oracle takes, in the order of time, and what it may not take.

    Args:
        dislocations: In any order; those without an instant that counts are left out.
        requests: What each bundle asks for.
        means: Cash, limits and floors.
    """
    account = _Account(means)
    missed = []
    for found in sorted((each for each in dislocations if each.best_ns is not None), key=_instant):
        refusal = account.take(found, requests[found.key])
        if refusal is not None:
            missed.append(Missed(found, refusal))
    return account.takings, missed


class _Account:
    """Cash and what is tied up, as the oracle's executions leave them."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._cash = {venue: dict(pots) for venue, pots in means.cash_e6.items()}
        self._open: list[Taking] = []
        self.takings: list[Taking] = []

    def take(self, found: Dislocation, request: TradeRequest) -> Refusal | None:
        """Execute a dislocation; returns why it may not be."""
        at = _at(_instant(found))
        self._release(at)
        books = {market: self._left(found, book, request) for market, book in found.books.items()}
        decision = decide(request, books, self._headroom(request, at))
        if isinstance(decision, Refusal):
            return decision
        taking = Taking(found, request, decision, at, request.cash_back_at)
        for leg, spent in taking.legs:
            self._pot(leg, request)[self._shard(leg, request)] -= spent
        self._open.append(taking)
        self.takings.append(taking)
        return None

    def _release(self, now: datetime) -> None:
        """Give back what was spent on hedges whose markets have paid, and what they earned."""
        held, self._open = self._open, []
        for taking in held:
            if taking.back_at is None or taking.back_at > now:
                self._open.append(taking)
                continue
            for number, (leg, spent) in enumerate(taking.legs):
                gain = taking.profit_e6 if number == 0 else 0
                self._pot(leg, taking.request)[self._shard(leg, taking.request)] += spent + gain

    def _left(self, found: Dislocation, book: BookSnapshot, request: TradeRequest) -> BookSnapshot:
        """Return a book without what was taken of it in dislocations that still last."""
        key = f"{book.venue}:{book.market_id}"
        taken: dict[str, int] = defaultdict(int)
        for other in self.takings:
            if other.dislocation.closed_ns >= _instant(found):
                for leg in other.decision.plan.legs:
                    taken[leg.outcome] += other.decision.plan.size_e6 if leg.market_key == key else 0
        return replace(
            book,
            asks=without(book.asks, taken["yes"]),
            bids=_flipped(without(_flipped(book.bids), taken["no"])),
        )

    def _headroom(self, request: TradeRequest, now: datetime) -> Headroom:
        venues = {target.venue for target in request.targets.values()}
        return Headroom(
            limits=self._means.limits,
            used=self._tied_up(),
            cash_e6={venue: self._cash.get(venue, {}) for venue in sorted(venues)},
            policy=self._means.policy,
            now=now,
            long_e6=sum(taking.spent_e6 for taking in self._open if self._is_long(taking, now)),
        )

    def _is_long(self, taking: Taking, now: datetime) -> bool:
        back = taking.back_at
        return is_long(None if back is None else days_between(now, back), self._means.policy.worth)

    def _tied_up(self) -> TiedUp:
        by_market: dict[tuple[str, str], int] = defaultdict(int)
        by_group: dict[str, int] = defaultdict(int)
        by_event: dict[tuple[str, str], int] = defaultdict(int)
        by_venue: dict[str, int] = defaultdict(int)
        for taking in self._open:
            by_group[taking.request.group_id] += taking.spent_e6
            for leg, spent in taking.legs:
                by_market[leg.venue.value, leg.market_id] += spent
                by_event[leg.venue.value, taking.request.events.get(leg.market_key, "")] += spent
                by_venue[leg.venue.value] += spent
        return TiedUp(by_market, by_group, by_event, by_venue, sum(by_venue.values()), 0)

    def _pot(self, leg: PlanLeg, request: TradeRequest) -> dict[int | None, int]:
        return self._cash.setdefault(leg.venue, {self._shard(leg, request): 0})

    def _shard(self, leg: PlanLeg, request: TradeRequest) -> int | None:
        """The pot that pays for a market; the one with the least in it where its shard is not known, as in planning."""
        pots = self._cash.get(leg.venue, {})
        if None in pots or not pots:
            return None
        shard = request.targets[leg.market_key].terms.exchange_index
        return min(pots, key=lambda own: pots[own]) if shard is None else shard


@dataclass(frozen=True, slots=True)
class Capture:
    """Our result beside the oracle's, dislocation by dislocation (1e-6 dollar).

    Attributes:
        ours_e6: Of all our trades.
        oracle_e6: Of all the oracle's executions.
        met_e6: The oracle's, of dislocations in which we have bought something; `met`: how many.
        met_ours_e6: Ours in those.
        missed: The oracle's executions where we bought nothing.
    """

    ours_e6: int
    oracle_e6: int
    met: int
    met_e6: int
    met_ours_e6: int
    missed: tuple[Taking, ...]

    @property
    def share(self) -> Decimal | None:
        """Ours over the oracle's; None where there was nothing to take."""
        return Decimal(self.ours_e6) / self.oracle_e6 if self.oracle_e6 > 0 else None


def capture(takings: Sequence[Taking], ours: Sequence[tuple[BundleKey, int, int]]) -> Capture:
    """Compare the oracle's executions with our trades.

    Args:
        takings: The oracle's.
        ours: (bundle, when it was decided in nanoseconds, result in 1e-6 dollar) of each trade that bought anything.
    """
    met, met_e6, met_ours, missed = 0, 0, 0, []
    for taking in takings:
        own = [result for key, at, result in ours if key == taking.dislocation.key and _is_within(at, taking)]
        if own:
            met, met_e6, met_ours = met + 1, met_e6 + taking.profit_e6, met_ours + sum(own)
        else:
            missed.append(taking)
    total = sum(taking.profit_e6 for taking in takings)
    return Capture(sum(result for _, _, result in ours), total, met, met_e6, met_ours, tuple(missed))


def _is_within(at_ns: int, taking: Taking) -> bool:
    return taking.dislocation.opened_ns <= at_ns <= taking.dislocation.closed_ns + _GRACE_NS


def _instant(found: Dislocation) -> int:
    assert found.best_ns is not None
    return found.best_ns


def _at(ns: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=ns // 1_000)


def _flipped(levels: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(PRICE_ONE_E4 - price, size) for price, size in levels]
