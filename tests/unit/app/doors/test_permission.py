"""What a person may do: each act by role, scope, live venues and whether they were asked again."""

from __future__ import annotations

import pytest

from app.doors.permission import ConfirmationNeeded, PermissionRefused, check
from app.doors.roles import ASKS_AGAIN, CONFIRMED_FOR_S, Act, How, Identity, Role, lowest_role, may_trade_live
from app.doors.switch_act import act_of_switch

NOW = 1_000_000.0


def owner(how: How, *, confirmed_at: float | None = NOW, can_confirm: bool = True) -> Identity:
    return Identity("Ada", Role.OWNER, how, None, confirmed_at, "s1", can_confirm)


@pytest.mark.parametrize("act", Act)
@pytest.mark.parametrize("role", Role)
def test_an_act_is_refused_below_its_role_in_a_sentence_that_names_who_may(act: Act, role: Role) -> None:
    identity = Identity("Bob", role, "password", None, NOW, "s1", can_confirm=True)
    if identity.may(act):
        check(identity, act, now=NOW)
        return
    with pytest.raises(PermissionRefused, match=rf"{lowest_role(act)}s?.*; Bob is a {role}\.$") as refused:
        check(identity, act, now=NOW)
    assert not isinstance(refused.value, ConfirmationNeeded)


def test_a_token_does_only_what_it_is_for() -> None:
    token = Identity("Ada", Role.OWNER, "token", frozenset({Act.VIEW, Act.LIMITS}))
    check(token, Act.LIMITS, now=NOW, is_live=True)
    with pytest.raises(PermissionRefused, match="scope flatten"):
        check(token, Act.FLATTEN, now=NOW)


@pytest.mark.parametrize("act", Act)
@pytest.mark.parametrize("confirmed_at", [None, NOW - CONFIRMED_FOR_S - 1, NOW + 1])
def test_some_acts_ask_again_after_five_minutes_or_when_the_clock_was_set_back(
    act: Act, confirmed_at: float | None
) -> None:
    identity = owner("password", confirmed_at=confirmed_at)
    if act in ASKS_AGAIN:
        with pytest.raises(ConfirmationNeeded, match="owners who confirmed"):
            check(identity, act, now=NOW)
    else:
        check(identity, act, now=NOW)
    check(owner("password", confirmed_at=NOW - CONFIRMED_FOR_S), act, now=NOW)


def test_a_session_by_link_is_asked_again_where_its_person_has_something_to_answer() -> None:
    check(owner("link", confirmed_at=None, can_confirm=False), Act.LIMITS, now=NOW)
    with pytest.raises(ConfirmationNeeded):
        check(owner("link", confirmed_at=None, can_confirm=True), Act.LIMITS, now=NOW)
    check(owner("link", confirmed_at=NOW, can_confirm=True), Act.LIMITS, now=NOW)


@pytest.mark.parametrize("act", Act)
def test_a_session_by_link_looks_and_stops_on_live_venues_and_does_nothing_more(act: Act) -> None:
    identity = owner("link", can_confirm=False)
    check(identity, act, now=NOW, is_live=False)
    if act in (Act.VIEW, Act.STOP, Act.WATCH, Act.ALERTS):
        check(identity, act, now=NOW, is_live=True)
    else:
        with pytest.raises(PermissionRefused, match="owners who signed in with a password or OIDC"):
            check(identity, act, now=NOW, is_live=True)


def test_all_but_links_may_trade_live() -> None:
    hows: tuple[How, ...] = ("link", "password", "oidc", "token", "shell")
    assert [may_trade_live(owner(how)) for how in hows] == [False, True, True, True, True]


def test_stopping_never_asks_and_takes_any_session() -> None:
    for state, current in [("kill", None), ("kill", "kill"), ("pause", "run"), ("reduce", "pause"), ("pause", None)]:
        act, lifts_kill = act_of_switch(state, current)  # type: ignore[arg-type]
        assert (act, lifts_kill) == (Act.STOP, False)
    for identity in (owner("link", confirmed_at=None), owner("password", confirmed_at=None)):
        check(identity, Act.STOP, now=NOW, is_live=True)
        check(identity, Act.STOP, now=NOW, lifts_kill=True)


def test_a_kill_is_lifted_by_every_other_state_and_asks_again() -> None:
    for state in ("run", "pause", "reduce"):
        act, lifts_kill = act_of_switch(state, "kill")  # type: ignore[arg-type]
        assert (act, lifts_kill) == (Act.RESUME, True)
    with pytest.raises(ConfirmationNeeded, match="Lifting a kill is for traders and owners"):
        check(owner("password", confirmed_at=None), Act.RESUME, now=NOW, lifts_kill=True)
    assert act_of_switch("run", "pause") == (Act.RESUME, False)
    check(owner("password", confirmed_at=None), Act.RESUME, now=NOW)
