"""`crossbook tokens`: API tokens, each with a name, scopes and an end; the text is printed once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.output import ExitCode, JsonOption, emit_document, emit_lines, fail, warn
from app.cli.people.opening import moment, open_accounts
from streams.documents import plain_whole

if TYPE_CHECKING:
    from app.doors.accounts import Token
    from app.doors.roles import Act

_DAYS = 90
_DAYS_MAX = 3_650


def register(cli: typer.Typer) -> None:
    """Add `tokens list`, `add` and `revoke`."""
    group = typer.Typer(help="API tokens: whose, what for, and until when.", no_args_is_help=True)
    group.command("list")(list_all)
    group.command("add")(add)
    group.command("revoke")(revoke)
    cli.add_typer(group, name="tokens")


def list_all(as_json: JsonOption = False) -> None:
    """List the tokens, the oldest first, without their texts."""
    with open_accounts() as accounts:
        emit_lines((_document(token) for token in accounts.list_tokens()), as_json=as_json)


def add(
    label: Annotated[str, typer.Argument(help="What it is for.")],
    scopes: Annotated[
        str, typer.Option(help="The acts it is for, with commas between: view, decide_pairs, watch, stop, resume, ...")
    ],
    days: Annotated[
        int | None,
        typer.Option(parser=plain_whole, help=f"Days until its end, at most {_DAYS_MAX}; default: {_DAYS}."),
    ] = None,
    name: Annotated[str, typer.Option("--for", help="Whose; default: the user of this shell.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Add a token and print its text, which is stored nowhere. It does no more than its person may."""
    from app.doors.links import shell_account
    from app.doors.roles import Identity

    acts = _acts(scopes)
    lasts = _DAYS if days is None else days
    if not 1 <= lasts <= _DAYS_MAX:
        fail(f"--days must be a number from 1 to {_DAYS_MAX}.", ExitCode.USAGE)
    with open_accounts() as accounts:
        whose = name or shell_account(accounts)
        token, text = accounts.add_token(label, whose, acts, ends_at=time.time() + lasts * 86_400)
        person = accounts.find_person(whose)
    if person is not None:
        idle = [act for act in acts if not Identity(person.name, person.role, "token").may(act)]
        if idle:
            warn(f"{person.name} is a {person.role}: the token does not grant {', '.join(idle)} as long as that is so.")
    if as_json:
        emit_document({**_document(token), "token": text}, as_json=True)
    else:
        warn(f"Token {token.token_id} of {token.name}; keep its text, it is not shown again.")
        print(text)


def revoke(
    token_id: Annotated[int, typer.Argument(parser=plain_whole, help="As `tokens list` shows it.")],
    as_json: JsonOption = False,
) -> None:
    """End a token at once."""
    with open_accounts() as accounts:
        accounts.revoke_token(token_id)
    emit_document({"token_id": token_id, "revoked": True}, as_json=as_json)


def _acts(scopes: str) -> list[Act]:
    from app.doors.roles import Act

    names = [name.strip() for name in scopes.split(",") if name.strip()]
    unknown = [name for name in names if name not in list(Act)]
    if unknown or not names:
        fail(
            f"{unknown[0] if unknown else 'An empty text'} is not a scope; there are {', '.join(Act)}.", ExitCode.USAGE
        )
    return [Act(name) for name in names]


def _document(token: Token) -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "label": token.label,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "made_at": moment(token.made_at),
        "ends_at": moment(token.ends_at),
        "revoked_at": moment(token.revoked_at),
        "used_at": moment(token.used_at),
    }
