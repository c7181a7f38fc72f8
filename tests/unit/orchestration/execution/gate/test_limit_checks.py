"""Limits and cash: each check's reading beside its limit, to the digit.

The hedge is 50 contracts for 23.368250 at Kalshi and 26.999000 at Polymarket, with 1.880050 to spare once.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.golden.execution.gate import used
from tests.unit.orchestration.execution.gate.stage import K_LEG, P_LEG, TWO_OF_KALSHI, Found, found

UNKNOWN = "limits or exposure could not be read"
NO_LONG = ("refuse", "", "1000.000000", "limit_long", "what is tied up for long could not be read")
NO_CASH = "the accounts' cash could not be read"
POTS = [["kalshi", 2, 60_000_000, 1, 0], ["polymarket", None, 60_000_000, 1, 0]]


@pytest.mark.parametrize(
    ("check", "change", "expected"),
    [
        ("order_contracts", {}, ("pass", "50.000000", "50.000000")),
        ("order_contracts", {"legs": TWO_OF_KALSHI}, ("pass", "50.000000", "50.000000")),
        ("order_contracts", {"legs": []}, ("pass", "0.000000", "50.000000")),
        (
            "order_contracts",
            {"legs": [K_LEG, ["polymarket", None, "P", 50_000_001, 1]]},
            ("refuse", "50.000001", "50.000000", "limit_order", "50.000001 of 50.000000"),
        ),
        ("market", {}, ("pass", "28.879050", "200.000000")),
        ("market", {"legs": TWO_OF_KALSHI}, ("pass", "35.248300", "200.000000")),
        ("market", {"legs": []}, ("pass", "0.000000", "200.000000")),
        ("market", {"used_e6": used(market=7_000_000)}, ("pass", "35.879050", "200.000000")),
        ("market", {"legs": [["kalshi", 2, "Z", 1, 1_000_000], P_LEG]}, ("pass", "28.879050", "200.000000")),
        ("pair", {"used_e6": used(pair=3_000_000)}, ("pass", "55.247300", "300.000000")),
        ("event", {}, ("pass", "28.879050", "600.000000")),
        ("event", {"legs": TWO_OF_KALSHI}, ("pass", "35.248300", "600.000000")),
        ("event", {"legs": []}, ("pass", "0.000000", "600.000000")),
        ("event", {"used_e6": used(event=10_000_000)}, ("pass", "35.248300", "600.000000")),
        (
            "event",
            {"legs": [["kalshi", 2, "Z", 1, 1], P_LEG]},
            ("refuse", "", "600.000000", "limit_event", "the event of a market is not known"),
        ),
        ("venue", {}, ("pass", "28.879050", "2000.000000")),
        ("venue", {"legs": TWO_OF_KALSHI}, ("pass", "35.248300", "2000.000000")),
        ("venue", {"legs": []}, ("pass", "0.000000", "2000.000000")),
        ("venue", {"used_e6": used(venue=10_000_000)}, ("pass", "35.248300", "2000.000000")),
        ("total", {"used_e6": used(total=1)}, ("pass", "52.247301", "2000.000000")),
        ("long_capital", {}, ("not_applicable", "", "")),
        ("long_capital", {"legs": None}, NO_LONG),
        ("edge", {}, ("pass", "0.02", "0.050000")),
        ("edge", {"released_edge_usd": "0.79"}, ("pass", "0.02", "0.79")),
        ("edge", {"released_edge_usd": "0.01"}, ("pass", "0.02", "0.050000")),
        (
            "edge",
            {"edge_usd": "0.051"},
            (
                "refuse",
                "0.051",
                "0.050000",
                "edge_too_good",
                "an edge this good waits for a person; `crossbook waiting` lists it",
            ),
        ),
        ("cash_age", {}, ("pass", "1", "15")),
        ("cash_age", {"legs": []}, ("pass", "0", "15")),
        (
            "cash_age",
            {"pots": [["kalshi", 0, 0, 15.5, 0], ["kalshi", 2, 1, 1, 0], ["polymarket", None, 1, 2, 0]]},
            ("refuse", "15.5", "15", "balance", "the cash was read 15.5 s ago"),
        ),
        ("cash_age", {"pots": None}, ("refuse", "", "15", "balance", NO_CASH)),
        ("cash_age", {"legs": None}, ("refuse", "", "15", "balance", NO_CASH)),
        ("cash_age", {"pots": [POTS[1]]}, ("refuse", "", "15", "balance", "the cash at kalshi was never read")),
        # the pot that is left with least, the spare in each of them
        ("balance", {}, ("pass", "28.879050", "60.000000")),
        ("balance", {"legs": TWO_OF_KALSHI}, ("pass", "35.248300", "60.000000")),
        ("balance", {"legs": []}, ("not_applicable", "", "")),
        (
            "balance",
            {"pots": [["kalshi", 2, 60_000_000, 1, 34_751_700], POTS[1]]},
            ("pass", "25.248300", "25.248300"),
        ),
        (
            "balance",
            {"pots": [["kalshi", None, 60_000_000, 1, 34_751_701], POTS[1]]},
            ("refuse", "25.248300", "25.248299", "balance", "25.248300 of 25.248299"),
        ),
        (
            "balance",
            {"pots": [["kalshi", 0, 60_000_000, 1, 0], POTS[1]]},
            ("refuse", "", "", "balance", "kalshi has no reading for the exchange shard 2"),
        ),
        # where the shard is not known, the pot with least in it pays
        (
            "balance",
            {
                "legs": [["kalshi", None, "K", 1, 1_000_000]],
                "pots": [
                    ["kalshi", 0, 9_000_000, 1, 0],
                    ["kalshi", 1, 3_000_000, 1, 0],
                    ["kalshi", 2, 5_000_000, 1, 0],
                ],
            },
            ("pass", "2.880050", "3.000000"),
        ),
        ("balance", {"pots": None}, ("refuse", "", "", "balance", NO_CASH)),
        ("balance", {"legs": None}, ("refuse", "", "", "balance", NO_CASH)),
    ],
)
def test_each_check_says_what_it_read_beside_its_limit(check: str, change: dict[str, Any], expected: Found) -> None:
    assert found(check, change) == expected


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("order_contracts", "limit_order"),
        ("market", "limit_market"),
        ("pair", "limit_pair"),
        ("event", "limit_event"),
        ("venue", "limit_venue"),
        ("total", "limit_total"),
    ],
)
@pytest.mark.parametrize("missing", ["legs", "limits_e6", "used_e6"])
def test_without_size_limits_or_exposure_nothing_is_within_a_limit(check: str, reason: str, missing: str) -> None:
    assert found(check, {missing: None}) == ("refuse", "", "", reason, UNKNOWN)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"is_long": True, "long_e6": 5_000_000}, ("pass", "57.247300", "1000.000000")),
        (
            {"is_long": True, "long_e6": 947_752_701},
            ("refuse", "1000.000001", "1000.000000", "limit_long", "1000.000001 of 1000.000000"),
        ),
        ({"is_long": None}, NO_LONG),
        ({"long_e6": None}, NO_LONG),
    ],
)
def test_capital_that_is_tied_up_for_long_has_a_limit_of_its_own(fields: dict[str, Any], expected: Found) -> None:
    assert found("long_capital", {}, fields) == expected
