"""People: their accounts, roles and passwords."""

from __future__ import annotations

import functools
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from app.doors.names import checked_name, folded_name, looks_alike
from app.doors.passwords import hash_password, is_password
from app.doors.roles import Role
from app.doors.store.file import AccountFile

_TRIES = 5
_TRIES_WITHIN_S = 300.0
"""Five wrong passwords of a name within five minutes, and the sixth try waits."""


class AccountRefused(ValueError):
    """What was asked of the accounts cannot be; the message says what to do."""


class UnknownAccount(AccountRefused):
    """There is no account of that name."""


class TooManyTries(AccountRefused):
    """Too many wrong passwords; wait `retry_after_s` (seconds)."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"Too many wrong passwords; try again in {int(retry_after_s) + 1} seconds.")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Person:
    """An account.

    Attributes:
        name: As it stands in rows.
        role: What they may do; the lowest one where the file holds a role that this version does not know.
        has_password: Whether they can sign in with one.
        subject: `issuer subject` of their OIDC account; None without one.
        is_active: False once the account is closed, and for a role that is not known.
        added_at: Unix seconds.
        added_by: Who added it.
    """

    name: str
    role: Role
    has_password: bool
    subject: str | None
    is_active: bool
    added_at: float
    added_by: str


class People:
    """The accounts in a file.

    Args:
        file: Where they stand.
        clock: Unix seconds.
    """

    def __init__(self, file: AccountFile, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock

    def add_person(
        self, name: str, role: Role, *, by: str, password: str | None = None, subject: str | None = None
    ) -> Person:
        """Add an account; return it.

        Args:
            name: Of the person.
            role: What they may do.
            by: Who adds it.
            password: Theirs; None: they sign in by link or OIDC.
            subject: `issuer subject` of their OIDC account.

        Raises:
            AccountRefused: If the name is taken, reserved, or looks like one that is taken.
            UnusablePassword: If the password is too short or too long.
        """
        checked = checked_name(name)
        stored = None if password is None else hash_password(password)
        with self._file.writing() as write:
            if any(looks_alike(checked, row["name"]) for row in write.execute("SELECT name FROM people")):
                raise AccountRefused(f"The name {checked} is taken, or looks like one that is.")
            if subject and write.execute("SELECT 1 FROM people WHERE subject = ?", (subject,)).fetchone():
                raise AccountRefused("That outside account belongs to another person here.")
            write.execute(
                "INSERT INTO people (name, folded, role, password, subject, added_at, added_by) VALUES (?,?,?,?,?,?,?)",
                (checked, folded_name(checked), role, stored, subject, self._clock(), by),
            )
        return self.need_person(checked)

    def find_subject(self, subject: str) -> Person | None:
        """Return the account whose OIDC account a subject is; None where there is none."""
        row = self._file.row("SELECT * FROM people WHERE subject = ?", (subject,))
        return None if row is None else _person(row)

    def find_person(self, name: str) -> Person | None:
        """Return the account of a name, however it is capitalised; None where there is none."""
        row = self._file.row("SELECT * FROM people WHERE folded = ?", (folded_name(name),))
        return None if row is None else _person(row)

    def list_people(self) -> list[Person]:
        """Return all accounts, by name."""
        return [_person(row) for row in self._file.rows("SELECT * FROM people ORDER BY folded")]

    def set_role(self, name: str, role: Role) -> None:
        """Change what a person may do; it is in force at their next request, and their sockets are closed.

        Raises:
            AccountRefused: If there is no such person, or no owner would be left.
        """
        with self._file.writing():
            if role is not Role.OWNER:
                self._need_another_owner(name)
            self._change_person(name, "role = ?", role)

    def set_password(self, name: str, password: str) -> None:
        """Change a person's password and end all their sessions.

        Raises:
            AccountRefused: If there is no such person.
            UnusablePassword: If it is too short or too long.
        """
        stored = hash_password(password)
        with self._file.writing():
            self._change_person(name, "password = ?", stored)
            self.end_sessions_of(name)

    def set_subject(self, name: str, subject: str | None) -> None:
        """Change which OIDC account signs a person in (None: none) and end all their sessions.

        Raises:
            AccountRefused: If there is no such person, or it belongs to another one.
        """
        with self._file.writing():
            other = None if subject is None else self.find_subject(subject)
            if other is not None and folded_name(other.name) != folded_name(name):
                raise AccountRefused("That outside account belongs to another person here.")
            self._change_person(name, "subject = ?", subject)
            self.end_sessions_of(name)

    def set_active(self, name: str, *, is_active: bool) -> None:
        """Close an account, which ends its sessions, links and tokens at once, or open it again, without those.

        Raises:
            AccountRefused: If there is no such person, or no owner would be left.
        """
        now = self._clock()
        with self._file.writing() as write:
            if not is_active:
                self._need_another_owner(name)
            self._change_person(name, "is_active = ?", int(is_active))
            if not is_active:
                self.end_sessions_of(name)
                write.execute(
                    "UPDATE tokens SET revoked_at = ? WHERE revoked_at IS NULL"
                    " AND name IN (SELECT name FROM people WHERE folded = ?)",
                    (now, folded_name(name)),
                )

    def check_password(self, name: str, password: str, *, session: str = "") -> Person | None:
        """Return the person whose name and password these are; None where they are nobody's.

        A name nobody has takes as long as a wrong password.

        Args:
            name: Of the person.
            password: Theirs.
            session: Of who is asked again (`Identity.session`). Their tries are counted apart: who tries their name
                without being signed in does not keep them from it.

        Raises:
            TooManyTries: If this name, or this session, was tried too often of late.
        """
        folded = folded_name(name)
        counted = f"session {session}" if session else folded
        now = self._clock()
        with self._file.writing() as write:
            write.execute("DELETE FROM wrong_passwords WHERE at < ? OR at > ?", (now - _TRIES_WITHIN_S, now))
            tries = write.execute(
                "SELECT count(*) AS n, min(at) AS first FROM wrong_passwords WHERE folded = ?", (counted,)
            ).fetchone()
            if tries["n"] >= _TRIES:
                raise TooManyTries(tries["first"] + _TRIES_WITHIN_S - now)
            write.execute("INSERT INTO wrong_passwords (folded, at) VALUES (?, ?)", (counted, now))
        row = self._file.row("SELECT * FROM people WHERE folded = ? AND is_active", (folded,))
        stored = None if row is None else row["password"]
        if not is_password(password, stored or _nobody()) or row is None or stored is None:
            return None
        with self._file.writing() as write:
            write.execute("DELETE FROM wrong_passwords WHERE folded = ?", (counted,))
            row = write.execute("SELECT * FROM people WHERE folded = ? AND password = ?", (folded, stored)).fetchone()
        # Changed meanwhile, or closed: the old one opens nothing any more.
        person = None if row is None else _person(row)
        return person if person is not None and person.is_active else None

    def end_sessions_of(self, name: str) -> int:
        """Sign a person out everywhere; return how many sessions ended. Links that were not used yet are gone too."""
        with self._file.writing() as write:
            write.execute(
                "DELETE FROM links WHERE name IN (SELECT name FROM people WHERE folded = ?)", (folded_name(name),)
            )
            return write.execute(
                "DELETE FROM sessions WHERE name IN (SELECT name FROM people WHERE folded = ?)", (folded_name(name),)
            ).rowcount

    def need_person(self, name: str) -> Person:
        """Return the account of a name.

        Raises:
            AccountRefused: If there is none, or it is closed.
        """
        person = self.find_person(name)
        if person is None:
            raise UnknownAccount(f"There is no account {name}.")
        if not person.is_active:
            raise AccountRefused(f"The account {person.name} is closed; `crossbook users open` opens it again.")
        return person

    def _need_another_owner(self, name: str) -> None:
        """Refuse to take the last owner away: the accounts would be anybody's who runs the next command."""
        owners = [person.name for person in self.list_people() if person.is_active and person.role is Role.OWNER]
        if [folded_name(owner) for owner in owners] == [folded_name(name)]:
            raise AccountRefused(f"{owners[0]} is the last owner; make another account an owner first.")

    def _change_person(self, name: str, change: str, value: object) -> None:
        with self._file.writing() as write:
            if not write.execute(f"UPDATE people SET {change} WHERE folded = ?", (value, folded_name(name))).rowcount:
                raise UnknownAccount(f"There is no account {name}.")


@functools.cache
def _nobody() -> str:
    """What the password of a name that nobody has is compared with."""
    return hash_password(secrets.token_urlsafe(32))


def _person(row: sqlite3.Row) -> Person:
    role = known_role(row["role"])
    return Person(
        row["name"], role or Role.VIEWER, row["password"] is not None, row["subject"],
        bool(row["is_active"]) and role is not None, row["added_at"], row["added_by"],
    )  # fmt: skip


def known_role(stored: str) -> Role | None:
    """Return a role as the file holds it; None for one that this version does not know."""
    return Role(stored) if stored in list(Role) else None
