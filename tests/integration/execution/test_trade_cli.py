from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from app.cli import trade
from app.cli.main import cli as crossbook
from app.cli.output import ExitCode
from app.doors.shell import shell_name
from app.kill import record_kills_on_disk
from streams.settings import Settings
from streams.storage.database import connect
from streams.storage.kill_files import is_kill_on_disk
from streams.storage.store.risk import current_switch, last_switch
from tests.conftest import new_database
from tests.support.ports import free_port


@pytest.fixture
def database(postgres_dsn: str, warehouse_template: str) -> Iterator[str]:
    """The address of a database as a start leaves it: migrated, with the views that commands read."""
    with new_database(postgres_dsn, warehouse_template) as address:
        yield address


@pytest.mark.parametrize(
    ("command", "state"), [("pause", "pause"), ("reduce", "reduce"), ("kill", "kill"), ("resume", "run")]
)
def test_each_command_writes_its_switch_with_who_and_why(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, state: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    cli = typer.Typer()
    trade.register(cli)
    result = CliRunner().invoke(cli, ["trade", command, "--reason", "drill", "--by", "mara", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["switch"] == state
    with connect(database) as connection:
        assert current_switch(connection) == state
    shown = CliRunner().invoke(cli, ["trade", "status", "--json"])
    assert json.loads(shown.stdout)["switch"] == state
    assert json.loads(shown.stdout)["reason"] == "drill (for mara)"
    assert json.loads(shown.stdout)["set_by"] == shell_name()
    assert not is_kill_on_disk(tmp_path)


@pytest.mark.parametrize("command", ["pause", "reduce"])
def test_a_command_that_stops_less_lifts_no_kill(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    cli = typer.Typer()
    trade.register(cli)
    assert CliRunner().invoke(cli, ["trade", "kill", "--json"]).exit_code == 0
    refused = CliRunner().invoke(cli, ["trade", command])
    assert refused.exit_code == ExitCode.REFUSED
    assert "Trading is killed" in refused.stderr
    with connect(database) as connection:
        assert current_switch(connection) == "kill"
    assert CliRunner().invoke(cli, ["trade", "resume"]).exit_code == 0


def test_the_shells_own_name_is_not_said_twice(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    cli = typer.Typer()
    trade.register(cli)
    result = CliRunner().invoke(cli, ["trade", "pause", "--by", shell_name().upper(), "--reason", "drill", "--json"])
    assert json.loads(result.stdout)["reason"] == "drill"


@pytest.mark.parametrize("home", ["with a warehouse that is away", "that never started"])
def test_a_kill_without_a_warehouse_is_in_force_on_disk_and_recorded_by_the_next_start(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    if home == "with a warehouse that is away":
        monkeypatch.setenv("DATABASE_URL", make_conninfo(database, port=free_port()))
    result = CliRunner().invoke(crossbook, ["trade", "kill", "--reason", "books look wrong", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["switch"], document["is_recorded"], document["switch_id"]) == ("kill", False, None)
    assert not document["is_under_way_known"]
    assert "lies on disk and is in force for every order of this machine" in result.stderr
    assert is_kill_on_disk(tmp_path)
    assert record_kills_on_disk(Settings(_env_file=None, home=tmp_path, database_url=database)) == 1
    with connect(database) as connection:
        switch = last_switch(connection)
    assert switch is not None
    assert (switch.state, switch.set_by) == ("kill", shell_name())
    assert switch.reason.startswith("books look wrong (on disk since 20")


def test_a_kill_without_a_home_is_refused_and_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path / "none"))
    cli = typer.Typer()
    trade.register(cli)
    assert CliRunner().invoke(cli, ["trade", "kill", "--json"]).exit_code == 3
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("login", "name"),
    [("supervisor", "shell supervisor"), ("crossbook", "shell crossbook"), ("a\x1b[31m", "shell"), ("x" * 90, "shell")],
)
def test_no_login_name_keeps_a_kill_back(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str, name: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    monkeypatch.setattr("getpass.getuser", lambda: login)
    cli = typer.Typer()
    trade.register(cli)
    result = CliRunner().invoke(cli, ["trade", "kill", "--by", "supervisor", "--json"])
    assert result.exit_code == 0, result.output
    with connect(database) as connection:
        switch = last_switch(connection)
    assert switch is not None
    assert (switch.state, switch.set_by) == ("kill", name)


def test_nobody_switches_in_the_name_of_the_system(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    cli = typer.Typer()
    trade.register(cli)
    result = CliRunner().invoke(cli, ["trade", "resume", "--by", "supervisor"])
    assert result.exit_code == 2
    assert "the system's own" in result.output
    with connect(database) as connection:
        row = connection.execute("SELECT count(*) AS n FROM trading.switches").fetchone()
    assert row == {"n": 1}


def test_a_kill_is_in_force_whatever_name_it_is_said_to_be_for(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setattr(getpass, "getuser", lambda: "crossbook")
    cli = typer.Typer()
    trade.register(cli)
    for by in ("supervisor", "\u202e", "x" * 100):
        result = CliRunner().invoke(cli, ["trade", "kill", "--by", by, "--reason", "now", "--json"])
        assert result.exit_code == 0, result.output
    with connect(database) as connection:
        rows = connection.execute("SELECT set_by, reason FROM trading.switches WHERE state = 'kill'").fetchall()
    assert rows == [{"set_by": "shell crossbook", "reason": "now"}] * 3


def test_flattening_a_trade_that_is_not_there_is_an_error(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    cli = typer.Typer()
    trade.register(cli)
    result = CliRunner().invoke(cli, ["trade", "flatten", "7"])
    assert result.exit_code == 1
    assert "There is no trade 7." in result.output
