"""Both emulators and their admin port in this process, with a clock that is set by hand; no socket is opened.

This is the only file of the golden runs that knows the code's own names: when those move, it moves with them, and the
stored runs stay as they are. Requests and frames travel as bytes through the protocol that serves real connections.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import re
import struct
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_account import Account

from streams.market.identity import MarketRef, Venue
from streams.sandbox.admin import AdminFace
from streams.sandbox.behaviour import named_behaviour
from streams.sandbox.catalogue import Catalogue, load_catalogue
from streams.sandbox.faults import FaultPlan
from streams.sandbox.flow import Flow
from streams.sandbox.kalshi_face.settings import KalshiFaceSettings
from streams.sandbox.model import CatalogueEvent, CatalogueMarket, ListMarket, PlaceOrder
from streams.sandbox.parameters import REALISTIC_FLOW, FlowParameters
from streams.sandbox.polymarket_face.calldata import selector
from streams.sandbox.polymarket_face.contracts import (
    COLLATERAL,
    COLLATERAL_ADAPTER,
    CONDITIONAL_TOKENS,
    DEPOSIT_FACTORY,
    EXCHANGE_V2,
    NEG_RISK_ADAPTER,
    NEG_RISK_COLLATERAL_ADAPTER,
    PROXY_FACTORY,
    RELAY,
    RELAY_HUB,
    SAFE_MULTISEND,
)
from streams.sandbox.polymarket_face.gamma_objects import neg_risk_id
from streams.sandbox.polymarket_face.settings import PolymarketFaceSettings
from streams.sandbox.polymarket_face.signing import (
    batch_digest,
    clob_auth_digest,
    order_digest_and_signer,
    personal_digest,
    proxy_digest,
    safe_digest,
    word,
)
from streams.sandbox.polymarket_face.wallets import owned_wallets
from streams.sandbox.replay import ReplayFlow
from streams.sandbox.server import Connection
from streams.sandbox.service import Sandbox, SandboxOptions

START_MS = 1_795_000_000_000
"""The first moment of every run: 2026-11-18 11:06:40 UTC."""
CONTRACT = 1_000_000
KALSHI, POLYMARKET, ADMIN = "kalshi", "polymarket", "admin"
KALSHI_PREFIX = "/trade-api/v2"
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
WALLET_KEY = "0x" + "11" * 32
OTHER_WALLET_KEY = "0x" + "22" * 32
_STEP_MS = 100
_LONGEST_WAIT_MS = 120_000
_HEADERS = ("content-type", "retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "connection")


# -- time and chance ---------------------------------------------------------------------------------------------------


class Timer:
    """A call that is due at a moment."""

    def __init__(self, act: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._act: Callable[..., Any] | None = act
        self._arguments = arguments

    def cancel(self) -> None:
        """Never call."""
        self._act = None

    def run(self) -> None:
        """Call, unless it was cancelled."""
        if self._act is not None:
            self._act(*self._arguments)


class HandLoop:
    """The part of an event loop that the emulators use, on a clock that only `Stage.advance` moves."""

    def __init__(self) -> None:
        self.now_ms = float(START_MS)
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = count()

    def time(self) -> float:
        """Seconds since the run began."""
        return (self.now_ms - START_MS) / 1000

    def call_at(self, when: float, act: Callable[..., Any], *arguments: Any, context: Any = None) -> Timer:
        """Call at a moment of `time`."""
        timer = Timer(act, arguments)
        heappush(self._timers, (max(when * 1000 + START_MS, self.now_ms), next(self._numbers), timer))
        return timer

    def call_later(self, delay: float, act: Callable[..., Any], *arguments: Any, context: Any = None) -> Timer:
        """Call after some seconds."""
        return self.call_at(self.time() + delay, act, *arguments)

    def call_soon(self, act: Callable[..., Any], *arguments: Any, context: Any = None) -> Timer:
        """Call as soon as the clock is asked again."""
        return self.call_at(self.time(), act, *arguments)

    def run_until(self, end_ms: float) -> None:
        """Move the clock on, and make the calls that are due on the way at their moments."""
        while self._timers and self._timers[0][0] <= end_ms:
            due, _, timer = heappop(self._timers)
            self.now_ms = max(self.now_ms, due)
            timer.run()
        self.now_ms = max(self.now_ms, end_ms)


async def _at_once(act: Callable[..., Any], *arguments: Any) -> Any:
    return act(*arguments)


def _ended(work: Any) -> Any:
    """Run a coroutine that never really waits."""
    try:
        while True:
            work.send(None)
    except StopIteration as end:
        return end.value


# -- the wire ----------------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    """What a request is answered with; status 0 when the connection was cut instead."""

    status: int
    headers: dict[str, str]
    body: bytes


class Pipe:
    """The server's end of a connection, which keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_closed = False
        self.was_cut = False

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written += data

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.is_closed

    def close(self) -> None:
        """Close it."""
        self.is_closed = True

    def abort(self) -> None:
        """Cut it."""
        self.is_closed = self.was_cut = True

    def get_write_buffer_size(self) -> int:
        """Everything is read at once."""
        return 0

    def get_extra_info(self, name: str) -> None:
        """There is no socket below."""


class Subscriber:
    """A client of a websocket that keeps every frame."""

    def __init__(self, connection: Connection, pipe: Pipe) -> None:
        self._connection = connection
        self.pipe = pipe

    def send(self, message: Any) -> None:
        """Send JSON, or text as it is."""
        data = (message if isinstance(message, str) else json.dumps(message)).encode()
        size = len(data)
        head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + struct.pack(">H", size)
        self._connection.data_received(head + bytes(4) + data)

    def close(self) -> None:
        """The client goes away."""
        self._connection.connection_lost(None)
        self.pipe.is_closed = True

    def take(self) -> list[bytes]:
        """The frames since the last call; pings and closings in angle brackets."""
        data, frames, at = bytes(self.pipe.written), [], 0
        while at < len(data):
            kind, size, at = data[at] & 15, data[at + 1], at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, at = int.from_bytes(data[at : at + width], "big"), at + width
            body, at = data[at : at + size], at + size
            if kind == 1:
                frames.append(body)
            elif kind == 8:
                frames.append(b"<closed %d>" % int.from_bytes(body[:2], "big"))
            else:
                frames.append(b"<ping %s>" % body)
        self.pipe.written.clear()
        return frames


# -- keys and signatures -----------------------------------------------------------------------------------------------


def _kalshi_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"golden {name}".encode()).digest())


_KALSHI_KEYS: dict[str, tuple[str, ...]] = {
    "main": ("read", "write"),
    "other": ("read", "write"),
    "reader": ("read",),
    "writer": ("write",),
}


def _accounts() -> dict[str, Any]:
    """The accounts file."""
    kalshi = [
        {
            "key_id": name, "scopes": list(scopes), "cash_usd": "1000",
            "public_key_pem": _kalshi_key(name)
            .public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        }
        for name, scopes in _KALSHI_KEYS.items()
    ]  # fmt: skip
    polymarket = [
        {"address": address_of(key), "api_key": name, "secret": SECRET, "passphrase": "pass", "cash_usd": "1000",
         "relayer_key": f"relay-{name}"}
        for name, key in (("wallet", WALLET_KEY), ("second", OTHER_WALLET_KEY))
    ]  # fmt: skip
    return {"kalshi": kalshi, "polymarket": polymarket}


def address_of(private_key: str) -> str:
    """The address of a private key."""
    return str(Account.from_key(private_key).address)


def _hmac(secret: str, text: bytes) -> str:
    digest = hmac.new(base64.urlsafe_b64decode(secret), text, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _sign(private_key: str, digest: bytes, *, adds: int = 0) -> str:
    raw = bytes(Account.unsafe_sign_hash(digest, private_key).signature)
    return f"0x{raw[:64].hex()}{raw[64] + adds:02x}"


def _number(address: str) -> int:
    return int(address, 16)


CONTRACTS = {
    "collateral": COLLATERAL, "adapter": COLLATERAL_ADAPTER, "tokens": CONDITIONAL_TOKENS, "exchange": EXCHANGE_V2,
    "neg_adapter": NEG_RISK_ADAPTER, "neg_collateral_adapter": NEG_RISK_COLLATERAL_ADAPTER,
    "deposit_factory": DEPOSIT_FACTORY, "nobody": "0x" + "12" * 20,
}  # fmt: skip


def _call_data(signature: str, arguments: Sequence[Any]) -> bytes:
    return selector(signature) + b"".join(word(_number(a) if isinstance(a, str) else a) for a in arguments)


def positions_call(kind: str, condition: str, amount: int | None = None) -> bytes:
    """The data of a split, merge or redemption."""
    name = {"split": "splitPosition", "merge": "mergePositions", "redeem": "redeemPositions"}[kind]
    types = "address,bytes32,bytes32,uint256[]" + (",uint256" if amount is not None else "")
    head = [_number(COLLATERAL), 0, _number(condition), 160 if amount is not None else 128]
    head += [amount] if amount is not None else []
    return selector(f"{name}({types})") + b"".join(map(word, (*head, 2, 1, 2)))


# -- the markets -------------------------------------------------------------------------------------------------------


def condition(number: int) -> str:
    """The id of a Polymarket market."""
    return "0x" + f"{number + 1:02x}" * 32


def token(number: int, outcome: str = "yes") -> str:
    """A token of a Polymarket market."""
    return str(2**200 + 3 * 10**50 + 2 * number + (outcome == "no"))


def _start() -> datetime:
    return datetime.fromtimestamp(START_MS / 1000, UTC)


def _kalshi_market(ticker: str, event: str, series: str, **more: Any) -> ListMarket:
    title = f"Will {ticker} happen?"
    fees = {"fee_type": "quadratic_with_maker_fees", "fee_multiplier": "1"}
    market = CatalogueMarket(
        Venue.KALSHI, ticker, event, series, title, f"If {ticker} happens, the market resolves to Yes.",
        _start() + timedelta(days=10), _start() - timedelta(days=20), fee_schedule=fees, category="Climate",
    )  # fmt: skip
    is_exclusive = bool(more.pop("is_exclusive", False))
    listed = CatalogueEvent(Venue.KALSHI, event, series, f"Event {event}", "Sub", "Climate", is_exclusive=is_exclusive)
    return ListMarket(listed, replace(market, **more))


def _polymarket_market(number: int, event: str, **more: Any) -> ListMarket:
    market = CatalogueMarket(
        Venue.POLYMARKET, condition(number), event, "", f"Will number {number} happen?", "If it happens.",
        _start() + timedelta(days=10), _start() - timedelta(days=20), min_size_e6=5 * CONTRACT,
        fee_schedule={"rate": "0.05", "exponent": "1", "taker_only": True}, gamma_id=str(1_000 + number),
        slug=f"number-{number}", yes_token=token(number), no_token=token(number, "no"), category="Politics",
    )  # fmt: skip
    return ListMarket(
        CatalogueEvent(Venue.POLYMARKET, event, "", f"Event {event}", category="Politics"), replace(market, **more)
    )


def _listings() -> list[ListMarket]:
    game = (_start() + timedelta(minutes=30)).isoformat().replace("+00:00", "Z")
    return [
        _kalshi_market("KXRAIN-26DEC01-NYC", "KXRAIN-26DEC01", "KXRAIN"),
        _kalshi_market("KXRAIN-26DEC01-BOS", "KXRAIN-26DEC01", "KXRAIN"),
        _kalshi_market("KXCUP-26-A", "KXCUP-26", "KXCUP", is_exclusive=True, fee_schedule={
            "fee_type": "quadratic", "fee_multiplier": "0.5"}),
        _kalshi_market("KXCUP-26-B", "KXCUP-26", "KXCUP", is_exclusive=True),
        _kalshi_market("KXSNOW-26DEC02-T2", "KXSNOW-26DEC02", "KXSNOW", extra={"exchange_index": 1},
                       strike={"type": "greater", "floor": "2"}),
        _polymarket_market(0, "900"),
        _polymarket_market(1, "901", is_neg_risk=True),
        _polymarket_market(2, "901", is_neg_risk=True),
        _polymarket_market(3, "902", category="Crypto", fee_schedule={
            "rate": "0.07", "exponent": "1", "taker_only": True}),
        _polymarket_market(4, "903", category="Sports", outcomes=("Reds", "Blues"), extra={
            "secondsDelay": 3, "clearBookOnStart": True, "gameStartTime": game}),
    ]  # fmt: skip


def late_listing() -> list[ListMarket]:
    """Markets that are listed while clients listen."""
    return [_kalshi_market("KXRAIN-26DEC01-LA", "KXRAIN-26DEC01", "KXRAIN"), _polymarket_market(5, "905")]


class NullLog:
    """A log that nobody reads."""

    def info(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    warning = error = exception = info


class StillFlow:
    """Lists the markets, quotes three levels on either side of 50 cents and does nothing more by itself."""

    def __init__(self) -> None:
        self.next_acts: list[Any] = []
        for listing in _listings():
            self.next_acts.append(listing)
            for step in (1, 2, 3):
                for side, price in (("bid", 5_000 - 100 * step), ("ask", 5_000 + 100 * step)):
                    key = f"{listing.market.market_id[:20]}{side}{step}"
                    ref = listing.market.ref
                    self.next_acts.append(PlaceOrder(ref, "maker", key, side, price, 50 * CONTRACT))  # type: ignore[arg-type]

    def step(self, now_ms: int, fills: Sequence[Any]) -> list[Any]:
        """What is left to do."""
        acts, self.next_acts = self.next_acts, []
        return acts

    def snapshot(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {"is_listed": True}

    def restore(self, state: dict[str, Any]) -> None:
        """Everything was listed before."""
        self.next_acts = []

    def forget_orders(self) -> None:
        """No order is looked after."""

    def follow(self, behaviour: Any) -> None:
        """It behaves in no way."""


# -- the stage ---------------------------------------------------------------------------------------------------------


@dataclass
class Stage:
    """The emulators, what they were told, and the clock.

    Attributes:
        home: The sandbox's folder.
        flow: What moves the markets.
    """

    home: Path
    loop: HandLoop
    sandbox: Sandbox
    flow: Any
    disk: _Disk
    _faces: dict[str, Any] = field(default_factory=dict)
    _salts: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def now_ms(self) -> int:
        """The time, milliseconds."""
        return int(self.loop.now_ms)

    # -- time --

    def advance(self, ms: int) -> None:
        """Let time pass: timers at their moments, the sandbox's own step every tenth of a second."""
        end = self.loop.now_ms + ms
        while self.loop.now_ms < end:
            now = min(end, (self.loop.now_ms // _STEP_MS + 1) * _STEP_MS)
            self.loop.run_until(now)
            if now % _STEP_MS == 0:
                self.step()

    def step(self) -> None:
        """One step of the sandbox."""
        _ended(self.sandbox._step())

    def list_late(self) -> None:
        """List further markets, with quotes, at the next step."""
        for listing in late_listing():
            ref: MarketRef = listing.market.ref
            self.flow.next_acts.append(listing)
            self.flow.next_acts.append(PlaceOrder(ref, "maker", f"{ref.market_id[:20]}late", "bid", 4_000, 10**7))

    # -- requests --

    def ask(self, port: str, method: str, target: str, body: Any = None, by: str = "", **headers: str) -> Answer:
        """Send a request and wait for its answer.

        Args:
            port: `kalshi` (targets without the prefix of its API), `polymarket` or `admin`.
            body: JSON, or text as it is.
            by: Who signs: an API key's name, `l1` for a wallet, `builder` or `relayer`.
            headers: Instead of what the signature would say, `_` for `-`.
        """
        content = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        if port == KALSHI and target.startswith("/"):
            target = KALSHI_PREFIX + target
        target = target.removeprefix("!")
        said = self._signature(port, method, target, content, by) | {
            (name.replace("_", "-") if port == KALSHI else name): value for name, value in headers.items()
        }
        lines = [f"{method} {target} HTTP/1.1", "host: golden", f"content-length: {len(content)}"]
        raw = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in said.items())]) + "\r\n\r\n"
        return self.exchange(port, raw.encode() + content)

    def exchange(self, port: str, raw: bytes) -> Answer:
        """Send bytes as a request and wait for the answer."""
        connection, pipe = self._connect(port)
        connection.data_received(raw)
        self.loop.run_until(self.loop.now_ms)
        waited = 0
        while not pipe.written and not pipe.is_closed and waited < _LONGEST_WAIT_MS:
            self.advance(10)
            waited += 10
        return _answer(pipe)

    def _connect(self, port: str) -> tuple[Connection, Pipe]:
        pipe = Pipe()
        connection = Connection(self._faces[port], set())
        connection.connection_made(pipe)  # type: ignore[arg-type]
        return connection, pipe

    def listen(self, port: str, path: str, by: str = "") -> Subscriber | Answer:
        """Open a websocket; the answer where it is refused."""
        said = self._signature(port, "GET", path, b"", by)
        lines = [
            f"GET {path} HTTP/1.1", "host: golden", "connection: Upgrade", "upgrade: websocket",
            "sec-websocket-version: 13", "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
            *(f"{name}: {value}" for name, value in said.items()),
        ]  # fmt: skip
        connection, pipe = self._connect(port)
        connection.data_received(("\r\n".join(lines) + "\r\n\r\n").encode())
        head, _, rest = bytes(pipe.written).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            return _answer(pipe)
        pipe.written[:] = rest
        return Subscriber(connection, pipe)

    # -- signatures --

    def _signature(self, port: str, method: str, target: str, body: bytes, by: str) -> dict[str, str]:
        path, nonce = target.partition("?")[0], ""
        if by.startswith("l1"):
            by, _, nonce = by.partition("/")
        if not by:
            return {}
        if port == KALSHI:
            stamp = str(self.now_ms)
            raw = _kalshi_key(by).sign(f"{stamp}{method}{path}".encode())
            signature = base64.b64encode(raw).decode()
            return {
                "kalshi-access-key": by, "kalshi-access-timestamp": stamp, "kalshi-access-signature": signature,
            }  # fmt: skip
        stamp = str(self.now_ms // 1000)
        if by in ("l1", "l1-second"):
            private_key = WALLET_KEY if by == "l1" else OTHER_WALLET_KEY
            address = address_of(private_key)
            signed = _sign(private_key, clob_auth_digest(address, stamp, int(nonce or 0)))
            return {
                "poly_address": address, "poly_signature": signed, "poly_timestamp": stamp, "poly_nonce": nonce or "0",
            }  # fmt: skip
        if by == "relayer":
            return {"relayer_api_key": "relay-wallet", "relayer_api_key_address": address_of(WALLET_KEY)}
        if by.startswith("{"):
            key = json.loads(by)
            text = f"{stamp}{method}{path.removeprefix('/relayer').removeprefix('/clob')}".encode() + body
            return {
                "poly_builder_api_key": key["key"], "poly_builder_passphrase": key["passphrase"],
                "poly_builder_timestamp": stamp, "poly_builder_signature": _hmac(key["secret"], text),
            }  # fmt: skip
        text = f"{stamp}{method}{path.removeprefix('/clob')}".encode() + body
        return {
            "poly_address": address_of(WALLET_KEY if by == "wallet" else OTHER_WALLET_KEY), "poly_api_key": by,
            "poly_passphrase": "pass", "poly_timestamp": stamp, "poly_signature": _hmac(SECRET, text),
        }  # fmt: skip

    def order(
        self, side: str, gives: int, wants: int, *, market: int = 0, outcome: str = "yes", kind: str = "GTC",
        by: str = "wallet", wallet: str = "", outer: dict[str, Any] | None = None, salt: int | None = None,
        **changes: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """A signed order of a wallet, as it is posted.

        Args:
            gives / wants: Amounts, 1/1,000,000.
            wallet: `safe`, `proxy` or `deposit`: the smart wallet that trades; empty for the signer itself.
            outer: Fields beside the order.
            changes: Fields of the order. After `unsigned_` they are changed behind the signature.
        """
        private_key = WALLET_KEY if by == "wallet" else OTHER_WALLET_KEY
        signer = address_of(private_key)
        late = {name.removeprefix("unsigned_"): changes.pop(name) for name in list(changes) if "unsigned_" in name}
        kinds = {"": 0, "proxy": 1, "safe": 2, "deposit": 3}
        holder = getattr(owned_wallets(signer), wallet) if wallet else signer
        order: dict[str, Any] = {
            "salt": next(self._salts) if salt is None else salt, "maker": holder,
            "signer": holder if wallet == "deposit" else signer, "tokenId": token(market, outcome),
            "makerAmount": str(gives), "takerAmount": str(wants), "side": side, "expiration": "0",
            "signatureType": kinds[wallet], "timestamp": str(self.now_ms), "metadata": "0x" + "00" * 32,
            "builder": "0x" + "00" * 32,
        }  # fmt: skip
        order |= changes
        is_neg_risk = market in (1, 2)
        digest, _ = order_digest_and_signer({**order, "signature": "0x"}, is_neg_risk=is_neg_risk)
        order["signature"] = _sign(private_key, bytes.fromhex(digest[2:]))
        order |= late
        return {"order": order, "owner": by, "orderType": kind, "deferExec": False} | (outer or {})

    def transaction(self, kind: str, calls: list[list[Any]], nonce: int, **changes: Any) -> dict[str, Any]:
        """What the relayer is sent for a smart wallet: `safe`, `deposit` or `proxy`, with calls as `call` takes them.

        `changes` are made behind the signature; `deadline_s` (from now) before it.
        """
        owner, made = address_of(WALLET_KEY), [self.call(*one) for one in calls]
        deadline = self.now_ms // 1000 + int(changes.pop("deadline_s", 600))
        if kind == "safe":
            body = _safe_body(owner, made, nonce)
        elif kind == "deposit":
            body = _batch_body(owner, made, nonce, deadline)
        else:
            body = _proxy_body(owner, made, nonce)
        return body | changes

    def call(self, target: str, kind: str, *arguments: Any) -> tuple[str, bytes]:
        """A call of a contract: its address and its data."""
        to = CONTRACTS[target]
        if kind in ("split", "merge", "redeem"):
            return to, positions_call(kind, *arguments)
        if kind == "convert":
            (market, index_set, amount) = arguments
            shared = neg_risk_id(self.sandbox.exchanges[Venue.POLYMARKET].markets[condition(market)])
            return to, _call_data("convertPositions(bytes32,uint256,uint256)", (shared, index_set, amount))
        return to, _call_data(kind, [CONTRACTS.get(a, a) if isinstance(a, str) else a for a in arguments])

    def chain_call(self, target: str, kind: str, *arguments: Any) -> dict[str, str]:
        """What `eth_call` is given."""
        to, data = self.call(target, kind, *arguments)
        return {"to": to, "data": f"0x{data.hex()}"}

    def raw_transaction(self, nonce: int, target: str, kind: str, *arguments: Any, is_typed: bool = False) -> str:
        """A signed transaction of the wallet itself."""
        to, data = self.call(target, kind, *arguments)
        fees = {"maxFeePerGas": 10**9, "maxPriorityFeePerGas": 10**9} if is_typed else {"gasPrice": 10**9}
        document = {"to": to, "value": 0, "data": data, "gas": 200_000, "nonce": nonce, "chainId": 137, **fees}
        raw = Account.sign_transaction(document, WALLET_KEY).raw_transaction
        return f"0x{raw.hex().removeprefix('0x')}"

    # -- what is kept, what is known --

    def write_snapshot(self) -> None:
        """Write the journal's snapshot."""
        _ended(self.sandbox._write_snapshot())

    def kept_lines(self) -> dict[str, list[bytes]]:
        """The lines of every file of the journal, by the file's name."""
        folder = self.home / "journal"
        return {path.name: path.read_bytes().splitlines() for path in sorted(folder.iterdir()) if path.stat().st_size}

    def reopened(self) -> bytes:
        """The whole state of both exchanges after the journal is read again, as the next snapshot's line."""
        self.sandbox._journal.close()
        fresh = Sandbox(self.sandbox.options)
        fresh.resume()
        _ended(fresh._write_snapshot())
        fresh._journal.close()
        self.sandbox._journal = _NoJournal()  # type: ignore[assignment]
        return (self.home / "journal" / "snapshot.json").read_bytes()

    def routes(self) -> set[tuple[str, str, str]]:
        """(port, method, path) of every route; `{name}` stands for an argument."""
        found = set()
        for port, face in (
            (KALSHI, self.sandbox._kalshi), (POLYMARKET, self.sandbox._polymarket), (ADMIN, self._faces[ADMIN]),
        ):  # fmt: skip
            router = face._router
            found |= {(port, method, path) for method, path in router._exact}
            for method, pattern, _ in router._patterns:
                found.add((port, method, re.sub(r"\(\?P<(\w+)>\[\^/\]\+\)", r"{\1}", pattern.pattern)))
        return found


class _NoJournal:
    """Stands where a closed journal stood."""

    def close(self) -> None:
        """It is closed."""


def _answer(pipe: Pipe) -> Answer:
    if not pipe.written:
        return Answer(0, {}, b"<reset>" if pipe.was_cut else b"<nothing>")
    head, _, body = bytes(pipe.written).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    shown = {n: v for n, v in sorted(headers.items()) if n in _HEADERS or n.startswith(("x-", "poly", "ratelimit"))}
    if headers.get("content-length", "0") != str(len(body)):
        shown["content-length"] = headers.get("content-length", "")
    return Answer(int(first.split()[1]), shown, body)


def _safe_body(owner: str, calls: list[tuple[str, bytes]], nonce: int) -> dict[str, Any]:
    safe = owned_wallets(owner).safe
    if len(calls) == 1:
        (to, data), operation = calls[0], 0
    else:
        inner = b"".join(b"\0" + bytes.fromhex(to[2:]) + word(0) + word(len(data)) + data for to, data in calls)
        padded = inner + bytes(-len(inner) % 32)
        data, operation, to = selector("multiSend(bytes)") + word(32) + word(len(inner)) + padded, 1, SAFE_MULTISEND
    digest = personal_digest(safe_digest(safe, to, 0, data, operation, nonce))
    return {
        "type": "SAFE", "from": owner, "to": to, "proxyWallet": safe, "data": f"0x{data.hex()}", "nonce": str(nonce),
        "signature": _sign(WALLET_KEY, digest, adds=4), "metadata": "",
        "signatureParams": {"operation": str(operation), "baseGas": "0"},
    }  # fmt: skip


def _batch_body(owner: str, calls: list[tuple[str, bytes]], nonce: int, deadline: int) -> dict[str, Any]:
    wallet = owned_wallets(owner).deposit
    digest = batch_digest(wallet, nonce, deadline, [(to, 0, data) for to, data in calls])
    return {
        "type": "WALLET", "from": owner, "to": DEPOSIT_FACTORY, "nonce": str(nonce),
        "signature": _sign(WALLET_KEY, digest), "metadata": "",
        "depositWalletParams": {
            "depositWallet": wallet, "deadline": str(deadline),
            "calls": [{"target": to, "value": "0", "data": f"0x{data.hex()}"} for to, data in calls],
        },
    }  # fmt: skip


def _proxy_body(owner: str, calls: list[tuple[str, bytes]], nonce: int) -> dict[str, Any]:
    tuples = [
        word(1) + word(_number(to)) + word(0) + word(128) + word(len(data)) + data + bytes(-len(data) % 32)
        for to, data in calls
    ]
    offsets, at = b"", 32 * len(tuples)
    for entry in tuples:
        offsets += word(at)
        at += len(entry)
    data = selector("proxy((uint8,address,uint256,bytes)[])") + word(32) + word(len(calls)) + offsets + b"".join(tuples)
    terms = {"relayerFee": "0", "gasPrice": "0", "gasLimit": "200000", "relayHub": RELAY_HUB, "relay": RELAY}
    digest = personal_digest(proxy_digest(owner, PROXY_FACTORY, data, terms, nonce))
    return {
        "type": "PROXY", "from": owner, "to": PROXY_FACTORY, "proxyWallet": owned_wallets(owner).proxy,
        "data": f"0x{data.hex()}", "nonce": str(nonce), "signature": _sign(WALLET_KEY, digest), "metadata": "",
        "signatureParams": terms,
    }  # fmt: skip


def smart_wallet(kind: str) -> str:
    """A smart wallet of the first signer: `safe`, `proxy` or `deposit`."""
    return str(getattr(owned_wallets(address_of(WALLET_KEY)), kind))


@dataclass
class _Disk:
    """Whether what is written reaches the disk."""

    is_full: bool = False

    def sync(self, descriptor: int) -> None:
        """Nothing needs to last; a full disk refuses."""
        if self.is_full:
            raise OSError(28, "No space left on device")


_CATALOGUES: list[Catalogue] = []


def _bundled() -> Catalogue:
    if not _CATALOGUES:
        _CATALOGUES.append(load_catalogue(None, _start()))
    return _CATALOGUES[0]


@contextmanager
def stage(
    home: Path, *, kalshi: dict[str, Any] | None = None, polymarket: dict[str, Any] | None = None,
    profile: str = "zero", seed: int | None = None, recording: Path | None = None,
) -> Iterator[Stage]:  # fmt: skip
    """Both emulators over still markets, over the simulated market of a seed, or over a recording.

    Args:
        home: An empty folder.
        kalshi / polymarket: Settings of a venue by name, instead of the usual.
        profile: `zero` (everything at once) or `realistic`.
        seed: Of the simulated market; None for still markets.
        recording: A file of recorded books that is played.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "accounts.json").write_text(json.dumps(_accounts()))
    loop, ids, disk = HandLoop(), random.Random(f"ids {seed}"), _Disk()
    behaviour = named_behaviour(profile)
    flow: Any
    if recording is not None:
        flow = ReplayFlow(recording)
    elif seed is not None:
        parameters = FlowParameters()
        if profile == "realistic":
            parameters = replace(parameters, **REALISTIC_FLOW)
        flow = Flow(_bundled(), seed, parameters.under(behaviour))
    else:
        flow = StillFlow()
    truth = _bundled().truth if seed is not None else None
    options = SandboxOptions(
        0, 0, home, lambda anchor: (flow, truth), FaultPlan(seed=seed or 0), seed or 0, "golden", behaviour,
        kalshi=KalshiFaceSettings(**kalshi or {}), polymarket=PolymarketFaceSettings(**polymarket or {}),
    )  # fmt: skip
    with ExitStack() as patches:
        for target, put in (
            ("time.time_ns", lambda: int(loop.now_ms * 1_000_000)),
            ("uuid.uuid4", lambda: uuid.UUID(int=ids.getrandbits(128), version=4)),
            ("asyncio.get_running_loop", lambda: loop),
            ("asyncio.to_thread", _at_once),
            ("os.fdatasync", disk.sync),
            ("os.fsync", disk.sync),
            ("streams.sandbox.server.log", NullLog()),
            ("streams.sandbox.service.log", NullLog()),
        ):
            patches.enter_context(patch(target, put))
        assert time.time_ns() // 1_000_000 == START_MS
        sandbox = Sandbox(options)
        made = Stage(home, loop, sandbox, flow, disk)
        made._faces = {KALSHI: sandbox._kalshi, POLYMARKET: sandbox._polymarket, ADMIN: AdminFace(sandbox.controls)}
        sandbox.resume()
        try:
            made.step()
            yield made
        finally:
            sandbox._journal.close()
