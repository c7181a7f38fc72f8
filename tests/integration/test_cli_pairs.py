"""`crossbook pairs` on a real database."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner, Result

from app.cli import pairs
from app.doors.shell import shell_name
from streams.storage.database import connect

PAIR = "00112233445566ff"


@pytest.fixture
def with_pair(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", database)
    with connect(database) as connection:
        connection.execute(
            "INSERT INTO trading.pairs (pair_id, kalshi_market_id, polymarket_market_id, relation, polarity,"
            " kalshi_text_hash, polymarket_text_hash, environment, created_at, updated_at)"
            " VALUES (%s, 'KX-1', '0x1', 'equivalent', 'aligned', 'a', 'b', 'sandbox', now(), now())",
            (PAIR,),
        )
        connection.execute("INSERT INTO raw.market_ids VALUES ('polymarket', 'slug', 'ada-visits', '0x1')")
    return database


def run(*arguments: str) -> Result:
    cli = typer.Typer()
    cli.command("noop")(lambda: None)
    pairs.register(cli)
    return CliRunner().invoke(cli, ["pairs", *arguments])


def test_a_pair_is_listed_as_proposed(with_pair: str) -> None:
    [row] = json.loads(run("list", "--json").stdout)
    assert (row["pair_id"], row["state"]) == (PAIR, "proposed")
    assert json.loads(run("list", "--state", "approved", "--json").stdout) == []


@pytest.mark.parametrize("any_id", [PAIR, "KX-1", "0x1", "ada-visits"])
def test_any_id_names_the_pair_and_the_decision_is_kept(with_pair: str, any_id: str) -> None:
    result = run("approve", any_id, "--by", "mara", "--reason", "read both", "--json")
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)
    assert (row["state"], row["decided_by"]) == ("approved", shell_name())
    assert row["decision_reason"] == "read both (for mara)"


def test_a_person_cannot_sign_as_the_sandbox(with_pair: str) -> None:
    assert run("approve", PAIR, "--by", "sandbox").exit_code == 2


def test_an_unknown_id_is_an_error(with_pair: str) -> None:
    result = run("reject", "nobody")
    assert result.exit_code == 1
    assert "There is no pair for nobody" in result.output
