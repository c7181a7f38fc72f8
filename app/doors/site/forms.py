"""What comes in with a request for one of the doors' own pages: forms, where they came from, and where to go next."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.requests import Request

FORM_MAX = 16_384
"""Bytes of the longest form."""
HOME_PATH = "/"
_NEXT_MAX = 2_000
_SCHEMES = ("http", "https")
"""The same host, whichever way a server in front of the doors is spoken to."""
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_PASSED_ON = ("forwarded", "via", "x-real-ip", "x-forwarded-")
"""How the headers begin by which a server says that it passes a request on."""
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]|//")
_OWN = re.compile(r"/(-|%2d)(/|%2f|$)", re.IGNORECASE)


class BadForm(ValueError):
    """A form that is not taken; the message says why."""


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form that was sent from one of our own pages.

    Raises:
        BadForm: If it comes from elsewhere, is too long, or is no form.
    """
    check_origin(request)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise BadForm("A form is wanted.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_MAX:
            raise BadForm(f"A form has at most {FORM_MAX} bytes.")
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        raise BadForm("The form cannot be read.") from None
    return dict(fields)


def check_origin(request: Request) -> None:
    """Refuse a form that another site, or another port of this machine, had a browser send.

    Raises:
        BadForm: If so, or if nothing says where it comes from.
    """
    fetch_site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if origin is None and fetch_site is None:
        raise BadForm("The form does not say where it comes from.")
    if fetch_site not in (None, "same-origin") or (
        origin is not None and origin not in {f"{scheme}://{request.headers.get('host')}" for scheme in _SCHEMES}
    ):
        raise BadForm("The form comes from another site.")


def is_from_elsewhere(request: Request) -> bool:
    """Whether another site, or another port, sent the browser here: it keeps our cookie back then."""
    return request.headers.get("sec-fetch-site") in ("cross-site", "same-site")


def is_prefetch(request: Request) -> bool:
    """Whether nobody asked for the page yet: a browser looks ahead, or only the head is asked for."""
    purpose = request.headers.get("sec-purpose", "") + request.headers.get("purpose", "")
    return request.method == "HEAD" or "prefetch" in purpose


def is_opened_by_a_person(request: Request) -> bool:
    """Whether a browser says that somebody opens the page in a tab; a program that previews it says nothing."""
    said = request.headers
    is_tab = said.get("sec-fetch-mode") == "navigate" and said.get("sec-fetch-dest") == "document"
    return is_tab and not is_from_elsewhere(request) and not is_prefetch(request)


def is_on_loopback(request: Request) -> bool:
    """Whether a request was made on this machine and passed on by nobody."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    client = request.client.host if request.client is not None else ""
    return (
        host in _LOOPBACK_NAMES
        and client in _LOOPBACK_NAMES
        and not any(name.startswith(_PASSED_ON) for name in request.headers)
    )


def next_path(text: str) -> str:
    """Return where to go after signing in: a path of this site, with its query; the first page for anything else."""
    if not text.startswith("/") or len(text) > _NEXT_MAX or _UNSAFE.search(text.partition("?")[0]):
        return HOME_PATH
    if any(ord(sign) < 0x21 or sign in "\x7f\\" or "\ud800" <= sign <= "\udfff" for sign in text):
        return HOME_PATH
    path = urlsplit(text).path
    if _OWN.match(path) and path != "/-/confirm":
        return HOME_PATH  # a page of ours: after signing in, it would only lead elsewhere
    return quote(text, safe="/?&=#%:@!$'()*+,;~-._[]")
