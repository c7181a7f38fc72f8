"""Kalshi over REST. Reads return dataclasses in integer units or the venue's JSON; errors are the house's tree.

A write is sent once. What becomes of it when the answer is lost is `OutcomeUnknown`, never a retry.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from streams.market.errors import MalformedFrame, RateLimited
from streams.market.events import BookSnapshot
from streams.venues.answers import document_of, part_of, read, read_write
from streams.venues.credentials import KalshiCredentials
from streams.venues.endpoints import Endpoints
from streams.venues.http import call
from streams.venues.kalshi import orders as states
from streams.venues.kalshi.errors import classify
from streams.venues.kalshi.limits import CANCEL_COST, DEFAULT_COST, ORDER_READ_COST, KalshiLimits
from streams.venues.kalshi.market_data import book_of, books_of, candles_of
from streams.venues.kalshi.signing import KalshiSigner
from streams.venues.paging import Candle, Page, all_items

Result = TypeVar("Result")
_BOOKS_PER_CALL = 100
_EVENTS_PER_PAGE = 200
_LIST_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """Whether the exchange answers and trades."""

    is_active: bool
    is_trading: bool
    payload: dict[str, Any]


class KalshiClient:
    """Kalshi's REST API for one key, or for a reader without one.

    Args:
        endpoints: Where it is.
        credentials: The key; None reads public data unsigned.
        http: The transport, owned by the caller.
        clock: Wall clock in nanoseconds, for signatures.
        limits: Request budget; default the Basic tier's.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: KalshiCredentials | None,
        *,
        http: httpx.AsyncClient,
        clock: Callable[[], int] = time.time_ns,
        limits: KalshiLimits | None = None,
    ) -> None:
        self._base = endpoints.kalshi_rest
        self._signer = KalshiSigner(credentials) if credentials is not None else None
        self._http = http
        self._clock = clock
        self._limits = limits or KalshiLimits(is_signed=credentials is not None)

    # -- public data ----------------------------------------------------------------------------------------------

    async def events_page(
        self,
        cursor: str = "",
        *,
        with_nested_markets: bool = True,
        status: str | None = None,
        min_updated_ts: int | None = None,
        series_ticker: str | None = None,
        limit: int = _EVENTS_PER_PAGE,
    ) -> Page[dict[str, Any]]:
        """Return one page of events as the venue's JSON."""
        return await self._page(
            "/events",
            "events",
            cursor,
            limit=limit,
            with_nested_markets=str(with_nested_markets).lower(),
            status=status,
            min_updated_ts=min_updated_ts,
            series_ticker=series_ticker,
        )

    async def markets_page(
        self, cursor: str = "", *, limit: int = _LIST_LIMIT, **filters: str | int | None
    ) -> Page[dict[str, Any]]:
        """Return one page of markets as the venue's JSON; `filters` are the venue's own parameters."""
        return await self._page("/markets", "markets", cursor, limit=limit, **filters)

    async def series_list(self, *, category: str | None = None) -> list[dict[str, Any]]:
        """Return all series (one large answer)."""
        document = await self._get("/series", category=category)
        series: list[dict[str, Any]] = document.get("series") or []
        return series

    async def series(self, series_ticker: str) -> dict[str, Any]:
        """Return one series as the venue's JSON."""
        return part_of(await self._get(f"/series/{series_ticker}"), "series")

    async def event(self, event_ticker: str) -> dict[str, Any]:
        """Return one event with its markets nested."""
        return part_of(await self._get(f"/events/{event_ticker}", with_nested_markets="true"), "event")

    async def market(self, market_id: str) -> dict[str, Any]:
        """Return one market as the venue's JSON. A new one may be NotFound for a moment."""
        return part_of(await self._get(f"/markets/{market_id}"), "market")

    async def order_book(self, market_id: str) -> BookSnapshot:
        """Return the whole book. It carries no sequence number: it cannot be joined with the socket's."""
        document = await self._get(f"/markets/{market_id}/orderbook")
        return read(document, lambda answer: book_of(market_id, part_of(answer, "orderbook_fp")))

    async def order_books(self, market_ids: Sequence[str]) -> list[BookSnapshot]:
        """Return the books of many markets, a hundred to a call; unknown ones are missing from the answer."""
        books: list[BookSnapshot] = []
        for start in range(0, len(market_ids), _BOOKS_PER_CALL):
            names = [("tickers", name) for name in market_ids[start : start + _BOOKS_PER_CALL]]
            document = await self._get("/markets/orderbooks", names)
            books += read(document, books_of)
        return books

    async def candlesticks(
        self, series_ticker: str, market_id: str, start_ts: int, end_ts: int, period_interval: int = 1
    ) -> list[Candle]:
        """Return candlesticks, oldest first; `period_interval` in minutes (1, 60, 1440). Sparse: no news, no candle."""
        document = await self._get(
            f"/series/{series_ticker}/markets/{market_id}/candlesticks",
            start_ts=start_ts,
            end_ts=end_ts,
            period_interval=period_interval,
        )
        return read(document, lambda answer: candles_of(answer, period_interval * 60))

    async def exchange_status(self) -> ExchangeStatus:
        """Return whether the exchange is open."""
        document = await self._get("/exchange/status")
        return ExchangeStatus(bool(document.get("exchange_active")), bool(document.get("trading_active")), document)

    # -- orders ---------------------------------------------------------------------------------------------------

    async def create_order(self, request: states.OrderRequest) -> states.OrderAnswer:
        """Send an order once.

        Raises:
            Refused: The venue said no; `code` is its own word.
            OutcomeUnknown: It may exist; look for its client_order_id in `orders`.
        """
        return await self.send_order(request.body())

    async def send_order(self, body: bytes) -> states.OrderAnswer:
        """Send the bytes of `OrderRequest.body` (again, within the decision's life); errors as for `create_order`."""
        raw = await self._send("POST", "/portfolio/events/orders", body=body)
        return read_write(raw, states.parse_order_answer)

    async def cancel_order(self, order_id: str, market_ticker: str) -> states.CancelAnswer:
        """Cancel what rests of an order. The ticker routes it to its shard.

        Raises:
            NotFound: Nothing rests under that id: cancelled, executed or never there; only reads tell which.
        """
        raw = await self._send(
            "DELETE",
            f"/portfolio/events/orders/{order_id}",
            parameters=[("market_ticker", market_ticker)],
            cost=CANCEL_COST,
        )
        return read_write(raw, states.parse_cancel_answer)

    async def cancel_all(self) -> None:
        """Cancel all resting orders of the key on all shards."""
        await self._send("DELETE", "/portfolio/events/orders", cost=CANCEL_COST)

    # -- account (reads lag writes by some hundred milliseconds) --------------------------------------------------

    async def orders(
        self, *, market_id: str | None = None, status: str | None = None, min_ts: int | None = None
    ) -> list[states.OrderState]:
        """Return our orders, newest first; `min_ts` in Unix seconds."""
        filters = {"ticker": market_id, "status": status, "min_ts": min_ts}
        return await self._all("/portfolio/orders", "orders", states.parse_order, **filters)

    async def order(self, order_id: str) -> states.OrderState:
        """Return one of our orders."""
        document = await self._get(f"/portfolio/orders/{order_id}", cost=ORDER_READ_COST)
        return read(document, lambda answer: states.parse_order(part_of(answer, "order")))

    async def fills(
        self, *, market_id: str | None = None, order_id: str | None = None, min_ts: int | None = None
    ) -> list[states.FillState]:
        """Return our executions, newest first; `min_ts` in Unix seconds."""
        filters = {"ticker": market_id, "order_id": order_id, "min_ts": min_ts}
        return await self._all("/portfolio/fills", "fills", states.parse_fill, **filters)

    async def balance(self) -> int:
        """Return the cash as `cash_e6`, over all shards."""
        document = await self._get("/portfolio/balance")
        return read(document, lambda answer: states.parse_balance(answer))

    async def positions(self, *, market_id: str | None = None) -> list[states.PositionState]:
        """Return what we hold in markets that are not settled."""
        return await self._all("/portfolio/positions", "market_positions", states.parse_position, ticker=market_id)

    async def settlements(
        self, *, market_id: str | None = None, min_ts: int | None = None
    ) -> list[states.SettlementState]:
        """Return what settled markets paid, newest first; `min_ts` in Unix seconds."""
        filters = {"ticker": market_id, "min_ts": min_ts}
        return await self._all("/portfolio/settlements", "settlements", states.parse_settlement, **filters)

    # -- transport ------------------------------------------------------------------------------------------------

    async def _all(
        self,
        path: str,
        key: str,
        parse: Callable[[dict[str, Any]], Result],
        **filters: str | int | None,
    ) -> list[Result]:
        async def fetch(cursor: str) -> Page[dict[str, Any]]:
            return await self._page(path, key, cursor, limit=_LIST_LIMIT, **filters)

        items = await all_items(fetch)
        return read(items, lambda answer: [parse(item) for item in answer])

    async def _page(self, path: str, key: str, cursor: str, **parameters: str | int | None) -> Page[dict[str, Any]]:
        pairs = [(name, str(value)) for name, value in parameters.items() if value is not None]
        document = await self._get(path, pairs, cursor=cursor or None)
        items = document.get(key) or []
        if not isinstance(items, list):
            raise MalformedFrame(repr(document)[:2000].encode(), f"{key} is not a list")
        return Page(items, str(document.get("cursor") or ""))

    async def _get(
        self,
        path: str,
        pairs: Iterable[tuple[str, str]] = (),
        *,
        cost: float = DEFAULT_COST,
        **parameters: str | int | None,
    ) -> dict[str, Any]:
        query = [*pairs, *((name, str(value)) for name, value in parameters.items() if value is not None)]
        raw = await self._send("GET", path, parameters=query, cost=cost)
        return document_of(raw)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        parameters: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        cost: float = DEFAULT_COST,
    ) -> bytes:
        is_write = method != "GET"
        await self._limits.take(is_write=is_write, cost=cost)
        url = self._base + path
        # Signed after the wait: the venue allows a signature about five seconds.
        headers = self._signer.headers(method, url, self._clock() // 1_000_000) if self._signer is not None else {}
        try:
            return await call(
                self._http,
                method,
                url,
                classify=classify,
                parameters=parameters,
                headers=headers,
                body=body,
                is_write=is_write,
            )
        except RateLimited:
            self._limits.refused(is_write=is_write)
            raise
