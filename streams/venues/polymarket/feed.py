"""Polymarket's market data socket: books, price changes and trades of both tokens of the wanted markets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import orjson

from streams.market.errors import TransientError
from streams.market.events import MarketEvent
from streams.market.identity import Venue
from streams.venues.endpoints import Endpoints
from streams.venues.feed import FeedMarket, RawFrame
from streams.venues.polymarket.parsing import TokenRef, parse_frame
from streams.venues.socket import Socket

_TOKENS_PER_COMMAND = 500
_HEARTBEAT_S = 10.0
_PONG = b"PONG"


class PolymarketFeed:
    """One socket. It has no sequence numbers: the recorder checks best prices and asks for snapshots.

    The venue answers the text PING with PONG; a connection on which neither comes is lost.
    """

    venue = Venue.POLYMARKET

    def __init__(self, endpoints: Endpoints, *, silence_timeout_s: float = 30.0) -> None:
        self._url = f"{endpoints.polymarket_ws}/market"
        self._socket = Socket(silence_timeout_s)
        self._heartbeat_s = min(_HEARTBEAT_S, silence_timeout_s / 3)
        self._heartbeat: asyncio.Task[None] | None = None
        self.tokens: dict[str, TokenRef] = {}
        self._markets: dict[str, tuple[str, str]] = {}
        self._has_subscribed = False

    async def connect(self) -> None:
        """See `Feed.connect`. What parsed tokens stand for is kept: frames already read still parse."""
        await self._stop_heartbeat()
        self._markets = {}
        self._has_subscribed = False
        await self._socket.connect(self._url)
        self._heartbeat = asyncio.create_task(self._beat())

    async def subscribe(self, markets: Sequence[FeedMarket]) -> None:
        """See `Feed.subscribe`. The venue refuses a token twice, so those already asked for are left out."""
        tokens: list[str] = []
        for market in markets:
            if market.market_id in self._markets:
                continue
            self._markets[market.market_id] = (market.yes_token, market.no_token)
            self.tokens[market.yes_token] = TokenRef(market.market_id, "yes")
            self.tokens[market.no_token] = TokenRef(market.market_id, "no")
            tokens += [market.yes_token, market.no_token]
        self._ask_for(tokens)

    async def unsubscribe(self, markets: Sequence[FeedMarket]) -> None:
        """See `Feed.unsubscribe`."""
        tokens: list[str] = []
        for market in markets:
            tokens += self._markets.pop(market.market_id, ())
        self._operate("unsubscribe", tokens)

    async def resync(self, market_ids: Sequence[str]) -> None:
        """Leave and join again: joining is what makes the venue send a whole book."""
        tokens = [token for name in dict.fromkeys(market_ids) for token in self._markets.get(name, ())]
        self._operate("unsubscribe", tokens)
        self._operate("subscribe", tokens)

    async def frames(self) -> AsyncIterator[RawFrame]:
        """See `Feed.frames`."""
        async for batch in self.batches():
            for frame in batch:
                yield frame

    async def batches(self) -> AsyncIterator[list[RawFrame]]:
        """See `Feed.batches`."""
        while True:
            batch = [frame for frame in await self._socket.batch() if frame.raw != _PONG]
            if batch:
                yield batch

    def parse(self, raw: bytes) -> list[MarketEvent]:
        """See `Feed.parse`."""
        return parse_frame(raw, self.tokens)

    async def close(self) -> None:
        """See `Feed.close`."""
        await self._stop_heartbeat()
        await self._socket.close()

    def _ask_for(self, tokens: list[str]) -> None:
        if not tokens:
            return
        if not self._has_subscribed:
            self._has_subscribed = True
            first, tokens = tokens[:_TOKENS_PER_COMMAND], tokens[_TOKENS_PER_COMMAND:]
            hello = {
                "assets_ids": first,
                "type": "market",
                "initial_dump": True,
                "level": 2,
                "custom_feature_enabled": True,
            }
            self._socket.send(orjson.dumps(hello))
        self._operate("subscribe", tokens)

    def _operate(self, operation: str, tokens: list[str]) -> None:
        for start in range(0, len(tokens), _TOKENS_PER_COMMAND):
            chunk = tokens[start : start + _TOKENS_PER_COMMAND]
            command = {"operation": operation, "assets_ids": chunk, "custom_feature_enabled": True}
            self._socket.send(orjson.dumps(command))

    async def _beat(self) -> None:
        # A failed PING needs no word from here: whoever reads the frames is told that the connection is gone.
        with suppress(TransientError):
            while True:
                await asyncio.sleep(self._heartbeat_s)
                self._socket.send(b"PING")

    async def _stop_heartbeat(self) -> None:
        task, self._heartbeat = self._heartbeat, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
