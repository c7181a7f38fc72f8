"""Running mutants: the tests once, traced; then for each mutant, in a forked process, those that touch its lines."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn

import pytest

from tests.mutation.dependents import reached
from tests.mutation.installing import Functions, dependents, import_again
from tests.mutation.mutants import Mutant, mutated
from tests.mutation.targets import GOLDEN, ROOT
from tests.mutation.touches import Touches

Fate = Literal["killed", "killed by a golden answer", "timed out", "survived", "never run"]
_OPTIONS = (
    *("-x", "-o", "addopts=--import-mode=importlib", "-o", "timeout=0"),
    *("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:xdist"),
)
_TIME_IS_OVER = (signal.SIGPROF, signal.SIGALRM)
_FATES: dict[int, Fate] = {0: "survived", 2: "killed by a golden answer"}
_LEAST_S, _TIMES_AS_LONG = 10.0, 10.0
"""Processor time that a mutant may take at least, and so many times what its tests took while they were traced."""
_WALL_PER_CPU = 20.0
"""So much longer it may take by the clock, in which it waits for others too."""


@dataclass(slots=True, eq=False)
class MutationRun:
    """A plugin of pytest that runs the collected tests once as they are, and then the mutants on them.

    Attributes:
        files: The files to mutate.
        mutants: What to run, in this order.
        processes: So many mutants at once.
        report: Is told how many mutants are done.
        fates: What became of each mutant.
        failed: Names of tests that fail as things are; no mutant is run then.
    """

    files: Sequence[Path]
    mutants: Sequence[Mutant]
    processes: int
    report: Callable[[int], None]
    fates: dict[Mutant, Fate] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    _seconds: list[float] = field(default_factory=list)
    _children: dict[int, Mutant] = field(default_factory=dict)
    _touches: Touches = field(init=False)

    def run(self, tests: Sequence[Path]) -> int:
        """Collect and run everything; returns pytest's exit code."""
        self._touches = Touches(self.files)
        self._touches.begin()
        try:
            return int(pytest.main([*_OPTIONS, *map(str, tests)], plugins=[self]))
        finally:
            self._touches.end()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out tests that need a database, and bring golden answers to the end."""
        items[:] = [item for item in items if "postgres_dsn" not in getattr(item, "fixturenames", ())]
        items.sort(key=lambda item: _is_golden(item.nodeid))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that cannot be collected."""
        if report.failed:
            self.failed.append(f"{report.nodeid}: {report.longrepr}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        if report.failed:
            self.failed.append(f"{report.nodeid}: {report.longreprtext}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests as they are, and then the mutants."""
        for number, item in enumerate(session.items):
            self._touches.test, began = number, time.process_time()
            _run_items([item])
            self._seconds.append(time.process_time() - began)
        self._touches.end()
        if not self.failed:
            self._run_mutants(session.items)
        return True

    def _run_mutants(self, items: Sequence[pytest.Item]) -> None:
        functions = Functions(self.files)
        importing = {file: dependents(file) for file in self.files}
        for number, mutant in enumerate(self.mutants):
            self.report(number)
            file = ROOT / mutant.path
            at_import = not mutant.is_in_function or self._touches.runs_at_import(file, mutant.span)
            chosen = self._touches.tests_of(file, None if at_import else mutant.span)
            if at_import:  # a test may see a constant without running a line of the file
                known = set(chosen)
                chosen += [test for test, item in enumerate(items) if test not in known and file in reached(item.path)]
            chosen.sort(key=lambda test: _is_golden(items[test].nodeid))
            if not chosen:
                self.fates[mutant] = "never run"
                continue
            while len(self._children) >= self.processes:
                self._wait()
            limit_s = max(_LEAST_S, _TIMES_AS_LONG * sum(self._seconds[test] for test in chosen))
            pid = os.fork()
            if not pid:
                _be_mutant(mutant, [items[test] for test in chosen], functions, importing[file], at_import, limit_s)
            self._children[pid] = mutant
        while self._children:
            self._wait()
        self.report(len(self.mutants))

    def _wait(self) -> None:
        """Wait until a mutant's process has ended, and note what became of it."""
        pid, status = os.wait()
        mutant = self._children.pop(pid, None)
        if mutant is not None:
            is_over_time = os.WIFSIGNALED(status) and os.WTERMSIG(status) in _TIME_IS_OVER
            self.fates[mutant] = (
                "timed out" if is_over_time else _FATES.get(os.waitstatus_to_exitcode(status), "killed")
            )


def _is_golden(nodeid: str) -> bool:
    return nodeid.startswith(GOLDEN)


def _run_items(items: Sequence[pytest.Item]) -> None:
    """Run tests one after the other, each from the same seed and with fixtures of its own."""
    for item in items:
        random.seed(0)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


def _be_mutant(
    mutant: Mutant,
    items: Sequence[pytest.Item],
    functions: Functions,
    importing: Sequence[str],
    at_import: bool,
    limit_s: float,
) -> NoReturn:
    """Be the process of a mutant: it ends with its first failure, with its last test, or when its time is over."""
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        for number in _TIME_IS_OVER:
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, limit_s)
        signal.setitimer(signal.ITIMER_REAL, limit_s * _WALL_PER_CPU)
        file = ROOT / mutant.path
        tree = mutated(file.read_text(), mutant.index)
        verdict = _FirstFailure()
        if not at_import and functions.swap(file, tree):
            items[0].config.pluginmanager.register(verdict)
            _run_items(items)
        else:
            import_again(importing, file, tree)
            verdict.wanted = {item.nodeid for item in items}
            files = dict.fromkeys(str(item.path) for item in items)
            if pytest.main([*_OPTIONS, *files], plugins=[verdict]) != 0:
                os._exit(1)
        code = 0
    finally:
        os._exit(code)


@dataclass(slots=True, eq=False)
class _FirstFailure:
    """A plugin that ends the process at the first failure: with 2 if it is a golden answer, else with 1."""

    wanted: set[str] = field(default_factory=set)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self.wanted]
        items.sort(key=lambda item: _is_golden(item.nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os._exit(2 if _is_golden(report.nodeid) else 1)
