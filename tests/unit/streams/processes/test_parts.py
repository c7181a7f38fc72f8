"""Each process gets its own secrets and no other's, whatever the environment of the start holds."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.tags import process_of
from streams.private_folders import home_socket
from streams.processes import handover
from streams.processes.handover import SecretsDesk, take_secrets
from streams.processes.parts import PARTS, RUNS, SECRET_NAMES, Process, environment_of, secrets_of
from streams.settings import SUPERVISED, Settings, hold_secrets, is_secret, load_settings, setting_name
from streams.storage.access.logins import Login

SECRETS = [name for name, field in Settings.model_fields.items() if is_secret(field)]
DAGSTER = {"CROSSBOOK_DAGSTER_PG_URL": "canary-of-dagster_pg_url", "DAGSTER_HOME": "/somewhere"}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Every secret set, each to a text that names it; the addresses in the environment, the rest given."""
    for name in SECRETS:
        is_address = "url" in name and "webhook" not in name
        monkeypatch.setenv(setting_name(name), address(f"canary-of-{name}") if is_address else f"canary-of-{name}")
    monkeypatch.setenv("PGPASSWORD", "canary-of-pgpassword")
    return load_settings(home=tmp_path)


def canaries(environment: dict[str, str]) -> set[str]:
    return {found for value in environment.values() for found in re.findall(r"canary-of-(\w+)", value)}


def address(user: str) -> str:
    return f"postgresql://{user}@h/warehouse"


OWN = {
    Process.SANDBOX: set(),
    Process.RUNNER: set(),
    Process.PREPARE_DAGSTER: {"database_url_dagster", "pgpassword"},
    Process.PREPARE_VIEWS: {"database_url_dbt", "pgpassword"},
    Process.END_ORPHANS: {"database_url_batch", "dagster_pg_url", "pgpassword"},
    Process.CODE_SERVER: {"database_url_batch", "dagster_pg_url", "alert_webhook_url", "alert_channels", "pgpassword"},
    Process.WEBSERVER: {"dagster_pg_url", "pgpassword"},
    Process.DAEMON: {"dagster_pg_url", "pgpassword"},
    Process.DOORS: {"oidc_client_secret"},
    Process.INTERFACE: {"database_url_interface", "pgpassword"},
    Process.RECORDER_RUN: {"database_url_recorder", "dagster_pg_url", "keystore_passphrase", "pgpassword"},
    Process.TRADING_RUN: {"database_url_trading", "dagster_pg_url", "keystore_passphrase", "pgpassword"},
    Process.BATCH_RUN: {
        "database_url_batch", "database_url_dbt", "dagster_pg_url", "keystore_passphrase", "openai_api_key",
        "pgpassword",
    },
    Process.UPKEEP_RUN: {"database_url", "dagster_pg_url", "pgpassword"},
}  # fmt: skip


@pytest.mark.parametrize("process", Process)
def test_a_process_has_its_own_secrets_and_no_other_s(settings: Settings, process: Process) -> None:
    assert canaries(environment_of(settings, process, DAGSTER)) == OWN[process]


def test_every_secret_of_the_settings_is_somebody_s_or_the_owner_s_alone(settings: Settings) -> None:
    given = set().union(*(canaries(secrets_of(settings, process, DAGSTER)) for process in Process))
    assert set(SECRETS) - given == {"database_url_reader", "dead_man_url"}


def test_with_one_address_for_all_each_process_that_needs_a_database_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", address("canary-of-database_url"))
    settings = load_settings(home=tmp_path)
    for process, part in PARTS.items():
        assert ("database_url" in canaries(environment_of(settings, process))) == bool(part.logins), process


def test_what_the_process_itself_is_goes_to_each(settings: Settings) -> None:
    for process in Process:
        environment = environment_of(settings, process)
        assert environment["CROSSBOOK_HOME"] == environment[SUPERVISED] == str(settings.home_dir)


def test_a_supervised_process_reads_no_file_of_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("OPENAI_API_KEY=canary\nDATABASE_URL=postgresql://canary@h/d\n")
    assert load_settings().openai_api_key is not None
    monkeypatch.setenv(SUPERVISED, str(tmp_path))
    assert (load_settings().openai_api_key, load_settings().database_url) == (None, None)


def test_an_address_of_a_process_without_that_of_the_owner_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBOOK_DATABASE_URL_TRADING", "postgresql://trading@h/d")
    with pytest.raises(Exception, match=r"CROSSBOOK_DATABASE_URL_TRADING needs DATABASE_URL"):
        load_settings()


def test_the_job_and_nothing_else_says_whose_secrets_a_run_takes() -> None:
    jobs = (
        "record_streams", "hedged_trade", "hedge", "settle_trades", "upkeep", "build_marts", "__ASSET_JOB", "anything",
    )  # fmt: skip
    assert [process_of(job) for job in jobs] == [
        Process.RECORDER_RUN, *[Process.TRADING_RUN] * 3, Process.UPKEEP_RUN,
        *[Process.BATCH_RUN] * 3,
    ]  # fmt: skip


# -- the desk ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv(SUPERVISED, str(tmp_path))
    for name in SECRET_NAMES:
        monkeypatch.delenv(name, raising=False)
    yield load_settings(home=tmp_path)
    hold_secrets({})


def known() -> dict[str, str]:
    """Return the secrets that the settings of this process have, by field."""
    values = {name: getattr(load_settings(), name) for name in SECRETS}
    return {name: value.get_secret_value() for name, value in values.items() if value is not None}


def test_a_run_takes_its_own_secrets_and_drops_those_it_was_started_with(
    desk_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", address("code_server"))
    monkeypatch.setenv("CROSSBOOK_ALERT_WEBHOOK_URL", "of the code server")
    desk = SecretsDesk(desk_settings, {Process.TRADING_RUN: {"DATABASE_URL": address("trading_run")}})
    try:
        take_secrets(desk_settings, Process.TRADING_RUN)
        assert known() == {"database_url": address("trading_run")}
        assert SECRET_NAMES & set(os.environ) == set()
        take_secrets(desk_settings, Process.RECORDER_RUN)
        assert known() == {}
    finally:
        desk.close()
    assert not home_socket(desk_settings.home_dir, "secrets.sock").exists()


def test_without_a_supervisor_a_process_keeps_what_it_has(
    desk_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", address("mine"))
    take_secrets(desk_settings, Process.BATCH_RUN)
    assert "hands out no secrets" in capsys.readouterr().err
    monkeypatch.delenv(SUPERVISED)
    take_secrets(desk_settings, Process.BATCH_RUN)
    assert (os.environ["DATABASE_URL"], capsys.readouterr().err) == (address("mine"), "")


def test_the_desk_goes_on_after_a_stranger_s_words(desk_settings: Settings) -> None:
    desk = SecretsDesk(desk_settings, {Process.BATCH_RUN: {"OPENAI_API_KEY": "a-key"}})
    try:
        strange = (b"", b"\n", b"[]\n", b"\xff\n", b'{"process": 7}\n', b"x" * 70_000 + b"\n", b"[" * 60_000 + b"\n")
        for words in strange:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(home_socket(desk_settings.home_dir, "secrets.sock")))
                connection.sendall(words)
        take_secrets(desk_settings, Process.BATCH_RUN)
        assert known() == {"openai_api_key": "a-key"}
    finally:
        desk.close()


def test_the_desk_goes_on_after_there_was_no_descriptor_left(desk_settings: Settings) -> None:
    class Listener:
        def __init__(self, listener: socket.socket) -> None:
            self._listener = listener
            self.refusals = 3

        def accept(self) -> tuple[socket.socket, object]:
            if self.refusals:
                self.refusals -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return self._listener.accept()

        def __getattr__(self, name: str) -> object:
            return getattr(self._listener, name)

    desk = SecretsDesk(desk_settings, {Process.BATCH_RUN: {"OPENAI_API_KEY": "a-key"}})
    try:
        desk._listener = Listener(desk._listener)  # type: ignore[assignment]
        for _ in range(2):  # the first is taken by the accept that waits already
            take_secrets(desk_settings, Process.BATCH_RUN)
            assert known() == {"openai_api_key": "a-key"}
    finally:
        desk.close()


def test_another_user_is_told_nothing(desk_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = SecretsDesk(desk_settings, {Process.BATCH_RUN: {"OPENAI_API_KEY": "a-key"}})
    monkeypatch.setattr(handover, "_peer_user", lambda _connection: os.getuid() + 1)
    try:
        take_secrets(desk_settings, Process.BATCH_RUN)
        assert known() == {}
    finally:
        desk.close()


FORK = """
import os, subprocess
from streams.processes.handover import take_secrets
from streams.processes.parts import Process
from streams.settings import load_settings
if (child := os.fork()) == 0:
    take_secrets(load_settings(), Process.TRADING_RUN)
    with open("/proc/self/environ", "rb") as own:
        first = b"open sesame" in own.read()
    inherited = b"open sesame" in subprocess.run(["env"], capture_output=True, check=True).stdout
    print(load_settings().keystore_passphrase.get_secret_value(), first, inherited, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(load_settings().keystore_passphrase)
"""


def test_neither_the_parent_nor_any_environment_holds_the_secret_of_a_forked_run(desk_settings: Settings) -> None:
    desk = SecretsDesk(desk_settings, {Process.TRADING_RUN: {"CROSSBOOK_KEYSTORE_PASSPHRASE": "open sesame"}})
    try:
        environment = environment_of(desk_settings, Process.RUNNER)
        done = subprocess.run([sys.executable, "-c", FORK], env=environment, capture_output=True, text=True, check=True)
    finally:
        desk.close()
    assert done.stdout.split("\n")[:2] == ["open sesame False False", "None"], done.stderr


def test_the_logins_of_the_parts_are_those_that_have_an_address() -> None:
    used = {login for part in PARTS.values() for login in part.logins}
    assert used == set(Login) - {Login.READER}
    assert {PARTS[run].logins[0] for run in RUNS} == {Login.RECORDER, Login.TRADING, Login.BATCH, Login.OWNER}
