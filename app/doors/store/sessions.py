"""Links that sign a person in once, and the sessions of browsers."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from typing import get_args

from app.doors.roles import How, Identity, Role
from app.doors.store.file import AccountFile, hash_of
from app.doors.store.people import People, known_role

LINK_FOR_S = 15 * 60
SESSION_FOR_S = 7 * 24 * 3600
"""Longest life of a session (seconds)."""
SESSION_IDLE_S = 24 * 3600
"""A session that was not used for so long is over (seconds)."""
_SEEN_EVERY_S = 60.0


class Sessions:
    """The links and sessions in a file.

    Args:
        file: Where they stand.
        people: Whose they are.
        clock: Unix seconds.
    """

    def __init__(self, file: AccountFile, people: People, clock: Callable[[], float]) -> None:
        self._file = file
        self._people = people
        self._clock = clock

    def make_link(self, name: str) -> str:
        """Return the code of a link that signs a person in once, within `LINK_FOR_S`.

        Raises:
            AccountRefused: If there is no such person.
        """
        person = self._people.need_person(name)
        code = secrets.token_urlsafe(32)
        with self._file.writing() as write:
            write.execute("DELETE FROM links WHERE ends_at < ?", (self._clock(),))
            write.execute(
                "INSERT INTO links (hash, name, ends_at) VALUES (?,?,?)",
                (hash_of(code), person.name, self._clock() + LINK_FOR_S),
            )
        return code

    def use_link(self, code: str) -> str | None:
        """Return a new session for the code of a link, which is used up; None where it opens nothing."""
        now = self._clock()
        with self._file.writing() as write:
            row = write.execute("DELETE FROM links WHERE hash = ? RETURNING name, ends_at", (hash_of(code),)).fetchone()
            if row is None or not now <= row["ends_at"] <= now + LINK_FOR_S:
                return None
            person = self._people.find_person(row["name"])
            return self.open_session(person.name, "link") if person is not None and person.is_active else None

    def open_session(self, name: str, how: How, *, asked_at: float | None = None) -> str:
        """Return the text of a new session of a person; the browser keeps it as a cookie.

        Args:
            name: Of the person.
            how: They proved who they are; whoever gave a password was asked just now.
            asked_at: When an OIDC provider asked them (Unix seconds); None: it does not say. It need not have asked
                whoever is signed in there.

        Raises:
            AccountRefused: If there is no such person.
        """
        text, now = secrets.token_urlsafe(32), self._clock()
        confirmed_at = now if how == "password" else None if asked_at is None else min(asked_at, now)
        with self._file.writing() as write:
            person = self._people.need_person(name)
            write.execute("DELETE FROM sessions WHERE opened_at < ?", (now - SESSION_FOR_S,))
            write.execute(
                "INSERT INTO sessions (hash, session, name, how, opened_at, seen_at, confirmed_at)"
                " VALUES (?,?,?,?,?,?,?)",
                (hash_of(text), secrets.token_hex(8), person.name, how, now, now, confirmed_at),
            )
        return text

    def find_session(self, text: str, *, is_use: bool = True) -> Identity | None:
        """Return whose session a text is; None where it is over, or the account is closed.

        Args:
            text: Of the session.
            is_use: Whether its person does something; a look at what they left open keeps no session alive.
        """
        row = self._find("s.hash = ?", hash_of(text))
        if row is None:
            return None
        now = self._clock()
        if is_use and now - row["seen_at"] > _SEEN_EVERY_S:
            self._file.note("UPDATE sessions SET seen_at = ? WHERE hash = ?", now, row["hash"])
        return _identity(row)

    def find_identity(self, session: str) -> Identity | None:
        """Return whose session this is (`Identity.session`), as they are now; None where it is over.

        It does not count as use: what is drawn by itself keeps no session alive.
        """
        row = self._find("s.session = ?", session)
        return None if row is None else _identity(row)

    def confirm_session(self, session: str) -> None:
        """Note that the person of a session (`Identity.session`) was asked again just now."""
        with self._file.writing() as write:
            write.execute("UPDATE sessions SET confirmed_at = ? WHERE session = ?", (self._clock(), session))

    def end_session(self, text: str) -> None:
        """Sign out."""
        with self._file.writing() as write:
            write.execute("DELETE FROM sessions WHERE hash = ?", (hash_of(text),))

    def _find(self, which: str, value: str) -> sqlite3.Row | None:
        now = self._clock()
        row = self._file.row(
            "SELECT s.*, p.role, p.password IS NOT NULL OR p.subject IS NOT NULL AS can_confirm"
            f" FROM sessions AS s JOIN people AS p USING (name) WHERE {which} AND p.is_active",
            (value,),
        )
        role = None if row is None else known_role(row["role"])
        if row is None or role is None or row["how"] not in get_args(How):
            return None
        if now - row["opened_at"] > SESSION_FOR_S or now - row["seen_at"] > SESSION_IDLE_S:
            self._file.note("DELETE FROM sessions WHERE hash = ?", row["hash"])
            return None
        return row


def _identity(row: sqlite3.Row) -> Identity:
    return Identity(
        row["name"], Role(row["role"]), row["how"], None, row["confirmed_at"], row["session"],
        can_confirm=bool(row["can_confirm"]),
    )  # fmt: skip
