"""The dead-man switch: an API key that has sent a heartbeat and falls silent loses its resting orders.

There is no way to disarm it other than letting it fire.
"""

from __future__ import annotations

import uuid

from streams.sandbox.http.routes import Access, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.auth import PolymarketKey
from streams.sandbox.polymarket.formats import parsed
from streams.sandbox.polymarket.venue import PolymarketVenue


def beat(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Arm or feed the switch; a wrong id is answered with the expected one."""
    body = parsed(request.body)
    if not isinstance(body, dict):
        return Response(400, {"error": "Invalid payload"})
    known = venue.heartbeats.get(key.api_key)
    if known is not None and str(body.get("heartbeat_id") or "") != known[0]:
        return Response(400, {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": known[0]})
    fresh = str(uuid.uuid4())
    venue.heartbeats[key.api_key] = (fresh, venue.now_ms())
    return Response(200, {"heartbeat_id": fresh})


def beat_without_id(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """The older form, without ids."""
    known = venue.heartbeats.get(key.api_key)
    venue.heartbeats[key.api_key] = (known[0] if known is not None else str(uuid.uuid4()), venue.now_ms())
    return Response(200, {"status": "ok"})


def cancel_silent(venue: PolymarketVenue, now_ms: int) -> None:
    """Every few seconds, cancel the orders of keys that have been silent for too long."""
    settings = venue.settings
    if now_ms - venue.heartbeats_checked_ms < settings.heartbeat_check_ms:
        return
    venue.heartbeats_checked_ms = now_ms
    silent = [name for name, (_, at_ms) in venue.heartbeats.items() if now_ms - at_ms > settings.heartbeat_limit_ms]
    for api_key in silent:
        del venue.heartbeats[api_key]
        key = venue.keyring.get(api_key)
        for record in venue.open_tickets(key) if key is not None else ():
            venue.exchange.order_entry.cancel(record.request.account_id, record.order_id, now_ms)


ROUTES: list[Route[PolymarketVenue]] = [
    Route("POST", "/v1/heartbeats", beat, Access.SIGNED),
    Route("POST", "/heartbeats", beat_without_id, Access.SIGNED),
]
