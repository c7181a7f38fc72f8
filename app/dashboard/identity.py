"""Who sits in front of a page: the identity that the proxy hands in, looked up anew at each drawing and each act."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.doors.accounts import Accounts, accounts_stamp
from app.doors.roles import IDENTITY_HEADER, Identity, Role, from_header
from streams.market.errors import ConfigurationError
from streams.settings import load_settings

_is_behind_proxy = False


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in.

    Attributes:
        identity: Theirs as it is now; where the accounts cannot be read, as it was when the page was opened.
        is_known: Whether the accounts can be read.
    """

    identity: Identity
    is_known: bool = True

    def is_like(self, other: SignedIn) -> bool:
        """Whether pages drawn for one of them are right for the other."""
        return self._key == other._key

    @property
    def _key(self) -> tuple[str, Role, bool]:
        return self.identity.name, self.identity.role, self.is_known


def find_signed_in() -> SignedIn | None:
    """Return who is signed in; None for nobody, and once their session is over."""
    carried = carried_identity()
    if carried is None or not carried.session:  # a token opens no page
        return None
    try:
        identity = open_accounts(load_settings().home_dir).find_identity(carried.session)
    except ConfigurationError:  # its message names files of the home
        return SignedIn(carried, is_known=False)
    return None if identity is None else SignedIn(identity)


def believe_proxy() -> None:
    """Believe the header of an identity from now on.

    For the process alone that serves the pages on a Unix socket, which nobody but the proxy reaches. On a port anybody
    can say who they are.
    """
    global _is_behind_proxy
    _is_behind_proxy = True


def carried_identity() -> Identity | None:
    """Return the identity that came with the page's connection; None where there is none to believe."""
    return from_header(st.context.headers.get(IDENTITY_HEADER) or "") if _is_behind_proxy else None


def open_accounts(home: Path) -> Accounts:
    """Return the accounts of a home; another file in their place, as after a restore, is opened anew.

    Raises:
        ConfigurationError: If they cannot be used.
    """
    return _opened(home, accounts_stamp(home))


@st.cache_resource(show_spinner=False, max_entries=1, on_release=lambda accounts: accounts.close())
def _opened(home: Path, stamp: tuple[int, int]) -> Accounts:
    del stamp  # it names the file in the cache
    return Accounts(home)
