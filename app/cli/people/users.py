"""`crossbook users`: who may sign in, and what they may do.

Passwords come from a hidden prompt or from standard input, never from the command line.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli.output import ExitCode, JsonOption, emit_document, emit_lines, fail
from app.cli.people.opening import moment, open_accounts

if TYPE_CHECKING:
    from app.doors.accounts import Accounts, Person

_PASSWORD_BYTES_MAX = 10_000
NameArgument = Annotated[str, typer.Argument(help="Of the account.")]
RoleName = Literal["viewer", "reviewer", "trader", "owner"]
SubjectOption = Annotated[
    str, typer.Option("--subject", help="Their `sub` at the provider of CROSSBOOK_OIDC_ISSUER, who signs in by OIDC.")
]
EmailOption = Annotated[
    str, typer.Option("--email", help="Their verified e-mail there, until they signed in once; if not --subject.")
]


def register(cli: typer.Typer) -> None:
    """Add `users list`, `add`, `role`, `password`, `oidc`, `close`, `open` and `sign-out`."""
    group = typer.Typer(help="Accounts: who may sign in, and their roles.", no_args_is_help=True)
    group.command("list")(list_all)
    group.command("add")(add)
    group.command("role")(set_role)
    group.command("password")(set_password)
    group.command("oidc")(set_subject)
    group.command("close")(close)
    group.command("open")(open_again)
    group.command("sign-out")(sign_out)
    cli.add_typer(group, name="users")


def list_all(as_json: JsonOption = False) -> None:
    """List the accounts by name."""
    with open_accounts() as accounts:
        emit_lines((_document(person) for person in accounts.list_people()), as_json=as_json)


def add(
    name: NameArgument,
    role: Annotated[RoleName, typer.Option(help="What they may do; each role may do what those before it may.")],
    with_password: Annotated[
        bool, typer.Option("--with-password", help="Ask for a password, or read it from standard input.")
    ] = False,
    subject: SubjectOption = "",
    email: EmailOption = "",
    as_json: JsonOption = False,
) -> None:
    """Add an account. Without a password and OIDC it signs in by links of `crossbook login --as`."""
    from app.doors.roles import Role
    from app.doors.shell import shell_name

    outside = _subject(subject, email)
    password = _read_password() if with_password else None
    with open_accounts() as accounts:
        person = accounts.add_person(name, Role(role), by=shell_name(), password=password, subject=outside)
        emit_document(_document(person), as_json=as_json)


def set_role(
    name: NameArgument, role: Annotated[RoleName, typer.Argument(help="What they may do.")], as_json: JsonOption = False
) -> None:
    """Change what a person may do, from their next request on."""
    from app.doors.roles import Role

    with open_accounts() as accounts:
        accounts.set_role(name, Role(role))
        _show(accounts, name, as_json=as_json)


def set_password(name: NameArgument, as_json: JsonOption = False) -> None:
    """Set a person's password, asked for or read from standard input, and sign them out everywhere."""
    with open_accounts() as accounts:
        _need(accounts, name)
        accounts.set_password(name, _read_password())
        _show(accounts, name, as_json=as_json)


def set_subject(
    name: NameArgument, subject: SubjectOption = "", email: EmailOption = "", as_json: JsonOption = False
) -> None:
    """Set which account at the OIDC provider signs a person in; none without an option. Signs them out everywhere."""
    outside = _subject(subject, email)
    with open_accounts() as accounts:
        accounts.set_subject(name, outside)
        _show(accounts, name, as_json=as_json)


def close(name: NameArgument, as_json: JsonOption = False) -> None:
    """Close an account: its sessions, links and tokens are over at once. Its name stays taken."""
    with open_accounts() as accounts:
        accounts.set_active(name, is_active=False)
        _show(accounts, name, as_json=as_json)


def open_again(name: NameArgument, as_json: JsonOption = False) -> None:
    """Open a closed account again; its tokens stay revoked."""
    with open_accounts() as accounts:
        accounts.set_active(name, is_active=True)
        _show(accounts, name, as_json=as_json)


def sign_out(name: NameArgument, as_json: JsonOption = False) -> None:
    """Sign a person out of every browser; links that were not used are over too."""
    with open_accounts() as accounts:
        person = _need(accounts, name)
        emit_document({"name": person.name, "sessions_ended": accounts.end_sessions_of(name)}, as_json=as_json)


def _need(accounts: Accounts, name: str) -> Person:
    person = accounts.find_person(name)
    if person is None:
        fail(f"There is no account {name}.", ExitCode.ERROR)
    return person


def _show(accounts: Accounts, name: str, *, as_json: bool) -> None:
    emit_document(_document(_need(accounts, name)), as_json=as_json)


def _document(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "role": person.role,
        "is_active": person.is_active,
        "has_password": person.has_password,
        "oidc": person.subject,
        "added_at": moment(person.added_at),
        "added_by": person.added_by,
    }


def _subject(subject: str, email: str) -> str | None:
    """Return what an account's outside account is stored as; exits where the provider is not known."""
    from app.doors.subjects import subject_of, subject_of_email
    from streams.settings import load_settings

    if subject and email:
        fail("Give --subject or --email, not both.", ExitCode.USAGE)
    if not subject and not email:
        return None
    issuer = load_settings().oidc_issuer
    if not issuer:
        fail("Set CROSSBOOK_OIDC_ISSUER first: a subject is one of a provider's.", ExitCode.USAGE)
    return subject_of(issuer, subject) if subject else subject_of_email(issuer, email)


def _read_password() -> str:
    from streams.documents import BadDocument, read_text

    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return read_text(Path("-"), most=_PASSWORD_BYTES_MAX, holds="the password").rstrip("\r\n")
    except BadDocument as error:
        fail(str(error), ExitCode.USAGE)
