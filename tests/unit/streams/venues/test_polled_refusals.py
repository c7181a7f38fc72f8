"""A market for which the venue refuses a whole call of polled books costs itself."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import orjson
import pytest

from streams.market.errors import NotFound, Refused, TransientError, UnreadableAnswer
from streams.market.events import BookSnapshot
from streams.market.identity import Venue
from streams.venues.common.paging import Items
from streams.venues.kalshi.stream.polling import KalshiPollingFeed


class Named(NamedTuple):
    market_id: str


class Client:
    """Gives books, and refuses every call in which one of the bad markets stands."""

    def __init__(self, *bad: str, error: Exception | None = None, status: Exception | None = None) -> None:
        self.bad, self.error, self.status = set(bad), error or Refused("bad_request"), status
        self.calls: list[list[str]] = []

    async def exchange_status(self) -> None:
        if self.status is not None:
            raise self.status

    async def order_books(self, asked: list[str]) -> Items[BookSnapshot]:
        self.calls.append(list(asked))
        if self.bad.intersection(asked):
            raise self.error
        levels: dict[str, Any] = {"yes_dollars": [["0.40", "1.00"]], "no_dollars": []}
        return Items(BookSnapshot(Venue.KALSHI, name, [(4_000, 1_000_000)], [], payload=levels) for name in asked)


async def polled(client: Client, names: list[str], polls: int = 1) -> tuple[KalshiPollingFeed, list[dict[str, Any]]]:
    """Return the feed, connected, and what its first polls brought."""
    feed = KalshiPollingFeed(client, interval_s=0.001)  # type: ignore[arg-type]
    await feed.connect()
    await feed.subscribe([Named(name) for name in names])
    frames: list[dict[str, Any]] = []
    batches = feed.batches()
    while not frames or len(client.calls) < polls:
        frames += [orjson.loads(frame.raw)["msg"] for frame in await anext(batches)]
    await batches.aclose()
    return feed, frames


@pytest.mark.parametrize("error", [Refused("invalid_parameters"), NotFound("market_not_found")])
def test_the_other_books_come(error: Exception) -> None:
    names = [f"M{number}" for number in range(10)]
    client = Client("M3", "M7", error=error)
    _, frames = asyncio.run(polled(client, names))
    assert sorted(f["market_ticker"] for f in frames if "unreadable" not in f) == [
        n for n in names if n not in client.bad
    ]
    assert sorted(f["market_ticker"] for f in frames if "unreadable" in f) == ["M3", "M7"]


def test_a_refused_market_is_asked_for_again_when_its_book_is_wanted() -> None:
    client = Client("B")

    async def main() -> list[list[str]]:
        feed, _ = await polled(client, ["A", "B"])
        asked = len(client.calls)
        client.bad.clear()
        await feed.resync(["B"])
        await anext(feed.batches())
        return client.calls[asked:]

    assert asyncio.run(main()) == [["A", "B"]]


def test_a_venue_that_refuses_any_market_is_one_that_fails() -> None:
    names = [f"M{number}" for number in range(40)]
    client = Client(*names)
    with pytest.raises(TransientError, match="refuses books of any market"):
        asyncio.run(polled(client, names))
    assert len(client.calls) < 300


def test_a_status_that_cannot_be_read_keeps_no_book_back() -> None:
    _, frames = asyncio.run(polled(Client(status=UnreadableAnswer(b"{}", "no status")), ["A"]))
    assert [frame["market_ticker"] for frame in frames] == ["A"]
    with pytest.raises(TransientError):
        asyncio.run(polled(Client(status=TransientError("away")), ["A"]))
