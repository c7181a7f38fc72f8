"""Faults on request: what a sandbox exchange does wrong, when, and how often.

A fault file is one JSON object:

    {"seed": 7,
     "settlement": {"mined_ms": 1500, "confirmed_ms": 4000, "failed_probability": "0", "sellable": "matched"},
     "clock": {"kalshi": -4000},
     "rules": [{"kind": "reject", "venue": "kalshi", "probability": "0.1", ...}, ...]}

`settlement` is Polymarket's: how long after the match a trade is mined and confirmed, how often it fails instead, and
from when on bought tokens can be sold (`matched` or `mined`). `clock` is how far a venue's clock is ahead of ours, in
milliseconds. The rules' fields and kinds are in `docs/sandbox.md`; `FIELDS` and `FaultKind` here. Every rule draws
from a random stream of its own, so that adding one changes nothing about the others.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, get_args

from streams.documents import BadDocument, load_document
from streams.market.errors import ConfigurationError
from streams.market.identity import Venue

FaultKind = Literal[
    "reject",
    "partial_fill",
    "late_fill",
    "fade",
    "failed_settlement",
    "server_error",
    "delay",
    "lost_request",
    "lost_response",
    "dropped_frame",
    "delayed_frame",
    "duplicated_frame",
    "reordered_frame",
    "silent_socket",
    "disconnect",
    "channel_error",
    "command_timeout",
]
FRAME_KINDS: tuple[FaultKind, ...] = ("dropped_frame", "delayed_frame", "duplicated_frame", "reordered_frame")
SOCKET_KINDS: tuple[FaultKind, ...] = ("silent_socket", "disconnect")


@dataclass(slots=True)
class FaultRule:
    """One line of a fault file, with how often it had its chance and fired.

    Attributes:
        skip: So many chances pass first.
        times: Most times it fires, None for no limit.
        when: `server_error` only: whether the error comes `before` the request is carried out or `after`.
        seed: Of the rule's own random stream; None takes one from the plan's seed and the rule's place.
        rule_id: Given by the plan.
    """

    kind: FaultKind
    venue: Venue | None = None
    probability: Decimal = Decimal(1)
    market: str = ""
    skip: int = 0
    times: int | None = None
    fraction: Decimal = Decimal("0.5")
    code: str = ""
    status: int = 503
    when: Literal["before", "after"] = "before"
    ms: int = 1_000
    path: str = ""
    channel: str = ""
    seed: int | None = None
    chances: int = 0
    fired: int = 0
    rule_id: str = ""
    random: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def concerns(self, venue: Venue, market_id: str, path: str, channel: str) -> bool:
        """Whether the rule is about this at all."""
        if self.venue is not None and self.venue is not venue:
            return False
        if (self.market and self.market != market_id) or (self.channel and self.channel != channel):
            return False
        return not self.path or path.startswith(self.path)

    def fires(self) -> bool:
        """Give the rule its chance."""
        self.chances += 1
        if self.chances <= self.skip or (self.times is not None and self.fired >= self.times):
            return False
        if not draw(self.random, self.probability):
            return False
        self.fired += 1
        return True

    def state(self) -> dict[str, Any]:
        """The rule as JSON values, without what it leaves at its default, with its counters."""
        plain = FaultRule(self.kind)
        given = {name: getattr(self, name) for name in FIELDS if getattr(self, name) != getattr(plain, name)}
        shown = {name: str(value) if isinstance(value, Decimal) else value for name, value in given.items()}
        return {"id": self.rule_id, "kind": self.kind, **shown, "chances": self.chances, "fired": self.fired}


@dataclass(frozen=True, slots=True)
class SettlementPlan:
    """How Polymarket's trades settle after the match."""

    mined_ms: int = 1_500
    confirmed_ms: int = 4_000
    failed_probability: Decimal = Decimal(0)
    sellable: Literal["matched", "mined"] = "matched"


@dataclass(slots=True)
class FaultPlan:
    """All rules of a sandbox.

    Attributes:
        settlement: Goes before the profile's; None leaves it as it is.
        clock_ms: How far each venue's clock is ahead of ours.
        has_frame_rules: Whether any rule is about frames (so that the hot path can skip the question).
    """

    rules: list[FaultRule] = field(default_factory=list)
    settlement: SettlementPlan | None = None
    seed: int = 0
    clock_ms: dict[Venue, int] = field(default_factory=dict)
    random: random.Random = field(default_factory=random.Random)
    has_frame_rules: bool = False
    _added: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        rules, self.rules = self.rules, []
        self.add(rules)

    def add(self, rules: Iterable[FaultRule]) -> list[FaultRule]:
        """Put rules behind those there are and give them ids."""
        added = list(rules)
        for rule in added:
            self._added += 1
            rule.rule_id = str(self._added)
            own = f"{self.seed}:{self._added}" if rule.seed is None else str(rule.seed)
            rule.random = random.Random(f"{rule.kind}:{own}")
        self.rules.extend(added)
        self._note()
        return added

    def remove(self, rule_id: str = "") -> int:
        """Take out one rule, or all without an id; how many there were."""
        kept = [rule for rule in self.rules if rule_id and rule.rule_id != rule_id]
        gone, self.rules = len(self.rules) - len(kept), kept
        self._note()
        return gone

    def _note(self) -> None:
        self.has_frame_rules = any(rule.kind in FRAME_KINDS for rule in self.rules)

    def fires(
        self, kind: FaultKind, venue: Venue, *, market_id: str = "", path: str = "", channel: str = "", when: str = ""
    ) -> FaultRule | None:
        """Return the first rule of that kind that fires now, None when none does."""
        for rule in self.rules:
            if rule.kind != kind or not rule.concerns(venue, market_id, path, channel):
                continue
            if (not when or rule.when == when) and rule.fires():
                return rule
        return None

    def happens(self, probability: Decimal) -> bool:
        """Draw once."""
        return draw(self.random, probability)


def draw(source: random.Random, probability: Decimal) -> bool:
    """Whether something of this probability happens; certain things take no number from the source."""
    if probability >= 1:
        return True
    return probability > 0 and source.randrange(1_000_000) < int(probability * 1_000_000)


def load_plan(path: Path) -> FaultPlan:
    """Read a fault file.

    Raises:
        ConfigurationError: If it cannot be read or a rule cannot be meant; the message names file, rule and field.
    """
    try:
        document = load_document(path)
    except BadDocument as error:
        raise ConfigurationError(f"The fault file {error}") from None
    if not isinstance(document, dict) or not set(document) <= {"seed", "rules", "settlement", "clock"}:
        raise ConfigurationError(f"The fault file {path} must be an object with seed, settlement, clock and rules.")
    try:
        rules = [parse_rule(entry) for entry in document.get("rules", [])]
        settlement = _settlement(document["settlement"]) if "settlement" in document else None
        clock = {Venue(name): int(ms) for name, ms in document.get("clock", {}).items()}
        return FaultPlan(rules, settlement, int(document.get("seed", 0)), clock)
    except (ValueError, TypeError, AttributeError, InvalidOperation) as error:
        raise ConfigurationError(f"The fault file {path} cannot be used: {error}.") from None


_ORDER = frozenset({"market"})
_REQUEST = frozenset({"path"})
_FRAME = frozenset({"market", "channel"})
_EVERY = frozenset({"kind", "venue", "probability", "skip", "times", "seed"})
_OWN: dict[FaultKind, frozenset[str]] = {
    "reject": _ORDER | {"code"},
    "partial_fill": _ORDER | {"fraction"},
    "late_fill": _ORDER | {"ms"},
    "fade": _ORDER,
    "failed_settlement": _ORDER,
    "server_error": _REQUEST | {"when", "status"},
    "delay": _REQUEST | {"ms"},
    "lost_request": _REQUEST,
    "lost_response": _REQUEST,
    "dropped_frame": _FRAME,
    "delayed_frame": _FRAME | {"ms"},
    "duplicated_frame": _FRAME,
    "reordered_frame": _FRAME | {"ms"},
    "silent_socket": frozenset({"ms", "channel"}),
    "disconnect": frozenset({"ms", "channel"}),
    "channel_error": frozenset({"channel"}),
    "command_timeout": frozenset(),
}
"""The fields a kind has besides those of every rule; any other would keep the rule from ever firing."""
_DECIMALS = frozenset({"probability", "fraction"})
_INTEGERS = frozenset({"skip", "times", "status", "ms", "seed"})
_TEXTS = frozenset({"market", "code", "path", "channel"})
FIELDS = ("venue", "probability", "market", "skip", "times", "fraction", "code", "status", "when", "ms", "path",
          "channel", "seed")  # fmt: skip


def parse_rule(entry: Any) -> FaultRule:
    """Build a rule from its JSON form.

    Raises:
        ValueError: If it cannot be meant; the message names kind and field.
    """
    if not isinstance(entry, dict) or entry.get("kind") not in get_args(FaultKind):
        raise ValueError(f"a rule needs a kind out of {', '.join(get_args(FaultKind))}")
    kind = entry["kind"]
    rule = FaultRule(kind)
    for name, value in entry.items():
        if name not in _EVERY | _OWN[rule.kind]:
            raise ValueError(f"{kind} has no field {name!r}")
        if name != "kind":
            setattr(rule, name, _field(kind, name, value))
    if not 500 <= rule.status <= 599:
        raise ValueError(f"{kind}.status must lie between 500 and 599")
    return rule


def _field(kind: FaultKind, name: str, value: Any) -> Any:
    if name == "venue":
        return Venue(value)
    if name in _DECIMALS:
        return _share(value, f"{kind}.{name}")
    if name in _INTEGERS:
        return _count(value, f"{kind}.{name}")
    if name in _TEXTS:
        return str(value)
    if value not in ("before", "after"):
        raise ValueError(f"{kind}.{name} cannot be {value!r}")
    return value


def _settlement(entry: dict[str, Any]) -> SettlementPlan:
    sellable = entry.get("sellable", "matched")
    if sellable not in ("matched", "mined"):
        raise ValueError("settlement.sellable is matched or mined")
    return SettlementPlan(
        _count(entry.get("mined_ms", 1_500), "settlement.mined_ms"),
        _count(entry.get("confirmed_ms", 4_000), "settlement.confirmed_ms"),
        _share(entry.get("failed_probability", "0"), "settlement.failed_probability"),
        sellable,
    )


def _count(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{what} must be a whole number from 0 on")
    return int(value)


def _share(value: Any, what: str) -> Decimal:
    try:
        share = Decimal(str(value))
        if 0 <= share <= 1:
            return share
    except InvalidOperation:
        pass
    raise ValueError(f"{what} must lie between 0 and 1")
