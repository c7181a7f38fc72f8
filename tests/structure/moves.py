"""How many files and moves something crosses on its way through the project.

A *move* is one entry of the interpreter into code of the three packages, as `sys.setprofile` reports it ("call"): a
function or method called (properties and lambdas too), a comprehension or generator expression begun, and a generator
or coroutine taken up again. Code of libraries does not count, nor what a dataclass generates; a callback of ours that
a library calls does. *Files* are those in which such code stands.

*Calls* are the moves that begin a function with a name or a lambda: comprehensions and what is taken up again are left
out. Python 3.12 runs most comprehensions without a frame, so that moves of two versions cannot be compared; calls can.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

from tests.structure.tree import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
_RESUME = dis.opmap["RESUME"]


class Moves:
    """Counts moves of this thread while it is entered: `with Moves() as moves: ...`.

    Attributes:
        path: The moves in order, as "file:qualified name".
        files: The files crossed.
        moves: See the module.
        calls: See the module.
    """

    def __init__(self, root: Path = ROOT, packages: tuple[str, ...] = PACKAGES) -> None:
        self._root = f"{root}/"
        self._inside = tuple(f"{root}/{package}/" for package in packages)
        self._begin: CodeType | None = None
        self._has_begun = True
        self._has_ended = False
        self.path: list[str] = []
        self.files: set[str] = set()
        self.calls = 0

    @property
    def moves(self) -> int:
        """How many moves there were."""
        return len(self.path)

    def begin_at(self, function: Callable[..., Any]) -> None:
        """Count from the last call of `function` on: what was counted before is forgotten whenever it is called."""
        self._begin = inspect.unwrap(function).__code__
        self._has_begun = False

    def end(self) -> None:
        """Count nothing from here on: the thing has arrived."""
        self._has_ended = True

    def __enter__(self) -> Self:
        sys.setprofile(self._on_event)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _on_event(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event != "call" or self._has_ended or not code.co_filename.startswith(self._inside):
            return
        if code is self._begin:
            self._has_begun, self.path, self.files, self.calls = True, [], set(), 0
        if not self._has_begun:
            return
        file = code.co_filename.removeprefix(self._root)
        self.files.add(file)
        self.path.append(f"{file}:{code.co_qualname}")
        self.calls += code.co_name not in _COMPREHENSIONS and not _is_taken_up_again(frame)


def _is_taken_up_again(frame: FrameType) -> bool:
    """Whether a generator or coroutine goes on after a yield or await: the argument of RESUME says so."""
    code, at = frame.f_code.co_code, frame.f_lasti
    return at >= 0 and code[at] == _RESUME and code[at + 1] & 3 != 0
