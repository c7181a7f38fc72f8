"""Faults that any face can show: refused service, late and lost answers, cut and silent sockets."""

from __future__ import annotations

from streams.market.identity import Venue
from streams.sandbox.exchange import Exchange
from streams.sandbox.server import Request, Response, Socket


class FaultySurface:
    """The part of a face that applies the fault plan to requests and sockets."""

    venue: Venue

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.may_drop = exchange.faults.has("dropped_frame")

    def answer(self, request: Request) -> Response:
        """Answer a request as if nothing could go wrong."""
        raise LookupError(request.path)

    def handle(self, request: Request) -> Response:
        """Answer a request under the fault plan."""
        faults = self.exchange.faults
        if not faults.rules:
            return self.answer(request)
        broken = faults.fires("server_error", self.venue, path=request.path)
        if broken is not None:
            return Response(broken.status, {"error": "service unavailable"})
        response = self.answer(request)
        late = faults.fires("delay", self.venue, path=request.path)
        if late is not None:
            response.delay_ms = late.ms
        if self.is_order(request) and response.status < 300:
            response.is_lost = faults.fires("lost_response", self.venue) is not None
        return response

    def is_order(self, request: Request) -> bool:
        """Whether the request places an order."""
        return request.method == "POST" and request.path.rstrip("/").rpartition("/")[2] in ("orders", "order")

    def watch_faults(self, socket: Socket) -> None:
        """Decide a new socket's fate."""
        faults = self.exchange.faults
        silent = faults.fires("silent_socket", self.venue)
        if silent is not None:
            socket.loop.call_later(silent.ms / 1000, setattr, socket, "is_silent", True)
        cut = faults.fires("disconnect", self.venue)
        if cut is not None:
            socket.loop.call_later(cut.ms / 1000, socket.abort)
