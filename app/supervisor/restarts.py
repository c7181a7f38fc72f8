"""How often what ended is started again: by time and by importance. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["restart", "lost", "given_up"]


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How one kind of process is started again.

    Attributes:
        is_important: Without it the system ends; anything else is given up with an alarm and tried again slowly.
        deaths_max: More deaths than these within `window_s` are too many.
        window_s: Seconds over which deaths are counted.
        unready_max: More deaths in a row than these without having been ready are too many.
        longest_wait_s: The wait before a restart doubles from a second up to this.
        slow_wait_s: The wait of what was given up.
    """

    is_important: bool
    deaths_max: int = 12
    window_s: float = 600.0
    unready_max: int = 5
    longest_wait_s: float = 30.0
    slow_wait_s: float = 300.0


IMPORTANT = RestartPolicy(is_important=True)
OPTIONAL = RestartPolicy(is_important=False, deaths_max=6)
QUICK = RestartPolicy(is_important=False, longest_wait_s=2.0, slow_wait_s=10.0)
"""Of what people wait for, and what costs little to start."""


@dataclass(slots=True)
class Restarts:
    """The deaths of one process, and when it is to be started again. Times are seconds of one steady clock."""

    policy: RestartPolicy
    due_at: float | None = None
    is_given_up: bool = False
    _deaths: list[float] = field(default_factory=list)
    _unready: int = 0

    def on_ready(self) -> None:
        """It does its work: what kept it from starting is over."""
        self._unready = 0

    def on_death(self, now: float, *, is_excused: bool = False) -> Verdict:
        """Count a death; say what follows, and set `due_at` unless it is lost.

        One that is excused, as on a full disk, says nothing of the process: it is not counted and tried again slowly.
        """
        policy = self.policy
        if is_excused:
            self.due_at = now + policy.longest_wait_s
            return "restart"
        self._deaths = [at for at in self._deaths if now - at < policy.window_s] + [now]
        self._unready += 1
        if len(self._deaths) > policy.deaths_max or self._unready > policy.unready_max:
            if policy.is_important:
                return "lost"
            self.is_given_up = True
            self.due_at = now + policy.slow_wait_s
            return "given_up"
        wait = 0.0 if self._unready == 1 else min(2.0 ** (self._unready - 2), policy.longest_wait_s)
        self.due_at = now + wait
        return "restart"

    def is_due(self, now: float) -> bool:
        """Whether it is to be started now."""
        return self.due_at is not None and now >= self.due_at

    def on_start(self) -> None:
        """It has been started."""
        self.due_at = None

    def on_stay(self, now: float) -> bool:
        """It has been ready; True if that ends its being given up: no death for the whole window."""
        if self.is_given_up and not any(now - at < self.policy.window_s for at in self._deaths):
            self.is_given_up = False
            return True
        return False
