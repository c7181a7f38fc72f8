"""Why a process ended, in one line, from what it wrote: its error with the file and the line of ours it came from."""

from __future__ import annotations

import re
import sysconfig
from dataclasses import dataclass

from streams.outermost import traceback_behind
from streams.settings import PROJECT_ROOT

_PLACE = re.compile(r'^\s+File "(?P<file>[^"]+)", line (?P<line>\d+)')
_ERROR = re.compile(r"^(?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Lost|Warning)\b.*")
_LINKS = ("The above exception was the direct cause", "During handling of the above exception")
_LIBRARY = sysconfig.get_path("stdlib")
_LENGTH_MAX = 500


@dataclass(frozen=True, slots=True)
class _Raised:
    """One traceback: its error's line, its places from the outermost on, and whether the one before led to it."""

    error: str
    places: list[tuple[str, int]]
    is_linked: bool

    @property
    def own_places(self) -> list[tuple[str, int]]:
        """Those that are in nobody's library."""
        return [
            place
            for place in self.places
            if "site-packages" not in place[0] and not place[0].startswith(("<", _LIBRARY))
        ]


def cause_in(said: str) -> str:
    """Return the reason that the end of a log gives, at most 500 characters.

    Of a traceback that is its error and the innermost place in files of ours; where a library only wraps the error of
    a file of ours, it is that error. A sentence that names the file of its details has the error from there. Else it is
    the last line.
    """
    lines = [line for line in said.splitlines() if line.strip()]
    if not lines:
        return "it said nothing"
    raised = _raised(traceback_behind(lines[-1]).splitlines()) or _raised(lines)
    if not raised:
        return lines[-1].strip()[:_LENGTH_MAX]
    told = number = len(raised) - 1
    while not raised[number].own_places and raised[number].is_linked and number:
        number -= 1
    told = number if raised[number].own_places else told
    file, line = (raised[told].own_places or raised[told].places)[-1]
    return f"{raised[told].error} ({file.removeprefix(f'{PROJECT_ROOT}/')}, line {line})"[:_LENGTH_MAX]


def _raised(lines: list[str]) -> list[_Raised]:
    """The tracebacks in these lines that came to an end, the last one last."""
    found: list[_Raised] = []
    places: list[tuple[str, int]] = []
    is_linked = is_next_linked = False
    for line in lines:
        if line.lstrip().startswith("Traceback (most recent call last)"):
            places, is_linked, is_next_linked = [], is_next_linked, False
        elif line.startswith(_LINKS):
            is_next_linked = True
        elif place := _PLACE.match(line):
            places.append((place["file"], int(place["line"])))
        elif _ERROR.match(line) and places:
            found.append(_Raised(line.strip(), places, is_linked))
            places, is_linked = [], False
    return found
