"""One page of a list, and the walk over all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from streams.market.errors import IncompleteList, MalformedFrame, TransientError, UnreadableAnswer

Item = TypeVar("Item")
_MOST_PAGES = 10_000


class Items(list[Item]):
    """What could be read of a list.

    Attributes:
        unreadable: What could not, each with its bytes and reason: dead letters, one by one.
    """

    def __init__(self, items: Iterable[Item] = (), unreadable: Iterable[MalformedFrame] = ()) -> None:
        super().__init__(items)
        self.unreadable = tuple(unreadable)

    def whole(self, name: str) -> Items[Item]:
        """Return the list, called `name`, where money hangs on what is not in it.

        Raises:
            IncompleteList: If some of it cannot be read.
        """
        if self.unreadable:
            raise IncompleteList(name, self, self.unreadable)
        return self


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Items of one page; `cursor` asks for the next one and is empty on the last.

    Attributes:
        unreadable: Items that could not be read, each with its bytes and reason.
        broken_off: The cursor cannot be read: what comes after this page is not known. None where it can.
    """

    items: list[Item]
    cursor: str
    unreadable: tuple[MalformedFrame, ...] = ()
    broken_off: UnreadableAnswer | None = None


@dataclass(frozen=True, slots=True)
class Candle:
    """One candlestick or history point, YES terms; None where the venue states nothing.

    Attributes:
        bucket_start: Start of the interval, aware UTC.
        interval_s: Length of the interval.
        bid_close_e4 / ask_close_e4: Best prices at the end; None on an empty side.
        price_*_e4: Trade prices (Kalshi), or the history price in `price_close_e4` alone (Polymarket).
        volume_e6: Contracts traded, None where the venue does not say.
        open_interest_e6: Contracts held at the end, None where the venue does not say.
    """

    bucket_start: datetime
    interval_s: int
    bid_close_e4: int | None
    ask_close_e4: int | None
    price_open_e4: int | None
    price_high_e4: int | None
    price_low_e4: int | None
    price_close_e4: int | None
    volume_e6: int | None
    payload: dict[str, Any]
    open_interest_e6: int | None = None


async def all_pages(fetch: Callable[[str], Awaitable[Page[Item]]], first_cursor: str = "") -> AsyncIterator[Page[Item]]:
    """Yield all pages from `first_cursor` on.

    Raises:
        UnreadableAnswer: If a page's cursor cannot be read; that page was yielded.
        TransientError: If the venue hands out a cursor twice or ever new ones, which would never end.
    """
    seen = {first_cursor}
    cursor = first_cursor
    for _ in range(_MOST_PAGES):
        page = await fetch(cursor)
        yield page
        if page.broken_off is not None:
            raise page.broken_off
        if not page.cursor:
            return
        if page.cursor in seen:
            raise TransientError("the venue repeats a page cursor")
        seen.add(page.cursor)
        cursor = page.cursor
    raise TransientError(f"a list has more than {_MOST_PAGES} pages")


async def all_items(fetch: Callable[[str], Awaitable[Page[Item]]], first_cursor: str = "") -> Items[Item]:
    """Return the items of all pages from `first_cursor` on; errors as for `all_pages`."""
    pages = [page async for page in all_pages(fetch, first_cursor)]
    return Items((item for page in pages for item in page.items), (lost for page in pages for lost in page.unreadable))
