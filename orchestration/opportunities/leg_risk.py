"""What the legs of a hedge are expected to cost beyond its plan, sent at once and one after the other. PURE.

One after the other, a first leg that does not fill costs nothing, and makers may step back from the others while it is
out. At once nobody has seen a leg of ours yet, and one that does not fill leaves the others to be mended. Which is
cheaper depends on how sure each leg is and on how often and how far its makers step back; our own fills say so, mixed
with priors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from math import prod
from statistics import median_low
from typing import Protocol

from streams.market.documents import JsonDocument

LONGEST_DELAY_MS = 1_000
"""A market that holds orders back for so long is never traded at once with another."""
_ONE = Decimal(1)
_STEP = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class LegPriors:
    """What is assumed of a market until orders of our own have shown it.

    Attributes:
        fills: Share of the contracts of an order on the books it was decided on that fill as planned.
        fades: Share of what would fill that is gone once another leg was bought first.
        fade_usd: What a contract that did not fill as planned costs more afterwards, dollars.
        weight_e6: Contracts of our own that weigh as much as these.
    """

    fills: Decimal
    fades: Decimal
    fade_usd: Decimal
    weight_e6: int

    @property
    def gap_usd(self) -> Decimal:
        """Expected cost of the time between the legs, dollars a contract."""
        return self.fades * self.fade_usd


class LegRecord(Protocol):
    """What orders of our own have shown on one market; amounts in 1e-6."""

    @property
    def first_asked_e6(self) -> int:
        """Contracts of orders that left before any other of their hedge was answered."""

    @property
    def first_filled_e6(self) -> int:
        """How many of those filled as planned."""

    @property
    def later_asked_e6(self) -> int:
        """Contracts of orders that left after another leg had been bought."""

    @property
    def later_filled_e6(self) -> int:
        """How many of those filled as planned."""

    @property
    def shortfall_e6(self) -> int:
        """Dollars by which hedges fell short of their plans, as far as they were bought; negative: came better."""


@dataclass(frozen=True, slots=True)
class LegOdds:
    """What an order on one market is expected to do.

    Attributes:
        fills: Share of it that fills as planned, 0 to 1.
        fades: Share of that which is gone once another leg was bought first, 0 to 1.
        fade_usd: What a contract that did not fill is assumed to cost more afterwards, dollars.
        weight_e6: Contracts that weigh as much as that assumption.
        missed_e6 / shortfall_e6: Contracts of our own that did not fill as planned, and what that has cost, mended in
            whichever way was the cheapest then.
        match_ms: From its leaving to its match.
        delay_ms: How long the market holds it back of that; None where it is not known.
    """

    fills: Decimal
    fades: Decimal
    fade_usd: Decimal
    weight_e6: int = 1
    missed_e6: int = 0
    shortfall_e6: int = 0
    match_ms: int = 0
    delay_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """How the legs of a hedge are sent, and what was compared for it.

    Attributes:
        is_at_once: All of them, before any answer is there; else one after the other.
        at_once_usd / in_turn_usd: Expected cost of both ways, dollars a contract of the hedge.
        holds_ms: By leg, how long its order is held back after the first has left, so that all match together.
        why: What keeps them from being sent at once, empty where nothing does.
    """

    is_at_once: bool
    at_once_usd: Decimal
    in_turn_usd: Decimal
    holds_ms: tuple[int, ...] = ()
    why: str = ""

    @property
    def cost_usd(self) -> Decimal:
        """Expected cost of the way that is taken, dollars a contract."""
        return self.at_once_usd if self.is_at_once else self.in_turn_usd

    def to_json(self) -> JsonDocument:
        """Return it as it is kept beside a plan; decimals as strings."""
        return {
            "is_at_once": self.is_at_once,
            "at_once_usd": f"{self.at_once_usd:f}",
            "in_turn_usd": f"{self.in_turn_usd:f}",
            "holds_ms": list(self.holds_ms),
            "why": self.why,
        }


def leg_odds(priors: LegPriors, record: LegRecord, match_ms: int, delay_ms: int | None) -> LegOdds:
    """Return what is expected of an order on a market: what was measured there, mixed with the priors by contracts.

    Args:
        priors: What is assumed.
        record: What was measured.
        match_ms: From leaving to match.
        delay_ms: The market's own part of that; None where it is not known.
    """
    weight = priors.weight_e6
    fills = (priors.fills * weight + record.first_filled_e6) / (weight + record.first_asked_e6)
    stay = priors.fills * (_ONE - priors.fades)
    later = (stay * weight + record.later_filled_e6) / (weight + record.later_asked_e6)
    missed_e6 = record.first_asked_e6 - record.first_filled_e6 + record.later_asked_e6 - record.later_filled_e6
    return LegOdds(
        fills=_rounded(fills),
        fades=_rounded(_ONE - min(later / fills, _ONE) if fills else _ONE),
        fade_usd=priors.fade_usd,
        weight_e6=weight,
        missed_e6=missed_e6,
        shortfall_e6=max(record.shortfall_e6, 0),
        match_ms=match_ms,
        delay_ms=delay_ms,
    )


def match_ms(round_trips_ms: Sequence[int], delay_ms: int | None) -> int:
    """Return how long an order takes to its match: half of a round trip, and what the market holds it back.

    Args:
        round_trips_ms: Of orders on its venue, what their markets held them back already taken off.
        delay_ms: What its own market holds it back.
    """
    return (median_low(round_trips_ms) // 2 if round_trips_ms else 0) + (delay_ms or 0)


def sending_of(odds: Sequence[LegOdds], exits_usd: Sequence[Decimal | None], longest_hold_ms: int) -> Sending:
    """Return how to send the legs of a hedge, in the order in which they would be sent in turn.

    Args:
        odds: Of each leg.
        exits_usd: What it costs to sell a contract of each leg again now, fees in, dollars; None: nobody buys it.
        longest_hold_ms: Longest an order may be held back.
    """
    in_turn, at_once = _in_turn_usd(odds, exits_usd), _at_once_usd(odds, exits_usd)
    slowest = max(leg.match_ms for leg in odds)
    holds = tuple(slowest - leg.match_ms for leg in odds)
    why = _obstacle(odds, holds, longest_hold_ms)
    if not why and at_once >= in_turn:
        why = "it is expected to cost as much or more"
    return Sending(not why, at_once, in_turn, () if why else holds, why)


def kept_in_turn(sending: Sending, why: str) -> Sending:
    """Return the same hedge sent one leg after the other."""
    return Sending(False, sending.at_once_usd, sending.in_turn_usd, (), why)


def sureness(odds: LegOdds) -> Decimal:
    """Return how sure a leg is, to one in twenty: smaller differences say nothing. The least sure is sent first."""
    return (odds.fills * 20).to_integral_value(ROUND_HALF_EVEN) / 20


def _obstacle(odds: Sequence[LegOdds], holds: Sequence[int], longest_hold_ms: int) -> str:
    if any(leg.delay_ms is None for leg in odds):
        return "how long a market holds orders back is not known"
    if any((leg.delay_ms or 0) >= LONGEST_DELAY_MS for leg in odds):
        return "a market holds orders back for a second or more"
    if max(holds) > longest_hold_ms:
        return "an order would be held back for too long"
    return ""


def _in_turn_usd(odds: Sequence[LegOdds], exits_usd: Sequence[Decimal | None]) -> Decimal:
    """The first leg has to fill before anything can be lost; then each other may be gone, or may not fill."""
    lost = Decimal(0)
    for index in range(1, len(odds)):
        stays = odds[index].fills * (_ONE - odds[index].fades)
        lost += (_ONE - stays) * _mended_usd(odds[index], exits_usd[:index])
    return _up(odds[0].fills * lost)


def _at_once_usd(odds: Sequence[LegOdds], exits_usd: Sequence[Decimal | None]) -> Decimal:
    """A leg that does not fill costs something where any other has."""
    lost = Decimal(0)
    for index, leg in enumerate(odds):
        others = [other for number, other in enumerate(odds) if number != index]
        is_any_held = _ONE - prod((_ONE - other.fills for other in others), start=_ONE)
        exits = [cost for number, cost in enumerate(exits_usd) if number != index]
        lost += (_ONE - leg.fills) * is_any_held * _mended_usd(leg, exits)
    return _up(lost)


def _mended_usd(missing: LegOdds, exits_usd: Sequence[Decimal | None]) -> Decimal:
    """Return what a contract of a leg that is missing costs: as it did before, mixed with what is assumed.

    It is assumed to be bought dearer, or the others sold again, whichever is cheaper.
    """
    known = [cost for cost in exits_usd if cost is not None]
    can_sell = len(known) == len(exits_usd)
    assumed = min(missing.fade_usd, sum(known, Decimal(0))) if can_sell else missing.fade_usd
    return (assumed * missing.weight_e6 + missing.shortfall_e6) / (missing.weight_e6 + missing.missed_e6)


def _rounded(share: Decimal) -> Decimal:
    return min(max(share, Decimal(0)), _ONE).quantize(_STEP, ROUND_HALF_EVEN)


def _up(cost: Decimal) -> Decimal:
    return cost.quantize(_STEP, ROUND_CEILING)
