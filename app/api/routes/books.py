"""Order books as recorded."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.acts import permit
from app.api.deps import CurrentSettings, WantedPage, Warehouse
from app.api.schemas import Listed, OrderBook
from app.api.strict_body import StrictRoute
from app.doors.roles import Act
from app.queries.books import BookView, load_book, load_recorded_ids
from app.queries.rows import decode_cursor, encode_cursor
from streams.market.identity import Venue

router = APIRouter(tags=["books"], route_class=StrictRoute, dependencies=[permit(Act.VIEW)])
_BOOKS_PER_PAGE = 100


@router.get("/get_order_books")
def list_books(
    connection: Warehouse,
    settings: CurrentSettings,
    page: WantedPage,
    venue: Venue,
    market_id: Annotated[list[str] | None, Query(max_length=100, description="None: all that are recorded.")] = None,
    depth: Annotated[int, Query(ge=1, le=1000, description="Most levels of each side.")] = 50,
) -> Listed[OrderBook]:
    """Return current books of one venue in YES terms, at most 100 a page; markets without one are absent."""
    limit = min(page.limit, _BOOKS_PER_PAGE)
    after = decode_cursor(page.cursor, (str,))
    if market_id:
        wanted = sorted({name for name in market_id if after is None or name > after[0]})[: limit + 1]
    else:
        wanted = load_recorded_ids(connection, venue, None if after is None else after[0], limit + 1)
    books = [load_book(connection, venue, name.replace("\x00", "")) for name in wanted[:limit]]
    cursor = encode_cursor([wanted[limit - 1]]) if len(wanted) > limit else None
    items = [_answer(book, depth, settings.quote_stale_after_s) for book in books if book is not None]
    return Listed(items=items, next_cursor=cursor)


def _answer(book: BookView, depth: int, stale_after_s: float) -> OrderBook:
    return OrderBook(
        venue=book.venue,
        market_id=book.market_id,
        bids=list(book.bids[:depth]),
        asks=list(book.asks[:depth]),
        updated_at=book.updated_at,
        state=book.state,
        age_s=round(book.age_s, 3),
        is_stale=book.state != "live" or book.age_s > stale_after_s,
        is_polled=book.is_polled,
    )
