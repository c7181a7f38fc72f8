"""The exchanges under way, each cut off as soon as it is not its person's any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.doors.proxy.decisions.asked import Credential
from app.doors.proxy.identities import AccountsUnusable, Caller, Identities, Version
from app.doors.roles import Identity

_OPEN_MAX = 200
"""Of one person at the same time."""
_LOOK_S = 0.25
_LOOK_ANYWAY_S = 30.0
"""Sessions and tokens also end by the clock."""


class NotTheirs(Exception):
    """The person has signed out, or may not do any more what they might when it began."""


@dataclass(eq=False, slots=True)
class _Exchange:
    caller: Caller
    version: Version
    task: asyncio.Task[object]
    is_cut: bool = False


class Exchanges:
    """What is under way of those who are signed in."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self._open: set[_Exchange] = set()

    def has_many(self, caller: Caller) -> bool:
        """Whether a person has as many under way as anybody may have."""
        name = caller.identity.name
        return sum(exchange.caller.identity.name == name for exchange in self._open) >= _OPEN_MAX

    @contextmanager
    def under_way(self, caller: Caller | None) -> Iterator[None]:
        """Hold what this task does as an exchange of somebody; without anybody there is nothing to look after.

        Raises:
            NotTheirs: If it had to be cut off.
        """
        if caller is None:
            yield
            return
        task = asyncio.current_task()
        assert task is not None
        exchange = _Exchange(caller, caller.version, task)
        self._open.add(exchange)
        try:
            yield
        except asyncio.CancelledError:
            if not exchange.is_cut:
                raise
            task.uncancel()
            raise NotTheirs from None
        finally:
            self._open.discard(exchange)

    async def look_after(self) -> None:
        """See to all of them until cancelled: four times a second whether anything changed, and now and then anyway."""
        looked_at = time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_S)
            version, now = self._identities.version(), time.monotonic()
            is_due = now - looked_at > _LOOK_ANYWAY_S
            looked_at = now if is_due else looked_at
            await self._look([each for each in self._open if is_due or each.version != version], version)

    async def _look(self, exchanges: list[_Exchange], version: Version) -> None:
        found: dict[Credential, Identity | None] = {}
        for exchange in exchanges:
            credential = exchange.caller.credential
            try:
                if credential not in found:
                    found[credential] = await self._identities.look(credential)
            except AccountsUnusable:
                return  # whoever was signed in goes on, to stop trading above all; it is looked at again
            exchange.version = version
            if not _is_same(exchange.caller.identity, found[credential]) and exchange in self._open:
                exchange.is_cut = True
                exchange.task.cancel()


def _is_same(before: Identity, now: Identity | None) -> bool:
    return now is not None and (before.name, before.role, before.scopes) == (now.name, now.role, now.scopes)
