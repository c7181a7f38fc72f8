"""Both venues' fees, against worked rows and as properties."""

from __future__ import annotations

import csv
import json
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.market.errors import InvalidAmount
from streams.market.fees import (
    KalshiFeeSchedule,
    KalshiOrderFees,
    PolymarketFeeSchedule,
    fee_bound_e6,
    from_json,
    kalshi_readings,
    maker_fee_e6,
    piecewise_fee_bound_e6,
    spend_fee_bound_e6,
    taker_fee_e6,
)
from streams.market.identity import Venue
from streams.market.units import cash_e6, cash_e6_of, price_e4, size_e6
from streams.venues.kalshi.types.listings import fee_schedule

KALSHI_ROWS = [
    # price, size, role, schedule, fee: ceil(k*M*C*P*(1-P), 6), then cash floored to the account's step
    ("0.50", "1", "taker", {}, "0.0175"),  # 0.07 * 0.25
    ("0.25", "1", "taker", {}, "0.0132"),  # 0.013125 -> 0.2632 paid
    ("0.73", "137", "taker", {}, "1.8902"),  # 1.890189
    ("0.50", "100", "taker", {"fee_multiplier": 0.5}, "0.875"),
    ("0.50", "100", "taker", {"fee_multiplier": "0"}, "0"),
    ("0.50", "1", "taker", {"account": "fcm"}, "0.02"),
    ("0.005", "0.50", "taker", {"account": "fcm"}, "0.0075"),  # 0.0025 + 0.000088 -> 0.01 paid
    ("0.3301", "0.03", "taker", {}, "0.000497"),  # 0.009903 + 0.000465 -> 0.0104 paid
    ("0.50", "100", "maker", {}, "0"),
    ("0.50", "1", "maker", {"fee_type": "quadratic_with_maker_fees"}, "0.0044"),  # 0.004375
    ("0.50", "100", "maker", {"fee_type": "quadratic_with_combo_maker_fees"}, "0.875"),
    ("0.50", "100", "taker", {"fee_type": "flat"}, "0.875"),
]
POLYMARKET_ROWS = [
    ("0.50", "100", "taker", {"rate": 0.07, "exponent": 1, "takerOnly": True, "rebateRate": 0.2}, "1.75"),
    ("0.485", "250", "taker", {"rate": "0.07", "exponent": "1", "taker_only": True}, "4.37106"),  # 4.3710625
    ("0.745", "200", "taker", {"r": 0.05, "e": 1, "to": True}, "1.89975"),
    ("0.9975", "12.5", "taker", {"rate": "0.05"}, "0.00156"),  # 0.00155859375
    ("0.9975", "12.5", "taker", {"rate": "0.05", "rounding": "floor"}, "0.00155"),
    ("0.0001", "0.1", "taker", {"rate": "0.07"}, "0"),  # 0.0000007 is below the least fee
    ("0.50", "100", "maker", {"rate": "0.07"}, "0"),
    ("0.50", "100", "maker", {"rate": "0.07", "taker_only": False}, "1.75"),
    ("0.50", "100", "taker", {"rate": "0.25", "exponent": "2"}, "1.5625"),  # 100 * 0.25 * 0.0625
    ("0.50", "100", "taker", {}, "0"),
]


@pytest.mark.parametrize(
    ("venue", "row"), [("kalshi", r) for r in KALSHI_ROWS] + [("polymarket", r) for r in POLYMARKET_ROWS]
)
def test_a_single_fill_costs_what_the_schedule_says(venue: str, row: tuple[str, str, str, dict[str, Any], str]) -> None:
    price, size, role, schedule, expected = row
    fee = taker_fee_e6 if role == "taker" else maker_fee_e6
    assert fee(price_e4(price), size_e6(size), from_json(venue, schedule)) == cash_e6(expected)


_KALSHI_PRECISION = {
    # The schedule's own table prints whole cents, which is what an account kept in cents pays.
    "cent (schedule table)": "fcm",
    "non-direct member 0.01": "fcm",
    "direct member 0.0001": "direct",
    "any": "direct",
}


def test_every_row_of_the_kalshi_fee_table_is_met(shared_dir: Path) -> None:
    rows = list(csv.DictReader((shared_dir / "venues/kalshi-fees.csv").open()))
    for row in rows:
        schedule = from_json(
            "kalshi",
            {
                "fee_type": row["series_kind"],
                "fee_multiplier": row["fee_multiplier"],
                "account": _KALSHI_PRECISION[row["rounding"]],
            },
        )
        fee = taker_fee_e6 if row["role"] == "taker" else maker_fee_e6
        expected = cash_e6(row["expected_fee_dollars"])
        assert fee(price_e4(row["price_dollars"]), size_e6(row["contracts"]), schedule) == expected, row
    assert len(rows) == 91


def test_every_row_of_the_polymarket_fee_table_is_met(shared_dir: Path) -> None:
    rows = list(csv.DictReader((shared_dir / "venues/polymarket-fees.csv").open()))
    for row in rows:
        schedule = from_json("polymarket", {"rate": row["fee_rate"]})
        fee = taker_fee_e6 if row["role"] == "taker" else maker_fee_e6
        price, size = price_e4(row["price"]), size_e6(row["shares"])
        got = Decimal(fee(price, size, schedule)).scaleb(-6)
        if "builder" in row["category"]:
            notional = Decimal(row["price"]) * Decimal(row["shares"])
            got += (notional / 100).quantize(Decimal("0.00001"), ROUND_HALF_UP)
        if row["precision"] == "cents":
            # The published table is printed in cents.
            got = got.quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert got == Decimal(row["expected_fee_usd"]), row
    assert len(rows) == 67


def test_the_accumulator_of_an_order_follows_the_worked_cases(shared_dir: Path) -> None:
    cases = json.loads((shared_dir / "venues/kalshi-samples/fee_accumulator_cases.json").read_text())["cases"]
    for case in cases:
        account = "direct" if case["balance_precision"] == "0.0001" else "fcm"
        fees = KalshiOrderFees(from_json("kalshi", {"fee_type": "quadratic_with_maker_fees", "account": account}))
        for fill in case["fills"]:
            got = fees.fill(price_e4(fill["price"]), size_e6(fill["count"]), is_taker=fill["rate"] == "0.07")
            assert got.trade_fee_e6 == cash_e6(fill["trade_fee"])
            assert got.rounding_fee_e6 == cash_e6(fill["rounding_fee"])
            assert got.rebate_e6 == cash_e6(fill["rebate"])
            assert got.fee_e6 == cash_e6(fill["net_fee"])
            assert got.cash_change_e6 == cash_e6(fill["balance_change"])
            assert fees.accumulator_e6 == cash_e6(fill["accumulator_after"])


ACCUMULATOR_CASES = [
    # account, fills (price, size, is_taker, is_buy), then per fill: trade fee, rounding fee, rebate, cash change, kept
    (
        # 0.07 * 0.20 * 0.37 * 0.63 = 0.0032634; 0.074 paid; 0.0773 charged; the third 0.000036 makes no step yet
        "direct",
        [(3_700, 200_000, True, True)] * 3,
        [(3_264, 36, 0, -77_300, 36), (3_264, 36, 0, -77_300, 72), (3_264, 36, 100, -77_200, 8)],
    ),
    (
        # 0.07 * 3 * 0.0621 * 0.9379 = 0.01223117; 0.1863 paid; 0.20 charged
        "fcm",
        [(621, 3_000_000, True, True)] * 7,
        [
            (12_232, 1_468, 0, -200_000, 1_468),
            (12_232, 1_468, 0, -200_000, 2_936),
            (12_232, 1_468, 0, -200_000, 4_404),
            (12_232, 1_468, 0, -200_000, 5_872),
            (12_232, 1_468, 0, -200_000, 7_340),
            (12_232, 1_468, 0, -200_000, 8_808),
            (12_232, 1_468, 10_000, -190_000, 276),
        ],
    ),
    (
        # Taken, then rested: one accumulator for both; 0.0175 * 0.30 * 0.4 * 0.6 = 0.00126 as a maker.
        "direct",
        [(4_000, 300_000, True, True), (4_000, 300_000, False, True), (4_000, 300_000, False, False)],
        [(5_040, 60, 0, -125_100, 60), (1_260, 40, 100, -121_200, 0), (1_260, 40, 0, 118_700, 40)],
    ),
]


@pytest.mark.parametrize(("account", "fills", "expected"), ACCUMULATOR_CASES)
def test_the_fills_of_an_order_share_one_accumulator(account: str, fills: list[Any], expected: list[Any]) -> None:
    fees = KalshiOrderFees(from_json("kalshi", {"fee_type": "quadratic_with_maker_fees", "account": account}))
    for (price, size, is_taker, is_buy), row in zip(fills, expected, strict=True):
        got = fees.fill(price, size, is_taker=is_taker, is_buy=is_buy)
        assert (
            got.trade_fee_e6, got.rounding_fee_e6, got.rebate_e6, got.cash_change_e6, fees.accumulator_e6
        ) == row  # fmt: skip


def test_what_the_rules_leave_open_can_be_read_the_other_way() -> None:
    # 0.30 at 0.50 keeps 0.00005 a fill: two of them reach a step, three pass it.
    fees = KalshiOrderFees(from_json("kalshi", {"rebate_when": "passed"}))
    assert [fees.fill(5_000, 300_000, is_taker=True).rebate_e6 for _ in range(4)] == [0, 0, 100, 0]
    half = {"fee_type": "quadratic_with_maker_fees", "fee_multiplier": "0.5"}
    assert maker_fee_e6(5_000, 100_000_000, from_json("kalshi", half)) == 218_800
    assert maker_fee_e6(5_000, 100_000_000, from_json("kalshi", half | {"scales_makers": False})) == 437_500
    assert taker_fee_e6(5_000, 100_000_000, from_json("kalshi", half | {"scales_makers": False})) == 875_000


def test_an_event_overrides_type_and_multiplier_one_by_one() -> None:
    series = {"fee_type": "quadratic_with_maker_fees", "fee_multiplier": 0.5}
    at_rest = fee_schedule({}, series)
    assert at_rest == {"fee_type": "quadratic_with_maker_fees", "fee_multiplier": "0.5"}
    playing = fee_schedule({"fee_multiplier_override": 1}, series, kalshi_readings("fcm"))
    assert from_json("kalshi", playing) == KalshiFeeSchedule("quadratic_with_maker_fees", 1_000_000, "fcm")
    free = fee_schedule({"fee_type_override": "quadratic", "fee_multiplier_override": 0}, series)
    assert from_json("kalshi", free) == KalshiFeeSchedule("quadratic", 0)


def test_how_the_unpublished_rules_are_read_goes_into_every_schedule() -> None:
    assert kalshi_readings() == {}
    other = kalshi_readings("fcm", scales_makers=False, rebate_when="passed")
    schedule = from_json("kalshi", fee_schedule({}, {"fee_type": "quadratic", "fee_multiplier": 1}, other))
    assert schedule == KalshiFeeSchedule("quadratic", 1_000_000, "fcm", scales_makers=False, rebate_when="passed")


def test_a_rebate_is_paid_back_once_rounding_fees_make_a_whole_step() -> None:
    fees = KalshiOrderFees(KalshiFeeSchedule())
    # 0.30 at 0.50: fee 0.00525, paid 0.15525 -> 0.1553, 0.00005 kept; the second one completes 0.0001
    nets = [fees.fill(5_000, 300_000, is_taker=True).fee_e6 for _ in range(4)]
    assert nets == [5_300, 5_200, 5_300, 5_200]


@pytest.mark.parametrize(
    ("venue", "data"),
    [
        ("kalshi", {"fee_type": "margin_market_maker_program_fees"}),
        ("kalshi", {"account": "house"}),
        ("kalshi", {"fee_multiplier": "-1"}),
        ("kalshi", {"fee_multiplier": "much"}),
        ("kalshi", {"rebate_when": "never"}),
        ("kalshi", {"scales_makers": "yes"}),
        ("polymarket", {"rate": [1]}),
        ("polymarket", {"exponent": "1.5"}),
        ("polymarket", {"rate": float("nan")}),
        ("polymarket", {"taker_only": "yes"}),
        ("polymarket", {"rounding": "up"}),
    ],
)
def test_a_schedule_that_cannot_be_meant_is_refused(venue: str, data: dict[str, Any]) -> None:
    with pytest.raises(InvalidAmount):
        from_json(venue, data)


@pytest.mark.parametrize(("price", "size"), [(0, 1), (10_000, 1), (-5, 1), (5_000, -1)])
def test_prices_and_sizes_out_of_range_are_refused(price: int, size: int) -> None:
    for schedule in (KalshiFeeSchedule(), PolymarketFeeSchedule(50_000)):
        with pytest.raises(InvalidAmount):
            taker_fee_e6(price, size, schedule)


def test_the_json_form_gives_the_same_schedule_back() -> None:
    for venue, schedule in (
        (Venue.KALSHI, KalshiFeeSchedule("quadratic_with_maker_fees", 500_000, "fcm")),
        (Venue.KALSHI, KalshiFeeSchedule(scales_makers=False, rebate_when="passed")),
        (Venue.POLYMARKET, PolymarketFeeSchedule(40_000, 1, True)),
    ):
        assert from_json(venue, schedule.to_json()) == schedule
    assert PolymarketFeeSchedule(50_000).to_json() == {"rate": "0.05", "exponent": "1", "taker_only": True}


prices = st.integers(1, 9_999)
sizes = st.lists(st.integers(1, 50_000).map(lambda cents: cents * 10_000), min_size=1, max_size=8)
kalshi_schedules = st.builds(
    KalshiFeeSchedule,
    st.sampled_from(["quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees", "flat"]),
    st.sampled_from([0, 500_000, 1_000_000]),
    st.sampled_from(["direct", "fcm"]),
    st.booleans(),
    st.sampled_from(["reached", "passed"]),
)


@given(prices, sizes, kalshi_schedules, st.booleans(), st.booleans())
def test_kalshi_fees_are_never_negative_and_cash_stays_on_the_grid(
    price: int, parts: list[int], schedule: KalshiFeeSchedule, is_taker: bool, is_buy: bool
) -> None:
    fees = KalshiOrderFees(schedule)
    total = 0
    for part in parts:
        got = fees.fill(price, part, is_taker=is_taker, is_buy=is_buy)
        assert got.fee_e6 >= 0
        assert got.cash_change_e6 % schedule.step_e6 == 0
        principal = cash_e6_of(price, part, paying=is_buy)
        assert got.cash_change_e6 == (-principal if is_buy else principal) - got.fee_e6
        total += got.fee_e6
    assert total <= fee_bound_e6(price, sum(parts), schedule, fills=len(parts), is_taker=is_taker)


@given(st.lists(prices, min_size=1, max_size=4), st.lists(st.integers(1, 90), min_size=1, max_size=9), kalshi_schedules)
def test_kalshi_fees_in_pieces_of_a_contract_or_more_stay_below_their_bound(
    levels: list[int], parts: list[int], schedule: KalshiFeeSchedule
) -> None:
    fees = KalshiOrderFees(schedule)
    fills = [(levels[number % len(levels)], part * 1_000_000) for number, part in enumerate(parts)]
    total = sum(fees.fill(price, part, is_taker=True).fee_e6 for price, part in fills)
    size = sum(part for _, part in fills)
    assert total <= piecewise_fee_bound_e6(levels, size, schedule, splits=len(levels))


def test_a_broker_account_may_keep_a_cent_on_each_cheap_contract_and_a_direct_one_does_not() -> None:
    """50 contracts at 0.05: 0.16625 of model fee; pieces of 0.3325 cents stay below a broker's whole cents."""
    direct, fcm = KalshiFeeSchedule(), KalshiFeeSchedule(account="fcm")
    assert piecewise_fee_bound_e6([500], 50_000_000, direct, splits=1) == 166_250 + 51 + 2 * 100
    assert piecewise_fee_bound_e6([500], 50_000_000, fcm, splits=1) == 166_250 + 51 + 51 * 10_000
    assert piecewise_fee_bound_e6([5_000], 50_000_000, fcm, splits=1) == 875_000 + 51 + 2 * 10_000


@given(prices, sizes, st.integers(0, 100_000), st.integers(1, 3), st.sampled_from(["floor", "half_up", "ceil"]))
def test_polymarket_fees_stay_below_their_bounds(
    price: int, parts: list[int], rate: int, exponent: int, rounding: Any
) -> None:
    schedule = PolymarketFeeSchedule(rate, exponent, True, rounding)
    total = sum(taker_fee_e6(price, part, schedule) for part in parts)
    assert 0 <= total <= fee_bound_e6(price, sum(parts), schedule, fills=len(parts))
    one = taker_fee_e6(price, parts[0], schedule)
    assert one <= spend_fee_bound_e6(cash_e6_of(price, parts[0], paying=True), schedule)


def test_decimal_strings_of_a_multiplier_are_kept_exactly() -> None:
    schedule = from_json("kalshi", {"fee_multiplier": Decimal("0.35")})
    assert schedule.to_json()["fee_multiplier"] == "0.35"
