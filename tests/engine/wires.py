"""Both wire faces as their clients see them, without a socket: what they serve must be what the engine holds."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from streams.market.identity import Venue
from streams.market.units import cash_e6_of
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.app import KalshiApp
from streams.sandbox.kalshi.auth import load_key
from streams.sandbox.polymarket.app import PolymarketApp
from streams.sandbox.polymarket.auth import PolymarketKey, hmac_signature
from tests.engine.collateral_return import NettingLedger
from tests.engine.stage import NOW
from tests.engine.world import World

Levels = dict[int, int]
"""{price_e4: size_e6}"""
Book = tuple[Levels, Levels]
"""(bids, asks) in YES terms."""
_TOKENS = 10**40
_WALLET = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
_SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="


class _Loop:
    """An event loop that never calls back: lags and pings are not what is looked at here."""

    def time(self) -> float:
        return 0.0

    def call_later(self, *_: Any) -> _Loop:
        return self

    def call_at(self, *_: Any) -> _Loop:
        return self

    def cancel(self) -> None:
        return None


class _Pipe:
    """A socket whose frames are kept."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.loop = _Loop()
        self.carrier: Any = None
        self.is_silent = False
        self.is_open = True
        self.unsent_bytes = 0

    def send(self, text: bytes, channel: str = "") -> None:
        self.frames.append(orjson.loads(text))

    def write(self, text: bytes) -> bool:
        self.send(text)
        return True

    answer = write

    def ping(self, payload: bytes) -> None:
        return None

    def take(self) -> list[Any]:
        """The frames since the last call."""
        frames, self.frames = self.frames, []
        return frames


class Wires(ABC):
    """One venue's face over the exchange of a world, read over REST and followed over its socket."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self._pipe = _Pipe()
        self._face: Any = None
        self._exchange: Exchange | None = None
        self.now = NOW

    def attach(self, exchange: Exchange) -> None:
        """Put a face in front of an exchange that lists nothing yet."""
        self._exchange, self._pipe, self.books = exchange, _Pipe(), {}
        self._face = self.open_face(exchange)
        self._watched = False

    def follow(self, world: World) -> None:
        """Fold the frames that came, and compare with the engine's books."""
        assert self._exchange is world.exchange
        self.now = world.now
        if not self._watched:
            self._watched = True
            self.watch(world)
        for frame in self._pipe.take():
            for message in frame if isinstance(frame, list) else [frame]:
                self.fold(message)
        for listed in world.exchange.state.markets.values():
            if listed.status == "open" or (listed.status == "paused" and listed.market_id in self.books):
                folded = self.books.get(listed.market_id, ({}, {}))
                assert folded == _book(listed), f"the folded frames are the book: {folded} {_book(listed)}"

    def check(self, world: World) -> None:
        """Compare books and portfolio over REST with the engine and the accounts."""
        for listed in world.exchange.state.markets.values():
            if listed.status in ("open", "paused"):
                assert self.rest_book(listed) == _book(listed), "REST serves the book"
        self.check_portfolio(world)

    def get(self, path: str, query: dict[str, str] | None = None) -> Any:
        """The body of a signed GET."""
        request = Request("GET", path, list((query or {}).items()), self.sign(path))
        answer: Response = self._face.handle(request)
        while answer.resume is not None:
            answer = answer.resume()
        assert answer.status == 200, (path, answer)
        return orjson.loads(answer.body) if isinstance(answer.body, bytes) else answer.body

    account_id: str

    @abstractmethod
    def open_face(self, exchange: Exchange) -> Any:
        """The face."""

    @abstractmethod
    def sign(self, path: str) -> dict[str, str]:
        """Headers of a signed GET."""

    @abstractmethod
    def watch(self, world: World) -> None:
        """Subscribe to the books."""

    @abstractmethod
    def fold(self, message: Any) -> None:
        """Take one message into the folded books."""

    @abstractmethod
    def rest_book(self, listed: ListedMarket) -> Book:
        """A book over REST."""

    @abstractmethod
    def check_portfolio(self, world: World) -> None:
        """Compare orders, fills, cash and positions."""


class KalshiWires(Wires):
    """Kalshi's face."""

    def __init__(self) -> None:
        super().__init__()
        self._private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        pem = self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self._key = load_key("key", pem.decode())
        self.account_id = self._key.account_id
        self._seq = 0

    def open_face(self, exchange: Exchange) -> Any:
        self._seq = 0
        return KalshiApp(exchange, {"key": self._key}, lambda: self.now, lambda: None)

    def sign(self, path: str) -> dict[str, str]:
        text = base64.b64encode(self._private.sign(f"{self.now}GET{path}".encode())).decode()
        return {
            "kalshi-access-key": "key", "kalshi-access-timestamp": str(self.now), "kalshi-access-signature": text,
        }  # fmt: skip

    def watch(self, world: World) -> None:
        path = "/trade-api/ws/v2"
        session = self._face.open_session(Request("GET", path, [], self.sign(path)))
        session.on_open(self._pipe)
        params = {
            "channels": ["orderbook_delta"],
            "market_tickers": list(world.exchange.state.markets),
            "use_yes_price": True,
        }
        session.on_text(orjson.dumps({"id": 1, "cmd": "subscribe", "params": params}).decode())

    def fold(self, message: Any) -> None:
        if "seq" in message:
            self._seq += 1
            assert message["seq"] == self._seq, "no number is left out"
        body = message.get("msg", {})
        if message["type"] == "orderbook_snapshot":
            bids, asks = (dict(_pairs(body.get(f"{side}_dollars_fp", []))) for side in ("yes", "no"))
            self.books[body["market_ticker"]] = (bids, asks)
        elif message["type"] == "orderbook_delta":
            levels = self.books[body["market_ticker"]][body["side"] == "no"]
            price = _e4(body["price_dollars"])
            levels[price] = levels.get(price, 0) + _e6(body["delta_fp"])
            assert levels[price] >= 0
            if not levels[price]:
                del levels[price]

    def rest_book(self, listed: ListedMarket) -> Book:
        body = self.get(f"/trade-api/v2/markets/{listed.market_id}/orderbook")["orderbook_fp"]
        asks = {10_000 - price: size for price, size in _pairs(body["no_dollars"])}
        return dict(_pairs(body["yes_dollars"])), asks

    def check_portfolio(self, world: World) -> None:
        exchange, portfolio = world.exchange, "/trade-api/v2/portfolio"
        account = exchange.state.accounts.accounts[self.account_id]
        orders = self.get(f"{portfolio}/orders", {"limit": "1000"})["orders"]
        shown = {o["order_id"]: (_e6(o["fill_count_fp"]), _e6(o["remaining_count_fp"]), o["status"]) for o in orders}
        own = [record for record in exchange.state.orders.values() if record.request.account_id == self.account_id]
        held = {t.order_id: (t.filled_e6, t.remaining_e6, t.status) for t in own if t.status != "delayed"}
        assert {name: shown[name] for name in held} == held, "REST serves the orders"
        fills = self.get(f"{portfolio}/fills", {"limit": "1000"})["fills"]
        traded: dict[str, int] = {}
        for fill in fills:
            traded[fill["order_id"]] = traded.get(fill["order_id"], 0) + _e6(fill["count_fp"])
        assert traded == {t.order_id: t.filled_e6 for t in own if t.filled_e6}, "REST serves the fills"
        positions = self.get(f"{portfolio}/positions", {"limit": "1000", "settlement_status": "all"})
        for row in positions["market_positions"]:
            position = account.positions[row["ticker"]]
            assert _e6(row["position_fp"]) == position.yes_e6 - position.no_e6
        seen = {row["ticker"] for row in positions["market_positions"]}
        assert seen >= {m for m, p in account.positions.items() if p.yes_e6 or p.no_e6}, "REST serves the positions"
        free, resting = dict(account.cash_by_shard_e6), exchange.state.resting_orders(self.account_id)
        assert isinstance(world.ledger, NettingLedger)
        if world.ledger.nets(self.account_id):
            held = world.ledger.held_by_orders_e6(self.account_id, resting)
            if held is None:
                return
            free[0] -= held
        for record in () if world.ledger.nets(self.account_id) else resting:
            # What resting orders would cost at their limit, also those that close a position, without fees.
            cost = cash_e6_of(record.request.cost_e4, record.remaining_e6, paying=True)
            free[exchange.state.markets[record.request.market_id].shard] -= cost
        balance = self.get(f"{portfolio}/balance")
        assert abs(_e6(balance["balance_dollars"]) - sum(free.values())) < 100, "REST serves the cash"
        for row in balance["balance_breakdown"]:
            assert abs(_e6(row["balance"]) - free.get(row["exchange_index"], 0)) < 100


class PolymarketWires(Wires):
    """Polymarket's emulator."""

    def __init__(self) -> None:
        super().__init__()
        self._key = PolymarketKey(_WALLET, "api-key", _SECRET, "pass")
        self.account_id = self._key.account_id

    def open_face(self, exchange: Exchange) -> Any:
        return PolymarketApp(exchange, {"api-key": self._key}, lambda: self.now, lambda: None)

    def sign(self, path: str) -> dict[str, str]:
        stamp = str(self.now // 1000)
        return {
            "poly_address": _WALLET, "poly_timestamp": stamp, "poly_api_key": "api-key", "poly_passphrase": "pass",
            "poly_signature": hmac_signature(_SECRET, stamp, "GET", path.removeprefix("/clob"), b""),
        }  # fmt: skip

    def watch(self, world: World) -> None:
        session = self._face.open_session(Request("GET", "/ws/market", [], {}))
        session.on_open(self._pipe)
        tokens = [t for m in world.exchange.state.markets.values() for t in (m.market.yes_token, m.market.no_token)]
        session.on_text(orjson.dumps({"type": "market", "assets_ids": tokens}).decode())

    def fold(self, message: Any) -> None:
        """Both tokens are folded; that of NO must be the mirror of YES."""
        kind = message.get("event_type")
        if kind == "book":
            self._note(message["asset_id"], _ladder(message["bids"]), _ladder(message["asks"]))
        elif kind == "price_change":
            for change in message["price_changes"]:
                if change["asset_id"] not in self._sides:
                    continue  # a market that was paused at the subscription sent no book
                levels = self._sides[change["asset_id"]][change["side"] == "SELL"]
                price, size = _e4(change["price"]), _e6(change["size"])
                levels.pop(price, None)
                if size:
                    levels[price] = size
                self._mirror(change["asset_id"])

    def _note(self, token: str, bids: Levels, asks: Levels) -> None:
        self._sides[token] = (bids, asks)
        self._mirror(token)

    def _mirror(self, token: str) -> None:
        number, is_no = divmod(int(token) - _TOKENS, 2)
        market = "0x" + f"{number:02x}" * 32
        if is_no:
            self._no_books[market] = _mirrored(self._sides[token])
        else:
            bids, asks = self._sides[token]
            self.books[market] = (dict(bids), dict(asks))

    def follow(self, world: World) -> None:
        """As in general; the folded books of NO say the same."""
        if not self._watched:
            self._sides: dict[str, Book] = {}
            self._no_books: dict[str, Book] = {}
        super().follow(world)
        for listed in world.exchange.state.markets.values():
            if listed.status == "open" or (listed.status == "paused" and listed.market_id in self._no_books):
                assert self._no_books.get(listed.market_id, ({}, {})) == _book(listed), "NO mirrors YES"

    def rest_book(self, listed: ListedMarket) -> Book:
        yes, no = (
            self.get("/clob/book", {"token_id": token}) for token in (listed.market.yes_token, listed.market.no_token)
        )
        book = _ladder(yes["bids"]), _ladder(yes["asks"])
        assert _mirrored((_ladder(no["bids"]), _ladder(no["asks"]))) == book
        return book

    def check_portfolio(self, world: World) -> None:
        exchange = world.exchange
        account = exchange.state.accounts.accounts[self.account_id]
        shown = {o["id"]: (_e6(o["original_size"]), _e6(o["size_matched"])) for o in self._pages("/clob/data/orders")}
        held = {t.order_id: (t.request.size_e6, t.filled_e6) for t in exchange.state.resting_orders(self.account_id)}
        assert {name: shown[name] for name in held} == held, "REST serves the orders"
        own = {
            trade.trade_id: trade.status
            for trade in exchange.state.trades.values()
            if self.account_id in (trade.taker.account_id, trade.maker.account_id)
        }
        trades = {t["id"]: t["status"].removeprefix("TRADE_STATUS_") for t in self._pages("/clob/data/trades")}
        assert trades == own, "REST serves the trades"
        cash = self.get("/clob/balance-allowance", {"asset_type": "COLLATERAL"})
        assert int(cash["balance"]) == account.cash_e6 or account.cash_e6 < 0 or exchange.timing.needs_mining
        for listed in exchange.state.markets.values():
            for token, outcome in ((listed.market.yes_token, "yes"), (listed.market.no_token, "no")):
                query = {"asset_type": "CONDITIONAL", "token_id": token}
                balance = int(self.get("/clob/balance-allowance", query)["balance"])
                owned = account.position(listed.market_id).held_e6(outcome)  # type: ignore[arg-type]
                assert balance == owned or owned < 0 or exchange.timing.needs_mining, "REST serves the tokens"

    def _pages(self, path: str) -> Iterator[Any]:
        cursor = "MA=="
        while cursor != "LTE=":
            page = self.get(path, {"next_cursor": cursor})
            yield from page["data"]
            cursor = page["next_cursor"]


def wires_of(venue: Venue) -> Wires:
    """The wires of a venue."""
    return KalshiWires() if venue is Venue.KALSHI else PolymarketWires()


def _book(listed: ListedMarket) -> Book:
    return dict(listed.book.levels("bid")), dict(listed.book.levels("ask"))


def _mirrored(book: Book) -> Book:
    bids, asks = book
    return {10_000 - price: size for price, size in asks.items()}, {
        10_000 - price: size for price, size in bids.items()
    }


def _pairs(rows: list[list[str]]) -> Iterator[tuple[int, int]]:
    return ((_e4(price), _e6(size)) for price, size in rows)


def _ladder(rows: list[dict[str, str]]) -> Levels:
    return {_e4(row["price"]): _e6(row["size"]) for row in rows}


def _e4(text: str) -> int:
    return int(Decimal(text).scaleb(4))


def _e6(text: str) -> int:
    return int(Decimal(text).scaleb(6))
