"""How commands act: people's decisions go through `app.operator_actions`, and its refusals become exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from app.cli.output import ExitCode, fail

ByOption = Annotated[str, typer.Option("--by", help="Who decides; default: the user of this shell.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for those who read it later.")]


def person(by: str) -> str:
    """Return who acts: as given, else the login name."""
    import getpass

    return by or getpass.getuser()


@contextmanager
def refusals_as_exit_codes() -> Iterator[None]:
    """Leave with one sentence when an act is refused: 1 for what is not there, 2 for a name, 4 for the rest."""
    from app.operator_actions import ActRefused, UnknownSubject, UnusableName

    try:
        yield
    except UnknownSubject as error:
        fail(str(error), ExitCode.ERROR)
    except UnusableName as error:
        fail(str(error), ExitCode.USAGE)
    except ActRefused as error:
        fail(str(error), ExitCode.REFUSED)
