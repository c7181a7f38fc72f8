"""Which page may ask: Host, Origin and Sec-Fetch of a request. Pure.

A page on another port of this machine is as foreign as one elsewhere, although browsers call it the same site.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from app.doors.proxy.decisions.asked import Asked, Refusal

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(?P<port>[0-9]{1,5}))?")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HTTP_PORT = 80


def parse_names(text: str) -> frozenset[str]:
    """Return the names of `CROSSBOOK_OTHER_HOSTS`: `host` or `host:port` each, as a browser shows them.

    Raises:
        ValueError: If one cannot be a host's.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if _HOST.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no host's name; write host or host:port")
    return frozenset(names)


def foreign(asked: Asked, others: Collection[str], *, has_bearer: bool) -> Refusal | None:
    """Return why a request does not come from a page of ours or from a program; None where it does.

    Args:
        asked: The request.
        others: Names besides those of loopback (`parse_names`).
        has_bearer: Whether it brings a bearer token, which no foreign page knows.
    """
    host = (asked.one(b"host") or "").lower()
    if not _is_ours(host, asked.door.port, others):
        return Refusal(403, "forbidden_host", "These pages answer only to 127.0.0.1 and localhost, with their port.")
    origins, sites = asked.all(b"origin"), asked.all(b"sec-fetch-site")
    if origins and (len(origins) > 1 or origins[0].lower() not in _origins(host, others)):
        return Refusal(403, "forbidden_origin", "Pages of other addresses may not ask here.")
    if len(sites) > 1 or (sites and sites[0] not in ("same-origin", "none") and not _opens_a_page(asked)):
        return Refusal(403, "forbidden_origin", "Pages of other addresses may not ask here.")
    if asked.is_read or has_bearer or origins or sites == ["same-origin"]:
        return None
    return Refusal(
        403, "forbidden_origin", "A change needs a bearer token, or the page of ours it comes from (Origin)."
    )


def _is_ours(host: str, port: int, others: Collection[str]) -> bool:
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    if found["name"] in _LOOPBACK and int(found["port"] or _HTTP_PORT) == port:
        return True
    return host in others


def _origins(host: str, others: Collection[str]) -> set[str]:
    plain = host.removesuffix(f":{_HTTP_PORT}")
    return {f"http://{plain}", f"https://{host.removesuffix(':443')}"} if host in others else {f"http://{plain}"}


def _opens_a_page(asked: Asked) -> bool:
    """Whether a link elsewhere, or an address that was typed, opens a page of ours in a tab of its own."""
    return asked.method == "GET" and asked.is_navigation and bool(asked.all(b"sec-fetch-mode"))
