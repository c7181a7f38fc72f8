"""`crossbook login`: a link that signs in once."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.output import JsonOption, emit_document, warn
from app.cli.people.opening import account_refusals


def register(cli: typer.Typer) -> None:
    """Add the command."""
    cli.command("login")(login)


def login(
    name: Annotated[str, typer.Option("--as", help="Whose account; default: that of the user of this shell.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Print a link that signs in once, within 15 minutes, in a browser of this machine.

    The user of this shell is an owner; their account is made where there is none.
    """
    from app.doors.accounts import LINK_FOR_S
    from app.doors.links import link_for
    from app.supervisor.state import read_state
    from streams.settings import load_settings

    settings = load_settings()
    with account_refusals():
        link = link_for(settings, name)
    if read_state(settings.home_dir) is None:
        warn("Nothing runs in this home: start it with `make up` before the link is over.")
    emit_document({"link": link, "minutes": LINK_FOR_S // 60}, as_json=as_json)
