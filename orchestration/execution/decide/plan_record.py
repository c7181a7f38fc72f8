"""What a plan was decided on, as JSON that is kept, and the same decision made again from it. PURE.

Every value that `decide` reads is in it: the signal's legs, the group's outcomes, terms and fees of the markets, both
books as they were read, limits, what was tied up, cash, and the numbers of the settings. So a person can ask later why
something was bought or refused, and a changed `decide` can be tried on what really happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from orchestration.execution.decide.gate.selection import WorthPolicy
from orchestration.execution.decide.plan import (
    Decision,
    Headroom,
    PlanPolicy,
    TradeRequest,
    decide,
    plan_to_json,
)
from orchestration.execution.decide.risk_checks import Refusal
from orchestration.opportunities.leg_risk import LegOdds
from orchestration.opportunities.outcomes import OutcomeCase
from orchestration.opportunities.worth import StressPriors
from streams.market.documents import JsonDocument
from streams.market.events import BookSnapshot
from streams.market.fees import KalshiFeeSchedule, PolymarketFeeSchedule
from streams.market.identity import Venue
from streams.market.limits import LimitValues
from streams.market.listing import MarketTerms
from streams.market.trading import Target, TiedUp

FORMAT = 4
"""Of the documents; a reader refuses what it does not know."""
_KINDS: dict[str, Callable[..., Any]] = {
    kind.__name__: kind
    for kind in (
        TradeRequest, OutcomeCase, Target, MarketTerms, KalshiFeeSchedule, PolymarketFeeSchedule, BookSnapshot,
        Headroom, LimitValues, TiedUp, PlanPolicy, WorthPolicy, StressPriors, LegOdds, Venue,
    )
}  # fmt: skip
_LEFT_OUT = frozenset({"payload"})
"""What a book was read from; the book itself is kept."""


class UnreadableRecord(ValueError):
    """A document that is none of ours, or of another version; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """All that a plan is decided on.

    Attributes:
        books: By "venue:market_id".
        asked_at / read_at: When the books were asked for, and when the last of them was there.
    """

    request: TradeRequest
    books: Mapping[str, BookSnapshot]
    headroom: Headroom
    asked_at: datetime
    read_at: datetime

    def decide(self) -> Decision | Refusal:
        """Make the decision."""
        return decide(self.request, self.books, self.headroom)


def inputs_to_json(inputs: PlanInputs) -> JsonDocument:
    """Return the inputs as they are kept in `trading.plan_decisions.inputs`."""
    return {
        "format": FORMAT,
        "request": _encode(inputs.request),
        "books": _encode(dict(inputs.books)),
        "headroom": _encode(inputs.headroom),
        "asked_at": inputs.asked_at.isoformat(),
        "read_at": inputs.read_at.isoformat(),
    }


def inputs_from_json(stored: JsonDocument) -> PlanInputs:
    """Return the inputs of a decision that was kept.

    Raises:
        UnreadableRecord: If they are of another version, or damaged.
    """
    if stored.get("format") != FORMAT:
        raise UnreadableRecord(f"inputs of format {stored.get('format')!r}; {FORMAT} can be read")
    try:
        request, books, headroom = (_decode(stored[name]) for name in ("request", "books", "headroom"))
        asked_at, read_at = (datetime.fromisoformat(stored[name]) for name in ("asked_at", "read_at"))
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableRecord(f"inputs that are damaged: {type(error).__name__}: {error}") from None
    if not isinstance(request, TradeRequest) or not isinstance(headroom, Headroom) or not isinstance(books, dict):
        raise UnreadableRecord("inputs that are damaged: a part of them is something else")
    return PlanInputs(request, books, headroom, asked_at, read_at)


def result_to_json(result: Decision | Refusal) -> JsonDocument:
    """Return a decision as it is kept beside its inputs: the plan, or why there is none."""
    if isinstance(result, Refusal):
        return {"refused": result.reason.value, "detail": result.detail}
    return {
        "plan": plan_to_json(result.plan),
        "binding": result.binding,
        "profit_e6": result.edge.profit_e6,
        "sending": result.sending.to_json(),
    }


def _encode(value: Any) -> Any:
    if isinstance(value, Enum):
        return {"k": type(value).__name__, "v": value.value}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal | datetime):
        text = f"{value:f}" if isinstance(value, Decimal) else value.isoformat()
        return {"k": type(value).__name__, "v": text}
    if is_dataclass(value):
        names = (field.name for field in fields(value) if field.name not in _LEFT_OUT)
        return {"k": type(value).__name__, "v": {name: _encode(getattr(value, name)) for name in names}}
    if isinstance(value, Mapping):
        return {"m": [[_encode(key), _encode(item)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"t": [_encode(item) for item in value]}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be kept")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "m" in value:
        return {_decode(key): _decode(item) for key, item in value["m"]}
    if "t" in value:
        return tuple(_decode(item) for item in value["t"])
    plain = _PLAIN.get(value["k"])
    if plain is not None:
        return plain(value["v"])
    kind = _KINDS[value["k"]]
    inner = value["v"]
    return kind(**{name: _decode(item) for name, item in inner.items()}) if isinstance(inner, dict) else kind(inner)


_PLAIN: dict[str, Callable[[str], Any]] = {"Decimal": Decimal, "datetime": datetime.fromisoformat}
