"""The CLOB's public data: books, quotes, terms of markets, price histories, the server itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

import orjson

from streams.market.errors import InvalidAmount
from streams.market.events import BookSnapshot
from streams.market.identity import Outcome
from streams.venues.common.paging import Candle, Page
from streams.venues.common.responses import document_of, json_of, read
from streams.venues.polymarket.amounts import OrderSide
from streams.venues.polymarket.clob import quotes
from streams.venues.polymarket.clob.market_data import (
    ClobListing,
    ClobMarket,
    book_of,
    clob_listing_of,
    clob_market_of,
    history_of,
)
from streams.venues.polymarket.market_frames import TokenRef
from streams.venues.polymarket.transport import PolymarketTransport, clob_page

_BOOKS_PER_CALL = 500
MarketList = Literal["markets", "simplified-markets", "sampling-markets", "sampling-simplified-markets"]
Interval = Literal["1h", "6h", "1d", "1w", "1m", "max", "all"]


class PublicReads(PolymarketTransport):
    """Public reads of the CLOB; none needs a key. Lists of tokens are asked by POST: the GET forms answer 400."""

    async def ok(self) -> bool:
        """Whether the CLOB answers."""
        return (await self._get("clob", "/ok")).strip(b'" \n') == b"OK"

    async def server_time(self) -> int:
        """Return the venue's clock in Unix seconds."""
        return read(json_of(await self._get("clob", "/time")), int)

    async def protocol_version(self) -> int:
        """Return which order struct the venue takes; 2 since 2026-04-28."""
        return read(document_of(await self._get("clob", "/version")), lambda answer: int(answer["version"]))

    async def book(self, token_id: str, tokens: Mapping[str, TokenRef] | None = None) -> BookSnapshot:
        """Return a token's book in YES terms; a token that `tokens` does not name is taken as YES."""
        document = document_of(await self._get("clob", "/book", token_id=token_id))
        return read(document, lambda answer: book_of(answer, tokens))

    async def books(self, token_ids: Sequence[str], tokens: Mapping[str, TokenRef] | None = None) -> list[BookSnapshot]:
        """Return the books of many tokens, 500 to a call; unknown ones are missing from the answer."""
        found: list[BookSnapshot] = []
        for start in range(0, len(token_ids), _BOOKS_PER_CALL):
            answer = json_of(await self._query("/books", _named(token_ids[start : start + _BOOKS_PER_CALL])))
            found += read(answer, lambda rows: [book_of(row, tokens) for row in rows])
        return found

    async def price(self, token_id: str, side: OrderSide) -> Decimal:
        """Return the price one meets on a side. BUY answered the lowest ask in 2026, the best bid in older texts."""
        document = document_of(await self._get("clob", "/price", token_id=token_id, side=side))
        return read(document, lambda answer: quotes.decimal_of(answer, "price"))

    async def prices(self, wanted: Sequence[tuple[str, OrderSide]]) -> dict[str, dict[OrderSide, Decimal]]:
        """Return the prices of many tokens and sides."""
        body = orjson.dumps([{"token_id": token, "side": side} for token, side in wanted])
        return read(document_of(await self._query("/prices", body)), quotes.prices_by_token)

    async def midpoint(self, token_id: str) -> Decimal:
        """Return the middle between best bid and ask, in dollars. Live answers say `mid`, the documents `mid_price`."""
        document = document_of(await self._get("clob", "/midpoint", token_id=token_id))
        return read(document, lambda answer: quotes.decimal_of(answer, "mid", "mid_price"))

    async def midpoints(self, token_ids: Sequence[str]) -> dict[str, Decimal]:
        """Return the midpoints of many tokens."""
        return read(document_of(await self._query("/midpoints", _named(token_ids))), quotes.decimals_by_token)

    async def spread(self, token_id: str) -> Decimal:
        """Return ask minus bid, in dollars."""
        document = document_of(await self._get("clob", "/spread", token_id=token_id))
        return read(document, lambda answer: quotes.decimal_of(answer, "spread"))

    async def spreads(self, token_ids: Sequence[str]) -> dict[str, Decimal]:
        """Return the spreads of many tokens."""
        return read(document_of(await self._query("/spreads", _named(token_ids))), quotes.decimals_by_token)

    async def last_trade_price(self, token_id: str) -> quotes.LastTrade:
        """Return the last trade of a token."""
        return read(document_of(await self._get("clob", "/last-trade-price", token_id=token_id)), quotes.last_trade_of)

    async def last_trade_prices(self, token_ids: Sequence[str]) -> dict[str, quotes.LastTrade]:
        """Return the last trades of many tokens."""
        return read(json_of(await self._query("/last-trades-prices", _named(token_ids))), quotes.last_trades_of)

    async def tick_size(self, token_id: str) -> int:
        """Return the step of a token's price grid, as `price_e4`."""
        return read(document_of(await self._get("clob", "/tick-size", token_id=token_id)), quotes.tick_e4_of)

    async def neg_risk(self, token_id: str) -> bool:
        """Return whether a token is traded on the neg-risk exchange."""
        document = document_of(await self._get("clob", "/neg-risk", token_id=token_id))
        return read(document, lambda answer: quotes.flag_of(answer, "neg_risk"))

    async def base_fee_bps(self, token_id: str) -> int:
        """Return the fee field of old clients; 1000 on markets with fees, and not what is charged."""
        document = document_of(await self._get("clob", "/fee-rate", token_id=token_id))
        return read(document, lambda answer: int(answer["base_fee"]))

    async def builder_fees(self, code: str) -> quotes.BuilderFees:
        """Return what a builder code adds to the fees."""
        return read(document_of(await self._get("clob", f"/fees/builder-fees/{code}")), quotes.builder_fees_of)

    async def market_of_token(self, token_id: str) -> quotes.TokenMarket:
        """Return the market a token belongs to."""
        return read(document_of(await self._get("clob", f"/markets-by-token/{token_id}")), quotes.token_market_of)

    async def clob_market(self, condition_id: str) -> ClobMarket:
        """Return the terms by which the CLOB trades a market: grid, sizes, fees, delays."""
        return read(document_of(await self._get("clob", f"/clob-markets/{condition_id}")), clob_market_of)

    async def clob_listing(self, condition_id: str) -> ClobListing:
        """Return a market as the CLOB lists it, also a closed one."""
        return read(document_of(await self._get("clob", f"/markets/{condition_id}")), clob_listing_of)

    async def clob_listings_page(self, cursor: str = "", *, of: MarketList = "markets") -> Page[ClobListing]:
        """Return one page (1000) of one of the CLOB's lists, closed markets included."""
        page = clob_page(document_of(await self._get("clob", f"/{of}", next_cursor=cursor or None)))
        return Page(read(page.items, lambda rows: [clob_listing_of(row) for row in rows]), page.cursor)

    async def prices_history(
        self,
        token_id: str,
        start_ts: int | None = None,
        end_ts: int | None = None,
        fidelity: int = 1,
        *,
        interval: Interval | None = None,
        outcome: Outcome = "yes",
    ) -> list[Candle]:
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
        return read(document_of(raw), lambda answer: history_of(answer, outcome, fidelity * 60, end_ts))


def _named(token_ids: Sequence[str]) -> bytes:
    return orjson.dumps([{"token_id": token} for token in token_ids])
