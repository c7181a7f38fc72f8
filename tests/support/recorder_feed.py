"""A feed over newline-separated frames on a plain TCP connection, and the server that speaks to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

from streams.market.errors import TransientError
from streams.market.events import MarketEvent
from streams.market.identity import Venue
from streams.recorder.sources import FeedSource
from streams.storage.store.wanted import WantedMarket
from streams.venues.common.feed import FeedMarket, RawFrame
from streams.venues.kalshi.types.market_frames import parse_frame


class LineFeed:
    """Speaks one line per frame and per command: `subscribe A,B`, `unsubscribe A`, `resync A`."""

    venue = Venue.KALSHI

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self) -> None:
        try:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
        except OSError as error:
            raise TransientError(str(error)) from None

    async def _command(self, word: str, ids: Sequence[str]) -> None:
        assert self._writer is not None
        self._writer.write(f"{word} {','.join(ids)}\n".encode())
        await self._writer.drain()

    async def subscribe(self, markets: Sequence[FeedMarket]) -> None:
        await self._command("subscribe", [market.market_id for market in markets])

    async def unsubscribe(self, markets: Sequence[FeedMarket]) -> None:
        await self._command("unsubscribe", [market.market_id for market in markets])

    async def resync(self, market_ids: Sequence[str]) -> None:
        await self._command("resync", market_ids)

    async def frames(self) -> AsyncIterator[RawFrame]:
        async for batch in self.batches():
            for frame in batch:
                yield frame

    async def batches(self) -> AsyncIterator[list[RawFrame]]:
        assert self._reader is not None
        rest = b""
        while data := await self._reader.read(1 << 18):
            now = time.time_ns()
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                yield [RawFrame(line, now) for line in lines]
        raise TransientError("the server closed the connection")

    def parse(self, raw: bytes) -> list[MarketEvent]:
        return parse_frame(raw)

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def line_source(port: int) -> FeedSource:
    return FeedSource(Venue.KALSHI, "kalshi", lambda: LineFeed(port))


def wanted(*ids: str) -> list[WantedMarket]:
    return [WantedMarket(Venue.KALSHI, market_id, "E", "", "", f"kalshi:{market_id}") for market_id in ids]


class LineServer:
    """Answers each command with what `answer(connection_number, line)` gives; keeps the commands it saw."""

    def __init__(self, answer: Callable[[int, str], list[bytes]]) -> None:
        self._answer = answer
        self.commands: list[str] = []
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> LineServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        for writer in self.writers:
            writer.close()
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self.writers.append(writer)
        while line := await reader.readline():
            self.commands.append(line.decode().strip())
            for frame in self._answer(number, line.decode().strip()):
                writer.write(frame + b"\n")

    def send(self, *frames: bytes) -> None:
        """Send frames on the newest connection."""
        self.writers[-1].write(b"".join(frame + b"\n" for frame in frames))
