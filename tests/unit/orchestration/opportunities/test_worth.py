"""What a hedge is worth, by hand: locked dollars less fees' tail, leg gap and stress, per dollar and day tied up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from orchestration.opportunities.bundles import LegKey
from orchestration.opportunities.edges import Edge, Taken
from orchestration.opportunities.outcomes import OutcomeCase, parse_outcomes
from orchestration.opportunities.worth import (
    StressCase,
    StressPriors,
    Worth,
    closing_e6,
    stress_cases,
    worth_of,
)

NOW = datetime(2026, 11, 30, tzinfo=UTC)
PRIORS = StressPriors(Decimal("0.002"), Decimal("0.001"), Decimal("0.0005"), {"sports": Decimal(3)})
K, P = "kalshi:K", "polymarket:P"


def cases(*outcomes: list[str]) -> tuple[OutcomeCase, ...]:
    return parse_outcomes(list(outcomes), {K, P, "kalshi:K2", "kalshi:K3"})


def edge(contracts: int, cost_usd: str, fee_usd: str, bound_usd: str = "0") -> Edge:
    cost, fee, bound = (int(Decimal(usd).scaleb(6)) for usd in (cost_usd, fee_usd, bound_usd))
    size = contracts * 1_000_000
    legs = (Taken(size, cost, fee, fee + bound, 4_500), Taken(size, 0, 0, 0, 5_300))
    return Edge(size, size, legs, 0)


@pytest.mark.parametrize(
    ("legs", "outcomes", "expected"),
    [
        # YES of one, NO of the other: with a void there, the other still pays nothing in one of the outcomes
        (((K, "yes"), (P, "no")), ([K, P], []), {"void on kalshi": 5_000, "void on polymarket": 5_000,
                                                 "results that differ": 0, "tie": 10_000}),
        # an inverted pair: YES of both
        (((K, "yes"), (P, "yes")), ([K], [P]), {"void on kalshi": 5_000, "void on polymarket": 5_000,
                                                "results that differ": 0, "tie": 10_000}),
        # two strikes of one venue: no two venues can differ
        (((K, "yes"), ("kalshi:K2", "no")), ([], [K], [K, "kalshi:K2"]), {"void on kalshi": 10_000, "tie": 10_000}),
        # NO of three exclusive markets
        (((K, "no"), ("kalshi:K2", "no"), ("kalshi:K3", "no")), ([K], ["kalshi:K2"], ["kalshi:K3"], []),
         {"void on kalshi": 15_000, "tie": 15_000}),
    ],
)  # fmt: skip
def test_each_bundle_has_its_stress_outcomes(
    legs: tuple[LegKey, ...], outcomes: tuple[list[str], ...], expected: dict[str, int]
) -> None:
    found = stress_cases(legs, cases(*outcomes), PRIORS, ["Economics"])
    assert {case.name: case.payoff_e4 for case in found} == expected


def test_the_most_careful_category_sets_the_probabilities_up_to_certainty() -> None:
    usual = {
        case.name: case.probability for case in stress_cases(((K, "yes"), (P, "no")), cases([K, P], []), PRIORS, [""])
    }
    sports = stress_cases(((K, "yes"), (P, "no")), cases([K, P], []), PRIORS, ["Crypto", "Sports"])
    assert usual["results that differ"] == Decimal("0.001")
    assert {case.name: case.probability for case in sports} == {name: 3 * prior for name, prior in usual.items()}
    certain = StressPriors(Decimal("0.6"), Decimal(0), Decimal(0), {"sports": Decimal(3)})
    assert certain.of(["sports"]) == (1, 0, 0)


def test_expected_dollars_are_the_locked_ones_less_everything_expected() -> None:
    """100 contracts for 95 and 1 of fees lock 4. Tail 0.2; gap 0.2 cents each; stress 2 x 0.2 % x 46 + 0.1 % x 96."""
    stress = stress_cases(((K, "yes"), (P, "no")), cases([K, P], []), PRIORS, [""])
    worth = worth_of(edge(100, "95", "1", "0.2"), stress, Decimal("0.002"), NOW, NOW + timedelta(days=10))
    assert (worth.locked_e6, worth.fee_tail_e6, worth.leg_gap_e6) == (4_000_000, 200_000, 200_000)
    assert (worth.stress_e6, worth.stress_loss_e6) == (184_000 + 96_000, 96_000_000)
    assert worth.expected_e6 == 3_320_000
    assert worth.per_capital_day == Decimal("0.00345833")
    assert worth.annualised == Decimal("1.262291")


def test_736_dollars_for_331_days_that_lock_3_27_bring_half_a_percent_a_year() -> None:
    worth = worth_of(edge(739, "730", "5.73"), (), Decimal(0), NOW, NOW + timedelta(days=331))
    assert (worth.capital_e6, worth.locked_e6) == (735_730_000, 3_270_000)
    assert worth.annualised is not None
    assert Decimal("0.0048") < worth.annualised < Decimal("0.005")


def test_cash_that_is_back_within_minutes_counts_as_a_day() -> None:
    quick = worth_of(edge(100, "95", "1"), (), Decimal(0), NOW, NOW + timedelta(minutes=2))
    daily = worth_of(edge(100, "95", "1"), (), Decimal(0), NOW, NOW + timedelta(days=1))
    assert quick.per_capital_day == daily.per_capital_day


def test_what_is_not_known_has_no_return() -> None:
    worth = worth_of(edge(100, "95", "1"), (StressCase("tie", Decimal(1), 5_000),), Decimal(0), NOW, None)
    assert worth.days is worth.per_capital_day is worth.annualised is None
    assert worth.stress_e6 == 46_000_000
    assert Worth(1, 0, 0, (), 0, Decimal(1)).per_capital_day is None


def test_a_bundle_closes_what_every_leg_of_it_meets() -> None:
    """YES of one and NO of the other are held: the reverse closes the lesser of them, and nothing else does."""
    held: dict[LegKey, int] = {(K, "yes"): 40, (K, "no"): 10, (P, "no"): 25}
    assert closing_e6([(K, "no"), (P, "yes")], held) == 25
    assert closing_e6([(K, "yes"), (P, "no")], held) == 0
    assert closing_e6([(K, "no"), ("kalshi:K2", "no")], held) == 0


def test_an_exit_that_frees_more_than_it_costs_ties_up_nothing() -> None:
    bought = edge(100, "95", "1")
    assert worth_of(bought, (), Decimal(0), NOW, None, 100_000_000).capital_e6 == 0
    assert worth_of(bought, (), Decimal(0), NOW, None, 0).capital_e6 == 96_000_000
