"""Faults and latencies that any emulator can show: refused service, late and lost answers, cut and silent sockets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random
from typing import Protocol

from streams.market.identity import Venue
from streams.sandbox.core.faults import SOCKET_KINDS, FaultPlan, FaultRule
from streams.sandbox.core.profile import Profile
from streams.sandbox.http.delivery import Delivery
from streams.sandbox.http.server import Request, Response, Session, Socket

_READS_BY_POST = frozenset(
    {"books", "midpoints", "prices", "spreads", "last-trades-prices", "batch-prices-history", "orders-scoring"}
)
"""Last parts of paths that take a POST and change no order."""


class FaultyApp(Protocol):
    """An emulator's app as if nothing could go wrong, and its words for when something does."""

    @property
    def venue(self) -> Venue:
        """Whose app it is."""

    def answer(self, request: Request) -> Response:
        """Answer a request."""

    def accept(self, request: Request) -> Session | Response:
        """Accept an upgrade, or refuse it."""

    def broken(self, rule: FaultRule, request: Request) -> Response:
        """The response of a venue in trouble."""


class FaultInjection:
    """Stands before an app and applies profile and fault plan to its requests and sockets.

    Args:
        app: What answers.
        faults: The rules.
        profile: The profile of the moment.
    """

    def __init__(self, app: FaultyApp, faults: FaultPlan, profile: Callable[[], Profile]) -> None:
        self._app = app
        self._venue = app.venue
        self._faults = faults
        self._profile = profile
        self._sockets: dict[Socket, str] = {}
        self._opened = count(1)
        self._random = Random(f"acknowledgements of {app.venue}")

    # -- requests ---------------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer a request under the fault plan; a write takes its time, half of it before it is carried out."""
        carry_out = self._app.answer
        if self._faults.rules:
            refused = self._on_the_way_in(request)
            if refused is not None:
                return refused
            carry_out = self._carry_out
        if not is_write(request):
            return carry_out(request)
        half_ms = self._random.randint(*self._profile().ack_ms(self._venue)) / 2
        if not half_ms:
            return carry_out(request)
        return Response(delay_ms=half_ms, resume=lambda: _later(self._carry_out(request), half_ms))

    def _on_the_way_in(self, request: Request) -> Response | None:
        """What stops a request before it is carried out, None when nothing does."""
        broken = self._faults.fires("server_error", self._venue, path=request.path, when="before")
        if broken is not None:
            return self._app.broken(broken, request)
        if is_order(request) and self._faults.fires("lost_request", self._venue, path=request.path) is not None:
            return Response(is_reset=True)
        return None

    def _carry_out(self, request: Request) -> Response:
        """Answer, then let the faults of the way back happen."""
        response = self._app.answer(request)
        if not self._faults.rules:
            return response
        return _behind(response, lambda answer: self._on_the_way_back(request, answer))

    def _on_the_way_back(self, request: Request, response: Response) -> Response:
        faults, venue = self._faults, self._venue
        late = faults.fires("delay", venue, path=request.path)
        if late is not None:
            response.delay_ms += late.ms
        broken = faults.fires("server_error", venue, path=request.path, when="after")
        if broken is not None:
            return _later(self._app.broken(broken, request), response.delay_ms)
        if is_order(request) and response.status < 300:
            response.is_lost = faults.fires("lost_response", venue, path=request.path) is not None
        return response

    # -- sockets ----------------------------------------------------------------------------------------------------

    def open_session(self, request: Request) -> Session | Response:
        """Accept an upgrade, or refuse it as a venue in trouble does."""
        faults = self._faults
        broken = faults.fires("server_error", self._venue, path=request.path, when="before") if faults.rules else None
        return self._app.accept(request) if broken is None else self._app.broken(broken, request)

    def watch_faults(self, socket: Socket, channel: str = "") -> None:
        """Put a new socket under profile and fault plan; `channel` is what rules call it, where it has one only."""
        random = Random(f"feed of {self._venue}: {next(self._opened)}")
        socket.carrier = Delivery(self._venue, self._faults, self._profile, socket.write, socket.loop, random)
        self._sockets = {known: name for known, name in self._sockets.items() if known.is_open}
        self._sockets[socket] = channel
        for kind in SOCKET_KINDS:
            rule = self._faults.fires(kind, self._venue, channel=channel)
            if rule is not None:
                _doom(socket, rule)

    def reconsider_sockets(self, rule: FaultRule) -> None:
        """Give a rule about sockets its chance at those that are open already."""
        for socket, channel in self._sockets.items():
            if socket.is_open and rule.concerns(self._venue, "", "", channel) and rule.fires():
                _doom(socket, rule)


def unavailable(rule: FaultRule) -> Response:
    """What most venues in trouble answer."""
    return Response(rule.status, {"error": "service unavailable"})


def is_write(request: Request) -> bool:
    """Whether the request changes orders, so that its acknowledgement takes time."""
    return request.method != "GET" and request.path.rstrip("/").rpartition("/")[2] not in _READS_BY_POST


def is_order(request: Request) -> bool:
    """Whether the request places, changes or cancels orders."""
    return is_write(request) and ("order" in request.path or "cancel" in request.path)


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
