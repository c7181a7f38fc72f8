"""The API's own door: who may ask what, how often, and with which body, before a byte of the body is read.

It needs nothing of the doors in front of it. Every request is answered with the body of all errors.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.acts import ActTable
from app.api.bodies import BODY_MAX, TOO_LARGE, Body
from app.api.callers import AccountsAway, Caller, Callers, UnknownCaller
from app.api.errors import permission_response, problem_response
from app.doors.permission import PermissionRefused, check
from app.doors.proxy.decisions.buckets import Buckets
from app.doors.roles import Act
from streams.inert import one_line
from streams.settings import Settings

_READS = frozenset({"GET", "HEAD"})
_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_BURST_S = 5.0
"""So many seconds' worth of requests may come at once."""
_EVERYBODY = "without a token"
_ACCOUNTS_AGAIN_S = 5


@dataclass(frozen=True, slots=True)
class Rules:
    """What the door goes by.

    Attributes:
        acts: Of each route.
        callers: Finds who asks.
        token_rate: Requests of each token, by what they are counted by.
        open_rate: Requests of all without a token, and with a wrong one.
        checks_host: Whether browsers reach us; behind the doors those have checked it.
        has_open_reads: Whether reads need no identity.
        is_live: Whether orders go to live venues.
    """

    acts: ActTable
    callers: Callers
    token_rate: Buckets
    open_rate: Buckets
    checks_host: bool
    has_open_reads: bool
    is_live: bool


def rules_of(settings: Settings, acts: ActTable, callers: Callers, *, checks_host: bool) -> Rules:
    """Return the rules that the settings make."""

    def rate(per_s: float) -> Buckets:
        return Buckets(per_s, max(1.0, per_s * _BURST_S))

    return Rules(
        acts,
        callers,
        rate(settings.api_token_requests_per_s),
        rate(settings.api_open_requests_per_s),
        checks_host,
        settings.api_reads_without_token,
        settings.is_live,
    )


class Door:
    """ASGI middleware; what passes carries `scope["state"]["identity"]`, None for a read without one."""

    def __init__(
        self,
        app: ASGIApp,
        rules: Rules,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._rules = rules
        self._clock = clock
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it pass with a body that is counted and timed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = Body(headers, receive, self._clock)
        refusal = await self._refusal(scope, headers, body)
        await (refusal or self._app)(scope, body.receive, body.closing(send))

    async def _refusal(self, scope: Scope, headers: Headers, body: Body) -> JSONResponse | None:
        if self._rules.checks_host and _host(headers) not in _HOSTS:
            return problem_response(403, "forbidden_host", "This API answers only to 127.0.0.1 and localhost.")
        act = self._rules.acts.act_of(scope["method"], scope["path"])
        try:
            caller = await self._rules.callers.find(headers)
        except UnknownCaller:
            return self._too_often(None, act) or _unauthorised("What you sent is nobody's token.")
        except AccountsAway:
            return self._too_often(None, act) or _accounts_away()
        refusal = self._too_often(caller, act) or self._forbidden(caller, act)
        if refusal is not None:
            return refusal
        scope.setdefault("state", {})["identity"] = None if caller is None else caller.identity
        return _unusable(scope, headers, body, act)

    def _too_often(self, caller: Caller | None, act: Act | None) -> JSONResponse | None:
        """Refuse what comes too often; whoever may stop trading is never kept waiting with that."""
        if caller is not None and act is Act.STOP and caller.identity.may(Act.STOP):
            return None
        if caller is None:
            wait_s = self._rules.open_rate.acquire(_EVERYBODY, self._clock())
        else:
            wait_s = self._rules.token_rate.acquire(caller.key, self._clock())
        if wait_s == 0:
            return None
        response = problem_response(429, "too_many_requests", "You ask too often; wait as Retry-After says.")
        response.headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
        return response

    def _forbidden(self, caller: Caller | None, act: Act | None) -> JSONResponse | None:
        """Refuse an act to who may not do it. What is no route is no act: the application says so."""
        if act is None or (act is Act.VIEW and self._rules.has_open_reads):
            return None
        if caller is None:
            return _unauthorised("Send a token as `Authorization: Bearer ...`.")
        try:
            check(caller.identity, act, now=self._now(), is_live=self._rules.is_live)
        except PermissionRefused as error:
            return permission_response(error)
        return None


def _host(headers: Headers) -> str:
    """Return the host's name without its port. A web page elsewhere could make a browser ask us under its own name."""
    host = headers.get("host", "").lower()
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _unusable(scope: Scope, headers: Headers, body: Body, act: Act | None) -> JSONResponse | None:
    if body.length > BODY_MAX:
        return problem_response(413, "too_large", TOO_LARGE)
    if act is not None and scope["method"] not in _READS and not _is_json(headers):
        return problem_response(415, "unsupported_media_type", "An act is sent as `Content-Type: application/json`.")
    if act is None and scope["path"] in ("/docs", "/openapi.json") and scope["query_string"]:
        name = one_line(scope["query_string"].decode("latin-1"), 80).partition("=")[0]
        return problem_response(
            422, "invalid_request", f"The query has {name!r}, which is no parameter here; there is none.", name
        )
    return None


def _is_json(headers: Headers) -> bool:
    """Whether the body is said to be JSON in UTF-8, once."""
    said = headers.getlist("content-type")
    kind, *parameters = "".join(said).lower().replace(" ", "").replace('"', "").split(";")
    return len(said) == 1 and kind == "application/json" and parameters in ([], ["charset=utf-8"])


def _unauthorised(message: str) -> JSONResponse:
    return problem_response(401, "unauthorised", message)


def _accounts_away() -> JSONResponse:
    message = (
        "The accounts cannot be read; only the token in CROSSBOOK_HOME/api_token is known. See `crossbook doctor`."
    )
    response = problem_response(503, "accounts_unavailable", message)
    response.headers["Retry-After"] = str(_ACCOUNTS_AGAIN_S)
    return response
