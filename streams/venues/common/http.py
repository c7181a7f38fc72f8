"""One HTTP client for all venue calls, and the one place where a failed transport becomes an error of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import httpx

from streams.market.errors import OutcomeUnknown, StreamsError, TransientError
from streams.settings import Settings

_CONNECT_S = 3.0
_POOL_S = 2.0
Parameters = Sequence[tuple[str, str]]
Classify = Callable[[int, bytes, Mapping[str, str], bool], StreamsError]
"""(status, body, headers, is_write) -> the error to raise."""
IsAnswer = Callable[[int, bytes], bool]
"""(status, body) -> whether a status outside 2xx carries an answer after all."""


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
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    classify: Classify,
    parameters: Parameters = (),
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    is_write: bool = False,
    is_answer: IsAnswer | None = None,
) -> bytes:
    """Send one request and return the body of a 2xx answer, or of another one that `is_answer` takes.

    Raises:
        TransientError: Nothing reached the venue, or a read failed on the way.
        OutcomeUnknown: A write may have reached the venue.
        StreamsError: What `classify` makes of any other status.
    """
    sent_headers = dict(headers or {})
    if body is not None:
        sent_headers["Content-Type"] = "application/json"
    try:
        response = await http.request(method, url, params=list(parameters), headers=sent_headers, content=body)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise TransientError(f"no connection for {method} {_path(url)}: {type(error).__name__}") from error
    except httpx.HTTPError as error:
        what = f"{method} {_path(url)} got no answer: {type(error).__name__}"
        raise (OutcomeUnknown(what) if is_write else TransientError(what)) from error
    if response.is_success or (is_answer is not None and is_answer(response.status_code, response.content)):
        return response.content
    raise classify(response.status_code, response.content, response.headers, is_write)


def _path(url: str) -> str:
    return httpx.URL(url).path
