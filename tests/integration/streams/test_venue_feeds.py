"""Both venues' feeds against a local WebSocket server that plays the venue's side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, ClassVar

import httpx
import pytest
from websockets.asyncio.server import ServerConnection

from streams.market.errors import AuthenticationFailed, TransientError
from streams.market.events import Acknowledgement, BookSnapshot, ChannelError, LevelChange
from streams.settings import Settings
from streams.venues.common.endpoints import Endpoints, endpoints
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.kalshi.stream.feed import Channels, KalshiFeed
from streams.venues.kalshi.stream.polling import KalshiPollingFeed
from streams.venues.polymarket.stream.feed import PolymarketFeed
from tests.support.venue_servers import (
    CREDENTIALS,
    KalshiVenue,
    Market,
    PolymarketVenue,
    play,
    read_to_the_end,
    read_until,
    snapshots,
)


def test_kalshi_markets_come_and_go_on_the_same_subscription() -> None:
    venue = KalshiVenue()

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS)
        await feed.connect()
        await feed.subscribe([Market("A"), Market("B")])
        await feed.subscribe([Market("C")])  # before the venue has reported under which id
        events = await read_until(feed, lambda found: len(snapshots(found)) == 3)
        assert sorted(snapshots(events)) == ["A", "B", "C"]
        assert [e.sequence for e in events if isinstance(e, BookSnapshot)] == [1, 2, 4]
        await feed.resync(["B", "unknown"])
        events = await read_until(feed, lambda found: "B" in snapshots(found))
        await feed.unsubscribe([Market("A")])
        await read_until(feed, lambda found: sum(isinstance(e, Acknowledgement) for e in found) == 2)
        await feed.close()
        await feed.close()

    play(venue, use)
    assert venue.headers[0]["KALSHI-ACCESS-KEY"] == "key-1"
    first = next(c for c in venue.commands if "market_tickers" in c["params"])
    assert first["params"]["use_yes_price"] is True
    assert first["params"]["channels"] == ["orderbook_delta", "trade"]
    actions = [(c["params"]["action"], c["params"]["market_tickers"]) for c in venue.commands[2:]]
    assert actions == [
        ("add_markets", ["C"]),
        ("add_markets", ["C"]),
        ("get_snapshot", ["B"]),
        ("delete_markets", ["A"]),
        ("delete_markets", ["A"]),
    ]
    assert len({c["id"] for c in venue.commands}) == len(venue.commands)


def test_a_new_connection_starts_with_nothing_subscribed() -> None:
    venue = KalshiVenue()

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, Channels(of_exchange=()))
        for _ in range(2):
            await feed.connect()
            await feed.subscribe([Market("A")])
            events = await read_until(feed, lambda found: len(snapshots(found)) == 1)
            assert [e.sequence for e in events if isinstance(e, BookSnapshot)] == [1]
        await feed.close()

    play(venue, use)
    assert [c["cmd"] for c in venue.commands] == ["subscribe", "subscribe"]


def test_a_subscription_the_venue_ends_is_opened_anew_on_the_same_connection() -> None:
    venue = KalshiVenue()
    error = {"type": "error", "msg": {"code": 25, "msg": "Subscription buffer overflow"}}

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, Channels(of_exchange=()))
        await feed.connect()
        await feed.subscribe([Market("A"), Market("B")])
        await read_until(feed, lambda found: len(snapshots(found)) == 2)
        venue.push({**error, "sid": 1, "seq": 3})
        events = await read_until(feed, lambda found: len(snapshots(found)) == 2)
        assert isinstance(events[0], ChannelError)
        assert events[0].is_terminal
        books = [event for event in events if isinstance(event, BookSnapshot)]
        assert [(book.subscription_id, book.sequence) for book in books] == [(3, 1), (3, 2)]
        await feed.resync(["B"])
        await read_until(feed, lambda found: snapshots(found) == ["B"])
        await feed.close()

    play(venue, use)
    assert len(venue.headers) == 1
    again = venue.commands[1]
    assert again["params"]["channels"] == ["orderbook_delta"]
    assert again["params"]["market_tickers"] == ["A", "B"]
    assert again["params"]["use_yes_price"] is True
    assert venue.commands[2]["params"]["sids"] == [3]


def test_a_subscription_that_ends_again_and_again_ends_the_feed_after_all_frames_were_read() -> None:
    class Overflowing(KalshiVenue):
        def answers(self, command: dict[str, Any]) -> list[dict[str, Any]]:
            error = {"type": "error", "sid": len(self.sids) + 1, "seq": 9, "msg": {"code": 10, "msg": "Channel error"}}
            return [*super().answers(command), error]

    venue = Overflowing()

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, Channels(("orderbook_delta",), ()))
        await feed.connect()
        await feed.subscribe([Market("A")])
        seen, reason = await read_to_the_end(feed)
        assert len([event for event in seen if isinstance(event, ChannelError)]) == 6
        assert "again and again" in reason
        await feed.close()

    play(venue, use)
    assert len(venue.commands) == 6


def test_a_subscription_the_venue_does_not_know_is_found_by_the_list_and_opened_anew() -> None:
    venue = KalshiVenue()

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS)
        await feed.connect()
        await feed.subscribe([Market("A")])
        await read_until(feed, lambda found: len(snapshots(found)) == 1)
        venue.forget(2)
        await feed.resync(["A"])
        events = await read_until(feed, lambda found: len(snapshots(found)) == 1)
        assert [type(event).__name__ for event in events] == [
            "ChannelError", "Acknowledgement", "Acknowledgement", "BookSnapshot",
        ]  # fmt: skip
        await feed.close()

    play(venue, use)
    assert [command["cmd"] for command in venue.commands] == [
        "subscribe", "subscribe", "update_subscription", "list_subscriptions", "subscribe",
    ]  # fmt: skip


def test_a_command_the_venue_could_not_do_is_sent_again_and_a_wrong_one_is_not() -> None:
    class Busy(KalshiVenue):
        refusals: ClassVar[list[int]] = [11, 18]

        def answers(self, command: dict[str, Any]) -> list[dict[str, Any]]:
            if command["cmd"] == "update_subscription" and self.refusals:
                message = {"code": self.refusals.pop(0), "msg": "no"}
                return [{"type": "error", "id": command["id"], "sid": 1, "seq": self.next(1), "msg": message}]
            return super().answers(command)

    venue = Busy()

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, Channels(("orderbook_delta",), ()))
        await feed.connect()
        await feed.subscribe([Market("A")])
        await read_until(feed, lambda found: len(snapshots(found)) == 1)
        for _ in range(2):
            await feed.resync(["A"])
        events = await read_until(feed, lambda found: len(snapshots(found)) == 1)
        assert [event.remedy for event in events if isinstance(event, ChannelError)] == ["mend", "ask_again"]
        await feed.close()

    play(venue, use)
    assert [command["cmd"] for command in venue.commands] == ["subscribe"] + ["update_subscription"] * 3


def test_a_refused_upgrade_is_told_from_a_broken_one() -> None:
    async def venue(connection: ServerConnection) -> None:
        await connection.wait_closed()

    def expecting(kind: type[Exception]) -> Callable[[Endpoints], Awaitable[None]]:
        async def use(at: Endpoints) -> None:
            with pytest.raises(kind):
                await KalshiFeed(at, CREDENTIALS).connect()
            with pytest.raises(AuthenticationFailed):
                await KalshiFeed(at, None).connect()

        return use

    play(venue, expecting(AuthenticationFailed), refuse=HTTPStatus.UNAUTHORIZED)
    play(venue, expecting(TransientError), refuse=HTTPStatus.BAD_GATEWAY)


def test_the_venues_ping_is_answered_with_its_own_words() -> None:
    answered: list[float] = []

    async def venue(connection: ServerConnection) -> None:
        answered.append(await (await connection.ping(b"heartbeat")))
        await connection.send(json.dumps({"type": "ok", "id": 1, "sid": 1, "seq": 1}))
        await connection.wait_closed()

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, Channels(of_exchange=()))
        await feed.connect()
        assert len(await anext(feed.batches())) == 1
        await feed.close()

    play(venue, use)
    assert len(answered) == 1


def test_no_server_is_a_passing_failure() -> None:
    async def main() -> None:
        at = endpoints(Settings(_env_file=None, kalshi_ws_url="ws://127.0.0.1:1/x"))
        with pytest.raises(TransientError):
            await KalshiFeed(at, CREDENTIALS).connect()

    asyncio.run(main())


def test_what_arrived_before_a_loss_is_handed_over_first() -> None:
    async def venue(connection: ServerConnection) -> None:
        for sequence in range(1, 501):
            message = {"market_ticker": "A", "price_dollars": "0.5", "delta_fp": "1.00", "side": "yes"}
            frame = {"type": "orderbook_delta", "sid": 1, "seq": sequence, "msg": message}
            await connection.send(json.dumps(frame))
        connection.transport.abort()

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, Channels(of_exchange=()))
        await feed.connect()
        found, _ = await read_to_the_end(feed)
        sequences = [event.sequence for event in found if isinstance(event, LevelChange)]
        assert sequences == list(range(1, len(sequences) + 1))
        assert sequences
        with pytest.raises(TransientError):
            await feed.subscribe([Market("A")])

    play(venue, use)


def test_a_silent_connection_is_lost_and_a_quiet_one_that_answers_pings_is_not() -> None:
    async def quiet(connection: ServerConnection) -> None:
        await asyncio.sleep(2.5)
        await connection.send(json.dumps({"type": "ok", "id": 1, "sid": 1, "seq": 1, "msg": {"market_tickers": []}}))
        # From here on nothing is read any more, so pings stay without an answer.
        connection.transport.pause_reading()
        await connection.wait_closed()

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, silence_timeout_s=1.0)
        await feed.connect()
        batches = feed.batches()
        assert len(await anext(batches)) == 1
        with pytest.raises(TransientError, match="no sign of life"):
            await anext(batches)
        await feed.close()

    play(quiet, use)


def test_polymarket_markets_come_and_go_and_pongs_are_not_frames() -> None:
    venue = PolymarketVenue()

    async def use(at: Endpoints) -> None:
        feed = PolymarketFeed(at, silence_timeout_s=1.5)
        await feed.connect()
        await feed.subscribe([Market("A", "yA", "nA")])
        await feed.subscribe([Market("A", "yA", "nA"), Market("B", "yB", "nB")])
        events = await read_until(feed, lambda found: len(snapshots(found)) == 2)
        assert snapshots(events) == ["A", "B"]
        assert all(isinstance(e, BookSnapshot) and e.bids == [(4_000, 1_000_000)] for e in events)
        async with asyncio.timeout(60):
            while venue.pings < 4:  # longer than the silence limit: the pongs keep the connection
                reading = asyncio.ensure_future(anext(feed.batches()))
                done, _ = await asyncio.wait([reading], timeout=0.1)
                assert not done
                reading.cancel()
        await feed.resync(["B"])
        assert snapshots(await read_until(feed, lambda found: bool(snapshots(found)))) == ["B"]
        await feed.unsubscribe([Market("A", "yA", "nA")])
        await feed.subscribe([Market("A", "yA", "nA")])
        assert snapshots(await read_until(feed, lambda found: bool(snapshots(found)))) == ["A"]
        await feed.close()

    play(venue, use)
    hello, *later = venue.commands
    assert hello["type"] == "market"
    assert hello["custom_feature_enabled"] is True
    assert [(c["operation"], c["assets_ids"]) for c in later] == [
        ("subscribe", ["yB", "nB"]),
        ("unsubscribe", ["yB", "nB"]),
        ("subscribe", ["yB", "nB"]),
        ("unsubscribe", ["yA", "nA"]),
        ("subscribe", ["yA", "nA"]),
    ]


def test_polled_books_give_a_frame_only_when_they_changed() -> None:
    sizes = iter(["1.00", "1.00", "2.00", "2.00"])
    calls = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        if request.url.path.endswith("/exchange/status"):
            return httpx.Response(200, json={"exchange_active": True, "trading_active": True})
        size = next(sizes, None)
        if size is None:
            return httpx.Response(502)
        ladders = {"yes_dollars": [["0.40", size]], "no_dollars": [["0.50", "3.00"]]}
        return httpx.Response(200, json={"orderbooks": [{"ticker": "A", "orderbook_fp": ladders}]})

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            at = endpoints(Settings(_env_file=None))
            client = KalshiClient(at, None, http=http, limits=KalshiLimits.unlimited())
            feed = KalshiPollingFeed(client, interval_s=0.01)
            await feed.connect()
            await feed.subscribe([Market("A")])
            events, reason = await read_to_the_end(feed)
            assert "polls in a row" in reason
            books = [event for event in events if isinstance(event, BookSnapshot)]
            assert [book.bids for book in books] == [[(4_000, 1_000_000)], [(4_000, 2_000_000)]]
            assert [book.asks for book in books] == [[(5_000, 3_000_000)]] * 2

    asyncio.run(main())


def test_a_polled_book_that_is_listed_no_more_is_stale_and_not_shown_on() -> None:
    listed = iter([["A", "B"], ["A", "B"], ["B"], ["B"], ["A", "B"]])

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/exchange/status"):
            return httpx.Response(200, json={"exchange_active": True, "trading_active": True})
        names = next(listed, None)
        if names is None:
            return httpx.Response(502)
        ladders = {"yes_dollars": [["0.40", "1.00"]], "no_dollars": []}
        return httpx.Response(200, json={"orderbooks": [{"ticker": n, "orderbook_fp": ladders} for n in names]})

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            at = endpoints(Settings(_env_file=None))
            client = KalshiClient(at, None, http=http, limits=KalshiLimits.unlimited())
            feed = KalshiPollingFeed(client, interval_s=0.01)
            await feed.connect()
            await feed.subscribe([Market("A"), Market("B"), Market("never listed")])
            events, _ = await read_to_the_end(feed)
            found = [(type(event).__name__, event.market_id) for event in events]  # type: ignore[union-attr]
            assert found == [
                ("BookSnapshot", "A"), ("BookSnapshot", "B"), ("BookStale", "A"), ("BookSnapshot", "A"),
            ]  # fmt: skip

    asyncio.run(main())
