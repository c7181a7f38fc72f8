"""The plan against its books and markets: each check's reading beside its limit, to the digit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.orchestration.execution.gate.stage import Found, beyond, found, plan

UNKNOWN = "the plan's books or a market of it could not be read"
OFF = "its grid has no {}, or its size no step"


def legs(*several: list[Any]) -> list[list[Any]]:
    return list(several)


def yes(price: int, notional: int = 0) -> list[Any]:
    return ["kalshi", "K", "yes", price, notional]


def no(price: int, notional: int = 1_000_000) -> list[Any]:
    return ["polymarket", "P", "no", price, notional]


def quotes(*several: tuple[int | None, int | None]) -> list[list[Any]]:
    return [[ask, bid, 50_000_000, None] for ask, bid in several]


@pytest.mark.parametrize(
    ("check", "change", "expected"),
    [
        ("book_age", {}, ("pass", "300", "1000")),
        ("book_age", plan(asked_ms_ago=1_001), beyond("1001", "1000", "stale_book")),
        ("book_skew", {}, ("pass", "120", "500")),
        ("book_skew", plan(read_in_ms=501), beyond("501", "500", "stale_book")),
        ("grid", {}, ("pass", "on", "")),
        # the price of a NO is one of the grid's as one dollar less it: 0.47
        ("grid", plan(price_ranges=[[0, 5_000, 100], [5_000, 10_000, 1_000]]), ("pass", "on", "")),
        ("grid", plan(price_ranges=[[4_500, 4_700, 100]]), ("pass", "on", "")),
        (
            "grid",
            plan(price_ranges=[[4_500, 4_600, 100]]),
            ("refuse", "off", "", "off_grid", OFF.format("polymarket:P at 0.53")),
        ),
        (
            "grid",
            plan(price_ranges=[[4_600, 4_700, 100]]),
            ("refuse", "off", "", "off_grid", OFF.format("kalshi:K at 0.45")),
        ),
        (
            "grid",
            plan(price_ranges=[[50, 9_950, 100]]),
            ("refuse", "off", "", "off_grid", OFF.format("kalshi:K at 0.45")),
        ),
        (
            "grid",
            plan(
                price_ranges=[[50, 9_950, 100]],
                legs=legs(yes(4_550), no(5_350)),
                quotes=quotes((4_500, 4_300), (5_300, 5_100)),
            ),
            ("pass", "on", ""),
        ),
        (
            "grid",
            plan(quotes=[[4_500, 4_300, 50_000_000, None], [5_300, 5_100, 50_000_000, 1_000]]),
            ("refuse", "off", "", "off_grid", OFF.format("polymarket:P at 0.53")),
        ),
        ("grid", plan(size_e6=50_005_000), ("refuse", "off", "", "off_grid", OFF.format("kalshi:K at 0.45"))),
        ("price_collar", {}, ("pass", "0", "0.10")),
        ("price_collar", plan(legs=legs(yes(5_500), no(5_300))), ("pass", "0.1", "0.10")),
        ("price_collar", plan(legs=legs(yes(5_501), no(5_300))), beyond("0.1001", "0.10", "price_collar")),
        (
            "price_collar",
            plan(quotes=quotes((None, 4_300), (5_300, 5_100))),
            ("refuse", "", "0.10", "price_collar", "a leg has no offer"),
        ),
        # a hundredth of a contract at 0.53 can be neither completed nor sold
        ("partial_fill", {}, ("pass", "0.0053", "2")),
        # without bids only 10 contracts of the other leg, a dollar's worth, complete it: 4.50 are stuck
        (
            "partial_fill",
            plan(legs=legs(yes(4_500), no(1_000)), quotes=quotes((4_500, None), (1_000, 900))),
            beyond("4.5", "2", "partial_fill"),
        ),
        # 1.123596 contracts at 0.90 can be sold again at 0.89 long before 20 at 0.05 can be bought
        (
            "partial_fill",
            plan(
                legs=legs(["polymarket", "K", "yes", 9_000, 1_000_000], no(500)),
                quotes=quotes((9_000, 8_900), (500, 400)),
            ),
            ("pass", "1.0112364", "2"),
        ),
        ("exit_depth", {}, ("pass", "1.0000", "0.25")),
        (
            "exit_depth",
            plan(quotes=[[4_500, 4_300, 12_490_000, None], [5_300, 5_100, 50_000_000, 100]]),
            beyond("0.2498", "0.25", "exit_depth"),
        ),
        (
            "exit_depth",
            plan(quotes=[[4_500, 4_300, 50_000_000, None], [5_300, 5_100, 12_345_678, 100]]),
            beyond("0.2469", "0.25", "exit_depth"),
        ),
        ("exit_depth", plan(size_e6=0), ("refuse", "", "0.25", "exit_depth", UNKNOWN)),
        ("settlement_dates", {}, ("pass", "0.0000", "7")),
        ("settlement_dates", plan(settles_in_days=[8, 1]), ("pass", "7.0000", "7")),
        ("settlement_dates", plan(settles_in_days=[1, 8.01]), beyond("7.0100", "7", "settlement_dates")),
        (
            "settlement_dates",
            plan(settles_in_days=[None, 1]),
            ("refuse", "", "7", "settlement_dates", "when a market settles is not known"),
        ),
        (
            "settlement_dates",
            plan(legs=legs(yes(4_500), ["kalshi", "K", "no", 5_300, 0])),
            ("not_applicable", "", ""),
        ),
    ],
)  # fmt: skip
def test_each_check_says_what_it_read_beside_its_limit(check: str, change: dict[str, Any], expected: Found) -> None:
    assert found(check, change) == expected


@pytest.mark.parametrize("missing", ["plan", "quotes", "markets"])
@pytest.mark.parametrize(
    ("check", "limit", "reason"),
    [
        ("price_collar", "0.10", "price_collar"),
        ("grid", "", "off_grid"),
        ("partial_fill", "2", "partial_fill"),
        ("exit_depth", "0.25", "exit_depth"),
    ],
)
def test_without_plan_books_or_markets_no_leg_is_judged(check: str, limit: str, reason: str, missing: str) -> None:
    assert found(check, plan(missing=[missing])) == ("refuse", "", limit, reason, UNKNOWN)


@pytest.mark.parametrize(("check", "limit"), [("book_age", "1000"), ("book_skew", "500")])
def test_without_books_there_is_no_age_of_them(check: str, limit: str) -> None:
    assert found(check, plan(missing=["quotes"])) == ("refuse", "", limit, "stale_book", UNKNOWN)


@pytest.mark.parametrize("missing", ["plan", "markets"])
def test_without_plan_or_markets_no_dates_are_compared(missing: str) -> None:
    expected = ("refuse", "", "7", "settlement_dates", UNKNOWN)
    assert found("settlement_dates", plan(missing=[missing])) == expected


def test_a_book_fewer_than_legs_refuses() -> None:
    few = plan(quotes=[[4_500, 4_300, 50_000_000, None]])
    assert found("price_collar", few) == ("refuse", "", "0.10", "price_collar", UNKNOWN)
