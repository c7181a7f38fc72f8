"""`crossbook calc` and `crossbook edges`: the arithmetic of hedges on documents, without a database or a venue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.output import ExitCode, JsonOption, emit_document, fail

FileArgument = Annotated[Path, typer.Argument(help="The document (JSON); - reads standard input.", allow_dash=True)]


def register(cli: typer.Typer) -> None:
    """Add the commands."""
    cli.command("calc")(calc)
    cli.command("edges")(edges)


def calc(legs_file: FileArgument, json_: JsonOption = False) -> None:
    """Print what given legs cost, what they pay in each outcome, and their certain profit."""
    from orchestration.opportunities.documents import calc_answer

    _answer(legs_file, calc_answer, as_json=json_)


def edges(set_file: FileArgument, json_: JsonOption = False) -> None:
    """Print the portfolio with the largest certain profit over a set of related books."""
    from orchestration.opportunities.documents import edges_answer

    _answer(set_file, edges_answer, as_json=json_)


def _answer(path: Path, compute: Callable[[Mapping[str, Any], datetime], dict[str, Any]], *, as_json: bool) -> None:
    from orchestration.opportunities.outcomes import InvalidSet
    from streams.documents import BadDocument, load_document

    try:
        document = load_document(path)
    except BadDocument as error:
        fail(str(error), ExitCode.USAGE)
    try:
        answer = compute(document, datetime.now(UTC))
    except InvalidSet as error:
        fail(str(error), ExitCode.USAGE)
    emit_document(answer, as_json=as_json)
