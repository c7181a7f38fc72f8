"""What every command prints: one JSON document on stdout with `--json`, logs on stderr, and five exit codes."""

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
        print(json.dumps(document, default=_plain))
        return
    for name, value in document.items():
        print(f"{name}: {value if isinstance(value, str) else json.dumps(value, default=_plain)}")


def emit_lines(rows: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print rows: with `--json` one array, without it JSON lines."""
    if as_json:
        print(json.dumps(list(rows), default=_plain))
        return
    for row in rows:
        print(json.dumps(row, default=_plain))


def fail(message: str, code: ExitCode = ExitCode.ERROR) -> NoReturn:
    """Print one sentence on stderr and exit with `code`."""
    print(message, file=sys.stderr)
    raise typer.Exit(int(code))


def _plain(value: object) -> object:
    """Return the JSON form of values that json cannot write: decimals as strings, times in ISO 8601."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"not a JSON value: {type(value).__name__}")
