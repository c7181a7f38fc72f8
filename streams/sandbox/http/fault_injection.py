"""Faults and latencies that any face can show: refused service, late and lost answers, cut and silent sockets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random

from streams.market.identity import Venue
from streams.sandbox.core.faults import SOCKET_KINDS, FaultRule
from streams.sandbox.core.profile import Span
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.delivery import FrameLine
from streams.sandbox.http.server import Request, Response, Session, Socket

_READS_BY_POST = frozenset(
    {"books", "midpoints", "prices", "spreads", "last-trades-prices", "batch-prices-history", "orders-scoring"}
)
"""Last parts of paths that take a POST and change no order."""


class FaultySurface:
    """The part of a face that applies behaviour and fault plan to requests and sockets."""

    venue: Venue

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._sockets: dict[Socket, str] = {}
        self._opened = count(1)
        self._random = Random(f"acknowledgements of {exchange.venue}")

    def answer(self, request: Request) -> Response:
        """Answer a request as if nothing could go wrong."""
        raise LookupError(request.path)

    def accept(self, request: Request) -> Session | Response:
        """Accept an upgrade as if nothing could go wrong."""
        raise LookupError(request.path)

    def broken(self, rule: FaultRule, request: Request) -> Response:
        """The answer of a venue in trouble."""
        return Response(rule.status, {"error": "service unavailable"})

    # -- requests ---------------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer a request under the fault plan; a write takes its time, half of it before it is carried out."""
        faults = self.exchange.faults
        if faults.rules:
            broken = faults.fires("server_error", self.venue, path=request.path, when="before")
            if broken is not None:
                return self.broken(broken, request)
            if self.is_order(request) and faults.fires("lost_request", self.venue, path=request.path) is not None:
                return Response(is_reset=True)
        if not self.is_write(request):
            return self._carried_out(request)
        half_ms = self._random.randint(*self._ack_ms()) / 2
        if not half_ms:
            return self._carried_out(request)
        return Response(delay_ms=half_ms, resume=lambda: _later(self._carried_out(request), half_ms))

    def _carried_out(self, request: Request) -> Response:
        """Answer, then let the faults of the way back happen."""
        faults = self.exchange.faults
        response = self.answer(request)
        if not faults.rules:
            return response
        return _behind(response, lambda answer: self._way_back(request, answer))

    def _way_back(self, request: Request, response: Response) -> Response:
        faults = self.exchange.faults
        late = faults.fires("delay", self.venue, path=request.path)
        if late is not None:
            response.delay_ms += late.ms
        broken = faults.fires("server_error", self.venue, path=request.path, when="after")
        if broken is not None:
            return _later(self.broken(broken, request), response.delay_ms)
        if self.is_order(request) and response.status < 300:
            response.is_lost = faults.fires("lost_response", self.venue, path=request.path) is not None
        return response

    def _ack_ms(self) -> Span:
        behaviour = self.exchange.behaviour
        return behaviour.kalshi_ack_ms if self.venue is Venue.KALSHI else behaviour.polymarket_ack_ms

    def is_write(self, request: Request) -> bool:
        """Whether the request changes orders, so that its acknowledgement takes time."""
        return request.method != "GET" and request.path.rstrip("/").rpartition("/")[2] not in _READS_BY_POST

    def is_order(self, request: Request) -> bool:
        """Whether the request places, changes or cancels orders."""
        return self.is_write(request) and ("order" in request.path or "cancel" in request.path)

    # -- sockets ----------------------------------------------------------------------------------------------------

    def open_session(self, request: Request) -> Session | Response:
        """Accept an upgrade, or refuse it as a venue in trouble does."""
        faults = self.exchange.faults
        broken = faults.fires("server_error", self.venue, path=request.path, when="before") if faults.rules else None
        return self.accept(request) if broken is None else self.broken(broken, request)

    def watch_faults(self, socket: Socket, channel: str = "") -> None:
        """Put a new socket under behaviour and fault plan; `channel` is what rules call it, where it has one only."""
        exchange = self.exchange
        random = Random(f"feed of {self.venue}: {next(self._opened)}")
        socket.carrier = FrameLine(
            self.venue, exchange.faults, lambda: exchange.behaviour, socket.write, socket.loop, random
        )
        self._sockets = {known: name for known, name in self._sockets.items() if known.is_open}
        self._sockets[socket] = channel
        for kind in SOCKET_KINDS:
            rule = exchange.faults.fires(kind, self.venue, channel=channel)
            if rule is not None:
                _doom(socket, rule)

    def reconsider_sockets(self, rule: FaultRule) -> None:
        """Give a rule about sockets its chance at those that are open already."""
        for socket, channel in self._sockets.items():
            if socket.is_open and rule.concerns(self.venue, "", "", channel) and rule.fires():
                _doom(socket, rule)


def _doom(socket: Socket, rule: FaultRule) -> None:
    if rule.kind == "silent_socket":
        socket.loop.call_later(rule.ms / 1000, setattr, socket, "is_silent", True)
    else:
        socket.loop.call_later(rule.ms / 1000, socket.reset)


def _later(response: Response, ms: float) -> Response:
    response.delay_ms += ms
    return response


def _behind(response: Response, change: Callable[[Response], Response]) -> Response:
    """Apply a change to the answer that is sent in the end, however often it is put off."""
    resume = response.resume
    if resume is None:
        return change(response)
    response.resume = lambda: _behind(resume(), change)
    return response
