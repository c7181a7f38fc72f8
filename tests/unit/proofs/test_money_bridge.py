from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from orchestration.execution.decide.hedge_plan import Plan, PlanLeg
from streams.market.identity import Venue
from streams.market.trading import Purpose
from tests.proofs.money.bootstrap import interval
from tests.proofs.money.bridge import STEPS, Done, Settled, bridge, locked_e6
from tests.proofs.money.trades import Trade, tick_e4

CONTRACT = 1_000_000


def leg(number: int, price_e4: int, contracts: int, pays: tuple[int, ...]) -> PlanLeg:
    venue = Venue.POLYMARKET if number == 0 else Venue.KALSHI
    return PlanLeg(number, venue, f"m{number}", "yes", price_e4, pays, price_e4 * contracts * 100)


def plan_of(contracts: int = 20, fees_e6: int = 200_000) -> Plan:
    """A pair at 0.45 and 0.51: 20 contracts lock 0.80 before fees of 0.20."""
    legs = (leg(0, 4_500, contracts, (10_000, 0)), leg(1, 5_100, contracts, (0, 10_000)))
    gross = contracts * CONTRACT - sum(each.cost_e6 for each in legs)
    return Plan(
        legs, contracts * CONTRACT, 200, 50 * CONTRACT, 600 * CONTRACT, CONTRACT, planned_profit_e6=gross - fees_e6
    )


def buy(number: int, contracts: int, price_e4: int, fee_e6: int = 0, purpose: Purpose = "open") -> Done:
    return Done(number, purpose, "buy", contracts * CONTRACT, price_e4 * contracts * 100, fee_e6)


def sell(number: int, contracts: int, price_e4: int, fee_e6: int = 0) -> Done:
    return Done(number, "unwind", "sell", contracts * CONTRACT, price_e4 * contracts * 100, fee_e6)


def shown(steps: dict[str, int]) -> dict[str, int]:
    return {name: amount for name, amount in steps.items() if amount}


def test_a_hedge_as_planned_is_its_gross_edge_less_fees_less_what_is_not_paid_yet() -> None:
    orders = [buy(0, 20, 4_500, 150_000), buy(1, 20, 5_100, 50_000)]
    steps = bridge(plan_of(), orders, Settled())
    assert shown(steps) == {"gross edge": 800_000, "planned fees": -200_000, "not paid yet": -20_000_000}
    assert locked_e6(plan_of(), orders) == 600_000


def test_once_it_is_paid_what_is_left_is_the_profit() -> None:
    orders = [buy(0, 20, 4_500, 150_000), buy(1, 20, 5_100, 50_000)]
    steps = bridge(plan_of(), orders, Settled(20_000_000, is_over=True))
    assert shown(steps) == {"gross edge": 800_000, "planned fees": -200_000}


def test_a_void_is_what_the_payout_lacks() -> None:
    orders = [buy(0, 20, 4_500, 150_000), buy(1, 20, 5_100, 50_000)]
    steps = bridge(plan_of(), orders, Settled(13_000_000, is_over=True))
    assert shown(steps) == {"gross edge": 800_000, "planned fees": -200_000, "void": -7_000_000}


def test_a_leg_that_is_completed_dearer_is_completing_slippage() -> None:
    # 10 as planned and 10 at two cents more: 0.20
    orders = [buy(0, 20, 4_500, 150_000), buy(1, 10, 5_100, 25_000), buy(1, 10, 5_300, 26_000, "complete")]
    steps = bridge(plan_of(), orders, Settled())
    assert steps["completing slippage"] == -200_000
    assert steps["fee slippage"] == -1_000
    assert steps["opening slippage"] == steps["unwinds"] == steps["dust"] == steps["not filled"] == 0


def test_an_unwind_costs_what_was_paid_less_what_it_brought_and_the_rest_is_not_filled() -> None:
    # 5 of 20 are sold again at 0.43: 5 x 0.02, the fee of the sale, and a quarter of the first leg's fee
    orders = [buy(0, 20, 4_500, 160_000), buy(1, 15, 5_100, 30_000), sell(0, 5, 4_300, 10_000)]
    steps = bridge(plan_of(), orders, Settled())
    assert steps["unwinds"] == -(100_000 + 10_000 + 40_000)
    assert steps["not filled"] == -150_000
    assert steps["fee slippage"] == 150_000 - (120_000 + 30_000)


def test_contracts_beyond_the_matched_ones_are_dust() -> None:
    orders = [buy(0, 20, 4_500), buy(1, 18, 5_100)]
    steps = bridge(plan_of(fees_e6=0), orders, Settled())
    assert steps["dust"] == -900_000
    assert steps["not filled"] == -80_000
    assert locked_e6(plan_of(fees_e6=0), orders) == 800_000 - 80_000 - 900_000


def test_a_complement_is_a_sale_for_what_is_left_of_its_dollar() -> None:
    orders = [buy(0, 20, 4_500), buy(1, 15, 5_100), Done(0, "complement", "buy", 5 * CONTRACT, 2_900_000, 7_000)]
    steps = bridge(plan_of(fees_e6=0), orders, Settled())
    # five cost 2.25 and bring 5 - 2.90 less the fee
    assert steps["unwinds"] == -2_250_000 + 2_100_000 - 7_000
    assert steps["not paid yet"] == -15_000_000 - 5_000_000


def test_everything_sold_again_is_flat() -> None:
    orders = [buy(0, 20, 4_500, 100_000), sell(0, 20, 4_400, 90_000)]
    steps = bridge(plan_of(), orders, Settled())
    assert steps["not filled"] == -600_000
    assert steps["unwinds"] == -200_000 - 190_000
    assert sum(steps.values()) == -390_000


def random_orders(rng: Random) -> list[Done]:
    """Purchases and sales of two legs at odd amounts; never more sold than bought."""
    orders = []
    for number in (0, 1):
        held = 0
        for purpose in ("open", "complete", "unwind"):
            is_buy = purpose != "unwind"
            size = rng.randrange(0, 7_000_001 if is_buy else held + 1)
            held += size if is_buy else -size
            action, cash = ("buy" if is_buy else "sell"), size * rng.randrange(1, 10_000) // 10_000
            orders.append(Done(number, purpose, action, size, cash, rng.randrange(0, 90_000)))  # type: ignore[arg-type]
    return orders


@pytest.mark.parametrize("seed", range(200))
def test_the_steps_add_up_to_the_cash_to_the_millionth(seed: int) -> None:
    rng = Random(seed)
    plan = replace(plan_of(rng.randrange(1, 40)), planned_profit_e6=rng.randrange(-400_000, 900_000))
    orders = random_orders(rng)
    settled = Settled(rng.randrange(0, 20_000_000), is_over=rng.random() < 0.5)
    cash = settled.paid_e6 + sum(
        (-order.cash_e6 if order.action == "buy" else order.cash_e6) - order.fee_e6 for order in orders
    )
    steps = bridge(plan, orders, settled)
    assert tuple(steps) == STEPS
    assert sum(steps.values()) == cash
    if not settled.is_over:
        assert cash - steps["not paid yet"] == locked_e6(plan, orders)


def trade(planned_e6: int, locked: int, orders: tuple[Done, ...] = (), ticks: tuple[int, ...] = (100, 100)) -> Trade:
    return Trade(
        1, "g", "l", "pair", "HEDGED", plan_of(), ticks, orders, Settled(), planned_e6, locked, locked, 0, 0, 0
    )


def test_what_is_allowed_is_the_smaller_of_a_tick_a_leg_and_a_quarter_of_the_edge() -> None:
    # 20 contracts at two ticks of a cent: 0.40; a quarter of 0.60: 0.15
    assert trade(600_000, 0).allowed_shortfall_e6 == 150_000
    # ticks of a thousandth: 20 x 0.002
    assert trade(600_000, 0, ticks=(10, 10)).allowed_shortfall_e6 == 40_000
    assert trade(600_000, 450_000).is_as_planned
    assert not trade(600_000, 449_999).is_as_planned


def test_half_a_hedge_at_the_planned_prices_is_short_of_the_plan_and_right_for_its_size() -> None:
    orders = (buy(0, 10, 4_500, 75_000), buy(1, 10, 5_100, 25_000))
    half = trade(600_000, 300_000, orders)
    assert not half.is_as_planned
    assert half.is_as_planned_for_its_size
    assert half.differences == ["cash -9700000 and 0 in the ledger", "result 10000000 and 300000 in the mart"]


def test_a_trade_is_beyond_budget_in_dollars_or_in_dollars_times_seconds() -> None:
    assert not replace(trade(1, 1), peak_exposure_e6=50 * CONTRACT, exposure_e6_s=600 * CONTRACT).is_beyond_budget
    assert replace(trade(1, 1), peak_exposure_e6=50 * CONTRACT + 1).is_beyond_budget
    assert replace(trade(1, 1), exposure_e6_s=600 * CONTRACT + 1).is_beyond_budget


def test_the_tick_is_that_of_the_range_the_price_is_in() -> None:
    ranges = [(0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10)]
    assert [tick_e4(ranges, 500, "yes"), tick_e4(ranges, 5_000, "yes"), tick_e4(ranges, 9_500, "yes")] == [10, 100, 10]
    assert tick_e4(ranges, 9_500, "no") == 10
    assert tick_e4([(0, 10_000, 100)], 10_000, "yes") == 100


def test_the_bootstrap_is_the_same_each_time_and_holds_the_sum() -> None:
    values = [100, -50, 30, 80, -20, 10, 60, 40]
    low, high = interval(values)
    assert (low, high) == interval(values)
    assert low < sum(values) < high
    assert interval([]) == (0, 0)
    assert interval([7, 7, 7]) == (21, 21)
