"""What every command promises: it is there, takes `--json`, and says with its exit code when nothing runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from app.cli.main import cli
from streams.storage.schema_version import code_schema_version
from tests.support.ports import free_port

COMMANDS = [
    ["up"], ["down"], ["reset"], ["status"], ["doctor"], ["sandbox"], ["record"], ["sql"], ["fee"], ["calc"],
    ["edges"], ["match"], ["judge"], ["export"], ["pairs", "list"], ["pairs", "approve"], ["pairs", "reject"],
    ["pairs", "pause"], ["trade", "pause"], ["trade", "reduce"], ["trade", "resume"], ["trade", "kill"],
    ["trade", "flatten"], ["trade", "status"], ["keys", "set"], ["keys", "list"], ["keys", "remove"],
    ["keys", "passphrase"], ["login"], ["users", "list"], ["users", "add"], ["users", "role"], ["users", "password"],
    ["users", "oidc"], ["users", "close"], ["users", "open"], ["users", "sign-out"], ["tokens", "list"],
    ["tokens", "add"], ["tokens", "revoke"],
]  # fmt: skip
PRINTS_ITS_OWN_LINES = ["sandbox"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_is_there_and_takes_json(command: list[str]) -> None:
    found = typer.main.get_command(cli)
    for name in command:
        found = found.commands[name]  # type: ignore[attr-defined]
    options = {option for parameter in found.params for option in parameter.opts}
    assert found.help
    assert "--json" in options or command == PRINTS_ITS_OWN_LINES


@pytest.mark.parametrize(
    "command",
    [
        ["down"], ["status"], ["sql", "SELECT 1"], ["pairs", "list"], ["pairs", "approve", "x"], ["trade", "status"],
        ["trade", "pause"], ["trade", "flatten", "1"], ["export", "raw.quotes", "quotes.csv"], ["record"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_home_in_which_nothing_runs_gives_exit_code_three_and_one_sentence(command: list[str]) -> None:
    result = run(*command, "--json")
    assert result.exit_code == 3, result.output
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_database_that_does_not_answer_gives_exit_code_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    result = run("pairs", "list", "--json")
    assert result.exit_code == 3, result.output
    assert "does not answer" in result.stderr
    assert "Traceback" not in result.output


def test_a_query_is_answered_with_one_array_and_its_error_with_one_sentence(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    answer = run("sql", "SELECT 1 AS one, 0.50::numeric AS half", "--json")
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout) == [{"one": 1, "half": "0.50"}]
    wrong = run("sql", "SELECT nothing", "--json")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "nothing" in wrong.stderr


def test_the_reader_changes_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    result = run("sql", "DELETE FROM trading.watch_list", "--json")
    assert result.exit_code == 1, result.output


def test_the_doctor_prints_one_array_of_findings() -> None:
    result = run("doctor", "--json")
    assert all({"check", "ok", "found", "remedy"} == set(finding) for finding in json.loads(result.stdout))


@pytest.mark.parametrize("command", ["calc", "edges"])
def test_a_document_that_is_none_is_a_usage_error(command: str, home: Path) -> None:
    (home / "set.json").write_text("{")
    for file in ("set.json", "absent.json"):
        result = run(command, str(home / file), "--json")
        assert (result.exit_code, result.stdout) == (2, ""), result.output


def test_a_reset_that_nobody_confirms_deletes_nothing(home: Path) -> None:
    (home / "segments").mkdir()
    assert CliRunner().invoke(cli, ["reset"], input="n\n").exit_code == 4
    assert (home / "segments").exists()


def test_the_version_names_the_package_and_the_schema() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("crossbook ")
    assert f"(schema {code_schema_version()})" in result.stdout


def test_shell_completion_can_be_installed() -> None:
    options = {option for parameter in typer.main.get_command(cli).params for option in parameter.opts}
    assert {"--install-completion", "--show-completion"} <= options


def test_a_broken_setting_does_not_stop_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBOOK_HTTP_TIMEOUT_S", "soon")
    result = run("doctor", "--json")
    found = {finding["check"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert not found["settings"]["ok"]
    assert "CROSSBOOK_HTTP_TIMEOUT_S" in found["settings"]["found"]
