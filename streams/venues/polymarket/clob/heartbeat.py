"""The dead man's switch: once beaten, the venue cancels all orders of the API key when the beats stop.

More than ten seconds of silence fire it, and the venue looks every five: so it fires between ten and fifteen seconds
after the last beat it took. It cannot be disarmed otherwise than by letting it fire. Each beat names the id that the
last answer gave; a wrong id is answered by 400 with the right one, and beating goes on from that.

`DeadMansSwitch` is the count, pure; `keep_alive` is the loop that beats.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from streams.market.errors import OutcomeUnknown, RateLimited, TransientError, Unavailable
from streams.venues.polymarket.errors import HeartbeatMismatch

BEAT_EVERY_S = 5.0
SILENCE_S = 10.0
CHECKED_EVERY_S = 5.0
AGAIN_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Fuse:
    """In how many seconds the venue cancels everything if no other beat reaches it; both count from now.

    Attributes:
        at_least_s: Not before; 0 once it may have fired.
        at_most_s: By then it has fired.
    """

    at_least_s: float
    at_most_s: float

    @property
    def may_have_fired(self) -> bool:
        """Whether orders may be gone already: read them."""
        return self.at_least_s <= 0.0


class DeadMansSwitch:
    """What is known of the switch. Times are seconds of one monotonic clock.

    Attributes:
        heartbeat_id: What the next beat names; empty for the first.
    """

    def __init__(self) -> None:
        self.heartbeat_id = ""
        self._sent_at: float | None = None
        self._answered_at = 0.0
        self._next_at = 0.0
        self._is_mending = False

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next beat is due."""
        return max(0.0, self._next_at - now)

    def taken(self, heartbeat_id: str, sent_at: float, now: float) -> None:
        """The venue took a beat and named the next id."""
        self.heartbeat_id = heartbeat_id
        self._sent_at, self._answered_at = sent_at, now
        self._next_at = sent_at + BEAT_EVERY_S
        self._is_mending = False

    def mismatched(self, heartbeat_id: str, now: float) -> None:
        """The venue expects another id: beat at once with that one, or in a while if it says so twice."""
        self.heartbeat_id = heartbeat_id
        self._next_at = now + (AGAIN_AFTER_S if self._is_mending else 0.0)
        self._is_mending = True

    def missed(self, now: float, again_after_s: float = AGAIN_AFTER_S) -> None:
        """A beat was not taken: try again soon."""
        self._next_at = now + again_after_s

    def unanswered(self, sent_at: float, now: float) -> None:
        """Nobody knows whether a beat was taken: try again soon.

        If it was, the venue fires later than the beats before it make it, and a first one has armed it.
        """
        self._sent_at = sent_at if self._sent_at is None else self._sent_at
        self._answered_at = now
        self.missed(now)

    def fuse(self, now: float) -> Fuse | None:
        """Return how long until the venue fires, None while it cannot be armed: no beat was taken or may have been."""
        if self._sent_at is None:
            return None
        at_least = self._sent_at + SILENCE_S - now
        at_most = self._answered_at + SILENCE_S + CHECKED_EVERY_S - now
        return Fuse(max(0.0, at_least), max(0.0, at_most))


class Beats(Protocol):
    """What the loop needs of the client."""

    async def post_heartbeat(self, heartbeat_id: str) -> str:
        """Send one beat and return the id of the next."""


async def beat(client: Beats, switch: DeadMansSwitch, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Send one beat and note what came of it.

    Raises:
        PermanentError: The key is refused, or the venue does not take beats: beating on cannot help.
    """
    sent_at = monotonic()
    try:
        heartbeat_id = await client.post_heartbeat(switch.heartbeat_id)
    except HeartbeatMismatch as error:
        switch.mismatched(error.heartbeat_id, monotonic())
    except (RateLimited, Unavailable) as error:
        switch.missed(monotonic(), max(AGAIN_AFTER_S, error.retry_after_s))
    except TransientError:
        switch.missed(monotonic())
    except OutcomeUnknown:
        switch.unanswered(sent_at, monotonic())
    else:
        switch.taken(heartbeat_id, sent_at, monotonic())


async def keep_alive(client: Beats, switch: DeadMansSwitch, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Beat until cancelled; errors as for `beat`. Who owns orders asks `switch.fuse` meanwhile."""
    while True:
        await asyncio.sleep(switch.wait_s(monotonic()))
        await beat(client, switch, monotonic)
