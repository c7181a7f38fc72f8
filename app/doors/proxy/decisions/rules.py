"""Which request may pass which door, for whom: one table of decisions. Pure."""

from __future__ import annotations

from urllib.parse import quote

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


def refused_for(asked: Asked, identity: Identity | None) -> Refusal | None:
    """Return why a request may not pass its door, as far as its head says; None where it may.

    At the API an identity passes whatever it asks: the API knows the act of each route.
    """
    if identity is None:
        return _UNKNOWN if needs_identity(asked) else None
    if asked.door.name == "api":
        return None
    act = _act(asked)
    if not identity.may(Act.VIEW) or not identity.may(act):
        return _forbidden(identity, act)
    if asked.door.name == "dagster" and asked.path == _GRAPHQL:
        return _refused_graphql(asked, identity)
    return None


def refused_body(asked: Asked, identity: Identity, body: bytes) -> Refusal | None:
    """Return why a whole body may not pass: to Dagster's GraphQL, from whoever may not change anything there."""
    if identity.may(Act.RUNS):
        return None
    try:
        graphql.check_body(body)
    except graphql.Ambiguous as error:
        return _unclear(identity, error)
    return None


def refused_message(identity: Identity, message: str | bytes | None) -> Refusal | None:
    """Return why a message may not pass to Dagster's GraphQL over its WebSocket."""
    if identity.may(Act.RUNS):
        return None
    try:
        graphql.check_message(message)
    except graphql.Ambiguous as error:
        return _unclear(identity, error)
    return None


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


def _refused_graphql(asked: Asked, identity: Identity) -> Refusal | None:
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


def _unclear(identity: Identity, error: graphql.Ambiguous) -> Refusal:
    return Refusal(403, "forbidden", f"As {identity.role} you may read in Dagster, and this may not pass: {error}.")


def _forbidden(identity: Identity, act: Act) -> Refusal:
    if identity.scopes is not None:
        return Refusal(403, "forbidden", f"This token may not {act}.")
    return Refusal(403, "forbidden", f"As {identity.role} you may not do this ({act}).")
