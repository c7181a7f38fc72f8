"""What the supervisor looks after once all runs: processes that end are started again, and the first pass is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.supervisor.dagster_api import DagsterApi
from app.supervisor.restarts import RestartPolicy, Restarts
from app.supervisor.telling.alarms import Alarms
from streams.logs import get_logger
from streams.market.errors import StreamsError, TransientError
from streams.storage.server.patience import Patience

log = get_logger(room="supervisor")

_FIRST_PASS_WAITS_S = (10.0, 30.0, 60.0, 120.0)
_FIRST_PASS_LOOK_S = 5.0


class ChildLost(TransientError):
    """What the system cannot do without keeps ending."""


class Supervised(Protocol):
    """A process to keep running; `Child` says what each member means."""

    name: str
    policy: RestartPolicy

    @property
    def exit_code(self) -> int | None: ...  # noqa: D102
    @property
    def is_running(self) -> bool: ...  # noqa: D102
    @property
    def is_ready(self) -> Callable[[], bool]: ...  # noqa: D102
    def start(self) -> None: ...  # noqa: D102
    def stop(self) -> None: ...  # noqa: D102
    def effort(self) -> tuple[float, int]: ...  # noqa: D102
    def last_words(self) -> str: ...  # noqa: D102


@dataclass
class _Watched:
    child: Supervised
    restarts: Restarts
    is_ready: bool = True
    patience: Patience = field(default_factory=lambda: Patience(0.0))
    trouble: str = ""


class Watch:
    """Looks after processes that have been started and were ready.

    Args:
        children: The processes.
        alarms: Told of what keeps ending.
        report: Says a line at the terminal.
        is_disk_full: Whether a death now says nothing of the process that died.
    """

    def __init__(
        self,
        children: Sequence[Supervised],
        alarms: Alarms,
        report: Callable[[str], None],
        is_disk_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self._watched = [_Watched(child, Restarts(child.policy)) for child in children]
        self._alarms = alarms
        self._report = report
        self._is_disk_full = is_disk_full

    def look(self, now: float) -> None:
        """See to every process once; `now` is in seconds of a steady clock.

        Raises:
            ChildLost: If one that is needed keeps ending.
        """
        for watched in self._watched:
            try:
                self._see_to(watched, now)
                trouble = ""
            except ChildLost:
                raise
            except Exception as error:  # whatever it is, it costs nobody but this one, which is looked at again
                trouble = f"{type(error).__name__}: {error}"
                if trouble != watched.trouble:
                    log.warning("a child cannot be seen to", child=watched.child.name, reason=trouble)
            watched.trouble = trouble

    def _see_to(self, watched: _Watched, now: float) -> None:
        if watched.restarts.due_at is not None:
            if watched.restarts.is_due(now):
                self._start(watched, now)
        elif not watched.child.is_running:
            self._on_death(watched, now)
        elif not watched.is_ready:
            self._await(watched, now)
        elif watched.restarts.on_stay(now):
            self._alarms.close(watched.child.name, f"{watched.child.name} runs again")

    def _start(self, watched: _Watched, now: float) -> None:
        child = watched.child
        child.stop()
        watched.restarts.on_start()
        watched.is_ready = False
        watched.patience = Patience(now)
        try:
            child.start()
        except (StreamsError, OSError) as error:
            self._judge(watched, now, str(error))

    def _on_death(self, watched: _Watched, now: float) -> None:
        child, code = watched.child, watched.child.exit_code
        if code is not None and code < 0:  # whoever is killed has no last words
            self._judge(watched, now, f"killed by signal {-code}")
        else:
            self._judge(watched, now, f"{code}: {child.last_words()}" if code else child.last_words())

    def _judge(self, watched: _Watched, now: float, why: str) -> None:
        child, verdict = watched.child, watched.restarts.on_death(now, is_excused=self._is_disk_full())
        if verdict == "lost":
            message = f"{child.name} keeps ending ({why})"
            self._alarms.open(f"{child.name} lost", message, "child", "critical")
            raise ChildLost(message)
        log.warning("child ended", child=child.name, why=why, verdict=verdict)
        if verdict == "given_up":
            wait = f"{watched.restarts.policy.slow_wait_s:.0f} s"
            self._alarms.open(child.name, f"{child.name} keeps ending ({why}); it is tried again every {wait}")
        elif child.name in _ALARMING:
            self._alarms.open(child.name, f"{child.name} ended ({why}) and is started again")
        else:
            self._report(f"{child.name} ended ({why}) and is started again")
        watched.is_ready = False

    def _await(self, watched: _Watched, now: float) -> None:
        child = watched.child
        if child.is_ready():
            watched.is_ready = True
            watched.restarts.on_ready()
            if child.name in _ALARMING:
                self._alarms.close(child.name, f"{child.name} runs again")
        elif watched.patience.is_over(now, child.effort()):
            log.warning("child does not get ready and is ended", child=child.name)
            child.stop()


_ALARMING = frozenset({"PostgreSQL"})
"""Every death of these is an alarm: while it lasts nothing else can tell."""


class FirstPass:
    """The first pass of a start: launched again with growing waits when it could not be launched, or failed."""

    def __init__(self, dagster: DagsterApi, alarms: Alarms, report: Callable[[str], None]) -> None:
        self._dagster = dagster
        self._alarms = alarms
        self._report = report
        self._run_id = ""
        self._failures = 0
        self._due_at: float | None = 0.0

    def look(self, now: float) -> None:
        """Launch it, or see what became of it. Does nothing any more once it has succeeded or was given up."""
        if self._due_at is None or now < self._due_at:
            return
        self._due_at = now + _FIRST_PASS_LOOK_S
        try:
            if self._run_id:
                self._on_status(self._dagster.run_status(self._run_id), now)
            else:
                self._run_id = self._dagster.launch("first_pass")
                self._report(f"first_pass runs as {self._run_id}")
        except TransientError as error:
            if not self._run_id:
                self._on_failure(str(error), now)

    def _on_status(self, status: str, now: float) -> None:
        if status in ("SUCCESS", "CANCELED"):  # ended by a person: that was wanted
            self._due_at = None
            self._alarms.close("first_pass", "first_pass is done")
        elif status in ("FAILURE", ""):
            self._on_failure(f"run {self._run_id} {'failed' if status else 'is gone'}", now)

    def _on_failure(self, why: str, now: float) -> None:
        self._run_id = ""
        if self._failures == len(_FIRST_PASS_WAITS_S):
            self._due_at = None
            self._alarms.open("first_pass", f"first_pass is given up: {why}; start it on Dagster's page Jobs")
            return
        wait = _FIRST_PASS_WAITS_S[self._failures]
        self._failures += 1
        self._due_at = now + wait
        self._report(f"first_pass: {why}; it is launched again in {wait:.0f} s")
