"""Operator actions from the command line: decisions go through `app.operator_actions`, refusals become exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from app.cli.output import ExitCode, fail

ByOption = Annotated[
    str,
    typer.Option(
        "--by", help="For whom, if not for the user of this shell, whose name is written; it joins the reason."
    ),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for those who read it later.")]


def acting(by: str, reason: str, *, is_kill: bool = False) -> tuple[str, str]:
    """Return the name of the shell's user, who acts, and the reason, with the person they act for.

    Raises:
        UnusableName: If `by` can be no person's name; a kill is not refused because of it.
    """
    from app.act_rules import UnusableName
    from app.doors import names
    from app.doors.shell import shell_name

    who = shell_name()
    try:
        return who, names.reason_for(reason, who, by)
    except names.UnusableName as error:
        if is_kill:
            return who, reason
        raise UnusableName(str(error)) from None


@contextmanager
def refusals_as_exit_codes() -> Iterator[None]:
    """End the command with one sentence when an action is refused.

    Exit codes: 1 when the subject does not exist, 2 when the person's name or the reason cannot be used, 4 for every
    other refusal.
    """
    from app.act_rules import ActRefused, UnknownSubject, UnusableName, UnusableReason

    try:
        yield
    except UnknownSubject as error:
        fail(str(error), ExitCode.ERROR)
    except (UnusableName, UnusableReason) as error:
        fail(str(error), ExitCode.USAGE)
    except ActRefused as error:
        fail(str(error), ExitCode.REFUSED)
