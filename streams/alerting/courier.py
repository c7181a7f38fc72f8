"""Who carries messages: the first channel, and the next where it fails; one that hung rests for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from streams.alerting.channels import Channel
from streams.alerting.messages import Message
from streams.alerting.sending import Outcome, send

ATTEMPT_LIMIT_S = 10.0
"""Longest attempt; with what comes before it the second channel has a message well within thirty seconds."""
ROUND_LIMIT_S = 25.0
"""After this no attempt of a round begins: whoever waits for the round, a sensor, has sixty seconds."""
REST_S = 60.0
"""A channel that hung is left out for this long, so that it costs its ten seconds once and not at each message."""

Carried = Literal["sent", "failed", "no channel", "waiting"]
"""`waiting`: the round ended before every channel had been tried."""
Send = Callable[[Channel, Message], Outcome]
OnAttempt = Callable[[Channel, Outcome], None]


@dataclass(slots=True)
class Rests:
    """Which channels rest, by their place, until when (monotonic seconds). Kept by a process between rounds."""

    until: dict[int, float] = field(default_factory=dict)

    def is_resting(self, place: int, now: float) -> bool:
        """Whether a channel rests."""
        return now < self.until.get(place, now)


class Courier:
    """One round of deliveries.

    Args:
        channels: In their order.
        environment: The venues in force, said in each message.
        rests: Of this process.
        send_: Sends one message through one channel.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        environment: str,
        rests: Rests,
        *,
        send_: Send | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channels = channels
        self._rests = rests
        self._send: Send = send_ or (lambda channel, message: send(channel, message, environment, ATTEMPT_LIMIT_S))
        self._clock = clock
        self._ends_at = clock() + ROUND_LIMIT_S

    @property
    def is_over(self) -> bool:
        """Whether the time of the round is over."""
        return self._clock() >= self._ends_at

    def carry(self, message: Message, on_attempt: OnAttempt) -> Carried:
        """Try one channel after the other until one takes the message.

        Args:
            message: What to send.
            on_attempt: Told of each attempt as soon as it has ended; what it raises ends the round.
        """
        takers = [channel for channel in self._channels if channel.takes(message.severity)]
        if not takers:
            return "no channel"
        now = self._clock()
        awake = [channel for channel in takers if not self._rests.is_resting(channel.place, now)]
        for channel in awake:
            if self.is_over:
                return "waiting"
            outcome = self._send(channel, message)
            if outcome.is_hung:
                self._rests.until[channel.place] = self._clock() + REST_S
            else:
                self._rests.until.pop(channel.place, None)
            on_attempt(channel, outcome)
            if outcome.is_sent:
                return "sent"
        return "failed" if awake else "waiting"


def try_channels(channels: Sequence[Channel], message: Message, environment: str) -> list[tuple[Channel, Outcome]]:
    """Send a message through every channel at once, whatever severity it takes; return what became of each."""
    if not channels:
        return []
    with ThreadPoolExecutor(len(channels), thread_name_prefix="alert test") as pool:
        outcomes = pool.map(lambda channel: send(channel, message, environment, ATTEMPT_LIMIT_S), channels)
        return list(zip(channels, outcomes, strict=True))
