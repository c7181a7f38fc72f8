"""What the fields of the Calculator page mean, as the document that `crossbook calc` and `crossbook edges` read.

Nothing is judged here: what was typed goes into the document as it is, and the reader of documents refuses it with its
place. A field that is empty is not in the document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ALIKE, OPPOSITE = "all alike", "the second as the first does not"
EXACTLY_ONE, AT_MOST_ONE = "exactly one yes", "at most one yes"
STRIKES, WRITTEN = "strikes, the one that is reached first on top", "as written below"
_HALF = "0.5"


@dataclass(frozen=True, slots=True)
class TypedMarket:
    """The fields of one market. `rules` are the document's own keys, as text."""

    id: str
    venue: str
    fee: Mapping[str, str]
    yes_asks: str = ""
    no_asks: str = ""
    tick: str = ""
    rules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TypedLeg:
    """The fields of one leg."""

    market: str
    side: str
    size: str
    price: str


@dataclass(frozen=True, slots=True)
class TypedSet:
    """All fields of the page.

    Attributes:
        markets: The markets.
        relation: How they settle, one of `relations_of`.
        written: The outcomes in lines, where the relation is `WRITTEN`.
        has_void: Whether a void that pays half is reported.
        limits: The document's limits by their keys; `cost_by_account` by venue.
        dates: `as_of` and `resolves_at`.
    """

    markets: Sequence[TypedMarket]
    relation: str
    written: str = ""
    has_void: bool = False
    limits: Mapping[str, Any] = field(default_factory=dict)
    dates: Mapping[str, str] = field(default_factory=dict)


def relations_of(count: int) -> list[str]:
    """Return how so many markets can settle."""
    if count < 2:
        return [AT_MOST_ONE, WRITTEN]
    return [ALIKE, *([OPPOSITE] if count == 2 else []), EXACTLY_ONE, AT_MOST_ONE, STRIKES, WRITTEN]


def document_of(typed: TypedSet, legs: Sequence[TypedLeg] | None = None) -> dict[str, Any]:
    """Return the document: of `crossbook calc` with legs, of `crossbook edges` without."""
    ids = [market.id for market in typed.markets]
    found: dict[str, Any] = {
        **_filled(typed.dates),
        "markets": [_market(market, has_books=legs is None) for market in typed.markets],
        "outcomes": outcomes_of(typed.relation, ids, typed.written),
    }
    if typed.has_void:
        found["outcomes"].append({"name": "void", "kind": "stress", "settles": dict.fromkeys(ids, _HALF)})
    limits = _filled(typed.limits)
    if "cost_by_account" in limits:
        limits["cost_by_account"] = _filled(limits["cost_by_account"])
    if limits := _filled(limits):
        found["limits"] = limits
    if legs is not None:
        found["legs"] = [{"market": leg.market, "side": leg.side, "size": leg.size, "price": leg.price} for leg in legs]
    return found


def outcomes_of(relation: str, ids: Sequence[str], written: str) -> list[Any]:
    """Return the outcomes of markets that settle like this.

    A written line holds the ids that settle yes, `-` for none, or `NAME: A=0.5, B=1` with what each YES pays; with the
    word `stress` before it the outcome is only reported.
    """
    each: list[Any] = [[market] for market in ids]
    if relation == WRITTEN:
        return [_written(line.strip()) for line in written.splitlines() if line.strip()]
    if relation == ALIKE:
        return [list(ids), []]
    if relation in (OPPOSITE, EXACTLY_ONE):
        return each
    if relation == STRIKES:
        return [list(ids[:count]) for count in range(len(ids) + 1)]
    return [*each, []]


def levels_of(text: str) -> list[list[str]]:
    """Return typed levels: `0.40 x 100, 0.45 x 50`."""
    items = (item for item in re.split(r"[,;\n]", text) if item.strip())
    return [[part.strip() for part in re.split(r"[x×@]", item)] for item in items]


def _market(market: TypedMarket, *, has_books: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"id": market.id, "venue": market.venue, "fee": _filled(market.fee)}
    if has_books:
        found["yes_asks"], found["no_asks"] = levels_of(market.yes_asks), levels_of(market.no_asks)
    if market.tick.strip():
        found["price_ranges"] = [["0", "1", market.tick.strip()]]
    return found | _filled(market.rules)


def _written(line: str) -> Any:
    if "=" not in line:
        return [] if line == "-" else [market.strip() for market in line.split(",")]
    is_stress = line.startswith("stress ")
    name, _, values = line.removeprefix("stress ").rpartition(":")
    pairs = [item.partition("=") for item in values.split(",")]
    found = {
        "kind": "stress" if is_stress else "normal",
        "settles": {key.strip(): pays.strip() for key, _, pays in pairs},
    }
    return found | ({"name": name.strip()} if name.strip() else {})


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
    return {name: value for name, value in kept.items() if value not in ("", None, {})}
