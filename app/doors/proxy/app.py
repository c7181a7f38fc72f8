"""The proxy as an ASGI application: every request through the decisions, and then to the server behind its door."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.doors.proxy.answers import answer, redirect, refuse
from app.doors.proxy.bodies import Body, BodyTooLong, ClientGone
from app.doors.proxy.decisions import rules
from app.doors.proxy.decisions.asked import Asked, Credential, Door, Refusal, credential_of, malformed, path_of
from app.doors.proxy.decisions.buckets import Buckets
from app.doors.proxy.decisions.headers import inward, protected, to_own_page
from app.doors.proxy.decisions.origin import foreign
from app.doors.proxy.exchanges import Exchanges, NotTheirs
from app.doors.proxy.http import Behind, BehindRefused, pass_back
from app.doors.proxy.identities import UNUSABLE, AccountsUnusable, Caller, Identities
from app.doors.proxy.ports import READY_PATH
from app.doors.proxy.sockets import close, pass_socket
from streams.logs import get_logger

_SIGNED_OUT = 4401
_TOO_LONG = Refusal(413, "too_large", "The body of a request has at most 1 MiB.")
_ENDED = Refusal(401, "unauthorised", "You have been signed out, or may do other things now: sign in again.")
_TOO_MANY_OPEN = Refusal(429, "too_many_requests", "Too many open connections of one person.", 1)
_NO_SOCKET = Refusal(404, "not_found", "There is no WebSocket here.")

log = get_logger(room="doors")


@dataclass(frozen=True, slots=True)
class Limits:
    """How often somebody may ask: of one person who is known, and of all others together."""

    known: Buckets
    unknown: Buckets


@dataclass(frozen=True, slots=True)
class Site:
    """Where the doors stand.

    Attributes:
        others: Names of this machine besides those of loopback.
        is_live: Whether orders go to live venues.
    """

    others: Collection[str]
    is_live: bool


class Proxy:
    """The application. Requests are told apart by the port they came to.

    Args:
        doors: By port.
        behind: The servers behind them, by the name of the door.
        identities: Who is who.
        pages: The proxy's own pages.
        limits: How often somebody may ask.
        site: Where they stand.
    """

    def __init__(
        self,
        doors: Mapping[int, Door],
        behind: Mapping[str, Behind],
        identities: Identities,
        pages: ASGIApp,
        limits: Limits,
        site: Site,
    ) -> None:
        self._doors = doors
        self._behind = behind
        self._identities = identities
        self._exchanges = Exchanges(identities)
        self._pages = pages
        self._limits = limits
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one WebSocket, or the life of the application."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] == "websocket":
            await receive()
        noted = _Noted(send)
        try:
            await self._serve(_asked(scope, self._doors), scope, receive, noted)
        except NotTheirs:
            if not noted.has_begun:
                await refuse(scope, send, _ENDED)
            elif scope["type"] == "websocket":
                await close(send, _SIGNED_OUT, "signed out")
        except (ClientGone, httpx.HTTPError) as error:
            # The answer has begun and cannot be ended as if it were whole: the connection is.
            log.debug("an exchange broke off", reason=type(error).__name__)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        watcher = asyncio.create_task(self._exchanges.look_after())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        for server in self._behind.values():
            await server.close()
        self._identities.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        credential = credential_of(asked)
        is_bearer = credential is not None and credential.kind == "bearer"
        refusal = malformed(asked) or foreign(asked, self._site.others, has_bearer=is_bearer)
        if refusal is None and asked.path == READY_PATH:
            await answer(scope, send, 200, [(b"content-type", b"text/plain")], b"ready\n")
            return
        try:
            caller = None if refusal or credential is None else await self._identities.find(credential)
        except AccountsUnusable:
            is_known_by_accounts = (is_bearer or rules.needs_identity(asked)) and not rules.is_own(asked)
            caller, refusal = None, UNUSABLE if is_known_by_accounts else None
        refusal = refusal or self._refused(asked, caller, credential)
        if refusal is None:
            await self._pass(asked, caller, scope, receive, send)
        elif refusal.status == 401 and (address := rules.sign_in_address(asked)) is not None:
            await redirect(scope, send, address)
        else:
            await refuse(scope, send, refusal)

    def _refused(self, asked: Asked, caller: Caller | None, credential: Credential | None) -> Refusal | None:
        """Return why the head of a request may not pass, once it is known whose it is."""
        if caller is None:
            waits = self._limits.unknown.acquire("page" if rules.is_own(asked) else "other", time.monotonic())
        elif rules.is_stop(asked):
            waits = 0.0
        else:
            waits = self._limits.known.acquire(caller.identity.name, time.monotonic())
        if waits:
            return Refusal(429, "too_many_requests", "Too many requests; wait a moment.", waits)
        if caller is None and credential is not None and credential.kind == "bearer":
            return Refusal(401, "unauthorised", "This token is not in force.")
        identity = None if caller is None else caller.identity
        refusal = None if rules.is_own(asked) else rules.refused_for(asked, identity, is_live=self._site.is_live)
        if refusal is None and asked.declared_length > rules.BODY_MAX:
            return _TOO_LONG
        if refusal is None and asked.is_socket and caller is not None and self._exchanges.has_many(caller):
            return _TOO_MANY_OPEN
        return refusal

    async def _pass(self, asked: Asked, caller: Caller | None, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if rules.is_own(asked):
                await self._own_page(asked, scope, receive, send)
                return
            with self._exchanges.under_way(caller):
                if asked.is_socket:
                    await self._pass_socket(asked, caller, scope, receive, send)
                else:
                    await self._pass_request(asked, caller, scope, receive, send)
        except BodyTooLong:
            await refuse(scope, send, _TOO_LONG)
        except BehindRefused as error:
            await refuse(scope, send, error.refusal)

    async def _pass_request(
        self, asked: Asked, caller: Caller | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        identity = None if caller is None else caller.identity
        content: Body | bytes = Body(receive, rules.BODY_MAX)
        if identity is not None and rules.has_checked_body(asked):
            assert isinstance(content, Body)
            content = await content.whole()
            refusal = rules.refused_body(identity, content, is_live=self._site.is_live)
            if refusal is not None:
                await refuse(scope, send, refusal)
                return
        behind = self._behind[asked.door.name]
        response = await behind.ask(asked, _target(scope), inward(asked, identity), content)
        await pass_back(response, receive, send)

    async def _pass_socket(
        self, asked: Asked, caller: Caller | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        identity = None if caller is None else caller.identity

        def check(message: str | bytes | None) -> Refusal | None:
            if identity is None or not rules.has_checked_messages(asked):
                return None
            return rules.refused_message(identity, message, is_live=self._site.is_live)

        path = self._behind[asked.door.name].path
        await pass_socket(scope, receive, send, path, inward(asked, identity), check)

    async def _own_page(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a page of the proxy's own, which knows people by their cookies."""
        if asked.is_socket:
            await refuse(scope, send, _NO_SOCKET)
            return
        passed = 0

        async def counting() -> Message:
            nonlocal passed
            message = await receive()
            passed += len(message.get("body", b""))
            if passed > rules.BODY_MAX:
                raise BodyTooLong
            return message

        async def protecting(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": protected(message.get("headers", []))}
            await send(message)

        # Behind a proxy that speaks TLS, the page's own origin says so.
        scheme = "https" if (asked.one(b"origin") or "").startswith("https:") else scope["scheme"]
        await self._pages({**scope, "headers": to_own_page(asked.headers), "scheme": scheme}, counting, protecting)


class _Noted:
    """Notes whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        self.has_begun = True
        await self._send(message)


def _asked(scope: Scope, doors: Mapping[int, Door]) -> Asked:
    return Asked(
        doors[scope["server"][1]],
        scope.get("method", "GET"),
        path_of(scope["raw_path"]),
        scope["query_string"],
        scope["headers"],
        scope["type"] == "websocket",
    )


def _target(scope: Scope) -> bytes:
    query: bytes = scope["query_string"]
    path: bytes = scope["raw_path"]
    return path + b"?" + query if query else path
