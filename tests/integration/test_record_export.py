"""`crossbook record` and `crossbook export`, as people call them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from app.cli import record
from app.cli.database import export


@pytest.fixture
def cli(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    found = typer.Typer()
    export.register(found)
    record.register(found)
    return found


def test_a_table_is_exported_as_csv_and_as_parquet(cli: typer.Typer, database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            """INSERT INTO raw.candles (venue, market_id, interval_s, bucket_start, price_close_e4, payload, loaded_at)
               VALUES ('kalshi', 'A', 60, '2026-01-01Z', 4200, '{"a": 1}', now())"""
        )
    for name in ("a.csv", "a.parquet"):
        result = CliRunner().invoke(cli, ["export", "raw.candles_v1", str(tmp_path / name), "--json"])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["rows"] == 1
    with (tmp_path / "a.csv").open() as file:
        assert next(csv.DictReader(file))["price_close_e4"] == "4200"
    row = pq.read_table(tmp_path / "a.parquet").to_pylist()[0]
    assert (row["price_close_e4"], row["bucket_start"].isoformat(), row["payload"]) == (
        4200,
        "2026-01-01T00:00:00+00:00",
        '{"a": 1}',
    )


@pytest.mark.parametrize(
    "arguments", [["raw.nothing", "x.csv"], ["raw.candles", "x.xlsx"], ["pg_catalog.pg_authid", "x.csv"]]
)
def test_an_export_that_cannot_be_is_a_usage_error(
    cli: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["export", *arguments]).exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shard", ["1/1", "a/2", "0"])
def test_a_shard_that_is_none_is_a_usage_error(cli: typer.Typer, shard: str) -> None:
    assert CliRunner().invoke(cli, ["record", "--shard", shard]).exit_code == 2


def test_markets_nobody_has_discovered_are_named(cli: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("# mine\nKXNONE\n")
    result = CliRunner().invoke(cli, ["record", "--markets", str(tmp_path / "ids")])
    assert result.exit_code == 2
    assert "KXNONE" in result.stderr
