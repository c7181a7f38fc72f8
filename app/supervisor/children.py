"""The processes the supervisor owns: each in a session of its own, found again by a marker in its environment."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from app.supervisor.causes import cause_in
from app.supervisor.restarts import IMPORTANT, RestartPolicy
from streams.log_files import begin_log
from streams.process_id import ProcessId, all_pids, environment_value, session_cpu_s, stat_fields
from streams.settings import SUPERVISED

_TAIL_BYTES = 100_000
_KILL_ROUNDS = 3


@dataclass
class Child:
    """One process to keep running.

    Attributes:
        name: Its name in messages and of its log file.
        command: What to run.
        environment: Its whole environment.
        is_ready: Asked after each start until it answers True.
        stop_limit_s: How long TERM may take before KILL.
        policy: How often it is started again, and whether the system can do without it.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    log_path: Path
    working_dir: Path
    is_ready: Callable[[], bool] = lambda: True
    stop_limit_s: float = 10.0
    policy: RestartPolicy = IMPORTANT
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _log_start: int = field(default=0, repr=False)

    def start(self) -> None:
        """Start the process, its output appended to the log; at the first start the log begins anew."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if self._process is None:
            begin_log(self.log_path)
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
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
        """TERM the process, wait, and KILL its whole group after the limit.

        Of one that ended before, the group is killed if it is still of our home: its number may be a stranger's by now.
        """
        if self._process is None:
            return
        ended_before = self._process.poll() is not None
        if not ended_before:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self.stop_limit_s)
        if not ended_before or self._has_members():
            _signal_group(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _has_members(self) -> bool:
        assert self._process is not None
        group, home = self._process.pid, self.environment.get(SUPERVISED)
        members = [pid for pid in all_pids() if (fields := stat_fields(pid)) is not None and int(fields[2]) == group]
        return any(environment_value(pid, SUPERVISED) == home for pid in members)

    def effort(self) -> tuple[float, int]:
        """Return the processor time of its session (seconds) and the size of its log (bytes), to see it get on."""
        used = 0.0 if self._process is None else session_cpu_s(self._process.pid)
        try:
            return used, self.log_path.stat().st_size
        except OSError:
            return used, 0

    def last_words(self) -> str:
        """Return why it ended, as its log since this start says: with file and line where that is known."""
        try:
            with self.log_path.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                begin = self._log_start if self._log_start <= size else 0
                log.seek(max(begin, size - _TAIL_BYTES))
                said = log.read().decode(errors="replace")
        except OSError:
            said = ""
        return cause_in(said)


def leftovers(home: Path) -> list[ProcessId]:
    """Return the processes of this home that still run, ourselves and our ancestors excluded."""
    own = _ancestry()
    found = []
    for pid in all_pids():
        marked = None if pid in own else environment_value(pid, SUPERVISED)
        process = None if marked is None or not _is_same_folder(Path(marked), home) else ProcessId.of(pid)
        if process is not None:
            found.append(process)
    return found


def end_leftovers(home: Path, term_limit_s: float) -> int:
    """TERM, then KILL, whatever of this home still runs, and what that starts meanwhile; return how many there were."""
    found = processes = leftovers(home)
    for number, limit_s in ((signal.SIGTERM, term_limit_s), *[(signal.SIGKILL, 5.0)] * _KILL_ROUNDS):
        for process in processes:
            process.signal(number)
        wait_until(partial(_have_ended, processes), limit_s, 0.05)
        processes = leftovers(home) if processes else []
        found = list({*found, *processes})
    return len(found)


def _have_ended(processes: Sequence[ProcessId]) -> bool:
    return not any(process.is_alive for process in processes)


def wait_until(condition: Callable[[], bool], limit_s: float, poll_s: float = 0.1) -> bool:
    """Return True as soon as the condition holds, False when it does not within the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_s)
    return True


def _ancestry() -> set[int]:
    pid, found = os.getpid(), {os.getpid()}
    while (fields := stat_fields(pid)) is not None and (pid := int(fields[1])) not in found:
        found.add(pid)
    return found


def _is_same_folder(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
