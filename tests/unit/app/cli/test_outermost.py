"""The outermost handler: one sentence, a file, an exit code, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from streams.market.errors import ConfigurationError, NotFound
from streams.outermost import explained, run_guarded
from streams.redaction import register_secret

LISTED = ("-c", "from app.cli.main import main; main()", "keys", "list", "--json")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def list_nothing(_self: object) -> list[str]:
        raise error

    monkeypatch.setattr("streams.venues.credentials.keystore.Keystore.list", list_nothing)


def test_what_nobody_expected_is_one_sentence_and_a_redacted_traceback_in_a_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_secret("unlikely-outermost")
    fail_with(monkeypatch, ZeroDivisionError("by unlikely-outermost\n\x1b[31m"))
    plain, as_json = CliRunner().invoke(cli, ["keys", "list"]), CliRunner().invoke(cli, ["keys", "list", "--json"])
    log = home / "home" / "logs" / "errors.log"
    assert (plain.exit_code, plain.stdout, as_json.exit_code) == (1, "", 1)
    assert plain.stderr == f"Something unexpected went wrong (ZeroDivisionError); the details are in {log}.\n"
    assert json.loads(as_json.stdout)["error"] == {
        "code": "unexpected", "message": plain.stderr.strip(), "log": str(log)
    }  # fmt: skip
    written = log.read_text()
    assert written.count("Traceback") == 2
    assert "unlikely-outermost" not in written
    assert "\x1b" not in written
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("CROSSBOOK_X is wrong.\n\x1b[0m"), 2), (NotFound("nothing"), 1), (KeyboardInterrupt(), 130),
        (RecursionError("deep"), 1), (MemoryError(), 1), (UnicodeEncodeError("ascii", "é", 0, 1, "no"), 1),
        (PermissionError(13, "Permission denied"), 1), (BrokenPipeError(), 1),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_every_error_has_an_exit_code_and_at_most_one_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    fail_with(monkeypatch, error)
    result = CliRunner().invoke(cli, ["keys", "list"])
    assert result.exit_code == code
    assert len(result.stderr.strip().splitlines()) == (0 if isinstance(error, BrokenPipeError) else 1)
    assert "\x1b" not in result.stderr


def test_a_home_that_cannot_be_written_leaves_the_details_elsewhere(home: Path) -> None:
    (home / "home").write_text("a file")
    code, sentence, path = explained(ValueError("x"))
    assert code == 1
    assert path is not None
    assert str(path) in sentence
    assert "ValueError" in path.read_text()
    path.unlink()


def test_a_process_of_its_own_is_guarded_in_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(error: BaseException) -> Any:
        raise error

    assert run_guarded(lambda: None) == 0
    assert run_guarded(lambda: 3) == 3
    assert run_guarded(lambda: fails(ConfigurationError("It is wrong."))) == 2
    assert run_guarded(lambda: fails(KeyError("x"))) == 1
    assert run_guarded(lambda: fails(SystemExit(4))) == 4
    shown = capsys.readouterr().err
    assert shown.splitlines()[0] == "It is wrong."
    assert "Traceback" not in shown


def start(**options: Any) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, *options.pop("command", LISTED)],
        env=environment,
        check=False,
        stderr=subprocess.PIPE,
        **options,
    )


def test_a_full_disk_behind_the_output_is_one_sentence() -> None:
    with open("/dev/full", "wb") as full:
        done = start(stdout=full)
    assert done.returncode == 1
    assert done.stderr.decode().strip() == "The output cannot be written: No space left on device."


def test_a_reader_that_goes_away_is_no_error_of_ours() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = start(stdout=writing)
    os.close(writing)
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


def test_an_output_in_another_encoding_without_a_home_takes_every_text(home: Path) -> None:
    code = (
        "from app.cli.main import main, cli; from app.cli.output import emit_document; import sys\n"
        "cli.command('say')(lambda: emit_document({'title': 'é 日本 \\x1b[31m'}, as_json=False)); main()"
    )
    env = {"PYTHONIOENCODING": "ascii", "LANG": "C", "HOME": ""}
    done = start(command=("-c", code, "say"), stdout=subprocess.PIPE, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout == rb"title: \xe9 \u65e5\u672c \x1b[31m" + b"\n"


def test_closed_streams_are_survived() -> None:
    command = f"{sys.executable} -c 'from app.cli.main import main; main()' keys list --json >&- 2>&- <&-"
    assert subprocess.run(["/bin/sh", "-c", command], env=os.environ, check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--seconds", "soon"], "Invalid value for '--seconds'"),
        (["trade", "flatten", "first"], "Invalid value for"), (["up", "--seconds", "nan"], "--seconds"),
        (["up", "--seconds", "inf"], "--seconds"), (["up", "--seconds", "-1"], "--seconds"),
        (["record", "--shard", "²/3"], "--shard must be"), (["record", "--shard", "0/" + "9" * 5000], "--shard must"),
        (["judge", "pairs.jsonl", "--judge", "nobody"], "Invalid value for '--judge'"),
        (["fee", "--venue", "kalshi"], "Missing option '--price'"), (["sql", "--nonsense"], "No such option"),
        (["nonsense"], "No such command 'nonsense'"), (["keys", "remove"], "Missing argument"),
        (["down", "one", "two"], "unexpected extra argument"), (["pairs"], "Usage:"),
        (["\x1b[31mred"], "No such command"),
    ],
)  # fmt: skip
def test_a_command_line_that_cannot_be_meant_leaves_with_two_and_says_why(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert (result.exit_code, result.stdout if arguments != ["pairs"] else "") == (2, "")
    assert said in result.output
    assert "unexpected went wrong" not in result.output
    assert "\x1b" not in result.output
