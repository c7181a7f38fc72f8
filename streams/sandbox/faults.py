"""Faults on request: what a sandbox exchange does wrong, when, and how often.

A fault file is one JSON object:

    {"seed": 7,
     "settlement": {"mined_ms": 1500, "confirmed_ms": 4000, "failed_probability": "0", "sellable": "matched"},
     "rules": [{"kind": "reject", "venue": "kalshi", "probability": "0.1", ...}, ...]}

`settlement` is Polymarket's: how long after the match a trade is mined and confirmed, how often it fails instead, and
from when on bought tokens can be sold (`matched` or `mined`). A rule has `kind`, and optionally `venue` (both when
absent), `probability` (decimal string, default 1), `market` (an id; all when absent), `skip` (this many chances pass
first), `times` (most times it fires), and by kind:

- `reject`: an order is refused. `code`: the venue's error code or text.
- `partial_fill`: makers pull their orders until only `fraction` (default 0.5) of an immediate order can be filled.
- `fade`: they all pull away; the order finds nothing at its price.
- `lost_response`: the order is carried out, the connection drops before the answer.
- `server_error`: the request is not carried out; `status` (default 503).
- `delay`: the answer comes `ms` later (default 1000). With `path`, for that path prefix only.
- `dropped_frame`: a socket frame is not sent (its sequence number is used up). `channel` limits it.
- `silent_socket`: `ms` after it opened a socket says nothing any more but still answers pings.
- `disconnect`: `ms` after it opened a socket is cut without a close frame.

`default_plan()` is what runs when no file is given: makers fade as they do in reality, nothing is lost.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, get_args

from streams.market.errors import ConfigurationError
from streams.market.identity import Venue

FaultKind = Literal[
    "reject",
    "partial_fill",
    "fade",
    "lost_response",
    "server_error",
    "delay",
    "dropped_frame",
    "silent_socket",
    "disconnect",
]


@dataclass(slots=True)
class FaultRule:
    """One line of a fault file, with how often it had its chance and fired."""

    kind: FaultKind
    venue: Venue | None = None
    probability: Decimal = Decimal(1)
    market: str = ""
    skip: int = 0
    times: int | None = None
    fraction: Decimal = Decimal("0.5")
    code: str = ""
    status: int = 503
    ms: int = 1_000
    path: str = ""
    channel: str = ""
    chances: int = 0
    fired: int = 0


@dataclass(frozen=True, slots=True)
class SettlementPlan:
    """How Polymarket's trades settle after the match."""

    mined_ms: int = 1_500
    confirmed_ms: int = 4_000
    failed_probability: Decimal = Decimal(0)
    sellable: Literal["matched", "mined"] = "matched"


@dataclass(slots=True)
class FaultPlan:
    """All rules of a sandbox with the random source they share."""

    rules: list[FaultRule] = field(default_factory=list)
    settlement: SettlementPlan = field(default_factory=SettlementPlan)
    seed: int = 0
    random: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def fires(
        self, kind: FaultKind, venue: Venue, *, market_id: str = "", path: str = "", channel: str = ""
    ) -> FaultRule | None:
        """Return the first rule of that kind that fires now, None when none does."""
        for rule in self.rules:
            if rule.kind != kind or (rule.venue is not None and rule.venue is not venue):
                continue
            if (rule.market and rule.market != market_id) or (rule.channel and rule.channel != channel):
                continue
            if rule.path and not path.startswith(rule.path):
                continue
            rule.chances += 1
            if rule.chances <= rule.skip or (rule.times is not None and rule.fired >= rule.times):
                continue
            if self.happens(rule.probability):
                rule.fired += 1
                return rule
        return None

    def has(self, kind: FaultKind) -> bool:
        """Whether any rule of that kind exists (so that hot paths can skip the question)."""
        return any(rule.kind == kind for rule in self.rules)

    def happens(self, probability: Decimal) -> bool:
        """Draw once."""
        return probability > 0 and self.random.randrange(1_000_000) < int(probability * 1_000_000)


def default_plan(seed: int = 0) -> FaultPlan:
    """Makers sometimes pull part or all of their quotes before an immediate order arrives; trades settle in seconds."""
    return FaultPlan(
        rules=[
            FaultRule("fade", probability=Decimal("0.08")),
            FaultRule("partial_fill", probability=Decimal("0.15"), fraction=Decimal("0.4")),
        ],
        seed=seed,
    )


def load_plan(path: Path) -> FaultPlan:
    """Read a fault file.

    Raises:
        ConfigurationError: If it cannot be read or a rule cannot be meant; the message names file, rule and field.
    """
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"The fault file {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise ConfigurationError(f"The fault file {path} is not JSON.") from None
    if not isinstance(document, dict) or not set(document) <= {"seed", "rules", "settlement"}:
        raise ConfigurationError(f"The fault file {path} must be an object with seed, settlement and rules.")
    try:
        rules = [_rule(entry) for entry in document.get("rules", [])]
        settlement = _settlement(document.get("settlement", {}))
        return FaultPlan(rules, settlement, int(document.get("seed", 0)))
    except (ValueError, TypeError, InvalidOperation) as error:
        raise ConfigurationError(f"The fault file {path} cannot be used: {error}.") from None


_DECIMALS = frozenset({"probability", "fraction"})
_INTEGERS = frozenset({"skip", "times", "status", "ms"})
_TEXTS = frozenset({"market", "code", "path", "channel"})


def _rule(entry: Any) -> FaultRule:
    if not isinstance(entry, dict) or entry.get("kind") not in get_args(FaultKind):
        raise ValueError(f"a rule needs a kind out of {', '.join(get_args(FaultKind))}")
    kind = entry["kind"]
    rule = FaultRule(kind)
    for name, value in entry.items():
        if name == "venue":
            rule.venue = Venue(value)
        elif name in _DECIMALS:
            setattr(rule, name, _share(value, f"{kind}.{name}"))
        elif name in _INTEGERS:
            setattr(rule, name, int(value))
        elif name in _TEXTS:
            setattr(rule, name, str(value))
        elif name != "kind":
            raise ValueError(f"{kind} has no field {name!r}")
    return rule


def _settlement(entry: dict[str, Any]) -> SettlementPlan:
    sellable = entry.get("sellable", "matched")
    if sellable not in ("matched", "mined"):
        raise ValueError("settlement.sellable is matched or mined")
    return SettlementPlan(
        int(entry.get("mined_ms", 1_500)),
        int(entry.get("confirmed_ms", 4_000)),
        _share(entry.get("failed_probability", "0"), "settlement.failed_probability"),
        sellable,
    )


def _share(value: Any, what: str) -> Decimal:
    share = Decimal(str(value))
    if not 0 <= share <= 1:
        raise ValueError(f"{what} must lie between 0 and 1")
    return share
