"""Fixtures every kind of test shares: a PostgreSQL server for the session and an empty, migrated database per test."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples

from orchestration.dbt.live_views import stored_views
from orchestration.dbt.project import prepare, views_path
from streams.settings import load_settings
from streams.storage.database import connect
from streams.storage.schema import migrate
from streams.storage.server.embedded import EmbeddedServer
from streams.storage.store.warehouse import keep_views
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parent
SHARED = ROOT.parents[1] / "shared"


IS_CI = os.environ.get("CI") == "true"
_DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")
"""What the tests' own server need not do: their data may be lost with the machine."""
_MEMORY, _MEMORY_LEAST = Path("/dev/shm"), 8_000_000_000
_FIRST = ("system", "browser", "acceptance", "integration")
_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the kinds with the longest files begin first, so that no worker waits for one of them at the end."""
    place = {kind: number for number, kind in enumerate(_FIRST)}
    items.sort(key=lambda item: place.get(item.path.relative_to(ROOT).parts[0], len(place)))


# The same examples on every machine and in every run, however slow it is; the searching is done by the proofs.
examples.register_profile(
    "tests", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
examples.load_profile("tests")


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


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """Dagster's execution takes TERM as it finds INT, ignored in a shell's background, and leaves it so."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def postgres_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server to make databases on: `DATABASE_URL`, else an embedded one for this session."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    with _quick_folder(tmp_path_factory) as home:
        yield from _own_server(home)


@contextmanager
def _quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the server, in memory where there is plenty: databases are made and dropped by the thousand."""
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _MEMORY_LEAST:
        yield tmp_path_factory.mktemp("postgres")
        return
    with tempfile.TemporaryDirectory(prefix="crossbook-tests-", dir=_MEMORY, ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def _own_server(home: Path) -> Iterator[str]:
    server = EmbeddedServer(home=home, port=free_port())
    server.start()
    try:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
            for name in _DURABILITY:
                connection.execute(f"ALTER SYSTEM SET {name} = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.dsn("postgres")
    finally:
        server.destroy()


@contextmanager
def new_database(server: str, template: str | None = None) -> Iterator[str]:
    """Make a database of its own, empty or a copy of another; dropped afterwards.

    Args:
        server: Address of a database of the server.
        template: Address of the database to copy, to which nobody may be connected.
    """
    name = f"test_{secrets.token_hex(6)}"
    of = f" TEMPLATE {psycopg.conninfo.conninfo_to_dict(template)['dbname']} STRATEGY file_copy" if template else ""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}{of}")
    try:
        yield psycopg.conninfo.make_conninfo(server, dbname=name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_database(postgres_dsn: str) -> Iterator[str]:
    """The address of a database of its own, without any schema; dropped afterwards."""
    with new_database(postgres_dsn) as address:
        yield address


@pytest.fixture(scope="session")
def migrated_template(postgres_dsn: str) -> Iterator[str]:
    """The address of a database that is migrated for the sandbox, to be copied only."""
    with new_database(postgres_dsn) as address:
        migrate(address, "sandbox")
        yield address


@pytest.fixture(scope="session")
def live_views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the compiled views of the warehouse; dbt compiles them once for all workers of a session."""
    root = tmp_path_factory.getbasetemp()
    home = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "views_home"
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        settings = load_settings(home=home, database_url=None)
        prepare(settings)
    return views_path(settings)


@pytest.fixture(scope="session")
def warehouse_template(postgres_dsn: str, migrated_template: str, live_views: Path) -> Iterator[str]:
    """The address of a migrated database with the views people read, to be copied only."""
    with new_database(postgres_dsn, migrated_template) as address:
        with connect(address) as connection:
            keep_views(connection, stored_views(live_views))
        yield address


@pytest.fixture
def database(postgres_dsn: str, migrated_template: str) -> Iterator[str]:
    """The address of a database of its own, migrated for the sandbox; dropped afterwards."""
    with new_database(postgres_dsn, migrated_template) as address:
        yield address


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The loop that tests marked `anyio` run on."""
    return "asyncio"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real recordings; tests that need it are skipped where it is not."""
    if not SHARED.exists():
        pytest.skip("the folder of real recordings is not beside this checkout")
    return SHARED
