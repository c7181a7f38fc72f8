"""Files handed to commands: each bad line is named and the rest goes on; an empty one is told what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from app.cli import keys
from app.cli.record import read_ids


def test_each_bad_line_of_ids_is_named_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ids"
    file.write_bytes(b"\xef\xbb\xbf# mine\nKXONE\nKX\x1b[31m\n\nKX\xff\n  KXTWO \r\nKXONE\n" + b"K" * 501 + b"\n")
    found = read_ids(file)
    assert found.lines == {"KXONE": 2, "KXTWO": 6}
    assert found.is_line_bad
    said = capsys.readouterr().err
    assert [f"line {number}" in said for number in range(1, 9)] == [False, False, True, False, True, False, False, True]
    assert "\x1b" not in said


def test_ids_without_a_bad_line_are_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ids").write_text("KXONE\n#\tnot one\n")
    assert not read_ids(tmp_path / "ids").is_line_bad
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", [b"", b" \n\n", b"# none\n", b"\xff\n", b"\xff\xfeK\x00"])
def test_a_file_without_any_id_ends_the_command(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ids").write_bytes(content)
    with pytest.raises(typer.Exit) as left:
        read_ids(tmp_path / "ids")
    assert left.value.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["passphrase", "--file"], "the new passphrase"), (["set", "kalshi", "--file"], "a JSON object")],
)
def test_an_empty_file_is_told_what_it_should_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str
) -> None:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path / "home"))
    (tmp_path / "empty").write_text("\n")
    result = CliRunner().invoke(keys.keys, [*arguments, str(tmp_path / "empty")])
    assert result.exit_code == 2
    assert expected in result.stderr
    assert "JSON: it is empty" not in result.stderr


def test_an_empty_file_of_ids_is_told_what_it_should_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ids").write_text("")
    with pytest.raises(typer.Exit):
        read_ids(tmp_path / "ids")
    assert "one market id a line" in capsys.readouterr().err
