"""News of our own orders from the venues' user streams: what was sent is read as soon as the venue says it changed.

News says that there is something to read and nothing more: what is booked comes from reads, so that a message that
comes late, twice or not at all costs time and never money.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import Protocol

from streams.logs import get_logger
from streams.market.errors import StreamsError, TransientError
from streams.market.user_stream_events import AccountUnread, FillUpdate, OrderGroupUpdate, OrderUpdate, UserStreamEvent
from streams.venues.common.feed import UserFeed

_KEPT = 4_096
"""Orders whose last news is remembered."""
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_REFUSED_PAUSE_S = 300.0
"""A key that is not accepted is tried again after this: it may have been renewed."""


class OrderNews(Protocol):
    """Who tells that an order has changed."""

    def mark(self) -> int:
        """Return a mark of this moment, to be taken before an order is read."""

    async def wait(self, names: Collection[str], since: int, longest_s: float) -> bool:
        """Wait until there is news of one of these orders since a mark, at most `longest_s`; returns whether there is.

        Args:
            names: Venue ids and client ids of orders.
            since: A mark taken before they were read.
            longest_s: Seconds; 0 only lets others go on.
        """


class NoNews:
    """Nobody tells anything: every wait takes its whole time."""

    def mark(self) -> int:
        """See `OrderNews.mark`."""
        return 0

    async def wait(self, names: Collection[str], since: int, longest_s: float) -> bool:
        """See `OrderNews.wait`."""
        await asyncio.sleep(longest_s)
        return False


class AccountNews:
    """Listens to user streams; see `OrderNews`.

    Args:
        feeds: One for each venue, unconnected.
        sleep: Waits some seconds before a stream is connected again.
        chance: Spreads those waits.
        on_tripped: Is told the id of an order group that its venue says has tripped, and that it said so.
    """

    def __init__(
        self,
        feeds: Sequence[UserFeed],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        on_tripped: Callable[[str, str], object] = lambda group, why: None,
    ) -> None:
        self._feeds = feeds
        self._on_tripped = on_tripped
        self._sleep = sleep
        self._chance = chance
        self._count = 0
        self._of_all = 0
        self._heard: OrderedDict[str, int] = OrderedDict()
        self._waiting: set[asyncio.Event] = set()

    def mark(self) -> int:
        """See `OrderNews.mark`."""
        return self._count

    async def wait(self, names: Collection[str], since: int, longest_s: float) -> bool:
        """See `OrderNews.wait`."""
        if longest_s <= 0:
            await asyncio.sleep(0)
            return self._has_news(names, since)
        woken = asyncio.Event()
        self._waiting.add(woken)
        try:
            async with asyncio.timeout(longest_s):
                while not self._has_news(names, since):
                    woken.clear()
                    await woken.wait()
            return True
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(woken)

    async def listen(self) -> None:
        """Read all streams until cancelled; one that ends is connected again, the others go on meanwhile."""
        try:
            await asyncio.gather(*(self._listen_to(feed) for feed in self._feeds))
        finally:
            for feed in self._feeds:
                with suppress(StreamsError, OSError):
                    await feed.close()

    async def _listen_to(self, feed: UserFeed) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await feed.connect()
                async for event in feed.events():
                    self.note(event)
                    pause_s = _FIRST_PAUSE_S
                why = "it ended"
            except TransientError as error:
                why = str(error)
            except Exception as error:  # whatever a venue sends, the other stream and the trades go on
                why = f"{type(error).__name__}: {error}"
                pause_s = _REFUSED_PAUSE_S if isinstance(error, StreamsError) else _LONGEST_PAUSE_S
            get_logger().warning("a user stream is connected again", venue=feed.venue.value, reason=why)
            with suppress(StreamsError, OSError):
                await feed.close()
            self.note(AccountUnread(feed.venue, why))
            await self._sleep(pause_s * (0.5 + self._chance() / 2))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def note(self, event: UserStreamEvent) -> None:
        """Take an event; where something may have been missed, it is news of every order."""
        if isinstance(event, AccountUnread):
            self._count += 1
            self._of_all = self._count
        elif isinstance(event, OrderUpdate | FillUpdate):
            self._count += 1
            for name in filter(None, (event.order_id, event.client_order_id)):
                self._heard[name] = self._count
                self._heard.move_to_end(name)
            while len(self._heard) > _KEPT:
                self._heard.popitem(last=False)
        else:
            if isinstance(event, OrderGroupUpdate) and event.kind == "triggered":
                self._on_tripped(event.group_id, f"{event.venue} says that it has tripped")
            return
        for woken in self._waiting:
            woken.set()

    def _has_news(self, names: Collection[str], since: int) -> bool:
        return self._of_all > since or any(self._heard.get(name, 0) > since for name in names)
