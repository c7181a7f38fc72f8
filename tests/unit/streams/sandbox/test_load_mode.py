"""Load mode: laps that leave the books as they were, and subscribers who can fold what they get."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from streams.market.identity import MarketRef, Side, Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket, ListMarket, PlaceOrder
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.server import Request, Socket
from streams.sandbox.kalshi.app import SOCKET_PATH, KalshiApp
from streams.sandbox.kalshi.auth import load_key
from streams.sandbox.polymarket.app import PolymarketApp
from streams.sandbox.process.load_mode import CHUNK_FRAMES, TAPE_FRAMES, LoadApp, LoadSession, LoadTape, blank, header
from streams.venues.credentials.keys import KalshiCredentials
from streams.venues.kalshi.signing import KalshiSigner

NOW_MS = 1_790_000_000_000
IDS = {Venue.KALSHI: "KXRAIN-26DEC01-NYC", Venue.POLYMARKET: "0x" + "ab" * 32}
TOKENS = (str(10**40), str(10**40 + 1))


class Client(Socket):
    """A subscriber that keeps what it gets."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.is_silent = False
        self.carrier = None
        self.data = bytearray()

    is_open = True
    unsent_bytes = 0

    def answer(self, text: bytes) -> bool:
        self.data += header(len(text)) + text
        return True

    def write_raw(self, data: bytes) -> None:
        self.data += data

    def ping(self, payload: bytes) -> None: ...

    def messages(self) -> Iterator[dict[str, Any]]:
        """All JSON objects in the frames, arrays flattened."""
        at = 0
        while at < len(self.data):
            size, at = self.data[at + 1], at + 2
            if size > 125:
                width = 2 if size == 126 else 8
                size, at = int.from_bytes(self.data[at : at + width], "big"), at + width
            message = json.loads(self.data[at : at + size])
            at += size
            yield from message if isinstance(message, list) else [message]


def list_with_books(exchange: Exchange) -> None:
    venue = exchange.state.venue
    market = CatalogueMarket(
        venue=venue, market_id=IDS[venue], event_id="E", series_id="S", title="Rain?", rules="Rain.",
        close_time=datetime(2026, 12, 1, tzinfo=UTC) + timedelta(days=365), open_time=datetime(2026, 1, 1, tzinfo=UTC),
        min_size_e6=10_000, yes_token=TOKENS[0], no_token=TOKENS[1],
        fee_schedule={"fee_type": "quadratic", "fee_multiplier": "1"} if venue is Venue.KALSHI else {},
    )  # fmt: skip
    exchange.apply(ListMarket(CatalogueEvent(venue, "E", "S", "Rain"), market), NOW_MS)
    ref = MarketRef(venue, IDS[venue])
    sides: tuple[tuple[Side, int], ...] = (("bid", -1), ("ask", 1))
    for side, direction in sides:
        for step in range(2, 8):
            act = PlaceOrder(ref, "maker", f"{side}{step}", side, 5_000 + direction * 100 * step, step * 7_000_000)
            exchange.apply(act, NOW_MS)


def kalshi_upgrade(face: KalshiApp, key: RSAPrivateKey) -> Request:
    headers = KalshiSigner(KalshiCredentials("k", SecretStr(pem(key)))).headers("GET", SOCKET_PATH, NOW_MS)
    return Request("GET", SOCKET_PATH, [], {name.lower(): value for name, value in headers.items()})


def pem(key: RSAPrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def kalshi_app(exchange: Exchange, key: RSAPrivateKey) -> KalshiApp:
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return KalshiApp(exchange, {"k": load_key("k", public)}, lambda: NOW_MS, lambda: None)


def play(face: LoadApp, upgrade: Request, commands: list[Any], *, frames: int = 0, tapes: int = 0) -> Client:
    """Subscribe and be played to."""

    async def main() -> Client:
        client = Client(asyncio.get_running_loop())
        session = face.open_session(upgrade)
        assert isinstance(session, LoadSession)
        session.on_open(client)
        for command in commands:
            session.on_text(json.dumps(command))
        # The first makes the lap, the second sends what is due a second later: so many frames, or whole laps.
        session.play(time.monotonic() + 1.0, 1.0)
        assert session.tape is not None
        due = frames or tapes * len(session.tape.frames) + CHUNK_FRAMES - 1
        session.play(session.starts_at + 1.0, due)
        session.on_close()
        return client

    return asyncio.run(main())


def levels(exchange: Exchange) -> tuple[Any, Any]:
    book = exchange.state.markets[IDS[exchange.state.venue]].book
    return book.levels("bid"), book.levels("ask")


def test_kalshi_laps_fold_into_the_right_book_without_a_hole_in_the_sequence(key: RSAPrivateKey) -> None:
    exchange = Exchange(Venue.KALSHI, FaultPlan(), 1)
    real = kalshi_app(exchange, key)
    list_with_books(exchange)
    before = levels(exchange)
    face = LoadApp(real, 1, lambda: NOW_MS)
    params = {"channels": ["orderbook_delta", "trade"], "market_tickers": [IDS[Venue.KALSHI]], "use_yes_price": True}
    client = play(face, kalshi_upgrade(real, key), [{"id": 1, "cmd": "subscribe", "params": params}], tapes=3)
    last: dict[int, int] = {}
    book: dict[tuple[str, str], float] = {}
    kinds = set()
    for message in client.messages():
        kinds.add(message["type"])
        if "seq" in message:
            assert message["seq"] == last.get(message["sid"], 0) + 1
            last[message["sid"]] = message["seq"]
        body = message["msg"]
        if message["type"] == "orderbook_snapshot":
            for side in ("yes", "no"):
                book |= {(side, price): float(size) for price, size in body[f"{side}_dollars_fp"]}
        elif message["type"] == "orderbook_delta":
            level = body["side"], body["price_dollars"]
            book[level] = round(book.get(level, 0.0) + float(body["delta_fp"]), 2)
            assert book[level] >= 0
    assert kinds == {"subscribed", "orderbook_snapshot", "orderbook_delta", "trade"}
    assert last[1] > 2.5 * TAPE_FRAMES
    assert levels(exchange) == before


def test_polymarket_laps_end_at_the_books_they_began_with_on_both_tokens() -> None:
    exchange = Exchange(Venue.POLYMARKET, FaultPlan(), 1)
    face = LoadApp(PolymarketApp(exchange, {}, lambda: NOW_MS, lambda: None), 1, lambda: NOW_MS)
    list_with_books(exchange)
    before = levels(exchange)
    upgrade = Request("GET", "/ws/market", [], {})
    books: dict[str, dict[tuple[str, str], str]] = {token: {} for token in TOKENS}
    client = play(face, upgrade, [{"assets_ids": list(TOKENS), "type": "market"}], tapes=2)
    for message in client.messages():
        if message["event_type"] == "book":
            sides = (("BUY", "bids"), ("SELL", "asks"))
            books[message["asset_id"]] = {
                (side, row["price"]): row["size"] for side, name in sides for row in message[name]
            }
        elif message["event_type"] == "price_change":
            for change in message["price_changes"]:
                books[change["asset_id"]][change["side"], change["price"]] = change["size"]
    yes, no = ({level for level, size in books[token].items() if float(size)} for token in TOKENS)
    shown = {(f"{10_000 - round(float(price) * 10_000)}", "SELL" if side == "BUY" else "BUY") for side, price in no}
    assert {(f"{round(float(price) * 10_000)}", side) for side, price in yes} == shown
    assert {(str(price), "BUY") for price, _ in before[0]} | {(str(price), "SELL") for price, _ in before[1]} == shown
    assert levels(exchange) == before


def test_subscribers_to_the_same_thing_share_one_lap_and_a_later_one_starts_at_one(key: RSAPrivateKey) -> None:
    exchange = Exchange(Venue.KALSHI, FaultPlan(), 1)
    real = kalshi_app(exchange, key)
    list_with_books(exchange)
    face = LoadApp(real, 1, lambda: NOW_MS)
    params = {"channels": ["orderbook_delta"], "market_tickers": [IDS[Venue.KALSHI]]}
    command = {"id": 1, "cmd": "subscribe", "params": params}
    first = play(face, kalshi_upgrade(real, key), [command], frames=CHUNK_FRAMES)
    second = play(face, kalshi_upgrade(real, key), [command], frames=CHUNK_FRAMES)
    assert bytes(first.data) == bytes(second.data)
    assert [message["seq"] for message in second.messages() if "seq" in message][:3] == [1, 2, 3]


def test_a_chunk_fills_in_numbers_and_times() -> None:
    frame = b'{"type":"t","sid":3,"seq":7,"msg":{"ts":"2026-01-01T00:00:00Z","ts_ms":1,"note":"5%"}}'
    tape = LoadTape([blank(frame), blank(b'{"timestamp":"1"}')])
    sequences = {3: 41}
    data, frames = tape.chunk(0, sequences, NOW_MS)
    assert (frames, sequences) == (2, {3: 42})
    assert b'"sid":3,"seq":42' in data
    assert b'"ts_ms":%d' % NOW_MS in data
    assert b'"timestamp":"%d"' % NOW_MS in data
    assert b'"note":"5%"' in data
    assert b"2026-01-01" not in data


@pytest.mark.anyio
async def test_nothing_is_rendered_for_a_subscriber_that_has_gone() -> None:
    exchange = Exchange(Venue.POLYMARKET, FaultPlan(), 1)
    face = LoadApp(PolymarketApp(exchange, {}, lambda: NOW_MS, lambda: None), 1, lambda: NOW_MS)
    list_with_books(exchange)

    class Gone(Client):
        is_open = False

    session = face.open_session(Request("GET", "/ws/market", [], {}))
    assert isinstance(session, LoadSession)
    session.on_open(Gone(asyncio.get_running_loop()))
    session.on_text(json.dumps({"assets_ids": list(TOKENS), "type": "market"}))
    session.play(time.monotonic() + 1.0, 1.0)
    session.play(session.starts_at + 1.0, 1e9)
    session.on_close()
    assert face.frames_sent == 0
