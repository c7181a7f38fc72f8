"""A seeded warehouse for the tests of the faces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.storage.database import Connection, connect
from tests.fixtures.seed_warehouse import seed


@pytest.fixture
def seeded(database: str) -> str:
    """The address of a database with a small consistent warehouse in it."""
    seed(database)
    return database


@pytest.fixture
def connection(seeded: str) -> Iterator[Connection]:
    """A connection to the seeded warehouse."""
    with connect(seeded) as opened:
        yield opened
