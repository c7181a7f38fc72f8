"""The last look before an order's bytes leave, and the moments at which orders that leave together do so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psycopg

from orchestration.execution.decide.risk_checks import Refusal, may_send
from orchestration.execution.venues.gateway import HeldBack
from streams.market.trading import RefusalReason, SwitchState
from streams.storage.database import Connection
from streams.storage.kill_files import switch_in_force
from streams.storage.store.leases import Lease, holds_all

_COPY_LIFE_S = 0.1
"""How long what one order's last look has seen may be believed for the other orders of its hedge."""


class Seen(NamedTuple):
    """What a look has seen: when it began (monotonic seconds), whether all leases are held, and the switch."""

    at: float
    has_leases: bool
    switch: SwitchState


@dataclass(slots=True)
class LookCopy:
    """What the last look of an order that leaves together with others has seen; young enough, it covers them too."""

    seen: Seen | None = None

    def young(self) -> Seen | None:
        """Return it if it is younger than 100 ms."""
        return self.seen if self.seen is not None and time.monotonic() - self.seen.at < _COPY_LIFE_S else None


@dataclass(frozen=True, slots=True)
class LastCheck:
    """Looks whether an order may leave now, as the last act before it does; fails closed.

    Attributes:
        connection: Where switch and leases are.
        home: Where a kill on disk is.
        leases: Held on all markets of the execution.
        purpose: As in `may_send`.
        deadline: When the decision's life ends (monotonic seconds).
        copy: Shared with the orders that leave together with this one; None for an order that leaves alone.
        on_leaving: Is told when it may leave and does so now.
    """

    connection: Connection
    home: Path
    leases: Sequence[Lease]
    purpose: str
    deadline: float
    copy: LookCopy | None = None
    on_leaving: Callable[[], object] | None = None

    def __call__(self) -> None:
        """Return if it may leave, and say that it does.

        Raises:
            HeldBack: If it may not, or the switch cannot be read.
        """
        self.look()
        if self.on_leaving is not None:
            self.on_leaving()

    def look(self) -> None:
        """Return if it may leave.

        Raises:
            HeldBack: If it may not, or the switch cannot be read.
        """
        seen = self.copy.young() if self.copy is not None and self.purpose != "open" else None
        seen = seen or self._look()
        refusal = may_send(
            switch=seen.switch,
            purpose=self.purpose,
            has_leases=seen.has_leases,
            is_within_life=time.monotonic() < self.deadline,
        )
        if refusal is not None:
            raise HeldBack(refusal)

    def _look(self) -> Seen:
        began = time.monotonic()
        try:
            has_leases = holds_all(self.connection, self.leases)
            switch = switch_in_force(self.connection, self.home)
        except psycopg.Error as error:
            raise HeldBack(Refusal(RefusalReason.ERROR, f"the switch could not be read: {error}")) from error
        seen = Seen(began, has_leases, switch)
        if self.copy is not None:
            self.copy.seen = seen
        return seen


class Departures:
    """When the orders of a hedge have left that leave together; the others wait for the first one.

    Attributes:
        left_at: By leg number, when its bytes left (monotonic seconds).
    """

    def __init__(self) -> None:
        self.left_at: dict[int, float] = {}
        self._is_decided = asyncio.Event()

    def note(self, leg_no: int) -> None:
        """Note that a leg's order leaves now; sent again it has left before."""
        self.left_at.setdefault(leg_no, time.monotonic())
        self._is_decided.set()

    def give_up(self) -> None:
        """Note that the first one will not leave any more, if it has not."""
        self._is_decided.set()

    async def first_left(self) -> bool:
        """Wait until the first one has left; False when it will not."""
        await self._is_decided.wait()
        return bool(self.left_at)


def deadline_of(decided_at: datetime, life_s: float) -> float:
    """Return when a decision's life ends, on the clock that nobody sets (monotonic seconds)."""
    return time.monotonic() + min(life_s, life_s - (datetime.now(UTC) - decided_at).total_seconds())
