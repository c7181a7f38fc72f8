"""What every command prints: one JSON document on stdout with `--json`, logs on stderr, and five exit codes.

Without `--json` text from outside is made inert; with it the exact text is kept, and JSON's own escapes make it so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from streams.inert import one_line
from streams.redaction import redact_text


class ExitCode(IntEnum):
    """The stable exit codes of `crossbook`."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_RUNNING = 3
    REFUSED = 4


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def emit_document(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one document: JSON, or one `name: value` line per entry."""
    if as_json:
        print(_json(document))
        return
    for name, value in document.items():
        print(f"{name}: {one_line(value) if isinstance(value, str) else _json(value)}")


def emit_lines(rows: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print rows: with `--json` one array, without it JSON lines."""
    if as_json:
        print(_json(list(rows)))
        return
    for row in rows:
        print(_json(row))


def fail(message: str, code: ExitCode = ExitCode.ERROR) -> NoReturn:
    """Print one sentence on stderr and exit with `code`."""
    warn(message)
    raise typer.Exit(int(code))


def warn(message: str) -> None:
    """Print one sentence on stderr, without secrets and in one line whatever it quotes."""
    print(one_line(redact_text(message)), file=sys.stderr)


def _json(value: object) -> str:
    """Return JSON in ASCII; DEL, the one control that JSON may hold as it is, is escaped too."""
    return json.dumps(value, default=_plain).replace("\x7f", "\\u007f")


def _plain(value: object) -> object:
    """Return the JSON form of values that json cannot write: decimals as strings, times in ISO 8601."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"not a JSON value: {type(value).__name__}")
