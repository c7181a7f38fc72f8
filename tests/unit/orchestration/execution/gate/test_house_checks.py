"""Our own house: each check's reading beside its limit, to the digit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.orchestration.execution.gate.stage import Found, found, plan

NOT_READ = ("refuse", "", "1500.000000", "limit_stress", "what hangs on one source could not be read")


@pytest.mark.parametrize(
    ("check", "change", "expected"),
    [
        ("self_cross", {}, ("pass", "0", "0")),
        ("self_cross", plan(opposing_orders=1), ("refuse", "1", "0", "self_cross", "1 of 0")),
        ("self_cross", plan(opposing_orders=None), ("refuse", "", "0", "self_cross", "they could not be counted")),
        ("self_cross", plan(missing=["house"]), ("refuse", "", "0", "self_cross", "they could not be counted")),
        ("reconciled", {}, ("pass", "20.0", "300")),
        ("reconciled", plan(reconciled_s_ago={"kalshi": 300, "polymarket": 20.04}), ("pass", "300.0", "300")),
        (
            "reconciled",
            plan(reconciled_s_ago={"kalshi": 20, "polymarket": 301}),
            ("refuse", "301.0", "300", "not_reconciled", "301.0 of 300"),
        ),
        (
            "reconciled",
            plan(reconciled_s_ago={"kalshi": 20, "polymarket": None}),
            (
                "refuse",
                "",
                "300",
                "not_reconciled",
                "the account at polymarket was never found to agree with our books",
            ),
        ),
        ("reconciled", plan(reconciled_s_ago={}), ("not_applicable", "", "")),
        (
            "reconciled",
            plan(missing=["house"]),
            ("refuse", "", "300", "not_reconciled", "the last comparisons could not be read"),
        ),
        ("disk", plan(free_disk_mb=1_000), ("pass", "1000", "1000")),
        ("disk", plan(free_disk_mb=999), ("refuse", "999", "1000", "disk", "999 of 1000")),
        ("disk", plan(free_disk_mb=None), ("refuse", "", "1000", "disk", "not readable")),
        ("disk", plan(missing=["house"]), ("refuse", "", "1000", "disk", "not readable")),
        # legs of 23.368250 and 26.999000, with 1.880050 to spare, and what hangs on the worse source
        ("stress_loss", {}, ("pass", "52.247300", "1500.000000")),
        ("stress_loss", plan(stress_e6={}), ("pass", "52.247300", "1500.000000")),
        (
            "stress_loss",
            plan(stress_e6={"nasa": 5_000_000, "usgs": 9_000_000, "else": 10**12}, sources=["nasa", "usgs"]),
            ("pass", "61.247300", "1500.000000"),
        ),
        (
            "stress_loss",
            plan(stress_e6={"nasa": 1_447_752_701}),
            ("refuse", "1500.000001", "1500.000000", "limit_stress", "1500.000001 of 1500.000000"),
        ),
        ("stress_loss", plan(stress_e6=None), NOT_READ),
        ("stress_loss", plan(sources=[]), NOT_READ),
        ("stress_loss", plan(missing=["house"]), NOT_READ),
        ("stress_loss", {"legs": None}, NOT_READ),
    ],
)
def test_each_check_says_what_it_read_beside_its_limit(check: str, change: dict[str, Any], expected: Found) -> None:
    assert found(check, change) == expected
