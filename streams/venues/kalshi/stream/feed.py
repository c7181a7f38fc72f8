"""Kalshi's market data socket: order books and trades of the subscribed markets, and the life cycle of all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import orjson

from streams.logs import get_logger
from streams.market.errors import AuthenticationFailed, MalformedFrame, TransientError
from streams.market.events import Acknowledgement, ChannelError, MarketEvent
from streams.market.identity import Venue
from streams.venues.common.endpoints import Endpoints
from streams.venues.common.feed import NamedMarket, RawFrame
from streams.venues.common.socket import Socket
from streams.venues.credentials.keys import KalshiCredentials
from streams.venues.kalshi.signing import KalshiSigner
from streams.venues.kalshi.stream import commands
from streams.venues.kalshi.types.market_frames import parse_frame, stale_frame

BOOK_CHANNEL = "orderbook_delta"
_TICKERS_PER_COMMAND = 500
_CONTROL_WORDS = (b"subscribed", b'"error"', b'"channel"')
_RESUBSCRIPTIONS = 5
_ATTEMPTS = 4
_COMMANDS_KEPT = 1000
_NOT_CARRIED = "not_carried"
_MOST_REFUSED = 16
"""So many markets that are refused alone while a channel is opened: it is not for the markets."""
_NOT_OF_MARKETS = frozenset({2, 3, 4, 5, 8, 12, 13, 15})
"""Codes that speak of a command's other parts: its form, its channels, its subscriptions, its action."""
_PAUSES_S = {"ask_again": 1.0, "slow_down": 5.0}


class Channels(NamedTuple):
    """Channels to subscribe to: those of the subscribed markets, one of them the book's, and those without markets."""

    of_markets: tuple[str, ...] = (BOOK_CHANNEL, "trade")
    of_exchange: tuple[str, ...] = ("market_lifecycle_v2",)


RECORDED_CHANNELS = Channels()


class _Sent(NamedTuple):
    """A command that can be sent again, and how often it was."""

    make: Callable[..., dict[str, Any]]
    arguments: tuple[Any, ...]
    attempts: int


class KalshiFeed:
    """One signed socket with one subscription per channel. Markets come and go in place; the subscription ids stay.

    Commands that need a subscription id wait for it: they are sent when the venue's `subscribed` has been read from
    `frames` or `batches`. A subscription that the venue ends is opened anew on the same connection; the sixth time the
    connection is abandoned, and so it is when opening one is not confirmed within `answer_limit_s`.

    One connection has one subscription to a channel, so a market that the venue does not add to it (it is full, or the
    command is refused for that market) is not carried. A `STALE` frame of our own says so of its book; `resync` asks
    for it again, and so does the leaving of other markets.

    Args:
        endpoints: Where the venue is.
        credentials: The key; without one `connect` fails.
        channels: What is subscribed to.
        silence_timeout_s: Without any sign of life for so long the connection counts as lost.
        answer_limit_s: How long a subscription may stay unconfirmed.
        clock: Wall clock in nanoseconds, for the signature.
    """

    venue = Venue.KALSHI

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: KalshiCredentials | None,
        channels: Channels = RECORDED_CHANNELS,
        *,
        silence_timeout_s: float = 30.0,
        answer_limit_s: float = 30.0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._url = endpoints.kalshi_ws
        self._credentials = credentials
        self._clock = clock
        self._market_channels = channels.of_markets
        self._global_channels = channels.of_exchange
        self._socket = Socket(silence_timeout_s)
        self._answer_limit_s = answer_limit_s
        self._timers: set[asyncio.TimerHandle] = set()
        self._forget()

    def _forget(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._subscribed: dict[str, None] = {}
        self._requested: dict[str, set[str]] = {}
        self._left_out: dict[str, set[str]] = {}
        self._own_frames: list[bytes] = []
        self._unanswered: dict[int, float] = {}
        self._sids: dict[str, int] = {}
        self._opening: set[str] = set()
        self._sent: dict[int, _Sent] = {}
        self._command_id = 0
        self._resubscriptions = 0
        self._refused = 0
        self._ended: str | None = None

    async def connect(self) -> None:
        """Open the socket and subscribe to the channels without markets; see `Feed.connect`."""
        if self._credentials is None:
            raise AuthenticationFailed("Kalshi's socket needs a key; without one use the polling feed")
        headers = KalshiSigner(self._credentials).headers("GET", self._url, self._clock() // 1_000_000)
        self._forget()
        await self._socket.connect(self._url, headers)
        if self._global_channels:
            self._open(self._global_channels)

    async def subscribe(self, markets: Sequence[NamedMarket]) -> None:
        """See `Feed.subscribe`."""
        self._subscribed |= dict.fromkeys(market.market_id for market in markets)
        self._bring_up_to_date()

    async def unsubscribe(self, markets: Sequence[NamedMarket]) -> None:
        """See `Feed.unsubscribe`."""
        for market in markets:
            self._subscribed.pop(market.market_id, None)
        self._bring_up_to_date()

    async def resync(self, market_ids: Sequence[str]) -> None:
        """Ask for snapshots in place, in sequence with the deltas. Markets not yet requested will get one anyway.

        Subscribing again would not help: the venue acknowledges it and sends no book. Markets that the venue did not
        take are asked for once more.
        """
        sid, requested = self._sids.get(BOOK_CHANNEL), set(self._requested.get(BOOK_CHANNEL, ()))
        for left_out in self._left_out.values():
            left_out.difference_update(market_ids)
        self._bring_up_to_date()
        if sid is None:
            return
        for chunk in _chunks([ticker for ticker in dict.fromkeys(market_ids) if ticker in requested]):
            self._send(commands.update, sid, chunk, "get_snapshot")

    async def list_subscriptions(self) -> None:
        """Ask what is subscribed; channels that the venue does not name are opened anew when the response is read."""
        self._send(commands.list_subscriptions)

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
            batch = await self._arrived()
            for frame in batch:
                # Deltas are nearly all frames and never look like this, so only control frames are parsed twice.
                if any(word in frame.raw for word in _CONTROL_WORDS):
                    with suppress(TransientError):  # the frames at hand come first; the next batch says that it is gone
                        self._note(frame.raw)
            if self._own_frames:
                batch = batch + [RawFrame(raw, batch[-1].received_ns) for raw in self._own_frames]
                self._own_frames = []
            yield batch

    async def _arrived(self) -> list[RawFrame]:
        """Wait for frames, but not for ever where a response is due: what arrived before it is read first."""
        if not self._unanswered:
            return await self._socket.batch()
        due = next(iter(self._unanswered.values())) + self._answer_limit_s
        try:
            async with asyncio.timeout_at(due):
                return await self._socket.batch()
        except TimeoutError:
            raise TransientError(f"no response to a subscription for {self._answer_limit_s:g} s") from None

    def parse(self, raw: bytes) -> list[MarketEvent]:
        """See `Feed.parse`."""
        return parse_frame(raw, use_yes_price=True)

    async def close(self) -> None:
        """See `Feed.close`."""
        self._forget()
        await self._socket.close()

    # -- what the venue responds -------------------------------------------------------------------------------------

    def _note(self, raw: bytes) -> None:
        try:
            events = parse_frame(raw)
        except MalformedFrame:
            return
        for event in events:
            if isinstance(event, Acknowledgement):
                self._on_acknowledgement(event)
            elif isinstance(event, ChannelError):
                self._on_error(event)

    def _on_acknowledgement(self, event: Acknowledgement) -> None:
        if event.kind == "subscribed" and event.channel is not None and event.subscription_id is not None:
            self._sids[event.channel] = event.subscription_id
            self._opening.discard(event.channel)
            self._forget_answered(commands.subscribe)
            self._bring_up_to_date()
        elif event.kind == "listed":
            self._forget_answered(commands.list_subscriptions)
            theirs = {sid for _, sid in event.subscriptions}
            for sid in [sid for sid in self._sids.values() if sid not in theirs]:
                self._reopen(sid, "the venue does not know it")

    def _forget_answered(self, make: Callable[..., dict[str, Any]]) -> None:
        """Wait no more for commands of a kind, but for subscriptions some of whose channels are not open."""
        for command_id in list(self._unanswered):
            sent = self._sent.get(command_id)
            channels = sent.arguments[0] if sent is not None and sent.make is commands.subscribe else ()
            if sent is None or (sent.make is make and self._opening.isdisjoint(channels)):
                del self._unanswered[command_id]

    def _on_error(self, error: ChannelError) -> None:
        """Do what the error asks for; a command that was wrong is not repeated, and the book it was for stays stale."""
        reason = f"{error.code} {error.message}"
        sent = self._sent.pop(error.command_id or 0, None)
        self._unanswered.pop(error.command_id or 0, None)
        if error.remedy == "resubscribe":
            if error.subscription_id is None:
                self._ended = f"the venue ended a subscription: {reason}"
            else:
                self._reopen(error.subscription_id, reason)
        elif error.remedy == "list":
            self._send(commands.list_subscriptions)
        elif error.remedy == "authenticate":
            self._ended = f"the venue wants a key for a channel: {reason}"
        elif sent is not None and error.remedy in _PAUSES_S and sent.attempts < _ATTEMPTS:
            self._send_later(_PAUSES_S[error.remedy] * sent.attempts, sent)
        elif sent is not None and (error.remedy == "slow_down" or sent.make is commands.list_subscriptions):
            self._ended = f"the venue refused a command {sent.attempts} times: {reason}"
        elif sent is not None:
            self._on_refusal(sent, reason, error)

    def _on_refusal(self, sent: _Sent, reason: str, error: ChannelError) -> None:
        """Do without what the venue does not take; of a command that was too large the first half is tried again.

        A command is refused whole for one of its markets, so it is halved until that market stands alone.
        """
        is_opening = sent.make is commands.subscribe
        where, tickers, *rest = sent.arguments
        channels: tuple[str, ...] = tuple(
            where if is_opening else (name for name, sid in self._sids.items() if sid == where)
        )
        is_full, middle = error.remedy == "fewer_markets", len(tickers) // 2
        is_of_markets = not is_full and error.code not in _NOT_OF_MARKETS
        if middle and is_of_markets and is_opening:
            # The other half is added once the channel is open.
            self._open(channels, tickers[:middle], attempts=sent.attempts - 1)
            return
        if middle and is_of_markets:
            for half in (tickers[:middle], tickers[middle:]):
                self._send(sent.make, where, half, *rest, attempts=sent.attempts - 1)
            return
        if not is_opening and rest != ["add_markets"]:
            return
        kept = tickers[:middle] if is_full else []
        self._leave_out(channels, tickers[len(kept) :], reason)
        if kept:
            self._send(sent.make, where, kept, *rest)
        elif is_opening and BOOK_CHANNEL in channels:
            self._open_without_refused(channels, reason, can_help=is_of_markets)

    def _open_without_refused(self, channels: tuple[str, ...], reason: str, *, can_help: bool) -> None:
        """Open channels with the markets that were not refused, unless it is not for the markets that they are."""
        self._refused += 1
        refused = set[str]().union(*(self._left_out.get(channel, ()) for channel in channels))
        others = [ticker for ticker in self._subscribed if ticker not in refused]
        if can_help and others and self._refused < _MOST_REFUSED:
            self._open(channels, others[:_TICKERS_PER_COMMAND])
        else:
            self._ended = f"the venue refused the subscription: {reason}"

    def _leave_out(self, channels: Sequence[str], tickers: Sequence[str], reason: str) -> None:
        get_logger(venue=str(self.venue)).error(
            "not carried by the venue", channels=list(channels), markets=len(tickers), first=tickers[:3], reason=reason
        )
        for channel in channels:
            self._left_out.setdefault(channel, set()).update(tickers)
            self._requested.get(channel, set()).difference_update(tickers)
        if BOOK_CHANNEL in channels and tickers:
            self._own_frames.append(stale_frame(tickers, f"{_NOT_CARRIED}: {reason}"[:200]))

    def _reopen(self, sid: int, reason: str) -> None:
        channel = next((name for name, known in self._sids.items() if known == sid), None)
        if channel is None:
            return
        self._resubscriptions += 1
        if self._resubscriptions > _RESUBSCRIPTIONS:
            self._ended = f"the venue ended {channel} again and again: {reason}"
            return
        del self._sids[channel]
        self._requested.pop(channel, None)
        self._left_out.pop(channel, None)
        if channel in self._global_channels:
            self._open((channel,))
        else:
            self._bring_up_to_date()

    # -- what we ask for --------------------------------------------------------------------------------------------

    def _bring_up_to_date(self) -> None:
        """Send what makes the venue's list of markets the one subscribed to, as far as that can be sent now."""
        subscribed = list(self._subscribed)
        closed = [name for name in self._market_channels if name not in self._sids and name not in self._opening]
        if closed and subscribed:
            self._open(tuple(closed), subscribed[:_TICKERS_PER_COMMAND])
        changes: list[tuple[str, list[str], str]] = []
        for channel in self._market_channels:
            requested = self._requested.get(channel)
            if channel not in self._sids or requested is None:
                continue
            removed = [ticker for ticker in requested if ticker not in self._subscribed]
            left_out = self._left_out.setdefault(channel, set())
            if removed:
                left_out.clear()  # there is room now
            added = [ticker for ticker in subscribed if ticker not in requested and ticker not in left_out]
            self._requested[channel] = set(subscribed) - left_out
            changes += [(channel, chunk, "delete_markets") for chunk in _chunks(removed)]
            changes += [(channel, chunk, "add_markets") for chunk in _chunks(added)]
        for channel, chunk, action in changes:
            self._send(commands.update, self._sids[channel], chunk, action)

    def _open(self, channels: tuple[str, ...], tickers: Sequence[str] = (), *, attempts: int = 0) -> None:
        self._opening |= set(channels)
        if tickers:
            self._requested |= {channel: set(tickers) for channel in channels}
        self._send(commands.subscribe, channels, list(tickers), attempts=attempts)

    def _send(self, make: Callable[..., dict[str, Any]], *arguments: Any, attempts: int = 0) -> None:
        self._command_id += 1
        self._sent[self._command_id] = _Sent(make, arguments, attempts + 1)
        self._sent.pop(self._command_id - _COMMANDS_KEPT, None)
        if make is not commands.update:
            self._unanswered[self._command_id] = asyncio.get_running_loop().time()
        self._socket.send(orjson.dumps(make(self._command_id, *arguments)))

    def _send_later(self, pause_s: float, sent: _Sent) -> None:
        def send() -> None:
            self._timers.discard(timer)
            if sent.make is commands.update and sent.arguments[0] not in self._sids.values():
                return  # the subscription was opened anew meanwhile, with all subscribed markets
            with suppress(TransientError):  # whoever reads the frames learns it
                self._send(sent.make, *sent.arguments, attempts=sent.attempts)

        timer = asyncio.get_running_loop().call_later(pause_s, send)
        self._timers.add(timer)


def _chunks(tickers: list[str]) -> list[list[str]]:
    return [tickers[start : start + _TICKERS_PER_COMMAND] for start in range(0, len(tickers), _TICKERS_PER_COMMAND)]
