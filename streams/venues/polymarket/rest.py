"""Polymarket over REST: Gamma (catalogue), CLOB (books, orders) and the Data API (positions, activity).

Reads return dataclasses in integer units or the venue's JSON; errors are the house's tree. A write is sent once: what
becomes of it when the answer is lost is `OutcomeUnknown`, and the order's id, known beforehand, finds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import httpx
import orjson

from streams.market.errors import AuthenticationFailed, MalformedFrame, RateLimited, Refused
from streams.market.events import BookSnapshot
from streams.market.identity import Outcome
from streams.venues.answers import document_of, json_of, read, read_write
from streams.venues.credentials import PolymarketCredentials
from streams.venues.endpoints import Endpoints
from streams.venues.http import call
from streams.venues.paging import Candle, Page, all_items
from streams.venues.polymarket import orders as states
from streams.venues.polymarket.errors import classify, code_of
from streams.venues.polymarket.limits import PolymarketLimits
from streams.venues.polymarket.market_data import ClobMarket, book_of, clob_market_of, history_of
from streams.venues.polymarket.parsing import TokenRef
from streams.venues.polymarket.signing import SignedOrder, l2_headers

Result = TypeVar("Result")
Filter = str | int | bool | Sequence[str] | None
"""A parameter's value; a sequence repeats the parameter, None leaves it out."""
_BOOKS_PER_CALL = 500
_MARKETS_PER_PAGE = 100
_EVENTS_PER_PAGE = 500
_FIRST_CURSOR, _LAST_CURSOR = "MA==", "LTE="


class PolymarketClient:
    """Polymarket's HTTP services for one wallet, or for a reader without one.

    Args:
        endpoints: Where they are.
        credentials: The wallet and its API key; None reads public data.
        http: The transport, owned by the caller.
        clock: Wall clock in nanoseconds, for signatures.
        limits: Request budgets; default well inside the venue's.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: PolymarketCredentials | None,
        *,
        http: httpx.AsyncClient,
        clock: Callable[[], int] = time.time_ns,
        limits: PolymarketLimits | None = None,
    ) -> None:
        self._bases = {"gamma": endpoints.gamma, "clob": endpoints.clob, "data": endpoints.polymarket_data}
        self._credentials = credentials
        self._http = http
        self._clock = clock
        self._limits = limits or PolymarketLimits()

    # -- catalogue ------------------------------------------------------------------------------------------------

    async def gamma_markets_page(
        self, cursor: str = "", *, limit: int = _MARKETS_PER_PAGE, **filters: Filter
    ) -> Page[dict[str, Any]]:
        """Return one page of markets as Gamma's JSON; `filters` are its own parameters (closed, tag_id, ...)."""
        return await self._keyset("/markets/keyset", "markets", cursor, limit, filters)

    async def gamma_events_page(
        self, cursor: str = "", *, limit: int = _EVENTS_PER_PAGE, **filters: Filter
    ) -> Page[dict[str, Any]]:
        """Return one page of events with their markets, as Gamma's JSON."""
        return await self._keyset("/events/keyset", "events", cursor, limit, filters)

    async def gamma_market(self, gamma_id: str) -> dict[str, Any]:
        """Return one market as Gamma's JSON."""
        return document_of(await self._get("gamma", f"/markets/{gamma_id}"))

    # -- market data ----------------------------------------------------------------------------------------------

    async def book(self, token_id: str, tokens: Mapping[str, TokenRef] | None = None) -> BookSnapshot:
        """Return a token's book in YES terms; a token that `tokens` does not name is taken as YES."""
        document = document_of(await self._get("clob", "/book", token_id=token_id))
        return read(document, lambda answer: book_of(answer, tokens))

    async def books(self, token_ids: Sequence[str], tokens: Mapping[str, TokenRef] | None = None) -> list[BookSnapshot]:
        """Return the books of many tokens, 500 to a call; unknown ones are missing from the answer."""
        books: list[BookSnapshot] = []
        for start in range(0, len(token_ids), _BOOKS_PER_CALL):
            wanted = [{"token_id": token} for token in token_ids[start : start + _BOOKS_PER_CALL]]
            answer = json_of(await self._send("clob", "POST", "/books", body=orjson.dumps(wanted), is_write=False))
            books += read(answer, lambda rows: [book_of(row, tokens) for row in rows])
        return books

    async def clob_market(self, condition_id: str) -> ClobMarket:
        """Return the terms by which the CLOB trades a market."""
        return read(document_of(await self._get("clob", f"/clob-markets/{condition_id}")), clob_market_of)

    async def prices_history(
        self, token_id: str, start_ts: int, end_ts: int, fidelity: int = 1, *, outcome: Outcome = "yes"
    ) -> list[Candle]:
        """Return a token's prices, YES terms, oldest first; `fidelity` in minutes, times in Unix seconds."""
        raw = await self._get(
            "clob", "/prices-history", market=token_id, startTs=start_ts, endTs=end_ts, fidelity=fidelity
        )
        return read(document_of(raw), lambda answer: history_of(answer, outcome, fidelity * 60, end_ts))

    # -- orders ---------------------------------------------------------------------------------------------------

    async def post_order(self, signed: SignedOrder) -> states.PostAnswer:
        """Send a signed order once.

        Raises:
            Refused: The venue said no, by status or by the answer's words.
            OutcomeUnknown: It may exist; `order(signed.order_id)` tells.
        """
        return await self.send_order(signed.content())

    async def send_order(self, content: bytes) -> states.PostAnswer:
        """Send the bytes of `SignedOrder.content` (again, within the decision's life); errors as for `post_order`."""
        raw = await self._private("POST", "/order", body=content, service="orders")
        document = read_write(raw, lambda answer: answer)
        if document.get("errorMsg") or document.get("success") is False:
            words = str(document.get("errorMsg") or "refused")
            raise Refused(code_of(words), words, 200)
        return read_write(raw, states.parse_post_answer)

    async def cancel(self, order_id: str) -> states.CancelAnswer:
        """Cancel what rests of one order."""
        body = orjson.dumps({"orderID": order_id})
        raw = await self._private("DELETE", "/order", body=body, service="cancels")
        return read_write(raw, states.parse_cancel_answer)

    async def cancel_all(self) -> states.CancelAnswer:
        """Cancel all resting orders of the API key."""
        raw = await self._private("DELETE", "/cancel-all", service="cancels")
        return read_write(raw, states.parse_cancel_answer)

    async def order(self, order_id: str) -> states.OrderState:
        """Return one of our orders, also a cancelled or matched one.

        Raises:
            NotFound: The venue knows no such order (yet: it may still be on its way).
        """
        return read(document_of(await self._private("GET", f"/data/order/{order_id}")), states.parse_order)

    async def open_orders(self, **filters: Filter) -> list[states.OrderState]:
        """Return our resting orders; `filters` id, market, asset_id."""
        return await self._private_list("/data/orders", states.parse_order, filters)

    async def trades(self, **filters: Filter) -> list[states.TradeState]:
        """Return our trades; `filters` id, market, asset_id, before, after (Unix seconds)."""
        credentials = self._wallet()
        parse = partial(states.parse_trade, api_key=credentials.api_key, wallet=credentials.wallet)
        return await self._private_list("/data/trades", parse, filters)

    # -- account --------------------------------------------------------------------------------------------------

    async def balance(self) -> int:
        """Return the wallet's cash as `cash_e6`; what open orders reserve is in it."""
        return await self._balance(asset_type="COLLATERAL")

    async def token_balance(self, token_id: str) -> int:
        """Return how much of a token the wallet holds, as `size_e6`."""
        return await self._balance(asset_type="CONDITIONAL", token_id=token_id)

    async def positions(self, user: str, **filters: Filter) -> list[states.PositionState]:
        """Return what a wallet holds, by the Data API."""
        return await self._data_list("/v2/positions", states.parse_position, {"user": user, **filters})

    async def activity(self, user: str, **filters: Filter) -> list[states.ActivityState]:
        """Return what a wallet did, by the Data API; `filters` type, condition, start, end, ..."""
        return await self._data_list("/v2/activity", states.parse_activity, {"user": user, **filters})

    # -- transport ------------------------------------------------------------------------------------------------

    async def _keyset(
        self, path: str, key: str, cursor: str, limit: int, filters: Mapping[str, Filter]
    ) -> Page[dict[str, Any]]:
        raw = await self._get("gamma", path, limit=limit, after_cursor=cursor or None, **filters)
        document = document_of(raw)
        items = document.get(key)
        if not isinstance(items, list):
            raise MalformedFrame(raw[:2000], f"answer without {key}")
        # The last page omits the cursor.
        return Page(items, str(document.get("next_cursor") or ""))

    async def _data_list(
        self, path: str, parse: Callable[[dict[str, Any]], Result], filters: Mapping[str, Filter]
    ) -> list[Result]:
        async def fetch(cursor: str) -> Page[dict[str, Any]]:
            document = document_of(await self._get("data", path, limit=500, cursor=cursor or None, **filters))
            pages = document.get("pagination") or {}
            return Page(document.get("data") or [], str(pages.get("next_cursor") or ""))

        return read(await all_items(fetch), lambda rows: [parse(row) for row in rows])

    async def _private_list(
        self, path: str, parse: Callable[[dict[str, Any]], Result], filters: Mapping[str, Filter]
    ) -> list[Result]:
        async def fetch(cursor: str) -> Page[dict[str, Any]]:
            document = document_of(await self._private("GET", path, parameters={"next_cursor": cursor, **filters}))
            following = str(document.get("next_cursor") or "")
            return Page(document.get("data") or [], "" if following == _LAST_CURSOR else following)

        return read(await all_items(fetch, _FIRST_CURSOR), lambda rows: [parse(row) for row in rows])

    async def _balance(self, **parameters: Filter) -> int:
        signature_type = self._wallet().signature_type
        parameters["signature_type"] = signature_type
        raw = await self._private("GET", "/balance-allowance", parameters=parameters)
        return read(document_of(raw), lambda answer: int(answer["balance"]))

    def _wallet(self) -> PolymarketCredentials:
        if self._credentials is None:
            raise AuthenticationFailed("this call needs a Polymarket key")
        return self._credentials

    async def _private(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        service: str = "clob",
        parameters: Mapping[str, Filter] | None = None,
    ) -> bytes:
        return await self._send(
            "clob", method, path, body=body, is_private=True, service=service, parameters=parameters
        )

    async def _get(self, service: str, path: str, **parameters: Filter) -> bytes:
        return await self._send(service, "GET", path, parameters=parameters)

    async def _send(
        self,
        base: str,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        parameters: Mapping[str, Filter] | None = None,
        is_private: bool = False,
        is_write: bool | None = None,
        service: str | None = None,
    ) -> bytes:
        bucket = service or base
        await self._limits.take(bucket)
        headers: dict[str, str] = {}
        if is_private:
            # Signed after the wait, over the path the real host sees: the sandbox's prefix is no part of it.
            headers = l2_headers(self._wallet(), method, path, self._clock() // 1_000_000_000, body or b"")
        try:
            return await call(
                self._http,
                method,
                self._bases[base] + path,
                classify=classify,
                parameters=_pairs(parameters or {}),
                headers=headers,
                body=body,
                is_write=method != "GET" if is_write is None else is_write,
            )
        except RateLimited:
            self._limits.refused(bucket)
            raise


def _pairs(parameters: Mapping[str, Filter]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if isinstance(value, bool):
            pairs.append((name, str(value).lower()))
        elif isinstance(value, str | int):
            pairs.append((name, str(value)))
        elif value is not None:
            pairs += [(name, part) for part in value]
    return pairs
