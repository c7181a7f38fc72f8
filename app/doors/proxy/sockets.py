"""One WebSocket passed on to a Unix socket: messages both ways, with their kinds, close codes and backpressure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from app.doors.proxy.answers import answer
from app.doors.proxy.decisions.asked import Refusal
from app.doors.proxy.decisions.headers import RawHeaders, outward
from app.doors.proxy.http import BehindRefused

MESSAGE_MAX = 1024 * 1024
"""Most bytes of a message from a browser."""
_ANSWER_MAX = 64 * 1024 * 1024
_OPEN_S = 10.0
_CLOSE_S = 2.0
_GOING_AWAY, _POLICY, _LOST = 1001, 1008, 1011
CheckMessage = Callable[[str | bytes | None], Refusal | None]


async def pass_socket(
    scope: Scope, receive: Receive, send: Send, path: Path, headers: RawHeaders, check: CheckMessage
) -> None:
    """Open a WebSocket at the server behind, accept the browser's, and pass messages on until one side closes.

    Args:
        scope: Of the browser's handshake, whose `websocket.connect` was received.
        receive: From the browser.
        send: To the browser.
        path: The socket of the server behind.
        headers: Those for inside.
        check: Why a message from the browser may not pass.

    Raises:
        BehindRefused: If there is no server behind.
    """
    try:
        behind = await _open(scope, path, headers)
    except InvalidStatus as error:
        response = error.response
        given = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.raw_items()
        ]
        kept = [pair for pair in outward(given) if pair[0] != b"content-length"]
        await answer(scope, send, response.status_code, kept, bytes(response.body or b""))
        return
    except InvalidURI:
        raise BehindRefused(Refusal(400, "malformed", "The address is not one of a WebSocket.")) from None
    except (OSError, TimeoutError, InvalidHandshake, EOFError):
        raise BehindRefused(
            Refusal(503, "not_running", "What stands behind this port is not up. Try again soon.", 2)
        ) from None
    try:
        await send({"type": "websocket.accept", "subprotocol": behind.subprotocol})
        outwards = asyncio.create_task(_to_browser(behind, send))
        inwards = asyncio.create_task(_to_behind(behind, receive, check))
        try:
            done, _ = await asyncio.wait({outwards, inwards}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (outwards, inwards):
                task.cancel()
            await asyncio.gather(outwards, inwards, return_exceptions=True)
        refusal = inwards.result() if inwards in done and not inwards.exception() else None
        if refusal is not None:
            await close(send, _POLICY, refusal.message)
        elif outwards in done:
            code, reason = _closed(behind)
            await close(send, code, reason)
    finally:
        await _leave(behind)


async def close(send: Send, code: int, reason: str) -> None:
    """Close a browser's WebSocket."""
    await send({"type": "websocket.close", "code": code, "reason": reason.encode()[:120].decode(errors="ignore")})


async def _open(scope: Scope, path: Path, headers: RawHeaders) -> ClientConnection:
    given = dict(scope["headers"])
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    origin = given.get(b"origin")
    return await unix_connect(
        str(path),
        uri=f"ws://{given[b'host'].decode('latin-1')}{target.decode('latin-1')}",
        origin=None if origin is None else origin.decode("latin-1"),
        subprotocols=[Subprotocol(name) for name in scope["subprotocols"]] or None,
        additional_headers=[(name.decode(), value.decode("latin-1")) for name, value in headers if name != b"origin"],
        user_agent_header=None,
        compression=None,
        proxy=None,
        max_size=_ANSWER_MAX,
        ping_interval=None,
        open_timeout=_OPEN_S,
        close_timeout=_CLOSE_S,
    )


async def _to_browser(behind: ClientConnection, send: Send) -> None:
    async for message in behind:
        await send({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})


async def _to_behind(behind: ClientConnection, receive: Receive, check: CheckMessage) -> Refusal | None:
    """Pass messages inwards until the browser closes, which is passed on, or one may not pass."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            await behind.close(_sendable(message.get("code")), message.get("reason") or "")
            return None
        content: str | bytes = message["text"] if message.get("text") is not None else message["bytes"]
        refusal = check(content)
        if refusal is not None:
            return refusal
        await behind.send(content)


def _closed(behind: ClientConnection) -> tuple[int, str]:
    if behind.close_code in (None, 1006):
        return _LOST, "what stands behind this port broke off"
    return _sendable(behind.close_code), behind.close_reason or ""


def _sendable(code: int | None) -> int:
    """Return a close code as it may stand in a frame."""
    if code is None or code in (1004, 1005, 1006, 1015):
        return 1000 if code == 1005 else _GOING_AWAY
    return code if 1000 <= code < 1015 or 3000 <= code < 5000 else _GOING_AWAY


async def _leave(behind: ClientConnection) -> None:
    try:
        await behind.close(_GOING_AWAY)
    except ConnectionClosed:
        return
