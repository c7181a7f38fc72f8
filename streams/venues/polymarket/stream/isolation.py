"""Which markets may share a socket, where the venue closes every connection that asks for a certain one.

Pure: times come in. Markets whose connection ends again and again right after it was opened are halved until the one
that is at fault stands alone; that one is left out and tried again later, on a connection of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

from streams.market.errors import TransientError

SETTLED_NS = 10_000_000_000
"""A connection that lived so long was not closed for what it asked for."""
_STRIKES = 3
_STRIKES_OF_HALVES = 1
_FIRST_PAUSE_NS = 60_000_000_000
_LONGEST_PAUSE_NS = 3_600_000_000_000
_MOST_ALONE = 16
"""So many markets left out one after the other, while no connection lives, are no fault of the markets."""
_MOST_GROUPS = 64
"""Nor are so many connections that are suspected at once."""


class Isolation:
    """What is known of the followed markets; one that is not known is not suspected."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._strikes: dict[str, int] = {}
        self._groups: dict[str, int] = {}
        self._pauses: dict[str, int] = {}
        self._tried_again_at: dict[str, int] = {}
        self._last_group = 0
        self._alone = 0

    def groups(self, market_ids: Iterable[str], now_ns: int) -> tuple[list[str], list[list[str]]]:
        """Return which markets may share any connection, and which need one of their own, together; some need none."""
        free: list[str] = []
        apart: dict[int, list[str]] = {}
        for name in market_ids:
            if name in self._tried_again_at and now_ns < self._tried_again_at[name]:
                continue
            if name in self._groups:
                apart.setdefault(self._groups[name], []).append(name)
            else:
                free.append(name)
        return free, list(apart.values())

    def is_suspect(self, market_ids: Iterable[str]) -> bool:
        """Whether one of these markets may be what connections are closed for: nothing is to be put beside it."""
        return any(name in self._groups for name in market_ids)

    def lost(self, market_ids: Sequence[str], others: int, lived_ns: int, now_ns: int) -> list[list[str]]:
        """Return how to ask again for the markets of a connection that ended: together, in halves, or not at all.

        Args:
            market_ids: What it followed.
            others: How many markets other connections follow.
            lived_ns: How long it lived.
            now_ns: Monotonic time.

        Raises:
            TransientError: If it is not for the markets that connections end; all begins anew.
        """
        if lived_ns >= SETTLED_NS:
            self.held(market_ids)
            return [list(market_ids)]
        for name in market_ids:
            self._strikes[name] = self._strikes.get(name, 0) + 1
        if not market_ids or min(self._strikes[name] for name in market_ids) < _STRIKES:
            return [list(market_ids)]
        if len(market_ids) > 1:
            middle = len(market_ids) // 2
            halves = [list(market_ids[:middle]), list(market_ids[middle:])]
            for half in halves:
                self._set_apart(half)
            if len(set(self._groups.values())) > _MOST_GROUPS:
                self._blame_the_venue()
            return halves
        self._alone += 1
        if not others or self._alone >= _MOST_ALONE:
            self._blame_the_venue()
        name = market_ids[0]
        self._set_apart([name])
        self._pauses[name] = min(self._pauses.get(name, _FIRST_PAUSE_NS // 2) * 2, _LONGEST_PAUSE_NS)
        self._tried_again_at[name] = now_ns + self._pauses[name]
        return []

    def held(self, market_ids: Iterable[str]) -> None:
        """A connection with these markets lives: none of them is what connections are closed for."""
        self._alone = 0
        for name in market_ids:
            for known in (self._strikes, self._groups, self._pauses, self._tried_again_at):
                known.pop(name, None)

    def _blame_the_venue(self) -> NoReturn:
        self._forget()
        raise TransientError("the venue closes every connection at its first command")

    def _set_apart(self, market_ids: Iterable[str]) -> None:
        self._last_group += 1
        for name in market_ids:
            self._groups[name] = self._last_group
            self._strikes[name] = _STRIKES_OF_HALVES
