"""Portfolios against plain counting: every combination of sizes of small sets, with everything that can bind."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from orchestration.opportunities import portfolio
from orchestration.opportunities.documents import edges_answer
from orchestration.opportunities.edges import Offer
from orchestration.opportunities.outcomes import OutcomeCase, parse_outcomes
from orchestration.opportunities.portfolio import Leg, Limits, Portfolio, best_portfolio, evaluate, smallest_order_e6
from orchestration.opportunities.program import Program
from streams.market.fees import KalshiFeeSchedule, PolymarketFeeSchedule
from streams.market.taker_fees import taker_fees

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ONE = 1_000_000
SCHEDULES = (PolymarketFeeSchedule(), PolymarketFeeSchedule(rate_e6=40_000), KalshiFeeSchedule())


def three(depth: str, limits: dict[str, Any], **rules: str) -> dict[str, Any]:
    """Three outcomes of which one comes true, offered at 0.834 together."""
    offered = zip("abc", ("0.184", "0.35", "0.30"), ("100", depth, depth), strict=True)
    markets = [
        {
            "id": name,
            "venue": "polymarket",
            "fee": {"rate": "0"},
            "size_step": "1",
            "min_notional": "5",
            "yes_asks": [[price, size]],
            **rules,
        }
        for name, price, size in offered
    ]
    return {"markets": markets, "outcomes": [["a"], ["b"], ["c"]], "limits": limits}


def test_a_leg_below_the_minimum_notional_is_raised_to_the_next_size_it_admits() -> None:
    answer = edges_answer(three("26", {"max_legs": 3}), NOW)
    # 28 x 0.184 = 5.152 is the first size worth five dollars; 26 x 0.65 = 16.9; the least payoff is 26
    assert [leg["size"] for leg in answer["legs"]] == ["28", "26", "26"]
    assert answer["locked_profit_usd"] == "3.948"
    assert "min_notional" in answer["binding"]


def test_a_budget_buys_the_smallest_admissible_sizes() -> None:
    answer = edges_answer(three("100", {"max_legs": 3, "max_cost_usd": "22.1"}), NOW)
    assert [leg["size"] for leg in answer["legs"]] == ["28", "26", "26"]
    assert {"min_notional", "max_cost_usd"} <= set(answer["binding"])


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (three("20", {"max_cost_usd": "12"}), {"min_notional", "max_cost_usd"}),
        (three("10", {"max_legs": 3}), {"min_notional"}),
        (three("100", {"max_legs": 2}), {"max_legs"}),
        (three("3", {}, min_notional="0", min_size="4"), {"min_size"}),
        (three("100", {"cost_by_account": {"polymarket": "3"}}), {"min_notional", "cost_by_account.polymarket"}),
        (three("0.4", {}, min_notional="0"), {"size_step"}),
    ],
)
def test_what_keeps_a_set_that_would_earn_something_from_fitting_is_named(
    document: dict[str, Any], named: set[str]
) -> None:
    answer = edges_answer(document, NOW)
    assert answer["legs"] == []
    assert named <= set(answer["binding"])


def test_a_set_that_earns_nothing_names_nothing() -> None:
    document = three("100", {"max_legs": 3})
    document["outcomes"] = [["a"], ["b"], ["c"], []]
    assert edges_answer(document, NOW)["binding"] == []


@pytest.mark.parametrize("seed", range(60))
def test_the_smallest_order_is_the_first_size_that_is_admitted(seed: int) -> None:
    source = random.Random(seed)
    prices = sorted(source.sample(range(1, 99), 3))
    levels = [(price * 100, source.randrange(1, 12) * ONE) for price in prices]
    step, minimum, notional = source.choice([1, 2, 5]) * ONE, source.randrange(0, 9) * ONE, source.randrange(0, 9) * ONE
    offer = Offer("x", levels, taker_fees(SCHEDULES[0]), step, minimum, notional)
    depth = sum(size for _, size in levels)
    admitted = [size for size in range(step, depth + 1, step) if size >= minimum and _cost(levels, size) >= notional]
    found = smallest_order_e6(offer)
    assert found == admitted[0] if admitted else found > depth - depth % step


def _cost(levels: Sequence[tuple[int, int]], size: int) -> int:
    cost = 0
    for price, offered in levels:
        part = min(size, offered)
        cost, size = cost + price * part // 10_000, size - part
    return cost


def small_set(source: random.Random) -> tuple[list[Leg], tuple[OutcomeCase, ...], Limits]:
    """A set of two to four asks of a few contracts, with minimums and limits that bind often."""
    names = list("abcd")[: source.randrange(2, 5)]
    side = source.choice(["yes", "no"]) if len(names) > 2 else "yes"
    outcomes = [[name] for name in names]
    share = (1.0 if side == "yes" else len(names) - 1.0) / len(names)
    legs: list[Leg] = []
    for name in names:
        best = max(2, min(97, round(100 * share) - source.randrange(0, 9)))
        levels = [((best + n) * 100, source.randrange(1, 5) * ONE) for n in range(2)]
        rules = (source.choice([0, 0, 2, 3]) * ONE, source.choice([0, 0, 0, 500_000, 1_000_000, 2_000_000]))
        offer = Offer(f"{name}:{side}", levels, taker_fees(source.choice(SCHEDULES)), ONE, *rules)
        legs.append(Leg(name, "yes" if side == "yes" else "no", offer, source.choice(["kalshi", "polymarket"])))
    limits = Limits(
        max_cost_e6=source.choice([None, None, source.randrange(1, 12) * ONE]),
        cost_by_account_e6=source.choice([{}, {"kalshi": source.randrange(1, 6) * ONE}]),
        max_legs=source.choice([None, None, 2, 3]),
    )
    return legs, parse_outcomes(outcomes, names), limits


def counted(legs: Sequence[Leg], cases: Sequence[OutcomeCase], limits: Limits) -> Portfolio:
    """The best of every combination of whole contracts that the rules admit."""
    best = evaluate([], cases)
    ranges = [range(sum(size for _, size in leg.offer.levels) // ONE + 1) for leg in legs]
    for sizes in product(*ranges):
        taken = [(leg, portfolio._take(leg, size * ONE)) for leg, size in zip(legs, sizes, strict=True) if size]
        bought = [(leg, one) for leg, one in taken if one is not None]
        if limits.max_legs is not None and len(bought) > limits.max_legs:
            continue
        if any(one.size_e6 < leg.offer.min_size_e6 or one.cost_e6 < leg.offer.min_notional_e6 for leg, one in bought):
            continue
        if limits.max_cost_e6 is not None and sum(one.spent_e6 for _, one in bought) > limits.max_cost_e6:
            continue
        if any(
            sum(one.spent_e6 for leg, one in bought if leg.account == account) > most
            for account, most in limits.cost_by_account_e6.items()
        ):
            continue
        found = evaluate(bought, cases)
        if found.locked_e6 > best.locked_e6:
            best = found
    return best


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_small_sets_are_answered_as_by_trying_every_combination(first: int) -> None:
    for seed in range(first, first + 50):
        legs, cases, limits = small_set(random.Random(seed))
        found, best = best_portfolio(legs, cases, limits), counted(legs, cases, limits)
        assert found.locked_e6 == best.locked_e6, (seed, found, best)


def test_a_large_set_is_answered_by_a_few_sparse_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    original = Program.propose

    def counting(program: Program, floors: Any = None) -> list[int]:
        asked.append(floors)
        return original(program, floors)

    monkeypatch.setattr(Program, "propose", counting)
    monkeypatch.setattr(Program, "propose_switched", lambda *_: pytest.fail("200 markets are not switched"))
    fees = taker_fees(PolymarketFeeSchedule(rate_e6=40_000))
    names = [f"m{number}" for number in range(200)]
    # one offer holds 53 contracts, worth 0.2544; the cheapest need 63 to be worth a quarter
    books = [[(48, 53 * ONE)], *([(40 + number % 9, 70 * ONE)] for number in range(199))]
    legs = [
        Leg(name, "yes", Offer(f"{name}:yes", levels, fees, 10_000, ONE, ONE // 4), "polymarket")
        for name, levels in zip(names, books, strict=True)
    ]
    found = best_portfolio(legs, parse_outcomes([[name] for name in names], names), Limits())
    assert found.locked_e6 > 0
    assert all(taken.cost_e6 >= ONE // 4 for _, taken in found.legs)
    assert len(asked) <= 3
