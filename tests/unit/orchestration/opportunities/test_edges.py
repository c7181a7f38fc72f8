from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from orchestration.opportunities.bundles import find_bundles
from orchestration.opportunities.edges import Offer, take, walk
from orchestration.opportunities.outcomes import parse_outcomes
from orchestration.opportunities.sizing import Cap, size_bundle
from streams.market.fees import KalshiFeeSchedule, PolymarketFeeSchedule
from streams.market.taker_fees import taker_fees

KALSHI, POLYMARKET = KalshiFeeSchedule(), PolymarketFeeSchedule(rate_e6=40_000)


def offer(levels: list[tuple[int, int]], *, is_kalshi: bool = True, minimum: int = 10_000) -> Offer:
    schedule = KALSHI if is_kalshi else POLYMARKET
    return Offer("x", levels, taker_fees(schedule), min_size_e6=minimum)


ladders = st.lists(
    st.tuples(st.integers(1, 99).map(lambda cent: cent * 100), st.integers(1, 5_000).map(lambda n: n * 10_000)),
    max_size=6,
    unique_by=lambda level: level[0],
).map(sorted)


@given(first=ladders, second=ladders, threshold=st.integers(0, 300))
def test_a_walk_never_exceeds_depth_and_every_level_earns_the_threshold(
    first: list[tuple[int, int]], second: list[tuple[int, int]], threshold: int
) -> None:
    offers = [offer(first), offer(second, is_kalshi=False)]
    edge = walk(offers, 10_000, threshold_e4=threshold)
    if edge is None:
        return
    assert edge.profit_e6 == edge.payoff_e6 - edge.cost_e6 - edge.fee_e6 > 0
    for taken, each in zip(edge.legs, offers, strict=True):
        assert taken.size_e6 == edge.size_e6 <= sum(size for _, size in each.levels)
        assert taken == take(each, edge.size_e6)
        assert taken.fee_bound_e6 >= taken.fee_e6 >= 0
    dearest = sum(taken.limit_price_e4 for taken in edge.legs)
    assert dearest + threshold < 10_000


@example(first=[(100, 220_000)], second=[(200, 220_000)], cash=1_635)
@given(first=ladders, second=ladders, cash=st.integers(0, 50_000_000))
def test_sizing_never_spends_more_than_a_cap(
    first: list[tuple[int, int]], second: list[tuple[int, int]], cash: int
) -> None:
    offers = [offer(first), offer(second, is_kalshi=False)]
    cap = Cap("limit_pair", cash, (0, 1))
    sized = size_bundle(offers, 10_000, threshold_e4=10, max_contracts_e6=50_000_000, caps=[cap])
    if sized.edge is not None:
        assert sized.edge.size_e6 <= 50_000_000
        assert sum(leg.cost_e6 + leg.fee_e6 for leg in sized.edge.legs) <= cash


def test_fees_of_both_venues_are_paid_at_each_level() -> None:
    edge = walk([offer([(4_000, 10_000_000)]), offer([(5_000, 10_000_000)], is_kalshi=False)], 10_000)
    assert edge is not None
    # 10 x (1 - 0.9) = 1; 0.07 x 10 x 0.24 = 0.168; 0.04 x 10 x 0.25 = 0.1
    assert (edge.fee_e6, edge.profit_e6) == (268_000, 732_000)


def test_a_gap_that_fees_eat_is_no_edge() -> None:
    assert walk([offer([(4_800, 10_000_000)]), offer([(5_000, 10_000_000)], is_kalshi=False)], 10_000) is None


def test_a_size_below_a_minimum_is_no_edge() -> None:
    cheap, dear = offer([(4_000, 3_000_000)]), offer([(5_000, 10**9)], is_kalshi=False, minimum=5_000_000)
    assert walk([cheap, dear], 10_000) is None


def test_bundles_of_pairs_ladders_and_events_are_found_from_their_outcomes() -> None:
    aligned = find_bundles(["a", "b"], parse_outcomes([["a", "b"], []], {"a", "b"}))
    assert {bundle.leg_set for bundle in aligned} == {"a:yes+b:no", "a:no+b:yes"}
    inverted = find_bundles(["a", "b"], parse_outcomes([["a"], ["b"]], {"a", "b"}))
    assert {bundle.leg_set for bundle in inverted} == {"a:yes+b:yes", "a:no+b:no"}
    ladder = find_bundles(["lo", "hi"], parse_outcomes([[], ["lo"], ["lo", "hi"]], {"lo", "hi"}))
    assert {bundle.leg_set for bundle in ladder} == {"hi:no+lo:yes"}
    event = find_bundles(["a", "b", "c"], parse_outcomes([["a"], ["b"], ["c"], []], {"a", "b", "c"}))
    assert ("a:no+b:no+c:no", 20_000) in {(bundle.leg_set, bundle.payoff_e4) for bundle in event}


def test_sets_of_up_to_so_many_legs_are_found_where_each_leg_adds_to_what_they_pay() -> None:
    """Four exclusive markets: any two NO pay one dollar, any three of them two; YES adds nothing for certain."""
    four = ["a", "b", "c", "d"]
    cases = parse_outcomes([*([market] for market in four), []], set(four))
    by_legs = {count: [b for b in find_bundles(four, cases, 3) if len(b.legs) == count] for count in (2, 3, 4)}
    assert {bundle.leg_set for bundle in by_legs[3]} == {
        "a:no+b:no+c:no", "a:no+b:no+d:no", "a:no+c:no+d:no", "b:no+c:no+d:no"
    }  # fmt: skip
    assert {bundle.payoff_e4 for bundle in by_legs[3]} == {20_000}
    assert [bundle.leg_set for bundle in by_legs[4]] == ["a:no+b:no+c:no+d:no"]
    assert not [bundle for bundle in find_bundles(four, cases) if len(bundle.legs) == 3]
    ladder = parse_outcomes([[], ["lo"], ["lo", "mid"], ["lo", "mid", "hi"]], {"lo", "mid", "hi"})
    assert {len(bundle.legs) for bundle in find_bundles(["lo", "mid", "hi"], ladder, 3)} == {2}


def test_three_exclusive_markets_on_two_venues_lock_with_the_cheapest_of_each() -> None:
    keys = ["kalshi:A", "kalshi:B", "kalshi:C", "polymarket:b"]
    cases = parse_outcomes([["kalshi:A"], ["kalshi:B", "polymarket:b"], ["kalshi:C"], []], set(keys))
    found = {bundle.leg_set: bundle.payoff_e4 for bundle in find_bundles(keys, cases, 3)}
    assert found["kalshi:A:no+kalshi:C:no+polymarket:b:no"] == 20_000
    assert "kalshi:A:no+kalshi:B:no+polymarket:b:no" not in found
