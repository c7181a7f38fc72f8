"""Subscriptions of Kalshi's feed that the venue does not take, or does not answer, against a local WebSocket server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.market.events import BookStale
from streams.venues.common.endpoints import Endpoints
from streams.venues.kalshi.stream.feed import Channels, KalshiFeed
from tests.support.venue_servers import (
    CREDENTIALS,
    KalshiVenue,
    Market,
    play,
    read_to_the_end,
    read_until,
    snapshots,
)


class Full(KalshiVenue):
    """Has room for some markets per subscription; what is too much is refused whole."""

    room = 3

    def answers(self, command: dict[str, Any]) -> list[dict[str, Any]]:
        if not hasattr(self, "held"):
            self.held: set[str] = set()
        parameters = command["params"]
        tickers, action = set(parameters["market_tickers"]), parameters.get("action", "add_markets")
        if action == "delete_markets":
            self.held -= tickers
        elif action == "add_markets":
            if len(self.held | tickers) > self.room:
                message = {"code": 26, "msg": "Subscription market limit exceeded"}
                if "sids" not in parameters:
                    return [{"type": "error", "id": command["id"], "msg": message}]
                return [{"type": "error", "id": command["id"], "sid": 1, "seq": self.next(1), "msg": message}]
            self.held |= tickers
        return super().answers(command)


def test_a_full_subscription_carries_what_fits_and_says_which_books_it_does_not() -> None:
    venue = Full()

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, Channels(("orderbook_delta",), ()))
        await feed.connect()
        await feed.subscribe([Market("A"), Market("B")])
        await read_until(feed, lambda found: len(snapshots(found)) == 2)
        await feed.subscribe([Market("C"), Market("D")])
        events = await read_until(feed, lambda found: snapshots(found) == ["C"])
        stale = [event for event in events if isinstance(event, BookStale)]
        assert [event.market_id for event in stale] == ["D"]
        assert stale[0].cause == "not_carried: 26 Subscription market limit exceeded"
        # Nothing that is asked for later brings the refused one along, but a resync of it does.
        await feed.resync(["A"])
        await read_until(feed, lambda found: snapshots(found) == ["A"])
        await feed.resync(["D"])
        events = await read_until(feed, lambda found: any(isinstance(event, BookStale) for event in found))
        # When another market leaves there is room.
        await feed.unsubscribe([Market("A")])
        await read_until(feed, lambda found: snapshots(found) == ["D"])
        await feed.close()

    play(venue, use)
    assert venue.held == {"B", "C", "D"}
    actions = [(c["params"].get("action"), c["params"]["market_tickers"]) for c in venue.commands]
    assert actions == [
        (None, ["A", "B"]), ("add_markets", ["C", "D"]), ("add_markets", ["C"]), ("get_snapshot", ["A"]),
        ("add_markets", ["D"]), ("delete_markets", ["A"]), ("add_markets", ["D"]),
    ]  # fmt: skip


def test_a_first_subscription_that_is_too_large_is_halved_until_it_fits() -> None:
    venue = Full()

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, Channels(("orderbook_delta",), ()))
        await feed.connect()
        await feed.subscribe([Market(name) for name in "ABCDEFGH"])
        events = await read_until(feed, lambda found: len(snapshots(found)) == 2)
        assert sorted(event.market_id for event in events if isinstance(event, BookStale)) == list("CDEFGH")
        await feed.resync(["C"])
        await read_until(feed, lambda found: snapshots(found) == ["C"])
        await feed.close()

    play(venue, use)


def test_markets_of_a_refused_command_are_said_to_be_not_carried() -> None:
    class Refusing(KalshiVenue):
        def answers(self, command: dict[str, Any]) -> list[dict[str, Any]]:
            if command["params"].get("market_tickers") == ["BAD"]:
                # Longer than any frame of a level: it names what it refuses.
                message = {"code": 11, "msg": "Invalid parameter: " + "x" * 500}
                return [{"type": "error", "id": command["id"], "sid": 1, "seq": self.next(1), "msg": message}]
            return super().answers(command)

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, Channels(("orderbook_delta",), ()))
        await feed.connect()
        await feed.subscribe([Market("A")])
        await read_until(feed, lambda found: len(snapshots(found)) == 1)
        await feed.subscribe([Market("BAD")])
        events = await read_until(feed, lambda found: any(isinstance(event, BookStale) for event in found))
        (stale,) = [event for event in events if isinstance(event, BookStale)]
        assert stale.market_id == "BAD"
        assert stale.cause.startswith("not_carried: 11 ")
        await feed.subscribe([Market("B")])
        await read_until(feed, lambda found: snapshots(found) == ["B"])
        await feed.close()

    venue = Refusing()
    play(venue, use)
    assert [c["params"]["market_tickers"] for c in venue.commands] == [["A"], ["BAD"], ["B"]]


class Poisoned(KalshiVenue):
    """Refuses each command that names one of some markets, whole, as a host does that cannot look one of them up."""

    bad = frozenset({"A", "D", "M7"})
    code = 16

    def answers(self, command: dict[str, Any]) -> list[dict[str, Any]]:
        if self.bad & set(command["params"].get("market_tickers", ())):
            return [{"type": "error", "id": command["id"], "msg": {"code": self.code, "msg": "no such market"}}]
        return super().answers(command)


@pytest.mark.parametrize("code", [16, 11, 1])
def test_a_market_that_spoils_a_command_costs_itself(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.venues.kalshi.stream.feed._PAUSES_S", {"ask_again": 0.0, "slow_down": 0.0})
    venue = Poisoned()
    venue.code = code
    first, later = list("ABCDE"), [f"M{number}" for number in range(20)]

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, Channels(("orderbook_delta",), ()))
        await feed.connect()
        await feed.subscribe([Market(name) for name in first])
        events = await read_until(feed, lambda found: len(snapshots(found)) == 3)
        assert {event.market_id for event in events if isinstance(event, BookStale)} <= {"A", "D"}
        await feed.subscribe([Market(name) for name in later])
        events += await read_until(feed, lambda found: len(snapshots(found)) == 19)
        await feed.resync([*first, *later])
        events += await read_until(feed, lambda found: len(snapshots(found)) == 22)
        assert sorted({event.market_id for event in events if isinstance(event, BookStale)}) == ["A", "D", "M7"]
        await feed.close()

    play(venue, use)


def test_a_channel_that_is_refused_whatever_its_markets_costs_the_connection() -> None:
    class Refusing(KalshiVenue):
        def answers(self, command: dict[str, Any]) -> list[dict[str, Any]]:
            return [{"type": "error", "id": command["id"], "msg": {"code": 16, "msg": "no"}}]

    venue = Refusing()

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, Channels(("orderbook_delta",), ()))
        await feed.connect()
        await feed.subscribe([Market(f"M{number}") for number in range(40)])
        _, reason = await read_to_the_end(feed)
        assert "refused the subscription" in reason
        await feed.close()

    play(venue, use)
    assert len(venue.commands) < 120


def test_a_subscription_without_an_answer_costs_the_connection_however_much_else_arrives() -> None:
    class Deaf(KalshiVenue):
        def answers(self, command: dict[str, Any]) -> list[dict[str, Any]]:
            if "orderbook_delta" in command["params"]["channels"]:
                return []
            return super().answers(command)

    venue = Deaf()
    lifecycle = {"event_type": "activated", "market_ticker": "Z"}

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, answer_limit_s=0.3)
        await feed.connect()
        await feed.subscribe([Market("A")])

        async def talk() -> None:
            for sequence in range(1, 10_000):
                await asyncio.sleep(0.02)
                venue.push({"type": "market_lifecycle_v2", "sid": 1, "seq": sequence, "msg": lifecycle})

        talking = asyncio.ensure_future(talk())
        _, reason = await read_to_the_end(feed)
        assert "no response to a subscription" in reason
        talking.cancel()
        await feed.close()

    play(venue, use)


def test_half_an_answer_to_a_subscription_is_none() -> None:
    class Halved(KalshiVenue):
        def answers(self, command: dict[str, Any]) -> list[dict[str, Any]]:
            command["params"]["channels"] = command["params"]["channels"][:1]
            return super().answers(command)

    async def use(at: Endpoints) -> None:
        feed = KalshiFeed(at, CREDENTIALS, Channels(of_exchange=()), answer_limit_s=0.2)
        await feed.connect()
        await feed.subscribe([Market("A")])
        events, reason = await read_to_the_end(feed)
        assert snapshots(events) == ["A"]
        assert "no response to a subscription" in reason
        await feed.close()

    play(Halved(), use)
