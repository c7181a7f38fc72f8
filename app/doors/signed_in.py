"""Who a request is from: the cookie of a session, or a token as a bearer."""

from __future__ import annotations

import hmac

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from app.doors.accounts import SESSION_FOR_S, Accounts
from app.doors.roles import Identity, Role
from app.doors.shell import shell_name

COOKIE = "crossbook_session"


def session_of(request: HTTPConnection, accounts: Accounts) -> Identity | None:
    """Return who the session of a request is of; None where it has none that is in force.

    Raises:
        ConfigurationError: If the accounts cannot be read.
    """
    text = request.cookies.get(COOKIE, "")
    return accounts.find_session(text) if text else None


def bearer_of(request: HTTPConnection, accounts: Accounts, home_token: str) -> Identity | None:
    """Return who the token of a request is of; None where it has none that is in force.

    Args:
        request: With an `Authorization: Bearer` header.
        accounts: Of the home.
        home_token: The text of the home's own token (`api_token`), which has no end and all scopes.

    Raises:
        ConfigurationError: If the accounts cannot be read.
    """
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text:
        return None
    if home_token and hmac.compare_digest(text.encode("utf-8", "replace"), home_token.encode()):
        return Identity(shell_name(), Role.OWNER, "token")
    return accounts.find_token(text)


def keep_session(request: Request, response: Response, text: str) -> None:
    """Have the browser keep a session. It sends it to this host only, and with nothing that another site began.

    Where it speaks TLS with a server in front of the doors, it sends it in no other way.
    """
    is_secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE, text, max_age=SESSION_FOR_S, path="/", httponly=True, samesite="strict", secure=is_secure
    )


def drop_session(response: Response) -> None:
    """Have the browser forget its session."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
