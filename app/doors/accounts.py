"""The accounts of a home: people, sign-in links, sessions and API tokens, in one SQLite file of mode 0600.

It stands beside the warehouse and not in it: a reader of the warehouse sees every table, and people must be able to
sign in and stop trading while the database is away. Links, sessions and tokens are stored as SHA-256 of texts of 256
random bits, so that the file opens no door to who reads it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from app.doors.store.clock import StoredClock
from app.doors.store.file import AccountFile, accounts_path, accounts_stamp
from app.doors.store.people import AccountRefused, People, Person, TooManyTries, UnknownAccount
from app.doors.store.sessions import LINK_FOR_S, SESSION_FOR_S, SESSION_IDLE_S, Sessions
from app.doors.store.tokens import TOKEN_START, Token, Tokens

__all__ = [
    "LINK_FOR_S", "SESSION_FOR_S", "SESSION_IDLE_S", "TOKEN_START", "AccountRefused", "Accounts", "Person", "Token",
    "TooManyTries", "UnknownAccount", "accounts_path", "accounts_stamp",
]  # fmt: skip


class Accounts:
    """The accounts of a home, for any number of processes and threads at once.

    What can be done with people, with links and sessions, and with tokens stands in `store`, a file of each.

    Args:
        home: Of the whole system.
        clock: Unix seconds.

    Raises (every method):
        ConfigurationError: If the file cannot be used.
    """

    def __init__(self, home: Path, clock: Callable[[], float] = time.time) -> None:
        file = AccountFile(home)
        stored = StoredClock(file, clock)
        people = People(file, stored)
        sessions = Sessions(file, people, stored)
        tokens = Tokens(file, people, stored)
        self.close = file.close
        self.add_person = people.add_person
        self.find_person = people.find_person
        self.list_people = people.list_people
        self.set_role = people.set_role
        self.set_password = people.set_password
        self.find_subject = people.find_subject
        self.set_subject = people.set_subject
        self.set_active = people.set_active
        self.check_password = people.check_password
        self.end_sessions_of = people.end_sessions_of
        self.make_link = sessions.make_link
        self.use_link = sessions.use_link
        self.open_session = sessions.open_session
        self.find_session = sessions.find_session
        self.find_identity = sessions.find_identity
        self.confirm_session = sessions.confirm_session
        self.end_session = sessions.end_session
        self.add_token = tokens.add_token
        self.find_token = tokens.find_token
        self.list_tokens = tokens.list_tokens
        self.revoke_token = tokens.revoke_token
