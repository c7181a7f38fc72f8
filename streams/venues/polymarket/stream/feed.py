"""Polymarket's market data: books, price changes and trades of both tokens of the wanted markets.

The tokens are spread over several sockets, because many on one connection have been seen to fall silent one by one.
What is lost with one of them is reported in the stream by a frame of our own (`wire.STALE`), so that it is recorded and
replayed like everything else; the other connections go on.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

import orjson

from streams.market.errors import StreamsError, TransientError
from streams.market.events import MarketEvent
from streams.market.identity import Venue
from streams.venues.common.endpoints import Endpoints
from streams.venues.common.feed import FeedMarket, RawFrame
from streams.venues.polymarket import wire
from streams.venues.polymarket.market_frames import TokenRef, parse_frame
from streams.venues.polymarket.stream.shard import Shard
from streams.venues.polymarket.stream.silence import BookMark, TokenSilence

BookProbe = Callable[[Sequence[str]], Awaitable[Sequence[BookMark]]]
"""Reads the books of some tokens over REST."""

_REVIVAL_PAUSES_S = (0.25, 1.0, 4.0)
_PROBED_AT_ONCE = 50
_PATIENCE_SHARE = 0.25
_TOKEN = re.compile(rb'"asset_id":\s*"(\d+)"')


class PolymarketFeed:
    """Several sockets behind one `Feed`. They have no sequence numbers: the recorder checks best prices.

    The venue answers the text PING with PONG; a connection on which it does not is lost.

    Args:
        tokens_per_connection: How many tokens share a socket; both tokens of a market always do.
        probe: Reads books over REST, to find tokens of which the socket has ceased to speak; None: nothing looks.
        token_silence_s: How long a token is silent before it is probed.
        clock_ns: Monotonic time.
    """

    venue = Venue.POLYMARKET

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        silence_timeout_s: float = 30.0,
        tokens_per_connection: int = 200,
        probe: BookProbe | None = None,
        token_silence_s: float = 60.0,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._url = f"{endpoints.polymarket_ws}/market"
        self._silence_timeout_s = silence_timeout_s
        self._markets_per_shard = max(tokens_per_connection // 2, 1)
        self._probe = probe
        self._token_silence_s = token_silence_s
        self._clock_ns = clock_ns
        self._watching: asyncio.Task[None] | None = None
        self._reading: dict[Shard, asyncio.Task[list[RawFrame]]] = {}
        self._changed = asyncio.Event()
        self.tokens: dict[str, TokenRef] = {}
        self.shards: list[Shard] = []
        self._forget()

    def _forget(self) -> None:
        self._lost: set[Shard] = set()
        self._own: list[RawFrame] = []
        silence_ns = int(self._token_silence_s * 1e9)
        self._silence = TokenSilence(silence_ns, int(silence_ns * _PATIENCE_SHARE))

    async def connect(self) -> None:
        """See `Feed.connect`. What parsed tokens stand for is kept: frames already read still parse."""
        await self.close()
        self._forget()
        await self._add_shard({})
        if self._probe is not None:
            self._watching = asyncio.create_task(self._watch(self._probe))

    async def subscribe(self, markets: Sequence[FeedMarket]) -> None:
        """See `Feed.subscribe`. The venue refuses a token twice, so those already asked for are left out."""
        known = {name for shard in self.shards for name in shard.markets}
        fresh = {m.market_id: (m.yes_token, m.no_token) for m in markets if m.market_id not in known}
        for market_id, (yes, no) in fresh.items():
            self.tokens[yes] = TokenRef(market_id, "yes")
            self.tokens[no] = TokenRef(market_id, "no")
        if self._probe is not None:
            self._silence.follow((token for pair in fresh.values() for token in pair), self._clock_ns())
        waiting = list(fresh.items())
        for shard in self.shards:
            room = self._markets_per_shard - len(shard.markets)
            if waiting and room > 0:
                shard.add(dict(waiting[:room]))
                waiting = waiting[room:]
        chunks = range(0, len(waiting), self._markets_per_shard)
        shards = [self._add_shard(dict(waiting[at : at + self._markets_per_shard])) for at in chunks]
        # All are waited for, also when one fails: none may open after the feed was closed for it.
        for failure in await asyncio.gather(*shards, return_exceptions=True):
            if failure is not None:
                raise failure

    async def unsubscribe(self, markets: Sequence[FeedMarket]) -> None:
        """See `Feed.unsubscribe`. A connection without markets is closed, unless it is the only one."""
        ids = [market.market_id for market in markets]
        self._silence.forget(token for market in markets for token in (market.yes_token, market.no_token))
        for shard in list(self.shards):
            shard.remove([market_id for market_id in ids if market_id in shard.markets])
            if not shard.markets and len(self.shards) > 1:
                self.shards.remove(shard)
                await self._stop_reading([shard])
                await shard.socket.close()

    async def resync(self, market_ids: Sequence[str]) -> None:
        """See `Feed.resync`."""
        for shard in self.shards:
            shard.ask_again([market_id for market_id in dict.fromkeys(market_ids) if market_id in shard.markets])

    async def frames(self) -> AsyncIterator[RawFrame]:
        """See `Feed.frames`."""
        async for batch in self.batches():
            for frame in batch:
                yield frame

    async def batches(self) -> AsyncIterator[list[RawFrame]]:
        """See `Feed.batches`. What one socket brings is one batch; the sockets take turns."""
        while True:
            if not self.shards:
                raise TransientError("the feed is not connected")
            for shard in self.shards:
                if shard not in self._reading:
                    self._reading[shard] = asyncio.create_task(self._next(shard))
            woken = asyncio.create_task(self._changed.wait())
            try:
                await asyncio.wait([*self._reading.values(), woken], return_when=asyncio.FIRST_COMPLETED)
            finally:
                woken.cancel()
            self._changed.clear()
            own, self._own = self._own, []
            if own:
                yield own
            for shard, task in list(self._reading.items()):
                # While a batch is worked on, another socket may be closed and its task taken away.
                if task.done() and self._reading.pop(shard, None) is task:
                    batch = task.result()
                    if self._probe is not None:
                        self._hear(batch)
                    yield batch

    def parse(self, raw: bytes) -> list[MarketEvent]:
        """See `Feed.parse`."""
        return parse_frame(raw, self.tokens)

    async def close(self) -> None:
        """See `Feed.close`."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await self._stop_reading(list(self._reading))
        shards, self.shards = self.shards, []
        await asyncio.gather(*[shard.socket.close() for shard in shards])

    # -- connections ------------------------------------------------------------------------------------------------

    async def _add_shard(self, markets: dict[str, tuple[str, str]]) -> None:
        shard = Shard(self._url, self._silence_timeout_s)
        shard.add(markets)
        await shard.connect()
        self.shards.append(shard)
        self._changed.set()

    async def _next(self, shard: Shard) -> list[RawFrame]:
        """Return what a socket brings next; its loss is reported once, and then it is opened again."""
        if shard in self._lost:
            await self._revive(shard)
        try:
            return await shard.socket.batch()
        except TransientError:
            if len(self.shards) == 1:
                raise
            self._lost.add(shard)
            return [self._stale(shard.tokens, "connection_lost")]

    async def _revive(self, shard: Shard) -> None:
        last: TransientError | None = None
        for pause_s in _REVIVAL_PAUSES_S:
            await asyncio.sleep(pause_s)
            try:
                await shard.connect()
            except TransientError as error:
                last = error
                continue
            self._lost.discard(shard)
            self._silence.follow(shard.tokens if self._probe is not None else (), self._clock_ns())
            return
        raise TransientError(f"one of {len(self.shards)} connections does not come back: {last}")

    async def _stop_reading(self, shards: Sequence[Shard]) -> None:
        tasks = [self._reading.pop(shard) for shard in shards if shard in self._reading]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- silence ----------------------------------------------------------------------------------------------------

    def _hear(self, batch: Iterable[RawFrame]) -> None:
        now = self._clock_ns()
        spoken = {token for frame in batch for token in _TOKEN.findall(frame.raw)}
        for token in spoken:
            self._silence.heard(token.decode(), now)

    async def _watch(self, probe: BookProbe) -> None:
        while True:
            await asyncio.sleep(self._token_silence_s * _PATIENCE_SHARE / 2)
            due = self._silence.due(self._clock_ns(), _PROBED_AT_ONCE)
            try:
                marks = await probe(due) if due else ()
            except StreamsError:
                continue  # the next round asks again
            now = self._clock_ns()
            for mark in marks:
                self._silence.read(mark, now)
            stale = self._silence.stale(now)
            if stale:
                self._own.append(self._stale(stale, "silent_token"))
                self._changed.set()

    def _stale(self, tokens: Sequence[str], cause: str) -> RawFrame:
        document = {"event_type": wire.STALE, "assets_ids": list(tokens), "cause": cause}
        return RawFrame(orjson.dumps(document), time.time_ns())
