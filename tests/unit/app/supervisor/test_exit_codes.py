"""What `crossbook up` says and returns, tried with processes that are none of the system's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.main import main
from app.stop_request import STOP_WANTED
from app.supervisor import service
from app.supervisor.children import Child
from app.supervisor.last_start import read_last_start
from app.supervisor.restarts import IMPORTANT
from app.supervisor.service import Supervisor
from app.supervisor.state import read_state
from streams.market.errors import ConfigurationError
from streams.settings import load_settings
from tests.support.ports import free_port

Up = Callable[[], tuple[int, list[str]]]
_LIVES = "import time; time.sleep(600)"


class NoServer:
    def __init__(self, home: Path) -> None:
        self.log_path = home / "postgres.log"

    def stop(self) -> None:
        pass


class NoWatch:
    """In the place of the server's part of the watch: there is none, and it is well."""

    name = "PostgreSQL"
    policy = IMPORTANT
    is_running = True
    exit_code = None

    def __init__(self, _server: object) -> None:
        pass


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CROSSBOOK_DAGSTER_PORT", str(free_port()))
    monkeypatch.setattr(sys, "stderr", sys.stderr)  # `up` puts a log beside it
    monkeypatch.setattr(service, "check_all", lambda _settings: None)
    monkeypatch.setattr(service, "hear_stop", lambda: STOP_WANTED)
    monkeypatch.setattr(service, "embedded_server", lambda _settings: NoServer(tmp_path))
    monkeypatch.setattr(service, "DatabaseChild", NoWatch)
    monkeypatch.setattr("app.supervisor.service.DiskGuard.look", lambda _guard: None)
    monkeypatch.setattr("app.supervisor.service.FirstPass.look", lambda _first_pass, _now: None)
    return tmp_path / "home"


@pytest.fixture
def up(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Up:
    def run() -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["crossbook", "up", "--seconds", "60"])
        try:
            with pytest.raises(SystemExit) as left:
                main()
        finally:
            STOP_WANTED.clear()
        assert read_state(home) is None
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return int(left.value.code or 0), said.splitlines()

    return run


def _starts(monkeypatch: pytest.MonkeyPatch, act: Callable[[Supervisor], None]) -> None:
    monkeypatch.setattr(Supervisor, "_start_all", act)


def _child(home: Path, code: str) -> Child:
    return Child(
        name="daemon",
        command=[sys.executable, "-c", code],
        environment={},
        log_path=home / "logs" / "daemon.log",
        working_dir=home,
        policy=replace(IMPORTANT, unready_max=0),
    )


def test_what_is_needed_and_keeps_ending_ends_the_start_with_a_sentence(
    home: Path, up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    _starts(monkeypatch, lambda supervisor: supervisor._launch(_child(home, "raise SystemExit('no room')")))
    code, said = up()
    assert (code, said[-1]) == (1, "Crossbook has stopped: daemon keeps ending (1: no room)")
    assert read_last_start(home).reason == "daemon keeps ending (1: no room)"  # type: ignore[union-attr]


def test_code_that_does_not_load_ends_the_start_with_its_file_and_line(
    home: Path, up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    (home / "broken.py").write_text("x = 1\n\ndef (:\n")

    def start(supervisor: Supervisor) -> None:
        child = _child(home, "import broken")
        supervisor._launch(child)
        supervisor._await_ready(replace_ready(child))

    def replace_ready(child: Child) -> Child:
        child.is_ready = lambda: False
        return child

    _starts(monkeypatch, start)
    code, said = up()
    place = f"({home}/broken.py, line 3)"
    assert (code, said[-1]) == (1, f"Crossbook has stopped: daemon ended with 1: SyntaxError: invalid syntax {place}")


def test_a_stop_during_a_step_is_wanted_whatever_becomes_of_the_step(
    home: Path, up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_supervisor: Supervisor) -> None:
        STOP_WANTED.set()
        raise ConfigurationError("The embedded PostgreSQL could not be created: interrupted")

    _starts(monkeypatch, start)
    code, said = up()
    assert (code, said[-2:]) == (0, ["asked to stop before everything was ready", "stopping"])
    assert read_last_start(home).reason == ""  # type: ignore[union-attr]


def test_a_stop_ends_every_child(home: Path, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Child] = []

    def start(supervisor: Supervisor) -> None:
        started.append(_child(home, _LIVES))
        supervisor._launch(started[0])
        STOP_WANTED.set()

    _starts(monkeypatch, start)
    code, said = up()
    assert (code, said) == (0, ["stopping"])
    assert not started[0].is_running


def test_a_step_of_the_stop_that_fails_leaves_nothing_else_running(
    home: Path, up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = [_child(home, _LIVES), replace(_child(home, _LIVES), name="api")]
    stopped: list[str] = []

    def start(supervisor: Supervisor) -> None:
        for child in children:
            supervisor._launch(child)
        monkeypatch.setattr(children[0], "stop", lambda: 1 / 0)
        STOP_WANTED.set()

    _starts(monkeypatch, start)
    monkeypatch.setattr(service, "end_leftovers", lambda *_, **__: stopped.append("leftovers"))
    monkeypatch.setattr(NoServer, "stop", lambda _server: stopped.append("server"))
    try:
        assert up()[0] == 0
        assert not children[1].is_running
        assert stopped == ["leftovers", "leftovers", "server"]
    finally:
        Child.stop(children[0])


def test_a_refused_start_says_why_and_returns_2(home: Path, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_settings: object) -> None:
        raise ConfigurationError("Port 1 is taken by x (pid 1); set CROSSBOOK_API_PORT to a free port.")

    monkeypatch.setattr(service, "check_all", refuse)
    code, said = up()
    assert (code, said) == (2, ["Port 1 is taken by x (pid 1); set CROSSBOOK_API_PORT to a free port."])
    assert read_last_start(home).reason == said[0]  # type: ignore[union-attr]


def test_the_output_of_runs_is_kept_small_like_the_logs(tmp_path: Path) -> None:
    folder = tmp_path / "dagster" / "storage" / "a-run" / "compute_logs"
    folder.mkdir(parents=True)
    for name in ("x.err", "x.out", "x.complete", "x.err.1"):
        (folder / name).touch()
    paths = Supervisor(load_settings(home=tmp_path), print)._log_paths()
    assert {path.name for path in paths} >= {"x.err", "x.out"}
    assert not {path.name for path in paths} & {"x.complete", "x.err.1"}
