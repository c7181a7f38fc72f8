"""Structured logs: key-value lines on stderr. No secret passes, and no text from outside makes a line of its own.

The same holds for the lines of libraries, whichever handler writes them, for warnings, and for the traceback of an
error that nobody caught or could catch.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import structlog

from streams.inert import one_line, several_lines
from streams.log_files import write_line
from streams.redaction import redact, redact_text

__all__ = ["configure_logs", "get_logger", "redact_text", "traceback_text"]

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}
_make_record = logging.Logger.makeRecord
_format_warning = warnings.formatwarning


class _StderrLogger:
    """What structlog hands its lines to: whatever stderr is when a line is written, and no line that cannot be."""

    def msg(self, line: str) -> None:
        write_line(line)

    log = debug = info = warn = warning = error = err = exception = critical = fatal = failure = msg


def _redact(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = redact(value, name="" if key == "event" else key)
    return event


def _make_inert(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = several_lines(value) if key in ("exception", "stack") else one_line(value)
    return event


def _last_look(_logger: object, _name: str, line: str) -> str:
    """Look once more at the line as it is written: containers and objects have become text by now."""
    return several_lines(redact_text(line))


def configure_logs(level: str = "INFO", *, as_json: bool = False) -> None:
    """Send structlog's output to stderr at `level`, redacted; JSON lines or human-readable. Guards other logs too."""
    renderers: list[Any] = [structlog.processors.JSONRenderer()]
    if not as_json:
        renderers = [
            _make_inert,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
        *renderers,
        _last_look,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: _StderrLogger(),
        cache_logger_on_first_use=False,
    )
    guard_library_logs()


def guard_library_logs() -> None:
    """Redact all records of the standard library's loggers before a handler sees them, warnings and uncaught errors."""
    logging.Logger.makeRecord = _redacted_record  # type: ignore[method-assign, assignment]
    warnings.formatwarning = _redacted_warning
    sys.excepthook = _print_uncaught
    sys.unraisablehook = _print_unraisable
    threading.excepthook = _print_uncaught_of_thread


def get_logger(**bound: Any) -> structlog.stdlib.BoundLogger:
    """Return a logger with `bound` on every line."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(**bound)
    return logger


def traceback_text(error: BaseException) -> str:
    """Return the traceback of an error with its causes and notes, redacted."""
    return several_lines(redact_text("".join(traceback.format_exception(error))))


def _redacted_record(logger: logging.Logger, *arguments: Any, **named: Any) -> logging.LogRecord:
    record = _make_record(logger, *arguments, **named)
    try:
        said = record.getMessage()
    except Exception:  # the handler reports a message that does not fit its arguments
        said = f"{redact(record.msg)} {redact(record.args)!r}"
        record.msg, record.args = said, ()
    clean = several_lines(redact_text(said)).replace("\n", "\n  ")
    if clean != said:
        record.msg, record.args = clean, ()
    for name, value in record.__dict__.items():
        # What Dagster hangs on its records is an event of its own, which its store redacts.
        if name == "color_message" or (name not in _STANDARD and not name.startswith("dagster")):
            record.__dict__[name] = redact(value, name=name)
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = traceback_text(record.exc_info[1]).rstrip("\n")
    return record


def _redacted_warning(*arguments: Any, **named: Any) -> str:
    return several_lines(redact_text(_format_warning(*arguments, **named)))


def _print_unraisable(failure: sys.UnraisableHookArgs) -> None:
    """Print an error that could not be raised: one in a `__del__`, or at the end of the interpreter."""
    where = several_lines(redact_text(f"{failure.err_msg or 'Exception ignored in'}: {failure.object!r}"))
    shown = "" if failure.exc_value is None else traceback_text(failure.exc_value)
    write_line(f"{where}\n{shown}".rstrip("\n"))


def _print_uncaught(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, None)
        return
    write_line(traceback_text(error).rstrip("\n"))


def _print_uncaught_of_thread(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None and not isinstance(failure.exc_value, SystemExit):
        write_line(traceback_text(failure.exc_value).rstrip("\n"))
