"""Which tests run which lines of the files to mutate, and which lines run when the files are imported."""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

IMPORTED = -1
"""Stands for no test: what runs while modules are imported, and between the tests."""


class Touches:
    """Traces the lines of some files, from `begin` to `end`; `test` is the number of the test that runs."""

    def __init__(self, files: Iterable[Path]) -> None:
        self.test = IMPORTED
        self._lines: dict[str, dict[int, set[int]]] = {str(file): defaultdict(set) for file in files}

    def begin(self) -> None:
        """Trace from now on, in every thread that begins later too."""
        threading.settrace(self._called)
        sys.settrace(self._called)

    def end(self) -> None:
        """Trace no more."""
        threading.settrace(None)  # type: ignore[arg-type]
        sys.settrace(None)

    def tests_of(self, file: Path, lines: Iterable[int] | None = None) -> list[int]:
        """Return the tests that ran one of the lines, or any line of the file: those that touch least of it first."""
        by_line = self._lines[str(file)]
        counts: dict[int, int] = defaultdict(int)
        for tests in by_line.values():
            for test in tests:
                counts[test] += 1
        found = set().union(*(by_line.get(line, set()) for line in (by_line if lines is None else lines)))
        return sorted(found - {IMPORTED}, key=lambda test: (counts[test], test))

    def runs_at_import(self, file: Path, lines: Iterable[int]) -> bool:
        """Whether one of the lines ran outside of every test."""
        return any(IMPORTED in self._lines[str(file)].get(line, ()) for line in lines)

    def _called(self, frame: FrameType, event: str, _: Any) -> Any:
        by_line = self._lines.get(frame.f_code.co_filename)
        if by_line is None:
            return None

        def trace(inner: FrameType, happened: str, _: Any) -> Any:
            if happened == "line":
                by_line[inner.f_lineno].add(self.test)
            return trace

        return trace
