"""What both emulators answer and push is what is stored, byte for byte, and what is stored covers all they can say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.golden.coverage import routes_asked
from tests.golden.refusals import refusals
from tests.golden.runs import runs
from tests.golden.stage import stage
from tests.golden.stored import FOLDER, as_text, first_difference, path_of
from tests.golden.unreachable import UNREACHABLE

_RUNS = runs()
_MOST_BYTES = 3_000_000


def _stored_lines() -> list[dict[str, Any]]:
    return [json.loads(line) for name in _RUNS for line in path_of(name).read_text().splitlines()]


@pytest.mark.parametrize("name", _RUNS)
def test_a_run_brings_what_is_stored(name: str, tmp_path: Path) -> None:
    difference = first_difference(path_of(name).read_text(), as_text(_RUNS[name](tmp_path)))
    assert not difference, difference


def test_every_route_of_the_emulators_is_asked(tmp_path: Path) -> None:
    with stage(tmp_path) as on:
        routes = on.routes()
    assert len(routes) >= 209
    # The sandbox's copy of itself is a database, which has other bytes each time; its own test asks for it.
    assert routes - routes_asked(routes, _stored_lines()) == {("admin", "GET", "/copy")}


def test_every_refusal_in_the_code_is_stored_or_listed_as_unreachable() -> None:
    heard = {
        (-1 if "frame" in line else line["status"], line.get("body", line.get("frame", "")) + str(line.get("headers")))
        for line in _stored_lines()
        if line.get("status", 0) >= 400 or re.search("error|reverted", line.get("body", line.get("frame", "")))
    }
    known = refusals()
    assert len(known) >= 220, "the reader of the code has gone blind"
    missing = {str(one) for one in known if not any(one.is_in(status, text) for status, text in heard)}
    assert missing - set(UNREACHABLE) == set()
    assert set(UNREACHABLE) <= missing, "what can be reached is not listed"


def test_nothing_is_stored_that_no_run_brings() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {path_of(name).name for name in _RUNS}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < _MOST_BYTES


def test_no_name_of_the_code_is_stored() -> None:
    names = re.compile(r"streams[./]|\.py\b|\bobject at 0x|Traceback|<class")
    assert [path.name for path in FOLDER.iterdir() if names.search(path.read_text())] == []
