"""A WebSocket client that reads in batches: frames gather while the consumer works, and none is ever dropped.

When the consumer falls behind by more than `_MAX_WAITING_BYTES`, reading from the socket pauses, so that the venue's
own limit decides, with an error we can see, instead of silent growth or silent loss here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from picows import (
    WSCloseCode,
    WSFrame,
    WSInvalidStatusError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from streams.market.errors import AuthenticationFailed, RateLimited, StreamsError, TransientError, Unavailable
from streams.venues.common.feed import RawFrame

_MAX_FRAME_BYTES = 64 * 1024 * 1024
_CONNECT_LIMIT_S = 15.0
_LONGEST_RETRY_S = 60.0
_MAX_FRAGMENTS = 100_000
_LONGEST_PONG = 16
_LOST = "the connection was lost"
_MAX_WAITING_BYTES = 32 * 1024 * 1024


class TextHeartbeat(NamedTuple):
    """A venue's own ping in text frames; its responses are no frames to the reader.

    Attributes:
        every_s: Pause between two pings.
        limit_s: A connection whose last response is older than this is lost, whatever else arrives on it.
    """

    every_s: float
    limit_s: float
    ping: bytes = b"PING"
    pong: bytes = b"PONG"


class _Listener(WSListener):
    """Runs inside the event loop's read callback: only appends and notes the time."""

    def __init__(self, pong: bytes | None = None) -> None:
        self._pong = pong
        self.last_pong = time.monotonic()
        self.waiting: list[RawFrame] = []
        self.waiting_bytes = 0
        self.is_paused = False
        self.is_abandoned = False
        self.closed_because: str | None = None
        self.last_sign_of_life = time.monotonic()
        self.arrived = asyncio.Event()
        self._transport: WSTransport | None = None
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0
        self._is_unread_by_venue = False

    def abandon(self) -> None:
        """Nobody will use this connection: end it, also when its upgrade is answered only later."""
        self.is_abandoned = True
        if self._transport is not None:
            self._transport.disconnect(False)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        if self.is_abandoned:
            transport.disconnect(False)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.closed_because is not None:
            return
        self.last_sign_of_life = time.monotonic()
        kind = frame.msg_type
        if kind == WSMsgType.TEXT or kind == WSMsgType.BINARY or kind == WSMsgType.CONTINUATION:
            self._add(transport, frame)
        elif kind == WSMsgType.PING:
            # A venue that pings without reading the responses must not fill our memory with them.
            if not self._is_unread_by_venue:
                transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            code = frame.get_close_code()
            self._end(transport, code, f"the venue closed the connection: {code}")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closed_because = self.closed_because or _LOST
        self.arrived.set()

    def pause_writing(self) -> None:
        self._is_unread_by_venue = True

    def resume_writing(self) -> None:
        self._is_unread_by_venue = False

    def _end(self, transport: WSTransport, code: WSCloseCode, reason: str) -> None:
        self.closed_because = reason
        self.arrived.set()
        transport.send_close(code)
        transport.disconnect()

    def take(self) -> list[RawFrame]:
        """Hand over what has gathered and go on reading."""
        batch, self.waiting, self.waiting_bytes = self.waiting, [], 0
        if self.closed_because is None:
            self.arrived.clear()
        if self.is_paused and self._transport is not None and self.closed_because is None:
            self.is_paused = False
            # While nothing was read there could be no sign of life: patience begins anew.
            self.last_pong = self.last_sign_of_life = time.monotonic()
            self._transport.underlying_transport.resume_reading()
        return batch

    def _add(self, transport: WSTransport, frame: WSFrame) -> None:
        is_continuation = frame.msg_type == WSMsgType.CONTINUATION
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._end(transport, WSCloseCode.PROTOCOL_ERROR, "a frame is compressed, which was not agreed")
            return
        if is_continuation != bool(self._fragments):
            self._end(transport, WSCloseCode.PROTOCOL_ERROR, "a message's parts are mixed up")
            return
        raw = frame.get_payload_as_bytes()
        if not frame.fin or is_continuation:
            self._fragments.append(raw)
            self._fragment_bytes += len(raw)
            if self._fragment_bytes > _MAX_FRAME_BYTES or len(self._fragments) > _MAX_FRAGMENTS:
                self._fragments = []
                self._end(transport, WSCloseCode.MESSAGE_TOO_BIG, "a message in parts is too big")
                return
            if not frame.fin:
                return
            raw = b"".join(self._fragments)
            self._fragments, self._fragment_bytes = [], 0
        if self._pong is not None and len(raw) < _LONGEST_PONG and raw.strip().upper() == self._pong:
            # In other letters it shows that the venue is there, but whoever reads the frames is told of it.
            self.last_pong = time.monotonic()
            if raw.strip() == self._pong:
                return
        self.waiting.append(RawFrame(raw, time.time_ns()))
        self.waiting_bytes += len(raw)
        if self.waiting_bytes > _MAX_WAITING_BYTES and not self.is_paused and self._transport is not None:
            self.is_paused = True
            self._transport.underlying_transport.pause_reading()
        self.arrived.set()


class Socket:
    """One connection. Silence longer than `silence_timeout_s` (no frame, ping or pong) counts as lost."""

    def __init__(self, silence_timeout_s: float, heartbeat: TextHeartbeat | None = None) -> None:
        self._silence_timeout_s = silence_timeout_s
        self._heartbeat = heartbeat
        self._beating: asyncio.Task[None] | None = None
        self._transport: WSTransport | None = None
        self._listener = _Listener()

    @property
    def is_open(self) -> bool:
        """Whether frames can be sent."""
        return self._transport is not None and self._listener.closed_because is None

    async def connect(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        """Open the connection, closing one that is open.

        Raises:
            AuthenticationFailed: The upgrade met 401, or 403 that is no web page.
            RateLimited: It met 429.
            Unavailable: It met 503.
            TransientError: It failed in any other way.
        """
        await self.close()
        listener = _Listener(None if self._heartbeat is None else self._heartbeat.pong)
        try:
            async with asyncio.timeout(_CONNECT_LIMIT_S):
                transport, answered = await ws_connect(
                    lambda: listener,
                    url,
                    extra_headers=dict(headers or {}),
                    enable_auto_pong=False,
                    max_frame_size=_MAX_FRAME_BYTES,
                    websocket_handshake_timeout=min(10.0, self._silence_timeout_s),
                    max_redirects=0,
                )
        except WSInvalidStatusError as error:
            raise _refusal(error) from None
        except Exception as error:  # what the library raises for hosts that speak nonsense is documented nowhere
            listener.abandon()
            raise TransientError(f"no socket connection: {type(error).__name__}: {error}"[:300]) from error
        except BaseException:
            listener.abandon()
            raise
        # A host that goes away in the middle of the upgrade gives a connection without a listener.
        if answered is not listener:
            transport.disconnect(False)
            raise TransientError("no socket connection: the host closed it during the upgrade")
        self._transport = transport
        self._listener = listener
        if self._heartbeat is not None:
            self._beating = asyncio.create_task(self._beat(self._heartbeat, listener))

    async def _beat(self, heartbeat: TextHeartbeat, listener: _Listener) -> None:
        # A failed ping needs no word from here: whoever reads the frames learns that the connection is gone.
        with suppress(TransientError):
            while True:
                await asyncio.sleep(heartbeat.every_s)
                silent_s = time.monotonic() - listener.last_pong
                # While reading pauses for our own sake, a response may wait unread.
                if silent_s > heartbeat.limit_s and not listener.is_paused:
                    listener.closed_because = f"no answer to {heartbeat.ping.decode()} for {silent_s:.0f} s"
                    listener.arrived.set()
                    return
                self.send(heartbeat.ping)

    def send(self, text: bytes) -> None:
        """Queue one text frame.

        Raises:
            TransientError: The connection is gone.
        """
        if self._transport is None or self._listener.closed_because is not None:
            raise TransientError(self._listener.closed_because or "the socket is not connected")
        self._transport.send(WSMsgType.TEXT, text)

    async def batch(self) -> list[RawFrame]:
        """Wait for frames and return all that have gathered; what arrived before a loss is handed over first.

        Raises:
            TransientError: The connection is gone or silent.
        """
        listener = self._listener
        while True:
            if listener.waiting:
                return listener.take()
            if self._transport is None or listener.closed_because is not None:
                await self.close()
                raise TransientError(listener.closed_because or "the socket is not connected")
            silent_s = time.monotonic() - listener.last_sign_of_life
            if silent_s >= self._silence_timeout_s:
                await self.close()
                raise TransientError(f"no sign of life for {silent_s:.0f} s")
            await self._wait(listener, silent_s)

    async def _wait(self, listener: _Listener, silent_s: float) -> None:
        third = self._silence_timeout_s / 3
        try:
            async with asyncio.timeout(min(third, self._silence_timeout_s - silent_s)):
                await listener.arrived.wait()
        except TimeoutError:
            if self._transport is not None and listener.closed_because is None:
                # The response to this tells a quiet market from a dead connection.
                self._transport.send_ping(b"")

    async def close(self) -> None:
        """Close the connection; safe to call at any time."""
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        transport, self._transport = self._transport, None
        if transport is None:
            return
        listener = self._listener
        if listener.closed_because is None:
            listener.closed_because = "closed by us"
            transport.send_close(WSCloseCode.OK)
        # Not graceful: a dead peer would let the last bytes wait for ever.
        transport.disconnect(False)
        try:
            await transport.wait_disconnected()
        except Exception as error:  # how the connection ended: a frame against the protocol, or too big
            if listener.closed_because == _LOST:
                listener.closed_because = f"the venue broke the protocol: {error}"[:300]


def _refusal(error: WSInvalidStatusError) -> StreamsError:
    """Return what an upgrade that was answered by another status than 101 means."""
    response = error.response
    if response is None:
        return TransientError("the socket's upgrade was answered without a status")
    status = int(response.status)
    message = f"the socket's upgrade was answered {status}"
    # A web page is a firewall's or a proxy's: it says nothing of the key.
    is_page = "html" in response.headers.get("Content-Type", "").lower()
    if status == 401 or (status == 403 and not is_page):
        return AuthenticationFailed(message)
    if status in (429, 503):
        text = response.headers.get("Retry-After", "")
        wait_s = min(float(text), _LONGEST_RETRY_S) if text.isascii() and text.isdigit() else 1.0
        return RateLimited(message, wait_s) if status == 429 else Unavailable(message, wait_s)
    return TransientError(message)
