"""The doors' own pages, the same on every port: sign-in, a link, sign-out, and being asked again.

They work without scripts, and take forms only from themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.doors.accounts import AccountRefused, Accounts, TooManyTries
from app.doors.oidc import Provider
from app.doors.roles import Identity
from app.doors.signed_in import COOKIE, drop_session, keep_session, session_of
from app.doors.site.forms import (
    BadForm,
    is_from_elsewhere,
    is_on_loopback,
    is_opened_by_a_person,
    next_path,
    read_form,
)
from app.doors.site.html import complaint, error_page, hidden, page, passing_page
from app.doors.site.oidc_pages import CALLBACK, OIDC, OidcPages
from streams.market.errors import ConfigurationError
from streams.settings import Settings

SIGN_IN = "/-/sign-in"
LINK = "/-/link"
SIGN_OUT = "/-/sign-out"
CONFIRM = "/-/confirm"

_CHECKS_AT_ONCE = 2
"""Passwords that are checked at the same time: each takes 64 MiB."""
_CHECKS_WAITING = 16
_WRONG = "The name or the password is wrong."

Handler = Callable[[Request], Awaitable[Response]]


def sign_in_routes(accounts: Accounts, settings: Settings, clock: Callable[[], float]) -> list[Route]:
    """Return the routes of the doors' own pages.

    Args:
        accounts: Of the home.
        settings: Of the whole system.
        clock: Unix seconds.
    """
    oidc = OidcPages(accounts, settings, Provider(settings, clock)) if settings.oidc_issuer else None
    pages = _Pages(accounts, oidc.provider_name if oidc is not None else "")
    routes = [
        Route(SIGN_IN, _guarded(pages.show_sign_in), methods=["GET"]),
        Route(SIGN_IN, _guarded(pages.sign_in), methods=["POST"]),
        Route(LINK, _guarded(pages.show_link), methods=["GET"]),
        Route(LINK, _guarded(pages.use_link), methods=["POST"]),
        Route(SIGN_OUT, _guarded(pages.show_sign_out), methods=["GET"]),
        Route(SIGN_OUT, _guarded(pages.sign_out), methods=["POST"]),
        Route(CONFIRM, _guarded(pages.show_confirm), methods=["GET"]),
        Route(CONFIRM, _guarded(pages.confirm), methods=["POST"]),
    ]
    if oidc is not None:
        routes.append(Route(OIDC, _guarded(oidc.start), methods=["GET"]))
        routes.append(Route(CALLBACK, _guarded(oidc.finish), methods=["GET"]))
    return routes


def sign_in_address(next_: str) -> str:
    """Return the address of the sign-in page from which a person comes back to a path of the same site."""
    return f"{SIGN_IN}?next={quote(next_path(next_), safe='/')}"


class _Pages:
    """The handlers of the pages.

    Args:
        accounts: Of the home.
        provider: Name of the OIDC provider; empty: none.
    """

    def __init__(self, accounts: Accounts, provider: str) -> None:
        self._accounts = accounts
        self._provider = provider
        self._checks = asyncio.Semaphore(_CHECKS_AT_ONCE)
        self._checks_again = asyncio.Semaphore(1)
        self._waiting = 0

    async def show_sign_in(self, request: Request) -> Response:
        next_ = next_path(request.query_params.get("next", ""))
        if is_from_elsewhere(request):
            return passing_page(sign_in_address(next_))
        if await self._session(request) is not None:
            return _redirect(next_)
        return self._sign_in_page(next_)

    async def sign_in(self, request: Request) -> Response:
        form = await read_form(request)
        next_, name = next_path(form.get("next", "")), form.get("name", "")
        try:
            person = await self._check_password(name, form.get("password", ""))
        except TooManyTries as error:
            return _wait(self._sign_in_page(next_, name, str(error), status=429), error)
        if person is None:
            return self._sign_in_page(next_, name, _WRONG, status=403)
        return await self._signed_in(
            request, await run_in_threadpool(self._accounts.open_session, person, "password"), next_
        )

    async def show_link(self, request: Request) -> Response:
        code = request.query_params.get("code", "")
        if not is_on_loopback(request):
            return _not_on_loopback()
        if not is_opened_by_a_person(request):
            form = f'<form method="post" action="{LINK}">{hidden("code", code)}<button>Sign in</button></form>'
            return page("Sign in by a link", f'<p class="muted">The link is used up by it.</p>{form}')
        return await self._use_link(request, code)

    async def use_link(self, request: Request) -> Response:
        form = await read_form(request)
        if not is_on_loopback(request):
            return _not_on_loopback()
        return await self._use_link(request, form.get("code", ""))

    async def show_sign_out(self, request: Request) -> Response:
        identity = await self._session(request)
        if identity is None:
            return _redirect(SIGN_IN)
        return page(
            "Sign out",
            f"<p>You are signed in as <b>{escape(identity.name)}</b>, {identity.role}.</p>"
            f'<form method="post" action="{SIGN_OUT}"><button>Sign out</button></form>',
        )

    async def sign_out(self, request: Request) -> Response:
        await read_form(request)
        text = request.cookies.get(COOKIE, "")
        if text:
            await run_in_threadpool(self._accounts.end_session, text)
        response = _redirect(SIGN_IN)
        drop_session(response)
        return response

    async def show_confirm(self, request: Request) -> Response:
        next_ = next_path(request.query_params.get("next", ""))
        address = f"{CONFIRM}?next={quote(next_, safe='/')}"
        if is_from_elsewhere(request):
            return passing_page(address)
        identity = await self._session(request)
        return _redirect(sign_in_address(address)) if identity is None else await self._confirm_page(identity, next_)

    async def confirm(self, request: Request) -> Response:
        form = await read_form(request)
        next_ = next_path(form.get("next", ""))
        identity = await self._session(request)
        if identity is None:
            return _redirect(sign_in_address(next_))
        try:
            async with self._checks_again:  # strangers who sign in keep nobody waiting who is signed in
                person = await run_in_threadpool(
                    self._accounts.check_password,
                    identity.name,
                    form.get("password", ""),
                    session=identity.session,
                )
        except TooManyTries as error:
            return _wait(await self._confirm_page(identity, next_, str(error), status=429), error)
        if person is None:
            return await self._confirm_page(identity, next_, "The password is wrong.", status=403)
        await run_in_threadpool(self._accounts.confirm_session, identity.session)
        return _redirect(next_)

    # -- below ------------------------------------------------------------------------------------------------------

    async def _session(self, request: Request) -> Identity | None:
        return await run_in_threadpool(session_of, request, self._accounts)

    async def _check_password(self, name: str, password: str) -> str | None:
        """Return the name of the person whose name and password these are; None where they are nobody's."""
        if self._waiting >= _CHECKS_WAITING:
            raise TooManyTries(1.0)
        self._waiting += 1
        try:
            async with self._checks:
                person = await run_in_threadpool(self._accounts.check_password, name, password)
        finally:
            self._waiting -= 1
        return None if person is None else person.name

    async def _use_link(self, request: Request, code: str) -> Response:
        session = await run_in_threadpool(self._accounts.use_link, code)
        if session is None:
            return error_page(
                "The link is over",
                "A link signs in once, within 15 minutes; `crossbook login` prints another.",
                status=403,
                link=(SIGN_IN, "Sign in another way"),
            )
        return await self._signed_in(request, session, next_path(request.query_params.get("next", "")), passing=True)

    async def _signed_in(self, request: Request, session: str, next_: str, *, passing: bool = False) -> Response:
        """Return the answer with a new session; the one the browser had ends."""
        before = request.cookies.get(COOKIE, "")
        if before:
            await run_in_threadpool(self._accounts.end_session, before)
        response = passing_page(next_) if passing else _redirect(next_)
        keep_session(request, response, session)
        return response

    def _sign_in_page(self, next_: str, name: str = "", wrong: str = "", *, status: int = 200) -> Response:
        return page(
            "Sign in",
            f'{complaint(wrong)}<form method="post" action="{SIGN_IN}">{hidden("next", next_)}'
            f'<label for="name">Name</label><input id="name" name="name" value="{escape(name)}" required autofocus '
            'autocomplete="username" autocapitalize="none" spellcheck="false">'
            '<label for="password">Password</label><input id="password" name="password" type="password" required '
            f'autocomplete="current-password"><button>Sign in</button></form>{self._oidc_button("Sign in", next_)}'
            '<p class="muted">Without a password: <code>crossbook login</code> in a terminal of this machine prints a '
            "link that signs you in.</p>",
            status=status,
        )

    def _oidc_button(self, doing: str, next_: str, more: str = "") -> str:
        """Return a link to the provider as HTML; a form could not lead to another site."""
        if not self._provider:
            return ""
        address = escape(f"{OIDC}?next={quote(next_, safe='/')}{more}")
        return f'<a class="button second" href="{address}">{doing} with {escape(self._provider)}</a>'

    async def _confirm_page(self, identity: Identity, next_: str, wrong: str = "", *, status: int = 200) -> Response:
        person = await run_in_threadpool(self._accounts.find_person, identity.name)
        password = oidc = ""
        if person is not None and person.has_password:
            password = (
                f'<form method="post" action="{CONFIRM}">{hidden("next", next_)}'
                f'<input type="text" name="name" value="{escape(identity.name)}" autocomplete="username" hidden>'
                '<label for="password">Password</label><input id="password" name="password" type="password" required '
                'autofocus autocomplete="current-password"><button>Confirm</button></form>'
            )
        if person is not None and person.subject:
            oidc = self._oidc_button("Confirm", next_, "&confirm=1")
        if not password and not oidc:
            return error_page(
                "Nothing to confirm with",
                "This account has no password; set one with `crossbook users password`.",
                status=status,
                link=(next_, "Back"),
            )
        return page(
            "Confirm who you are",
            f'<p class="muted">What you are about to do asks <b>{escape(identity.name)}</b> again. It holds for five '
            f'minutes.</p>{complaint(wrong)}{password}{oidc}<p><a href="{escape(next_)}">Back</a></p>',
            status=status,
        )


def _guarded(handler: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except (BadForm, AccountRefused) as error:
            return error_page("Not taken", str(error), status=403, link=(SIGN_IN, "Sign in"))
        except ConfigurationError:  # its message names files of the home
            return error_page(
                "Nobody can sign in now", "The accounts cannot be read; `crossbook doctor` says why.", status=503
            )

    return handle


def _redirect(path: str) -> Response:
    return RedirectResponse(path, 303, {"Cache-Control": "no-store"})


def _wait(response: Response, error: TooManyTries) -> Response:
    response.headers["Retry-After"] = str(int(error.retry_after_s) + 1)
    return response


def _not_on_loopback() -> Response:
    return error_page(
        "Not from here", "A link signs in on the machine itself only.", status=403, link=(SIGN_IN, "Sign in")
    )
