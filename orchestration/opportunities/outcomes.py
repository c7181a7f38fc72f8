"""The allowed outcomes of a set of related markets, and what each leg pays in each of them.

An outcome says what one YES of every market pays. Missing an outcome invents profit; an extra one only costs
opportunity. Stress outcomes (a void, a split settlement) are reported, never optimised for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streams.market.errors import InvalidAmount
from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4, price_e4

MAX_OUTCOMES = 4_096
NO_OUTCOME = "The set has no outcome; list every way its markets can settle."


class InvalidSet(ValueError):
    """A description of a set that cannot be used; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class OutcomeCase:
    """One way the set can settle. `settles` maps a market id to what its YES pays (`price_e4`); absent ids pay 0."""

    name: str
    kind: Literal["normal", "stress"]
    settles: Mapping[str, int]

    def pays(self, market: str, outcome: Outcome) -> int:
        """Return what one contract of `outcome` of `market` pays, as `price_e4`."""
        settlement = self.settles.get(market, 0)
        return settlement if outcome == "yes" else PRICE_ONE_E4 - settlement


def parse_outcomes(raw: object, known: Collection[str]) -> tuple[OutcomeCase, ...]:
    """Parse the `outcomes` of a set: lists of ids that resolve yes, or objects with `settles`.

    Raises:
        InvalidSet: If there is none (or no normal one), more than 4,096, or one names an unknown id.
    """
    if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
        raise InvalidSet(NO_OUTCOME)
    if len(raw) > MAX_OUTCOMES:
        raise InvalidSet(f"The set has {len(raw)} outcomes; at most {MAX_OUTCOMES} can be handled.")
    cases = tuple(_parse_case(number, item) for number, item in enumerate(raw, start=1))
    for case in cases:
        for market in case.settles:
            if market not in known:
                raise InvalidSet(f"Outcome {case.name[:80]!r} names {market[:80]!r}, which is not a market of the set.")
    if not any(case.kind == "normal" for case in cases):
        raise InvalidSet("The set has no normal outcome; a lock needs at least one.")
    return cases


def normal_cases(cases: Sequence[OutcomeCase]) -> list[OutcomeCase]:
    """Return the outcomes in which the portfolio must pay: all but the stress cases."""
    return [case for case in cases if case.kind == "normal"]


def _parse_case(number: int, item: Any) -> OutcomeCase:
    if isinstance(item, Mapping):
        kind = item.get("kind", "normal")
        if kind not in ("normal", "stress"):
            raise InvalidSet(f"Outcome {number} has kind {str(kind)[:40]!r}; it is either normal or stress.")
        settles = item.get("settles", {})
        if not isinstance(settles, Mapping):
            raise InvalidSet(f"Outcome {number}: settles must map ids to what one YES pays.")
        return OutcomeCase(
            str(item.get("name") or f"outcome {number}"),
            "stress" if kind == "stress" else "normal",
            {str(market): _settlement(number, value) for market, value in settles.items()},
        )
    if isinstance(item, Sequence) and not isinstance(item, str):
        ids = [str(market) for market in item]
        if len(set(ids)) != len(ids):
            raise InvalidSet(f"Outcome {number} names a market twice.")
        return OutcomeCase(" + ".join(ids) or "none", "normal", dict.fromkeys(ids, PRICE_ONE_E4))
    raise InvalidSet(f"Outcome {number} is neither a list of ids nor an object with settles.")


def _settlement(number: int, value: Any) -> int:
    try:
        settlement = price_e4(value)
    except InvalidAmount as error:
        raise InvalidSet(f"Outcome {number}: {error}.") from None
    if not 0 <= settlement <= PRICE_ONE_E4:
        raise InvalidSet(f"Outcome {number}: a YES pays between 0 and 1, not {str(value)[:40]}.")
    return settlement
