"""A host that answers a socket's upgrade with whatever bytes a test gives it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Speak = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Is given the request of the upgrade and writes what the host says; the connection is closed when it returns."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(request: bytes) -> str:
    """Return the value of Sec-WebSocket-Accept that belongs to a request."""
    lines = {name.lower(): value for name, _, value in (line.partition(b": ") for line in request.split(b"\r\n"))}
    return base64.b64encode(hashlib.sha1(lines[b"sec-websocket-key"] + _GUID).digest()).decode()


def upgraded(request: bytes) -> bytes:
    """Return the response that opens the socket."""
    head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return f"{head}Sec-WebSocket-Accept: {accept_key(request)}\r\n\r\n".encode()


def frame(body: bytes, opcode: int = 1, *, is_last: bool = True, flags: int = 0) -> bytes:
    """Return a frame of a server; `flags` are the three reserved bits."""
    first = (0x80 if is_last else 0) | flags << 4 | opcode
    if len(body) < 126:
        return bytes([first, len(body)]) + body
    if len(body) < 1 << 16:
        return bytes([first, 126]) + len(body).to_bytes(2, "big") + body
    return bytes([first, 127]) + len(body).to_bytes(8, "big") + body


@asynccontextmanager
async def raw_host(speak: Speak) -> AsyncIterator[str]:
    """Run the host on a port of its own and give the address of its socket."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            await speak(request, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
    finally:
        server.close()
