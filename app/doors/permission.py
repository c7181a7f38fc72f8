"""Whether a person may do an act now: their role, the scopes of their token, live venues, and being asked again. Pure.

Whoever carries an act out calls `check` first: the API, the dashboard, the proxy and the command line alike.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.doors.roles import ASKS_AGAIN, Act, Identity, Role, lowest_role, may_trade_live

_DOING: Mapping[Act, str] = {
    Act.VIEW: "Looking",
    Act.DECIDE_PAIRS: "Deciding on pairs",
    Act.WATCH: "Changing the watch list",
    Act.ALERTS: "Acknowledging and testing alerts",
    Act.STOP: "Pausing, reducing and killing trading",
    Act.RESUME: "Resuming trading",
    Act.FLATTEN: "Flattening a trade",
    Act.RUNS: "Changing anything in Dagster",
    Act.SANDBOX: "Using the sandbox's admin port",
    Act.LIMITS: "Changing limits",
    Act.LIVE: "Switching live trading",
    Act.ACCOUNTS: "Changing accounts",
}
_HARMLESS_ON_LIVE = frozenset({Act.VIEW, Act.STOP, Act.WATCH, Act.ALERTS})
"""What a session by link may do while orders go to live venues."""


class PermissionRefused(Exception):
    """A person who may not do an act; the message is one sentence that names the role that may."""


class ConfirmationNeeded(PermissionRefused):
    """They may, once they were asked again who they are (`/-/confirm`)."""


def check(identity: Identity, act: Act, *, now: float, is_live: bool = False, lifts_kill: bool = False) -> None:
    """Refuse an act to who may not do it.

    `Act.STOP` never asks again, and needs neither a password nor OIDC: `act_of_switch` says which acts are that.

    Args:
        identity: Who.
        act: What.
        now: Unix seconds.
        is_live: Whether orders go to live venues.
        lifts_kill: Whether the act lifts a kill.

    Raises:
        PermissionRefused: If their role may not, their token is not for it, or their session is by link and the act
            is one on live venues.
        ConfirmationNeeded: If they must be asked again who they are first.
    """
    if not identity.may(act):
        raise PermissionRefused(_refusal(identity, act))
    if is_live and act not in _HARMLESS_ON_LIVE and not may_trade_live(identity):
        raise PermissionRefused(
            f"{_DOING[act]} on live venues is for {_roles(act)} who signed in with a password or OIDC, not by a link."
        )
    is_asked = act in ASKS_AGAIN or (lifts_kill and act is not Act.STOP)
    if is_asked and not identity.is_confirmed(now):
        raise ConfirmationNeeded(
            f"{'Lifting a kill' if lifts_kill else _DOING[act]} is for {_roles(act)} who confirmed who they are within "
            "the last five minutes; confirm it and try again."
        )


def _refusal(identity: Identity, act: Act) -> str:
    if identity.scopes is not None and act not in identity.scopes:
        return f"{_DOING[act]} is for {_roles(act)}, and needs a token of the scope {act}, which this one has not."
    return f"{_DOING[act]} is for {_roles(act)}; {identity.name} is a {identity.role}."


def _roles(act: Act) -> str:
    """Return who may, in words: `traders and owners`."""
    roles = list(Role)
    names = [f"{role}s" for role in roles[roles.index(lowest_role(act)) :]]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
