"""The outermost handler of every process: what nobody expected becomes one sentence and a traceback in a file."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from streams.inert import one_line
from streams.log_files import write_line
from streams.logs import guard_library_logs, traceback_text
from streams.market.errors import ConfigurationError, StreamsError
from streams.redaction import redact_text

_FILE = "errors.log"
_SIZE_MAX = 2_000_000
_SENTENCE = re.compile(r"went wrong \((?P<kind>\w+)\); the details are in (?P<path>.+)\.$")
USAGE, ERROR, INTERRUPTED = 2, 1, 130


def run_guarded(main: Callable[[], int | None]) -> int:
    """Run the main function of a process; return its exit code, also for what it raises, never with a traceback."""
    prepare_streams()
    guard_library_logs()
    try:
        return main() or 0
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else USAGE if leave.code else 0
    except BaseException as error:
        code, sentence, _ = explained(error)
        say(sentence)
        return code


def explained(error: BaseException) -> tuple[int, str, Path | None]:
    """Return the exit code, the sentence and the log file (for what nobody expected) of an error."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "Interrupted.", None
    if isinstance(error, ConfigurationError):
        return USAGE, sentence_of(error), None
    if isinstance(error, StreamsError):
        return ERROR, f"{type(error).__name__}: {sentence_of(error)}", None
    path = write_traceback(error)
    kind = type(error).__name__
    where = f"the details are in {path}" if path is not None else "no file for the details can be written"
    return ERROR, f"Something unexpected went wrong ({kind}); {where}.", path


def sentence_of(error: BaseException) -> str:
    """Return the message of an error as one line without secrets."""
    return one_line(redact_text(str(error)))


def write_traceback(error: BaseException) -> Path | None:
    """Append the redacted traceback to `errors.log` of the home's logs; return the file, None where there is none.

    Where the home cannot be written, a file of its own is made in the folder for temporary files.
    """
    text = f"--- {datetime.now(UTC).isoformat()} {one_line(' '.join(sys.argv[:1]))}\n{traceback_text(error)}\n"
    with suppress(OSError, RuntimeError, ValueError):
        path = Path(os.environ.get("CROSSBOOK_HOME") or ".crossbook").expanduser().absolute() / "logs" / _FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _SIZE_MAX:
            path.replace(path.with_suffix(".log.1"))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return path
    with suppress(OSError):
        descriptor, name = tempfile.mkstemp(prefix="crossbook-error-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return Path(name)
    return None


def traceback_behind(sentence: str) -> str:
    """Return the traceback of a sentence that `explained` made, empty where it is no such one or the file is gone."""
    found = _SENTENCE.search(sentence)
    if found is None:
        return ""
    try:
        entries = Path(found["path"]).read_text(encoding="utf-8", errors="replace").split("\n--- ")
    except OSError:
        return ""
    return next((entry for entry in reversed(entries) if f"\n{found['kind']}" in entry), "")


def prepare_streams() -> None:
    """Make stdout and stderr take every text: closed ones lead nowhere, and what an encoding lacks is escaped."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.fstat(number)
                continue
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def say(sentence: str) -> None:
    """Print one line on stderr; where that cannot be written, nothing happens."""
    write_line(one_line(sentence))


def flush_output() -> str:
    """Write out what was printed; return why that failed, empty where it did not. Later failures are silent then."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_output()
    except (OSError, ValueError) as error:
        _abandon_output()
        return f"The output cannot be written: {getattr(error, 'strerror', None) or type(error).__name__}."
    return ""


def _abandon_output() -> None:
    """Lead stdout nowhere, so that the interpreter does not fail once more at its end."""
    with suppress(OSError, ValueError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)
