"""Which request may pass which door, for whom: one table of decisions. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from app.doors.permission import PermissionRefused, check
from app.doors.proxy.decisions import graphql
from app.doors.proxy.decisions.asked import Asked, Refusal
from app.doors.roles import Act, Identity

BODY_MAX = 1024 * 1024
"""Most bytes of a request's body."""
OWN_PATH = "/-/"
"""Pages of the proxy's own, on every port."""
SIGN_IN = "/-/sign-in"

_GRAPHQL = "/graphql"
_NOTEBOOKS = frozenset({"/notebook", "/dagit/notebook"})
"""They hand out any notebook file whose path is asked for; we have none."""
_STOPS = frozenset({"/api/trading/pause", "/api/trading/reduce", "/api/trading/kill"})
_UNKNOWN = Refusal(401, "unauthorised", "Sign in first, or send a token as `Authorization: Bearer ...`.")


def is_own(asked: Asked) -> bool:
    """Whether a request is for a page of the proxy's own."""
    return asked.path.startswith(OWN_PATH)


def is_stop(asked: Asked) -> bool:
    """Whether a request pauses, reduces or kills: those are never kept waiting."""
    return asked.door.name == "api" and asked.method == "POST" and asked.path in _STOPS


def needs_identity(asked: Asked) -> bool:
    """Whether a request may not pass without anybody's name. The API decides of its reads itself."""
    return not (asked.door.name == "api" and asked.is_read and not asked.has_body)


def sign_in_address(asked: Asked) -> str | None:
    """Return where a browser that opens a page without being signed in is sent; None for anything but a page."""
    if not asked.is_navigation:
        return None
    query = asked.query.decode("latin-1")
    wanted = f"{asked.path}?{query}" if query else asked.path
    return f"{SIGN_IN}?next={quote(wanted, safe='')}"


def refused_for(asked: Asked, identity: Identity | None, *, is_live: bool) -> Refusal | None:
    """Return why a request may not pass its door, as far as its head says; None where it may.

    At the API an identity passes whatever it asks: the API knows the act of each route.

    Args:
        asked: The request.
        identity: Whose it is; None: nobody's.
        is_live: Whether orders go to live venues.
    """
    if identity is None:
        return _UNKNOWN if needs_identity(asked) else None
    if asked.door.name == "api":
        return None
    refusal = _refused(identity, Act.VIEW, is_live=is_live) or _refused(identity, _act(asked), is_live=is_live)
    if refusal is None and asked.door.name == "dagster" and asked.path == _GRAPHQL:
        return _refused_graphql(asked)
    return refusal


def refused_body(identity: Identity, body: bytes, *, is_live: bool) -> Refusal | None:
    """Return why a whole body may not pass: to Dagster's GraphQL, from whoever may not change anything there."""
    return _refused_unless_read(identity, partial(graphql.check_body, body), is_live=is_live)


def refused_message(identity: Identity, message: str | bytes | None, *, is_live: bool) -> Refusal | None:
    """Return why a message may not pass to Dagster's GraphQL over its WebSocket."""
    return _refused_unless_read(identity, partial(graphql.check_message, message), is_live=is_live)


def has_checked_body(asked: Asked) -> bool:
    """Whether the body must be known before anything of a request passes."""
    return asked.door.name == "dagster" and asked.path == _GRAPHQL and asked.method == "POST"


def has_checked_messages(asked: Asked) -> bool:
    """Whether each message of a WebSocket is looked at."""
    return asked.door.name == "dagster"


def _act(asked: Asked) -> Act:
    if asked.door.name == "sandbox":
        return Act.VIEW if asked.is_read else Act.SANDBOX
    if asked.door.name == "dagster" and (
        asked.path in _NOTEBOOKS or not (asked.is_read or asked.is_socket or has_checked_body(asked))
    ):
        return Act.RUNS
    return Act.VIEW


def _refused_graphql(asked: Asked) -> Refusal | None:
    try:
        if asked.method != "POST":
            graphql.check_address(asked.query)  # nobody changes anything by an address
            return None
    except graphql.Ambiguous as error:
        return Refusal(403, "forbidden", f"A GraphQL request by {asked.method} only reads: {error}.")
    if not graphql.is_json(asked.all(b"content-type")):
        return Refusal(415, "unsupported_media_type", "GraphQL is taken as application/json.")
    if graphql.has_document(asked.query):
        return Refusal(400, "malformed", "The document stands in the body, not in the address.")
    return None


def _refused_unless_read(identity: Identity, check_read: Callable[[], None], *, is_live: bool) -> Refusal | None:
    """Return why what reached GraphQL may not pass: its person may not change anything there, and it may do so."""
    refusal = _refused(identity, Act.RUNS, is_live=is_live)
    if refusal is None:
        return None
    try:
        check_read()
    except graphql.Ambiguous as error:
        return refusal._replace(message=f"{refusal.message} This may not pass: {error}.")
    return None


def _refused(identity: Identity, act: Act, *, is_live: bool) -> Refusal | None:
    """Return why somebody may not do one of the acts of these doors, none of which asks again."""
    try:
        check(identity, act, now=0.0, is_live=is_live)
    except PermissionRefused as refused:
        return Refusal(403, "forbidden", str(refused))
    return None
