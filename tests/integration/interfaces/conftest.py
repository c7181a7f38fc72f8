"""A seeded warehouse for the tests of the interfaces: made once, copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.doors.accounts import Accounts
from streams.storage.database import Connection, connect
from tests.conftest import new_database
from tests.fixtures.seed_warehouse import seed
from tests.support.dashboard_pages import Pages


@pytest.fixture(scope="session")
def seeded_template(postgres_dsn: str, warehouse_template: str) -> Iterator[str]:
    """The address of a database with a small consistent warehouse in it, to be copied only."""
    with new_database(postgres_dsn, warehouse_template) as address:
        seed(address)
        yield address


@pytest.fixture
def database(postgres_dsn: str, warehouse_template: str) -> Iterator[str]:
    """The address of a database of its own as a start leaves it: migrated, with its views, empty."""
    with new_database(postgres_dsn, warehouse_template) as address:
        yield address


@pytest.fixture
def seeded(postgres_dsn: str, seeded_template: str) -> Iterator[str]:
    """The address of a database of its own with the seeded warehouse; dropped afterwards."""
    with new_database(postgres_dsn, seeded_template) as address:
        yield address


@pytest.fixture
def connection(seeded: str) -> Iterator[Connection]:
    """A connection to the seeded warehouse."""
    with connect(seeded) as opened:
        yield opened


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pages]:
    """What opens pages of the dashboard for who is signed in."""
    accounts = Accounts(tmp_path)
    yield Pages(monkeypatch, tmp_path, accounts, {})
    accounts.close()
