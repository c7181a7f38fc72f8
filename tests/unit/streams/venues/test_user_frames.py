"""Frames of both venues' user streams, and the clients the settings choose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.market.errors import MalformedFrame
from streams.market.events import Acknowledgement, ChannelError
from streams.market.user_stream_events import FillUpdate, OrderUpdate
from streams.recorder.sources import feed_sources
from streams.settings import Settings
from streams.venues import factory as clients
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.credentials.keystore import ensure_sandbox_credentials
from streams.venues.kalshi.stream.feed import KalshiFeed
from streams.venues.kalshi.stream.polling import KalshiPollingFeed
from streams.venues.kalshi.types import user_frames as kalshi
from streams.venues.polymarket.stream import user_frames as polymarket
from streams.venues.polymarket.stream.commands import user_hello
from streams.venues.polymarket.stream.feed import PolymarketFeed

WALLET = PolymarketCredentials(SecretStr("0x1"), "0xme", "api-key", SecretStr("s"), SecretStr("p"))
FILL = {
    "trade_id": "t",
    "order_id": "o",
    "market_ticker": "M",
    "outcome_side": "yes",
    "yes_price_dollars": "0.5200",
    "count_fp": "1.00",
    "fee_cost": "0.017500",
    "is_taker": True,
    "ts_ms": 1781159370164,
}
ORDER = {
    "event_type": "order",
    "id": "0x1",
    "status": "CANCELED_because",
    "market": "M",
    "asset_id": "1",
    "side": "SELL",
    "price": "0.5",
    "original_size": "5",
    "size_matched": "",
    "created_at": "1725842520123",
    "type": "CANCELLATION",
}


def test_a_kalshi_fill_is_read_and_other_frames_are_passed_over() -> None:
    fill = kalshi.parse_user_frame(json.dumps({"type": "fill", "sid": 1, "msg": FILL}).encode()).event
    assert isinstance(fill, FillUpdate)
    assert (fill.key, fill.fee_e6, fill.size_e6, fill.cash_e6) == (("t", "o"), 17_500, 1_000_000, 520_000)
    assert (fill.side, fill.status, fill.venue_sent_ms) == ("bid", "confirmed", 1781159370164)
    subscribed = kalshi.parse_user_frame(b'{"type":"subscribed","id":1,"msg":{"channel":"fill","sid":1}}').event
    assert isinstance(subscribed, Acknowledgement)
    refused = kalshi.parse_user_frame(b'{"type":"error","msg":{"code":9}}').event
    assert isinstance(refused, ChannelError)
    assert refused.remedy == "authenticate"
    assert kalshi.parse_user_frame(b'{"type":"trade","sid":3,"seq":7,"msg":{}}') == (None, 3, 7)
    for raw in (b"{", b'{"type":"fill"}', b'{"type":"user_order","msg":[]}', b'{"type":"market_position","msg":5}'):
        with pytest.raises(MalformedFrame) as raised:
            kalshi.parse_user_frame(raw)
        assert raised.value.raw == raw


def test_a_polymarket_order_with_empty_amounts_and_odd_times_is_read() -> None:
    (order,) = polymarket.parse_user_frame(json.dumps([ORDER]).encode(), WALLET)
    assert isinstance(order, OrderUpdate)
    assert (order.status, order.filled_e6, order.remaining_e6, order.side) == ("canceled", 0, 0, "ask")
    assert order.reason == "because"
    for status in ("ORDER_STATUS_CANCELED_because", "CANCELLED_because"):
        (order,) = polymarket.parse_user_frame(json.dumps(ORDER | {"status": status}).encode(), WALLET)
        assert isinstance(order, OrderUpdate)
        assert (order.status, order.reason) == ("canceled", "because")
    (finer,) = polymarket.parse_user_frame(json.dumps(ORDER | {"price": "0.53000004"}).encode(), WALLET)
    assert isinstance(finer, OrderUpdate)
    assert finer.price_e4 == 5_300
    assert polymarket.parse_user_frame(b"PONG", WALLET) == []
    for raw in (b"x", b"[5]", b'{"event_type":"trade"}'):
        with pytest.raises(MalformedFrame):
            polymarket.parse_user_frame(raw, WALLET)


@pytest.mark.parametrize(
    ("changes", "status", "remaining"),
    [
        ({"type": "PLACEMENT", "status": "LIVE"}, "live", 5_000_000),
        ({"type": "PLACEMENT", "status": "DELAYED"}, "delayed", 5_000_000),
        ({"type": "UPDATE", "status": "LIVE", "size_matched": "2"}, "live", 3_000_000),
        ({"type": "UPDATE", "status": "LIVE", "size_matched": "5"}, "filled", 0),
        ({"type": "UPDATE", "status": "MATCHED", "size_matched": "5"}, "filled", 0),
        ({"type": "CANCELLATION", "status": "INVALID"}, "canceled", 0),
        ({"type": "PLACEMENT", "status": "INVALID"}, "refused", 0),
        ({"type": "CANCELLATION", "status": "CANCELED_MARKET_RESOLVED"}, "canceled", 0),
        ({"type": "UPDATE", "status": "A_NEW_WORD"}, "unknown", 0),
    ],
)
def test_the_status_of_a_polymarket_order_follows_from_type_and_status(
    changes: dict[str, str], status: str, remaining: int
) -> None:
    (order,) = polymarket.parse_user_frame(json.dumps(ORDER | changes).encode(), WALLET)
    assert isinstance(order, OrderUpdate)
    assert (order.status, order.remaining_e6) == (status, remaining)


def test_a_socket_that_hears_of_all_markets_names_none() -> None:
    assert user_hello(WALLET, ["0x1"])["markets"] == ["0x1"]
    assert "markets" not in user_hello(WALLET)


def test_the_feeds_follow_from_the_keys_at_hand_and_their_records_say_how_books_are_read(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, home=tmp_path)
    unsigned = feed_sources(settings)
    assert [source.parser for source in unsigned] == ["kalshi_polling", "polymarket"]
    assert isinstance(unsigned[0].make(), KalshiPollingFeed)
    ensure_sandbox_credentials(settings)
    kalshi_source, polymarket_source = feed_sources(settings)
    assert isinstance(kalshi_source.make(), KalshiFeed)
    assert dict(kalshi_source.terms) == {"use_yes_price": True}
    assert isinstance(polymarket_source.make(), PolymarketFeed)
    assert [type(feed).__name__ for feed in clients.user_feeds(settings)] == ["KalshiUserFeed", "PolymarketUserFeed"]
