"""Links that sign a person in at the terminal's own machine: printed by `crossbook up` and `crossbook login`."""

from __future__ import annotations

from contextlib import closing, suppress

from app.doors.accounts import AccountRefused, Accounts
from app.doors.roles import Role
from app.doors.shell import shell_name
from streams.settings import Settings


def first_link(settings: Settings) -> str:
    """Return the address of a link for the user of this shell, whose account is made, as owner, where there is none.

    Empty where that account was closed: a start opens no account again.

    Raises:
        ConfigurationError: If the accounts cannot be used.
    """
    try:
        return link_for(settings)
    except AccountRefused:
        return ""


def link_for(settings: Settings, name: str = "") -> str:
    """Return the address of a new link, which works once, within 15 minutes and on this machine only.

    Args:
        settings: Of the whole system.
        name: Whose account; empty: that of the user of this shell, made as owner where there is none.

    Raises:
        AccountRefused: If there is no such account, or it is closed.
        ConfigurationError: If the accounts cannot be used.
    """
    with closing(Accounts(settings.home_dir)) as accounts:
        code = accounts.make_link(name or shell_account(accounts))
    return f"http://127.0.0.1:{settings.dashboard_port}/-/link?code={code}"


def shell_account(accounts: Accounts) -> str:
    """Return the name of the account of this shell's user, which is made, as owner, where there is none."""
    name = shell_name()
    if accounts.find_person(name) is None:
        with suppress(AccountRefused):  # another process was first
            accounts.add_person(name, Role.OWNER, by=name)
    return name
