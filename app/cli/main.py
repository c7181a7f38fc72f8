"""`crossbook`: the command line. Each area registers its commands; heavy imports happen inside the commands."""

from __future__ import annotations

import sys

import typer

from app.cli import calc, export, fees, keys, match, pairs, record, sandbox, system, trade
from app.cli.output import ExitCode
from streams.market.errors import ConfigurationError, StreamsError

cli = typer.Typer(
    name="crossbook",
    help="A data platform for the prediction exchanges Kalshi and Polymarket.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

for area in (calc, export, fees, keys, match, pairs, record, sandbox, system, trade):
    area.register(cli)


def main() -> None:
    """Run the command line; errors of ours become one sentence and an exit code."""
    try:
        cli()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(ExitCode.USAGE)
    except StreamsError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(ExitCode.ERROR)


if __name__ == "__main__":
    main()
