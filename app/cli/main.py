"""`crossbook`: the command line. Each area registers its commands; heavy imports happen inside the commands."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app.cli import calc, fees, keys, match, pairs, record, sandbox, system, trade
from app.cli.alerts import commands as alerts
from app.cli.database import administer, ask, backups, export
from app.cli.output import ExitCode, emit_document
from app.cli.people import login, tokens, users
from app.cli.risk import limits, waiting
from app.cli.version import version_line
from streams.inert import several_lines
from streams.logs import guard_library_logs
from streams.outermost import INTERRUPTED, explained, flush_output, prepare_streams, say
from streams.redaction import redact_text

_UnusableCommandLine: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""What a command line that cannot be meant raises: Click's, or that of the Click that newer Typers carry with them."""


class GuardedGroup(TyperGroup):
    """The root of all commands, and their outermost handler: errors become one sentence and an exit code.

    What is not known by name has its traceback in a log file that the sentence names; with `--json` an error document
    is printed on stdout beside it.
    """

    def main(self, *arguments: Any, standalone_mode: bool = True, **named: Any) -> Any:
        """Run a command line as Click does, without any traceback."""

        def run() -> Any:
            return super(GuardedGroup, self).main(*arguments, **named, standalone_mode=False)  # type: ignore[misc]

        if not standalone_mode:
            return run()
        args = arguments[0] if arguments else named.get("args")
        code = _exit_code(run, list(sys.argv[1:] if args is None else args))
        problem = flush_output()
        if problem:
            say(problem)
        sys.exit(code or (int(ExitCode.ERROR) if problem else 0))


cli = typer.Typer(
    name="crossbook",
    help="A data platform for the prediction exchanges Kalshi and Polymarket.",
    cls=GuardedGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@cli.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version, and that of the schema.")] = False,
) -> None:
    """A data platform for the prediction exchanges Kalshi and Polymarket."""
    if version:
        print(version_line())
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(int(ExitCode.USAGE))


for area in (
    administer, alerts, ask, backups, calc, export, fees, keys, limits, login, match, pairs, record, sandbox, system,
    tokens, trade, users, waiting,
):  # fmt: skip
    area.register(cli)


def main() -> None:
    """Run the command line."""
    prepare_streams()
    guard_library_logs()
    cli()


def _exit_code(run: Callable[[], Any], given: list[str]) -> int:
    try:
        left = run()
        if left == INTERRUPTED:  # what Typer makes of Ctrl-C
            say("Interrupted.")
        return left if isinstance(left, int) else int(ExitCode.OK)
    except typer.Abort:
        say("Interrupted.")
        return INTERRUPTED
    except _UnusableCommandLine as error:
        said = io.StringIO()
        error.show(said)
        print(several_lines(redact_text(said.getvalue())), file=sys.stderr, end="")
        return int(error.exit_code)
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else int(ExitCode.ERROR)
    except BaseException as error:
        return _failed(error, is_json="--json" in given)


def _failed(error: BaseException, *, is_json: bool) -> int:
    if isinstance(error, BrokenPipeError):
        return int(ExitCode.ERROR)
    if isinstance(error, OSError) and error.filename is None and error.errno in (errno.ENOSPC, errno.EIO):
        say(f"The output cannot be written: {error.strerror}.")
        return int(ExitCode.ERROR)
    code, sentence, log = explained(error)
    say(sentence)
    if log is not None and is_json:
        with suppress(OSError):
            emit_document({"error": {"code": "unexpected", "message": sentence, "log": str(log)}}, as_json=True)
    return code


if __name__ == "__main__":
    main()
