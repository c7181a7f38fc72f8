"""One HTTP client for all venue calls, and the one place where a failed transport becomes an error of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from streams.market.errors import OutcomeUnknown, StreamsError, TransientError
from streams.settings import Settings

_CONNECT_S = 3.0
_POOL_S = 2.0
Parameters = Sequence[tuple[str, str]]
Classify = Callable[[int, bytes, Mapping[str, str], bool], StreamsError]
"""(status, body, headers, is_write) -> the error to raise."""
IsResponse = Callable[[int, bytes], bool]
"""(status, body) -> whether a status outside 2xx carries a response after all."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request to a venue; with `is_write` a lost response leaves its outcome unknown."""

    method: str
    url: str
    parameters: Parameters = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    is_write: bool = False


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


async def call(
    http: httpx.AsyncClient, request: HttpRequest, *, classify: Classify, is_response: IsResponse | None = None
) -> bytes:
    """Send one request and return the body of a 2xx response, or of another one that `is_response` accepts.

    Raises:
        TransientError: Nothing reached the venue, or a read failed on the way.
        OutcomeUnknown: A write may have reached the venue.
        StreamsError: What `classify` makes of any other status.
    """
    headers = dict(request.headers)
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    what = f"{request.method} {httpx.URL(request.url).path}"
    try:
        response = await http.request(
            request.method, request.url, params=list(request.parameters), headers=headers, content=request.body
        )
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise TransientError(f"no connection for {what}: {type(error).__name__}") from error
    except httpx.HTTPError as error:
        lost = f"{what} got no answer: {type(error).__name__}"
        raise (OutcomeUnknown(lost) if request.is_write else TransientError(lost)) from error
    if response.is_success or (is_response is not None and is_response(response.status_code, response.content)):
        return response.content
    raise classify(response.status_code, response.content, response.headers, request.is_write)
