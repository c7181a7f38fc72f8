from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from app.cli import trade
from streams.storage.database import connect
from streams.storage.risk import current_switch


@pytest.mark.parametrize(
    ("command", "state"), [("pause", "pause"), ("reduce", "reduce"), ("kill", "kill"), ("resume", "run")]
)
def test_each_command_writes_its_switch_with_who_and_why(
    database: str, monkeypatch: pytest.MonkeyPatch, command: str, state: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    cli = typer.Typer()
    trade.register(cli)
    result = CliRunner().invoke(cli, ["trade", command, "--reason", "drill", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["switch"] == state
    with connect(database) as connection:
        assert current_switch(connection) == state
    shown = CliRunner().invoke(cli, ["trade", "status", "--json"])
    assert json.loads(shown.stdout)["switch"] == state
    assert json.loads(shown.stdout)["reason"] == "drill"
