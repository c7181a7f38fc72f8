"""A server with every login of an installation, for tests that try what each may do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from streams.settings import Settings, load_settings
from streams.storage.access.logins import GROUPS, Login
from streams.storage.access.rights import make_groups, make_login


@contextmanager
def logins_of(owner: str, names: dict[Login, str]) -> Iterator[dict[Login, str]]:
    """Make a login for each kind of process on a server, all with one password; yield their addresses, drop them later.

    Args:
        owner: Address of a superuser, in the database the logins are for.
        names: What each is called.
    """
    with psycopg.connect(owner, autocommit=True) as connection:
        make_groups(connection)
        for login, name in names.items():
            make_login(connection, name, login, "of-a-test")
    try:
        yield {
            login: psycopg.conninfo.make_conninfo(owner, user=name, password="of-a-test")
            for login, name in names.items()
        }
    finally:
        with psycopg.connect(owner, autocommit=True) as connection:
            for name in names.values():
                connection.execute(f"DROP OWNED BY {name}")
                connection.execute(f"DROP ROLE {name}")


def settings_of(home: Path, owner: str, addresses: dict[Login, str]) -> Settings:
    """Return the settings of an installation on a server of its own with these logins."""
    return load_settings(home=home, database_url=owner, **{login.field: addresses[login] for login in GROUPS})
