"""What people do on the pages: each act is checked at the moment it is done, whatever the page showed before."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psycopg
import streamlit as st
from psycopg_pool import PoolTimeout

from app.account_actions import reopen_account
from app.act_rules import ActRefused
from app.alert_actions import acknowledge_alert, ask_alert_test
from app.dashboard import theme
from app.dashboard.data import acts_pool, notice_of, settings, show_html
from app.dashboard.identity import find_signed_in, open_accounts
from app.doors.accounts import AccountRefused
from app.doors.permission import ConfirmationNeeded, PermissionRefused, check
from app.doors.roles import Act, Identity
from app.doors.switch_act import act_of_switch
from app.kill import ON_DISK, KillNotTaken, kill_first
from app.operator_actions import (
    UnderWay,
    ask_flatten,
    decide_group,
    set_limits,
    switch_trading,
    unwatch_market,
    watch_market,
)
from app.order_actions import resolve_order
from streams.market.errors import ConfigurationError
from streams.storage.database import Connection
from streams.storage.store.risk import last_switch

_ACTS: Mapping[Callable[..., object], Act] = {
    decide_group: Act.DECIDE_PAIRS,
    watch_market: Act.WATCH,
    unwatch_market: Act.WATCH,
    set_limits: Act.LIMITS,
    ask_flatten: Act.FLATTEN,
    reopen_account: Act.RESUME,
    resolve_order: Act.RESUME,
    acknowledge_alert: Act.ALERTS,
    ask_alert_test: Act.ALERTS,
}
"""What each operator action is; that of `switch_trading` depends on the switch."""
_NAMELESS = frozenset({unwatch_market})
_NOTICE = "notice"
_NOBODY = "Nobody is signed in any more; sign in again. Nothing was written."
_TROUBLE = "The accounts cannot be read, so that only pause, reduce and kill work here; see `crossbook doctor`."
_WRONG_PASSWORD = "That is not your password; nothing was written."  # noqa: S105 - what is said of one
_SAY_IT_AGAIN = "Type your password and confirm once more; nothing was written."
_SIGN_IN_AGAIN = "Say who you are again in the other tab, then confirm once more; nothing was written."


class _NotAsked(Exception):
    """An act that is not carried out because of who asks for it; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an operator action."""

    is_done: bool
    words: str
    icon: str


def act_on_click(
    place: str,
    function: Callable[..., object],
    *arguments: Any,
    done: str,
    also: Callable[[Any], str] | None = None,
    **options: Any,
) -> None:
    """Carry out an operator action as the callback of a button: on what was on the screen when it was clicked.

    A callback has the arguments with which its button was drawn; the script that follows would have read them anew.
    Whether the person may do it is looked up now, and their name stands under it. It has connections that reads cannot
    take; cached reads are dropped, so that the page shows the new state. What came of it is shown by
    `show_outcome(place)`.

    Args:
        place: Where it was asked for; `ask_again` of the same place has their answer.
        function: Takes a connection first, and the person's name as `who`.
        arguments: Its others by position.
        done: What is shown when it was carried out.
        also: Makes of its result what a person must know besides; empty for nothing. It stands until it is read.
        options: Its others by name.
    """
    outcome = _carry_out(place, function, arguments, options, done, also)
    st.session_state[f"outcome-{place}"] = outcome
    st.cache_data.clear()


def show_outcome(place: str) -> bool:
    """Show what came of an act by `act_on_click`, once; return whether one was carried out."""
    outcome: Outcome | None = st.session_state.pop(f"outcome-{place}", None)
    if outcome is None:
        return False
    if outcome.is_done:
        st.toast(theme.plain(outcome.words), icon=outcome.icon)
    else:
        st.error(theme.plain(outcome.words), icon=outcome.icon)
    return outcome.is_done


def show_notice() -> None:
    """Show, once, what a person must know of the act before."""
    if notice := str(st.session_state.pop(_NOTICE, "")):
        st.warning(theme.plain(notice), icon=":material/hourglass_top:")


def person() -> str:
    """Return the name of who is signed in; empty for nobody."""
    here = find_signed_in()
    return "" if here is None else here.identity.name


def barred(act: Act, *, is_done: bool = False) -> dict[str, Any]:
    """Return the options of a button for an act: disabled for who may not do it, with the reason as its help.

    Args:
        act: What the button does.
        is_done: There is nothing left to do; the button is disabled for everybody.
    """
    reason = why_not(act)
    return {"disabled": is_done or bool(reason), "help": reason or None}


def why_not(act: Act) -> str:
    """Return why who is signed in may not do an act; empty where they may, or would only be asked again."""
    here = find_signed_in()
    if here is None:
        return _NOBODY
    if not here.is_known and act is not Act.STOP:
        return _TROUBLE
    try:
        _check(here.identity, act, lifts_kill=False)
    except ConfirmationNeeded:
        return ""
    except PermissionRefused as refused:
        return str(refused)
    return ""


def ask_again(place: str, act: Act, *, lifts_kill: bool = False) -> None:
    """Ask who is signed in who they are, where that is asked before this act; what they typed elsewhere stays.

    Args:
        place: That of the act.
        act: What they are about to do.
        lifts_kill: Whether it ends a kill.
    """
    here = find_signed_in()
    if here is None:
        return
    try:
        _check(here.identity, act, lifts_kill=lifts_kill)
    except ConfirmationNeeded:
        if _has_password(here.identity):
            st.text_input(f"Password of {theme.plain(here.identity.name)}", type="password", key=_password_key(place))
            st.caption("Asked again before this; it stays in force for five minutes.")
        else:
            show_html(confirm_link("Say again who you are (opens in a new tab), then confirm here.", "/"))
    except PermissionRefused:
        return  # said at the act


def confirm_link(words: str, after: str) -> str:
    """Return a link to where people say again who they are, as HTML; `after` is where they go on from there."""
    return f'<a href="/-/confirm?next={quote(after, safe="")}" target="_blank">{theme.text(words)}</a>'


def _carry_out(
    place: str,
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    done: str,
    also: Callable[[Any], str] | None,
) -> Outcome:
    try:
        if function is switch_trading and arguments == ("kill",):
            return _kill(place, options, done, also)
        with acts_pool().connection() as connection:
            identity = _permitted(place, *_act_of(connection, function, arguments))
            named = {} if function in _NAMELESS else {"who": identity.name}
            result = function(connection, *arguments, **options, **named)
    except (ActRefused, AccountRefused, ConfigurationError, KillNotTaken, PermissionRefused, _NotAsked) as error:
        return Outcome(False, str(error), ":material/block:")
    except PoolTimeout as error:
        return Outcome(False, f"{notice_of(error)} Nothing was written.", ":material/cloud_off:")
    except psycopg.Error as error:
        words = f"{notice_of(error)} See whether it was written before you try again."
        return Outcome(False, words, ":material/cloud_off:")
    st.session_state[_NOTICE] = "" if also is None else also(result)
    return Outcome(True, done, ":material/check_circle:")


def _kill(place: str, options: Mapping[str, Any], done: str, also: Callable[[Any], str] | None) -> Outcome:
    """Kill trading, on disk first: it is in force whatever becomes of its row."""
    who = _permitted(place, Act.STOP, lifts_kill=False).name

    def write_row() -> tuple[int, UnderWay]:
        with acts_pool().connection() as connection:
            return switch_trading(connection, "kill", who=who, **options)

    written = kill_first(settings().home_dir, write_row, who=who, reason=str(options.get("reason", "")))
    if written is None:
        return Outcome(True, f"Killed. {ON_DISK}", ":material/dangerous:")
    st.session_state[_NOTICE] = "" if also is None else also(written)
    return Outcome(True, done, ":material/check_circle:")


def _act_of(connection: Connection, function: Callable[..., object], arguments: tuple[Any, ...]) -> tuple[Act, bool]:
    """Return what an operator action is, and whether it lifts a kill."""
    if function is not switch_trading:
        return _ACTS[function], False
    current = last_switch(connection)
    return act_of_switch(arguments[0], None if current is None else current.state)


def _permitted(place: str, act: Act, lifts_kill: bool) -> Identity:
    """Return who acts.

    Raises:
        PermissionRefused: If they may not.
        AccountRefused: If they were asked again and tried too many passwords.
        ConfigurationError: If the accounts cannot be used.
        _NotAsked: If nobody is signed in, or they were asked again and the answer is missing or wrong.
    """
    here = find_signed_in()
    if here is None:
        raise _NotAsked(_NOBODY)
    if not here.is_known and act is not Act.STOP:
        raise _NotAsked(_TROUBLE)
    try:
        _check(here.identity, act, lifts_kill=lifts_kill)
    except ConfirmationNeeded:
        _confirm(place, here.identity)
    return here.identity


def _check(identity: Identity, act: Act, *, lifts_kill: bool) -> None:
    check(identity, act, now=time.time(), is_live=settings().is_live, lifts_kill=lifts_kill)


def _confirm(place: str, identity: Identity) -> None:
    """Take the password that was typed at a place, which is kept nowhere."""
    if not _has_password(identity):
        raise _NotAsked(_SIGN_IN_AGAIN)
    typed = str(st.session_state.get(_password_key(place), ""))
    st.session_state[_password_key(place)] = ""
    if not typed:
        raise _NotAsked(_SAY_IT_AGAIN)
    accounts = open_accounts(settings().home_dir)
    if accounts.check_password(identity.name, typed, session=identity.session) is None:
        raise _NotAsked(_WRONG_PASSWORD)
    accounts.confirm_session(identity.session)


def _has_password(identity: Identity) -> bool:
    person = open_accounts(settings().home_dir).find_person(identity.name)
    return person is not None and person.has_password


def _password_key(place: str) -> str:
    return f"password-{place}"
