"""Unkind input, caches that lag, markets that begin and end, limits that last, and what a later release may bring."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.model import CatalogueEvent, ChangeTick, CloseMarket, ListMarket
from streams.sandbox.core.profile import REALISTIC, ZERO
from streams.sandbox.polymarket.limits import EdgeWindows, queued_ms
from streams.sandbox.polymarket.settings import PolymarketVenueSettings
from streams.sandbox.polymarket.stream.socket import MarketSession

SHARE = 1_000_000
RESTING = ("BUY", 4_000_000, 10_000_000)


class Pipe:
    """Keeps what a session sends."""

    def __init__(self, session: Any, message: Any) -> None:
        self._frames: list[Any] = []
        session.socket = self
        session.on_text(json.dumps(message))

    def send(self, frame: bytes, channel: str = "") -> None:
        self._frames.append(json.loads(frame))

    def taken(self) -> list[Any]:
        frames, self._frames = self._frames, []
        return frames


def market_socket(desk: Any, **more: Any) -> tuple[MarketSession, Pipe]:
    session = desk.market_session()
    pipe = Pipe(session, {"assets_ids": [str(desk.yes)], "type": "market", **more})
    pipe.taken()
    return session, pipe


@pytest.mark.parametrize("name", ["makerAmount", "takerAmount", "timestamp"])
@pytest.mark.parametrize("text", ["1_0", " 5", "-5", "5.0", "٥", "", "9" * 99])
def test_signed_numbers_are_plain_digits(desk: Any, name: str, text: str) -> None:
    body = desk.order(*RESTING)
    body["order"][name] = text
    assert desk.signed("POST", "/order", body).body == {"error": "Invalid order payload"}


def test_an_expiration_after_the_last_date_is_invalid(desk: Any) -> None:
    answer = desk.post(*RESTING, "GTD", expiration="9" * 30)
    assert (answer.status, answer.body) == (400, {"error": "invalid expiration"})


@pytest.mark.parametrize("body", [b"x", b"[]", b"7"])
def test_a_cancel_of_a_market_that_cannot_be_read_cancels_nothing(desk: Any, body: bytes) -> None:
    desk.post(*RESTING)
    assert desk.signed("DELETE", "/cancel-market-orders", body).status == 400
    assert desk.signed("GET", "/data/orders").body["count"] == 1


@pytest.mark.parametrize("query", [{"fidelity": "²"}, {"startTs": "²"}, {"endTs": "²"}])
def test_a_history_takes_plain_digits(desk: Any, query: dict[str, str]) -> None:
    asked = {"market": desk.yes, "interval": "" if "startTs" in query else "1d", **query}
    assert desk.ask("GET", "/clob/prices-history", query=asked).status == 400


def test_a_closed_market_has_no_book_any_more_and_keeps_its_terms(desk: Any) -> None:
    desk.apply(CloseMarket(MarketRef(Venue.POLYMARKET, desk.condition())))
    token = {"token_id": desk.yes, "side": "BUY"}
    reads = {name: desk.ask("GET", f"/clob/{name}", query=token).status for name in ("book", "price", "midpoint")}
    assert reads == dict.fromkeys(reads, 404)
    assert desk.ask("POST", "/clob/books", [{"token_id": str(desk.yes)}]).body == []
    assert desk.get("/clob/tick-size", token_id=desk.yes) == {"minimum_tick_size": 0.01}
    assert desk.get(f"/clob/markets/{desk.condition()}")["enable_order_book"] is False


def test_a_batch_of_books_has_a_limit(desk: Any) -> None:
    for path in ("books", "prices", "midpoints", "spreads", "last-trades-prices"):
        assert desk.ask("POST", f"/clob/{path}", [{"token_id": str(desk.yes)}] * 500).status == 200
        assert desk.ask("POST", f"/clob/{path}", [{"token_id": str(desk.yes)}] * 501).status == 400


def test_who_may_only_close_can_sell_and_not_buy(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(settings=PolymarketVenueSettings(geoblocked=True))
    assert "closed only mode" in desk.post(*RESTING).body["error"]
    assert "balance is not enough" in desk.post("SELL", 10_000_000, 6_000_000).body["error"]


def test_a_tick_change_names_the_tick_before_it(desk: Any) -> None:
    _, pipe = market_socket(desk)
    for tick in (10, 100, 50):
        desk.apply(ChangeTick(MarketRef(Venue.POLYMARKET, desk.condition()), tick))
    changes = [frame for frame in pipe.taken() if frame["event_type"] == "tick_size_change"]
    assert [(one["old_tick_size"], one["new_tick_size"]) for one in changes] == [
        ("0.01", "0.001"), ("0.001", "0.01"), ("0.01", "0.005"),
    ]  # fmt: skip


def test_custom_features_can_be_switched_on_and_off_again(desk: Any) -> None:
    session, pipe = market_socket(desk, custom_feature_enabled=True)
    desk.quote("a", "bid", 5_000, 5)
    assert "best_bid_ask" in [frame["event_type"] for frame in pipe.taken()]
    session.on_text(json.dumps({"operation": "subscribe", "assets_ids": [], "custom_feature_enabled": False}))
    pipe.taken()
    desk.quote("b", "ask", 5_000, 5)
    assert "best_bid_ask" not in [frame["event_type"] for frame in pipe.taken()]


def test_gamma_is_cached_and_the_clob_is_not(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(replace(ZERO, gamma_cache_ms=REALISTIC.gamma_cache_ms))
    path = "/gamma/markets/1000"
    first = desk.get(path)["bestBid"]
    desk.quote("better", "bid", 5_000, 5)
    assert desk.get(path)["bestBid"] == first
    assert desk.get("/clob/price", token_id=desk.yes, side="SELL") == {"price": "0.5"}
    desk.pass_ms(REALISTIC.gamma_cache_ms)
    assert desk.get(path)["bestBid"] == 0.5


def test_an_ordering_the_venue_fails_on_is_a_500(desk: Any) -> None:
    assert desk.ask("GET", "/gamma/events", query={"order": "competitive"}).status == 500
    assert desk.ask("GET", "/gamma/events/keyset", query={"order": "volume24hr"}).status == 200


def test_a_games_start_clears_the_orders_where_the_market_says_so(
    open_desk: Callable[..., Any], make_market: Callable[..., Any]
) -> None:
    desk = open_desk()
    start = datetime.fromtimestamp(desk.now[0] / 1000, UTC) + timedelta(seconds=60)
    for number, clears in ((7, True), (8, False)):
        extra = {"gameStartTime": f"{start:%Y-%m-%d %H:%M:%S}+00", "clearBookOnStart": clears}
        market = make_market(number, extra=extra, is_neg_risk=False)
        event = CatalogueEvent(Venue.POLYMARKET, market.event_id, "", "A game")
        desk.exchange.apply(ListMarket(event, market), desk.now[0])
        desk.post(*RESTING, token=int(market.yes_token))
    desk.pass_ms(59_000)
    assert desk.signed("GET", "/data/orders").body["count"] == 2
    desk.pass_ms(2_000)
    left = desk.signed("GET", "/data/orders").body["data"]
    assert [row["market"] for row in left] == [desk.condition(8)]
    desk.post(*RESTING, token=int(desk.yes) + 14)
    desk.pass_ms(5_000)
    assert desk.signed("GET", "/data/orders").body["count"] == 2


@pytest.mark.parametrize(
    ("method", "path", "burst", "sustained", "window_ms"),
    [
        ("POST", "/clob/orders", 2_000, 21_000, 600_000),
        ("DELETE", "/clob/orders", 2_000, 15_000, 600_000),
        ("DELETE", "/clob/cancel-all", 250, 6_000, 600_000),
        ("POST", "/relayer/submit", 25, 25, 60_000),
    ],
)
def test_limits_of_ten_minutes_stand_behind_those_of_ten_seconds(
    method: str, path: str, burst: int, sustained: int, window_ms: int
) -> None:
    windows = EdgeWindows().windows_of(method, path)
    now, taken = 0, 0
    while taken < sustained:
        for _ in range(min(burst, sustained - taken)):
            assert queued_ms(windows, now) == 0
            taken += 1
        now += 10_000
    assert queued_ms(windows, now) is None
    assert queued_ms(windows, window_ms) == 0


def test_what_is_refused_at_the_edge_is_not_counted() -> None:
    windows = EdgeWindows().windows_of("GET", "/clob/tick-size")
    assert [queued_ms(windows, 0) for _ in range(202)] == [0] * 200 + [None] * 2
    assert queued_ms(windows, 10_000) == 0


def test_read_only_keys_are_made_listed_and_revoked(desk: Any) -> None:
    names = [desk.signed("POST", "/auth/readonly-api-key").body["apiKey"] for _ in range(2)]
    assert desk.signed("GET", "/auth/readonly-api-keys").body == names
    assert desk.signed("DELETE", "/auth/readonly-api-key", {"key": names[0]}).body == "OK"
    assert desk.signed("DELETE", "/auth/readonly-api-key", {"key": names[0]}).status == 400
    third = desk.signed("POST", "/auth/readonly-api-key").body["apiKey"]
    assert desk.signed("GET", "/auth/readonly-api-keys").body == [names[1], third]
    assert len({*names, third}) == 3


def test_a_builder_key_made_after_one_was_revoked_is_a_new_one(desk: Any) -> None:
    first, second = (desk.signed("POST", "/auth/builder-api-key").body["key"] for _ in range(2))
    desk.venue.keyring.delete_builder(first)
    third = desk.signed("POST", "/auth/builder-api-key").body["key"]
    assert len({first, second, third}) == 3


def test_schema_drift_adds_unknown_fields_and_words_on_request(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(settings=PolymarketVenueSettings(has_novelties=True))
    (row, *_) = desk.get("/gamma/markets")
    assert row["x_new_field"]
    assert row["feeType"] == "something_new"
    assert desk.signed("GET", "/data/orders").body["x_new_field"]
    _, pipe = market_socket(desk)
    desk.quote("better", "bid", 5_000, 5)
    assert all("x_new_field" in frame for frame in pipe.taken())
