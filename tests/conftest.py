"""Fixtures every kind of test shares: a PostgreSQL server for the session and an empty, migrated database per test."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import psycopg
import pytest

from streams.storage.embedded import EmbeddedServer
from streams.storage.schema import migrate

SHARED = Path(__file__).resolve().parents[2] / "shared"


IS_CI = os.environ.get("CI") == "true"
_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


def _refuse_other_hosts(event: str, arguments: tuple[object, ...]) -> None:
    """Fail whatever tries to connect beyond loopback from a test's process."""
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and not str(address[0]).startswith(_LOOPBACK):
            raise AssertionError(f"a test tried to connect to {address[0]}")


sys.addaudithook(_refuse_other_hosts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On CI everything a test may need is there, so a skip is a failure."""
    report = yield
    if IS_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


def free_port() -> int:
    """Return a TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server to make databases on: `DATABASE_URL`, else an embedded one for this session."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    server = EmbeddedServer(home=tmp_path_factory.mktemp("postgres"), port=free_port())
    server.start()
    try:
        yield server.dsn("postgres")
    finally:
        server.destroy()


@pytest.fixture
def empty_database(postgres_dsn: str) -> Iterator[str]:
    """The address of a database of its own, without any schema; dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield psycopg.conninfo.make_conninfo(postgres_dsn, dbname=name)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(empty_database: str) -> str:
    """The address of a database of its own, migrated for the sandbox."""
    migrate(empty_database, "sandbox")
    return empty_database


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real recordings; tests that need it are skipped where it is not."""
    if not SHARED.exists():
        pytest.skip("the folder of real recordings is not beside this checkout")
    return SHARED
