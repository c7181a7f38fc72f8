"""What hangs or fails holds nobody up, is not begun twice and is said once."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from app.supervisor.errands import Errand, within
from app.supervisor.service import Supervisor
from app.supervisor.watch import ChildLost, Watch
from streams.settings import load_settings
from tests.support.waiting import eventually


def test_one_that_hangs_is_not_waited_for_and_not_begun_again() -> None:
    begun: list[int] = []
    go_on = Event()

    def hang() -> None:
        begun.append(1)
        go_on.wait()

    errand = Errand("x", hang, 1.0)
    for second in range(5):
        errand.look(float(second))
    eventually(lambda: begun == [1])
    go_on.set()
    assert errand._thread is not None
    errand._thread.join()
    errand.look(5.0)
    eventually(lambda: begun == [1, 1])


def test_one_that_fails_is_done_again_and_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    errand = Errand("x", lambda: [][0], 1.0)
    for second in range(3):
        errand.look(float(second))
        assert errand._thread is not None
        errand._thread.join()
    assert errand._said == "IndexError: list index out of range"


def test_within_a_limit_it_returns_or_raises_what_it_did() -> None:
    assert within(10.0, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(10.0, lambda: 1 // 0)
    go_on = Event()
    with pytest.raises(TimeoutError):
        within(0.05, go_on.wait)
    go_on.set()


@pytest.mark.parametrize("error", [OSError("no"), RuntimeError("can't start new thread"), MemoryError()])
def test_a_look_that_fails_does_not_end_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    looked: list[int] = []

    def fail(_self: object, _now: float) -> None:
        looked.append(1)
        if len(looked) == 2:
            supervisor._stop.set()
        raise error

    settings = load_settings(home=tmp_path, database_url="postgresql://nobody@127.0.0.1:1/none")
    supervisor = Supervisor(settings, lambda _: None)
    supervisor._lock.acquire()
    monkeypatch.setattr(supervisor, "_stop", Event())
    monkeypatch.setattr("app.supervisor.watch.FirstPass.look", fail)
    supervisor._watch(None)
    assert looked == [1, 1]


def test_the_loss_of_a_child_ends_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(_self: object, _now: float) -> None:
        raise ChildLost("daemon keeps ending")

    settings = load_settings(home=tmp_path, database_url="postgresql://nobody@127.0.0.1:1/none")
    supervisor = Supervisor(settings, lambda _: None)
    supervisor._lock.acquire()
    monkeypatch.setattr(supervisor, "_stop", Event())
    monkeypatch.setattr(Watch, "look", lose)
    with pytest.raises(ChildLost):
        supervisor._watch(None)
