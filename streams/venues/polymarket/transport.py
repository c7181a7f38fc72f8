"""One request to one of Polymarket's HTTP services: budget, signature, sending, and what a failure means.

The client's calls are grouped by service in the modules beside; all of them stand on this class.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import httpx

from streams.market.errors import AuthenticationFailed, RateLimited
from streams.venues.common.endpoints import Endpoints
from streams.venues.common.http import HttpRequest, LastCheck, call
from streams.venues.common.paging import Items, Page, all_items
from streams.venues.common.responses import cursor_of, page_of, read_page
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.errors import classify
from streams.venues.polymarket.limits import PolymarketLimits
from streams.venues.polymarket.signing import l2_headers

Result = TypeVar("Result")
Filter = str | int | bool | Sequence[str] | None
"""A parameter's value; a sequence repeats the parameter, None leaves it out."""
FIRST_CURSOR, LAST_CURSOR = "MA==", "LTE="
"""The CLOB's list cursors: the second one ends a list and is never sent back."""


@dataclass(frozen=True, slots=True)
class PolymarketRequest:
    """One call of one service; `cost` is what the venue counts it as, `is_write` whether it may change something.

    `last_check`: as in `HttpRequest`. `deadline`: when it is of no use any more (monotonic seconds); None: never.
    """

    service: str
    method: str
    path: str
    body: bytes | None = None
    parameters: Mapping[str, Filter] = field(default_factory=dict)
    cost: int = 1
    is_write: bool = True
    last_check: LastCheck | None = None
    deadline: float | None = None


class PolymarketTransport:
    """Requests for one wallet, or for a reader without one.

    Args:
        endpoints: Where the services are.
        credentials: The wallet and its API key; None reads public data.
        http: The HTTP client, owned by the caller.
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
        self._bases = {
            "gamma": endpoints.gamma,
            "clob": endpoints.clob,
            "data": endpoints.polymarket_data,
            "relayer": endpoints.polymarket_relayer,
            "site": endpoints.polymarket_site,
        }
        self._credentials = credentials
        self._http = http
        self._clock = clock
        self._limits = limits or PolymarketLimits()

    def _wallet(self) -> PolymarketCredentials:
        if self._credentials is None:
            raise AuthenticationFailed("this call needs a Polymarket key")
        return self._credentials

    def _now_s(self) -> int:
        return self._clock() // 1_000_000_000

    async def _get(self, service: str, path: str, **parameters: Filter) -> bytes:
        return await self._send(PolymarketRequest(service, "GET", path, parameters=parameters, is_write=False))

    async def _query(self, path: str, body: bytes) -> bytes:
        """Ask the CLOB by POST for what could not be asked in an address: a read."""
        return await self._send(PolymarketRequest("clob", "POST", path, body, is_write=False))

    async def _private(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        parameters: Mapping[str, Filter] | None = None,
        cost: int = 1,
    ) -> bytes:
        """Send one request under the API key; `cost` is what the venue counts it as."""
        return await self._send_signed(
            PolymarketRequest("clob", method, path, body, parameters or {}, cost, is_write=method != "GET")
        )

    async def _send_signed(self, request: PolymarketRequest) -> bytes:
        """Send one request under the API key."""

        # Signed after the wait, over the path the real host sees: the sandbox's prefix is no part of it.
        def sign() -> dict[str, str]:
            return l2_headers(self._wallet(), request.method, request.path, self._now_s(), request.body or b"")

        return await self._send(request, sign)

    async def _private_list(
        self, path: str, parse: Callable[[dict[str, Any]], Result], filters: Mapping[str, Filter]
    ) -> Items[Result]:
        """Read all pages of a signed list.

        Raises:
            IncompleteList: If one of its items cannot be read.
        """

        async def fetch(cursor: str) -> Page[Result]:
            raw = await self._private("GET", path, parameters={"next_cursor": cursor, **filters})
            return clob_page(raw, parse)

        return (await all_items(fetch, FIRST_CURSOR)).whole("data")

    async def _send(self, request: PolymarketRequest, sign: Callable[[], dict[str, str]] | None = None) -> bytes:
        if sign is not None:
            self._wallet()
        await self._limits.acquire(request.service, request.method, request.path, request.cost, request.deadline)
        try:
            sent = HttpRequest(
                request.method,
                self._bases[request.service] + request.path,
                _pairs(request.parameters),
                headers={} if sign is None else sign(),
                body=request.body,
                is_write=request.is_write,
                last_check=request.last_check,
            )
            return await call(self._http, sent, classify=partial(classify, now_s=self._now_s()))
        except RateLimited:
            self._limits.refused(request.service, request.method, request.path)
            raise


def clob_page(raw: bytes, parse: Callable[[dict[str, Any]], Result]) -> Page[Result]:
    """Return one page of a CLOB list; its last page names a cursor that must not be used.

    Raises:
        UnreadableAnswer: If it is none.
    """
    document, items = read_page(raw, "data", parse)

    def following() -> str:
        cursor = cursor_of(document, "next_cursor")
        return "" if cursor == LAST_CURSOR else cursor

    return page_of(items, following)


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
