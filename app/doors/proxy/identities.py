"""Whose a request is: sessions and tokens looked up in the accounts, and remembered while nothing there has changed."""

from __future__ import annotations

import asyncio
import hmac
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.api_token import ensure_token, token_path
from app.doors.accounts import Accounts, accounts_path, accounts_stamp
from app.doors.proxy.decisions.asked import Credential, Refusal
from app.doors.roles import Identity, Role
from app.doors.shell import shell_name
from streams.logs import get_logger
from streams.market.errors import ConfigurationError
from streams.settings import Settings

UNUSABLE = Refusal(
    503, "sign_in_unavailable", "Nobody can be signed in now; the token of CROSSBOOK_HOME/api_token still opens.", 2
)
_REMEMBERED_S = 2.0
_REMEMBERED_MAX = 1_000
_OPEN_AGAIN_S = 1.0
Version = tuple[int, ...]
"""Changes with every commit to the accounts by anybody, and with every other token file of the home."""

log = get_logger(room="doors")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is known, by what, and as of which version of the accounts."""

    credential: Credential
    identity: Identity
    version: Version


class AccountsUnusable(Exception):
    """The accounts cannot be read: nobody can be signed in, and only the home's own token is known."""


class Identities:
    """The identities behind credentials. Every method but `close` is for the event loop's thread alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = settings.home_dir
        self._remembered: dict[Credential, tuple[float, Version, Identity | None]] = {}
        self._accounts: Accounts | None = None
        self._opened: Version = ()
        self._changes = _Changes(self._home)
        self._tried_at = float("-inf")
        self._token = ""
        self._token_version: Version = ()

    async def find(self, credential: Credential) -> Caller | None:
        """Return whose a credential is; None where it is nobody's.

        Raises:
            AccountsUnusable: If that cannot be known.
        """
        version, now = self.version(), time.monotonic()
        known = self._remembered.get(credential)
        if known is not None and version and known[1] == version and now - known[0] < _REMEMBERED_S:
            found = known[2]
        else:
            found = await self._ask(credential, is_use=True)
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[credential] = (now, version, found)
        return None if found is None else Caller(credential, found, version)

    async def look(self, credential: Credential) -> Identity | None:
        """As `find`, from the accounts themselves. It is no use of a session: one that is only left open ends."""
        return await self._ask(credential, is_use=False)

    async def _ask(self, credential: Credential, *, is_use: bool) -> Identity | None:
        if credential.kind == "bearer" and self._is_home_token(credential.text):
            return Identity(shell_name(), Role.OWNER, "token")
        accounts = self.accounts()
        look: Callable[[str], Identity | None] = accounts.find_token
        if credential.kind == "session":
            look = partial(accounts.find_session, is_use=is_use)
        try:
            return await asyncio.to_thread(look, credential.text)
        except (ConfigurationError, sqlite3.Error) as error:
            self._drop(str(error))
            raise AccountsUnusable from None

    def version(self) -> Version:
        """Return what changes when somebody signs out, changes a role, a password, a token; empty: it is not known."""
        version = self._changes.version()
        return (*version, *self._token_stamp()) if version else ()

    def close(self) -> None:
        """Close the files."""
        self._changes.close()
        if self._accounts is not None:
            self._accounts.close()

    def accounts(self) -> Accounts:
        """Return the accounts of the home, opened again where they had to be.

        Raises:
            AccountsUnusable: If they cannot be opened.
        """
        if self._accounts is not None and accounts_stamp(self._home) != self._opened:
            self._drop("the file is another one")
        if self._accounts is None:
            now = time.monotonic()
            if now - self._tried_at < _OPEN_AGAIN_S:
                raise AccountsUnusable
            self._tried_at = now
            try:
                self._accounts = Accounts(self._home)
                self._opened = accounts_stamp(self._home)
            except ConfigurationError as error:
                log.warning("the accounts cannot be used", reason=str(error))
                raise AccountsUnusable from None
        return self._accounts

    def _drop(self, why: str) -> None:
        log.warning("the accounts are opened again", reason=why)
        self._remembered.clear()
        self._changes.close()
        if self._accounts is not None:
            with suppress(ConfigurationError, sqlite3.Error):
                self._accounts.close()
            self._accounts = None

    def _is_home_token(self, text: str) -> bool:
        stamp = self._token_stamp()
        if stamp != self._token_version or not self._token:
            try:
                self._token = ensure_token(self._settings)
            except ConfigurationError as error:
                log.warning("the token of this home cannot be used", reason=str(error))
                self._token = ""
            self._token_version = self._token_stamp()
        return bool(self._token) and hmac.compare_digest(text.encode(), self._token.encode())

    def _token_stamp(self) -> Version:
        try:
            found = os.stat(token_path(self._settings))
        except OSError:
            return (0, 0)
        return found.st_ino, found.st_mtime_ns


class _Changes:
    """Sees every commit to an SQLite file, over a connection of its own that never writes."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._connection: sqlite3.Connection | None = None
        self._file: Version = ()

    def version(self) -> Version:
        """Return the number of the last commit and the file's own; empty where they cannot be read."""
        try:
            stamp = accounts_stamp(self._home)
            if self._connection is None or stamp != self._file:
                self.close()
                self._file = stamp
                address = f"{accounts_path(self._home).as_uri()}?mode=ro"
                self._connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=0)
            return (*stamp, self._connection.execute("PRAGMA data_version").fetchone()[0])
        except (sqlite3.Error, OSError):
            self.close()
            return ()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
