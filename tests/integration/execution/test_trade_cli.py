from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from app.cli import trade
from streams.storage.database import connect
from streams.storage.store.risk import current_switch
from tests.conftest import new_database


@pytest.fixture
def database(postgres_dsn: str, warehouse_template: str) -> Iterator[str]:
    """The address of a database as a start leaves it: migrated, with the views that commands read."""
    with new_database(postgres_dsn, warehouse_template) as address:
        yield address


@pytest.mark.parametrize(
    ("command", "state"), [("pause", "pause"), ("reduce", "reduce"), ("kill", "kill"), ("resume", "run")]
)
def test_each_command_writes_its_switch_with_who_and_why(
    database: str, monkeypatch: pytest.MonkeyPatch, command: str, state: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    cli = typer.Typer()
    trade.register(cli)
    result = CliRunner().invoke(cli, ["trade", command, "--reason", "drill", "--by", "mara", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["switch"] == state
    with connect(database) as connection:
        assert current_switch(connection) == state
    shown = CliRunner().invoke(cli, ["trade", "status", "--json"])
    assert json.loads(shown.stdout)["switch"] == state
    assert json.loads(shown.stdout)["reason"] == "drill"
    assert json.loads(shown.stdout)["set_by"] == "mara"


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


def test_flattening_a_trade_that_is_not_there_is_an_error(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    cli = typer.Typer()
    trade.register(cli)
    result = CliRunner().invoke(cli, ["trade", "flatten", "7"])
    assert result.exit_code == 1
    assert "There is no trade 7." in result.output
