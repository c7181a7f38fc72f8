"""Every way a socket's upgrade or connection can end is in the error tree, and costs nothing but this connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

import pytest

from streams.market.errors import AuthenticationFailed, RateLimited, StreamsError, TransientError, Unavailable
from streams.venues.common import socket as sockets
from streams.venues.common.socket import Socket, TextHeartbeat
from tests.support.raw_host import Speak, accept_key, frame, raw_host, upgraded

pytestmark = pytest.mark.anyio


def says(response: str) -> Speak:
    async def speak(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(response.encode("latin-1"))

    return speak


async def reset(_request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def wrong_key(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(upgraded(request).replace(accept_key(request).encode(), b"d3Jvbmc="))


async def no_key(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(upgraded(request).replace(b"Sec-WebSocket-Accept", b"X-Other"))


SWITCHING = "HTTP/1.1 101 Switching Protocols\r\n"
REFUSED_UPGRADES: dict[str, Speak] = {
    "closed": says(""),
    "reset": reset,
    "garbage": says("\x00\xff\xfe garbage \x16\x03\x01"),
    "garbage as a whole answer": says("garbage \xff\r\n\r\n"),
    "half a status line": says("HTTP/1.1 1"),
    "half a header": says(SWITCHING + "Upgrade: webso"),
    "no accept key": no_key,
    "wrong accept key": wrong_key,
    "not a number": says("HTTP/1.1 abc Odd\r\n\r\n"),
    "status nobody knows": says("HTTP/1.1 799 Odd\r\n\r\n"),
    "older protocol": says("HTTP/1.0 101 Switching Protocols\r\n\r\n"),
    "huge header": says(SWITCHING + "X-Long: " + "x" * 300_000 + "\r\n\r\n"),
    "many headers": says(SWITCHING + "X-A: b\r\n" * 2_000 + "\r\n"),
    "endless header": says(SWITCHING + "X-Long: " + "x" * 300_000),
    "header without a name": says(SWITCHING + ": b\r\n\r\n"),
    "length that is no number": says(SWITCHING + "Content-Length: many\r\n\r\n"),
    "a body": says(SWITCHING + "Content-Length: 10\r\n\r\n0123456789"),
    "200": says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    "301": says("HTTP/1.1 301 Moved Permanently\r\nLocation: http://example.com/\r\n\r\n"),
    "301 to nowhere": says("HTTP/1.1 301 Moved Permanently\r\n\r\n"),
    "403 of a firewall": says("HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n<html>no</html>"),
    "404": says("HTTP/1.1 404 Not Found\r\n\r\n"),
    "500": says("HTTP/1.1 500 Internal Server Error\r\n\r\n"),
}


@pytest.mark.parametrize("name", REFUSED_UPGRADES)
async def test_an_upgrade_that_fails_is_transient(name: str) -> None:
    async with raw_host(REFUSED_UPGRADES[name]) as url:
        used = Socket(5.0)
        with pytest.raises(TransientError):
            await used.connect(url)
        assert not used.is_open
        await used.close()


@pytest.mark.parametrize(
    ("response", "kind", "wait_s"),
    [
        ("HTTP/1.1 401 Unauthorized\r\n\r\n", AuthenticationFailed, None),
        ("HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n\r\n{}", AuthenticationFailed, None),
        ("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n", RateLimited, 7.0),
        ("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 99999\r\n\r\n", RateLimited, 60.0),
        ("HTTP/1.1 503 Service Unavailable\r\nRetry-After: soon\r\n\r\n", Unavailable, 1.0),
    ],
)
async def test_a_status_says_what_to_do(response: str, kind: type[StreamsError], wait_s: float | None) -> None:
    async with raw_host(says(response)) as url:
        with pytest.raises(kind) as found:
            await Socket(5.0).connect(url)
    assert getattr(found.value, "retry_after_s", None) == wait_s


async def test_a_host_that_closes_at_once_is_transient() -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with pytest.raises(TransientError):
        await Socket(5.0).connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()


async def never(_request: bytes, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def test_a_host_that_never_answers_is_transient() -> None:
    async with raw_host(never) as url:
        with pytest.raises(TransientError):
            await Socket(0.3).connect(url)


async def test_a_connect_without_end_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(sockets, "ws_connect", endless)
    monkeypatch.setattr(sockets, "_CONNECT_LIMIT_S", 0.05)
    with pytest.raises(TransientError):
        await Socket(5.0).connect("ws://127.0.0.1:1/")


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1:1/",
        "ws://name.invalid/",
        "ws://" + "x" * 80 + ".invalid/",
        "ws://127.0.0.1:99999/",
        "http://127.0.0.1/",
        "ws://",
        "ws://[::1/",
    ],
)
async def test_a_host_that_is_not_there_is_transient(url: str) -> None:
    with pytest.raises(TransientError):
        await Socket(5.0).connect(url)


async def test_tls_to_a_host_that_speaks_plain_text_is_transient() -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with pytest.raises(TransientError):
        await Socket(5.0).connect(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()


async def test_a_connect_that_was_given_up_leaves_no_connection_behind() -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)
        writer.write(upgraded(request))
        with contextlib.suppress(OSError):
            await reader.read()
        closed.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(Socket(5.0).connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"), 0.05)
    await asyncio.wait_for(closed.wait(), 10)
    server.close()


def after_upgrade(*parts: bytes) -> Speak:
    async def speak(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(upgraded(request) + b"".join(parts))
        await writer.drain()

    return speak


async def read_all(url: str, *, heartbeat: TextHeartbeat | None = None) -> tuple[list[bytes], str]:
    """Return the frames up to the end of the connection, and what was said of it."""
    used = Socket(5.0, heartbeat)
    await used.connect(url)
    found: list[bytes] = []
    try:
        async with asyncio.timeout(20):
            while True:
                found += [frame.raw for frame in await used.batch()]
    except TransientError as error:
        await used.close()
        return found, str(error)


CLOSE = 8
ENDINGS: dict[str, tuple[Speak, list[bytes], str]] = {
    "closed": (after_upgrade(), [], "lost"),
    "a frame, then closed": (after_upgrade(frame(b"{}")), [b"{}"], "lost"),
    "normal": (after_upgrade(frame(b"{}"), frame((1000).to_bytes(2, "big"), CLOSE)), [b"{}"], "1000"),
    "without a code": (after_upgrade(frame(b"", CLOSE)), [], "closed the connection"),
    "policy": (after_upgrade(frame((1008).to_bytes(2, "big") + b"why", CLOSE)), [], "1008"),
    "too big": (after_upgrade(frame((1009).to_bytes(2, "big"), CLOSE)), [], "1009"),
    "of their own": (after_upgrade(frame((4001).to_bytes(2, "big"), CLOSE)), [], "4001"),
    "code nobody may send": (after_upgrade(frame((1006).to_bytes(2, "big"), CLOSE)), [], "1006"),
    "half a code": (after_upgrade(frame(b"\x03", CLOSE)), [], "protocol"),
    "reason that is no text": (after_upgrade(frame((1000).to_bytes(2, "big") + b"\xff", CLOSE)), [], "protocol"),
    "compressed": (after_upgrade(frame(b"\x00nonsense", flags=4)), [], "compressed"),
    "unknown kind": (after_upgrade(frame(b"", 3)), [], "protocol"),
    "long ping": (after_upgrade(frame(b"x" * 126, 9)), [], "protocol"),
    "part of nothing": (after_upgrade(frame(b"x", 0)), [], "mixed up"),
    "a message within another": (after_upgrade(frame(b"x", is_last=False), frame(b"y")), [], "mixed up"),
    "a frame of a terabyte": (after_upgrade(b"\x81\x7f" + (1 << 40).to_bytes(8, "big")), [], "max"),
    "masked": (after_upgrade(b"\x81\x81abcdx"), [], "protocol"),
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_a_connection_that_ends_says_how(name: str) -> None:
    speak, frames, word = ENDINGS[name]
    async with raw_host(speak) as url:
        found, reason = await read_all(url)
    assert found == frames
    assert word in reason


async def test_frames_in_parts_binary_ones_and_bytes_that_are_no_text_are_handed_over() -> None:
    parts = (frame(b"a", is_last=False), frame(b"", 9), frame(b"b", 0, is_last=False), frame(b"c", 0))
    async with raw_host(after_upgrade(*parts, frame(b"\x00\xff", 2), frame(b"\xff\xfe"), frame(b""))) as url:
        found, _ = await read_all(url)
    assert found == [b"abc", b"\x00\xff", b"\xff\xfe", b""]


async def test_a_message_in_endless_parts_is_too_big(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_MAX_FRAME_BYTES", 1_000)
    parts = [frame(b"x" * 100, is_last=False), *[frame(b"x" * 100, 0, is_last=False) for _ in range(20)]]
    async with raw_host(after_upgrade(*parts)) as url:
        found, reason = await read_all(url)
    assert (found, reason) == ([], "a message in parts is too big")


async def test_a_flood_of_pings_that_are_never_read_fills_no_memory() -> None:
    async def flood(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        writer.write(upgraded(request))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        pings = frame(b"x" * 125, 9) * 1000
        for _ in range(100):
            writer.write(pings)
            await writer.drain()
        writer.write(frame(b"{}"))
        await writer.drain()
        await asyncio.Event().wait()

    async with raw_host(flood) as url:
        used = Socket(20.0)
        await used.connect(url)
        assert [frame.raw for frame in await asyncio.wait_for(used.batch(), 30)] == [b"{}"]
        assert used._transport is not None
        assert used._transport.underlying_transport.get_write_buffer_size() < 1_000_000
        await used.close()


@pytest.mark.parametrize("pong", [b"PONG", b" PONG\n", b"pong"])
async def test_a_pong_in_other_letters_keeps_the_connection(pong: bytes) -> None:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(upgraded(request))
        for _ in range(8):
            writer.write(frame(pong))
            await asyncio.sleep(0.1)
        writer.write(frame(b"{}") + frame((1000).to_bytes(2, "big"), CLOSE))

    async with raw_host(answer) as url:
        found, reason = await read_all(url, heartbeat=TextHeartbeat(0.1, 0.4))
    assert [raw for raw in found if raw != pong] == [b"{}"]
    assert (pong in found) == (pong == b"pong")
    assert "1000" in reason
