"""Polymarket's budgets: what a request is charged to, never more than a window holds, shared by processes' ledgers."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from pathlib import Path

import pytest

from streams.venues.common.token_buckets import FileLedger
from streams.venues.polymarket.limits import PolymarketLimits, signer_budget


class Clock:
    """A clock that sleeping moves, and the waits it saw."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self.waits: list[float] = []
        monkeypatch.setattr(asyncio, "sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def read(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize(
    ("service", "method", "path", "budget"),
    [
        ("clob", "POST", "/order", "orders"),
        ("clob", "POST", "/orders", "orders"),
        ("clob", "DELETE", "/order", "cancels"),
        ("clob", "DELETE", "/cancel-all", "cancels"),
        ("clob", "DELETE", "/auth/api-key", None),
        ("clob", "POST", "/books", None),
        ("clob", "GET", "/data/orders", None),
        ("gamma", "GET", "/markets/keyset", None),
    ],
)
def test_orders_and_cancels_count_against_the_signer(service: str, method: str, path: str, budget: str | None) -> None:
    assert signer_budget(service, method, path) == budget


def test_no_ten_seconds_hold_more_than_the_venues_window(clock: Clock) -> None:
    limits = PolymarketLimits(monotonic=clock.read)
    taken: list[float] = []

    async def main() -> None:
        for _ in range(900):
            await limits.acquire("gamma", "GET", "/markets/keyset")
            taken.append(clock.now)

    asyncio.run(main())
    busiest = max(sum(1 for at in taken if start <= at < start + 10) for start in taken[::10])
    assert 200 < busiest <= 300


def test_a_batch_costs_its_orders_and_single_orders_wait_behind_it(clock: Clock) -> None:
    limits = PolymarketLimits(monotonic=clock.read)

    async def main() -> None:
        for _ in range(4):
            await limits.acquire("clob", "POST", "/orders", 15)
        await limits.acquire("clob", "DELETE", "/order")

    asyncio.run(main())
    # 48 tokens at once, then 32 a second: 60 are 12 too many
    assert sum(clock.waits) == pytest.approx(12 / 32)


def test_a_429_empties_the_budget_that_was_likely_meant(clock: Clock) -> None:
    limits = PolymarketLimits(monotonic=clock.read)

    async def main() -> None:
        limits.refused("clob", "POST", "/order")
        await limits.acquire("clob", "DELETE", "/order")
        assert clock.waits == []
        await limits.acquire("clob", "POST", "/order")
        limits.refused("clob", "GET", "/book")
        await limits.acquire("clob", "GET", "/price")
        await limits.acquire("clob", "GET", "/book")
        limits.refused("gamma", "GET", "/markets/7")
        await limits.acquire("gamma", "GET", "/markets/7")
        limits.refused("gamma", "GET", "/tags/7")
        await limits.acquire("gamma", "GET", "/tags/7")

    asyncio.run(main())
    assert clock.waits == pytest.approx([1 / 32, 1 / 105, 1 / 21, 1 / 280])


def test_single_markets_count_against_the_window_of_their_list_and_an_order_waits_for_none(clock: Clock) -> None:
    limits = PolymarketLimits(monotonic=clock.read)

    async def main() -> None:
        for number in range(61):
            await limits.acquire("gamma", "GET", f"/markets/{number}")
        await limits.acquire("clob", "POST", "/order")

    asyncio.run(main())
    assert clock.waits == pytest.approx([1 / 21])


def test_no_ten_minutes_hold_more_cancels_than_the_venue_takes(clock: Clock) -> None:
    limits = PolymarketLimits(monotonic=clock.read)
    taken: list[float] = []

    async def main() -> None:
        for _ in range(12_000):
            await limits.acquire("clob", "DELETE", "/cancel-all")
            taken.append(clock.now)

    asyncio.run(main())
    busiest = max(bisect_left(taken, start + 600) - place for place, start in enumerate(taken))
    assert 4_800 < busiest <= 6_000


def test_processes_share_their_budgets_through_files(clock: Clock, tmp_path: Path) -> None:
    def of_process() -> PolymarketLimits:
        return PolymarketLimits(
            address_ledger=FileLedger(tmp_path / "address.json"),
            signer_ledger=FileLedger(tmp_path / "signer.json"),
            monotonic=clock.read,
        )

    async def main() -> None:
        one, other = of_process(), of_process()
        await one.acquire("clob", "POST", "/orders", 15)
        await one.acquire("clob", "POST", "/orders", 15)
        await other.acquire("clob", "POST", "/orders", 15)
        assert clock.waits == []
        await other.acquire("clob", "POST", "/orders", 15)

    asyncio.run(main())
    assert clock.waits == pytest.approx([12 / 32])


def test_every_window_fits_the_shared_page(clock: Clock, tmp_path: Path) -> None:
    limits = PolymarketLimits(address_ledger=FileLedger(tmp_path / "address.json"), monotonic=clock.read)

    async def main() -> None:
        for name in list(limits._windows):
            method, _, path = name.partition(" ")
            await limits.acquire("clob" if path else name, method if path else "GET", path or "/x")

    asyncio.run(main())
    assert 0 < (tmp_path / "address.json").stat().st_size <= 4096


def test_the_signing_key_and_the_windows_say_how_many_orders_are_left(clock: Clock) -> None:
    limits = PolymarketLimits(monotonic=clock.read)
    assert limits.left("clob", "POST", "/order") == 48

    async def main() -> None:
        await limits.acquire("clob", "POST", "/orders", 15)

    asyncio.run(main())
    assert limits.left("clob", "POST", "/order") == 33
    assert limits.left("relayer", "POST", "/submit") == 5
