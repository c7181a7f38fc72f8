"""`crossbook trade flatten` names what it would sell, asks, and refuses what changed while it asked."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner, Result

from app.cli.main import cli
from app.doors.shell import shell_name
from streams.storage.database import connect


@pytest.fixture(autouse=True)
def _warehouse(seeded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", seeded)


def _run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["trade", "flatten", "4", "--by", "Ada", *arguments], input=answer)


def _asked(dsn: str) -> int:
    with connect(dsn) as connection:
        return len(connection.execute("SELECT 1 FROM trading.commands").fetchall())


def test_it_names_object_size_and_worst_price_before_it_asks(seeded: str) -> None:
    result = _run(answer="n\n")
    assert result.exit_code == 4
    assert "Trade 4, ESCALATED" in result.stderr
    assert "50 contracts YES of kalshi:KXBTC-26DEC31-150K, at worst $0.25 each" in result.stderr
    assert "38 contracts NO of polymarket:0xbtc150, at worst $0.618 each" in result.stderr
    assert _asked(seeded) == 0


def test_whoever_cannot_answer_has_not_confirmed(seeded: str) -> None:
    assert _run("--json").exit_code == 4
    assert _asked(seeded) == 0


def test_with_yes_it_prints_one_document(seeded: str) -> None:
    result = _run("--yes", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["execution_id"], document["asked_by"], document["reason"]) == (4, shell_name(), "(for Ada)")
    assert document["sells"][0]["worst_price"] == "0.2500"
    assert json.loads(_run("--yes", "--json").stdout)["command_id"] == document["command_id"]
    assert _asked(seeded) == 1


def test_a_trade_that_changes_while_it_asks_is_not_sold(seeded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def confirm(*_: object, **__: object) -> bool:
        with connect(seeded) as connection:
            connection.execute("UPDATE trading.fills SET state = 'failed' WHERE venue_fill_id = 'f-4-0'")
        return True

    monkeypatch.setattr(typer, "confirm", confirm)
    result = _run()
    assert result.exit_code == 4
    assert "It changed: trade 4" in result.stderr
    assert _asked(seeded) == 0
