"""`crossbook export TABLE FILE`: a table or view of the warehouse as CSV or Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.output import ExitCode, JsonOption, emit_document, fail
from app.cli.warehouse import open_warehouse


def register(cli: typer.Typer) -> None:
    """Add the command."""
    cli.command("export")(export_command)


def export_command(
    table: Annotated[str, typer.Argument(help="schema.table or view of raw, trading or analytics.")],
    file: Annotated[Path, typer.Argument(help="Where to write; .csv or .parquet.")],
    as_json: JsonOption = False,
) -> None:
    """Write a whole table of the warehouse to a file. The file appears when it is complete.

    In CSV a text that a spreadsheet would take for a formula (=, +, -, @ at its beginning) gets a quote before it.
    """
    from streams.settings import load_settings
    from streams.storage.exporting import export_csv, export_parquet, find_table

    writers = {".csv": export_csv, ".parquet": export_parquet}
    if file.suffix not in writers:
        fail(f"{file.name} must end in .csv or .parquet.", ExitCode.USAGE)
    if file.exists() and not file.is_file():
        fail(f"{file} is there and is not a file.", ExitCode.USAGE)
    if not file.absolute().parent.is_dir():
        fail(f"There is no folder {file.absolute().parent}.", ExitCode.USAGE)
    with open_warehouse(load_settings()) as connection:
        found = find_table(connection, table)
        if found is None:
            fail(f"There is no table {table} in raw, trading or analytics.", ExitCode.USAGE)
        try:
            rows = writers[file.suffix](connection, found, file)
        except OSError as error:
            fail(f"{file} cannot be written: {error.strerror or error}.")
    emit_document({"table": found.name, "file": str(file), "rows": rows}, as_json=as_json)
