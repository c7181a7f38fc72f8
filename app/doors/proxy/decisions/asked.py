"""What a request says of itself: its door, method, path and headers, and who it claims to come from. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from urllib.parse import unquote

DoorName = Literal["dagster", "dashboard", "api", "sandbox"]
Headers = Sequence[tuple[bytes, bytes]]
"""Names are lower case, as ASGI has them."""

SESSION_COOKIE = "crossbook_session"
READS = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = READS | {"POST", "PUT", "PATCH", "DELETE"}
_CREDENTIAL_MAX = 500
_DIGITS_MAX = 15


@dataclass(frozen=True, slots=True)
class Door:
    """One port of ours and what stands behind it.

    Attributes:
        name: Of the server behind it; its Unix socket is called after it.
        port: On loopback.
    """

    name: DoorName
    port: int

    @property
    def socket_name(self) -> str:
        """The file name of the socket in the home."""
        return f"{self.name}.sock"


class Refusal(NamedTuple):
    """Why a request is not passed on: HTTP status, a word for programs, a sentence for people."""

    status: int
    code: str
    message: str
    retry_after_s: float = 0


class Credential(NamedTuple):
    """What a request brings to say whose it is."""

    kind: Literal["session", "bearer"]
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The head of one request.

    Attributes:
        path: As the server behind reads it: percent signs undone once.
        query: Without its question mark, as it was sent.
        is_socket: Whether it asks for a WebSocket.
    """

    door: Door
    method: str
    path: str
    query: bytes = b""
    headers: Headers = field(default=(), repr=False)
    is_socket: bool = False

    def all(self, name: bytes) -> list[str]:
        """Return every value of a header."""
        return [value.decode("latin-1") for key, value in self.headers if key == name]

    def one(self, name: bytes) -> str | None:
        """Return the value of a header that is there once; None where it is missing or there are several."""
        values = self.all(name)
        return values[0] if len(values) == 1 else None

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing by its method; a WebSocket may change things."""
        return self.method in READS and not self.is_socket

    @property
    def is_navigation(self) -> bool:
        """Whether a browser opens a page of its own with it, and not a picture, a frame or a script's request."""
        if self.method != "GET" or self.is_socket:
            return False
        mode, wanted = self.all(b"sec-fetch-mode"), self.all(b"sec-fetch-dest")
        if mode or wanted:
            return mode == ["navigate"] and wanted == ["document"]
        return "text/html" in ",".join(self.all(b"accept"))

    @property
    def declared_length(self) -> int:
        """The bytes of body that it announces; 0 without any."""
        return int(self.one(b"content-length") or 0)

    @property
    def has_body(self) -> bool:
        """Whether a body follows."""
        return bool(self.all(b"transfer-encoding")) or self.declared_length > 0


def path_of(raw_path: bytes) -> str:
    """Return a path as the servers behind us read it."""
    return unquote(raw_path.decode("latin-1"))


def malformed(asked: Asked) -> Refusal | None:
    """Return why a request cannot be passed on by its form: its method, the frame of its body, or its path."""
    if asked.method not in _METHODS:
        return Refusal(405, "method_not_allowed", f"{asked.method[:20]} is not served here.")
    lengths, codings = asked.all(b"content-length"), asked.all(b"transfer-encoding")
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
        return Refusal(400, "malformed", "The length of the body is given twice.")
    if lengths and not (lengths[0].isascii() and lengths[0].isdigit() and len(lengths[0]) <= _DIGITS_MAX):
        return Refusal(400, "malformed", "Content-Length is not a number.")
    if codings and codings[0].lower() != "chunked":
        return Refusal(400, "malformed", "The only transfer coding is chunked.")
    if not asked.path.startswith("/") or asked.path.startswith("//") or "\\" in asked.path:
        return Refusal(400, "malformed", "The path is not one of ours.")
    if any(character < " " or character == "\x7f" for character in asked.path):
        return Refusal(400, "malformed", "The path has control characters.")
    if not {".", ".."}.isdisjoint(asked.path.split("/")):
        return Refusal(400, "malformed", "The path leads out of its folder.")
    return None


def credential_of(asked: Asked) -> Credential | None:
    """Return what a request brings to say whose it is: a bearer before a session's cookie; None without either.

    Several different cookies of our name are none: a page on another port of this machine can add one.
    """
    for value in asked.all(b"authorization"):
        kind, _, text = value.partition(" ")
        if kind.lower() == "bearer":
            return Credential("bearer", text.strip()[:_CREDENTIAL_MAX])
    sessions = {value for name, value in _cookies(asked.headers) if name == SESSION_COOKIE and value}
    if len(sessions) != 1:
        return None
    text = sessions.pop()
    return Credential("session", text) if len(text) <= _CREDENTIAL_MAX else None


def _cookies(headers: Headers) -> list[tuple[str, str]]:
    found = []
    for name, value in headers:
        if name == b"cookie":
            for part in value.decode("latin-1").split(";"):
                key, _, text = part.strip().partition("=")
                found.append((key.strip(), text.strip().strip('"')))
    return found
