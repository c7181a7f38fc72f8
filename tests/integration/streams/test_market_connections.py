"""Polymarket's feed over several sockets: who follows what, what a lost socket costs, and tokens that fall silent."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence

import orjson
import pytest
from websockets.asyncio.server import ServerConnection

from streams.market.errors import MalformedFrame, TransientError
from streams.market.events import BookSnapshot, BookStale
from streams.market.identity import Venue
from streams.venues.common.endpoints import Endpoints
from streams.venues.polymarket.stream import commands
from streams.venues.polymarket.stream.feed import PolymarketFeed
from streams.venues.polymarket.stream.isolation import Isolation
from streams.venues.polymarket.stream.probe import rest_probe
from streams.venues.polymarket.stream.silence import BookMark
from tests.fixtures.sandbox_world import CONDITION
from tests.fixtures.sandbox_world import sandbox_world as open_world
from tests.support.venue_servers import Market, PolymarketVenue, play, read_until, snapshots

YES, NO = str(10**40), str(10**40 + 1)
MARKETS = [Market(f"M{n}", f"{n}1", f"{n}2") for n in range(1, 6)]


class NumberedVenue(PolymarketVenue):
    """Books of tokens whose last digit says which outcome they are."""

    def book(self, token: str) -> dict[str, object]:
        return super().book("y" if token.endswith("1") else "n") | {"asset_id": token}


def test_markets_are_spread_over_connections_and_both_tokens_of_one_stay_together() -> None:
    venue = NumberedVenue()

    async def use(at: Endpoints) -> None:
        feed = PolymarketFeed(at, tokens_per_connection=4)
        await feed.connect()
        await feed.subscribe(MARKETS[:3])
        await feed.subscribe(MARKETS)
        events = await read_until(feed, lambda found: len(set(snapshots(found))) == 5)
        assert all(isinstance(event, BookSnapshot) for event in events)
        assert sorted(tuple(connection.markets) for connection in feed.connections) == [
            ("M1", "M2"),
            ("M3", "M4"),
            ("M5",),
        ]
        await feed.resync(["M5", "M1"])
        await read_until(feed, lambda found: set(snapshots(found)) == {"M5", "M1"})
        await feed.unsubscribe([MARKETS[4]])
        assert len(feed.connections) == 2
        await feed.subscribe([MARKETS[4]])
        await read_until(feed, lambda found: snapshots(found) == ["M5"])
        await feed.close()

    play(venue, use)
    assert sorted(map(tuple, venue.connections.values()), key=len, reverse=True)[0][:4] == ("11", "12", "21", "22")
    assert len(venue.connections) == 4


def test_a_token_that_is_left_still_parses_for_a_while_and_is_forgotten_then() -> None:
    now = 0

    async def use(at: Endpoints) -> None:
        nonlocal now
        feed = PolymarketFeed(at, tokens_per_connection=4, clock_ns=lambda: now)
        await feed.connect()
        await feed.subscribe(MARKETS)
        await feed.unsubscribe(MARKETS[:2])
        now += 599 * 1_000_000_000
        await feed.subscribe([MARKETS[0]])  # it comes back
        await feed.unsubscribe([MARKETS[2]])
        assert len(feed.tokens) == 10
        now += 2 * 1_000_000_000
        await feed.unsubscribe([MARKETS[3]])
        assert {token.market_id for token in feed.tokens.values()} == {"M1", "M3", "M4", "M5"}
        now += 601 * 1_000_000_000
        await feed.unsubscribe([])
        assert {token.market_id for token in feed.tokens.values()} == {"M1", "M5"}
        await feed.close()

    play(NumberedVenue(), use)


def test_one_book_that_cannot_be_read_does_not_keep_the_others_of_its_connection_away() -> None:
    class OddVenue(NumberedVenue):
        def book(self, token: str) -> dict[str, object]:
            return super().book(token) | ({"bids": [{"price": "7", "size": "1"}]} if token == "21" else {})

    async def use(at: Endpoints) -> None:
        feed = PolymarketFeed(at)
        await feed.connect()
        await feed.subscribe(MARKETS[:3])
        found: set[str] = set()
        refused = 0
        async with asyncio.timeout(10):
            async for frame in feed.frames():
                try:
                    found |= set(snapshots(feed.parse(frame.raw)))
                except MalformedFrame:
                    refused += 1
                    if refused == 1:
                        await feed.resync(["M1", "M2", "M3"])
                if found == {"M1", "M3"} and refused == 2:
                    break
        await feed.close()

    play(OddVenue(), use)


class PoisonedVenue(NumberedVenue):
    """Closes every connection that asks for a token of M3."""

    async def __call__(self, connection: ServerConnection) -> None:
        whole = connection.recv

        async def recv(decode: bool | None = None) -> str | bytes:
            text = await whole(decode)
            if '"31"' in str(text):
                await connection.close()
            return text

        connection.recv = recv  # type: ignore[method-assign, assignment]
        await super().__call__(connection)


def test_a_token_for_which_the_venue_closes_the_socket_costs_its_market(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.venues.polymarket.stream.feed._REVIVAL_PAUSES_S", (0.01, 0.01))
    isolation = Isolation()

    async def use(at: Endpoints) -> None:
        carried: set[str] = set()
        left_out: set[str] = set()
        lives = 0
        while not (carried == {"M1", "M2", "M4", "M5"} and left_out == {"M3"}):
            lives += 1
            assert lives < 10
            feed = PolymarketFeed(at)
            feed.isolation = isolation
            await feed.connect()
            await feed.subscribe(MARKETS)
            try:
                async for batch in feed.batches():
                    for event in (event for frame in batch for event in feed.parse(frame.raw)):
                        if isinstance(event, BookSnapshot):
                            carried.add(event.market_id)
                        elif isinstance(event, BookStale):
                            carried.discard(event.market_id)
                            left_out |= {event.market_id} if event.cause.startswith("not_carried") else set()
                    if carried == {"M1", "M2", "M4", "M5"} and left_out:
                        break
            except TransientError:
                carried.clear()
            await feed.close()

    play(PoisonedVenue(), use)
    assert isolation.is_suspect(["M3"])


def test_a_lost_connection_makes_only_its_own_books_stale_and_comes_back_by_itself() -> None:
    venue = NumberedVenue()

    async def use(at: Endpoints) -> None:
        feed = PolymarketFeed(at, tokens_per_connection=2)
        await feed.connect()
        await feed.subscribe(MARKETS[:2])
        await read_until(feed, lambda found: len(snapshots(found)) == 2)
        lost = next(connection for connection, tokens in venue.connections.items() if "21" in tokens)
        lost.transport.abort()
        events = await read_until(feed, lambda found: len(snapshots(found)) == 1)
        assert [type(event) for event in events] == [BookStale, BookSnapshot]
        assert isinstance(events[0], BookStale)
        assert (events[0].market_id, events[0].cause) == ("M2", "connection_lost")
        assert snapshots(events) == ["M2"]
        await feed.close()

    play(venue, use)
    assert len(venue.connections) == 3


def test_the_only_connection_of_a_feed_ends_it() -> None:
    async def venue(connection: ServerConnection) -> None:
        connection.transport.abort()

    async def use(at: Endpoints) -> None:
        feed = PolymarketFeed(at)
        await feed.connect()
        with pytest.raises(TransientError):
            await anext(feed.batches())
        await feed.close()
        with pytest.raises(TransientError, match="not connected"):
            await anext(feed.batches())

    play(venue, use)


def test_pings_without_an_answer_lose_the_connection_although_books_arrive() -> None:
    venue = NumberedVenue(answers_ping=False)

    async def use(at: Endpoints) -> None:
        feed = PolymarketFeed(at, silence_timeout_s=0.6)
        await feed.connect()
        await feed.subscribe(MARKETS[:1])

        async def chatter() -> None:
            while True:
                await asyncio.sleep(0.05)
                for connection in venue.connections:
                    await connection.send(json.dumps(venue.book("11")))

        speaking = asyncio.create_task(chatter())
        with pytest.raises(TransientError, match="no answer to PING"):
            async for _ in feed.batches():
                pass
        speaking.cancel()
        await feed.close()

    play(venue, use)
    assert venue.pings >= 1


def test_a_token_whose_book_moves_over_rest_while_the_socket_is_silent_is_said_to_be_stale() -> None:
    venue = NumberedVenue()
    asked: list[list[str]] = []

    async def probe(tokens: Sequence[str]) -> list[BookMark]:
        asked.append(list(tokens))
        if len(asked) == 2:
            raise TransientError("the venue does not answer now")
        # Only the book of the first market moves.
        return [BookMark(token, len(asked), len(asked) if token.startswith("1") else 0) for token in tokens]

    async def use(at: Endpoints) -> None:
        feed = PolymarketFeed(at, probe=probe, token_silence_s=0.2)
        await feed.connect()
        await feed.subscribe(MARKETS[:2])
        events = await read_until(feed, lambda found: isinstance(found[-1], BookStale))
        stale = [event for event in events if isinstance(event, BookStale)]
        assert {(event.market_id, event.cause) for event in stale} == {("M1", "silent_token")}
        await feed.resync(["M1"])
        await read_until(feed, lambda found: "M1" in snapshots(found))
        await feed.close()

    play(venue, use)
    assert sorted(asked[0]) == ["11", "12", "21", "22"]


def test_a_subscription_that_died_at_the_sandbox_is_found_over_rest_and_joined_anew() -> None:
    async def main() -> None:
        async with open_world() as world:
            probe = rest_probe(world.polymarket)
            feed = PolymarketFeed(world.endpoints, probe=probe, token_silence_s=0.2)
            await feed.connect()
            await feed.subscribe([Market(CONDITION, YES, NO)])
            await read_until(feed, lambda found: snapshots(found) == [CONDITION])
            # Behind the feed's back, as the venue does it: without a word and on a connection that lives.
            feed.connections[0].socket.send(orjson.dumps(commands.market_operation("unsubscribe", [YES, NO])))

            async def trade() -> None:
                for number in itertools.count():
                    await asyncio.sleep(0.05)
                    world.quote(Venue.POLYMARKET, f"x{number}", "bid", 4_000, 1)

            trading = asyncio.create_task(trade())
            events = await read_until(feed, lambda found: isinstance(found[-1], BookStale))
            assert isinstance(events[-1], BookStale)
            assert events[-1].cause == "silent_token"
            await feed.resync([CONDITION])
            events = await read_until(feed, lambda found: bool(snapshots(found)))
            book = next(event for event in events if isinstance(event, BookSnapshot))
            assert max(level for level in book.bids if level[0] == 4_000) > (4_000, 1_000_000)
            trading.cancel()
            await feed.close()

    asyncio.run(asyncio.wait_for(main(), 90))
