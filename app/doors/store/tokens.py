"""API tokens: whose, for which acts, and until when."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from app.doors.roles import Act, Identity
from app.doors.store.file import AccountFile, hash_of
from app.doors.store.people import AccountRefused, People, known_role

TOKEN_START = "cbk_"  # noqa: S105 - what every token begins with
_SEEN_EVERY_S = 60.0
_ID_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Token:
    """An API token, without its text, which is shown once. Times are Unix seconds."""

    token_id: int
    label: str
    name: str
    scopes: frozenset[Act]
    made_at: float
    ends_at: float | None
    revoked_at: float | None
    used_at: float | None


class Tokens:
    """The tokens in a file.

    Args:
        file: Where they stand.
        people: Whose they are.
        clock: Unix seconds.
    """

    def __init__(self, file: AccountFile, people: People, clock: Callable[[], float]) -> None:
        self._file = file
        self._people = people
        self._clock = clock

    def add_token(
        self, label: str, name: str, scopes: Iterable[Act], *, ends_at: float | None = None
    ) -> tuple[Token, str]:
        """Add an API token of a person; return it and its text, which is stored nowhere.

        Args:
            label: What it is for.
            name: Whose.
            scopes: The acts it is for; those above its person's role are never granted.
            ends_at: Its end (Unix seconds); None: none.

        Raises:
            AccountRefused: If there is no such person, the label is empty or taken by a token that is in force, the end
                is past, or there is no scope.
        """
        wanted, shown, now = sorted(set(scopes)), " ".join(label.split()), self._clock()
        if not shown or len(shown) > 80 or not shown.isprintable():
            raise AccountRefused("A token needs a label of at most 80 printable characters.")
        if not wanted:
            raise AccountRefused("A token needs at least one scope.")
        if ends_at is not None and ends_at <= now:
            raise AccountRefused("The end of a token must lie ahead.")
        text = TOKEN_START + secrets.token_urlsafe(32)
        with self._file.writing() as write:
            person = self._people.need_person(name)
            taken = write.execute(
                "SELECT 1 FROM tokens WHERE label = ? AND revoked_at IS NULL AND (ends_at IS NULL OR ends_at > ?)",
                (shown, now),
            ).fetchone()
            if taken:
                raise AccountRefused(f"There is a token {shown} already; revoke it first.")
            token_id = write.execute(
                "INSERT INTO tokens (label, name, hash, scopes, made_at, ends_at) VALUES (?,?,?,?,?,?)",
                (shown, person.name, hash_of(text), json.dumps(wanted), now, ends_at),
            ).lastrowid
        return next(token for token in self.list_tokens() if token.token_id == token_id), text

    def find_token(self, text: str) -> Identity | None:
        """Return whose token a text is, with its scopes; None where it is over, or the account is closed."""
        now = self._clock()
        row = self._file.row(
            "SELECT t.*, p.role FROM tokens AS t JOIN people AS p USING (name)"
            " WHERE t.hash = ? AND t.revoked_at IS NULL AND p.is_active",
            (hash_of(text),),
        )
        role = None if row is None else known_role(row["role"])
        if row is None or role is None:
            return None
        if row["ends_at"] is not None and row["ends_at"] <= now:
            self._file.note("UPDATE tokens SET revoked_at = ends_at WHERE token_id = ?", row["token_id"])
            return None
        if row["used_at"] is None or abs(now - row["used_at"]) > _SEEN_EVERY_S:
            self._file.note("UPDATE tokens SET used_at = ? WHERE token_id = ?", now, row["token_id"])
        return Identity(row["name"], role, "token", _scopes(row["scopes"]))

    def list_tokens(self) -> list[Token]:
        """Return all tokens, the oldest first."""
        return [
            Token(
                row["token_id"], row["label"], row["name"], _scopes(row["scopes"]), row["made_at"], row["ends_at"],
                row["revoked_at"], row["used_at"],
            )
            for row in self._file.rows("SELECT * FROM tokens ORDER BY token_id")
        ]  # fmt: skip

    def revoke_token(self, token_id: int) -> None:
        """End a token at once.

        Raises:
            AccountRefused: If there is no such token in force.
        """
        with self._file.writing() as write:
            if (
                not 0 < token_id <= _ID_MAX
                or not write.execute(
                    "UPDATE tokens SET revoked_at = ? WHERE token_id = ? AND revoked_at IS NULL",
                    (self._clock(), token_id),
                ).rowcount
            ):
                raise AccountRefused(f"There is no token {token_id} in force.")


def _scopes(stored: str) -> frozenset[Act]:
    """Return the scopes as they are stored; what this version does not know grants nothing."""
    try:
        return frozenset(Act) & msgspec.json.decode(stored, type=frozenset[str])
    except msgspec.MsgspecError:
        return frozenset()
