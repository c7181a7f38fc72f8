"""Operator actions from the command line: decisions go through `app.operator_actions`, refusals become exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from app.cli.output import ExitCode, fail

ByOption = Annotated[str, typer.Option("--by", help="Who decides; default: the user of this shell.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for those who read it later.")]


def person(by: str) -> str:
    """Return the name of the person who decides: `by`, else the login name."""
    import getpass

    return by or getpass.getuser()


@contextmanager
def refusals_as_exit_codes() -> Iterator[None]:
    """End the command with one sentence when an action is refused.

    Exit codes: 1 when the subject does not exist, 2 when the person's name cannot be used, 4 for every other refusal.
    """
    from app.operator_actions import ActRefused, UnknownSubject, UnusableName

    try:
        yield
    except UnknownSubject as error:
        fail(str(error), ExitCode.ERROR)
    except UnusableName as error:
        fail(str(error), ExitCode.USAGE)
    except ActRefused as error:
        fail(str(error), ExitCode.REFUSED)
