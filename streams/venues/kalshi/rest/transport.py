"""One signed, budgeted request to Kalshi, its pages, and the errors it ends in. The calls are in the modules beside."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from streams.market.errors import InvalidAmount, OutcomeUnknown, RateLimited, StreamsError
from streams.venues.common.endpoints import Endpoints
from streams.venues.common.http import HttpAnswer, HttpRequest, IsResponse, LastCheck, whole_call
from streams.venues.common.listed_fields import id_as_asked
from streams.venues.common.paging import Items, Page, all_items
from streams.venues.common.responses import cursor_of, document_of, page_of, part_of, read, read_page, read_write
from streams.venues.credentials.keys import KalshiCredentials
from streams.venues.kalshi.errors import classify
from streams.venues.kalshi.limits import AccountLimits, EndpointCosts, KalshiLimits, Routing, parse_costs, parse_limits
from streams.venues.kalshi.signing import KalshiSigner

Result = TypeVar("Result")
Filter = str | int | bool | Sequence[str] | None
"""A parameter's value; a sequence repeats the parameter, None leaves it out."""
LIST_LIMIT = 1000
_BY_SUBACCOUNT = re.compile(
    "GET /portfolio/(balance|fills|orders|orders/queue_positions|positions|settlements)"
    "|(GET|DELETE|PUT) /portfolio/order_groups(/.+)?"
    "|DELETE /portfolio/events/orders(/(?!batched)[^/]+)?"
    "|POST /portfolio/events/orders/[^/]+/(amend|decrease)"
)
"""Calls that take the subaccount as a parameter; others name it in their body. Source: OpenAPI 3.34.0."""


@dataclass(frozen=True, slots=True)
class KalshiRequest:
    """One call of the API: `items` and `routing` decide which token buckets it is charged to, and how much.

    `last_check`: as in `HttpRequest`. `deadline`: when it is of no use any more (monotonic seconds); None: never.
    """

    method: str
    path: str
    parameters: Mapping[str, Filter] = field(default_factory=dict)
    body: bytes | None = None
    items: int = 1
    routing: Routing = "by_ticker"
    last_check: LastCheck | None = None
    deadline: float | None = None


class KalshiTransport:
    """What every group of calls is built on.

    Args:
        endpoints: Where the venue is.
        credentials: The key; None reads public data unsigned.
        http: The transport, owned by the caller.
        clock: Wall clock in nanoseconds, for signatures.
        limits: Request budget; default that of the key as the venue states it, counted in this object alone.
        subaccount: Whose orders are sent and whose account is read (0 is the primary one); None names none: what the
            venue takes then differs from call to call.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: KalshiCredentials | None,
        *,
        http: httpx.AsyncClient,
        clock: Callable[[], int] = time.time_ns,
        limits: KalshiLimits | None = None,
        subaccount: int | None = None,
    ) -> None:
        self.subaccount = subaccount
        self.key_id = credentials.key_id if credentials is not None else ""
        self._base = endpoints.kalshi_rest
        self._signer = KalshiSigner(credentials) if credentials is not None else None
        self._http = http
        self._clock = clock
        self._limits = limits or KalshiLimits(is_signed=credentials is not None)
        self._learning = asyncio.Lock()

    # -- the key's own limits -------------------------------------------------------------------------------------

    async def account_limits(self) -> AccountLimits:
        """Return tier and token buckets of the key."""
        return read(document_of(await self._send(KalshiRequest("GET", "/account/limits"), learns=False)), parse_limits)

    async def endpoint_costs(self) -> EndpointCosts:
        """Return what calls cost in tokens."""
        return read(
            document_of(await self._send(KalshiRequest("GET", "/account/endpoint_costs"), learns=False)), parse_costs
        )

    async def _learn_limits(self) -> None:
        async with self._learning:
            if not self._limits.is_due():
                return
            account = costs = None
            try:
                account = await self.account_limits()
                costs = await self.endpoint_costs()
            except StreamsError:
                # Not served or not now: what is assumed stays in force.
                pass
            self._limits.learn(account, costs)

    # -- requests -------------------------------------------------------------------------------------------------

    async def _read(self, path: str, parse: Callable[[dict[str, Any]], Result], **parameters: Filter) -> Result:
        raw = await self._send(KalshiRequest("GET", path, parameters))
        return read(document_of(raw), parse, raw)

    async def _write(
        self, request: KalshiRequest, parse: Callable[[dict[str, Any]], Result], *, order_ids: Sequence[str] = ()
    ) -> Result:
        """Send a write and read its response; `order_ids` are what a lost one is looked for by."""
        try:
            return read_write(await self._send(request), parse)
        except OutcomeUnknown as error:
            error.order_ids = error.order_ids or tuple(order_ids)
            raise

    async def _list(
        self,
        path: str,
        key: str,
        parse: Callable[[dict[str, Any]], Result],
        about: tuple[str, str] = ("", ""),
        **parameters: Filter,
    ) -> Items[Result]:
        """Read a list that has no pages; an item that cannot be read costs that item.

        `about`: the key under which the answer may say whose list it is, and whose it must be then.
        """
        answer, items = read_page(await self._send(KalshiRequest("GET", path, parameters)), key, parse)
        if answer.get(about[0]) is not None:
            read(answer, lambda found: id_as_asked(found, *about))
        return items

    async def _page(
        self,
        path: str,
        key: str,
        parse: Callable[[dict[str, Any]], Result],
        cursor: str,
        parameters: Mapping[str, Filter],
        nested: str = "",
    ) -> Page[Result]:
        raw = await self._send(KalshiRequest("GET", path, {**parameters, "cursor": cursor or None}))
        answer, items = read_page(raw, key, parse, nested=nested, cursor="cursor")
        return page_of(items, lambda: cursor_of(answer, "cursor"))

    async def _all(
        self, path: str, key: str, parse: Callable[[dict[str, Any]], Result], **parameters: Filter
    ) -> Items[Result]:
        limit = {"limit": LIST_LIMIT} | parameters

        async def fetch(cursor: str) -> Page[Result]:
            return await self._page(path, key, parse, cursor, limit)

        return await all_items(fetch)

    async def _all_once(
        self,
        path: str,
        key: str,
        parse: Callable[[dict[str, Any]], Result],
        name: Callable[[Result], Hashable],
        **parameters: Filter,
    ) -> Items[Result]:
        """As `_all`, each thing once by its name, as it was read last; for lists of which nothing may be missing.

        Pages shift while new things come in, and a cursor that the venue forgot is answered with page one.

        Raises:
            IncompleteList: If one of them cannot be read.
        """
        found = await self._all(path, key, parse, **parameters)
        return Items({name(item): item for item in found}.values(), found.unreadable).whole(key)

    async def _send(
        self, request: KalshiRequest, *, is_response: IsResponse | None = None, learns: bool = True
    ) -> bytes:
        """Send once and return the body: a write is never repeated here, whatever becomes of it."""
        return (await self._send_whole(request, is_response=is_response, learns=learns)).body

    def _of_subaccount(self, request: KalshiRequest) -> Mapping[str, Filter]:
        """Return the parameters of a request, with the subaccount where it takes one in its address."""
        if self.subaccount is None or not _BY_SUBACCOUNT.fullmatch(f"{request.method} {request.path}"):
            return request.parameters
        return {**request.parameters, "subaccount": self.subaccount}

    async def _send_whole(
        self, request: KalshiRequest, *, is_response: IsResponse | None = None, learns: bool = True
    ) -> HttpAnswer:
        # Asked before a read and never before a write, which it would delay.
        method = request.method
        if learns and method == "GET" and self._limits.is_due():
            await self._learn_limits()
        await self._limits.acquire(
            method, request.path, items=request.items, routing=request.routing, deadline=request.deadline
        )
        url = self._base + request.path
        # Signed after the wait: the venue allows a signature about five seconds.
        headers = self._signer.headers(method, url, self._clock() // 1_000_000) if self._signer is not None else {}
        try:
            sent = HttpRequest(
                method,
                url,
                list(_pairs(self._of_subaccount(request))),
                headers,
                request.body,
                is_write=method != "GET",
                last_check=request.last_check,
            )
            return await whole_call(self._http, sent, classify=classify, is_response=is_response)
        except RateLimited:
            self._limits.refused(method, request.routing)
            raise


def named_part(document: dict[str, Any], key: str, name: str, asked: str) -> dict[str, Any]:
    """Return the object under a key, whose id under `name` must be the one that was asked for.

    Raises:
        UnreadableAnswer, KeyError, InvalidAmount: If there is none, or it is another.
    """
    part = part_of(document, key)
    id_as_asked(part, name, asked)
    return part


def path_part(name: str) -> str:
    """Return an id as one part of a path, in the form that is signed and sent.

    Raises:
        InvalidAmount: If it is empty or walks up the path: a call about one order would be one about all of them.
    """
    if name in ("", ".", ".."):
        raise InvalidAmount(f"not an id: {name!r}")
    return quote(name, safe="")


def _pairs(parameters: Mapping[str, Filter]) -> Iterable[tuple[str, str]]:
    for name, value in parameters.items():
        if value is None:
            continue
        if isinstance(value, bool):
            yield name, str(value).lower()
        elif isinstance(value, str | int):
            yield name, str(value)
        else:
            yield from ((name, part) for part in value)
