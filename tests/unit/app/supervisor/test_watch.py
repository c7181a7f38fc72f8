"""What ends is started again; what is lost ends everything; what is optional never does; the first pass is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from app.supervisor.dagster_api import DagsterApi
from app.supervisor.plan import _DaemonBeats
from app.supervisor.restarts import IMPORTANT, OPTIONAL, RestartPolicy
from app.supervisor.telling.alarms import Alarms
from app.supervisor.watch import FirstPass, Watch
from streams.market.errors import ConfigurationError, TransientError
from streams.settings import load_settings


class Fake:
    exit_code: int | None = 1

    def __init__(self, name: str, policy: RestartPolicy) -> None:
        self.name = name
        self.policy = policy
        self.starts = 0
        self.is_running = True
        self.lives = True
        self.is_up = True

    @property
    def is_ready(self) -> Callable[[], bool]:
        return lambda: self.is_up

    def start(self) -> None:
        self.starts += 1
        self.is_running = self.lives

    def stop(self) -> None:
        self.is_running = False

    def effort(self) -> tuple[float, int]:
        return 0.0, 0

    def last_words(self) -> str:
        return "Boom: no (x.py, line 3)"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def alarms(tmp_path: Path, said: list[str]) -> Alarms:
    return Alarms(load_settings(home=tmp_path), said.append)


def test_each_of_many_deaths_over_hours_is_answered(alarms: Alarms, said: list[str]) -> None:
    children = [Fake(name, IMPORTANT) for name in ("code-server", "daemon")]
    watch = Watch(children, alarms, said.append)
    for hour in range(100):
        for child in children:
            child.is_running = False
        for step in range(4):
            watch.look(hour * 3600.0 + step)
        assert all(child.is_running for child in children)
    assert [child.starts for child in children] == [100, 100]
    assert "code-server ended (1: Boom: no (x.py, line 3)) and is started again" in said


def test_what_is_needed_and_keeps_ending_is_lost_with_the_reason(alarms: Alarms, said: list[str]) -> None:
    child = Fake("code-server", IMPORTANT)
    child.is_running = child.lives = False
    watch = Watch([child], alarms, said.append)

    def look_on() -> None:
        for second in range(600):
            watch.look(float(second))

    with pytest.raises(TransientError, match=r"code-server keeps ending \(1: Boom: no \(x.py, line 3\)\)"):
        look_on()
    assert child.starts == IMPORTANT.unready_max
    assert said[-1].startswith("ALARM: code-server keeps ending")


def test_what_is_optional_is_tried_slowly_for_ever_and_comes_back(alarms: Alarms, said: list[str]) -> None:
    child, other = Fake("dashboard", OPTIONAL), Fake("daemon", IMPORTANT)
    child.is_running = child.lives = False
    watch = Watch([child, other], alarms, said.append)
    for second in range(7200):
        watch.look(float(second))
    assert alarms.is_open("dashboard")
    assert 20 < child.starts < 40
    child.lives = True
    for second in range(7200, 9000):
        watch.look(float(second))
    assert child.is_running
    assert not alarms.is_open("dashboard")
    assert other.starts == 0


def test_the_death_of_the_database_is_an_alarm_until_it_answers(alarms: Alarms, said: list[str]) -> None:
    child = Fake("PostgreSQL", IMPORTANT)
    watch = Watch([child], alarms, said.append)
    child.is_running, child.is_up = False, False
    watch.look(0.0)
    assert said == ["ALARM: PostgreSQL ended (1: Boom: no (x.py, line 3)) and is started again"]
    watch.look(0.5)
    watch.look(1.0)
    assert alarms.is_open("PostgreSQL")
    child.is_up = True
    watch.look(1.5)
    assert said[1:] == ["PostgreSQL runs again"]


def test_a_start_that_hangs_is_ended_and_tried_again(alarms: Alarms, said: list[str]) -> None:
    child = Fake("daemon", IMPORTANT)
    watch = Watch([child], alarms, said.append)
    child.is_running, child.is_up = False, False
    for second in range(260):
        watch.look(float(second))
    assert child.starts == 3


class FakeDagster:
    def __init__(self, launches: list[str | None], statuses: list[str]) -> None:
        self.launches = launches
        self.statuses = statuses

    def launch(self, job: str) -> str:
        run_id = self.launches.pop(0)
        if run_id is None:
            raise TransientError("Dagster does not answer")
        return run_id

    def run_status(self, run_id: str) -> str:
        return self.statuses.pop(0)


def first_pass(dagster: FakeDagster, alarms: Alarms, said: list[str]) -> FirstPass:
    return FirstPass(cast("DagsterApi", dagster), alarms, said.append)


def test_a_first_pass_that_fails_or_cannot_be_launched_is_launched_again(alarms: Alarms, said: list[str]) -> None:
    dagster = FakeDagster([None, "a", "b", "c"], ["STARTED", "FAILURE", "STARTED", "", "STARTED", "SUCCESS"])
    watched = first_pass(dagster, alarms, said)
    for second in range(300):
        watched.look(float(second))
    assert (dagster.launches, dagster.statuses) == ([], [])
    assert not alarms.is_open("first_pass")


def test_a_first_pass_that_never_succeeds_is_given_up_with_an_alarm(alarms: Alarms, said: list[str]) -> None:
    dagster = FakeDagster([str(number) for number in range(9)], ["FAILURE"] * 9)
    watched = first_pass(dagster, alarms, said)
    for second in range(3000):
        watched.look(float(second))
    assert len(dagster.launches) == 4
    assert alarms.is_open("first_pass")


def test_a_first_pass_that_a_person_ended_is_left_alone(alarms: Alarms, said: list[str]) -> None:
    dagster = FakeDagster(["a"], ["CANCELED"])
    watched = first_pass(dagster, alarms, said)
    for second in range(3000):
        watched.look(float(second))
    assert said == ["first_pass runs as a"]


def test_the_daemon_is_ready_once_each_part_has_beaten_since_the_start() -> None:
    beats: list[Any] = [
        None, {"SENSOR": 5.0, "QUEUE": None}, {"SENSOR": 5.0, "QUEUE": 6.0}, {"SENSOR": 7.0, "QUEUE": 6.0},
        {"SENSOR": 7.0, "QUEUE": 6.0}, {"SENSOR": 8.0, "QUEUE": 9.0},
    ]  # fmt: skip
    is_ready = _DaemonBeats(lambda: beats.pop(0))
    assert [is_ready() for _ in range(6)] == [False, False, False, True, False, True]


def test_a_webhook_address_that_makes_no_sense_silences_nothing(tmp_path: Path, said: list[str]) -> None:
    alarms = Alarms(load_settings(home=tmp_path, alert_webhook_url="not an address\n"), said.append)
    alarms.open("x", "first")
    alarms.open("x", "first")
    alarms.close("x", "over")
    alarms.close("x", "over")
    assert said == ["ALARM: first", "over"]


def test_nothing_is_lost_to_a_full_disk(alarms: Alarms, said: list[str]) -> None:
    child = Fake("PostgreSQL", IMPORTANT)
    child.is_running = child.lives = False
    is_full = [True]
    watch = Watch([child], alarms, said.append, lambda: is_full[0])
    for second in range(3600):
        watch.look(float(second))
    is_full[0], child.lives = False, True
    for second in range(3600, 3700):
        watch.look(float(second))
    assert child.is_running
    assert not alarms.is_open("PostgreSQL")


def test_what_cannot_be_seen_to_costs_nobody_else(alarms: Alarms, said: list[str]) -> None:
    class Unreadable(Fake):
        def stop(self) -> None:
            raise ConfigurationError("cluster.json cannot be read")

    broken, other = Unreadable("PostgreSQL", IMPORTANT), Fake("daemon", IMPORTANT)
    watch = Watch([broken, other], alarms, said.append)
    broken.is_running = other.is_running = False
    for second in range(5):
        watch.look(float(second))
    assert other.is_running
