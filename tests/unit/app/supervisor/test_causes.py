"""One line says why a process ended, with file and line where that is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.supervisor.causes import cause_in
from streams.settings import PROJECT_ROOT


def test_code_that_cannot_be_read_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("x = 1\n\ndef f(:\n    pass\n")
    done = subprocess.run([sys.executable, "-c", "import broken"], cwd=tmp_path, capture_output=True, text=True)
    assert cause_in(done.stderr) == f"SyntaxError: invalid syntax ({tmp_path}/broken.py, line 3)"


def test_the_innermost_place_in_our_own_files_is_named() -> None:
    said = f"""starting
Traceback (most recent call last):
  File "{PROJECT_ROOT}/orchestration/definitions.py", line 12, in defs
    load()
  File "{PROJECT_ROOT}/.venv/lib/python3.11/site-packages/dagster/x.py", line 99, in load
    raise DagsterInvalidDefinitionError("no")
dagster._core.errors.DagsterInvalidDefinitionError: no

some other line
"""
    assert cause_in(said) == (
        "dagster._core.errors.DagsterInvalidDefinitionError: no (orchestration/definitions.py, line 12)"
    )


def test_of_two_tracebacks_the_last_counts() -> None:
    trace = 'Traceback (most recent call last):\n  File "/a.py", line 1, in f\nValueError: one\n'
    said = trace + "\nDuring handling of the above exception, another exception occurred:\n\n"
    said += trace.replace("/a.py", "/b.py").replace("one", "two")
    assert cause_in(said) == "ValueError: two (/b.py, line 1)"


def test_what_a_library_only_wraps_is_told_from_our_file(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("x = 1\n\ndef f(:\n    pass\n")
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "loading.py").write_text(
        "try:\n    import broken\nexcept SyntaxError as error:\n    raise ImportError('could not load') from error\n"
    )
    code = "import sys; sys.path.append('site-packages'); import runpy; runpy.run_module('loading')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.rstrip().endswith("ImportError: could not load")
    assert cause_in(done.stderr.replace('File "<string>"', 'File "<frozen x>"')) == (
        f"SyntaxError: invalid syntax ({tmp_path}/broken.py, line 3)"
    )


def test_a_sentence_of_the_outermost_handler_is_told_with_the_place_that_its_file_names(tmp_path: Path) -> None:
    code = (
        "import sys; from streams.outermost import run_guarded, say;\n"
        "def main():\n    import broken\n"
        "sys.exit(run_guarded(main))"
    )
    home = tmp_path / "a home. é"
    (tmp_path / "broken.py").write_text("def f():\n    return 1 / 0\n\nf()\n")
    environment = {"CROSSBOOK_HOME": str(home), "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    (home / "logs" / "errors.log").open("a").write("--- later, somebody else\nTraceback\nValueError: x\n")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert cause_in(done.stderr) == f"ZeroDivisionError: division by zero ({tmp_path}/broken.py, line 2)"
    (home / "logs" / "errors.log").unlink()
    assert cause_in(done.stderr) == done.stderr.strip()


@pytest.mark.parametrize(
    ("said", "cause"),
    [("", "it said nothing"), (" \n\n", "it said nothing"), ("a\nlast\n\n", "last"), ("x" * 900, "x" * 500)],
)
def test_without_a_traceback_the_last_line_counts(said: str, cause: str) -> None:
    assert cause_in(said) == cause
