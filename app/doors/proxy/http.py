"""One HTTP request passed on to a Unix socket, and its answer passed back, both part by part."""

from __future__ import annotations

from pathlib import Path

import httpx
from starlette.types import Receive, Send

from app.doors.proxy.bodies import Body, ended_by_leaving
from app.doors.proxy.decisions.asked import Asked, Refusal
from app.doors.proxy.decisions.headers import RawHeaders, outward

_KEPT_S = 2.0
"""How long a connection is kept for the next request: less than any server behind keeps it."""
_CONNECT_S = 3.0
_IDLE = httpx.ByteStream(b"")
_LOST = Refusal(502, "bad_gateway", "What stands behind this port broke the connection off; nothing is known of it.")


class BehindRefused(Exception):
    """The server behind gave no answer; `refusal` says so."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Behind:
    """The server behind one door."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self.path = path
        # No certificates are read, no proxy of the environment is asked, and nothing is ever sent a second time.
        self._transport = httpx.AsyncHTTPTransport(
            uds=str(path),
            verify=False,
            trust_env=False,
            retries=0,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=_KEPT_S),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def ask(self, asked: Asked, target: bytes, headers: RawHeaders, body: Body | bytes) -> httpx.Response:
        """Send a request; return the answer with its body still to be read.

        Args:
            asked: As it came.
            target: Path and query, byte by byte as they came.
            headers: Those for inside, without a frame of the body.
            body: What is read on the way, or what was read already.

        Raises:
            BehindRefused: If there is no answer.
            BodyTooLong, ClientGone: From reading the body.
        """
        framed = [*headers, *_frame(asked, body)]
        stream = httpx.ByteStream(body) if isinstance(body, bytes) else body if asked.has_body else _IDLE
        request = httpx.Request(
            asked.method,
            "http://behind/",
            headers=framed,
            stream=stream,
            extensions={"target": target, "timeout": {"connect": _CONNECT_S, "pool": _CONNECT_S}},
        )
        try:
            return await self._transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise BehindRefused(self.unreachable()) from None
        except httpx.HTTPError:
            if not asked.is_read or asked.has_body:
                raise BehindRefused(_LOST) from None
        # A kept connection that was closed meanwhile: what only reads and has no body is asked once more.
        try:
            return await self._transport.handle_async_request(request)
        except httpx.HTTPError:
            raise BehindRefused(_LOST) from None

    def unreachable(self) -> Refusal:
        """Return what is said while nothing listens on the socket."""
        return Refusal(503, "not_running", f"The {self._name} is not up; it is started again. Try again soon.", 2)


async def pass_back(response: httpx.Response, receive: Receive, send: Send) -> None:
    """Send an answer on to who asked, part by part as it comes, and end it when they leave.

    Raises:
        ClientGone: If they left.
        httpx.HTTPError: If the answer broke off: it must not look whole then.
    """
    head = [(name.lower(), value) for name, value in response.headers.raw]
    try:
        await send({"type": "http.response.start", "status": response.status_code, "headers": outward(head)})
        async with ended_by_leaving(receive):
            async for part in response.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
    finally:
        await response.aclose()
    await send({"type": "http.response.body", "body": b""})


def _frame(asked: Asked, body: Body | bytes) -> RawHeaders:
    if isinstance(body, bytes):
        return [(b"content-length", str(len(body)).encode())]
    if asked.all(b"transfer-encoding"):
        return [(b"transfer-encoding", b"chunked")]
    length = asked.one(b"content-length")
    return [] if length is None else [(b"content-length", length.encode())]
