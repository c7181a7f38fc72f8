"""Numbers on the command line are written in plain decimal digits."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from app.cli.main import cli


@pytest.mark.parametrize("text", ["1_0", "+5", " 5 ", "５", "5e0", "0x5", "five", "nan", "inf"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["up", "--seconds"],
        ["sandbox", "--seed"],
        ["sandbox", "--kalshi-port"],
        ["sandbox", "--load"],
        ["trade", "flatten"],
    ],
)
def test_what_is_written_in_another_way_is_a_usage_error(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(cli, [*arguments, text])
    assert result.exit_code == 2
    assert "Invalid value" in result.stderr


@pytest.mark.parametrize("text", ["0", "1000001", "-1", "1.5"])
def test_the_load_has_its_bounds(text: str) -> None:
    result = CliRunner().invoke(cli, ["sandbox", f"--load={text}"])
    assert result.exit_code == 2
