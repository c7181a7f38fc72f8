"""Answers of the proxy's own, over HTTP and to a handshake of a WebSocket."""

from __future__ import annotations

import math

import orjson
from starlette.types import Scope, Send

from app.doors.proxy.decisions.asked import Refusal
from app.doors.proxy.decisions.headers import RawHeaders, protected

_TITLES = {400: "Bad request", 401: "Unauthorised", 403: "Forbidden", 405: "Method not allowed"}


async def refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Answer with a problem document (RFC 9457), as the API does."""
    document = {
        "type": "about:blank",
        "title": _TITLES.get(refusal.status, refusal.code.replace("_", " ").capitalize()),
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.message,
        # Dagster's pages show what stands here.
        "errors": [{"message": refusal.message}],
    }
    headers: RawHeaders = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.retry_after_s:
        headers.append((b"retry-after", str(math.ceil(refusal.retry_after_s)).encode()))
    await answer(scope, send, refusal.status, headers, orjson.dumps(document))


async def redirect(scope: Scope, send: Send, address: str) -> None:
    """Send a browser to another page of ours."""
    headers = [(b"location", address.encode("latin-1", "replace")), (b"cache-control", b"no-store")]
    await answer(scope, send, 303, headers, b"")


async def answer(scope: Scope, send: Send, status: int, headers: RawHeaders, body: bytes) -> None:
    """Answer in one piece. A handshake that is refused gets it too."""
    prefix = "websocket.http" if scope["type"] == "websocket" else "http"
    whole = [*protected(headers), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{prefix}.response.start", "status": status, "headers": whole})
    await send({"type": f"{prefix}.response.body", "body": b"" if scope.get("method") == "HEAD" else body})
