"""Kalshi's market data socket: order books and trades of wanted markets, and the life cycle of all.

`use_yes_price` is always asked for, because the venue has announced to change its default.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

import orjson

from streams.market.errors import AuthenticationFailed, MalformedFrame, TransientError
from streams.market.events import Acknowledgement, ChannelError, MarketEvent
from streams.market.identity import Venue
from streams.venues.credentials import KalshiCredentials
from streams.venues.endpoints import Endpoints
from streams.venues.feed import NamedMarket, RawFrame
from streams.venues.kalshi.parsing import parse_frame
from streams.venues.kalshi.signing import KalshiSigner
from streams.venues.socket import Socket

_MARKET_CHANNELS = ("orderbook_delta", "trade")
_LIFECYCLE_CHANNEL = "market_lifecycle_v2"
_TICKERS_PER_COMMAND = 500
_CONTROL_FRAME_BYTES = 400


class KalshiFeed:
    """One signed socket. Markets come and go by `update_subscription`; the subscription ids stay.

    Commands that need a subscription id wait for it: they are sent when the venue's `subscribed` has been read from
    `frames` or `batches`.
    """

    venue = Venue.KALSHI

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: KalshiCredentials | None,
        *,
        silence_timeout_s: float = 30.0,
        clock: Callable[[], int] = time.time_ns,
        with_lifecycle: bool = True,
    ) -> None:
        self._url = endpoints.kalshi_ws
        self._credentials = credentials
        self._clock = clock
        self._with_lifecycle = with_lifecycle
        self._socket = Socket(silence_timeout_s)
        self._forget()

    def _forget(self) -> None:
        self._wanted: dict[str, None] = {}
        self._requested: set[str] = set()
        self._sids: dict[str, int] = {}
        self._has_subscribed = False
        self._command_id = 0
        self._ended: str | None = None

    async def connect(self) -> None:
        """Open the socket and subscribe to the life cycle; see `Feed.connect`."""
        if self._credentials is None:
            raise AuthenticationFailed("Kalshi's socket needs a key; without one use the polling feed")
        headers = KalshiSigner(self._credentials).headers("GET", self._url, self._clock() // 1_000_000)
        self._forget()
        await self._socket.connect(self._url, headers)
        if self._with_lifecycle:
            self._command("subscribe", {"channels": [_LIFECYCLE_CHANNEL]})

    async def subscribe(self, markets: Sequence[NamedMarket]) -> None:
        """See `Feed.subscribe`."""
        self._wanted |= dict.fromkeys(market.market_id for market in markets)
        self._bring_up_to_date()

    async def unsubscribe(self, markets: Sequence[NamedMarket]) -> None:
        """See `Feed.unsubscribe`."""
        for market in markets:
            self._wanted.pop(market.market_id, None)
        self._bring_up_to_date()

    async def resync(self, market_ids: Sequence[str]) -> None:
        """Ask for snapshots in place, in sequence with the deltas. Markets not yet requested will get one anyway."""
        sid = self._sids.get("orderbook_delta")
        tickers = [ticker for ticker in dict.fromkeys(market_ids) if ticker in self._requested]
        if sid is None:
            return
        for chunk in _chunks(tickers):
            self._update(sid, chunk, "get_snapshot")

    async def frames(self) -> AsyncIterator[RawFrame]:
        """See `Feed.frames`."""
        async for batch in self.batches():
            for frame in batch:
                yield frame

    async def batches(self) -> AsyncIterator[list[RawFrame]]:
        """See `Feed.batches`."""
        while True:
            if self._ended is not None:
                raise TransientError(self._ended)
            batch = await self._socket.batch()
            for frame in batch:
                # Deltas are nearly all frames and never look like this, so only control frames are parsed twice.
                if len(frame.raw) < _CONTROL_FRAME_BYTES and (b"subscribed" in frame.raw or b'"error"' in frame.raw):
                    with suppress(TransientError):  # the frames at hand come first; the next batch says that it is gone
                        self._note(frame.raw)
            yield batch

    def parse(self, raw: bytes) -> list[MarketEvent]:
        """See `Feed.parse`."""
        return parse_frame(raw, use_yes_price=True)

    async def close(self) -> None:
        """See `Feed.close`."""
        await self._socket.close()

    def _note(self, raw: bytes) -> None:
        try:
            events = parse_frame(raw)
        except MalformedFrame:
            return
        for event in events:
            if isinstance(event, Acknowledgement) and event.kind == "subscribed":
                if event.channel is not None and event.subscription_id is not None:
                    self._sids[event.channel] = event.subscription_id
                    self._bring_up_to_date()
            elif isinstance(event, ChannelError) and event.is_terminal:
                self._ended = f"the venue ended a subscription: {event.code} {event.message}"

    def _bring_up_to_date(self) -> None:
        """Send what makes the venue's list of markets the wanted one, as far as that can be sent now."""
        if not self._has_subscribed:
            first = list(self._wanted)[:_TICKERS_PER_COMMAND]
            if not first:
                return
            self._has_subscribed = True
            self._requested = set(first)
            channels = {"channels": list(_MARKET_CHANNELS), "market_tickers": first, "use_yes_price": True}
            self._command("subscribe", channels)
        if any(channel not in self._sids for channel in _MARKET_CHANNELS):
            return
        added = [ticker for ticker in self._wanted if ticker not in self._requested]
        removed = [ticker for ticker in self._requested if ticker not in self._wanted]
        self._requested = set(self._wanted)
        for tickers, action in ((added, "add_markets"), (removed, "delete_markets")):
            for chunk in _chunks(tickers):
                for channel in _MARKET_CHANNELS:
                    self._update(self._sids[channel], chunk, action)

    def _update(self, sid: int, tickers: list[str], action: str) -> None:
        self._command("update_subscription", {"sids": [sid], "market_tickers": tickers, "action": action})

    def _command(self, name: str, parameters: dict[str, Any]) -> None:
        self._command_id += 1
        self._socket.send(orjson.dumps({"id": self._command_id, "cmd": name, "params": parameters}))


def _chunks(tickers: list[str]) -> list[list[str]]:
    return [tickers[start : start + _TICKERS_PER_COMMAND] for start in range(0, len(tickers), _TICKERS_PER_COMMAND)]
