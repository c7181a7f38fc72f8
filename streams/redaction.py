"""Secrets never leave: the set of those this process has loaded, and their removal from whatever is shown.

A secret registers where it is loaded (settings, keystore, passwords of the database, the API's token). From then on it
is removed in every form it can take in a text: as it is, each of its signs percent-encoded or not, escaped as JSON,
HTML, CSV, Python or shell source or not, in base64 and hexadecimal digits, and line by line where it has several lines;
where it is a key in digits of its own, the bytes and the number that it stands for too.
What only looks like a secret (a private key, a password in an address, a bearer token, the value of a field named
`password`) is removed too, loaded or not.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

REDACTED: Final = "[redacted]"

_SECRET_NAMES = re.compile(
    r"(secret|password|passwd|passphrase|passfile|api[-_]?key$|private|signature|authorization|credential|token$|dsn$|"
    r"database_url|pg_url|webhook|cookie|(^|[-_])(auth|pem|pwd)$)",
    re.IGNORECASE,
)
_HARMLESS_NAMES = frozenset({"yes_token", "no_token"})
"""Polymarket calls what it trades a token; its ids are public."""
_LOOKS_SECRET = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"(?<=://)[^\s/?#'\"<>@]*:[^\s'\"<>]*(?=@[\w.\[\]%-])"),
    re.compile(r"(?<=netloc=')[^'@]*(?=@)"),
    re.compile(r"\bsk-[A-Za-z0-9_-]{12,}"),
    re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(
        r"(?i)(?<![a-z0-9])(?P<name>(?:(?:ssl|pg)?password|passwd|passphrase|api[-_]?key|client_secret|access_token)"
        r"(?:\\?[\"']\s*:\s*|\s*=\s*|(?<=key):\s*))(?P<quote>\\?[\"']?)(?!\[redacted\])(?P<value>(?<=')(?:[^'\\]|\\.)+|"
        r"(?<=\")(?:[^\"\\]|\\[^\"])+|(?<![\"'])[^\s,;&'\"})\]\\]+)"
    ),
)
_HEX = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2}){16,})")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{22,}={0,2}")
_LOGIN = re.compile(r"://([^:/@]*):(.*)@", re.DOTALL)
_SHORT = 8
"""A shorter secret, and one of letters alone, is removed where it stands as a word: it may be part of common ones."""
_LEAST = 3
_LINE = 16
_ESCAPE = r"\\*"
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_LETTERS = {"\n": "n", "\r": "r", "\t": "t"}
_DEPTH = 12
_LARGEST = 10**160
"""A larger number is no key of any kind."""


class _Signs:
    """A text of which each sign may be written in a way of its own."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._anchor = max(re.findall("[A-Za-z0-9]+", text), key=len, default="")
        """What is written in one way only: where it is missing there is nothing to look for."""
        self._pattern: re.Pattern[str] | None = None

    def remove_from(self, text: str) -> str:
        if self._anchor not in text:
            return text
        if self._pattern is None:
            self._pattern = re.compile(_bounded(self._text, "".join(map(_ways, self._text)).removeprefix(_ESCAPE)))
        return self._pattern.sub(REDACTED, text)


class _Loaded:
    """The secrets of this process in every form, the longest form first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._forms: list[tuple[str, re.Pattern[str] | None]] = []
        self._signs: dict[str, _Signs] = {}

    def add(self, secrets: Iterable[str]) -> None:
        with self._lock:
            new = {secret for secret in secrets if secret not in self._known}
            if not new:
                return
            self._known |= new
            meant = {raw for secret in new for raw in _meant(secret.strip())}
            texts = {text for secret in new for text in _texts(secret) if len(text) >= _LEAST}
            texts |= {raw.decode("latin-1") for raw in meant}
            forms = {form for form, _ in self._forms} | {form for text in texts for form in _spellings(text)}
            forms |= {form for raw in meant for form in _spellings_of_bytes(raw)}
            self._forms = [(form, _as_word(form)) for form in sorted(forms, key=len, reverse=True)]
            signs = self._signs | {text: _Signs(text) for text in texts if not text.isalnum() or not text.isascii()}
            self._signs = dict(sorted(signs.items(), key=lambda item: len(item[0]), reverse=True))

    def remove_from(self, text: str) -> str:
        for form, word in self._forms:
            if form in text:
                text = text.replace(form, REDACTED) if word is None else word.sub(REDACTED, text)
        for signs in self._signs.values():
            text = signs.remove_from(text)
        return text


_LOADED = _Loaded()


def register_secret(*secrets: str | bytes | None) -> None:
    """Remember secrets, so that they are removed from all this process shows from now on.

    Empty ones, and those of fewer than three characters, are not: removing them would leave no text readable.
    """
    texts = [secret.decode("latin-1") if isinstance(secret, bytes) else secret for secret in secrets if secret]
    _LOADED.add(text for text in texts if len(text.strip()) >= _LEAST)


def register_address(address: str) -> None:
    """Remember the password in an address, also in one that cannot be parsed because of it."""
    logins = [found.groups() for found in [_LOGIN.search(address)] if found]
    try:
        parts = urlsplit(address)
        logins.append((parts.username or "", parts.password or ""))
    except ValueError:
        pass
    for user, password in logins:
        if password:
            register_secret(password, unquote(password), f"{user}:{password}", f"{unquote(user)}:{unquote(password)}")


def redact_text(text: str) -> str:
    """Return `text` without any loaded secret and without what looks like one."""
    text = _LOADED.remove_from(text)
    for pattern in _LOOKS_SECRET:
        text = pattern.sub(_replacement if pattern.groupindex else REDACTED, text)
    return text


def _replacement(found: re.Match[str]) -> str:
    return f"{found['name']}{found['quote']}{REDACTED}"


def redact(value: Any, *, name: str = "") -> Any:
    """Return a value without secrets: containers item by item, texts by `redact_text`, other objects by their repr.

    Args:
        value: Anything. A value that holds no secret comes back equal to what it was.
        name: The key or field it stands under; a name such as `password` makes all of it a secret.
    """
    return _redacted(value, name, 0)


def names_secret(name: str) -> bool:
    """Return whether what stands under a name like this is a secret, whatever it is."""
    return name.lower() not in _HARMLESS_NAMES and bool(_SECRET_NAMES.search(name))


def _redacted(value: Any, name: str, depth: int) -> Any:
    if name and value is not None and not isinstance(value, bool) and names_secret(name):
        return REDACTED
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return _redacted_number(value)
    if isinstance(value, str):
        return redact_text(value)
    if depth > _DEPTH:
        return redact_text(_shown(value))
    if isinstance(value, bytes | bytearray | memoryview):
        text = bytes(value).decode("latin-1")
        clean = redact_text(text)
        return value if clean == text else clean.encode("latin-1", "replace")
    return _redacted_container(value, depth + 1)


def _redacted_container(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {_redacted(key, "", depth): _redacted(item, _name_of(key), depth) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _redacted_items(value, depth)
    if isinstance(value, BaseException):
        return redact_text(_shown(value))
    if is_dataclass(value) and not isinstance(value, type):
        return _redacted_fields(value, depth)
    text = _shown(value)
    clean = redact_text(text)
    return value if clean == text else clean


def _redacted_fields(value: Any, depth: int) -> Any:
    found = {field.name: getattr(value, field.name, None) for field in fields(value)}
    clean = {name: _redacted(item, name, depth) for name, item in found.items()}
    is_clean = all(_shown(clean[name]) == _shown(item) for name, item in found.items())
    return value if is_clean else clean


def _redacted_items(value: Any, depth: int) -> Any:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str | bytes):
        # A header or a parameter: ("Authorization", "Bearer ...").
        items = [_redacted(value[0], "", depth), _redacted(value[1], _name_of(value[0]), depth)]
    else:
        items = [_redacted(item, "", depth) for item in value]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: _redacted(item, name, depth) for name, item in zip(value._fields, value, strict=True)}
    kind = next(kind for kind in (list, tuple, frozenset, set) if isinstance(value, kind))
    return kind(items) if kind in (list, tuple) else items


def _redacted_number(value: int) -> Any:
    text = str(value) if abs(value) < _LARGEST else ""
    return value if redact_text(text) == text else REDACTED


def _name_of(key: object) -> str:
    if isinstance(key, bytes):
        return key.decode("latin-1")
    return key if isinstance(key, str) else ""


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose repr failed: {type(error).__name__}>"


def _texts(secret: str) -> Iterable[str]:
    """Yield what of a secret is one by itself: all of it, without blanks around it, and its longer lines."""
    stripped = secret.strip()
    yield from {secret, stripped}
    lines = [line.strip() for line in stripped.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= _LINE and not line.startswith("-----"))


def _spellings(text: str) -> Iterable[str]:
    """Yield the ways of writing a text in which all its signs change together."""
    raw = text.encode("utf-8", "surrogateescape")
    yield from (text, raw.decode("latin-1"))
    percent = "".join(f"%{byte:02X}" for byte in raw)
    yield from (percent, percent.lower())
    if len(raw) >= _SHORT:
        yield from _digits(raw)


def _meant(secret: str) -> Iterable[bytes]:
    """Yield the bytes that a secret of hexadecimal or base64 digits stands for: who uses it has them in hand."""
    found = _HEX.fullmatch(secret)
    if found is not None:
        yield bytes.fromhex(found[1])
    elif _BASE64.fullmatch(secret):
        with suppress(ValueError):
            yield base64.b64decode(f"{secret.rstrip('=')}{'=' * (-len(secret.rstrip('=')) % 4)}", b"-_")


def _spellings_of_bytes(raw: bytes) -> Iterable[str]:
    """Yield the ways of writing bytes: in digits, as the number that they are, and one by one."""
    yield from _digits(raw)
    yield str(int.from_bytes(raw))
    yield ", ".join(map(str, raw))


def _digits(raw: bytes) -> Iterable[str]:
    yield raw.hex()
    yield raw.hex().upper()
    for skipped in range(3):
        # In base64 of a longer text it begins at one of three places; the outermost digits depend on the rest.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            digits = encode(b"\0" * skipped + raw).decode().rstrip("=")
            whole = (len(raw) + skipped) % 3 == 0
            yield digits[(0, 2, 3)[skipped] : None if whole else -1]


def _ways(sign: str) -> str:
    """Return the pattern of all ways in which one sign is written among others."""
    if sign.isascii() and sign.isalnum():
        return sign
    number, raw = ord(sign), sign.encode("utf-8", "surrogateescape")
    halves = sign.encode("utf-16-be", "surrogatepass").hex()
    ways = [
        re.escape(sign) + ("{1,2}" if sign in "'\"" else ""),
        "(?i:" + "".join(f"%(?:25)*{byte:02x}" for byte in raw) + ")",
        "(?i:" + "".join(rf"\\+u{halves[place : place + 4]}" for place in range(0, len(halves), 4)) + ")",
        "(?i:" + "".join(rf"\\+x{byte:02x}" for byte in raw) + ")",
        rf"(?i:\\+U{number:08x})",
        rf"&(?:amp;)*#(?:0*{number}|[xX]0*(?i:{number:x}));",
    ]
    if number < 0x100:
        ways.append(rf"(?i:\\+x{number:02x})")
    if sign in _ENTITIES:
        ways.append(f"&(?:amp;)*{_ENTITIES[sign]};")
    if sign in _LETTERS:
        ways.append(rf"\\+{_LETTERS[sign]}")
    if sign == " ":
        ways.append(r"\+")
    if sign == "'":
        ways.append("'\"'\"'")
    return f"{_ESCAPE}(?:{'|'.join(ways)})" if sign != "\\" else rf"(?:\\+|{'|'.join(ways[1:])})"


def _as_word(form: str) -> re.Pattern[str] | None:
    """Return the pattern that finds a form as a word only; None where it is found wherever it stands."""
    pattern = re.escape(form)
    bounded = _bounded(form, pattern)
    return None if bounded == pattern else re.compile(bounded)


def _bounded(form: str, pattern: str) -> str:
    if len(form) >= _SHORT and not (form.isalpha() and form.islower()):
        return pattern
    return rf"(?<![A-Za-z0-9_])(?:{pattern})(?![A-Za-z0-9_])"
