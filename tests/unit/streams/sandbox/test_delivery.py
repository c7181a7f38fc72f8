"""Frames on their way to a socket: in order, late by the stated distribution, and wrong only by request."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count, pairwise
from random import Random

from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultPlan, FaultRule
from streams.sandbox.core.profile import ZERO, Profile
from streams.sandbox.http.delivery import Delivery


@dataclass
class Clock:
    """Timers that run only when told."""

    now: float = 0.0
    due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self.due, (when, next(self._numbers), callback))

    def run_to(self, until: float) -> None:
        while self.due and self.due[0][0] <= until:
            self.now, _, callback = heapq.heappop(self.due)
            callback()
        self.now = until


@dataclass
class Wire:
    """What arrived, and when."""

    clock: Clock = field(default_factory=Clock)
    arrived: list[tuple[float, bytes]] = field(default_factory=list)

    def line(self, *rules: FaultRule, profile: Profile = ZERO, seed: int = 1) -> Delivery:
        def write(frame: bytes) -> None:
            self.arrived.append((self.clock.now, frame))

        return Delivery(Venue.KALSHI, FaultPlan(list(rules)), lambda: profile, write, self.clock, Random(seed))

    def frames(self) -> list[bytes]:
        return [frame for _, frame in self.arrived]


def test_without_lag_and_faults_a_frame_is_written_in_the_same_call() -> None:
    wire = Wire()
    wire.line().carry(b"a", "trade")
    assert wire.arrived == [(0.0, b"a")]
    assert not wire.clock.due


def test_lagging_frames_never_overtake_and_have_the_stated_distribution() -> None:
    profile = replace(ZERO, feed_lag_ms=(100, 600))
    lags: list[float] = []
    for seed in range(40):
        wire = Wire()
        line = wire.line(profile=profile, seed=seed)
        for number in range(4_000):
            wire.clock.run_to(number * 0.02)
            line.carry(b"%d" % number, "trade")
        wire.clock.run_to(1_000)
        assert [int(frame) for frame in wire.frames()] == list(range(4_000))
        lags += [at - int(frame) * 0.02 for at, frame in wire.arrived]
    lags.sort()
    assert 0.09 < lags[len(lags) // 2] < 0.125
    assert 0.45 < lags[len(lags) * 99 // 100] < 0.8


def test_a_dropped_frame_is_gone_and_a_duplicated_one_comes_twice() -> None:
    wire = Wire()
    line = wire.line(FaultRule("dropped_frame", skip=1, times=1), FaultRule("duplicated_frame", skip=1, times=1))
    for frame in (b"a", b"b", b"c", b"d"):
        line.carry(frame, "trade")
    assert wire.frames() == [b"a", b"c", b"c", b"d"]


def test_a_reordered_frame_comes_behind_the_next_or_after_its_time_if_none_comes() -> None:
    wire = Wire()
    line = wire.line(FaultRule("reordered_frame", skip=1, times=2, ms=300))
    for frame in (b"a", b"b", b"c"):
        line.carry(frame, "trade")
    line.carry(b"d", "trade")
    wire.clock.run_to(1.0)
    assert wire.frames() == [b"a", b"c", b"b", b"d"]


def test_a_reordered_frame_with_none_behind_it_is_not_kept_for_ever() -> None:
    wire = Wire()
    wire.line(FaultRule("reordered_frame", ms=300)).carry(b"a", "trade")
    assert not wire.arrived
    wire.clock.run_to(1.0)
    assert wire.arrived == [(0.3, b"a")]


def test_a_delayed_frame_holds_up_those_behind_it() -> None:
    wire = Wire()
    line = wire.line(FaultRule("delayed_frame", times=1, ms=500))
    line.carry(b"a", "trade")
    line.carry(b"b", "trade")
    wire.clock.run_to(1.0)
    assert wire.arrived == [(0.5, b"a"), (0.5, b"b")]


def test_rules_go_by_channel_and_by_the_market_the_frame_names() -> None:
    wire = Wire()
    line = wire.line(FaultRule("dropped_frame", channel="trade"), FaultRule("dropped_frame", market="M-1"))
    for channel, frame in (("trade", b"t"), ("fill", b'{"m":"M-1"}'), ("fill", b'{"m":"M-10"}'), ("", b"ack")):
        line.carry(frame, channel)
    assert wire.frames() == [b'{"m":"M-10"}', b"ack"]


def test_a_rule_draws_from_its_own_stream_whatever_other_rules_there_are() -> None:
    def fates(*others: FaultRule) -> list[bool]:
        plan = FaultPlan([FaultRule("dropped_frame", probability=Decimal("0.3"), seed=5), *others])
        fates = []
        for _ in range(200):
            fates.append(plan.fires("dropped_frame", Venue.KALSHI) is not None)
            plan.fires("fade", Venue.KALSHI)
        return fates

    alone = fates()
    assert fates(FaultRule("fade", probability=Decimal("0.5"))) == alone
    assert 30 < sum(alone) < 90
    changes = sum(one != other for one, other in pairwise(alone))
    assert changes > 40
