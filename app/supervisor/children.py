"""The processes the supervisor owns: each in a session of its own, found again by a marker in its environment."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MARKER = "SUPERVISED_HOME"
"""Environment variable that every process of one home carries, so that whatever is left can be found."""


@dataclass
class Child:
    """One process to keep running.

    Attributes:
        name: Its name in messages and of its log file.
        command: What to run.
        environment: Its whole environment.
        is_ready: Asked after the start until it answers True.
        stop_limit_s: How long TERM may take before KILL.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_path: Path
    working_dir: Path
    is_ready: Callable[[], bool] = lambda: True
    stop_limit_s: float = 10.0
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the process, its output appended to the log."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own commands
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.environment),
                cwd=self.working_dir,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """The exit code of a process that has ended, None while it runs or before it was started."""
        return None if self._process is None else self._process.poll()

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """TERM the process, wait, and KILL its whole group after the limit."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self.stop_limit_s)
        _signal_group(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def last_words(self) -> str:
        """Return the last line of the log."""
        lines = [line for line in self.log_path.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


def leftovers(home: Path) -> list[psutil.Process]:
    """Return the processes of this home that still run, ourselves and our ancestors excluded."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in own and process.environ().get(MARKER) == str(home):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def end_leftovers(home: Path, term_limit_s: float) -> int:
    """TERM, then KILL, whatever of this home still runs; return how many there were."""
    processes = leftovers(home)
    for process in processes:
        _quietly(process.terminate)
    _, alive = psutil.wait_procs(processes, timeout=term_limit_s)
    for process in alive:
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=5)
    return len(processes)


def wait_until(condition: Callable[[], bool], limit_s: float, poll_s: float = 0.1) -> bool:
    """Return True as soon as the condition holds, False when it does not within the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_s)
    return True


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _quietly(act: Callable[[], None]) -> None:
    try:
        act()
    except psutil.Error:
        return
