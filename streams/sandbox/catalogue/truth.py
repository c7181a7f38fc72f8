"""What is true of a catalogue: facts of the pretended world, and on which of them each market settles.

A fact is one uncertain thing. Each market's condition is a set of that fact's outcomes, so whether two markets are the
same contract is not an opinion here: it follows from comparing two sets. The flow moves prices by it, and tests and the
closing report measure verdicts with it; matching and trading never read it.

Facts: `binary` (it happens or not), `categorical` (exactly one of the options), `scalar` (a number on a grid of `step`,
believed normal with `mean` and `sd`). Conditions: `is` / `not` on a binary fact; `in` with a list of options; `gt`,
`ge`, `lt`, `le` with a number, `between` with two, both included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Literal, NamedTuple

from streams.market.errors import ConfigurationError
from streams.market.identity import MarketRef, Venue

FactKind = Literal["binary", "categorical", "scalar"]
OnVoid = Literal["fair", "half", "no"]
"""What a market pays when its fact is void: the last fair price, fifty-fifty, or nothing to YES."""
_EDGE = 10**15
"""Grid index that stands for no bound."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One uncertain thing.

    Attributes:
        probability: binary: the chance at the start.
        options: categorical: the chance of each option at the start; they sum to one.
        mean / sd / step: scalar: the fair value at the start and the grid on which the number is reported.
        parent / coupling: Another fact whose surprises move this one too, and the share of them that does.
        volatility: Multiplies the flow's speed of this fact.
        void_probability: Chance that the fact never gets an answer (a game called off).
    """

    fact_id: str
    kind: FactKind
    probability: float = 0.5
    options: Mapping[str, float] = field(default_factory=dict)
    mean: float = 0.0
    sd: float = 1.0
    step: str = "1"
    parent: str = ""
    coupling: float = 0.0
    volatility: float = 1.0
    void_probability: float = 0.0


class Interval(NamedTuple):
    """Grid indexes of a scalar fact, both included."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Condition:
    """What must come true for one market to resolve YES.

    `yes` is the set of outcomes that pay: a boolean for a binary fact, option names for a categorical one, a grid
    interval (or its complement when `is_outside`) for a scalar one.
    """

    fact_id: str
    yes: bool | frozenset[str] | Interval
    is_outside: bool = False
    on_void: OnVoid = "fair"


class TruePair(NamedTuple):
    """Two markets that pay on the same outcomes of one fact. `inverted`: on opposite ones."""

    kalshi_id: str
    polymarket_id: str
    polarity: Literal["aligned", "inverted"]


class NearMiss(NamedTuple):
    """Two markets that read alike and settle differently, planted on purpose."""

    kalshi_id: str
    polymarket_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Truth:
    """Facts by id, the condition of each market, and the near misses planted among them."""

    facts: dict[str, Fact]
    conditions: dict[MarketRef, Condition]
    near_misses: list[NearMiss] = field(default_factory=list)

    def probability(self, market: MarketRef) -> float:
        """The chance at the start that the market resolves YES."""
        condition = self.conditions[market]
        return start_probability(self.facts[condition.fact_id], condition)


def parse_fact(row: Mapping[str, Any]) -> Fact:
    """Return the fact a catalogue line states.

    Raises:
        ConfigurationError: If its kind is unknown, its options do not sum to one, or a number is out of range.
    """
    names = {"id": "fact_id", "p": "probability", "void": "void_probability"}
    try:
        fact = Fact(**{names.get(key, key): value for key, value in row.items() if key != "type"})
        Decimal(fact.step)
    except (TypeError, ArithmeticError) as error:
        raise ConfigurationError(f"fact {row.get('id')!r} cannot be read: {error}") from None
    total = sum(fact.options.values())
    if fact.kind == "categorical" and not math.isclose(total, 1.0, abs_tol=1e-6):
        raise ConfigurationError(f"the options of fact {fact.fact_id!r} sum to {total}, not to one")
    if fact.kind not in ("binary", "categorical", "scalar") or not 0 <= fact.probability <= 1 or fact.sd <= 0:
        raise ConfigurationError(f"fact {fact.fact_id!r} is not a binary, categorical or scalar fact")
    return fact


def parse_condition(row: Mapping[str, Any], facts: Mapping[str, Fact]) -> Condition:
    """Return the condition `{"fact", "op", "value"?, "void"?}` of one market.

    Raises:
        ConfigurationError: If the fact is unknown or the operation does not fit its kind.
    """
    fact = facts.get(str(row.get("fact")))
    if fact is None:
        raise ConfigurationError(f"no fact {row.get('fact')!r} for a market's truth")
    operation, value = row.get("op", "is"), row.get("value")
    on_void: OnVoid = row.get("void", "fair")
    if fact.kind == "binary" and operation in ("is", "not"):
        return Condition(fact.fact_id, operation == "is", on_void=on_void)
    if fact.kind == "categorical" and operation == "in" and isinstance(value, list) and set(value) <= set(fact.options):
        return Condition(fact.fact_id, frozenset(value), on_void=on_void)
    if fact.kind == "scalar" and value is not None:
        interval = _interval(operation, value, Decimal(fact.step))
        if interval is not None:
            return Condition(fact.fact_id, interval, on_void=on_void)
    raise ConfigurationError(f"condition {dict(row)!r} does not fit the {fact.kind} fact {fact.fact_id!r}")


def _interval(operation: str, value: Any, step: Decimal) -> Interval | None:
    if operation == "between":
        low, high = value
        return Interval(_up(low, step), _down(high, step))
    if operation == "ge":
        return Interval(_up(value, step), _EDGE)
    if operation == "gt":
        return Interval(_down(value, step) + 1, _EDGE)
    if operation == "le":
        return Interval(-_EDGE, _down(value, step))
    if operation == "lt":
        return Interval(-_EDGE, _up(value, step) - 1)
    return None


def _up(value: Any, step: Decimal) -> int:
    return int((Decimal(str(value)) / step).to_integral_value(ROUND_CEILING))


def _down(value: Any, step: Decimal) -> int:
    return int((Decimal(str(value)) / step).to_integral_value(ROUND_FLOOR))


def scalar_probability(mean: float, sd: float, step: float, condition: Condition) -> float:
    """The chance that a number believed normal(mean, sd), reported on the grid, meets the condition."""
    interval = condition.yes
    if not isinstance(interval, Interval):
        raise TypeError("a scalar fact needs an interval")
    scale = 1.0 / (max(sd, 1e-9) * math.sqrt(2.0))
    below = 0.0 if interval.low == -_EDGE else _normal(((interval.low - 0.5) * step - mean) * scale)
    upto = 1.0 if interval.high == _EDGE else _normal(((interval.high + 0.5) * step - mean) * scale)
    inside = max(0.0, upto - below)
    return 1.0 - inside if condition.is_outside else inside


def _normal(scaled: float) -> float:
    return 0.5 * (1.0 + math.erf(scaled))


def start_probability(fact: Fact, condition: Condition) -> float:
    """The chance at the start that the condition comes true."""
    if fact.kind == "scalar":
        return scalar_probability(fact.mean, fact.sd, float(fact.step), condition)
    if isinstance(condition.yes, frozenset):
        return sum(fact.options[name] for name in condition.yes)
    return fact.probability if condition.yes else 1.0 - fact.probability


def is_met(fact: Fact, condition: Condition, answer: bool | str | float) -> bool:
    """Whether a fact's answer (a boolean, an option, or a number) makes the condition true."""
    if isinstance(condition.yes, Interval):
        index = round(float(answer) / float(fact.step))
        return (condition.yes.low <= index <= condition.yes.high) != condition.is_outside
    if isinstance(condition.yes, frozenset):
        return answer in condition.yes
    return bool(answer) == condition.yes


def contract_key(fact: Fact, condition: Condition) -> tuple[str, str, bool]:
    """Return (fact, canonical set, is_complement): same first two parts mean the same contract or its inverse."""
    if isinstance(condition.yes, Interval):
        low, high = condition.yes
        if low == -_EDGE and not condition.is_outside:
            return condition.fact_id, f"{high + 1}..", True
        bound = "" if high == _EDGE else str(high)
        return condition.fact_id, f"{low}..{bound}", condition.is_outside
    if isinstance(condition.yes, frozenset):
        names, rest = sorted(condition.yes), sorted(set(fact.options) - condition.yes)
        is_complement = (len(rest), rest) < (len(names), names)
        return condition.fact_id, "|".join(rest if is_complement else names), is_complement
    return condition.fact_id, "true", not condition.yes


def true_pairs(truth: Truth) -> list[TruePair]:
    """Every Kalshi and Polymarket market that are the same contract, derived from their conditions."""
    by_key: dict[tuple[str, str], list[tuple[str, bool]]] = {}
    kalshi: list[tuple[str, tuple[str, str], bool]] = []
    for ref, condition in truth.conditions.items():
        fact_id, name, is_complement = contract_key(truth.facts[condition.fact_id], condition)
        if ref.venue is Venue.KALSHI:
            kalshi.append((ref.market_id, (fact_id, name), is_complement))
        else:
            by_key.setdefault((fact_id, name), []).append((ref.market_id, is_complement))
    return [
        TruePair(market_id, other, "aligned" if flag == other_flag else "inverted")
        for market_id, key, flag in kalshi
        for other, other_flag in by_key.get(key, [])
    ]
