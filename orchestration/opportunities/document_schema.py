"""The documents of `crossbook calc`, `edges` and `fee`: every key, what may stand there, and what it means.

This is the only description of them. What reads them, the reference page and the JSON Schema are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestration.opportunities.document_fields import (
    Choice,
    Field,
    Flag,
    ListOf,
    MapOf,
    Number,
    Object,
    Place,
    Row,
    Text,
    Time,
    written,
)
from orchestration.opportunities.outcomes import MAX_OUTCOMES, NO_OUTCOME, InvalidSet
from streams.market.fees import FeeSchedule, KalshiFeeSchedule, PolymarketFeeSchedule
from streams.market.identity import Venue

_MARKETS_MAX, _LEVELS_MAX, _LEGS_MAX, _RANGES_MAX = 2_000, 10_000, 10_000, 100
_NO_MARKETS, _NO_LEGS = "The set has no markets.", "The document has no legs."
_CONTRACTS_MAX, _DOLLARS_MAX = "1000000000", "1000000000000"

PRICE = Number("dollars", 4, "0", "1", is_open=True)
"""What one contract costs."""
SIZE = Number("contracts", 6, "0", _CONTRACTS_MAX)
"""How many contracts."""

_ABOVE_ZERO = Number("contracts", 6, "0", _CONTRACTS_MAX, is_above=True)
_STEP = Number("contracts", 6, "0", "1000000", is_above=True)
_DOLLARS = Number("dollars", 6, "0", _DOLLARS_MAX)
_DOLLAR_STEP = Number("dollars", 6, "0", "1000000", is_above=True)
_GRID_END = Number("dollars", 4, "0", "1")
_GRID_STEP = Number("dollars", 4, "0", "1", is_above=True)
_SHARE = Number("dollars", 4, "0", "1")

KALSHI_FEE = Object(
    "fees of a Kalshi market",
    (
        Field(
            "fee_type",
            Choice(("quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees", "flat")),
            "The curve of the series, or the override of the event.",
            "quadratic",
        ),
        Field(
            "fee_multiplier",
            Number("times the curve", 6, "0", "100", takes_floats=True),
            "M of the fee formula.",
            "1",
        ),
        Field(
            "account",
            Choice(("direct", "fcm")),
            "Whose balance pays: to 0.0001 dollar, or through a broker to whole cents.",
            "direct",
        ),
        Field("scales_makers", Flag(), "Whether M scales maker fees too; the venue does not say.", True),
        Field(
            "rebate_when",
            Choice(("reached", "passed")),
            "Whether a rounding fee is paid back once it reaches a whole step, or passes it; the venue does not say.",
            "reached",
        ),
    ),
)
POLYMARKET_FEE = Object(
    "fees of a Polymarket market",
    (
        Field(
            "rate",
            Number("dollars a contract", 6, "0", "1", takes_floats=True),
            "The rate; 0 for a market without fees. It must be said.",
            is_required=True,
            spellings=("r",),
        ),
        Field(
            "exponent",
            Number("the power", 0, "0", "8", takes_floats=True),
            "Power of p x (1 - p).",
            "1",
            spellings=("e",),
        ),
        Field("taker_only", Flag(), "Whether makers pay nothing.", True, spellings=("takerOnly", "to")),
        Field(
            "rounding",
            Choice(("floor", "half_up", "ceil")),
            "How five decimals are reached; the venue does not say.",
            "half_up",
        ),
        Field(
            "rebate_rate",
            Number("shares of the fee", 6, "0", "1", takes_floats=True),
            "The share that makers get back, as Gamma states it; it changes no figure here.",
            spellings=("rebateRate",),
        ),
    ),
)
_FEES = {Venue.KALSHI: KALSHI_FEE, Venue.POLYMARKET: POLYMARKET_FEE}


@dataclass(frozen=True, slots=True)
class FeeOfEitherVenue:
    """The fee schedule of a market, which is read by its venue's description."""

    words = "an object: the fee schedule of the market's venue"

    def read(self, raw: Any, place: Place) -> Any:
        """Return it as it stands: only with its venue it means something."""
        if not isinstance(raw, Mapping):
            raise InvalidSet(f"{written(place)} must be a JSON object.")
        return raw

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema; the market's own says which of the two it is."""
        return {"type": "object"}


@dataclass(frozen=True, slots=True)
class RangeOfPrices:
    """One part of a price grid, as an object or as an array."""

    parts = (("start", _GRID_END), ("end", _GRID_END), ("step", _GRID_STEP))
    words = "[start, end, step] or an object with these three"

    def read(self, raw: Any, place: Place) -> tuple[int, int, int]:
        """Return (start, end, step)."""
        if isinstance(raw, Mapping):
            found = Object("", tuple(Field(name, kind, "", is_required=True) for name, kind in self.parts)).read(
                raw, place
            )
            start, end, step = (found[name] for name, _ in self.parts)
        else:
            start, end, step = Row(self.parts).read(raw, place)
        if start > end:
            raise InvalidSet(f"{written(place)} must be {self.words}, start not above end.")
        return start, end, step

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        named = Object("", tuple(Field(name, kind, "", is_required=True) for name, kind in self.parts)).schema()
        return {"anyOf": [Row(self.parts).schema(), named]}


OUTCOME = Object(
    "one way the set can settle",
    (
        Field("name", Text(), "What it is called."),
        Field("kind", Choice(("normal", "stress")), "Stress outcomes are reported, never optimised for.", "normal"),
        Field("settles", MapOf(_SHARE, _MARKETS_MAX), "What one YES of each market pays; markets not named pay 0.", {}),
    ),
)


@dataclass(frozen=True, slots=True)
class OutcomeOfSet:
    """One way the set can settle: the ids that resolve yes, or an object with what each pays."""

    words = "an array of ids that resolve yes, or an object with settles"
    ids = ListOf(Text(), _MARKETS_MAX)

    def read(self, raw: Any, place: Place) -> Any:
        """Return it as `parse_outcomes` takes it."""
        if isinstance(raw, Mapping):
            OUTCOME.read(raw, place)
            return {key: value for key, value in raw.items() if value is not None}
        if isinstance(raw, list):
            return self.ids.read(raw, place)
        raise InvalidSet(f"{written(place)} must be {self.words}.")

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"anyOf": [{**self.ids.schema(), "uniqueItems": True}, OUTCOME.schema()]}


_LEVELS = ListOf(Row((("price", PRICE), ("size", SIZE))), _LEVELS_MAX)
MARKET = Object(
    "one market of the set",
    (
        Field("id", Text(), "What outcomes and legs call it.", is_required=True),
        Field("venue", Choice(("kalshi", "polymarket")), "Whose market it is, and whose cash pays.", is_required=True),
        Field(
            "fee",
            FeeOfEitherVenue(),
            "Its fee schedule. Without one Kalshi's usual curve holds; on Polymarket it must be there.",
        ),
        Field("yes_asks", _LEVELS, "What YES is offered at: [price, size] pairs.", []),
        Field("no_asks", _LEVELS, "What NO is offered at.", []),
        Field("size_step", _STEP, "Orders are a multiple of this many contracts.", "0.01"),
        Field("min_size", SIZE, "The fewest contracts of an order.", "0"),
        Field("min_notional", _DOLLARS, "The least an order must cost without fees.", "0"),
        Field(
            "price_ranges",
            ListOf(RangeOfPrices(), _RANGES_MAX),
            "The price grid: prices from start to end by step. Without it every price of four decimals is on it.",
            [],
        ),
        Field("cost_step", _DOLLAR_STEP, "An order's cost is rounded up to a multiple of this.", "0.000001"),
        Field("resolves_at", Time(), "When it resolves, where that is not when the set does."),
        Field(
            "settle_lag_s",
            Number("seconds", 6, "0", "315360000"),
            "How long after it resolves the cash is back.",
            "0",
        ),
    ),
)
LIMITS = Object(
    "what bounds the portfolio",
    (
        Field("max_cost_usd", _DOLLARS, "The most that all legs may cost with fees."),
        Field(
            "cost_by_account",
            MapOf(_DOLLARS, 2, tuple(venue.value for venue in Venue)),
            "The same for the cash at each venue.",
            {},
        ),
        Field(
            "min_edge_usd",
            Number("dollars", 6, "0", "1"),
            "What every dollar of the certain payoff must earn at least, at the margin.",
            "0",
        ),
        Field(
            "min_annualised",
            Number("times the capital", 6, "0", "1000"),
            "The annual return that every dollar of cost must bring; needs resolves_at.",
        ),
        Field("max_legs", Number("legs", 0, "0", str(_LEGS_MAX)), "The most legs."),
    ),
)
LEG = Object(
    "one leg that is bought",
    (
        Field("market", Text(), "The id of a market of the document.", is_required=True),
        Field("side", Choice(("yes", "no")), "Which outcome is bought.", is_required=True),
        Field("size", _ABOVE_ZERO, "Contracts; a multiple of size_step, not below the minimums.", is_required=True),
        Field("price", PRICE, "Dollars a contract, on the price grid.", is_required=True),
    ),
)
_SET_FIELDS = (
    Field("as_of", Time(), "The instant that the days run from; now where it is absent."),
    Field(
        "markets",
        ListOf(MARKET, _MARKETS_MAX, 1, _NO_MARKETS),
        "The markets of the set, at least one.",
        is_required=True,
    ),
    Field(
        "outcomes",
        ListOf(OutcomeOfSet(), MAX_OUTCOMES, 1, NO_OUTCOME),
        "Every way the markets can settle, at least one normal one. One that is missing invents profit.",
        is_required=True,
    ),
    Field("resolves_at", Time(), "When the markets resolve; not before as_of."),
    Field("limits", LIMITS, "What bounds the portfolio.", {}),
)
SET = Object("SET.json of `crossbook edges`", _SET_FIELDS)
LEGS = Object(
    "LEGS.json of `crossbook calc`",
    (*_SET_FIELDS, Field("legs", ListOf(LEG, _LEGS_MAX, 1, _NO_LEGS), "The legs, one or more.", is_required=True)),
)


def read_fee_schedule(venue: Venue, raw: Any, place: Place) -> FeeSchedule:
    """Return the fee schedule that a document states.

    Args:
        venue: Whose schedule it is.
        raw: The JSON object; None where there is none.
        place: Where it stands in the document.

    Raises:
        InvalidSet: If it cannot be used, or a Polymarket market states none.
    """
    if raw is None and venue is Venue.POLYMARKET:
        raise InvalidSet(f"{written(place)} is missing; a Polymarket market states its rate, also one of 0.")
    found = _FEES[venue].read({} if raw is None else raw, place)
    if venue is Venue.KALSHI:
        return KalshiFeeSchedule(
            found["fee_type"],
            found["fee_multiplier"],
            found["account"],
            scales_makers=found["scales_makers"],
            rebate_when=found["rebate_when"],
        )
    return PolymarketFeeSchedule(found["rate"], found["exponent"], found["taker_only"], found["rounding"])


def json_schema(document: Object) -> dict[str, Any]:
    """Return the published JSON Schema of a document."""
    found = document.schema()
    markets = found["properties"].get("markets")
    if markets is not None:
        market = markets["anyOf"][0]["items"]
        market["oneOf"] = [
            {
                "properties": {"venue": {"const": venue.value}, "fee": {"anyOf": [fee.schema(), *_none(venue)]}},
                **({"required": ["fee"]} if venue is Venue.POLYMARKET else {}),
            }
            for venue, fee in _FEES.items()
        ]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def _none(venue: Venue) -> list[dict[str, Any]]:
    return [{"type": "null"}] if venue is Venue.KALSHI else []
