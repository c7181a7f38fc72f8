"""Market groups with the outcomes that are possible: pairs, strike ladders, exclusive events. Pure.

An outcome is the list of ids (`venue:market_id`) that resolve yes. Leaving one out invents profit, so every set lists
all outcomes the rules allow and, unless an event is known to be exhaustive, the one in which nothing resolves yes.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from orchestration.matching.ladder_steps import Step, read_step
from orchestration.matching.normalise import Features
from orchestration.matching.numbers import Threshold
from orchestration.matching.verdict import Polarity

_UP = ("above", "at_least")
_DOWN = ("below", "at_most")
_MOST_MARKETS = 400
"""Larger groups are none: the outcomes of a ladder grow with the square of its strikes."""


@dataclass(frozen=True, slots=True)
class Group:
    """A market group: markets whose outcomes depend on each other. Table `trading.groups` explains the fields."""

    group_id: str
    kind: str
    title: str
    markets: tuple[tuple[str, str], ...]
    outcomes: tuple[tuple[str, ...], ...]
    is_tradable: bool
    reason: str = ""
    resolves_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A market that may belong to market groups. `resolves_at`: when its result is expected."""

    features: Features
    is_exclusive_event: bool
    resolves_at: datetime | None

    @property
    def ref(self) -> tuple[str, str]:
        """(venue, market_id)."""
        return str(self.features.listing.venue), self.features.listing.market_id


def market_key(venue: str, market_id: str) -> str:
    """Return the id of a market in the outcomes of a market group: "venue:market_id"."""
    return f"{venue}:{market_id}"


@dataclass(frozen=True, slots=True)
class MatchedPair:
    """Two markets on one contract."""

    pair_id: str
    title: str
    kalshi_market_id: str
    polymarket_market_id: str
    polarity: Polarity


def pair_group(pair: MatchedPair, *, is_tradable: bool, reason: str, resolves_at: datetime | None) -> Group:
    """Return the market group of a pair: aligned markets resolve YES together, inverted ones never do.

    Args:
        pair: Its two markets.
        is_tradable: It may be traded.
        reason: Why not, where it may not.
        resolves_at: When the later of its markets is expected to be decided.
    """
    a, b = market_key("kalshi", pair.kalshi_market_id), market_key("polymarket", pair.polymarket_market_id)
    outcomes: tuple[tuple[str, ...], ...] = ((a, b), ()) if pair.polarity == "aligned" else ((a,), (b,))
    return Group(
        group_id=f"pair:{pair.pair_id}",
        kind="pair",
        title=pair.title,
        markets=(("kalshi", pair.kalshi_market_id), ("polymarket", pair.polymarket_market_id)),
        outcomes=outcomes,
        is_tradable=is_tradable,
        reason="" if is_tradable else reason,
        resolves_at=resolves_at,
    )


def ladder_groups(members: Iterable[Member]) -> list[Group]:
    """Return the strike ladders: markets of one event that differ only in a strike of one direction.

    Source, date, comparator and unit are read from the rules of each; what cannot be read is in no ladder.
    """
    rungs: dict[tuple[object, ...], list[tuple[Threshold, Member]]] = defaultdict(list)
    steps: dict[tuple[object, ...], Step] = {}
    for member in members:
        features = member.features
        strikes = [t.normal() for t in features.thresholds if t.comparator in (*_UP, *_DOWN)]
        if len(strikes) != 1 or len(features.thresholds) != 1 or features.is_negated or not features.is_legible:
            continue
        step = read_step(features, strikes[0])
        if step is None:
            continue
        direction = "up" if strikes[0].comparator in _UP else "down"
        said = (features.words, features.dates_key, features.hour, features.stages, step)
        same = (*_event_key(member), direction, *said)
        rungs[same].append((strikes[0], member))
        steps[same] = step
    return [group for key, found in rungs.items() if (group := _ladder(str(key[2]), steps[key], found)) is not None]


def event_groups(members: Iterable[Member]) -> list[Group]:
    """Return the exclusive events of two markets or more: at most one of them resolves YES."""
    events: dict[tuple[str, str], list[Member]] = defaultdict(list)
    for member in members:
        if member.is_exclusive_event:
            events[_event_key(member)].append(member)
    groups = []
    for (venue, event_id), found in events.items():
        if not 2 <= len(found) <= _MOST_MARKETS:
            continue
        keys = [market_key(*member.ref) for member in found]
        groups.append(
            Group(
                group_id=f"event:{venue}:{event_id}",
                kind="event",
                title=found[0].features.listing.event_title or found[0].features.listing.title,
                markets=tuple(member.ref for member in found),
                outcomes=(*((key,) for key in keys), ()),
                is_tradable=True,
                resolves_at=_latest(found),
            )
        )
    return groups


def linked_groups(groups: Iterable[Group], pairs: Iterable[MatchedPair], members: Iterable[Member]) -> list[Group]:
    """Return the ladders and events whose markets trade on both venues, with those of the other venue in them.

    Each market of the other venue resolves as its pair says, so that a strike there is a step of the ladder here.

    Args:
        groups: Ladders and events of one venue.
        pairs: Those that may be traded; a pair that may not links nothing.
        members: All markets.
    """
    ends = {member.ref: member.resolves_at for member in members}
    twins: dict[tuple[str, str], list[tuple[tuple[str, str], bool]]] = defaultdict(list)
    for pair in pairs:
        a, b = ("kalshi", pair.kalshi_market_id), ("polymarket", pair.polymarket_market_id)
        is_inverted = pair.polarity == "inverted"
        twins[a].append((b, is_inverted))
        twins[b].append((a, is_inverted))
    linked: dict[frozenset[tuple[str, str]], Group] = {}
    for group in groups:
        added = [(ref, *twin) for ref in group.markets for twin in twins[ref] if twin[0] not in group.markets]
        if not added or len({twin for _, twin, _ in added}) < len(added):
            continue
        outcomes = tuple(
            (*outcome, *(market_key(*twin) for ref, twin, inverted in added
                         if (market_key(*ref) in outcome) is not inverted))
            for outcome in group.outcomes
        )  # fmt: skip
        times = [group.resolves_at, *(ends.get(twin) for _, twin, _ in added)]
        if len(group.markets) + len(added) <= _MOST_MARKETS:
            found = replace(
                group,
                group_id=f"linked:{group.group_id}",
                markets=(*group.markets, *(twin for _, twin, _ in added)),
                outcomes=outcomes,
                resolves_at=max((time for time in times if time is not None), default=None),
            )
            linked.setdefault(frozenset(found.markets), found)
    return list(linked.values())


def _ladder(direction: str, step: Step, rungs: Sequence[tuple[Threshold, Member]]) -> Group | None:
    """Order the rungs so that each implies all before it; None for fewer than two, too many or doubled strikes."""
    if not 2 <= len(rungs) <= _MOST_MARKETS:
        return None
    sign = 1 if direction == "up" else -1
    ordered = sorted(rungs, key=lambda rung: (sign * rung[0].value, rung[0].comparator in ("above", "below")))
    values = {(rung[0].value, rung[0].comparator) for rung in ordered}
    if len(values) < len(ordered):
        return None
    members = [member for _, member in ordered]
    keys = [market_key(*member.ref) for member in members]
    first = members[0].features.listing
    return Group(
        group_id=f"ladder:{first.venue}:{first.event_id}:{direction}:{_digest(members[0].features, step)}",
        kind="ladder",
        title=first.event_title or first.title,
        markets=tuple(member.ref for member in members),
        outcomes=tuple(tuple(keys[:count]) for count in range(len(keys) + 1)),
        is_tradable=True,
        resolves_at=_latest(members),
    )


def _digest(features: Features, step: Step) -> str:
    """Six hex digits over what the rungs share, so that the id stays when a rung comes or goes."""
    shared: list[object] = [sorted(features.words), features.dates_key, features.hour, sorted(features.stages)]
    shared += [sorted(step.sources), step.dates, sorted(step.hours), step.comparator, step.unit, sorted(step.quantity)]
    return hashlib.sha256(repr(shared).encode()).hexdigest()[:6]


def _event_key(member: Member) -> tuple[str, str]:
    return str(member.features.listing.venue), member.features.listing.event_id


def _latest(members: Iterable[Member]) -> datetime | None:
    return max((m.resolves_at for m in members if m.resolves_at is not None), default=None)
