"""An event loop on a clock that is set by hand, and the pipe that stands for a connection."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Any

START_MS = 1_795_000_000_000
"""The first moment of every run: 2026-11-18 11:06:40 UTC."""
_HEADERS = ("content-type", "retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "connection")


class Timer:
    """A call that is due at a moment."""

    def __init__(self, act: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._act: Callable[..., Any] | None = act
        self._arguments = arguments

    def cancel(self) -> None:
        """Never call."""
        self._act = None

    def run(self) -> None:
        """Call, unless it was cancelled."""
        if self._act is not None:
            self._act(*self._arguments)


class HandLoop:
    """The part of an event loop that the emulators use, on a clock that only `Stage.advance` moves."""

    def __init__(self) -> None:
        self.now_ms = float(START_MS)
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = count()

    def time(self) -> float:
        """Seconds since the run began."""
        return (self.now_ms - START_MS) / 1000

    def call_at(self, when: float, act: Callable[..., Any], *arguments: Any, context: Any = None) -> Timer:
        """Call at a moment of `time`."""
        timer = Timer(act, arguments)
        heappush(self._timers, (max(when * 1000 + START_MS, self.now_ms), next(self._numbers), timer))
        return timer

    def call_later(self, delay: float, act: Callable[..., Any], *arguments: Any, context: Any = None) -> Timer:
        """Call after some seconds."""
        return self.call_at(self.time() + delay, act, *arguments)

    def call_soon(self, act: Callable[..., Any], *arguments: Any, context: Any = None) -> Timer:
        """Call as soon as the clock is asked again."""
        return self.call_at(self.time(), act, *arguments)

    def run_until(self, end_ms: float) -> None:
        """Move the clock on, and make the calls that are due on the way at their moments."""
        while self._timers and self._timers[0][0] <= end_ms:
            due, _, timer = heappop(self._timers)
            self.now_ms = max(self.now_ms, due)
            timer.run()
        self.now_ms = max(self.now_ms, end_ms)


def ended(work: Any) -> Any:
    """Run a coroutine that never really waits."""
    try:
        while True:
            work.send(None)
    except StopIteration as end:
        return end.value


@dataclass
class Answer:
    """What a request is answered with; status 0 when the connection was cut instead."""

    status: int
    headers: dict[str, str]
    body: bytes


class Pipe:
    """The server's end of a connection, which keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_closed = False
        self.was_cut = False

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written += data

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.is_closed

    def close(self) -> None:
        """Close it."""
        self.is_closed = True

    def abort(self) -> None:
        """Cut it."""
        self.is_closed = self.was_cut = True

    def get_write_buffer_size(self) -> int:
        """Everything is read at once."""
        return 0

    def get_extra_info(self, name: str) -> None:
        """There is no socket below."""


class Subscriber:
    """A client of a websocket that keeps every frame."""

    def __init__(self, connection: asyncio.Protocol, pipe: Pipe) -> None:
        self._connection = connection
        self.pipe = pipe

    def send(self, message: Any) -> None:
        """Send JSON, or text as it is."""
        data = (message if isinstance(message, str) else json.dumps(message)).encode()
        size = len(data)
        head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + struct.pack(">H", size)
        self._connection.data_received(head + bytes(4) + data)

    def close(self) -> None:
        """The client goes away."""
        self._connection.connection_lost(None)
        self.pipe.is_closed = True

    def take(self) -> list[bytes]:
        """The frames since the last call; pings and closings in angle brackets."""
        data, frames, at = bytes(self.pipe.written), [], 0
        while at < len(data):
            kind, size, at = data[at] & 15, data[at + 1], at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, at = int.from_bytes(data[at : at + width], "big"), at + width
            body, at = data[at : at + size], at + size
            if kind == 1:
                frames.append(body)
            elif kind == 8:
                frames.append(b"<closed %d>" % int.from_bytes(body[:2], "big"))
            else:
                frames.append(b"<ping %s>" % body)
        self.pipe.written.clear()
        return frames


def answer_of(pipe: Pipe) -> Answer:
    if not pipe.written:
        return Answer(0, {}, b"<reset>" if pipe.was_cut else b"<nothing>")
    head, _, body = bytes(pipe.written).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    shown = {n: v for n, v in sorted(headers.items()) if n in _HEADERS or n.startswith(("x-", "poly", "ratelimit"))}
    if headers.get("content-length", "0") != str(len(body)):
        shown["content-length"] = headers.get("content-length", "")
    return Answer(int(first.split()[1]), shown, body)
