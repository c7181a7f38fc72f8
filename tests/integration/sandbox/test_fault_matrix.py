"""Each fault of the sandbox against our own clients, once: what they report is what happened, or unknown."""

from __future__ import annotations

import asyncio

import pytest

from tests.proofs import fault_feeds, fault_orders


def _name(case: fault_orders.OrderCase | fault_feeds.FeedCase) -> str:
    operation = getattr(case, "operation", "feed")
    return f"{case.venue}-{operation}-{case.what}".replace(" ", "_")


@pytest.mark.parametrize("case", fault_orders.CASES, ids=_name)
def test_a_report_on_an_order_is_true_or_unknown(case: fault_orders.OrderCase) -> None:
    outcome = asyncio.run(fault_orders.run_case(case, 1))
    assert outcome.wrong == []


@pytest.mark.parametrize("case", fault_feeds.CASES, ids=_name)
def test_a_book_is_right_or_marked_stale(case: fault_feeds.FeedCase) -> None:
    outcome = asyncio.run(fault_feeds.run_case(case, 1))
    assert outcome.wrong == []
    if case.rules:
        assert outcome.fired
