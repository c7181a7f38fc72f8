"""The dead-man switch: an API key that has sent a heartbeat and falls silent loses its resting orders."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.polymarket.auth import PolymarketKey
from streams.sandbox.polymarket.formats import parsed

if TYPE_CHECKING:
    from streams.sandbox.polymarket.app import PolymarketFace


class Heartbeats:
    """Heartbeats of all keys. There is no way to disarm other than letting it fire."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._last: dict[str, tuple[str, int]] = {}
        self._checked_ms = 0

    def register(self, router: Router) -> None:
        """Add the routes."""
        router.add("POST", "/clob/v1/heartbeats", self._face.signed(self.beat))
        router.add("POST", "/clob/heartbeats", self._face.signed(self.old_beat))

    def beat(self, request: Request, key: PolymarketKey) -> Response:
        """Arm or feed the switch; a wrong id is answered with the expected one."""
        body = parsed(request.body)
        if not isinstance(body, dict):
            return Response(400, {"error": "Invalid payload"})
        known = self._last.get(key.api_key)
        if known is not None and str(body.get("heartbeat_id") or "") != known[0]:
            return Response(400, {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": known[0]})
        fresh = str(uuid.uuid4())
        self._last[key.api_key] = (fresh, self._face.now_ms())
        return Response(200, {"heartbeat_id": fresh})

    def old_beat(self, request: Request, key: PolymarketKey) -> Response:
        """The older form, without ids."""
        known = self._last.get(key.api_key)
        self._last[key.api_key] = (known[0] if known is not None else str(uuid.uuid4()), self._face.now_ms())
        return Response(200, {"status": "ok"})

    def tick(self, now_ms: int) -> None:
        """Every few seconds, cancel the orders of keys that have been silent for too long."""
        settings = self._face.settings
        if now_ms - self._checked_ms < settings.heartbeat_check_ms:
            return
        self._checked_ms = now_ms
        silent = [name for name, (_, at_ms) in self._last.items() if now_ms - at_ms > settings.heartbeat_limit_ms]
        for api_key in silent:
            del self._last[api_key]
            key = self._face.ring.get(api_key)
            for ticket in self._face.open_tickets(key) if key is not None else ():
                self._face.exchange.cancel(ticket.request.account_id, ticket.order_id, now_ms)
