"""What the sandbox's world says about the sets of markets that were traded. Reads the catalogue, never a verdict.

A group of markets states which of them may resolve YES together. That is right when every answer the facts can have
leads to one of the stated combinations; a pair that is not the same contract has an answer that leads elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any

from streams.market.identity import MarketRef, Venue
from streams.sandbox.catalogue.load import load_catalogue
from streams.sandbox.catalogue.truth import Condition, Fact, Interval, is_met, parse_condition
from streams.sandbox.simulation.parameters import COINS
from streams.storage.database import Connection

_KALSHI_SHORT = re.compile(r"KX([A-Z]+)1M-(\d\d[A-Z]{3}\d{6})-T(\d+)$")
_POLYMARKET_SHORT = re.compile(r"([a-z]+)-(\d+)-or-above-(\d{4}-\d\d-\d\d-\d{4})-et$")
_GRID = 10**15


@dataclass
class World:
    """Facts, and the condition on which each market settles."""

    facts: dict[str, Fact]
    conditions: dict[str, Condition]
    near_misses: list[tuple[str, str]]

    def contradiction(self, outcomes: Sequence[Any], markets: Iterable[str]) -> str:
        """Return an answer of the facts that leads to a combination which is not among `outcomes`, empty if none does.

        Args:
            outcomes: Allowed sets of markets that resolve YES, each a list of "venue:market_id".
            markets: All markets of the group.
        """
        keys = list(markets)
        unknown = [key for key in keys if key not in self.conditions]
        if unknown:
            return f"no truth is known of {unknown[0]}"
        allowed = {frozenset(outcome) for outcome in outcomes if isinstance(outcome, list)}
        facts = sorted({self.conditions[key].fact_id for key in keys})
        for answers in product(*(self._answers(fact, keys) for fact in facts)):
            answer = dict(zip(facts, answers, strict=True))
            yes = frozenset(key for key in keys if self._resolves_yes(key, answer))
            if yes not in allowed:
                return f"{answer} makes {sorted(yes) or 'none'} resolve YES"
        return ""

    def _resolves_yes(self, key: str, answer: Mapping[str, bool | str | float]) -> bool:
        condition = self.conditions[key]
        return is_met(self.facts[condition.fact_id], condition, answer[condition.fact_id])

    def _answers(self, fact_id: str, keys: Sequence[str]) -> list[bool | str | float]:
        """Return answers of a fact that stand for all it can have: around every bound, for a number."""
        fact = self.facts[fact_id]
        if fact.kind == "binary":
            return [True, False]
        if fact.kind == "categorical":
            return list(fact.options)
        indexes = {0}
        for key in keys:
            interval = self.conditions[key].yes
            if self.conditions[key].fact_id == fact_id and isinstance(interval, Interval):
                for bound in interval:
                    indexes.update((bound - 1, bound, bound + 1) if abs(bound) < _GRID else ())
        return [index * float(fact.step) for index in sorted(indexes)]


def catalogue_world() -> World:
    """Return the truth of the bundled catalogue."""
    truth = load_catalogue(None, datetime.now(UTC)).truth
    conditions = {f"{ref.venue}:{ref.market_id}": condition for ref, condition in truth.conditions.items()}
    return World(dict(truth.facts), conditions, [(miss.kalshi_id, miss.polymarket_id) for miss in truth.near_misses])


def load_world(connection: Connection) -> World:
    """Return the truth of the bundled catalogue and of every short series that the warehouse has seen."""
    world = catalogue_world()
    rows = connection.execute(
        "SELECT venue, id, market_id FROM raw.market_ids WHERE id_kind IN ('ticker', 'slug')"
    ).fetchall()
    for row in rows:
        short = _short_of(row)
        if short is not None:
            _add_short(world, MarketRef(Venue(row["venue"]), row["market_id"]), *short)
    return world


def _short_of(row: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return (coin, closing minute, strike) of a market of the short series, from the id its venue gave it."""
    if row["venue"] == Venue.KALSHI:
        found = _KALSHI_SHORT.match(row["id"])
        if found is None:
            return None
        minute = datetime.strptime(found[2].title(), "%y%b%d%H%M").replace(tzinfo=UTC)
        return found[1], f"{minute:%Y-%m-%d-%H%M}", found[3]
    found = _POLYMARKET_SHORT.match(row["id"])
    names = {coin.name.lower(): coin.code for coin in COINS}
    return (names[found[1]], found[3], found[2]) if found and found[1] in names else None


def _add_short(world: World, ref: MarketRef, coin: str, minute: str, strike: str) -> None:
    fact_id = f"short-{coin}-{minute}"
    world.facts.setdefault(fact_id, Fact(fact_id, "scalar", step="0.01"))
    row = {"fact": fact_id, "op": "ge", "value": strike}
    world.conditions[f"{ref.venue}:{ref.market_id}"] = parse_condition(row, world.facts)
