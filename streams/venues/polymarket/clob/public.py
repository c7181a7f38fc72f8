"""The CLOB's public data: books, delays and price histories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import orjson

from streams.market.errors import InvalidAmount, MalformedFrame
from streams.market.events import BookSnapshot
from streams.market.identity import Outcome
from streams.venues.common.paging import Candle, Items
from streams.venues.common.responses import document_of, read, read_page
from streams.venues.polymarket.clob.market_data import (
    ClobMarket,
    TakerDelay,
    book_of,
    clob_market_of,
    history_of,
    history_point,
    taker_delay_of,
)
from streams.venues.polymarket.market_frames import TokenRef
from streams.venues.polymarket.transport import PolymarketTransport

_BOOKS_PER_CALL = 500
Interval = Literal["1h", "6h", "1d", "1w", "1m", "max", "all"]


class PublicReads(PolymarketTransport):
    """Public reads of the CLOB; none needs a key. Lists of tokens are asked by POST: the GET forms answer 400."""

    async def books(
        self, token_ids: Sequence[str], tokens: Mapping[str, TokenRef] | None = None
    ) -> Items[BookSnapshot]:
        """Return the books of many tokens, 500 to a call; unknown ones are missing from the answer."""
        found: list[BookSnapshot] = []
        unreadable: list[MalformedFrame] = []
        for start in range(0, len(token_ids), _BOOKS_PER_CALL):
            raw = await self._query("/books", _named(token_ids[start : start + _BOOKS_PER_CALL]))
            _, books = read_page(raw, "", lambda row: book_of(row, tokens))
            found += books
            unreadable += books.unreadable
        return Items(found, unreadable)

    async def taker_delay(self, market_id: str) -> TakerDelay:
        """Return how a market holds back orders that take."""
        raw = await self._get("clob", f"/clob-markets/{market_id}")
        return read(document_of(raw), lambda document: taker_delay_of(document, market_id))

    async def clob_market(self, market_id: str) -> ClobMarket:
        """Return what the venue's engine goes by for a market."""
        raw = await self._get("clob", f"/clob-markets/{market_id}")
        return read(document_of(raw), lambda document: clob_market_of(document, market_id))

    async def prices_history(
        self,
        token_id: str,
        start_ts: int | None = None,
        end_ts: int | None = None,
        fidelity: int = 1,
        *,
        interval: Interval | None = None,
        outcome: Outcome = "yes",
    ) -> Items[Candle]:
        """Return a token's prices, YES terms, oldest first: of a window in Unix seconds, or of an interval up to now.

        Args:
            token_id: Whose prices.
            start_ts: Start of the window; the venue refuses an end without it.
            end_ts: End of the window.
            fidelity: Minutes between points; at least 5 for a week and 10 for a month.
            interval: Instead of a window.
            outcome: Which outcome the token is.

        Raises:
            InvalidAmount: If neither a window nor an interval was named, or both.
        """
        if (start_ts is None) == (interval is None):
            raise InvalidAmount("a price history needs a start or an interval, not both")
        raw = await self._get(
            "clob",
            "/prices-history",
            market=token_id,
            startTs=start_ts,
            endTs=end_ts,
            interval=interval,
            fidelity=fidelity,
        )
        _, points = read_page(raw, "history", history_point)
        return Items(history_of(points, outcome, fidelity * 60, end_ts), points.unreadable)


def _named(token_ids: Sequence[str]) -> bytes:
    return orjson.dumps([{"token_id": token} for token in token_ids])
