"""Homes of every kind: each is asked and refused in one sentence, without a traceback."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.cli.main import main
from app.supervisor.checks.preflight import check_home
from app.supervisor.children import leftovers
from app.supervisor.state import HomeLock, read_state
from streams.market.errors import ConfigurationError
from streams.settings import SUPERVISED, load_settings
from tests.support.waiting import eventually

Run = Callable[[str, object], tuple[int, str]]
NAMES = ["relative/x", "with space", "é日本", "💹'\"%s%d", "x" * 200]


@pytest.fixture
def crossbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command with a home, as the command line does."""
    monkeypatch.chdir(tmp_path)

    def run(command: str, home: object) -> tuple[int, str]:
        monkeypatch.setenv("CROSSBOOK_HOME", str(home))
        monkeypatch.setattr(sys, "argv", ["crossbook", command])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr().err.strip()
        assert "\n" not in said
        return int(left.value.code or 0), said

    return run


@pytest.mark.parametrize("command", ["up", "status", "down"])
def test_a_home_that_is_a_file_is_one_sentence(tmp_path: Path, crossbook: Run, command: str) -> None:
    home = tmp_path / "home"
    home.touch()
    for path in (home, home / "below"):
        code, said = crossbook(command, path)
        assert code == (2 if command == "up" else 3)
        assert str(home) in said


@pytest.mark.parametrize("command", ["up", "status", "down"])
def test_a_home_that_cannot_be_written_is_one_sentence(crossbook: Run, command: str) -> None:
    code, said = crossbook(command, "/proc/crossbook")
    assert code == (2 if command == "up" else 3)
    assert "/proc/crossbook" in said


def test_a_tilde_of_nobody_is_one_sentence(crossbook: Run) -> None:
    code, said = crossbook("status", "~nobody-of-this-name/x")
    assert code == 2
    assert said.startswith("CROSSBOOK_HOME cannot be used: ~nobody-of-this-name")


@pytest.mark.parametrize("home", NAMES)
def test_a_home_of_any_name_can_be_asked_and_locked(tmp_path: Path, crossbook: Run, home: str) -> None:
    code, said = crossbook("status", home)
    assert (code, said.startswith(f"Nothing runs in {tmp_path}")) == (3, True)
    folder = load_settings(home=home).home_dir
    assert folder == tmp_path / home
    check_home(folder, 0)
    lock = HomeLock(folder)
    lock.acquire()
    assert read_state(folder) is not None
    assert stat.S_IMODE((folder / "run").stat().st_mode) == 0o700
    lock.release()


def test_a_tilde_stands_for_the_folder_of_the_user_also_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert load_settings(home="~/x").home_dir == Path("/somewhere/x")
    monkeypatch.delenv("HOME")
    assert load_settings(home="~/x").home_dir.is_absolute()


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that may be read and not written; root, to whom nothing is closed, is somebody else meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder, nobody = Path(name), 65534
        if os.geteuid() == 0:
            os.chown(folder, nobody, nobody)
            os.seteuid(nobody)
        folder.chmod(0o500)
        try:
            yield folder
        finally:
            folder.chmod(0o700)
            os.seteuid(os.getuid())


def test_a_read_only_home_is_one_sentence(closed_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used: Permission denied"):
        HomeLock(closed_folder).acquire()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        HomeLock(closed_folder / "x").acquire()
    assert list(closed_folder.iterdir()) == []


def test_down_ends_what_a_killed_start_has_left(tmp_path: Path, crossbook: Run) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(command, env={**os.environ, SUPERVISED: str(home)}) as left:
        eventually(lambda: leftovers(home))
        (home / "run").mkdir(mode=0o700)
        (home / "run" / "warm.sock").touch()
        assert crossbook("down", home)[0] == 0
        assert left.wait(60) == -signal.SIGTERM
    assert list((home / "run").iterdir()) == []
    (home / "postgres").mkdir()
    (home / "postgres" / "cluster.json").write_text("{")
    assert crossbook("down", home)[0] == 3
    assert read_state(home) is None
