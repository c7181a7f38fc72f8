"""What the gate reads of our own side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.storage.database import Connection, connect
from streams.storage.store.gate.house import lossy_settings


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def test_settings_by_which_a_commit_may_be_lost_are_named(connection: Connection) -> None:
    # The tests' own server keeps nothing over a crash of its machine; each session of ours waits for its commit.
    server = lossy_settings(connection)
    assert set(server) <= {"fsync=off", "full_page_writes=off"}
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = off")
        assert lossy_settings(connection) == [*server, "synchronous_commit=off"]
        connection.execute("SET LOCAL synchronous_commit = remote_write")
        assert lossy_settings(connection) == server
