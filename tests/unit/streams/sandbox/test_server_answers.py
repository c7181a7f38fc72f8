"""Answers of the sandbox's server that come late, resume, or never come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import pytest
from websockets.asyncio.client import connect

from streams.sandbox.http.server import Request, Response, Server, Session, Socket

pytestmark = pytest.mark.anyio


class App:
    """Answers everything with what it is given."""

    def __init__(self, make: Callable[[], Response]) -> None:
        self._make = make

    def handle(self, request: Request) -> Response:
        return self._make()

    def open_session(self, request: Request) -> Session | Response:
        return Response(404)


async def ask(make: Callable[[], Response]) -> httpx.Response:
    server = Server(App(make), 0)
    await server.start()
    try:
        async with httpx.AsyncClient() as client:
            return await client.post(f"http://127.0.0.1:{server.port}/x")
    finally:
        await server.stop()


async def test_the_answer_sent_is_the_one_made_after_the_delay() -> None:
    moments: list[float] = []

    def later() -> Response:
        moments.append(time.monotonic())
        return Response(201, {"matched": True}, delay_ms=40)

    def first() -> Response:
        moments.append(time.monotonic())
        return Response(delay_ms=60, resume=later)

    answer = await ask(first)
    arrived, resumed = moments
    assert (answer.status_code, answer.json()) == (201, {"matched": True})
    assert resumed - arrived >= 0.058
    assert time.monotonic() - resumed >= 0.038


async def test_what_was_asked_for_happens_although_the_client_has_gone() -> None:
    done = asyncio.Event()

    def later() -> Response:
        done.set()
        return Response(200)

    server = Server(App(lambda: Response(delay_ms=50, resume=later)), 0)
    await server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
    await writer.drain()
    writer.close()
    await asyncio.wait_for(done.wait(), 60)
    await server.stop()
    assert done.is_set()


async def test_an_answer_that_resumes_into_an_exception_is_a_500() -> None:
    def broken() -> Response:
        raise RuntimeError("no")

    assert (await ask(lambda: Response(resume=broken))).status_code == 500


async def test_a_lost_answer_closes_the_connection_and_a_reset_one_resets_it() -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(lambda: Response(is_lost=True))
    with pytest.raises(httpx.ReadError):
        await ask(lambda: Response(is_reset=True))


class Echo:
    """Says again what it hears."""

    def __init__(self, is_compressible: bool) -> None:
        self.is_compressible = is_compressible
        self._socket: Socket

    def on_open(self, socket: Socket) -> None:
        self._socket = socket

    def on_text(self, text: str) -> None:
        self._socket.send(text.encode())

    def on_close(self) -> None:
        pass


@pytest.mark.parametrize("is_compressible", [True, False])
@pytest.mark.parametrize("offer", ["deflate", None])
async def test_messages_are_compressed_for_clients_that_offer_it(is_compressible: bool, offer: str | None) -> None:
    app = App(lambda: Response(200))
    app.open_session = lambda request: Echo(is_compressible)  # type: ignore[method-assign]
    server = Server(app, 0)
    await server.start()
    async with connect(f"ws://127.0.0.1:{server.port}/", compression=offer, proxy=None) as socket:
        heard = []
        for text in ("a", "b" * 300, "c" * 70_000):
            await socket.send(text)
            heard.append(str(await socket.recv()))
        is_agreed = bool(socket.protocol.extensions)
    await server.stop()
    assert is_agreed == (is_compressible and offer == "deflate")
    assert heard == ["a", "b" * 300, "c" * 70_000]


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_an_offer_of_http_2_is_declined_and_the_request_answered(body: bytes) -> None:
    server = Server(App(lambda: Response(200, {"ok": True})), 0)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\n"
    request = b"POST /x HTTP/1.1\r\nhost: x\r\n%scontent-length: %d\r\n\r\n%s" % (offer, len(body), body)
    lines = []
    for _ in range(2):
        writer.write(request)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        await reader.readexactly(len(b'{"ok":true}'))
        lines.append(head.split(b"\r\n")[0])
    writer.close()
    await server.stop()
    assert lines == [b"HTTP/1.1 200 OK"] * 2
