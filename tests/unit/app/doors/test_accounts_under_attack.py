"""The accounts when clocks jump, processes race, people are closed, and the file is damaged or cannot be written."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from app.doors.accounts import (
    LINK_FOR_S,
    SESSION_FOR_S,
    SESSION_IDLE_S,
    AccountRefused,
    Accounts,
    TooManyTries,
    accounts_path,
)
from app.doors.roles import Act, Role
from app.doors.store import people
from streams.market.errors import ConfigurationError
from streams.settings import PROJECT_ROOT
from tests.support.clock import Clock

PASSWORD = "correct horse battery"


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Accounts:
    made = Accounts(tmp_path, clock)
    made.add_person("Olga", Role.OWNER, by="test")
    made.add_person("Ada", Role.TRADER, by="test", password=PASSWORD)
    return made


def stored(tmp_path: Path, statement: str) -> None:
    with closing(sqlite3.connect(accounts_path(tmp_path))) as connection, connection:
        connection.execute(statement)


# -- the clock


@pytest.mark.parametrize("back_s", [6.0, 3_600.0, 30 * 86_400.0])
def test_what_is_over_stays_over_when_the_clock_is_set_back(
    accounts: Accounts, clock: Clock, tmp_path: Path, back_s: float
) -> None:
    code, session = accounts.make_link("Ada"), accounts.open_session("Ada", "password")
    _, token = accounts.add_token("bot", "Ada", [Act.VIEW], ends_at=clock.now + 10)
    clock.now += SESSION_FOR_S + 1
    accounts.open_session("Olga", "password")  # somebody looks at the clock, and at none of them
    clock.now -= back_s
    other = Accounts(tmp_path, clock)
    for _ in range(2):
        assert other.use_link(code) is None
        assert other.find_session(session) is None
        assert other.find_token(token) is None
        assert accounts.find_session(session) is None
        clock.now -= SESSION_FOR_S


def test_a_session_keeps_its_age_when_the_clock_is_set_back_and_is_asked_again(
    accounts: Accounts, clock: Clock
) -> None:
    session = accounts.open_session("Ada", "password")
    clock.now += SESSION_IDLE_S - 100
    kept = accounts.find_session(session)
    assert kept is not None
    accounts.confirm_session(kept.session)
    clock.now -= 10 * 86_400
    back = accounts.find_session(session)
    assert back is not None
    assert not back.is_confirmed(clock.now)
    assert not back.is_confirmed(clock.now + 10 * 86_400)
    for _ in range(6):
        clock.now += SESSION_IDLE_S - 100
        assert accounts.find_session(session) is not None
    clock.now += SESSION_IDLE_S - 100
    assert accounts.find_session(session) is None


def test_an_hour_ahead_and_back_ends_links_and_leaves_sessions_and_what_is_made_anew(
    accounts: Accounts, clock: Clock
) -> None:
    session, code = accounts.open_session("Ada", "password"), accounts.make_link("Ada")
    clock.now += 3_600
    _, token = accounts.add_token("ahead", "Ada", [Act.VIEW], ends_at=clock.now + 60)
    assert accounts.find_session(session) is not None
    clock.now -= 3_600
    assert accounts.find_session(session) is not None
    assert accounts.use_link(code) is None
    assert accounts.use_link(accounts.make_link("Ada")) is not None
    assert accounts.find_token(token) is not None
    clock.now += 61
    assert accounts.find_token(token) is None


def test_a_small_step_back_is_overlooked_and_revives_nothing(accounts: Accounts, clock: Clock) -> None:
    session, code = accounts.open_session("Ada", "password"), accounts.make_link("Ada")
    clock.now += LINK_FOR_S + 1
    assert accounts.find_session(session) is not None
    clock.now -= 3
    assert accounts.use_link(code) is None
    assert accounts.find_session(session) is not None


def test_who_tries_a_name_keeps_nobody_from_being_asked_again(accounts: Accounts) -> None:
    identity = accounts.find_session(accounts.open_session("Ada", "password"))
    assert identity is not None
    for _ in range(people._TRIES):
        assert accounts.check_password("Ada", "a guess of a stranger") is None
    with pytest.raises(TooManyTries):
        accounts.check_password("Ada", PASSWORD)
    assert accounts.check_password("Ada", PASSWORD, session=identity.session) is not None
    for _ in range(people._TRIES):
        assert accounts.check_password("Ada", "a guess at a machine left open", session=identity.session) is None
    with pytest.raises(TooManyTries):
        accounts.check_password("Ada", PASSWORD, session=identity.session)


def test_wrong_passwords_count_on_when_the_clock_is_set_back(accounts: Accounts, clock: Clock) -> None:
    for _ in range(5):
        accounts.check_password("Ada", "wrong password")
    clock.now -= 86_400
    with pytest.raises(AccountRefused, match="Too many"):
        accounts.check_password("Ada", PASSWORD)
    clock.now += 301
    assert accounts.check_password("Ada", PASSWORD) is not None


# -- several at once


def test_one_of_many_processes_uses_a_link(accounts: Accounts, clock: Clock, tmp_path: Path) -> None:
    code = accounts.make_link("Ada")
    others = [Accounts(tmp_path, clock) for _ in range(8)]
    start = threading.Barrier(len(others))

    def use(each: Accounts) -> str | None:
        start.wait()
        return each.use_link(code)

    with ThreadPoolExecutor(len(others)) as pool:
        used = list(pool.map(use, others))
    assert sum(session is not None for session in used) == 1


def test_many_threads_of_two_processes_sign_in_at_once(accounts: Accounts, clock: Clock, tmp_path: Path) -> None:
    pair = [accounts, Accounts(tmp_path, clock)]

    def sign_in(number: int) -> bool:
        session = pair[number % 2].open_session("Ada", "password")
        return pair[(number + 1) % 2].find_session(session) is not None

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(sign_in, range(64)))


def test_closing_an_account_ends_sessions_links_and_tokens_for_good(
    accounts: Accounts, clock: Clock, tmp_path: Path
) -> None:
    session, code = accounts.open_session("Ada", "password"), accounts.make_link("Ada")
    _, token = accounts.add_token("bot", "Ada", [Act.VIEW])
    assert accounts.find_session(session) is not None
    other = Accounts(tmp_path, clock)
    other.set_active("ada", is_active=False)
    for _ in range(2):
        assert accounts.find_session(session) is None
        assert accounts.use_link(code) is None
        assert accounts.find_token(token) is None
        other.set_active("ada", is_active=True)


def test_a_password_that_changes_while_the_old_one_is_checked_opens_nothing(
    accounts: Accounts, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Accounts(tmp_path, clock)
    check = people.is_password

    def slow(password: str, stored: str) -> bool:
        other.set_password("Ada", "another long password")
        return check(password, stored)

    monkeypatch.setattr(people, "is_password", slow)
    assert accounts.check_password("Ada", PASSWORD) is None
    monkeypatch.undo()
    assert accounts.check_password("Ada", "another long password") is not None


def test_the_last_owner_stays(accounts: Accounts) -> None:
    with pytest.raises(AccountRefused, match="last owner"):
        accounts.set_active("olga", is_active=False)
    with pytest.raises(AccountRefused, match="last owner"):
        accounts.set_role("Olga", Role.VIEWER)
    accounts.set_role("Ada", Role.OWNER)
    accounts.set_active("Olga", is_active=False)
    with pytest.raises(AccountRefused, match="last owner"):
        accounts.set_role("Ada", Role.TRADER)
    with pytest.raises(AccountRefused, match="no account"):
        accounts.set_role("nobody", Role.TRADER)


# -- the file


def test_a_role_this_version_does_not_know_costs_its_person_only(accounts: Accounts, tmp_path: Path) -> None:
    session = accounts.open_session("Ada", "password")
    _, token = accounts.add_token("bot", "Ada", [Act.VIEW])
    stored(tmp_path, "UPDATE people SET role = 'auditor' WHERE name = 'Ada'")
    assert accounts.find_session(session) is None
    assert accounts.find_token(token) is None
    assert accounts.check_password("Ada", PASSWORD) is None
    assert [(person.name, person.role, person.is_active) for person in accounts.list_people()] == [
        ("Ada", Role.VIEWER, False),
        ("Olga", Role.OWNER, True),
    ]
    accounts.set_role("Ada", Role.TRADER)
    assert accounts.find_session(session) is not None


@pytest.mark.parametrize("scopes", ['["view", "fly"]', '["fly"]', "{}", "", "[1]", "nonsense"])
def test_scopes_this_version_does_not_know_grant_nothing(accounts: Accounts, tmp_path: Path, scopes: str) -> None:
    _, token = accounts.add_token("bot", "Ada", [Act.VIEW])
    stored(tmp_path, f"UPDATE tokens SET scopes = '{scopes}'")
    identity = accounts.find_token(token)
    assert identity is not None
    assert identity.scopes == (frozenset({Act.VIEW}) if "view" in scopes else frozenset())
    assert not identity.may(Act.STOP)


def test_an_unknown_way_of_signing_in_is_nobody_s(accounts: Accounts, tmp_path: Path) -> None:
    session = accounts.open_session("Ada", "password")
    stored(tmp_path, "UPDATE sessions SET how = 'magic'")
    assert accounts.find_session(session) is None


@pytest.mark.parametrize("content", [b"garbage " * 100, b"SQLite format 3\x00" + b"\xff" * 5_000])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = accounts_path(tmp_path)
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"accounts\.sqlite cannot be used: [^\n]+\.$"):
        Accounts(tmp_path)


def test_a_file_that_is_damaged_later_is_one_sentence_each_time(accounts: Accounts, tmp_path: Path) -> None:
    session = accounts.open_session("Ada", "password")
    stored(tmp_path, "DROP TABLE sessions")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            accounts.find_session(session)
        with pytest.raises(ConfigurationError, match="cannot be written"):
            accounts.open_session("Ada", "password")
    assert accounts.find_person("Ada") is not None


def test_a_folder_in_the_place_of_the_file_is_one_sentence(tmp_path: Path) -> None:
    accounts_path(tmp_path).mkdir(parents=True, mode=0o700)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Accounts(tmp_path)


def test_a_file_that_somebody_else_writes_keeps_nobody_waiting_who_is_signed_in(
    accounts: Accounts, clock: Clock, tmp_path: Path
) -> None:
    session = accounts.open_session("Ada", "password")
    _, token = accounts.add_token("bot", "Ada", [Act.STOP])
    clock.now += 100.0  # the clock and the use of the session are to be noted
    with closing(sqlite3.connect(accounts_path(tmp_path), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert accounts.find_session(session) is not None
        assert accounts.find_token(token) is not None
        assert time.monotonic() - began < 4.0, "a look waits for no lock; an act on the accounts does, five seconds"
        other.execute("ROLLBACK")
    assert accounts.find_session(session) is not None
    assert accounts.make_link("Ada")


_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from app.doors.accounts import Accounts
from streams.market.errors import ConfigurationError
accounts = Accounts(Path(sys.argv[1]), lambda: 1_000_100.0)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(accounts.find_session(sys.argv[2]).name)
try:
    accounts.make_link("Ada")
except ConfigurationError as error:
    print(error)
"""


def test_a_full_disk_keeps_nobody_out_who_is_signed_in(accounts: Accounts, tmp_path: Path) -> None:
    session = accounts.open_session("Ada", "password")
    accounts.close()
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path), session],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    name, sentence = done.stdout.splitlines()
    assert name == "Ada"
    assert "cannot be written" in sentence
