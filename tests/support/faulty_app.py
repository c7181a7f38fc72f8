"""An app that only counts what it carries out, behind the sandbox's fault injection."""

from __future__ import annotations

from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultPlan, FaultRule
from streams.sandbox.core.profile import ZERO, Profile
from streams.sandbox.http.fault_injection import FaultInjection, unavailable
from streams.sandbox.http.server import Request, Response


class CountingApp:
    """Answers 201 to everything; `is_late` puts the answer off as a held order does."""

    def __init__(self, plan: FaultPlan, behaviour: Profile = ZERO, venue: Venue = Venue.KALSHI) -> None:
        self.venue = venue
        self.carried_out = 0
        self.is_late = False
        injection = FaultInjection(self, plan, lambda: behaviour)
        self.handle, self.open_session = injection.handle, injection.open_session
        self.reconsider_sockets = injection.reconsider_sockets

    def answer(self, request: Request) -> Response:
        """Carry out a request."""
        self.carried_out += 1
        done = Response(201, {"order": "x"})
        return Response(delay_ms=150, resume=lambda: done) if self.is_late else done

    def accept(self, request: Request) -> Response:
        """Accept an upgrade."""
        return Response(101)

    def broken(self, rule: FaultRule, request: Request) -> Response:
        """The response in trouble."""
        return unavailable(rule)
