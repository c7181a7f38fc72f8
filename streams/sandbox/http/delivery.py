"""What lies between an exchange and one socket: frames come late, and by request they are lost, doubled or swapped."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.profile import Lag, Profile

_Z99 = 2.3263478740408408
"""Standard deviations between the median and the 99th percentile of a normal distribution."""


class Timers(Protocol):
    """The part of an event loop that is needed here."""

    def time(self) -> float:
        """Seconds of a clock that never goes back."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Any:
        """Call back at a moment of that clock."""


class Delivery:
    """Carries the frames of one socket, in their order unless a fault says otherwise.

    The lag is log-normal and holds for a while (`feed_lag_holds_ms` on average) before it is drawn anew, as delays of
    one connection do. When it falls, frames that would overtake wait for those before them and arrive together.

    Args:
        venue: Whose socket it is.
        faults: Asked for every frame that has a channel.
        behaviour: The settings of the moment.
        write: Puts a frame on the wire.
        timers: The event loop.
        random: Decides the lags of this socket.
    """

    def __init__(
        self,
        venue: Venue,
        faults: FaultPlan,
        profile: Callable[[], Profile],
        write: Callable[[bytes], Any],
        timers: Timers,
        random: Random,
    ) -> None:
        self._venue = venue
        self._faults = faults
        self._profile = profile
        self._write = write
        self._timers = timers
        self._random = random
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._is_timed = False
        self._swapped: list[bytes] = []
        self._lag_s = 0.0
        self._lag_until = 0.0
        self._lag_of: Lag = (0, 0)

    def carry(self, text: bytes, channel: str) -> None:
        """Take one frame. A reordered one goes out behind the next, or after its rule's `ms` if none comes."""
        profile, is_plain = self._profile(), not self._faults.has_frame_rules
        if is_plain and not profile.feed_lag_ms[0] and not self._waiting and not self._swapped:
            self._write(text)
            return
        extra_s, copies = 0.0, 1
        if channel and not is_plain:
            if self._fires("dropped_frame", channel, text) is not None:
                return
            if (late := self._fires("delayed_frame", channel, text)) is not None:
                extra_s = late
            copies += self._fires("duplicated_frame", channel, text) is not None
            if not self._swapped and (latest := self._fires("reordered_frame", channel, text)) is not None:
                self._timers.call_at(self._timers.time() + latest, self._release)
                self._swapped = [text] * copies
                return
        behind, self._swapped = self._swapped, []
        due = self._timers.time() + self._lag(profile) + extra_s
        for frame in [*[text] * copies, *behind]:
            self._queue(frame, due, is_late=extra_s > 0)

    def _fires(self, kind: Any, channel: str, text: bytes) -> float | None:
        """Seconds of the rule that fires; a rule's market must be named in the frame."""
        for rule in self._faults.rules:
            if rule.kind == kind and rule.concerns(self._venue, rule.market, "", channel):
                if rule.market and f'"{rule.market}"'.encode() not in text:
                    continue
                if rule.fires():
                    return rule.ms / 1000
        return None

    def _lag(self, profile: Profile) -> float:
        lag = profile.feed_lag_ms
        if not lag[0]:
            return 0.0
        now = self._timers.time()
        if now >= self._lag_until or lag != self._lag_of:
            self._lag_s = log_normal(lag, self._random) / 1000
            self._lag_until = now + self._random.expovariate(1000 / max(profile.feed_lag_holds_ms, 1))
            self._lag_of = lag
        return self._lag_s

    def _queue(self, frame: bytes, due: float, *, is_late: bool) -> None:
        if not self._waiting and not is_late and due <= self._timers.time():
            self._write(frame)
            return
        if self._waiting:
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, frame))
        self._arm()

    def _arm(self) -> None:
        if self._waiting and not self._is_timed:
            self._is_timed = True
            self._timers.call_at(self._waiting[0][0], self._deliver)

    def _deliver(self) -> None:
        self._is_timed = False
        now = self._timers.time() + 0.000_5
        while self._waiting and self._waiting[0][0] <= now:
            self._write(self._waiting.popleft()[1])
        self._arm()

    def _release(self) -> None:
        behind, self._swapped = self._swapped, []
        for frame in behind:
            self._queue(frame, self._timers.time(), is_late=False)


def log_normal(lag: Lag, random: Random) -> float:
    """Draw from the log-normal distribution with this median and 99th percentile."""
    median, tail = lag
    if not median:
        return 0.0
    return median * math.exp(math.log(max(tail, median) / median) / _Z99 * random.gauss(0.0, 1.0))
