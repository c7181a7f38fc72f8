"""The accounts of a command: refusals become exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.cli.output import ExitCode, fail

if TYPE_CHECKING:
    from app.doors.accounts import Accounts


@contextmanager
def account_refusals() -> Iterator[None]:
    """End the command with one sentence when something is refused.

    Exit codes: 1 when there is no such account, 2 when a name or password cannot be used, 4 for every other refusal.
    """
    from app.doors.accounts import AccountRefused, UnknownAccount
    from app.doors.names import UnusableName
    from app.doors.passwords import UnusablePassword

    try:
        yield
    except UnknownAccount as error:
        fail(str(error), ExitCode.ERROR)
    except (UnusableName, UnusablePassword) as error:
        fail(str(error), ExitCode.USAGE)
    except AccountRefused as error:
        fail(str(error), ExitCode.REFUSED)


@contextmanager
def open_accounts() -> Iterator[Accounts]:
    """Lend the accounts of the home in force; refusals end the command."""
    from app.doors.accounts import Accounts
    from streams.settings import load_settings

    with closing(Accounts(load_settings().home_dir)) as accounts, account_refusals():
        yield accounts


def moment(at: float | None) -> datetime | None:
    """Return a time of the accounts (Unix seconds) as people read it; None for none."""
    return None if at is None else datetime.fromtimestamp(at, UTC)
