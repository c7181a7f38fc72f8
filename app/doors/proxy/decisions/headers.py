"""Which headers pass inwards and outwards. Pure."""

from __future__ import annotations

from app.doors.proxy.decisions.asked import SESSION_COOKIE, Asked, Headers
from app.doors.roles import IDENTITY_HEADER, Identity, to_header

RawHeaders = list[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings",
    }
)  # fmt: skip
_OURS = frozenset({b"host", b"content-length", b"cookie", b"authorization", b"expect", b"forwarded", b"x-real-ip"})
"""What is set anew, or said by somebody who was no proxy of ours."""
_IDENTITY = IDENTITY_HEADER.encode()
_PROTECTION: RawHeaders = [
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_REPLACED = frozenset(name for name, _ in _PROTECTION)
_FRAMES = (b"content-security-policy", b"frame-ancestors 'none'")


def inward(asked: Asked, identity: Identity | None) -> RawHeaders:
    """Return the headers for the server behind a door, without those that frame the body.

    Whatever comes from outside under the name of the identity's header is dropped, however it is spelled; so are the
    session's cookie everywhere, and the bearer token but at the API.
    """
    dropped = _HOP_BY_HOP | _OURS | _named_by_connection(asked.headers)
    if asked.is_socket:
        dropped |= {name for name, _ in asked.headers if name.startswith(b"sec-websocket-")}
    kept = [(name, value) for name, value in asked.headers if name not in dropped and not _is_claim(name)]
    host = asked.one(b"host")
    if host is not None and not asked.is_socket:
        kept.insert(0, (b"host", host.encode("latin-1")))
    cookies = _without_session(asked.headers)
    if cookies:
        kept.append((b"cookie", cookies))
    if asked.door.name == "api":
        kept += [(name, value) for name, value in asked.headers if name == b"authorization"]
    if identity is not None:
        kept.append((_IDENTITY, to_header(identity).encode()))
    return kept


def to_own_page(headers: Headers) -> RawHeaders:
    """Return the headers for a page of the proxy's own: all that came, also who passed it on, but no identity."""
    return [(name, value) for name, value in headers if not _is_identity(name)]


def outward(headers: Headers) -> RawHeaders:
    """Return the headers of an answer for the browser: those of the server behind, and our protection."""
    dropped = _HOP_BY_HOP | _REPLACED | _named_by_connection(headers)
    kept = [
        (name, value)
        for name, value in headers
        if name not in dropped and not name.startswith(b"access-control-") and not _sets_session(name, value)
    ]
    return [*kept, *_PROTECTION, _FRAMES]


def protected(headers: Headers) -> RawHeaders:
    """Return the headers of an answer of our own with our protection added."""
    return [*(pair for pair in headers if pair[0] not in _REPLACED), *_PROTECTION, _FRAMES]


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    values = b",".join(value for name, value in headers if name == b"connection")
    return frozenset(part.strip().lower() for part in values.split(b",") if part.strip())


def _is_claim(name: bytes) -> bool:
    return _is_identity(name) or name.replace(b"_", b"-").startswith(b"x-forwarded-")


def _is_identity(name: bytes) -> bool:
    return name.replace(b"_", b"-") == _IDENTITY


def _without_session(headers: Headers) -> bytes:
    parts = [part.strip() for name, value in headers if name == b"cookie" for part in value.split(b";")]
    ours = SESSION_COOKIE.encode()
    return b"; ".join(part for part in parts if part and part.partition(b"=")[0].strip() != ours)


def _sets_session(name: bytes, value: bytes) -> bool:
    return name == b"set-cookie" and value.partition(b"=")[0].strip() == SESSION_COOKIE.encode()
