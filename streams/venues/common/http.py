"""One HTTP client for all venue calls, and the one place where a failed transport becomes an error of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from streams.market.errors import OutcomeUnknown, StreamsError, TransientError
from streams.settings import Settings

_CONNECT_S = 3.0
_POOL_S = 2.0
MOST_BYTES = 64 * 1024 * 1024
"""Most bytes of one answer, unpacked. The longest list there is (Kalshi's series) has a third of it."""
Parameters = Sequence[tuple[str, str]]
Classify = Callable[[int, bytes, Mapping[str, str], bool], StreamsError]
"""(status, body, headers, is_write) -> the error to raise."""
LastCheck = Callable[[], None]
IsResponse = Callable[[int, bytes], bool]
"""(status, body) -> whether a status outside 2xx carries a response after all."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request to a venue; with `is_write` a lost response leaves its outcome unknown.

    `last_check` is called when a connection stands and nothing of the request has left; what it raises keeps it back.
    """

    method: str
    url: str
    parameters: Parameters = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    is_write: bool = False
    last_check: LastCheck | None = None


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer: its status, its headers and its body, unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 2xx."""
        return 200 <= self.status < 300

    @property
    def dated_at(self) -> datetime | None:
        """When it was made by the clock of who made it, to the second; None where it does not say."""
        try:
            dated = parsedate_to_datetime(self.headers.get("date", ""))
        except ValueError:
            return None
        return dated if dated.tzinfo else dated.replace(tzinfo=UTC)

    @property
    def is_page(self) -> bool:
        """Whether the body is a page for people: a proxy before the host answered, and not the host itself."""
        return self.body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


class AnswerTooLong(httpx.HTTPError):
    """An answer with more bytes than any that is meant."""


def http_client(settings: Settings) -> httpx.AsyncClient:
    """Return a client with the settings' timeout; the caller closes it. A proxy never sees what is on loopback.

    Requests are signed before they wait for a connection, and a venue takes a signature for about five seconds. What
    cannot leave by then is a `TransientError` of ours instead of a refused signature.
    """
    limit_s = settings.http_timeout_s
    return httpx.AsyncClient(
        timeout=httpx.Timeout(limit_s, connect=min(_CONNECT_S, limit_s), pool=min(_POOL_S, limit_s)),
        limits=httpx.Limits(max_connections=32, max_keepalive_connections=16),
        headers={"User-Agent": "crossbook", "Accept": "application/json"},
        trust_env=settings.venues != "sandbox",
    )


async def exchange(http: httpx.AsyncClient, request: HttpRequest, limit_s: float | None) -> HttpAnswer:
    """Send one request and return its whole answer, whatever its status; nobody is followed elsewhere.

    Args:
        http: The transport.
        request: What to send.
        limit_s: Limit of everything together, from the wait for a connection to the last byte: a host that sends a
            byte now and then keeps every other limit. None waits for ever.

    Raises:
        TimeoutError: If the limit has passed.
        httpx.HTTPError: If there is no answer, or it cannot be unpacked, or it is longer than `MOST_BYTES`.
    """
    headers = dict(request.headers)
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    body = bytearray()
    try:
        async with (
            asyncio.timeout(limit_s),
            http.stream(
                request.method,
                request.url,
                params=list(request.parameters),
                headers=headers,
                content=request.body,
                follow_redirects=False,
                extensions=_extensions(request.last_check),
            ) as response,
        ):
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise AnswerTooLong(f"more than {MOST_BYTES} bytes")
    except (UnicodeError, OverflowError, ExceptionGroup) as error:
        # A host or port that only the resolver or the socket finds out to be none; nothing has left.
        raise httpx.ConnectError(f"the address cannot be used: {type(error).__name__}") from error
    return HttpAnswer(response.status_code, response.headers, bytes(body))


def whole_exchange(request: HttpRequest, limit_s: float, socket: Path | None = None) -> HttpAnswer:
    """Send one request from code without an event loop; arguments and errors as for `exchange`.

    A loop of its own, in a thread of its own, is what can end a call whose answer drips.

    Args:
        request: What to send.
        limit_s: Limit of everything together.
        socket: Unix socket to send it to, whatever host its address names.
    """

    is_plain = request.url.startswith("http://")

    async def main() -> HttpAnswer:
        # Without certificates where none is asked for: to read them takes longer than a call on loopback.
        transport = None if socket is None else httpx.AsyncHTTPTransport(uds=str(socket), verify=False)
        async with httpx.AsyncClient(timeout=limit_s, verify=not is_plain, transport=transport) as http:
            return await exchange(http, request, limit_s)

    with ThreadPoolExecutor(1, thread_name_prefix="http") as pool:
        return pool.submit(asyncio.run, main()).result()


async def call(
    http: httpx.AsyncClient, request: HttpRequest, *, classify: Classify, is_response: IsResponse | None = None
) -> bytes:
    """Send one request and return the body of its response; all else as for `whole_call`."""
    return (await whole_call(http, request, classify=classify, is_response=is_response)).body


async def whole_call(
    http: httpx.AsyncClient, request: HttpRequest, *, classify: Classify, is_response: IsResponse | None = None
) -> HttpAnswer:
    """Send one request and return a 2xx response, or another one that `is_response` accepts.

    All of it has the time that the client has for one read.

    Raises:
        Exception: What `last_check` raises; nothing has left then.
        TransientError: Nothing reached the venue, or a read failed on the way.
        OutcomeUnknown: A write may have reached the venue.
        StreamsError: What `classify` makes of any other status.
    """
    what = f"{request.method} {httpx.URL(request.url).path}"
    try:
        answer = await exchange(http, request, http.timeout.read)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise TransientError(f"no connection for {what}: {type(error).__name__}") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError) as error:
        raise _lost(request, f"{what} got no answer: {type(error).__name__}") from error
    if answer.is_success or (is_response is not None and is_response(answer.status, answer.body)):
        return answer
    if answer.status < 400:
        raise _lost(request, f"{what} was sent elsewhere: {answer.status}")
    if answer.is_page and answer.status != 429:
        raise _lost(request, f"{what} was answered with a page: {answer.status}")
    raise classify(answer.status, answer.body, answer.headers, request.is_write)


def _lost(request: HttpRequest, what: str) -> StreamsError:
    return OutcomeUnknown(what) if request.is_write else TransientError(what)


def _extensions(last_check: LastCheck | None) -> dict[str, Callable[[str, object], Awaitable[None]]]:
    """Return what makes the transport call the check as its last act before the first byte."""
    if last_check is None:
        return {}

    async def trace(event: str, _info: object) -> None:
        if event.endswith(".send_request_headers.started"):
            last_check()

    return {"trace": trace}
