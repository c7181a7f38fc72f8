"""The schema, the recorder's COPY and the roles on a PostgreSQL that is not the embedded one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from streams.storage.schema import migrate
from streams.storage.server import embedded
from streams.storage.server.embedded import EmbeddedServer
from tests.support.ports import free_port


@pytest.fixture
def other_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a database on a system-wide PostgreSQL 15 or newer, started for this test."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found or int(found[-1].parent.name) < 15:
        pytest.skip("no other PostgreSQL 15+ is installed; `make setup` installs one")
    monkeypatch.setattr(embedded, "binaries_dir", lambda: found[-1])
    monkeypatch.setattr(embedded, "INITDB_SETTINGS", ())  # initdb knows --set from 16 on
    server = EmbeddedServer(home=tmp_path / "other", port=free_port())
    server.start()
    yield server.dsn()
    server.destroy()


def test_another_server_takes_the_schema_the_partitions_and_the_roles(other_server: str) -> None:
    migrate(other_server, "sandbox")
    migrate(other_server, "sandbox")
    with psycopg.connect(other_server, autocommit=True) as connection:
        partitions = connection.execute(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'raw.book_deltas'::regclass"
        ).fetchone()
        assert partitions is not None
        assert partitions[0] >= 4
        connection.execute("SET ROLE crossbook_reader")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO trading.switches (state, set_by, set_at) VALUES ('run', 'reader', now())")
