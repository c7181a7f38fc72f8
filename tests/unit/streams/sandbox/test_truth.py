"""Conditions, chances and which of them are one contract."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.market.errors import ConfigurationError
from streams.market.identity import MarketRef, Venue
from streams.sandbox.catalogue.truth import (
    Condition,
    Fact,
    Truth,
    is_met,
    parse_condition,
    parse_fact,
    start_probability,
    true_pairs,
)

SCALAR = Fact("cpi", "scalar", mean=2.9, sd=0.2, step="0.1")
GAME = Fact("game", "categorical", options={"home": 0.6, "away": 0.4})
FACTS = {"cpi": SCALAR, "game": GAME, "law": Fact("law", "binary", probability=0.3)}


def condition(fact: str, op: str = "is", value: Any = None) -> Condition:
    return parse_condition({"fact": fact, "op": op, "value": value}, FACTS)


def pairs_of(kalshi: Condition, polymarket: Condition) -> list[str]:
    truth = Truth(FACTS, {MarketRef(Venue.KALSHI, "K"): kalshi, MarketRef(Venue.POLYMARKET, "P"): polymarket})
    return [pair.polarity for pair in true_pairs(truth)]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (condition("cpi", "gt", "2.9"), condition("cpi", "ge", "3.0"), ["aligned"]),
        (condition("cpi", "gt", "2.9"), condition("cpi", "ge", "2.9"), []),
        (condition("cpi", "gt", "2.9"), condition("cpi", "le", "2.9"), ["inverted"]),
        (condition("cpi", "lt", "3.0"), condition("cpi", "le", "2.9"), ["aligned"]),
        (condition("cpi", "between", ["3.0", "3.0"]), condition("cpi", "ge", "3.0"), []),
        (condition("game", "in", ["home"]), condition("game", "in", ["away"]), ["inverted"]),
        (condition("game", "in", ["away"]), condition("game", "in", ["away"]), ["aligned"]),
        (condition("law"), condition("law", "not"), ["inverted"]),
        (condition("law"), condition("game", "in", ["home"]), []),
    ],
)
def test_contracts_are_compared_by_the_outcomes_that_pay(
    first: Condition, second: Condition, expected: list[str]
) -> None:
    assert pairs_of(first, second) == expected


@given(st.integers(-50, 150), st.sampled_from(["gt", "ge", "lt", "le"]))
def test_a_threshold_and_its_opposite_have_chances_that_sum_to_one(strike: int, op: str) -> None:
    opposite = {"gt": "le", "le": "gt", "ge": "lt", "lt": "ge"}[op]
    value = f"{strike / 10:.1f}"
    total = start_probability(SCALAR, condition("cpi", op, value)) + start_probability(
        SCALAR, condition("cpi", opposite, value)
    )
    assert total == pytest.approx(1.0)


@given(st.integers(0, 60), st.sampled_from(["gt", "ge", "lt", "le"]))
def test_exactly_one_of_a_threshold_and_its_opposite_is_met(tenths: int, op: str) -> None:
    opposite = {"gt": "le", "le": "gt", "ge": "lt", "lt": "ge"}[op]
    answer = tenths / 10
    assert is_met(SCALAR, condition("cpi", op, "3.0"), answer) != is_met(
        SCALAR, condition("cpi", opposite, "3.0"), answer
    )


@pytest.mark.parametrize(
    "row",
    [
        {"fact": "nothing"},
        {"fact": "cpi", "op": "is"},
        {"fact": "cpi", "op": "near", "value": "3"},
        {"fact": "game", "op": "in", "value": ["draw"]},
        {"fact": "law", "op": "gt", "value": "3"},
    ],
)
def test_a_condition_that_does_not_fit_its_fact_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        parse_condition(row, FACTS)


@pytest.mark.parametrize(
    "row",
    [
        {"id": "a", "kind": "other"},
        {"id": "a", "kind": "binary", "p": 1.2},
        {"id": "a", "kind": "scalar", "sd": 0.0},
        {"id": "a", "kind": "binary", "colour": "red"},
        {"id": "a", "kind": "scalar", "step": "x"},
    ],
)
def test_a_fact_that_cannot_be_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        parse_fact(row)
