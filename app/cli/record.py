"""`crossbook record`: only the recorder, without signals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.output import ExitCode, JsonOption, emit_document, fail
from app.cli.warehouse import open_warehouse, warehouse_dsn


def register(cli: typer.Typer) -> None:
    """Add the command."""
    cli.command("record")(record_command)


def record_command(
    shard: Annotated[str, typer.Option(help="Which shard of how many, as i/n with i from 0.")] = "0/1",
    markets: Annotated[Path | None, typer.Option(help="File with one market id a line; any kind of id.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Record order books into the warehouse until Ctrl-C or SIGTERM; emits no signals."""
    import uuid
    from dataclasses import asdict

    from streams.logs import configure_logs
    from streams.recorder.running import run_until_signalled
    from streams.recorder.service import RecorderRun, record
    from streams.settings import load_settings
    from streams.storage.schema import migrate
    from streams.storage.store.wanted import resolve_wanted

    number, count = parse_shard(shard)
    ids = read_ids(markets) if markets is not None else None
    settings = load_settings()
    configure_logs(settings.log_level)
    with open_warehouse(settings):
        migrate(warehouse_dsn(settings), settings.venues)
    load = None
    if ids is not None:
        with open_warehouse(settings) as connection:
            found, unknown = resolve_wanted(connection, ids)
        if unknown:
            fail(f"These markets have not been discovered: {', '.join(unknown[:5])}.", ExitCode.USAGE)
        load = lambda _connection: found  # noqa: E731 - one expression, used once
    run = RecorderRun(number, count, f"cli-{uuid.uuid4().hex[:12]}")
    ended = run_until_signalled(lambda stop: record(settings, run, [], stop, universe=load))
    emit_document(asdict(ended.result), as_json=as_json)


def parse_shard(text: str) -> tuple[int, int]:
    """Return (i, n) of "i/n"; any other text ends the command with a usage error."""
    first, _, second = text.partition("/")
    if not (first.isdigit() and second.isdigit() and int(first) < int(second)):
        fail(f"--shard must be i/n with i from 0 to n-1, not {text!r}.", ExitCode.USAGE)
    return int(first), int(second)


def read_ids(path: Path) -> list[str]:
    """Return the ids of a file, one a line; blank lines and lines that begin with # are skipped."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path} cannot be read: {error}.", ExitCode.USAGE)
    ids = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not ids:
        fail(f"{path} names no market.", ExitCode.USAGE)
    return ids
