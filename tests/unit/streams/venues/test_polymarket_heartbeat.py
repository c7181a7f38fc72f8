"""The dead man's switch: ids, timing of beats, and how long the venue would still wait."""

from __future__ import annotations

import asyncio

import pytest

from streams.market.errors import AuthenticationFailed, OutcomeUnknown, RateLimited, TransientError, Unavailable
from streams.venues.polymarket.clob.heartbeat import DeadMansSwitch, Fuse, beat, keep_alive
from streams.venues.polymarket.errors import HeartbeatMismatch


class Venue:
    """Answers beats in the order given, on a clock that the answers move."""

    def __init__(self, *answers: str | Exception, takes_s: float = 0.2) -> None:
        self.answers = list(answers)
        self.named: list[str] = []
        self.now = 100.0
        self.takes_s = takes_s

    async def post_heartbeat(self, heartbeat_id: str) -> str:
        self.named.append(heartbeat_id)
        self.now += self.takes_s
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def clock(self) -> float:
        return self.now


def test_a_switch_nobody_beat_is_not_armed() -> None:
    switch = DeadMansSwitch()
    assert switch.fuse(5.0) is None
    assert switch.wait_s(0.0) == 0.0
    assert switch.heartbeat_id == ""


def test_the_fuse_runs_from_the_last_beat_the_venue_took() -> None:
    switch = DeadMansSwitch()
    switch.taken("a", sent_at=100.0, now=101.0)
    assert switch.fuse(101.0) == Fuse(9.0, 15.0)
    switch.missed(104.0)
    assert switch.fuse(106.0) == Fuse(4.0, 10.0)
    fired = switch.fuse(111.0)
    assert fired == Fuse(0.0, 5.0)
    assert fired.may_have_fired
    assert switch.fuse(200.0) == Fuse(0.0, 0.0)


def test_beats_go_on_from_the_id_the_venue_names() -> None:
    venue, switch = Venue("a", HeartbeatMismatch("z"), "b"), DeadMansSwitch()

    async def main() -> None:
        for _ in range(3):
            await beat(venue, switch, venue.clock)

    asyncio.run(main())
    assert venue.named == ["", "a", "z"]
    assert switch.heartbeat_id == "b"


def test_a_venue_that_never_agrees_is_not_asked_without_pause() -> None:
    switch = DeadMansSwitch()
    switch.mismatched("y", 1.0)
    assert switch.wait_s(1.0) == 0.0
    switch.mismatched("z", 2.0)
    assert switch.wait_s(2.0) == 1.0


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (TransientError("no connection"), 1.0),
        (OutcomeUnknown("no answer"), 1.0),
        (RateLimited("429", 3.0), 3.0),
        (Unavailable("425", 2.0), 2.0),
        (HeartbeatMismatch("z"), 0.0),
    ],
)
def test_a_beat_that_was_not_taken_is_sent_again_soon(error: Exception, wait: float) -> None:
    venue, switch = Venue("a", error), DeadMansSwitch()

    async def main() -> None:
        await beat(venue, switch, venue.clock)
        await beat(venue, switch, venue.clock)

    asyncio.run(main())
    assert switch.wait_s(venue.now) == pytest.approx(wait)
    fuse = switch.fuse(venue.now)
    assert fuse is not None
    assert fuse.at_least_s == pytest.approx(9.6)


def test_the_loop_beats_every_five_seconds_and_ends_on_a_refused_key(monkeypatch: pytest.MonkeyPatch) -> None:
    venue, switch, waits = Venue("a", "b", AuthenticationFailed("401")), DeadMansSwitch(), []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        venue.now += seconds

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(AuthenticationFailed):
        asyncio.run(keep_alive(venue, switch, venue.clock))
    assert venue.named == ["", "a", "b"]
    assert waits == pytest.approx([0.0, 4.8, 4.8])


def test_a_beat_nobody_answered_may_have_armed_the_switch_and_may_have_lengthened_its_fuse() -> None:
    venue, switch = Venue(OutcomeUnknown("no answer"), "a", OutcomeUnknown("no answer")), DeadMansSwitch()

    async def main() -> None:
        await beat(venue, switch, venue.clock)
        first = venue.now
        armed = switch.fuse(first)
        assert armed is not None
        assert armed.at_most_s == pytest.approx(15.0)
        await beat(venue, switch, venue.clock)
        taken = switch.fuse(venue.now)
        await beat(venue, switch, venue.clock)
        later = switch.fuse(venue.now)
        assert taken is not None
        assert later is not None
        # At the earliest by the beat that was taken, at the latest by the one that may have been.
        assert later.at_least_s < taken.at_least_s
        assert later.at_most_s == pytest.approx(15.0)

    asyncio.run(main())
