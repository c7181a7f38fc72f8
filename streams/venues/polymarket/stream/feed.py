"""Polymarket's market data: books, price changes and trades of both tokens of the subscribed markets.

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

from streams.logs import get_logger
from streams.market.errors import StreamsError, TransientError
from streams.market.events import MarketEvent
from streams.market.identity import Venue
from streams.venues.common.endpoints import Endpoints
from streams.venues.common.feed import FeedMarket, RawFrame
from streams.venues.polymarket import wire
from streams.venues.polymarket.market_frames import TokenRef, parse_frame
from streams.venues.polymarket.stream.isolation import SETTLED_NS, Isolation
from streams.venues.polymarket.stream.market_connection import MarketConnection
from streams.venues.polymarket.stream.silence import BookMark, TokenSilence

BookProbe = Callable[[Sequence[str]], Awaitable[Sequence[BookMark]]]
"""Reads the books of some tokens over REST."""

_REVIVAL_PAUSES_S = (0.25, 1.0, 4.0)
_PROBED_AT_ONCE = 50
_PATIENCE_SHARE = 0.25
_PARSED_AFTER_NS = 600 * 1_000_000_000
"""Frames of a token that is followed no more still parse for this long: they may have been read before."""
_TOKEN = re.compile(rb'"asset_id":\s*"(\d+)"')


class PolymarketFeed:
    """Several sockets behind one `Feed`. They have no sequence numbers: the recorder checks best prices.

    The venue answers the text PING with PONG; a connection on which it does not is lost.

    Args:
        tokens_per_connection: How many tokens share a socket; both tokens of a market always do.
        probe: Reads books over REST, to find tokens of which the socket has ceased to speak; None: nothing looks.
        token_silence_s: How long a token is silent before it is probed.
        clock_ns: Monotonic time.

    Attributes:
        isolation: What is known of markets for which the venue closes connections; a feed that comes after another
            one is given that one's.
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
        self._markets_per_connection = max(tokens_per_connection // 2, 1)
        self._probe = probe
        self._token_silence_s = token_silence_s
        self._clock_ns = clock_ns
        self.isolation = Isolation()
        self._left_out: dict[str, tuple[str, str]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._reading: dict[MarketConnection, asyncio.Task[list[RawFrame]]] = {}
        self._changed = asyncio.Event()
        self.tokens: dict[str, TokenRef] = {}
        self._left_at: dict[str, int] = {}
        self.connections: list[MarketConnection] = []
        self._forget()

    def _forget(self) -> None:
        self._lost: set[MarketConnection] = set()
        self._own: list[RawFrame] = []
        self._left_out = {}
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
        known = {name for connection in self.connections for name in connection.markets} | self._left_out.keys()
        fresh = {m.market_id: (m.yes_token, m.no_token) for m in markets if m.market_id not in known}
        for market_id, (yes, no) in fresh.items():
            self.tokens |= {yes: TokenRef(market_id, "yes"), no: TokenRef(market_id, "no")}
            for token in (yes, no):
                self._left_at.pop(token, None)
        if self._probe is not None:
            self._silence.follow((token for pair in fresh.values() for token in pair), self._clock_ns())
        await self._take_in(fresh)

    async def _take_in(self, fresh: dict[str, tuple[str, str]]) -> None:
        free, apart = self.isolation.groups(fresh, self._clock_ns())
        taken = {*free, *(name for group in apart for name in group)}
        self._leave_out({name: pair for name, pair in fresh.items() if name not in taken})
        waiting = [(name, fresh[name]) for name in free]
        for connection in self.connections:
            room = self._markets_per_connection - len(connection.markets)
            if waiting and room > 0 and not self.isolation.is_suspect(connection.markets):
                connection.add(dict(waiting[:room]))
                waiting = waiting[room:]
        chunks = range(0, len(waiting), self._markets_per_connection)
        groups = [dict(waiting[at : at + self._markets_per_connection]) for at in chunks]
        groups += [{name: fresh[name] for name in group} for group in apart]
        connections = [self._add_shard(group) for group in groups]
        # All are waited for, also when one fails: none may open after the feed was closed for it.
        for failure in await asyncio.gather(*connections, return_exceptions=True):
            if failure is not None:
                raise failure

    async def unsubscribe(self, markets: Sequence[FeedMarket]) -> None:
        """See `Feed.unsubscribe`. A connection without markets is closed, unless it is the only one."""
        ids = [market.market_id for market in markets]
        for market_id in ids:
            self._left_out.pop(market_id, None)
        tokens = [token for market in markets for token in (market.yes_token, market.no_token)]
        self._silence.forget(tokens)
        self._forget_left(tokens)
        for connection in list(self.connections):
            connection.remove([market_id for market_id in ids if market_id in connection.markets])
            if not connection.markets and len(self.connections) > 1:
                self.connections.remove(connection)
                await self._stop_reading([connection])
                await connection.socket.close()

    def _forget_left(self, tokens: Iterable[str]) -> None:
        """Note tokens that are followed no more; frames of them still parse for a while, and then they are unknown."""
        now = self._clock_ns()
        self._left_at |= dict.fromkeys(tokens, now)
        for token, left_at in list(self._left_at.items()):
            if now - left_at > _PARSED_AFTER_NS:
                del self._left_at[token]
                self.tokens.pop(token, None)

    async def resync(self, market_ids: Sequence[str]) -> None:
        """See `Feed.resync`. Markets that were left out are tried again when their time has come."""
        left_out = [market_id for market_id in market_ids if market_id in self._left_out]
        free, apart = self.isolation.groups(left_out, self._clock_ns())
        due = [*free, *(name for group in apart for name in group)]
        await self._take_in({name: self._left_out.pop(name) for name in due})
        for connection in self.connections:
            connection.ask_again(
                [market_id for market_id in dict.fromkeys(market_ids) if market_id in connection.markets]
            )

    async def frames(self) -> AsyncIterator[RawFrame]:
        """See `Feed.frames`."""
        async for batch in self.batches():
            for frame in batch:
                yield frame

    async def batches(self) -> AsyncIterator[list[RawFrame]]:
        """See `Feed.batches`. What one socket brings is one batch; the sockets take turns."""
        while True:
            if not self.connections:
                raise TransientError("the feed is not connected")
            for connection in self.connections:
                if connection not in self._reading:
                    self._reading[connection] = asyncio.create_task(self._next(connection))
            woken = asyncio.create_task(self._changed.wait())
            try:
                await asyncio.wait([*self._reading.values(), woken], return_when=asyncio.FIRST_COMPLETED)
            finally:
                woken.cancel()
            self._changed.clear()
            own, self._own = self._own, []
            if own:
                yield own
            for connection, task in list(self._reading.items()):
                # While a batch is worked on, another socket may be closed and its task taken away.
                if task.done() and self._reading.pop(connection, None) is task:
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
        connections, self.connections = self.connections, []
        await asyncio.gather(*[connection.socket.close() for connection in connections])

    # -- connections ------------------------------------------------------------------------------------------------

    async def _add_shard(self, markets: dict[str, tuple[str, str]]) -> None:
        connection = MarketConnection(self._url, self._silence_timeout_s)
        connection.add(markets)
        await connection.connect()
        connection.opened_ns = self._clock_ns()
        self.connections.append(connection)
        self._changed.set()

    async def _next(self, connection: MarketConnection) -> list[RawFrame]:
        """Return what a socket brings next; its loss is reported once, and then it is opened again."""
        if connection in self._lost:
            await self._revive(connection)
        try:
            batch = await connection.socket.batch()
        except TransientError as error:
            tokens = connection.tokens
            is_split = self._split(connection, error)
            if len(self.connections) == 1 and not is_split:
                raise
            return [self._stale(tokens, "connection_lost")]
        if not connection.has_settled and self._clock_ns() - connection.opened_ns >= SETTLED_NS:
            connection.has_settled = True
            self.isolation.held(connection.markets)
        return batch

    def _split(self, connection: MarketConnection, error: TransientError) -> bool:
        """Have a lost connection opened again with what may still be asked for together; whether that is less."""
        now, markets = self._clock_ns(), dict(connection.markets)
        others = sum(len(other.markets) for other in self.connections) - len(markets)
        groups = self.isolation.lost(list(markets), others, now - connection.opened_ns, now)
        self._lost.add(connection)
        connection.markets = {name: markets[name] for name in groups[0]} if groups else {}
        for group in groups[1:]:
            other = MarketConnection(self._url, self._silence_timeout_s)
            other.add({name: markets[name] for name in group})
            self._lost.add(other)
            self.connections.append(other)
        if not groups:
            self._leave_out(markets)
            get_logger(venue=str(self.venue)).error(
                "not carried by the venue", markets=list(markets), reason=f"connections with it end: {error}"
            )
            self.connections.remove(connection)
            self._lost.discard(connection)
        return groups != [list(markets)]

    def _leave_out(self, markets: dict[str, tuple[str, str]]) -> None:
        self._left_out |= markets
        if markets:
            tokens = [token for pair in markets.values() for token in pair]
            self._own.append(self._stale(tokens, "not_carried: the venue closes connections with it"))
            self._changed.set()

    async def _revive(self, connection: MarketConnection) -> None:
        last: TransientError | None = None
        for pause_s in _REVIVAL_PAUSES_S:
            await asyncio.sleep(pause_s)
            try:
                await connection.connect()
            except TransientError as error:
                last = error
                continue
            connection.opened_ns = self._clock_ns()
            self._lost.discard(connection)
            self._silence.follow(connection.tokens if self._probe is not None else (), self._clock_ns())
            return
        raise TransientError(f"one of {len(self.connections)} connections does not come back: {last}")

    async def _stop_reading(self, connections: Sequence[MarketConnection]) -> None:
        tasks = [self._reading.pop(connection) for connection in connections if connection in self._reading]
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
            except Exception as error:  # nobody waits for this task: what ends it would end the watch in silence
                get_logger(venue=str(self.venue)).error("silent tokens could not be read", error=repr(error)[:300])
                continue
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
