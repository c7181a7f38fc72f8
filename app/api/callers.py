"""Whose a request is: the identity that the doors set, a token of a person, or the token of the home."""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
from starlette.datastructures import Headers

from app.doors.accounts import Accounts, accounts_stamp
from app.doors.roles import IDENTITY_HEADER, Identity, Role, from_header
from app.doors.shell import shell_name
from streams.market.errors import ConfigurationError

_LOOKS_MAX = 2


class UnknownCaller(Exception):
    """Whoever asks has named themselves, and is nobody."""


class AccountsAway(Exception):
    """The accounts cannot be read, so that nobody's token is known but the home's own."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks.

    Attributes:
        identity: Who they are.
        key: What their requests are counted by: their token, else their session, else their name.
    """

    identity: Identity
    key: str


class Callers:
    """Finds who asks.

    Args:
        home: Of the whole system.
        token: The home's own, which is good for everything and needs no accounts.
        is_behind_doors: Whether only the doors reach us, so that the identity they set can be believed.
    """

    def __init__(self, home: Path, token: str, *, is_behind_doors: bool) -> None:
        self._home = home
        self._token = token.encode()
        self._is_behind_doors = is_behind_doors
        self._accounts: Accounts | None = None
        self._opened = (0, 0)
        self._limiter = anyio.CapacityLimiter(_LOOKS_MAX)

    async def find(self, headers: Headers) -> Caller | None:
        """Return who asks; None where they have not named themselves.

        Raises:
            UnknownCaller: If what they sent is nobody's.
            AccountsAway: If that cannot be known.
        """
        sent = headers.getlist("authorization")
        if self._is_behind_doors and IDENTITY_HEADER in headers:
            identity = _only([from_header(text) for text in headers.getlist(IDENTITY_HEADER)])
            key = f"session {identity.session}" if identity.session else f"name {identity.name}"
            return Caller(identity, _key_of_token(sent[0]) if sent and identity.how == "token" else key)
        if not sent:
            return None
        scheme, _, text = sent[0].partition(" ")
        if len(sent) > 1 or scheme.lower() != "bearer" or not text.strip():
            raise UnknownCaller
        return Caller(await self._of_token(text.strip()), _key_of_token(sent[0]))

    async def _of_token(self, text: str) -> Identity:
        if hmac.compare_digest(text.encode("utf-8", "replace"), self._token):
            return Identity(shell_name(), Role.OWNER, "token")
        try:
            found = await anyio.to_thread.run_sync(self._look_up, text, limiter=self._limiter)
        except ConfigurationError:
            raise AccountsAway from None
        if found is None:
            raise UnknownCaller
        return found

    def _look_up(self, text: str) -> Identity | None:
        try:
            if self._opened != accounts_stamp(self._home):
                self.close()
            if self._accounts is None:
                self._accounts = Accounts(self._home)
                self._opened = accounts_stamp(self._home)
            return self._accounts.find_token(text)
        except ConfigurationError:
            self.close()  # it may be another file by the next time
            raise

    def close(self) -> None:
        """Close the accounts."""
        opened, self._accounts = self._accounts, None
        if opened is not None:
            with suppress(ConfigurationError):
                opened.close()


def _only(found: list[Identity | None]) -> Identity:
    """Return the one identity of a request."""
    if len(found) != 1 or found[0] is None:
        raise UnknownCaller
    return found[0]


def _key_of_token(authorization: str) -> str:
    return f"token {hashlib.sha256(authorization.encode('utf-8', 'replace')).hexdigest()}"
