"""`crossbook limits`: the limits in force, and a new value of one."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from app.cli.operator_actions import ByOption, ReasonOption, acting, refusals_as_exit_codes
from app.cli.output import ExitCode, JsonOption, emit_document, emit_lines, fail
from app.cli.warehouse import open_warehouse

HistoryOption = Annotated[bool, typer.Option("--history", help="All values that were set, newest first.")]


def register(cli: typer.Typer) -> None:
    """Add `limits list` and `limits set`."""
    group = typer.Typer(help="The limits that the gate keeps to.", no_args_is_help=True)
    group.command("list")(list_all)
    group.command("set")(set_one)
    cli.add_typer(group, name="limits")


def list_all(history: HistoryOption = False, as_json: JsonOption = False) -> None:
    """List the limits in force, with who set them and when."""
    from streams.market.limits import KINDS, LIMIT_NAMES
    from streams.settings import load_settings
    from streams.storage.store.risk import first_limit, list_limits, load_limits

    settings = load_settings()
    with open_warehouse(settings) as connection:
        if history:
            rows = list_limits(connection)
            emit_lines(({"name": row.name, "value": row.value, "set_by": row.set_by, "set_at": row.set_at,
                         "reason": row.reason} for row in rows), as_json=as_json)  # fmt: skip
            return
        given = load_limits(connection)
    lines = []
    for name in LIMIT_NAMES:
        row = given.get(name)
        lines.append(
            {
                "name": name,
                "value": first_limit(settings, name) if row is None else row.value,
                "unit": KINDS[name].unit,
                "meaning": KINDS[name].label,
                "set_by": "settings" if row is None else row.set_by,
                "set_at": None if row is None else row.set_at,
                "reason": "" if row is None else row.reason,
            }
        )
    emit_lines(lines, as_json=as_json)


def set_one(
    name: Annotated[str, typer.Argument(help="As `limits list` shows it.")],
    value: Annotated[str, typer.Argument(help="In the limit's unit.")],
    reason: ReasonOption = "",
    by: ByOption = "",
    as_json: JsonOption = False,
) -> None:
    """Set a limit; it holds from the next order on."""
    from app.operator_actions import set_limit
    from streams.documents import plain_decimal
    from streams.market.limits import BadLimit, checked_limit
    from streams.settings import load_settings

    try:
        number: Decimal = checked_limit(name, plain_decimal(value))
    except BadLimit as error:
        fail(str(error), ExitCode.USAGE)
    except ValueError:
        fail(f"{name} must be a number, not {value}.", ExitCode.USAGE)
    settings = load_settings()
    with refusals_as_exit_codes(), open_warehouse(settings) as connection:
        who, why = acting(by, reason)
        limit_id = set_limit(connection, name, number, who=who, reason=why)
    emit_document({"limit_id": limit_id, "name": name, "value": number, "set_by": who, "reason": why}, as_json=as_json)
