"""`crossbook record`: only the recorder, without signals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from app.cli.output import ExitCode, JsonOption, emit_document, fail, warn
from app.cli.warehouse import open_warehouse, warehouse_dsn
from streams.storage.access.logins import Login

_ID_MAX = 500


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

    from app.supervisor.checks.database_check import CONNECTIONS_OF_A_RECORDER, check_database
    from streams.logs import configure_logs
    from streams.market.errors import ConfigurationError
    from streams.recorder.running import run_until_signalled
    from streams.recorder.service import RecorderRun, record
    from streams.settings import load_settings
    from streams.storage.access.reader_limits import reader_limits
    from streams.storage.schema import migrate
    from streams.storage.store.wanted import resolve_wanted

    number, count = parse_shard(shard)
    listed = read_ids(markets) if markets is not None else None
    settings = load_settings()
    configure_logs(settings.log_level)
    with open_warehouse(settings, Login.OWNER):
        try:
            check_database(settings, CONNECTIONS_OF_A_RECORDER)
        except ConfigurationError as error:
            fail(str(error), ExitCode.USAGE)
        migrate(warehouse_dsn(settings, Login.OWNER), settings.venues, reader_limits(settings))
    load = None
    is_line_bad = listed is not None and listed.is_line_bad
    if markets is not None and listed is not None:
        with open_warehouse(settings, Login.RECORDER) as connection:
            found, unknown = resolve_wanted(connection, list(listed.lines))
        for name in unknown:
            warn(f"{markets.name} line {listed.lines[name]}: {name[:100]} has not been discovered")
        if not found:
            fail(f"{markets} names no market that can be recorded.", ExitCode.USAGE)
        is_line_bad = is_line_bad or bool(unknown)
        load = lambda _connection: found  # noqa: E731 - one expression, used once
    run = RecorderRun(number, count, f"cli-{uuid.uuid4().hex[:12]}")
    ended = run_until_signalled(lambda stop: record(settings, run, [], stop, universe=load))
    emit_document(asdict(ended.result), as_json=as_json)
    if is_line_bad:
        raise typer.Exit(int(ExitCode.ERROR))


@dataclass(frozen=True, slots=True)
class ListedIds:
    """The ids of a file with the line each stands in first, and whether a line could not be used."""

    lines: dict[str, int]
    is_line_bad: bool


def parse_shard(text: str) -> tuple[int, int]:
    """Return (i, n) of "i/n"; any other text ends the command with a usage error."""
    found = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
    if found is None or int(found[1]) >= int(found[2]):
        fail(f"--shard must be i/n with i from 0 to n-1, not {text[:40]!r}.", ExitCode.USAGE)
    return int(found[1]), int(found[2])


def read_ids(path: Path) -> ListedIds:
    """Return the ids of a file, one a line; blank lines and lines that begin with # are skipped.

    A line that cannot be an id is named on stderr and the rest goes on; a file without any id ends the command.
    """
    from streams.documents import BadDocument, read_text_lines

    ids: dict[str, int] = {}
    is_line_bad = False
    try:
        for line in read_text_lines(path, holds="one market id a line"):
            if not line.problem and line.value.startswith("#"):
                continue
            problem = line.problem or _problem_of_id(line.value)
            if problem:
                is_line_bad = True
                warn(f"{path.name} line {line.number}: {problem}")
            else:
                ids.setdefault(line.value, line.number)
    except BadDocument as error:
        fail(str(error), ExitCode.USAGE)
    if not ids:
        fail(f"{path} names no market.", ExitCode.USAGE)
    return ListedIds(ids, is_line_bad)


def _problem_of_id(text: str) -> str:
    if not text.isprintable():
        return "it holds signs that no id has"
    if len(text) > _ID_MAX:
        return f"it is longer than {_ID_MAX} characters, which no id is"
    return ""
