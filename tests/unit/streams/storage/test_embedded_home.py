"""A home keeps its database: whatever the permissions of the moment, wherever the home is moved, whoever copies it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from app.backup.archive import Manifest
from app.backup.restore import _check_target
from streams.market.errors import ConfigurationError
from streams.settings import load_settings
from streams.storage.server import account, embedded
from streams.storage.server.cluster_record import read_record
from streams.storage.server.embedded import EmbeddedServer
from tests.support.ports import free_port

Made = Callable[[Path], EmbeddedServer]


@pytest.fixture
def open_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that the server's user can reach, also where tests run as root."""
    folder = Path("/tmp") / f"crossbook-test-{os.getpid()}-{free_port()}"
    folder.mkdir(mode=0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def made() -> Iterator[Made]:
    servers: list[EmbeddedServer] = []

    def make(home: Path) -> EmbeddedServer:
        servers.append(EmbeddedServer(home=home, port=free_port()))
        return servers[-1]

    yield make
    for server in servers:
        try:
            server.destroy()
        except ConfigurationError:
            shutil.rmtree(server.home, ignore_errors=True)


@pytest.fixture
def fake_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters without PostgreSQL: a version, a number, and nothing that runs."""

    def create(server: EmbeddedServer, data_dir: Path) -> None:
        server._make_data_dir(data_dir, None)
        lay_cluster(data_dir, int.from_bytes(os.urandom(7)))
        embedded.write_record(server.home, embedded.ClusterRecord(data_dir, embedded.system_identifier(data_dir)))
        (server.home / "reader_password").touch()

    monkeypatch.setattr(EmbeddedServer, "_create_cluster", create)
    monkeypatch.setattr(EmbeddedServer, "_spawn", lambda self: None)


def lay_cluster(data_dir: Path, number: int) -> None:
    (data_dir / "global").mkdir(parents=True, exist_ok=True)
    (data_dir / "PG_VERSION").write_text("16\n")
    (data_dir / "global" / "pg_control").write_bytes(number.to_bytes(8, "little"))


def as_user_of_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (account, embedded):
        monkeypatch.setattr(module, "server_user", lambda: pwd.getpwnam("nobody"))


def test_a_closed_parent_shows_no_other_database_and_says_how_to_open_it(
    open_folder: Path, made: Made, fake_cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user_of_server(monkeypatch)
    home = open_folder / "deep" / "postgres"
    server = made(home)
    server.launch()
    data_dir = server.data_dir
    assert data_dir == home / "pgdata"
    password = (home / "cluster.json").read_text()
    home.parent.chmod(0o700)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=rf"closed to others; open it with `chmod o\+x {home.parent}`\.$"):
            server.launch()
    assert server.data_dir == data_dir
    assert (home / "cluster.json").read_text() == password
    home.parent.chmod(0o755)
    server.launch()


def test_a_home_that_moves_keeps_its_database_inside(open_folder: Path, made: Made, fake_cluster: None) -> None:
    server = made(open_folder / "a" / "postgres")
    server.launch()
    record = read_record(server.home)
    (open_folder / "a").rename(open_folder / "b")
    moved = made(open_folder / "b" / "postgres")
    moved.launch()
    assert moved.data_dir.is_relative_to(open_folder / "b")
    now = read_record(moved.home)
    assert record is not None
    assert now is not None
    assert now.system_identifier == record.system_identifier


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where databases go whose home cannot be reached by their user."""
    folder = tmp_path / "var"
    digest = EmbeddedServer._digest
    monkeypatch.setattr(EmbeddedServer, "_outside", property(lambda self: folder / digest.__get__(self) / "pgdata"))
    monkeypatch.setattr(embedded, "closed_folder", lambda path: None if str(path).startswith(str(folder)) else path)
    as_user_of_server(monkeypatch)
    return folder


def test_a_home_that_moves_keeps_its_database_outside(
    tmp_path: Path, made: Made, fake_cluster: None, outside: Path
) -> None:
    server = made(tmp_path / "a" / "postgres")
    server.launch()
    data_dir = server.data_dir
    assert data_dir.is_relative_to(outside)
    (tmp_path / "a").rename(tmp_path / "b")
    moved = made(tmp_path / "b" / "postgres")
    moved.launch()
    assert moved.data_dir == data_dir
    # and a new home in the old place gets its own, not the moved one's
    fresh = made(tmp_path / "a" / "postgres")
    fresh.launch()
    assert fresh.data_dir not in (data_dir, fresh._inside)
    moved.launch()
    assert moved.data_dir == data_dir


def test_a_copy_of_a_home_does_not_take_its_database(
    tmp_path: Path, made: Made, fake_cluster: None, outside: Path
) -> None:
    server = made(tmp_path / "a" / "postgres")
    server.launch()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copy = made(tmp_path / "b" / "postgres")
    with pytest.raises(ConfigurationError, match=rf"belongs to the home {tmp_path / 'a'}, of which this one is a copy"):
        copy.launch()
    copy.destroy()
    assert (server.data_dir / "PG_VERSION").exists()
    server.launch()


def test_a_home_that_was_deleted_leaves_a_database_that_nothing_takes_over_or_deletes(
    tmp_path: Path, made: Made, fake_cluster: None, outside: Path
) -> None:
    server = made(tmp_path / "a" / "postgres")
    server.launch()
    data_dir = server.data_dir
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(ConfigurationError, match=r"missing: put .*pg_password back, or .* `crossbook reset`"):
        server.start()
    settings = load_settings(home=tmp_path / "a", postgres_port=server.port, database_url=None)
    with pytest.raises(ConfigurationError, match="holds the database of an earlier home in this place"):
        _check_target(settings, Manifest("1.0", "sandbox", "", {}))
    assert (data_dir / "PG_VERSION").exists()
    server.destroy()
    assert not data_dir.exists()


def test_a_server_of_ours_that_was_killed_is_not_waited_for(tmp_path: Path, made: Made) -> None:
    server = made(tmp_path / "postgres")
    (server.data_dir).mkdir(parents=True)
    with subprocess.Popen(["true"]) as ended:
        (server.data_dir / "postmaster.pid").write_text(f"{ended.pid}\n")
        started = time.monotonic()
        server._wait_for_burial()
        assert time.monotonic() - started < 5


def test_a_missing_database_is_never_made_anew(tmp_path: Path, made: Made, fake_cluster: None) -> None:
    server = made(tmp_path / "postgres")
    server.launch()
    server.data_dir.rename(tmp_path / "aside")
    with pytest.raises(ConfigurationError, match="The database of this home is missing: nothing is at"):
        server.launch()
    (tmp_path / "aside").rename(server.data_dir)
    server.launch()


def test_a_home_of_an_earlier_version_whose_database_is_elsewhere_is_refused(
    tmp_path: Path, made: Made, fake_cluster: None
) -> None:
    server = made(tmp_path / "postgres")
    server.home.mkdir()
    (server.home / "reader_password").write_text("x")
    with pytest.raises(ConfigurationError, match="is missing"):
        server.launch()


def test_a_home_of_an_earlier_version_is_taken_over(open_folder: Path, made: Made, fake_cluster: None) -> None:
    server = made(open_folder / "postgres")
    lay_cluster(server.home / "pgdata", 7)
    (server.home / "reader_password").touch()
    server.launch()
    record = read_record(server.home)
    assert record is not None
    assert (record.data_dir, record.system_identifier) == (server.home / "pgdata", 7)


def test_of_two_databases_of_an_earlier_version_the_one_used_last_is_taken(
    tmp_path: Path, made: Made, fake_cluster: None, outside: Path
) -> None:
    server = made(tmp_path / "a" / "postgres")
    for number, data_dir in ((1, server._inside), (2, server._outside)):
        lay_cluster(data_dir, number)
        os.utime(data_dir / "global" / "pg_control", (number, number))
    assert server.data_dir == server._outside
    os.utime(server._inside / "global" / "pg_control", (3, 3))
    assert server.data_dir == server._inside


def test_a_cluster_that_was_not_finished_is_made_anew(open_folder: Path, made: Made, fake_cluster: None) -> None:
    server = made(open_folder / "postgres")
    server.home.mkdir()
    (server.home / "pgdata").mkdir()
    (server.home / "pgdata" / "PG_VERSION").write_text("16\n")
    embedded.write_record(server.home, embedded.ClusterRecord(server.home / "pgdata", 0))
    server.launch()
    record = read_record(server.home)
    assert record is not None
    assert record.is_made


@pytest.mark.parametrize("text", ["", "{", "[]", '{"data_dir": 1}', '{"data_dir": "x", "system_identifier": "y"}'])
def test_a_record_that_cannot_be_read_is_one_sentence(tmp_path: Path, made: Made, text: str) -> None:
    server = made(tmp_path / "postgres")
    server.home.mkdir()
    (server.home / "cluster.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"cluster\.json cannot be read \(\w+\); put a copy in its place\.$"):
        server.launch()


def test_a_folder_of_somebody_else_in_the_place_of_the_socket_is_refused(tmp_path: Path, made: Made) -> None:
    server = made(tmp_path / "postgres")
    target = tmp_path / "target"
    target.mkdir()
    server.socket_dir.symlink_to(target)
    try:
        with pytest.raises(ConfigurationError, match="is not a folder; somebody else may have put it there"):
            server.launch()
        assert list(target.iterdir()) == []
    finally:
        server.socket_dir.unlink()


@pytest.mark.parametrize("name", ["with space", "日本é", 'it\'s "100%" 💹', "x" * 150])
def test_a_server_runs_in_a_home_of_any_name(tmp_path: Path, made: Made, name: str) -> None:
    server = made(tmp_path / name / "postgres")
    server.start()
    with psycopg.connect(server.dsn()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert server.running_pid() is not None
    assert server.answers()
    pid = server.running_pid()
    server.stop()
    assert server.running_pid() is None
    # a stranger's process has the id of the killed server
    (server.data_dir / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data_dir}\n")
    assert server.running_pid() is None
    server.start()
    assert server.running_pid() not in (None, pid)
