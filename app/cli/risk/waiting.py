"""`crossbook waiting`: what waits for a person, each with the act that ends it; and the release of an edge."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from app.cli.operator_actions import ByOption, ReasonOption, acting, refusals_as_exit_codes
from app.cli.output import ExitCode, JsonOption, emit_document, emit_lines, fail
from app.cli.warehouse import open_warehouse
from streams.documents import plain_whole


def register(cli: typer.Typer) -> None:
    """Add `waiting` and `release`."""
    cli.command("waiting")(list_all)
    cli.command("release")(release)


def list_all(as_json: JsonOption = False) -> None:
    """List what waits for a person, the longest first, each with the command that ends it."""
    from streams.settings import load_settings
    from streams.storage.store.gate.waiting import list_waiting

    settings = load_settings()
    with open_warehouse(settings) as connection:
        items = list_waiting(connection, settings.trading_mode)
    emit_lines(
        (
            {"kind": item.kind, "subject": item.subject, "since": item.since, "what": item.what, "act": item.act}
            for item in items
        ),
        as_json=as_json,
    )


def release(
    signal: Annotated[int, typer.Argument(parser=plain_whole, help="Number of the opportunity.")],
    up_to: Annotated[str, typer.Option("--up-to", help="Largest edge per contract, in dollars, that may be taken.")],
    reason: ReasonOption = "",
    by: ByOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let an edge be taken that was too good to be taken unasked, as long as its episode lasts."""
    from app.edge_release import release_edge
    from streams.documents import plain_decimal
    from streams.settings import load_settings

    try:
        most: Decimal = plain_decimal(up_to)
    except ValueError:
        fail(f"--up-to must be a number, not {up_to}.", ExitCode.USAGE)
    with refusals_as_exit_codes(), open_warehouse(load_settings()) as connection:
        who, why = acting(by, reason)
        release_id = release_edge(connection, signal, most, who=who, reason=why)
    emit_document(
        {"release_id": release_id, "signal_id": signal, "up_to": most, "released_by": who, "reason": why},
        as_json=as_json,
    )
