"""Load mode: market-data sockets play a pre-rendered tape as fast as wanted; everything else is the ordinary sandbox.

Commands of a subscriber are answered by the emulator's own session, on books that stand still. A moment after its last
command the tape begins; a command that comes later is carried out between two rounds of it.

A round of the tape is a closed loop of simulated orders, placed, traded and cancelled on real books while the emulator
renders what its subscriber would see. At its end every book is as it was, so that the next round goes on from there.
What changes between rounds (sequence numbers, times) is left blank and filled in when a chunk is sent.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Protocol

from streams.market.identity import MarketRef, Side, Venue
from streams.sandbox.core.model import CancelOrder, PlaceOrder
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.server import App, Request, Response, Session, Socket
from streams.sandbox.kalshi.app import SOCKET_PATH
from streams.sandbox.kalshi.formats import moment

TAPE_FRAMES = 8_000
_TICK_S = 0.005
_QUIET_S = 0.2
"""Time after a subscriber's last command before its first round."""
_MAX_BACKLOG = 4_000_000
"""Bytes not yet taken by a subscriber from which it is left to catch up."""
_KEPT_TAPES = 8
CHUNK_FRAMES = 100
_MAKER, _TAKER = "house-load", "house-load-taker"
_RESTING = 12
"""Orders of the loop that rest on one book at most."""
_TRADE_SHARE = 0.01
_KEPT_CHUNKS = 64
_FRESH_MS = 50
_SEQ = re.compile(rb'"sid":(\d+),"seq":(\d+)')
_TIMES = (
    (re.compile(rb'"ts":"[^"]*"'), b'"ts":"%(iso)s"'),
    (re.compile(rb'"ts":\d+'), b'"ts":%(s)d'),
    (re.compile(rb'"ts_ms":\d+'), b'"ts_ms":%(ms)d'),
    (re.compile(rb'"timestamp":"\d+"'), b'"timestamp":"%(ms)d"'),
)

Sequences = dict[int, int]
"""Last sequence number by subscription."""


@dataclass(frozen=True, slots=True)
class Blank:
    """A frame with its sequence number and times left out. `sid` 0: it has no number."""

    sid: int
    template: bytes


def blank(frame: bytes) -> Blank:
    """Leave out what changes from round to round."""
    found = _SEQ.search(frame)
    text = frame.replace(b"%", b"%%")
    if found is not None:
        text = _SEQ.sub(rb'"sid":\1,"seq":%(seq)d', text, count=1)
    for pattern, replacement in _TIMES:
        text = pattern.sub(replacement, text)
    return Blank(int(found.group(1)) if found is not None else 0, text)


def renumbered(frame: bytes, sequences: Sequences) -> bytes:
    """Give a frame the next number of its subscription."""
    found = _SEQ.search(frame)
    if found is None:
        return frame
    sid = int(found.group(1))
    sequences[sid] = sequences.get(sid, 0) + 1
    return frame[: found.start(2)] + b"%d" % sequences[sid] + frame[found.end(2) :]


def header(size: int) -> bytes:
    """The head of an unmasked text frame."""
    if size < 126:
        return bytes((0x81, size))
    return b"\x81\x7e" + size.to_bytes(2, "big") if size < 65_536 else b"\x81\x7f" + size.to_bytes(8, "big")


@dataclass(slots=True)
class LoadTape:
    """The frames of one round for one set of subscriptions."""

    frames: list[Blank]
    _made: OrderedDict[tuple[int, tuple[tuple[int, int], ...]], tuple[int, bytes, Sequences]] = field(
        default_factory=OrderedDict
    )

    @property
    def chunks(self) -> int:
        """How many pieces it is sent in."""
        return -(-len(self.frames) // CHUNK_FRAMES)

    def chunk(self, number: int, sequences: Sequences, now_ms: int) -> tuple[bytes, int]:
        """Return a piece ready for the wire and its number of frames; moves the sequences on.

        Subscribers at the same place get the same bytes, rendered once.
        """
        key = (number, tuple(sequences.items()))
        made = self._made.get(key)
        if made is None or now_ms - made[0] > _FRESH_MS:
            made = self._made[key] = (now_ms, *self._render(number, dict(sequences), now_ms))
            if len(self._made) > _KEPT_CHUNKS:
                self._made.popitem(last=False)
        sequences.update(made[2])
        return made[1], min(CHUNK_FRAMES, len(self.frames) - number * CHUNK_FRAMES)

    def _render(self, number: int, sequences: Sequences, now_ms: int) -> tuple[bytes, Sequences]:
        values = {b"ms": now_ms, b"s": now_ms // 1000, b"iso": moment(now_ms).encode(), b"seq": 0}
        parts: list[bytes] = []
        for frame in self.frames[number * CHUNK_FRAMES : (number + 1) * CHUNK_FRAMES]:
            if frame.sid:
                values[b"seq"] = sequences[frame.sid] = sequences.get(frame.sid, 0) + 1
            text = frame.template % values
            parts += (header(len(text)), text)
        return b"".join(parts), sequences


def run_loop(
    exchange: Exchange, market_ids: Iterable[str], now_ms: int, random: Random, wants_more: Callable[[], bool]
) -> None:
    """Move the books of these markets and bring them back: every order placed here is gone at the end.

    Args:
        exchange: Whose books; nothing else may act on them meanwhile.
        market_ids: Those without a price on either side are left alone.
        now_ms: Time of everything that happens.
        random: Decides everything that is drawn.
        wants_more: Asked before each step.
    """
    loops = [loop for loop in (_Loop.over(exchange, market_id, now_ms) for market_id in market_ids) if loop is not None]
    while loops and wants_more():
        random.choice(loops).step(random)
    for loop in loops:
        while loop.resting:
            loop.cancel(loop.resting.pop())


@dataclass(slots=True)
class _Loop:
    """The loop on one book. `prices` are those where it may rest; `better` are free prices inside the spread."""

    exchange: Exchange
    ref: MarketRef
    now_ms: int
    prices: list[tuple[Side, int]]
    better: list[tuple[Side, int]]
    resting: list[str] = field(default_factory=list)
    placed: int = 0

    @classmethod
    def over(cls, exchange: Exchange, market_id: str, now_ms: int) -> _Loop | None:
        listed = exchange.state.markets.get(market_id)
        if listed is None or listed.status != "open" or not listed.book.bids or not listed.book.asks:
            return None
        bids, asks = listed.book.levels("bid"), listed.book.levels("ask")
        prices: list[tuple[Side, int]] = [("bid", price) for price, _ in bids[:8]]
        prices += [("ask", price) for price, _ in asks[:8]]
        step = listed.tick_e4
        low, high = bids[0][0] + step, asks[0][0] - step
        better: list[tuple[Side, int]] = []
        if low < high and listed.book.is_on_grid(low) and listed.book.is_on_grid(high):
            better = [("bid", low), ("ask", high)]
        return cls(exchange, MarketRef(exchange.state.venue, market_id), now_ms, prices, better)

    def step(self, random: Random) -> None:
        if self.better and random.random() < _TRADE_SHARE:
            self._trade(random)
        elif self.resting and random.random() * _RESTING < len(self.resting):
            self.cancel(self.resting.pop(random.randrange(len(self.resting))))
        else:
            side, price = random.choice(self.prices + self.better)
            self.resting.append(self._place(_MAKER, side, price, random.randint(1, 200) * 1_000_000))

    def _trade(self, random: Random) -> None:
        """An order inside the spread that is taken at once and whole; those resting there step aside."""
        while self.resting:
            self.cancel(self.resting.pop())
        side, price = random.choice(self.better)
        size = random.randint(5, 50) * 1_000_000
        self._place(_MAKER, side, price, size)
        self._place(_TAKER, "ask" if side == "bid" else "bid", price, size, is_immediate=True)

    def _place(self, account: str, side: Side, price: int, size_e6: int, *, is_immediate: bool = False) -> str:
        self.placed += 1
        key = f"{self.ref.market_id}.{self.placed}"
        action = PlaceOrder(self.ref, account, key, side, price, size_e6, is_immediate=is_immediate)
        self.exchange.apply(action, self.now_ms)
        return key

    def cancel(self, key: str) -> None:
        self.exchange.apply(CancelOrder(self.ref, _MAKER, key), self.now_ms)


class LoadedApp(App, Protocol):
    """A venue emulator whose market-data sockets can be played to."""

    exchange: Exchange


class TapeRecorder(Socket):
    """Stands between a session and its socket: passes frames on renumbered, or keeps them while a round is made."""

    __slots__ = ("_socket", "recorded", "sequences")

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self.loop = socket.loop
        self.is_silent = False
        self.carrier = None
        self.sequences: Sequences = {}
        self.recorded: list[bytes] | None = None

    @property
    def is_open(self) -> bool:
        """As the socket."""
        return self._socket.is_open

    @property
    def unsent_bytes(self) -> int:
        """As the socket; nothing while a round is made."""
        return 0 if self.recorded is not None else self._socket.unsent_bytes

    def send(self, text: bytes, channel: str = "") -> None:
        """Keep or pass on."""
        if self.recorded is not None:
            self.recorded.append(text)
        else:
            self._socket.write(renumbered(text, self.sequences))

    def answer(self, text: bytes) -> bool:
        """As the socket."""
        return self._socket.answer(text)

    def ping(self, payload: bytes) -> None:
        """As the socket."""
        self._socket.ping(payload)

    def close(self, code: int = 1000) -> None:
        """As the socket."""
        self._socket.close(code)


class LoadSession:
    """One subscriber of a market-data socket.

    Attributes:
        commands: What it has asked for so far.
        tape: What is played to it, None before the first.
        starts_at: Moment (monotonic) from which on frames are due.
    """

    def __init__(self, face: LoadApp, inner: Session) -> None:
        self._face = face
        self._inner = inner
        self._socket: Socket
        self.recorder: TapeRecorder
        self.commands: list[str] = []
        self._waiting: list[str] = []
        self.tape: LoadTape | None = None
        self._next_chunk = 0
        self.starts_at = 0.0
        self._sent = 0

    @property
    def is_compressible(self) -> bool:
        """Laps are rendered as plain frames."""
        return False

    def on_open(self, socket: Socket) -> None:
        """Open the emulator's session on a tape."""
        self._socket, self.recorder = socket, TapeRecorder(socket)
        self._inner.on_open(self.recorder)
        self._face.join(self)

    def on_text(self, text: str) -> None:
        """Carry out a command now, or between two rounds; text that is no JSON (a ping) at once."""
        if self.tape is None or not text.lstrip().startswith(("{", "[")):
            self._carry_out(text)
        else:
            self._waiting.append(text)

    def on_close(self) -> None:
        """Forget the subscriber."""
        self._face.leave(self)
        self._inner.on_close()

    def _carry_out(self, text: str) -> None:
        self._inner.on_text(text)
        if text.lstrip().startswith(("{", "[")):
            self.commands.append(text)
            self.tape, self.starts_at, self._sent = None, time.monotonic() + _QUIET_S, 0

    def _takes_more(self) -> bool:
        return self._socket.is_open and self._socket.unsent_bytes < _MAX_BACKLOG

    def play(self, now: float, frames_per_s: float) -> None:
        """Send what is due."""
        if not self.commands or now < self.starts_at:
            return
        if self.tape is None:
            self.tape = self._face.tape_for(self)
            self._next_chunk, self.starts_at = 0, time.monotonic()
            return
        due = (now - self.starts_at) * frames_per_s
        while self.tape.frames and self._sent + CHUNK_FRAMES <= due and self._takes_more():
            data, frames = self.tape.chunk(self._next_chunk, self.recorder.sequences, self._face.now_ms())
            self._socket.write_raw(data)
            self._face.frames_sent += frames
            self._sent += frames
            self._next_chunk = (self._next_chunk + 1) % self.tape.chunks
            if self._next_chunk == 0 and self._waiting:
                waiting, self._waiting = self._waiting, []
                for text in waiting:
                    self._carry_out(text)
                return


class LoadApp:
    """A venue emulator in load mode.

    Args:
        face: The ordinary venue emulator; it answers every request, and sockets other than market data.
        market_socket: The path of the market-data socket.
        frames_per_s: Wanted for each subscriber; it gets fewer when it does not keep up.
        now_ms: The venue's clock.
    """

    def __init__(self, face: LoadedApp, frames_per_s: int, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.frames_sent = 0
        self._face = face
        self._frames_per_s = frames_per_s
        self._market_socket = SOCKET_PATH if face.exchange.state.venue is Venue.KALSHI else "/ws/market"
        self._sessions: dict[LoadSession, None] = {}
        self._tapes: OrderedDict[tuple[str, ...], LoadTape] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def handle(self, request: Request) -> Response:
        """As the ordinary venue emulator."""
        return self._face.handle(request)

    def open_session(self, request: Request) -> Session | Response:
        """As the ordinary venue emulator; a market-data session plays rounds."""
        accepted = self._face.open_session(request)
        if isinstance(accepted, Response) or request.path != self._market_socket:
            return accepted
        return LoadSession(self, accepted)

    def join(self, session: LoadSession) -> None:
        """Play to a subscriber from now on."""
        self._sessions[session] = None
        if self._timer is None:
            self._tick()

    def leave(self, session: LoadSession) -> None:
        """Play to it no more."""
        self._sessions.pop(session, None)

    def _tick(self) -> None:
        if not self._sessions:
            self._timer = None
            return
        now = time.monotonic()
        for session in list(self._sessions):
            session.play(now, self._frames_per_s)
        self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def tape_for(self, session: LoadSession) -> LoadTape:
        """Return the tape for what a session has asked for; sessions that asked for the same share one."""
        key = tuple(session.commands)
        tape = self._tapes.get(key)
        if tape is None:
            tape = self._tapes[key] = LoadTape([blank(frame) for frame in self._record(session)])
            if len(self._tapes) > _KEPT_TAPES:
                self._tapes.popitem(last=False)
        return tape

    def _record(self, session: LoadSession) -> list[bytes]:
        """Let the loop run once; what other sessions would see of it goes nowhere."""
        for other in self._sessions:
            other.recorder.recorded = []
        recorded: list[bytes] = []
        session.recorder.recorded, steps = recorded, count()
        run_loop(
            self._face.exchange,
            _markets(self._face, session.commands),
            self.now_ms(),
            Random(0),
            lambda: len(recorded) < TAPE_FRAMES and next(steps) < 4 * TAPE_FRAMES,
        )
        for other in self._sessions:
            other.recorder.recorded = None
        return recorded


def _markets(face: Any, commands: list[str]) -> list[str]:
    """The markets that commands of either venue name."""
    named: dict[str, None] = {}
    for text in commands:
        command = json.loads(text)
        params = command.get("params") or {}
        named |= dict.fromkeys([*(params.get("market_tickers") or ()), params.get("market_ticker", "")])
        for token in command.get("assets_ids") or ():
            listed, _ = face.polymarket.tokens.get(str(token), (None, ""))
            if listed is not None:
                named[listed.market_id] = None
    return [name for name in named if name]
