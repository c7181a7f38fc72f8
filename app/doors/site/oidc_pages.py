"""Signing in and confirming by OpenID Connect: to the provider, and back from it.

A sign-in is bound to the browser that began it by a cookie; what is known of it stays in this process.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.doors.accounts import AccountRefused, Accounts, Person
from app.doors.names import UnusableName, looks_alike
from app.doors.oidc import OidcRefused, Provider, ProviderAway, Started, Vouched
from app.doors.roles import Role
from app.doors.shell import shell_name
from app.doors.signed_in import keep_session, session_of
from app.doors.site.forms import is_on_loopback, is_prefetch, next_path
from app.doors.site.html import error_page, passing_page
from streams.settings import Settings

OIDC = "/-/oidc"
CALLBACK = "/-/oidc/callback"
_SIGN_IN = "/-/sign-in"
_COOKIE = "crossbook_oidc"
_BINDING = re.compile(r"[\w-]{43}")
_WAITS_FOR_S = 600
_WAITING_MAX = 500


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A sign-in under way: bound to a browser, and where it leads. `until` is in monotonic seconds."""

    started: Started
    binding: str
    leads_to: str
    name: str
    session: str
    until: float


class OidcPages:
    """The handlers of the two pages.

    Args:
        accounts: Of the home.
        settings: Of the whole system.
        provider: Who vouches.
        monotonic: Seconds.
    """

    def __init__(
        self,
        accounts: Accounts,
        settings: Settings,
        provider: Provider,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._provider = provider
        self._monotonic = monotonic
        self._default_role = settings.oidc_default_role
        self._site = f"127.0.0.1:{settings.dashboard_port}"
        self._ports = {
            str(port)
            for port in (settings.dashboard_port, settings.dagster_port, settings.api_port, settings.sandbox_admin_port)
        }
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()

    @property
    def provider_name(self) -> str:
        """What people read of the provider."""
        return self._provider.name

    async def start(self, request: Request) -> Response:
        """Lead the browser to the provider."""
        if not is_on_loopback(request) or is_prefetch(request):
            return error_page("Not from here", "Sign in on the machine itself.", status=403)
        next_, asks_again = next_path(request.query_params.get("next", "")), "confirm" in request.query_params
        if request.headers.get("host") != self._site:
            return self._from_the_one_address(request, next_, asks_again=asks_again)
        identity = await run_in_threadpool(session_of, request, self._accounts) if asks_again else None
        if asks_again and identity is None:
            return _redirect(f"{_SIGN_IN}?next={quote(next_, safe='/')}")
        try:
            started = await self._provider.start(self._callback, asks_again=asks_again)
        except ProviderAway as error:
            return _refused(str(error), status=503)
        kept = request.cookies.get(_COOKIE, "")
        binding = kept if _BINDING.fullmatch(kept) else secrets.token_urlsafe(32)
        port = request.query_params.get("port", "")
        self._remember(
            _Waiting(
                started, binding, f"http://127.0.0.1:{port}{next_}" if port in self._ports else next_,
                identity.name if identity else "", identity.session if identity else "",
                self._monotonic() + _WAITS_FOR_S,
            )
        )  # fmt: skip
        response = _redirect(started.address)
        # Strict would not come back with the browser from the provider.
        response.set_cookie(_COOKIE, binding, max_age=_WAITS_FOR_S, path=OIDC, httponly=True, samesite="lax")
        return response

    async def finish(self, request: Request) -> Response:
        """Take the browser back from the provider."""
        query = request.query_params
        if is_prefetch(request):
            return error_page("Not yet", "Open the page to go on.", status=403)
        waiting = self._take(query.get("state", ""), request.cookies.get(_COOKIE, ""))
        if waiting is None:
            return _refused("This sign-in was not begun in this browser, or it is over; sign in again.")
        if "code" not in query:
            return _refused("The provider did not sign you in.")
        try:
            vouched = await self._provider.finish(
                waiting.started, query["code"], self._callback, issuer=query.get("iss", "")
            )
            person = await run_in_threadpool(self._account_of, vouched)
            if waiting.session:
                return await self._confirmed(waiting, person)
            session = await run_in_threadpool(
                self._accounts.open_session, person.name, "oidc", asked_at=vouched.asked_at
            )
        except OidcRefused as error:
            return _refused(str(error), status=503 if isinstance(error, ProviderAway) else 403)
        except (AccountRefused, UnusableName) as error:
            return _refused(str(error))
        response = passing_page(waiting.leads_to)
        keep_session(request, response, session)
        return response

    # -- below ------------------------------------------------------------------------------------------------------

    @property
    def _callback(self) -> str:
        return f"http://{self._site}{CALLBACK}"

    def _from_the_one_address(self, request: Request, next_: str, *, asks_again: bool) -> Response:
        """Begin on the one address that is registered at the provider; the port to come back to goes along."""
        port = (request.headers.get("host") or "").rpartition(":")[2]
        more = "&confirm=1" if asks_again else ""
        return _redirect(f"http://{self._site}{OIDC}?next={quote(next_, safe='/')}&port={quote(port)}{more}")

    async def _confirmed(self, waiting: _Waiting, person: Person) -> Response:
        if person.name != waiting.name:
            return _refused(f"The provider asked another person than {waiting.name}.")
        await run_in_threadpool(self._accounts.confirm_session, waiting.session)
        return passing_page(waiting.leads_to)

    def _account_of(self, vouched: Vouched) -> Person:
        """Return the account of a person the provider vouches for.

        Raises:
            AccountRefused: If there is none, and none may be made.
        """
        person = self._accounts.find_subject(vouched.subject)
        if person is None and vouched.email is not None:
            person = self._accounts.find_subject(vouched.email)
            if person is not None and person.is_active:
                self._accounts.set_subject(person.name, vouched.subject)
        if person is None and self._default_role is not None:
            if looks_alike(vouched.name, shell_name()):  # who acts at the command line, with an account or without
                raise AccountRefused(f"The name {vouched.name} is taken, or looks like one that is.")
            return self._accounts.add_person(
                vouched.name, Role(self._default_role), by=f"OIDC {self.provider_name}"[:80], subject=vouched.subject
            )
        if person is None or not person.is_active:
            raise AccountRefused(
                f"{vouched.name} has no account here; an owner adds it with `crossbook users add --subject`, or opens "
                "it again."
            )
        return person

    def _remember(self, waiting: _Waiting) -> None:
        now = self._monotonic()
        while self._waiting and (len(self._waiting) >= _WAITING_MAX or next(iter(self._waiting.values())).until < now):
            self._waiting.popitem(last=False)
        self._waiting[waiting.started.state] = waiting

    def _take(self, state: str, binding: str) -> _Waiting | None:
        """Return a sign-in that waits, once, and only to the browser that began it."""
        waiting = self._waiting.get(state)
        if waiting is None or not hmac.compare_digest(waiting.binding.encode(), binding.encode("utf-8", "replace")):
            return None
        del self._waiting[state]
        return waiting if self._monotonic() <= waiting.until else None


def _redirect(address: str) -> Response:
    return RedirectResponse(address, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _refused(sentence: str, *, status: int = 403) -> Response:
    return error_page("Not signed in", sentence, status=status, link=(_SIGN_IN, "Sign in another way"))
