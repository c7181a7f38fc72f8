"""Each fault of the sandbox against our own clients, once: what they report is what happened, or unknown.

Most of a case is waiting, so several run beside each other, each in exchanges of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest

from tests.proofs import fault_feeds, fault_orders

AT_ONCE = 6
Case = TypeVar("Case")
Found = TypeVar("Found")


def run_all(cases: Sequence[Case], run: Callable[[Case, int], Awaitable[Found]]) -> list[Found | Exception]:
    """Run every case once; an outcome that could not be had is its exception."""

    async def main() -> list[Found | Exception]:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(case: Case) -> Found | Exception:
            async with places:
                try:
                    return await run(case, 1)
                except Exception as error:
                    return error

        return await asyncio.gather(*(one(case) for case in cases))

    return asyncio.run(main())


@pytest.fixture(scope="module")
def orders() -> list[fault_orders.Outcome | Exception]:
    """What each case of orders came to, in their order."""
    return run_all(fault_orders.CASES, fault_orders.run_case)


@pytest.fixture(scope="module")
def feeds() -> list[fault_feeds.FeedOutcome | Exception]:
    """What each case of books came to, in their order."""
    return run_all(fault_feeds.CASES, fault_feeds.run_case)


def _name(case: fault_orders.OrderCase | fault_feeds.FeedCase) -> str:
    operation = getattr(case, "operation", "feed")
    return f"{case.venue}-{operation}-{case.what}".replace(" ", "_")


@pytest.mark.parametrize("number", range(len(fault_orders.CASES)), ids=[_name(case) for case in fault_orders.CASES])
def test_a_report_on_an_order_is_true_or_unknown(orders: list[fault_orders.Outcome | Exception], number: int) -> None:
    outcome = orders[number]
    if isinstance(outcome, Exception):
        raise outcome
    assert outcome.wrong == []


@pytest.mark.parametrize("number", range(len(fault_feeds.CASES)), ids=[_name(case) for case in fault_feeds.CASES])
def test_a_book_is_right_or_marked_stale(feeds: list[fault_feeds.FeedOutcome | Exception], number: int) -> None:
    outcome = feeds[number]
    if isinstance(outcome, Exception):
        raise outcome
    assert outcome.wrong == []
    if fault_feeds.CASES[number].rules:
        assert outcome.fired
