from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from streams.market.identity import Venue
from streams.sandbox.catalogue.load import BUNDLED, load_catalogue
from streams.sandbox.catalogue.truth import true_pairs
from streams.sandbox.core.profile import named_profile
from streams.sandbox.process.options import load_profile, named_flow
from tests.proofs.money.bridge import Done
from tests.proofs.money.home import mismatched, variables
from tests.proofs.money.judging import judge_capture, judge_control, judge_trades, leg_losses, usd
from tests.proofs.money.oracle import Capture
from tests.proofs.money.trades import Trade
from tests.proofs.table import Line, Table
from tests.unit.proofs.test_money_bridge import buy, sell, trade

AS_PLANNED = (buy(0, 20, 4_500, 150_000), buy(1, 20, 5_100, 50_000))
TWO_CENTS_DEARER = (buy(0, 20, 4_500, 150_000), buy(1, 20, 5_300, 50_000, "complete"))
SOLD_AGAIN = (buy(0, 20, 4_500, 150_000), sell(0, 20, 4_400, 150_000))


def ended(orders: tuple[Done, ...], number: int = 1) -> Trade:
    """A trade of the plan of 0.60 whose rows agree with its orders."""
    one = trade(600_000, 0, orders)
    cash = sum(one.steps.values())
    result = cash - one.steps["not paid yet"]
    return replace(one, execution_id=number, locked_e6=result, floor_e6=result, cash_e6=cash)


def line(table: Table, what: str) -> Line:
    (found,) = (line for line in table.lines if line.what.startswith(what))
    return found


def judged(trades: list[Trade], scenario: str = "mild") -> Table:
    table = Table("x")
    judge_trades(table, trades, scenario)
    return table


def test_twenty_trades_as_planned_pass() -> None:
    table = judged([ended(AS_PLANNED, number) for number in range(20)])
    assert table.is_ok
    assert line(table, "result").found.startswith("$12.00 on $388.00 bought; 95 %: $12.00 to $12.00")
    assert table.figures["bridge: gross edge"] == "$16.00"
    assert table.figures["bridge: cash so far"] == "-$388.00"


def test_nineteen_trades_are_too_few_and_two_bad_ones_of_twenty_too_many() -> None:
    assert not line(judged([ended(AS_PLANNED)] * 19), "trades that bought").is_ok
    assert line(judged([ended(AS_PLANNED)] * 19 + [ended(TWO_CENTS_DEARER)]), "locked not worse").is_ok
    assert not line(judged([ended(AS_PLANNED)] * 18 + [ended(TWO_CENTS_DEARER)] * 2), "locked not worse").is_ok


def test_a_trade_that_was_sold_again_counts_and_one_that_bought_nothing_does_not() -> None:
    table = judged([ended(AS_PLANNED)] * 19 + [ended(SOLD_AGAIN), ended(())])
    assert line(table, "trades that bought").found == "20"
    assert line(table, "locked not worse").found == "19 of 20 (95.0%)"


def test_mild_must_earn_and_harsh_may_lose_a_thousandth_of_what_it_bought() -> None:
    losing = [ended(TWO_CENTS_DEARER)] * 20
    assert not line(judged([ended(SOLD_AGAIN)] * 20), "result").is_ok
    assert line(judged(losing), "result").is_ok
    assert not line(judged([ended(SOLD_AGAIN)] * 20, "harsh"), "result").is_ok
    little = replace(ended(AS_PLANNED), cash_e6=-20_000_000 - 19_000)
    assert line(judged([little] * 20, "harsh"), "result").is_ok
    assert not line(judged([little] * 20), "result").is_ok
    assert not line(judged([], "harsh"), "result").is_ok


def test_exposure_beyond_budget_and_rows_that_differ_are_named() -> None:
    table = judged([replace(ended(AS_PLANNED, 7), exposure_e6_s=601_000_000, floor_e6=1)])
    assert line(table, "trades exposed").found == "[7]"
    assert "7: result 600000 and 1 in the mart" in line(table, "trades whose orders").found


def test_a_capture_of_less_than_four_fifths_fails_and_says_why_it_was_missed() -> None:
    table = Table("x")
    judge_capture(table, Capture(80, 100, 1, 100, 80, ()), {})
    judge_capture(table, Capture(79, 100, 1, 100, 79, ()), {})
    judge_capture(table, Capture(0, 0, 0, 0, 0, ()), {})
    assert [found.is_ok for found in table.lines] == [True, False, False]


def test_a_control_allows_no_trade() -> None:
    table = Table("x")
    judge_control(table, [ended(())])
    judge_control(table, [ended(AS_PLANNED, 3)])
    assert [(found.found, found.is_ok) for found in table.lines] == [("0", True), ("[3]", False)]


def test_what_was_paid_beyond_plan_is_told_by_leg_venue_and_purpose() -> None:
    (first, second) = leg_losses([ended(TWO_CENTS_DEARER), ended(SOLD_AGAIN)])
    assert (first.leg, first.orders, first.beyond_e6) == ("leg 2 of 2, kalshi, complete", 1, 400_000)
    assert (second.leg, second.orders, second.beyond_e6) == ("leg 1 of 2, polymarket, open", 2, 0)


def test_dollars_are_written_with_their_sign_in_front() -> None:
    assert [usd(1_234_567_890), usd(-5_000), usd(0)] == ["$1,234.57", "-$0.00", "$0.00"]


# -- controls ----------------------------------------------------------------------------------------------------------


def test_the_mismatched_catalogue_has_near_misses_and_not_one_true_pair(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with gzip.open(BUNDLED, "rt") as file:
        rows = mismatched(map(json.loads, file), now.date())
    path = tmp_path / "catalogue.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    truth = load_catalogue(path, now).truth
    assert true_pairs(truth) == []
    assert len(truth.near_misses) > 20
    assert sum(ref.venue is Venue.KALSHI for ref in truth.conditions) > 100


def test_a_run_is_told_its_scenario_and_seed_and_a_control_its_files(tmp_path: Path) -> None:
    assert variables(tmp_path, "harsh", 103, "") == {
        "CROSSBOOK_SANDBOX_SCENARIO": "harsh",
        "CROSSBOOK_SANDBOX_SEED": "103",
    }
    told = variables(tmp_path, "mild", 101, "no-gaps")
    profile, parameters = load_profile(
        Path(told["CROSSBOOK_SANDBOX_BEHAVIOUR"]), named_profile("realistic"), named_flow("")
    )
    assert profile == named_profile("realistic")
    assert parameters.noise_e4 == parameters.brief_gaps_per_h == 0
    assert parameters.kalshi_lag_ms == parameters.polymarket_lag_ms
