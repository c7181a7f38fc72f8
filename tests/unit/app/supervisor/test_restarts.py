"""What ends is started again by time and importance; a start that gets on is waited for."""

from __future__ import annotations

from app.supervisor.restarts import IMPORTANT, OPTIONAL, RestartPolicy, Restarts
from streams.storage.server.patience import Patience


def deaths(policy: RestartPolicy, times: list[float], *, is_ready: bool) -> list[str]:
    restarts = Restarts(policy)
    said = []
    for at in times:
        said.append(restarts.on_death(at))
        restarts.on_start()
        if is_ready:
            restarts.on_ready()
    return said


def test_deaths_over_a_long_life_never_end_anything() -> None:
    assert set(deaths(IMPORTANT, [3600.0 * hour for hour in range(500)], is_ready=True)) == {"restart"}


def test_what_never_gets_ready_is_lost_after_a_few_attempts() -> None:
    assert deaths(IMPORTANT, [float(at) for at in range(6)], is_ready=False) == ["restart"] * 5 + ["lost"]


def test_deaths_on_a_full_disk_say_nothing_and_are_tried_again_slowly() -> None:
    restarts = Restarts(IMPORTANT)
    for at in range(0, 6000, 30):
        assert restarts.on_death(float(at), is_excused=True) == "restart"
        assert restarts.due_at == at + IMPORTANT.longest_wait_s
        restarts.on_start()
    assert [restarts.on_death(6000.0 + at) for at in range(6)] == ["restart"] * 5 + ["lost"]


def test_what_works_may_die_more_often_but_not_without_end() -> None:
    said = deaths(IMPORTANT, [float(at) for at in range(13)], is_ready=True)
    assert said == ["restart"] * 12 + ["lost"]


def test_what_is_optional_is_given_up_and_tried_slowly() -> None:
    restarts = Restarts(OPTIONAL)
    verdicts = [restarts.on_death(float(at)) for at in range(6)]
    assert verdicts[-1] == "given_up"
    assert not restarts.is_due(5.0 + OPTIONAL.slow_wait_s - 1)
    assert restarts.is_due(5.0 + OPTIONAL.slow_wait_s)
    restarts.on_start()
    restarts.on_ready()
    assert not restarts.on_stay(5.0 + OPTIONAL.slow_wait_s + 1)
    assert restarts.on_stay(5.0 + OPTIONAL.window_s)
    assert not restarts.is_given_up


def test_the_first_restart_is_at_once_and_the_next_ones_wait_longer_and_longer() -> None:
    restarts = Restarts(RestartPolicy(is_important=True, unready_max=20, deaths_max=50))
    waits = []
    for _ in range(9):
        restarts.on_death(100.0)
        assert restarts.due_at is not None
        waits.append(restarts.due_at - 100.0)
    assert waits == [0, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_slow_start_is_waited_for_while_it_works_or_speaks() -> None:
    patience = Patience(0.0)
    assert not any(patience.is_over(float(at), (at * 0.01, 0)) for at in range(0, 1700, 10))
    patience = Patience(0.0)
    assert not any(patience.is_over(float(at), (0.0, at // 100)) for at in range(0, 1700, 10))


def test_a_start_that_hangs_is_given_up() -> None:
    patience = Patience(0.0)
    assert not patience.is_over(0.0, (3.0, 10))
    assert not patience.is_over(119.0, (3.1, 10))
    assert patience.is_over(121.0, (3.2, 10))


def test_a_start_that_works_for_ever_is_given_up_in_the_end() -> None:
    patience = Patience(0.0)
    assert not patience.is_over(1799.0, (900.0, 10))
    assert patience.is_over(1801.0, (1000.0, 10))
