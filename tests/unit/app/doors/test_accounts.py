"""The accounts of a home: links once, sessions that end, tokens with scopes, and wrong passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.doors.accounts import LINK_FOR_S, SESSION_IDLE_S, AccountRefused, Accounts, TooManyTries, accounts_path
from app.doors.roles import ASKS_AGAIN, Act, Identity, Role, from_header, lowest_role, to_header
from tests.support.clock import Clock


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Accounts:
    made = Accounts(tmp_path, clock)
    made.add_person("Ada", Role.TRADER, by="test", password="correct horse battery")
    return made


def test_the_file_is_its_owner_s(accounts: Accounts, tmp_path: Path) -> None:
    assert accounts_path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert accounts_path(tmp_path).parent.stat().st_mode & 0o777 == 0o700


def test_a_link_signs_in_once_and_in_time(accounts: Accounts, clock: Clock) -> None:
    code = accounts.make_link("Ada")
    session = accounts.use_link(code)
    assert session is not None
    identity = accounts.find_session(session)
    assert identity is not None
    assert (identity.name, identity.role, identity.how) == ("Ada", Role.TRADER, "link")
    assert accounts.use_link(code) is None
    late = accounts.make_link("Ada")
    clock.now += LINK_FOR_S + 1
    assert accounts.use_link(late) is None
    early = accounts.make_link("Ada")
    clock.now -= 2 * LINK_FOR_S
    assert accounts.use_link(early) is None


def test_a_session_ends_when_idle_signed_out_closed_or_with_a_new_password(accounts: Accounts, clock: Clock) -> None:
    idle, out, elsewhere = (accounts.open_session("Ada", "password") for _ in range(3))
    accounts.end_session(out)
    assert accounts.find_session(out) is None
    assert accounts.find_session(idle) is not None
    clock.now += SESSION_IDLE_S + 1
    assert accounts.find_session(elsewhere) is None
    fresh = accounts.open_session("ada", "password")
    accounts.set_password("Ada", "another long password")
    assert accounts.find_session(fresh) is None
    fresh = accounts.open_session("Ada", "password")
    accounts.set_active("Ada", is_active=False)
    assert accounts.find_session(fresh) is None
    with pytest.raises(AccountRefused):
        accounts.open_session("Ada", "password")


def test_a_look_at_what_was_left_open_keeps_no_session_alive(accounts: Accounts, clock: Clock) -> None:
    session = accounts.open_session("Ada", "password")
    clock.now += SESSION_IDLE_S - 10
    assert accounts.find_session(session, is_use=False) is not None
    clock.now += 20
    assert accounts.find_session(session) is None


def test_a_changed_role_is_in_force_at_the_next_look_of_another_process(accounts: Accounts, tmp_path: Path) -> None:
    session = accounts.open_session("Ada", "password")
    Accounts(tmp_path).set_role("Ada", Role.VIEWER)
    found = accounts.find_session(session)
    assert found is None or found.role is Role.VIEWER


def test_a_token_has_scopes_an_end_and_a_person(accounts: Accounts, clock: Clock, tmp_path: Path) -> None:
    token, text = accounts.add_token("bot", "Ada", [Act.VIEW, Act.LIMITS], ends_at=clock.now + 10)
    identity = accounts.find_token(text)
    assert identity is not None
    assert identity.name == "Ada"
    assert identity.may(Act.VIEW)
    assert not identity.may(Act.LIMITS)  # a trader's token grants no more than its person has
    assert not identity.may(Act.FLATTEN)
    with pytest.raises(AccountRefused, match="already"):
        accounts.add_token("bot", "Ada", [Act.VIEW])
    clock.now += 11
    assert accounts.find_token(text) is None
    _, text = accounts.add_token("bot", "Ada", [Act.VIEW])
    accounts.revoke_token(token.token_id + 1)
    assert accounts.find_token(text) is None
    stored = b"".join(file.read_bytes() for file in accounts_path(tmp_path).parent.iterdir())
    assert b"bot" in stored
    assert text.encode() not in stored


def test_wrong_passwords_of_a_name_are_counted_whatever_the_name(accounts: Accounts, clock: Clock) -> None:
    for name in ("Ada", "nobody"):
        for _ in range(5):
            assert accounts.check_password(name, "wrong password") is None
        with pytest.raises(TooManyTries) as refused:
            accounts.check_password(name.upper(), "correct horse battery")
        assert 0 < refused.value.retry_after_s <= 300
    clock.now += 301
    person = accounts.check_password("ada", "correct horse battery")
    assert person is not None
    assert person.name == "Ada"


@pytest.mark.parametrize("name", ["", " ", "supervisor", "Sandbox", "a\u202eb", "x" * 81, "ADA", "ａda"])
def test_names_that_cannot_be_a_person_s_or_look_like_another_are_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        accounts.add_person(name, Role.VIEWER, by="test")


def test_each_role_may_do_what_the_one_below_may() -> None:
    for act in Act:
        allowed = [Identity("x", role, "password").may(act) for role in Role]
        assert allowed == sorted(allowed)
        assert allowed[-1]
        assert allowed.index(True) == list(Role).index(lowest_role(act))
    assert Act.STOP not in ASKS_AGAIN


def test_an_identity_travels_in_a_header_with_any_name() -> None:
    identity = Identity("Zoë 王", Role.REVIEWER, "token", frozenset({Act.VIEW}), 12.5, "s1")
    assert from_header(to_header(identity)) == identity
    assert to_header(identity).isascii()
    for text in ("", "x", "e30=", "é", to_header(identity)[:-5]):
        assert from_header(text) is None


def test_an_open_page_finds_its_person_as_they_are_now_and_keeps_no_session_alive(
    accounts: Accounts, clock: Clock
) -> None:
    text = accounts.open_session("Ada", "password")
    opened = accounts.find_session(text)
    assert opened is not None
    accounts.set_role("Ada", Role.VIEWER)
    clock.now += 100
    accounts.confirm_session(opened.session)
    now = accounts.find_identity(opened.session)
    assert now is not None
    assert (now.name, now.role, now.how, now.confirmed_at) == ("Ada", Role.VIEWER, "password", clock.now)
    clock.now += SESSION_IDLE_S - 50
    assert accounts.find_identity(opened.session) is None
    assert accounts.find_session(text) is None
    assert accounts.find_identity("") is None


def test_a_page_of_who_signed_out_or_whose_account_is_closed_finds_nobody(accounts: Accounts) -> None:
    for end in (accounts.end_session, lambda _: accounts.set_active("Ada", is_active=False)):
        text = accounts.open_session("Ada", "link")
        opened = accounts.find_session(text)
        assert opened is not None
        end(text)
        assert accounts.find_identity(opened.session) is None
