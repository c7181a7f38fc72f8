"""Kalshi's user stream: our executions, orders, positions and order groups as they happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import orjson

from streams.market.errors import AuthenticationFailed, MalformedFrame, TransientError
from streams.market.events import Acknowledgement, ChannelError
from streams.market.identity import Venue
from streams.market.user_stream_events import AccountUnread, UserStreamEvent
from streams.venues.common.endpoints import Endpoints
from streams.venues.common.feed import RawFrame
from streams.venues.common.socket import Socket
from streams.venues.credentials.keys import KalshiCredentials
from streams.venues.kalshi.signing import KalshiSigner
from streams.venues.kalshi.stream import commands
from streams.venues.kalshi.types.user_frames import UserFrame, parse_user_frame

CHANNELS = ("fill", "user_orders", "market_positions", "order_group_updates")
_NEEDED = frozenset({"fill", "user_orders"})
_UNKNOWN_CHANNEL = 8


class KalshiUserFeed:
    """One signed socket over all markets of the key; see `UserFeed`.

    `AccountUnread` is not published before the venue has confirmed every channel, so that nothing falls between the
    reading and the events after it. A channel that is not confirmed within `answer_limit_s` costs the connection.
    """

    venue = Venue.KALSHI

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: KalshiCredentials,
        *,
        silence_timeout_s: float = 30.0,
        answer_limit_s: float = 30.0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._url = endpoints.kalshi_ws
        self._signer = KalshiSigner(credentials)
        self._clock = clock
        self._socket = Socket(silence_timeout_s)
        self._answer_limit_s = answer_limit_s
        self._forget()

    def _forget(self) -> None:
        self._command_id = 0
        self._channels: dict[int, str] = {}
        self._sequences: dict[int, int] = {}
        self._unread = "connected"
        self._asked_at: float | None = None
        self._unknown = 0

    async def connect(self) -> None:
        """See `UserFeed.connect`."""
        self._forget()
        await self._socket.connect(self._url, self._signer.headers("GET", self._url, self._clock() // 1_000_000))
        self._subscribe(CHANNELS)

    async def events(self) -> AsyncIterator[UserStreamEvent]:
        """See `UserFeed.events`; a fill and its order's state come in no fixed order."""
        while True:
            for frame in await self._arrived():
                for event in self._take(frame.raw):
                    yield event

    async def _arrived(self) -> list[RawFrame]:
        """Wait for frames, but not for ever where a channel has not been confirmed: nothing would come on it."""
        if self._asked_at is None:
            return await self._socket.batch()
        try:
            async with asyncio.timeout_at(self._asked_at + self._answer_limit_s):
                return await self._socket.batch()
        except TimeoutError:
            raise TransientError(f"user channels were not confirmed for {self._answer_limit_s:g} s") from None

    async def close(self) -> None:
        """See `UserFeed.close`."""
        await self._socket.close()

    def _subscribe(self, channels: tuple[str, ...]) -> None:
        self._command_id += 1
        self._asked_at = asyncio.get_running_loop().time()
        self._socket.send(orjson.dumps(commands.subscribe(self._command_id, channels)))

    def _take(self, raw: bytes) -> list[UserStreamEvent]:
        try:
            frame = parse_user_frame(raw)
        except MalformedFrame as error:
            return [AccountUnread(self.venue, f"a frame cannot be read: {error.reason}"[:300])]
        found: list[UserStreamEvent] = []
        if self._has_hole(frame):
            found.append(AccountUnread(self.venue, "sequence_hole"))
        event = frame.event
        if isinstance(event, Acknowledgement):
            if event.kind == "subscribed" and event.subscription_id is not None:
                self._channels[event.subscription_id] = event.channel or ""
                found += self._when_complete()
        elif isinstance(event, ChannelError):
            self._mend(event)
            found += self._when_complete()
        elif event is not None:
            found.append(event)
        return found

    def _when_complete(self) -> list[UserStreamEvent]:
        open_channels = set(self._channels.values())
        if len(open_channels) + self._unknown < len(CHANNELS):
            return []
        if not open_channels >= _NEEDED:
            missing = ", ".join(sorted(_NEEDED - open_channels))
            raise TransientError(f"the venue does not know a user channel that is needed: {missing}")
        self._asked_at = None
        return [AccountUnread(self.venue, self._unread)]

    def _has_hole(self, frame: UserFrame) -> bool:
        sid, sequence = frame.subscription_id, frame.sequence
        if sid is None or sequence is None:
            return False
        last = self._sequences.get(sid, 0)
        self._sequences[sid] = max(last, sequence)
        return sequence > last + 1

    def _mend(self, error: ChannelError) -> None:
        """Subscribe again where the venue ended a channel, do without one it does not know, else give up.

        An environment may lag behind the documents; orders and executions are what cannot be done without.
        """
        reason = f"{error.code} {error.message}"
        channel = self._channels.pop(error.subscription_id or 0, None)
        if error.is_terminal and channel is not None:
            self._unread = f"the venue ended {channel}: {reason}"
            self._subscribe((channel,))
        elif error.code == _UNKNOWN_CHANNEL and self._unknown < len(CHANNELS) - len(_NEEDED):
            self._unknown += 1
        elif error.remedy == "authenticate":
            raise AuthenticationFailed(f"the venue refused a user channel: {reason}")
        else:
            raise TransientError(f"the venue refused a user channel: {reason}")
