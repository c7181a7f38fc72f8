"""Polymarket's user stream: our orders and trades as they change.

A trade comes once per status step with the same id until it is CONFIRMED or FAILED, and events of the two kinds are
ordered neither among themselves nor against the responses of calls: `streams.market.order_lifecycle` puts them
together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import orjson

from streams.market.errors import MalformedFrame
from streams.market.identity import Venue
from streams.market.user_stream_events import AccountUnread, UserStreamEvent
from streams.venues.common.endpoints import Endpoints
from streams.venues.common.socket import Socket, TextHeartbeat
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.stream import commands
from streams.venues.polymarket.stream.user_frames import parse_user_frame

_HEARTBEAT_S = 10.0


class PolymarketUserFeed:
    """One socket of the API key; see `UserFeed`.

    Args:
        market_ids: Condition ids to hear of; none: all.
    """

    venue = Venue.POLYMARKET

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: PolymarketCredentials,
        *,
        silence_timeout_s: float = 30.0,
        market_ids: Sequence[str] = (),
    ) -> None:
        self._url = f"{endpoints.polymarket_ws}/user"
        self._credentials = credentials
        self._market_ids = dict.fromkeys(market_ids)
        heartbeat = TextHeartbeat(min(_HEARTBEAT_S, silence_timeout_s / 3), silence_timeout_s)
        self._socket = Socket(silence_timeout_s, heartbeat)
        self._is_unread = False

    async def connect(self) -> None:
        """See `UserFeed.connect`. Wrong credentials show as a connection that the venue closes."""
        await self._socket.connect(self._url)
        self._socket.send(orjson.dumps(commands.user_hello(self._credentials, list(self._market_ids))))
        self._is_unread = True

    async def follow(self, market_ids: Sequence[str]) -> None:
        """Hear of more markets, where only some are heard of."""
        self._market_ids |= dict.fromkeys(market_ids)
        self._socket.send(orjson.dumps(commands.user_operation("subscribe", market_ids)))

    async def leave(self, market_ids: Sequence[str]) -> None:
        """Hear of fewer markets, where only some are heard of."""
        for market_id in market_ids:
            self._market_ids.pop(market_id, None)
        self._socket.send(orjson.dumps(commands.user_operation("unsubscribe", market_ids)))

    async def events(self) -> AsyncIterator[UserStreamEvent]:
        """See `UserFeed.events`."""
        while True:
            if self._is_unread:
                self._is_unread = False
                yield AccountUnread(self.venue, "connected")
            for frame in await self._socket.batch():
                try:
                    events = parse_user_frame(frame.raw, self._credentials)
                except MalformedFrame as error:
                    events = [AccountUnread(self.venue, f"a frame cannot be read: {error.reason}"[:300])]
                for event in events:
                    yield event

    async def close(self) -> None:
        """See `UserFeed.close`."""
        await self._socket.close()
