"""Roles, the acts each may do, and the identity that a request carries. Pure: no storage, no clock."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec

IDENTITY_HEADER = "x-crossbook-identity"
"""Set by the proxy on what it passes on; whatever comes from outside under this name is dropped."""

CONFIRMED_FOR_S = 300.0
"""How long a person who was asked again is not asked once more (seconds)."""

How = Literal["link", "password", "oidc", "token", "shell"]
"""How a person proved who they are; `shell` is the command line of the home's own user."""


class Role(StrEnum):
    """What a person is; each may do what those before it may."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    TRADER = "trader"
    OWNER = "owner"


class Act(StrEnum):
    """What can be done. An API token names those it is for, as its scopes."""

    VIEW = "view"
    DECIDE_PAIRS = "decide_pairs"
    WATCH = "watch"
    ALERTS = "alerts"
    STOP = "stop"
    RESUME = "resume"
    FLATTEN = "flatten"
    RUNS = "runs"
    SANDBOX = "sandbox"
    LIMITS = "limits"
    LIVE = "live"
    ACCOUNTS = "accounts"


_LOWEST: Mapping[Act, Role] = {
    Act.VIEW: Role.VIEWER,
    Act.DECIDE_PAIRS: Role.REVIEWER,
    Act.WATCH: Role.REVIEWER,
    Act.ALERTS: Role.REVIEWER,
    Act.STOP: Role.TRADER,  # pause, reduce and kill
    Act.RESUME: Role.TRADER,
    Act.FLATTEN: Role.TRADER,
    Act.RUNS: Role.TRADER,  # whatever changes something in Dagster
    Act.SANDBOX: Role.TRADER,  # the admin port of the sandbox exchanges
    Act.LIMITS: Role.OWNER,
    Act.LIVE: Role.OWNER,
    Act.ACCOUNTS: Role.OWNER,
}
_RANK = {role: rank for rank, role in enumerate(Role)}

ASKS_AGAIN = frozenset({Act.LIMITS, Act.LIVE, Act.FLATTEN})
"""Acts before which a person is asked again who they are; so is lifting a kill. `Act.STOP` never asks."""


def lowest_role(act: Act) -> Role:
    """Return the lowest role that may do an act."""
    return _LOWEST[act]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who does something.

    Attributes:
        name: Of the person; stands in every row of what they do.
        role: Theirs.
        how: How they proved it.
        scopes: Acts a token is for; None: whatever the role may.
        confirmed_at: When they were last asked again (Unix seconds); None: never.
        session: Names the session in which they are signed in; empty for tokens and the shell.
        can_confirm: Whether the person of a session has a password or an OIDC account to confirm with.
    """

    name: str
    role: Role
    how: How
    scopes: frozenset[Act] | None = None
    confirmed_at: float | None = None
    session: str = ""
    can_confirm: bool = False

    def may(self, act: Act) -> bool:
        """Whether they may do an act, apart from being asked again."""
        return _RANK[self.role] >= _RANK[_LOWEST[act]] and (self.scopes is None or act in self.scopes)

    def is_confirmed(self, now: float) -> bool:
        """Whether they need not be asked again at `now` (Unix seconds).

        A token and the shell cannot be asked; a person who signed in by a link and has neither a password nor an OIDC
        account has nothing else to say, and live trading is closed to them.
        """
        if self.how in ("token", "shell") or (self.how == "link" and not self.can_confirm):
            return True
        return self.confirmed_at is not None and 0 <= now - self.confirmed_at <= CONFIRMED_FOR_S


def may_trade_live(identity: Identity) -> bool:
    """Whether what a person does may reach live venues, apart from their role.

    A link proves only who could read a terminal; a password, an OIDC account, a token that somebody made for this, and
    the home's own user at the command line prove more.
    """
    return identity.how != "link"


class _Carried(msgspec.Struct):
    name: str
    role: Role
    how: How
    scopes: list[Act] | None
    confirmed_at: float | None
    session: str
    can_confirm: bool


def to_header(identity: Identity) -> str:
    """Return an identity as the text of `IDENTITY_HEADER`: base64url of JSON, so that any name fits."""
    scopes = None if identity.scopes is None else sorted(identity.scopes)
    carried = _Carried(
        identity.name, identity.role, identity.how, scopes, identity.confirmed_at, identity.session,
        identity.can_confirm,
    )  # fmt: skip
    return base64.urlsafe_b64encode(msgspec.json.encode(carried)).decode()


def from_header(text: str) -> Identity | None:
    """Return the identity of a header's text; None where it holds none."""
    try:
        carried = msgspec.json.decode(base64.b64decode(text, altchars=b"-_", validate=True), type=_Carried)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        return None
    scopes = None if carried.scopes is None else frozenset(carried.scopes)
    return Identity(
        carried.name, carried.role, carried.how, scopes, carried.confirmed_at, carried.session, carried.can_confirm
    )
