"""A lean HTTP/1.1 and WebSocket server for the venue emulators: one asyncio protocol, synchronous handlers, no queues.

Handlers only compute (everything is in memory), so an answer is written in the call that received the request. Frames
are written with their header in one call; a subscriber that stops reading is cut off instead of being buffered for.
"""

from __future__ import annotations

import asyncio
import re
import socket as sockets
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl

import httptools
import orjson
from websockets.exceptions import ProtocolError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as UpgradeRequest
from websockets.server import ServerProtocol

from streams.logs import get_logger
from streams.processes.handover import listen_at

_MAX_BUFFERED = 32_000_000
_MAX_BODY = 4_000_000
_OFFER = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)
_MAX_MESSAGE = 64 * 2**20
"""Of one socket message; Kalshi's documented limit."""
_REASONS = {int(status): status.phrase for status in HTTPStatus}
log = get_logger(room="sandbox")


@dataclass(slots=True)
class Request:
    """One HTTP request. `path` has no query; header names are lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes = b""

    def param(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    def params(self, name: str) -> list[str]:
        """All values of a query parameter, comma-separated ones split."""
        return [part for key, value in self.query if key == name for part in value.split(",") if part]


@dataclass(slots=True)
class Response:
    """An answer.

    Attributes:
        delay_ms: Holds the answer back by so many milliseconds.
        is_lost: The connection drops instead of the answer being sent.
        is_reset: The same by a TCP reset.
        resume: Called after `delay_ms`; its answer is sent in place of this one (and may be held back in turn). So an
            order is matched late, or a held order answered when it is released. It is called even if the client has
            gone meanwhile: what it asked for happens all the same.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_ms: float = 0
    is_lost: bool = False
    is_reset: bool = False
    resume: Callable[[], Response] | None = None


class Session(Protocol):
    """What an emulator does with one socket."""

    @property
    def is_compressible(self) -> bool:
        """Whether frames are compressed for clients that offer it (permessage-deflate)."""

    def on_open(self, socket: Socket) -> None:
        """The upgrade is done."""

    def on_text(self, text: str) -> None:
        """A text message arrived."""

    def on_close(self) -> None:
        """The connection is gone."""


class App(Protocol):
    """One venue's wire."""

    def handle(self, request: Request) -> Response:
        """Answer a request."""

    def open_session(self, request: Request) -> Session | Response:
        """Accept an upgrade with a session, or refuse it with an answer."""


class Carrier(Protocol):
    """What lies between a session and its socket: takes a frame, and writes it now, later, twice or never."""

    def carry(self, text: bytes, channel: str) -> None:
        """Take one frame of a channel."""


class Socket:
    """The server's end of one WebSocket.

    Attributes:
        is_silent: Nothing is said any more but `answer` and pings.
        carrier: Set by an emulator to have frames late, lost, doubled or out of order.
    """

    __slots__ = ("_extensions", "_transport", "carrier", "is_silent", "loop")

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, extensions: Sequence[Extension] = ()
    ) -> None:
        self._transport = transport
        self._extensions = extensions
        self.loop = loop
        self.is_silent = False
        self.carrier: Carrier | None = None

    @property
    def is_open(self) -> bool:
        """Whether anything can still be sent."""
        return not self._transport.is_closing()

    @property
    def unsent_bytes(self) -> int:
        """What the other side has not taken yet."""
        return self._transport.get_write_buffer_size()

    def send(self, text: bytes, channel: str = "") -> None:
        """Send one text frame the way frames of this socket travel; `channel` is what fault rules go by."""
        if self.carrier is None:
            self.write(text)
        else:
            self.carrier.carry(text, channel)

    def write(self, text: bytes) -> bool:
        """Write one text frame at once; False when the other side reads too slowly and was cut off."""
        return True if self.is_silent else self.answer(text)

    def answer(self, text: bytes) -> bool:
        """As `write`, from a silent socket too: for answers to text pings."""
        if self._transport.is_closing():
            return True
        if self._extensions:
            self._transport.write(Frame(Opcode.TEXT, text).serialize(mask=False, extensions=self._extensions))
        else:
            self._transport.write(_head(len(text)) + text)
        if self._transport.get_write_buffer_size() > _MAX_BUFFERED:
            self.abort()
            return False
        return True

    def write_raw(self, data: bytes) -> None:
        """Write bytes that are frames already."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def ping(self, payload: bytes) -> None:
        """Send a protocol ping (a silent socket still does)."""
        if not self._transport.is_closing():
            self._transport.write(Frame(Opcode.PING, payload).serialize(mask=False))

    def close(self, code: int = 1000) -> None:
        """Close with a close frame."""
        if not self._transport.is_closing():
            self._transport.write(Frame(Opcode.CLOSE, code.to_bytes(2, "big")).serialize(mask=False))
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._transport.abort()

    def reset(self) -> None:
        """Cut the connection by a TCP reset."""
        _reset(self._transport)


def _head(size: int) -> bytes:
    """The header of a whole text frame."""
    if size < 126:
        return bytes((0x81, size))
    return b"\x81\x7e" + size.to_bytes(2, "big") if size < 65_536 else b"\x81\x7f" + size.to_bytes(8, "big")


class Connection(asyncio.Protocol):
    """One TCP connection: HTTP until an upgrade, WebSocket after it."""

    def __init__(self, face: App, connections: set[Connection]) -> None:
        self._face = face
        self._connections = connections
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._raw = bytearray()
        self._frames: ServerProtocol | None = None
        self._session: Session | None = None
        self._fragments: list[bytes] = []
        self._transport: asyncio.Transport
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    # -- asyncio ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._connections.discard(self)
        if self._session is not None:
            self._session.on_close()
            self._session = None

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        if self._frames is not None:
            self._receive_frames(data)
            return
        assert self._parser is not None
        self._raw += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._headers.get("upgrade", "").lower() == "websocket":
                self._upgrade()
            else:
                self._decline_upgrade()
        except httptools.HttpParserError:
            self._write(Response(400, {"error": "malformed request"}), keep=False)

    def close(self) -> None:
        """Close from the server's side."""
        if self._frames is not None:
            Socket(self._transport, asyncio.get_running_loop()).close(1001)
        else:
            self._transport.close()

    # -- httptools --------------------------------------------------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        """Part of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._body += body
        if len(self._body) > _MAX_BODY:
            self._transport.abort()

    def on_message_complete(self) -> None:
        """A whole request is here: answer it."""
        assert self._parser is not None
        if self._parser.should_upgrade():
            return
        request = self._request(self._parser.get_method().decode())
        keep = self._parser.should_keep_alive()
        self._raw.clear()
        self._deliver(self._guarded(request, partial(self._face.handle, request)), request, keep)

    def _deliver(self, response: Response, request: Request, keep: bool, *, is_due: bool = False) -> None:
        if response.delay_ms and not is_due:
            # Whoever pipelines past a delayed answer would get answers out of order; nobody we serve does.
            deliver = partial(self._deliver, response, request, keep, is_due=True)
            asyncio.get_running_loop().call_later(response.delay_ms / 1000, deliver)
        elif response.resume is not None:
            self._deliver(self._guarded(request, response.resume), request, keep)
        elif response.is_reset:
            _reset(self._transport)
        elif response.is_lost:
            self._transport.abort()
        else:
            self._write(response, keep)

    def _request(self, method: str) -> Request:
        """What has arrived as a request; the next one starts from nothing."""
        path, _, query = self._url.decode("latin-1").partition("?")
        request = Request(method, path, parse_qsl(query, keep_blank_values=True), self._headers, bytes(self._body))
        self._url, self._headers, self._body = b"", {}, bytearray()
        return request

    def _guarded(self, request: Request, make: Callable[[], Response]) -> Response:
        try:
            return make()
        except Exception:
            log.exception("a handler failed", method=request.method, path=request.path)
            return Response(500, {"error": "internal error"})

    def _write(self, response: Response, keep: bool) -> None:
        if self._transport.is_closing():
            return
        body = response.body
        if response.status == 204 or body is None:
            payload = b""
        else:
            payload = body if isinstance(body, bytes) else orjson.dumps(body)
        lines = [
            f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Status')}",
            f"content-length: {len(payload)}",
            "content-type: application/json",
        ]
        if response.headers:
            lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if not keep:
            lines.append("connection: close")
        self._transport.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + payload)
        if not keep:
            self._transport.close()

    def _decline_upgrade(self) -> None:
        """Take a request that offers another protocol, such as HTTP/2, as if it did not."""
        head, end, body = bytes(self._raw).partition(b"\r\n\r\n")
        self._parser = httptools.HttpRequestParser(self)
        self._reset()
        self._raw.clear()
        self.data_received(_OFFER.sub(b"", head) + end + body)

    # -- websocket --------------------------------------------------------------------------------------------------

    def _upgrade(self) -> None:
        accepted = self._face.open_session(self._request("GET"))
        if isinstance(accepted, Response):
            self._write(accepted, keep=False)
            return
        offered = (
            [ServerPerMessageDeflateFactory(server_max_window_bits=12, compress_settings={"memLevel": 5})]
            if accepted.is_compressible
            else None
        )
        frames = ServerProtocol(extensions=offered, max_size=_MAX_MESSAGE)
        frames.receive_data(bytes(self._raw))
        self._raw.clear()
        request = next((e for e in frames.events_received() if isinstance(e, UpgradeRequest)), None)
        if request is None:
            self._write(Response(400, {"error": "malformed upgrade"}), keep=False)
            return
        frames.send_response(frames.accept(request))
        self._parser = None
        self._flush(frames)
        self._frames = frames
        self._session = accepted
        accepted.on_open(Socket(self._transport, asyncio.get_running_loop(), frames.extensions))
        self._dispatch(frames)

    def _receive_frames(self, data: bytes) -> None:
        frames = self._frames
        assert frames is not None
        try:
            frames.receive_data(data)
        except ProtocolError:
            self._transport.abort()
            return
        self._dispatch(frames)

    def _dispatch(self, frames: ServerProtocol) -> None:
        for event in frames.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.CONT):
                self._fragments.append(bytes(event.data))
                if event.fin and self._session is not None:
                    message = b"".join(self._fragments)
                    self._fragments = []
                    self._session.on_text(message.decode("utf-8", "replace"))
            elif isinstance(event, Frame) and event.opcode == Opcode.PONG:
                continue
        self._flush(frames)
        if frames.close_expected():
            self._transport.close()

    def _flush(self, frames: ServerProtocol) -> None:
        for chunk in frames.data_to_send():
            if chunk and not self._transport.is_closing():
                self._transport.write(chunk)


def _reset(transport: asyncio.Transport) -> None:
    held = transport.get_extra_info("socket")
    if held is not None and not transport.is_closing():
        held.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Server:
    """One listening port, or one Unix socket, with its connections.

    Args:
        face: What answers.
        port: Of 127.0.0.1; 0 for any free one.
        path: Of a Unix socket in place of a port.
    """

    def __init__(self, face: App, port: int = 0, path: Path | None = None) -> None:
        self._face = face
        self._port = port
        self._path = path
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port it listens on: the given one, or the one the system chose for 0."""
        listening = self._server.sockets if self._server is not None and self._path is None else ()
        return int(listening[0].getsockname()[1]) if listening else self._port

    async def start(self) -> None:
        """Listen on 127.0.0.1, or on the Unix socket.

        Raises:
            OSError: If the port is taken.
            ConfigurationError: If the socket's folder is somebody else's.
        """
        loop = asyncio.get_running_loop()
        if self._path is not None:
            listener = listen_at(self._path)
            self._server = await loop.create_unix_server(self._connect, sock=listener)
        else:
            self._server = await loop.create_server(self._connect, "127.0.0.1", self._port)

    def _connect(self) -> Connection:
        return Connection(self._face, self._connections)

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
            if self._path is not None:
                self._path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)
