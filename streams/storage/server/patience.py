"""How long what gets on is waited for. PURE."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Patience:
    """How long a start is waited for: on and on while it gets on, up to an end.

    Attributes:
        idle_limit_s: Longest time without noticeable work or a word in the log.
        limit_s: Longest time in all.
    """

    started_at: float
    idle_limit_s: float = 120.0
    limit_s: float = 1800.0
    _moved_at: float | None = None
    _effort: tuple[float, int] = (0.0, 0)

    def is_over(self, now: float, effort: tuple[float, int]) -> bool:
        """Whether to give up; `effort` is the processor time so far (seconds) and the size of the log (bytes).

        Half a second of processor time counts as work: what only waits and looks around uses less in the time.
        """
        if self._moved_at is None or effort[0] >= self._effort[0] + 0.5 or effort[1] != self._effort[1]:
            self._moved_at, self._effort = now, effort
        return now - self._moved_at > self.idle_limit_s or now - self.started_at > self.limit_s
