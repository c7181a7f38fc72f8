"""The next channel when one fails; one that hangs costs ten seconds once; nothing waits for ever."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr

from streams.alerting.channels import Channel
from streams.alerting.courier import ATTEMPT_LIMIT_S, REST_S, ROUND_LIMIT_S, Courier, Rests
from streams.alerting.kinds import Severity
from streams.alerting.messages import Message, plan_messages
from streams.alerting.sending import TIMEOUT, Outcome
from tests.unit.streams.alerting.test_messages import NOW, due


def message(severity: Severity = "critical") -> Message:
    return plan_messages([due(1, severity)], {}, NOW, 0)[0]


@dataclass
class World:
    """Channels whose answers are given, on a clock that only they move."""

    answers: dict[int, str]
    now: float = 1000.0
    attempts: list[tuple[int, float, str]] = field(default_factory=list)

    def send(self, channel: Channel, _message: Message) -> Outcome:
        error = self.answers[channel.place]
        self.now += ATTEMPT_LIMIT_S if error == TIMEOUT else 0.1
        return Outcome(error, 0)

    def courier(self, rests: Rests | None = None, least: tuple[Severity, ...] = ()) -> Courier:
        channels = [
            Channel(place, "json", least[place - 1] if least else "notice", SecretStr("x")) for place in self.answers
        ]
        return Courier(channels, "sandbox", rests or Rests(), send_=self.send, clock=lambda: self.now)

    def note(self, channel: Channel, outcome: Outcome) -> None:
        self.attempts.append((channel.place, self.now, outcome.error))


@pytest.mark.parametrize("error", ["HTTP 500", "ConnectError", "RemoteProtocolError", TIMEOUT])
def test_the_second_channel_has_it_within_thirty_seconds_when_the_first_fails(error: str) -> None:
    world = World({1: error, 2: ""})
    started = world.now
    assert world.courier().carry(message(), world.note) == "sent"
    assert [(place, said) for place, _, said in world.attempts] == [(1, error), (2, "")]
    assert world.attempts[-1][1] - started < 30


def test_the_second_is_left_alone_when_the_first_takes_it() -> None:
    world = World({1: "", 2: ""})
    assert world.courier().carry(message(), world.note) == "sent"
    assert [place for place, _, _ in world.attempts] == [1]


def test_a_channel_that_hangs_is_asked_once_and_again_after_its_rest() -> None:
    world, rests = World({1: TIMEOUT, 2: ""}), Rests()
    courier = world.courier(rests)
    assert [courier.carry(message(), world.note) for _ in range(20)] == ["sent"] * 20
    assert [place for place, _, _ in world.attempts] == [1] + [2] * 20
    world.now += REST_S
    world.answers[1] = ""
    assert world.courier(rests).carry(message(), world.note) == "sent"
    assert world.attempts[-1][0] == 1


def test_a_message_a_channel_refuses_does_not_keep_it_from_the_others() -> None:
    world = World({1: "HTTP 400"})
    courier = world.courier()
    assert courier.carry(message(), world.note) == "failed"
    world.answers[1] = ""
    assert courier.carry(message(), world.note) == "sent"


def test_five_channels_that_hang_do_not_hold_the_round() -> None:
    world = World(dict.fromkeys(range(1, 6), TIMEOUT))
    started, courier, rests = world.now, world.courier(), Rests()
    assert courier.carry(message(), world.note) == "waiting"
    assert world.now - started <= ROUND_LIMIT_S + ATTEMPT_LIMIT_S
    world.attempts.clear()
    for _ in range(3):
        world.courier(rests).carry(message(), world.note)
    assert {place for place, _, _ in world.attempts} == {1, 2, 3, 4, 5}, "none is for ever behind the others"


def test_a_channel_gets_what_is_grave_enough() -> None:
    world = World({1: "", 2: ""})
    courier = world.courier(least=("critical", "warning"))
    assert [courier.carry(message(severity), world.note) for severity in ("critical", "warning", "notice")] == [
        "sent", "sent", "no channel",
    ]  # fmt: skip
    assert [place for place, _, _ in world.attempts] == [1, 2]


def test_without_channels_nothing_is_sent() -> None:
    world = World({})
    assert world.courier().carry(message(), world.note) == "no channel"
