"""News of our orders: nothing is missed between a mark and a wait, and no stream takes another one down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from orchestration.execution.account_news import AccountNews, NoNews
from streams.market.errors import AuthenticationFailed, TransientError
from streams.market.identity import Venue
from streams.market.user_stream_events import AccountUnread, OrderUpdate, PositionUpdate, UserStreamEvent


def update(order_id: str, client_order_id: str = "") -> OrderUpdate:
    return OrderUpdate(Venue.KALSHI, order_id, "M", "filled", "bid", 5_000, 1, 1, 0, client_order_id=client_order_id)


class Stream:
    """A user stream that yields each of its scripts in turn; an exception in a script is raised."""

    def __init__(self, venue: Venue, *scripts: Sequence[UserStreamEvent | Exception]) -> None:
        self.venue = venue
        self.scripts = list(scripts)
        self.is_open = False
        self.connected = 0

    async def connect(self) -> None:
        assert not self.is_open, "it was not closed"
        self.is_open = True
        self.connected += 1

    async def events(self) -> AsyncIterator[UserStreamEvent]:
        for event in self.scripts.pop(0) if self.scripts else []:
            if isinstance(event, Exception):
                raise event
            yield event
        if not self.scripts:
            await asyncio.Event().wait()

    async def close(self) -> None:
        self.is_open = False


def play(act: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30):
            await act()

    asyncio.run(main())


def test_news_between_the_mark_and_the_wait_is_not_missed() -> None:
    async def act() -> None:
        news = AccountNews([])
        mark = news.mark()
        news.note(update("venue-1", "mine-1"))
        assert await news.wait({"mine-1"}, mark, 60)
        assert await news.wait({"venue-1"}, mark, 60)
        assert not await news.wait({"mine-1"}, news.mark(), 0)

    play(act)


def test_a_wait_is_ended_by_news_of_its_own_orders_only() -> None:
    async def act() -> None:
        news = AccountNews([])
        waits = [asyncio.create_task(news.wait({name}, news.mark(), 60)) for name in ("a", "b")]
        await asyncio.sleep(0)
        news.note(PositionUpdate(Venue.KALSHI, "M", 1, 1, 0, 0))
        news.note(update("b"))
        assert await waits[1]
        assert not waits[0].done()
        news.note(AccountUnread(Venue.KALSHI, "sequence_hole"))  # whatever happened may have been missed
        assert await waits[0]

    play(act)


def test_without_news_a_wait_takes_its_whole_time() -> None:
    async def act() -> None:
        assert not await AccountNews([]).wait({"a"}, 0, 0.001)
        assert not await NoNews().wait({"a"}, 0, 0.001)

    play(act)


@pytest.mark.parametrize(
    "fault", [TransientError("silent"), AuthenticationFailed("no"), RuntimeError("a bug"), AssertionError("")]
)
def test_a_stream_that_fails_is_connected_again_and_costs_nobody_else(fault: Exception) -> None:
    async def act() -> None:
        bad = Stream(Venue.KALSHI, [update("a"), fault], [update("b")])
        good = Stream(Venue.POLYMARKET, [update("c")])
        slept: list[float] = []

        async def sleep(pause_s: float) -> None:
            slept.append(pause_s)

        news = AccountNews([bad, good], sleep=sleep, chance=lambda: 1.0)
        listening = asyncio.create_task(news.listen())
        for name in ("a", "b", "c"):
            assert await news.wait({name}, 0, 20)
        assert (bad.connected, good.connected) == (2, 1)
        assert slept == [{TransientError: 0.5, AuthenticationFailed: 300.0}.get(type(fault), 30.0)]
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        assert not bad.is_open
        assert not good.is_open

    play(act)


def test_a_stream_that_stays_away_is_asked_for_ever_more_rarely() -> None:
    async def act() -> None:
        away = [[TransientError("away")] for _ in range(9)]
        slept: list[float] = []
        has_slept = asyncio.Event()

        async def sleep(pause_s: float) -> None:
            slept.append(pause_s)
            if len(slept) == len(away):
                has_slept.set()

        news = AccountNews([Stream(Venue.KALSHI, *away, [update("a")])], sleep=sleep, chance=lambda: 1.0)
        listening = asyncio.create_task(news.listen())
        await has_slept.wait()
        listening.cancel()
        assert slept == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]

    play(act)


def test_the_memory_of_news_is_bounded() -> None:
    news = AccountNews([])
    for number in range(10_000):
        news.note(update(f"o{number}"))
    assert len(news._heard) == 4_096
