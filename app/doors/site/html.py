"""How the doors' own pages look: whole documents without scripts and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from starlette.responses import HTMLResponse

_STYLE = (
    ":root{color-scheme:light}"
    "*{box-sizing:border-box}"
    "body{margin:0;min-height:100vh;display:flex;align-items:center;justify-content:center;padding:1.5rem;"
    "background:#F4F6FA;color:#1B2333;font:15px/1.5 'Source Sans','Source Sans 3',Arial,sans-serif}"
    "main{width:100%;max-width:24rem;background:#FFF;border:1px solid #E1E6EF;border-radius:.6rem;"
    "padding:1.7rem 1.8rem}"
    "svg{display:block;margin-bottom:1.2rem}"
    "h1{font-size:1.35rem;font-weight:650;letter-spacing:-.01em;margin:0 0 .3rem}"
    "p{margin:.3rem 0 1rem;overflow-wrap:anywhere}"
    ".muted{color:#68738A;font-size:.88rem}"
    ".bad{background:#FCE8EA;color:#C62F3B;border-radius:.5rem;padding:.55rem .8rem}"
    "label{display:block;font-size:.88rem;font-weight:600;margin:.8rem 0 .25rem}"
    "input{width:100%;font:inherit;color:inherit;padding:.5rem .65rem;border:1px solid #C9D1E0;border-radius:.5rem;"
    "background:#FFF}"
    "button,.button{display:block;width:100%;font:inherit;font-weight:600;text-align:center;text-decoration:none;"
    "cursor:pointer;margin-top:1.1rem;padding:.55rem .8rem;border:1px solid #3B4CCA;border-radius:.5rem;"
    "background:#3B4CCA;color:#FFF}"
    ".second{background:#FFF;color:#3B4CCA}"
    "button:hover,.button:hover{background:#2F3DA8;color:#FFF}"
    "a{color:#3B4CCA}"
    ":focus-visible{outline:3px solid #B9C1F3;outline-offset:1px}"
    "code{background:#F4F6FA;border-radius:.3rem;padding:.05rem .3rem}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_MARK = (
    '<path d="M4 11h17l-4-5m4 5l-4 5" fill="none" stroke="#00A37A" stroke-width="3" stroke-linecap="round" '
    'stroke-linejoin="round"/><path d="M27 25H10l4 5m-4-5l4-5" fill="none" stroke="#2F6BFF" stroke-width="3" '
    'stroke-linecap="round" stroke-linejoin="round"/>'
)
_LOGO = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="190" height="36" viewBox="0 0 190 36" role="img" '
    f'aria-label="Crossbook">{_MARK}<text x="38" y="25" font-family="Source Sans, Arial, sans-serif" font-size="22" '
    'font-weight="700" fill="#1B2333">Crossbook</text></svg>'
)
_ICON = base64.b64encode(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 36">{_MARK}</svg>'.encode()).decode()

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # A stricter policy would make browsers send forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page(title: str, body: str, *, status: int = 200, goes_to: str = "") -> HTMLResponse:
    """Return a page.

    Args:
        title: Of the page, as text.
        body: What stands below the title, as HTML.
        status: Of the response.
        goes_to: Address the page moves on to by itself, as text; empty: it stays.
    """
    refresh = f'<meta http-equiv="refresh" content="0;url={escape(goes_to)}">' if goes_to else ""
    shown = escape(title)
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{shown} · Crossbook</title>'
        f'<link rel="icon" href="data:image/svg+xml;base64,{_ICON}"><style>{_STYLE}</style></head>'
        f"<body><main>{_LOGO}<h1>{shown}</h1>{body}</main></body></html>",
        status_code=status,
        headers=HEADERS,
    )


def error_page(title: str, sentence: str, *, status: int, link: tuple[str, str] | None = None) -> HTMLResponse:
    """Return a page that says what is wrong.

    Args:
        title: Of the page.
        sentence: What is wrong, and what to do.
        status: Of the response.
        link: Address and words of a link below it.
    """
    more = "" if link is None else f'<a class="button" href="{escape(link[0])}">{escape(link[1])}</a>'
    return page(title, f"<p>{escape(sentence)}</p>{more}", status=status)


def passing_page(address: str) -> HTMLResponse:
    """Return a page that moves on at once.

    The move is one of our own page: a browser sends the session's cookie with it, which it does not with a redirect
    that began on another site.
    """
    return page(
        "Signing in",
        f'<p class="muted">One moment.</p><a class="button" href="{escape(address)}">Continue</a>',
        goes_to=address,
    )


def hidden(name: str, value: str) -> str:
    """Return a hidden field as HTML; nothing for an empty value."""
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' if value else ""


def complaint(sentence: str) -> str:
    """Return what is wrong with a form as HTML; nothing for an empty text."""
    return f'<p class="bad" role="alert">{escape(sentence)}</p>' if sentence else ""
