"""What positions across an event are sure to pay: the formula beside every result written out."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.sandbox.core.collateral import CollateralType, Leg, collateral_type, is_ladder, least_e6, rung_of

KINDS: tuple[CollateralType, ...] = ("MECNET", "DIRECNET", "")
CONTRACT = 1_000_000
amounts = st.integers(-30 * 10**6, 30 * 10**6)
holdings = st.tuples(st.booleans(), st.integers(0, 3_000).map(lambda n: n * 10_000))


def is_admissible(kind: str, values: tuple[int, ...], one: int = 1) -> bool:
    """Whether YES values of all markets (widest first), in parts of `one`, can come about together."""
    if kind == "MECNET":
        return sum(values) <= one
    return kind == "" or list(values) == sorted(values, reverse=True)


def brute_force(kind: str, legs: list[Leg], parts: int = 1) -> int | None:
    """The least over every result that fits what is settled, each value in steps of 1 / parts; None if none fits."""
    choices: list[range] = [
        range(parts + 1)
        if leg.settled_e4 is None
        else range(leg.settled_e4 * parts // 10_000, leg.settled_e4 * parts // 10_000 + 1)
        for leg in legs
    ]
    found = [
        sum(
            leg.if_yes_e6 * value + leg.if_no_e6 * (parts - value)
            for leg, value in zip(legs, values, strict=True)
            if leg.settled_e4 is None
        )
        // parts
        for values in product(*choices)
        if is_admissible(kind, values, parts)
    ]
    return min(found) if found else None


@settings(max_examples=1_500, deadline=None)
@given(st.sampled_from(KINDS), st.lists(holdings, max_size=6))
@example("MECNET", [(False, CONTRACT), (False, CONTRACT)])
def test_what_positions_guarantee_is_the_worst_of_all_results(
    kind: CollateralType, held: list[tuple[bool, int]]
) -> None:
    legs = [Leg(size if is_yes else 0, 0 if is_yes else size) for is_yes, size in held]
    assert least_e6(kind, legs) == brute_force(kind, legs)


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(KINDS), st.lists(st.tuples(amounts, amounts, st.sampled_from((None, None, 0, 10_000))), max_size=6)
)
def test_a_settled_market_leaves_only_the_results_that_fit_it(kind: CollateralType, rows: list[Any]) -> None:
    legs = [Leg(*row) for row in rows]
    alone = sum(min(leg.if_yes_e6, leg.if_no_e6) for leg in legs if leg.settled_e4 is None)
    worst = brute_force(kind, legs)
    assert least_e6(kind, legs) == (alone if worst is None else worst)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(amounts, amounts, st.sampled_from((None, None, None, 2_500, 5_000))), max_size=5),
)
def test_scalar_results_between_are_covered_too(kind: CollateralType, rows: list[Any]) -> None:
    legs = [Leg(*row) for row in rows]
    worst = brute_force(kind, legs, parts=4)
    if worst is not None:
        assert least_e6(kind, legs) == worst


def test_the_example_of_the_venues_help_page() -> None:
    clinton, tillerson, kerry = Leg(0, CONTRACT), Leg(0, 0), Leg(0, CONTRACT)
    assert least_e6("MECNET", [clinton, tillerson, kerry]) == CONTRACT
    assert least_e6("MECNET", [clinton, tillerson, kerry, Leg(0, CONTRACT)]) == 2 * CONTRACT
    assert least_e6("MECNET", [Leg(CONTRACT, 0), Leg(CONTRACT, 0)]) == 0


def test_on_a_ladder_yes_of_a_wider_market_covers_no_of_a_narrower_one_and_not_the_other_way() -> None:
    assert least_e6("DIRECNET", [Leg(3 * CONTRACT, 0), Leg(0, 2 * CONTRACT)]) == 2 * CONTRACT
    assert least_e6("DIRECNET", [Leg(0, 3 * CONTRACT), Leg(2 * CONTRACT, 0)]) == 0


def test_ladders_are_told_by_their_strikes() -> None:
    above = [{"type": "greater", "floor": strike} for strike in ("3.25", "3.5", "10")]
    below = [{"type": "less", "cap": strike} for strike in ("3", "4")]
    assert sorted(map(rung_of, above)) == [rung_of(strike) for strike in above]  # type: ignore[type-var]
    assert sorted(map(rung_of, below)) == [rung_of(below[1]), rung_of(below[0])]  # type: ignore[type-var]
    at, over = rung_of({"type": "greater_or_equal", "floor": "3.25"}), rung_of(above[0])
    assert at is not None
    assert over is not None
    assert at < over
    assert is_ladder(above)
    assert is_ladder(below)
    for strikes in ([*above, *below], [above[0], above[0]], [*above, None], [{"type": "between", "floor": "1"}], []):
        assert not is_ladder(strikes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "strike", "is_exclusive", "kind"),
    [
        (None, None, True, "MECNET"),
        (None, {"type": "greater", "floor": "3"}, False, "DIRECNET"),
        (None, {"type": "custom"}, False, ""),
        ("", {"type": "greater", "floor": "3"}, False, ""),
        ("DIRECNET", None, True, "DIRECNET"),
        ("NEWNET", None, True, "MECNET"),
    ],
)
def test_an_events_scheme_is_what_the_catalogue_says_or_follows_from_its_markets(
    said: Any, strike: Any, is_exclusive: bool, kind: str
) -> None:
    assert collateral_type(said, [strike], is_exclusive=is_exclusive) == kind
