"""A home that is stopped is backed up and restored into a new one; what is refused leaves nothing behind."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.backup import backup
from app.backup.archive import read_archive, write_archive
from app.backup.backup import back_up
from app.backup.restore import restore
from app.doors.accounts import Accounts, accounts_path
from app.doors.roles import Role
from app.supervisor.backup_pause import end_dead_pause, is_paused_for_backup, only_backup
from app.supervisor.checks.preflight import UNFINISHED_RESTORE, check_restored
from app.supervisor.state import HomeLock, read_state
from streams.market.errors import ConfigurationError, TransientError
from streams.settings import Settings, load_settings
from streams.storage.access.logins import Login
from streams.storage.database import connect, database_dsn, embedded_server
from streams.storage.schema import migrate
from streams.storage.schema_version import code_schema_version
from streams.storage.store.risk import current_switch, last_switch, replace_switch, set_limit, set_switch
from tests.support.ports import free_port
from tests.support.whole_home import wait_for


def settings_of(home: Path) -> Settings:
    return load_settings(home=home, postgres_port=free_port(), sandbox_admin_port=0)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home with a warehouse that holds a limit and a switch, a sandbox's database and a keystore."""
    settings = settings_of(tmp_path_factory.mktemp("old") / "home")
    server = embedded_server(settings)
    server.start()
    migrate(database_dsn(settings, Login.OWNER), "sandbox")
    with connect(database_dsn(settings, Login.OWNER)) as connection:
        set_limit(connection, "pair_usd", load_settings().limit_pair_usd / 3, "ann")
        set_switch(connection, "run", "ann", "all is well")
    server.stop()
    journal = settings.home_dir / "sandbox" / "journal"
    journal.mkdir(parents=True)
    with closing(sqlite3.connect(journal / "memory.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE account (cash INTEGER)")
        database.execute("INSERT INTO account VALUES (7)")
        database.commit()
    (settings.home_dir / "keystore.json").write_text('{"kalshi-sandbox": {}}')
    (settings.home_dir / "keystore.key").write_text("key")
    with closing(Accounts(settings.home_dir)) as accounts:
        accounts.add_person("Ann", Role.OWNER, by="test", password="correct horse battery")
    yield settings
    server.destroy()


@pytest.fixture(scope="module")
def made(stopped: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("backups") / "home.backup"
    back_up(stopped, target)
    return target


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Settings]:
    settings = settings_of(tmp_path / "home")
    yield settings
    embedded_server(settings).destroy()


def test_a_stopped_home_is_restored_as_it_was_with_trading_paused(made: Path, fresh: Settings) -> None:
    manifest, _ = restore(fresh, made)
    server = embedded_server(fresh)
    assert server.running_pid() is None
    assert (manifest.environment, manifest.schema) == ("sandbox", code_schema_version())
    server.start()
    with connect(database_dsn(fresh, Login.OWNER)) as connection:
        limit = connection.execute("SELECT name, value, set_by FROM trading.limits").fetchone()
        assert limit == {"name": "pair_usd", "value": load_settings().limit_pair_usd / 3, "set_by": "ann"}
        switch = last_switch(connection)
        assert switch is not None
        assert (switch.state, switch.set_by) == ("pause", "restore")
    migrate(database_dsn(fresh, Login.OWNER), "sandbox")
    server.stop()
    with closing(sqlite3.connect(fresh.home_dir / "sandbox" / "journal" / "memory.db")) as database:
        assert database.execute("SELECT cash FROM account").fetchone() == (7,)
    assert accounts_path(fresh.home_dir).stat().st_mode & 0o777 == 0o600
    assert accounts_path(fresh.home_dir).parent.stat().st_mode & 0o777 == 0o700
    with closing(Accounts(fresh.home_dir)) as accounts:
        assert accounts.check_password("Ann", "correct horse battery") is not None
    for name in ("keystore.json", "keystore.key"):
        assert (fresh.home_dir / name).stat().st_mode & 0o077 == 0
    assert not (fresh.home_dir / UNFINISHED_RESTORE).exists()


def test_a_home_with_data_is_left_alone(made: Path, stopped: Settings) -> None:
    with pytest.raises(ConfigurationError, match="has data already"):
        restore(stopped, made)
    assert (stopped.home_dir / "keystore.key").read_text() == "key"


def test_accounts_of_nobody_keep_no_restore_back_and_those_of_somebody_do(made: Path, fresh: Settings) -> None:
    with closing(Accounts(fresh.home_dir)) as accounts:
        assert accounts.list_people() == []
    restore(fresh, made)
    with closing(Accounts(fresh.home_dir)) as accounts:
        assert [person.name for person in accounts.list_people()] == ["Ann"]


@pytest.mark.parametrize("is_readable", [True, False])
def test_accounts_of_somebody_are_never_replaced(made: Path, fresh: Settings, is_readable: bool) -> None:
    with closing(Accounts(fresh.home_dir)) as accounts:
        accounts.add_person("Bob", Role.OWNER, by="test", password="correct horse battery")
    if not is_readable:
        accounts_path(fresh.home_dir).write_bytes(b"x" * 5_000)
    with pytest.raises(ConfigurationError, match=r"has data already \(doors\)"):
        restore(fresh, made)


def test_a_backup_of_other_venues_is_refused(made: Path, fresh: Settings) -> None:
    with pytest.raises(ConfigurationError, match="CROSSBOOK_VENUES=sandbox"):
        restore(fresh.model_copy(update={"venues": "live"}), made)
    assert not (fresh.home_dir / "postgres").exists()


def test_a_restore_that_fails_leaves_nothing_and_can_be_repeated(
    made: Path, fresh: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise TransientError("pg_restore failed: disk full")

    with monkeypatch.context() as patched:
        patched.setattr("app.backup.restore.run_tool", fails)
        with pytest.raises(TransientError):
            restore(fresh, made)
    assert not (fresh.home_dir / "postgres").exists()
    restore(fresh, made)


def test_a_restore_that_was_killed_stops_the_start_until_it_is_repeated(made: Path, fresh: Settings) -> None:
    fresh.home_dir.mkdir()
    (fresh.home_dir / UNFINISHED_RESTORE).touch()
    (fresh.home_dir / "keystore.key").write_text("half of a ke")
    with pytest.raises(ConfigurationError, match="broken off"):
        check_restored(fresh.home_dir)
    restore(fresh, made)
    check_restored(fresh.home_dir)


def test_nothing_starts_and_no_second_backup_is_made_while_a_stopped_home_is_backed_up(
    stopped: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = []

    def dump(*_: object) -> None:
        for act in (HomeLock(stopped.home_dir).acquire, lambda: back_up(stopped, tmp_path / "second")):
            with pytest.raises(ConfigurationError) as refused:
                act()
            refusals.append(str(refused.value))
        raise TransientError("pg_dump failed: disk full")

    monkeypatch.setattr("app.backup.backup.run_tool", dump)
    with pytest.raises(TransientError):
        back_up(stopped, tmp_path / "first")
    assert "already runs" in refusals[0]
    assert "Another backup" in refusals[1]
    assert list(tmp_path.iterdir()) == []
    assert read_state(stopped.home_dir) is None


def test_nothing_starts_and_no_second_restore_begins_meanwhile(
    made: Path, fresh: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = []

    def fill(*_: object) -> None:
        for act in (HomeLock(fresh.home_dir).acquire, lambda: restore(fresh, made)):
            with pytest.raises(ConfigurationError) as refused:
                act()
            refusals.append(str(refused.value))
        raise TransientError("pg_restore failed: disk full")

    monkeypatch.setattr("app.backup.restore._fill", fill)
    with pytest.raises(TransientError):
        restore(fresh, made)
    assert ["already runs" in refusals[0], "stop it first" in refusals[1]] == [True, True]
    assert read_state(fresh.home_dir) is None


def test_what_killed_ones_left_is_removed_by_the_next(
    made: Path, stopped: Settings, fresh: Settings, tmp_path: Path
) -> None:
    killed = backup._draft(stopped, tmp_path)
    (killed.__enter__() / "warehouse.dump").write_text("half")
    back_up(stopped, tmp_path / "next")
    assert [path.name for path in tmp_path.iterdir()] == ["next"]
    (fresh.home_dir / ".restore-x1").mkdir(parents=True)
    restore(fresh, tmp_path / "next")
    assert not list(fresh.home_dir.glob(".restore-*"))


def test_a_backup_that_is_asked_to_end_clears_up(stopped: Settings, tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "CROSSBOOK_HOME": str(stopped.home_dir),
        "CROSSBOOK_POSTGRES_PORT": str(stopped.postgres_port),
    }
    command = [sys.executable, "-m", "app.cli.main", "backup", str(tmp_path / "one.backup")]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as started:
        assert wait_for(lambda: any(tmp_path.glob(".backup-*")), 60, 0.001) is not None
        started.terminate()
        said = started.communicate(timeout=60)[1]
    assert (started.returncode, said) == (130, "Interrupted.\n")
    assert list(tmp_path.iterdir()) == []
    assert embedded_server(stopped).running_pid() is None
    assert read_state(stopped.home_dir) is None


def test_a_place_that_cannot_be_written_is_one_sentence(stopped: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for target, said in (
        (tmp_path / "none" / "x", "is no folder"),
        (tmp_path / "file" / "x", "is no folder"),
        (Path("/proc/x"), "No backup was made"),
        (tmp_path / "link", "is there already"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            back_up(stopped, target)


def test_a_database_that_cannot_be_reached_is_one_sentence(made: Path, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home", database_url="postgresql://me@127.0.0.1:1/none")
    with pytest.raises(TransientError, match=r"The warehouse does not answer: .*refused"):
        back_up(settings, tmp_path / "x.backup")
    with pytest.raises(TransientError, match=r"The warehouse does not answer: .*refused"):
        restore(settings, made)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_home_whose_restore_is_not_finished_is_not_backed_up(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "pg_password").touch()
    (tmp_path / UNFINISHED_RESTORE).touch()
    with pytest.raises(ConfigurationError, match="broken off"):
        back_up(settings, tmp_path / "x.backup")
    assert not (tmp_path / "x.backup").exists()


def test_a_sandbox_whose_database_is_empty_is_not_backed_up(stopped: Settings, tmp_path: Path) -> None:
    journal = tmp_path / "sandbox" / "journal"
    journal.mkdir(parents=True)
    (journal / "memory.db").touch()
    elsewhere = stopped.model_copy(update={"home": tmp_path})
    with pytest.raises(ConfigurationError, match=r"memory\.db is empty"):
        backup._copy_sandbox(elsewhere, tmp_path, is_running=False)
    with closing(sqlite3.connect(journal / "memory.db")) as database:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("CREATE TABLE account (cash INTEGER)")
        with pytest.raises(ConfigurationError, match="is a sandbox still running on it"):
            backup._copy_sandbox(elsewhere, tmp_path, is_running=False)


@pytest.mark.parametrize("text", ["{", "[]", '{"values": {"A\\nB": "x"}}', '{"values": {"A": 1}}', '{"secrets": 1}'])
def test_settings_that_cannot_be_meant_are_refused_before_anything_is_made(
    made: Path, fresh: Settings, tmp_path: Path, text: str
) -> None:
    folder = tmp_path / "forged"
    folder.mkdir()
    manifest = read_archive(made, folder)
    (folder / "settings.json").write_text(text)
    write_archive(tmp_path / "forged.backup", folder, manifest)
    with pytest.raises(ConfigurationError, match=r"settings\.json cannot be read"):
        restore(fresh, tmp_path / "forged.backup")
    assert not (fresh.home_dir / "postgres").exists()


def test_a_pause_of_a_killed_backup_ends_and_that_of_a_living_one_lasts(database: str, tmp_path: Path) -> None:
    with connect(database) as connection:
        set_switch(connection, "run", "ann")
        assert not end_dead_pause(connection, tmp_path)
        with only_backup(tmp_path):
            set_switch(connection, "pause", "backup", "a backup is made")
            assert not end_dead_pause(connection, tmp_path)
        assert is_paused_for_backup(connection)
        assert end_dead_pause(connection, tmp_path)
        assert current_switch(connection) == "run"
        set_switch(connection, "pause", "ann")
        assert not end_dead_pause(connection, tmp_path)


def test_a_program_never_undoes_what_a_person_set_meanwhile(database: str) -> None:
    with connect(database) as connection:
        set_switch(connection, "run", "ann")
        seen = last_switch(connection)
        assert seen is not None
        set_switch(connection, "kill", "ann")
        assert not replace_switch(connection, seen, "run", "disk")
        assert current_switch(connection) == "kill"


def test_no_backup_is_written_over_another_or_of_nothing(made: Path, stopped: Settings, fresh: Settings) -> None:
    with pytest.raises(ConfigurationError, match="is there already"):
        back_up(stopped, made)
    with pytest.raises(ConfigurationError, match="nothing to back up"):
        back_up(fresh, made.parent / "other.backup")
    assert [path.name for path in made.parent.iterdir()] == [made.name]
