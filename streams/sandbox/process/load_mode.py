"""Load mode: market-data sockets play pre-rendered laps as fast as wanted; everything else is the ordinary sandbox.

Commands of a subscriber are answered by the face's own session, on books that stand still. A moment after its last
command the laps begin (`load_tape`); a command that comes later is carried out between two laps.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any, Protocol

from streams.market.identity import Venue
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.server import Face, Request, Response, Session, Socket
from streams.sandbox.kalshi.app import SOCKET_PATH
from streams.sandbox.process.load_tape import CHUNK_FRAMES, Lap, Sequences, blank, renumbered, run_loop

LAP_FRAMES = 8_000
_TICK_S = 0.005
_QUIET_S = 0.2
"""Time after a subscriber's last command before its first lap."""
_MAX_BACKLOG = 4_000_000
"""Bytes not yet taken by a subscriber from which it is left to catch up."""
_KEPT_LAPS = 8


class LoadedFace(Face, Protocol):
    """A face whose market-data sockets can be played to."""

    exchange: Exchange


class Tape(Socket):
    """Stands between a session and its socket: passes frames on renumbered, or keeps them while a lap is made."""

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
        """As the socket; nothing while a lap is made."""
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
        lap: What is played to it, None before the first.
        starts_at: Moment (monotonic) from which on frames are due.
    """

    def __init__(self, face: LoadFace, inner: Session) -> None:
        self._face = face
        self._inner = inner
        self._socket: Socket
        self.tape: Tape
        self.commands: list[str] = []
        self._waiting: list[str] = []
        self.lap: Lap | None = None
        self._next_chunk = 0
        self.starts_at = 0.0
        self._sent = 0

    @property
    def is_compressible(self) -> bool:
        """Laps are rendered as plain frames."""
        return False

    def on_open(self, socket: Socket) -> None:
        """Open the face's session on a tape."""
        self._socket, self.tape = socket, Tape(socket)
        self._inner.on_open(self.tape)
        self._face.join(self)

    def on_text(self, text: str) -> None:
        """Carry out a command now, or between two laps; text that is no JSON (a ping) at once."""
        if self.lap is None or not text.lstrip().startswith(("{", "[")):
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
            self.lap, self.starts_at, self._sent = None, time.monotonic() + _QUIET_S, 0

    def _takes_more(self) -> bool:
        return self._socket.is_open and self._socket.unsent_bytes < _MAX_BACKLOG

    def play(self, now: float, frames_per_s: float) -> None:
        """Send what is due."""
        if not self.commands or now < self.starts_at:
            return
        if self.lap is None:
            self.lap = self._face.lap_for(self)
            self._next_chunk, self.starts_at = 0, time.monotonic()
            return
        due = (now - self.starts_at) * frames_per_s
        while self.lap.frames and self._sent + CHUNK_FRAMES <= due and self._takes_more():
            data, frames = self.lap.chunk(self._next_chunk, self.tape.sequences, self._face.now_ms())
            self._socket.write_raw(data)
            self._face.frames_sent += frames
            self._sent += frames
            self._next_chunk = (self._next_chunk + 1) % self.lap.chunks
            if self._next_chunk == 0 and self._waiting:
                waiting, self._waiting = self._waiting, []
                for text in waiting:
                    self._carry_out(text)
                return


class LoadFace:
    """A face in load mode.

    Args:
        face: The ordinary face; it answers every request, and sockets other than market data.
        market_socket: The path of the market-data socket.
        frames_per_s: Wanted for each subscriber; it gets fewer when it does not keep up.
        now_ms: The venue's clock.
    """

    def __init__(self, face: LoadedFace, frames_per_s: int, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.frames_sent = 0
        self._face = face
        self._frames_per_s = frames_per_s
        self._market_socket = SOCKET_PATH if face.exchange.venue is Venue.KALSHI else "/ws/market"
        self._sessions: dict[LoadSession, None] = {}
        self._laps: OrderedDict[tuple[str, ...], Lap] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def handle(self, request: Request) -> Response:
        """As the ordinary face."""
        return self._face.handle(request)

    def open_session(self, request: Request) -> Session | Response:
        """As the ordinary face; a market-data session plays laps."""
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

    def lap_for(self, session: LoadSession) -> Lap:
        """Return the lap for what a session has asked for; sessions that asked for the same share one."""
        key = tuple(session.commands)
        lap = self._laps.get(key)
        if lap is None:
            lap = self._laps[key] = Lap([blank(frame) for frame in self._record(session)])
            if len(self._laps) > _KEPT_LAPS:
                self._laps.popitem(last=False)
        return lap

    def _record(self, session: LoadSession) -> list[bytes]:
        """Let the loop run once; what other sessions would see of it goes nowhere."""
        for other in self._sessions:
            other.tape.recorded = []
        recorded: list[bytes] = []
        session.tape.recorded, steps = recorded, count()
        run_loop(
            self._face.exchange,
            _markets(self._face, session.commands),
            self.now_ms(),
            Random(0),
            lambda: len(recorded) < LAP_FRAMES and next(steps) < 4 * LAP_FRAMES,
        )
        for other in self._sessions:
            other.tape.recorded = None
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
