"""An argument whose bytes are no UTF-8 is a usage error of every command that asks the warehouse for it."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli.main import cli


class Warehouse:
    """Writes what it is asked for as PostgreSQL's driver does."""

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def execute(self, _query: object, values: Any = None, **_named: object) -> None:
        str(values).encode()
        for value in values.values() if isinstance(values, dict) else values or ():
            str(value).encode()

    def cursor(self, **_named: object) -> Any:
        return self


@pytest.mark.parametrize(
    "arguments",
    [
        ["pairs", "list", "--market", "\udcff"],
        ["pairs", "approve", "KX-\udcff"],
        ["pairs", "reject", "\udcff\udcfe", "--json"],
        ["pairs", "pause", "\udcc3("],
    ],
)
def test_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, arguments: list[str]) -> None:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    monkeypatch.setattr("app.cli.warehouse.warehouse_dsn", lambda *_args: "")
    monkeypatch.setattr("app.cli.warehouse._connect", lambda *_args: Warehouse())
    told = CliRunner().invoke(cli, arguments)
    assert (told.exit_code, told.stderr) == (2, "An argument is not valid UTF-8.\n")
