"""The way to the exchanges: HTTP without a socket, as bytes, that loses, delays, doubles and enlarges."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import orjson

from streams.sandbox.http.server import Connection
from streams.venues.credentials.keys import KalshiCredentials, PolymarketCredentials
from streams.venues.kalshi.signing import KalshiSigner
from streams.venues.polymarket.signing import l2_headers
from tests.golden.clock import Pipe, answer_of

_ORDER_PATHS = ("/portfolio/events/orders", "/clob/order")
_LATE_S = ((0.5, 5.0), (31.0, 70.0), (121.0, 180.0))
"""How late an order may arrive that was given up: within its hedge, and after each venue's proof of absence."""
LATEST_S = 180.0


@dataclass
class Faults:
    """Chances of what happens to a request on its way.

    Attributes:
        slow: It takes up to `longest_s` longer.
        late: An order is given up by its sender, and arrives long after.
        larger: An order to Kalshi arrives for half more than was ordered.
    """

    lost_request: float = 0.0
    lost_answer: float = 0.0
    doubled: float = 0.0
    slow: float = 0.0
    late: float = 0.0
    larger: float = 0.0
    longest_s: float = 3.0


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """Carries requests as bytes to the emulator that serves the port they are sent to.

    Attributes:
        on_order: Called with the body of an order at the instant at which its bytes leave.
        late_until: When the last order that was given up arrives (virtual seconds of the loop).
        enlarged: How many orders arrived for more than was ordered.
    """

    apps: Mapping[int, Any]
    source: random.Random
    keys: tuple[KalshiCredentials, PolymarketCredentials]
    venue_now: Callable[[], datetime]
    faults: Faults = field(default_factory=Faults)
    on_order: Callable[[str], None] = lambda _body: None
    late_until: float = 0.0
    enlarged: int = 0
    _under_way: set[asyncio.Task[Any]] = field(default_factory=set)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; what the faults choose happens to it."""
        trace = request.extensions.get("trace")
        if trace is not None:
            await trace("http11.send_request_headers.started", {})
        body = await request.aread()
        is_order = request.method == "POST" and request.url.path.endswith(_ORDER_PATHS)
        if is_order:
            self.on_order(body.decode())
        names = ("lost_request", "lost_answer", "doubled", "slow", "late", "larger")
        draw = {name: self.source.random() for name in names}
        happens = {name: chance < getattr(self.faults, name) for name, chance in draw.items()}
        delay_s = self.source.uniform(0.0, self.faults.longest_s)
        if is_order and happens["larger"]:
            body = self._enlarged(body)
        if is_order and happens["late"]:
            self._arrive_late(request, body)
            await asyncio.sleep(delay_s)
            raise httpx.ReadTimeout("no answer in time", request=request)
        await asyncio.sleep(self.source.uniform(0.001, 0.02) + (delay_s if happens["slow"] else 0.0))
        if happens["lost_request"]:
            raise httpx.ReadTimeout("lost on the way there", request=request)
        answer = await self._ask(request, body)
        if happens["doubled"]:
            answer = await self._ask(request, body)
        await asyncio.sleep(self.source.uniform(0.001, 0.02))
        if happens["lost_answer"]:
            raise httpx.ReadError("lost on the way back", request=request)
        status, headers, content = answer
        return httpx.Response(status, headers=headers, content=content, request=request)

    def _arrive_late(self, request: httpx.Request, body: bytes) -> None:
        """Let an order arrive long after; the venue has checked it when it left."""
        late_s = self.source.uniform(*self.source.choice(_LATE_S))
        self.late_until = max(self.late_until, asyncio.get_running_loop().time() + late_s)

        async def arrive() -> None:
            await asyncio.sleep(late_s)
            await self._ask(request, body, self._signed_now(request, body))

        task = asyncio.create_task(arrive(), name="a late order")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _signed_now(self, request: httpx.Request, body: bytes) -> dict[str, str]:
        at_ms = int(self.venue_now().timestamp() * 1000)
        if "kalshi-access-key" in request.headers:
            return KalshiSigner(self.keys[0]).headers(request.method, str(request.url), at_ms)
        path = request.url.path.removeprefix("/clob")
        return l2_headers(self.keys[1], request.method, path, at_ms // 1000, body)

    def _enlarged(self, body: bytes) -> bytes:
        """Return an order to Kalshi for half more; Polymarket's is signed as a whole."""
        document = orjson.loads(body)
        if "count" not in document or document.get("reduce_only"):
            return body
        self.enlarged += 1
        hundredths = round(float(document["count"]) * 150)
        return orjson.dumps(document | {"count": f"{hundredths // 100}.{hundredths % 100:02d}"})

    async def _ask(
        self, request: httpx.Request, body: bytes, signed: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        pipe = _AwaitedPipe()
        connection = Connection(self.apps[request.url.port or 0], set())
        connection.connection_made(pipe)  # type: ignore[arg-type]
        headers = dict(request.headers) | {name.lower(): value for name, value in (signed or {}).items()}
        headers["content-length"] = str(len(body))
        head = [f"{request.method} {request.url.raw_path.decode()} HTTP/1.1"]
        head += [f"{name}: {value}" for name, value in headers.items() if name != "accept-encoding"]
        connection.data_received(("\r\n".join(head) + "\r\n\r\n").encode() + body)
        await pipe.answered.wait()
        connection.connection_lost(None)
        answer = answer_of(pipe)
        if not answer.status:
            raise httpx.RemoteProtocolError("the connection was cut", request=request)
        dated = _header(pipe, "date")
        more = {} if dated is None else {"date": dated}
        content_type = answer.headers.get("content-type", "application/json")
        return answer.status, {"content-type": content_type, **more}, answer.body


def _header(pipe: Pipe, name: str) -> str | None:
    head = bytes(pipe.written).partition(b"\r\n\r\n")[0].decode("latin-1")
    lines = (line.partition(": ") for line in head.split("\r\n")[1:])
    return next((value for found, _, value in lines if found.lower() == name), None)


class Line(httpx.AsyncBaseTransport):
    """One process's way to the wire: while the process is stopped nothing leaves it, and it hears nothing."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._awake = asyncio.Event()
        self._awake.set()

    def stop(self) -> None:
        """Stop the process."""
        self._awake.clear()

    def wake(self) -> None:
        """Let it go on."""
        self._awake.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request when the process is awake, and hear the answer when it is."""
        await self._awake.wait()
        try:
            return await self._wire.handle_async_request(request)
        finally:
            await self._awake.wait()


class _AwaitedPipe(Pipe):
    """Tells when something was written, or that nothing will be."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Keep it."""
        super().write(data)
        self.answered.set()

    def close(self) -> None:
        """Close it."""
        super().close()
        self.answered.set()

    def abort(self) -> None:
        """Cut it."""
        super().abort()
        self.answered.set()
