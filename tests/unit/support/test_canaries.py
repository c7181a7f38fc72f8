"""The search for marked secrets finds them in every form, and says where."""

import base64
import gzip
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import psutil
import pytest

from tests.support.canaries import marks_in, marks_in_files, marks_in_processes

MARK = "canary4711ofthekey"


@pytest.mark.parametrize(
    "text",
    [
        MARK,
        f"x{MARK}y",
        MARK.upper(),
        json.dumps({"a": f"b/{MARK}"}),
        quote(f"//{MARK}", safe=""),
        MARK.encode().hex(),
        *(base64.b64encode(b"u" * skipped + MARK.encode() + b"tail").decode() for skipped in range(4)),
        base64.urlsafe_b64encode(f"user:{MARK}".encode()).decode(),
        MARK.encode(),
    ],
)
def test_a_mark_is_found_in_every_form(text: str | bytes) -> None:
    assert marks_in(text, [MARK, "someotherword"]) == [MARK]


def test_a_text_without_it_has_none() -> None:
    assert marks_in(f"{MARK[:-1]} {MARK[1:]}", [MARK]) == []


def test_files_are_searched_wherever_they_lie_also_packed_and_across_the_pieces_they_are_read_in(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "plain").write_text(f"x {MARK}")
    (tmp_path / "a" / "packed.gz").write_bytes(gzip.compress(MARK.encode()))
    (tmp_path / "a" / "cut.gz").write_bytes(gzip.compress(os.urandom(2000))[:900] + MARK.encode())
    (tmp_path / "a" / "long").write_bytes(b"." * ((1 << 20) - 5) + MARK.encode())
    (tmp_path / "a" / "clean").write_text("nothing")
    (tmp_path / "keystore").write_text(MARK)
    (tmp_path / f"named {MARK}").write_text("")
    found = marks_in_files(tmp_path, [MARK], lambda below: str(below) == "keystore")
    assert found == [
        f"{place}: {MARK}" for place in ("a/cut.gz", "a/long", "a/packed.gz", "a/plain", f"the name of named {MARK}")
    ]


def test_command_lines_hold_none_and_environments_only_what_they_may() -> None:
    def process(command: list[str], **environment: str) -> psutil.Process:
        return cast(psutil.Process, SimpleNamespace(cmdline=lambda: command, environ=lambda: environment))

    def ended() -> Any:
        raise psutil.NoSuchProcess(1)

    processes = [
        process(["a", f"--password={MARK}"]),
        process(["b"], KEY=MARK, PLAIN="x"),
        process(["c"], OTHER=f"x{MARK}"),
        cast(psutil.Process, SimpleNamespace(cmdline=ended)),
    ]
    found = marks_in_processes(processes, {"KEY": MARK}, lambda command, name: (command, name) == (["b"], "KEY"))
    assert found == [f"command line of a --password={MARK}: {MARK}", f"OTHER of c: {MARK}"]
