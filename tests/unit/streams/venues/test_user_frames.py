"""Frames of both venues' private sockets, and the clients the settings choose."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.market.errors import MalformedFrame
from streams.settings import Settings
from streams.venues import clients
from streams.venues.credentials import PolymarketCredentials
from streams.venues.http import http_client
from streams.venues.kalshi import orders as kalshi_orders
from streams.venues.kalshi import user_feed as kalshi
from streams.venues.kalshi.feed import KalshiFeed
from streams.venues.kalshi.polling import KalshiPollingFeed
from streams.venues.keystore import ensure_sandbox_credentials
from streams.venues.polymarket import orders as polymarket_orders
from streams.venues.polymarket import user_feed as polymarket

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
    fill = kalshi.parse_user_frame(json.dumps({"type": "fill", "sid": 1, "msg": FILL}).encode())
    assert isinstance(fill, kalshi_orders.FillState)
    assert (fill.fill_id, fill.fee_e6, fill.size_e6) == ("t", 17_500, 1_000_000)
    assert fill.created_at is not None
    assert kalshi.parse_user_frame(b'{"type":"subscribed","id":1,"msg":{"channel":"fill","sid":1}}') is None
    for raw in (b"{", b'{"type":"fill"}', b'{"type":"error","msg":{"code":9}}'):
        with pytest.raises(MalformedFrame):
            kalshi.parse_user_frame(raw)


def test_a_polymarket_order_with_empty_amounts_and_odd_times_is_read() -> None:
    (order,) = polymarket.parse_user_frame(json.dumps([ORDER]).encode(), WALLET)
    assert isinstance(order, polymarket_orders.OrderState)
    assert (order.status, order.matched_e6) == ("CANCELED_BECAUSE", 0)
    assert order.created_at is not None
    assert order.created_at.year == 2024
    assert polymarket.parse_user_frame(b"PONG", WALLET) == []
    for raw in (b"x", b"[5]", b'{"event_type":"trade"}'):
        with pytest.raises(MalformedFrame):
            polymarket.parse_user_frame(raw, WALLET)


def test_every_sample_of_the_private_sockets_is_read(shared_dir: Path) -> None:
    folder = shared_dir / "venues"
    for path in sorted((folder / "kalshi-samples").glob("ws_user_order*.json")):
        assert isinstance(kalshi.parse_user_frame(path.read_bytes()), kalshi_orders.OrderState), path.name
    fill = kalshi.parse_user_frame((folder / "kalshi-samples/ws_fill.json").read_bytes())
    assert isinstance(fill, kalshi_orders.FillState)
    for path in sorted((folder / "polymarket-samples").glob("ws_user_*.json")):
        if path.name == "ws_user_subscribe.json":
            continue
        assert polymarket.parse_user_frame(path.read_bytes(), WALLET), path.name


def test_the_feeds_follow_from_the_keys_at_hand(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, home=tmp_path)

    async def main() -> tuple[list[str], list[str]]:
        async with http_client(settings) as http:
            without = [type(feed).__name__ for feed in clients.market_feeds(settings, http)]
            ensure_sandbox_credentials(settings)
            assert clients.kalshi_client(settings, http)
            assert clients.polymarket_client(settings, http)
            return without, [type(feed).__name__ for feed in clients.market_feeds(settings, http)]

    without, with_keys = asyncio.run(main())
    assert without[0] == KalshiPollingFeed.__name__
    assert with_keys[0] == KalshiFeed.__name__
