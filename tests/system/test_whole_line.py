"""The whole system as a newcomer starts it: one command, everything on loopback, a clean stop, a second start.

Its secrets are marked and sought everywhere; a backup is made while it runs and restored into a new home.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from pydantic import SecretStr

from app.supervisor.telling.vital_signs import LOOKERS
from streams.market.identity import Venue
from streams.settings import setting_name
from streams.storage.access.logins import Login
from streams.storage.store.alerting.delivery import load_look_ages_s
from tests.proofs.accounts import read_cash
from tests.support.canaries import marks_in, marks_in_files, marks_in_processes, marks_in_tables
from tests.support.whole_home import Home, wait_for

MARKS = {
    "CROSSBOOK_KEYSTORE_PASSPHRASE": "canary7ofthekeystore",
    "CROSSBOOK_ALERT_WEBHOOK_URL": "canary7ofthewebhook",
    "OPENAI_API_KEY": "canary7ofthejudge",
}
SECRETS = {
    "CROSSBOOK_KEYSTORE_PASSPHRASE": f'{MARKS["CROSSBOOK_KEYSTORE_PASSPHRASE"]} +/"',
    "CROSSBOOK_ALERT_WEBHOOK_URL": f"http://127.0.0.1:9/{MARKS['CROSSBOOK_ALERT_WEBHOOK_URL']}",
}
JUDGE = {"OPENAI_API_KEY": f"sk-{MARKS['OPENAI_API_KEY']}", "CROSSBOOK_OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
"""Of a language model that does not answer; set once there are pairs."""
_FAILED_TICKS = "SELECT tick_body FROM dagster.job_ticks WHERE status = 'FAILURE'"
_ANSWERS = ("health", "trades", "get_market_pairs", "opportunities", "markets", "spreads")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home.make(tmp_path / "home")
    made.environment |= SECRETS
    yield made
    made.clear()


@pytest.mark.timeout(1500)
def test_one_command_runs_the_line_a_second_start_goes_on_and_so_does_a_restored_backup(home: Home) -> None:
    backup = _check_first_start(home)
    _check_second_start(home)
    _check_restore(backup, home)


def _check_first_start(home: Home) -> Path:
    started = home.start()
    status = status_when(home, started, has_traded, limit_s=480)

    assert sum(status["markets"].values()) >= 600
    assert sum(status["pairs"].values()) >= 20
    assert status["deltas"] > 10_000
    assert all(mart["rows"] > 0 for mart in status["marts"]), status["marts"]
    assert_loopback_only(home)
    _check_sensors(home)
    marks = _marks(home)
    _assert_secrets_are_where_they_belong(home, started.pid, marks)
    _check_no_secret_is_anywhere(home, marks)

    backup = home.path.parent / "home.backup"
    code, document = home.ask("backup", str(backup))
    assert code == 0, document
    assert backup.stat().st_mode & 0o077 == 0
    assert home.ask("trade", "status")[1]["switch"] == "run"

    started.terminate()
    assert started.wait(240) == 0, home.output()
    assert home.summary()["deltas"] >= status["deltas"]
    assert home.leavings() == []
    assert home.ask("status")[0] == 3
    return backup


def _check_sensors(home: Home) -> None:
    """Every sensor has ticked without an error of its own, and alerts are looked for and sent."""
    with home.connect() as connection:
        assert wait_for(lambda: set(load_look_ages_s(connection)) == set(LOOKERS), 60) is not None
        failed = connection.execute(_FAILED_TICKS).fetchall()
    assert [tick for tick in failed if "DagsterUserCodeUnreachableError" not in tick["tick_body"]] == []


def _check_restore(backup: Path, home: Home) -> None:
    """The drill: what was backed up while it ran goes on in a new home, with the same trades and trading paused."""
    before = home.summary()
    (home.path.parent / "new").mkdir()
    new = Home.make(home.path.parent / "new" / "home")
    try:
        new.environment |= SECRETS
        code, document = new.ask("restore", str(backup))
        assert code == 0, document
        started = new.start()
        status = status_when(new, started, lambda found: found["deltas"] > 10_000, limit_s=240)
        assert status["switch"] == "pause"
        assert {trade["id"] for trade in status["trades"]} <= {trade["id"] for trade in before["trades"]}
        assert status["trades"]
        assert wait_for(lambda: _differences(new) == {Venue.KALSHI: 0, Venue.POLYMARKET: 0}, 150, 1.0) is not None
        started.terminate()
        assert started.wait(240) == 0, new.output()
    finally:
        new.clear()


def _check_second_start(home: Home) -> None:
    before = home.summary()
    home.environment |= JUDGE
    started = home.start()
    status = status_when(home, started, lambda found: found["deltas"] > before["deltas"], limit_s=240)
    assert status["markets"].keys() == before["markets"].keys()
    assert {trade["id"] for trade in before["trades"]} <= {trade["id"] for trade in status["trades"]}
    assert home.ask("up")[0] == 2
    marks = _marks(home)
    _assert_secrets_are_where_they_belong(home, started.pid, marks)
    _check_no_secret_is_anywhere(home, marks)
    started.terminate()
    assert started.wait(240) == 0, home.output()
    assert home.leavings() == []


def _differences(home: Home) -> dict[Venue, int]:
    """Each venue's cash less the ledger's, of the accounts that have nothing in flight."""
    settings = home.settings().model_copy(
        update={"keystore_passphrase": SecretStr(SECRETS["CROSSBOOK_KEYSTORE_PASSPHRASE"])}
    )
    with home.connect() as connection:
        found = read_cash(settings, connection)
    return {reading.venue: reading.cash_e6 - reading.ledger_e6 for reading in found}


def _marks(home: Home) -> dict[str, str]:
    """What is sought: the marked secrets, and those the start has made, whole; the reader's password may be shown."""
    passwords = [f"postgres/{login}_password" for login in Login if login is not Login.READER]
    there = [home.path / name for name in ("keystore.key", "api_token", "postgres/pg_password", *passwords)]
    return MARKS | {path.name: path.read_text().strip() for path in there if path.exists()}


def _assert_secrets_are_where_they_belong(home: Home, supervisor: int, marks: dict[str, str]) -> None:
    """In command lines there is none at all, and in environments what the table of processes gives."""
    addresses = {setting_name("database_url"), *(setting_name(login.field) for login in Login)}

    def may_hold(command: list[str], name: str) -> bool:
        # multiprocessing's own helper of the code server has its environment
        is_code_server = any("grpc" in part for part in command) or "multiprocessing" in " ".join(command)
        return name in addresses | {"CROSSBOOK_DAGSTER_PG_URL"} or (
            name == "CROSSBOOK_ALERT_WEBHOOK_URL" and is_code_server
        )

    others = [process for process in home.processes() if process.pid != supervisor]
    assert marks_in_processes(others, marks, may_hold) == []


def _check_no_secret_is_anywhere(home: Home, marks: dict[str, str]) -> None:
    """Not in a file of the home that is none of secrets, not in a table, not in an answer, not on the dashboard."""
    sought = list(marks.values())
    assert marks_in_files(home.path, sought, _may_hold_secrets) == []
    said = (home.path.parent / "up.err").read_bytes() + (home.path.parent / "up.out").read_bytes()
    assert marks_in(said, MARKS.values()) == []
    with home.connect() as connection:
        assert marks_in_tables(connection, ["trading", "analytics", "dagster"], sought) == []
    for command in ("status", "doctor"):
        assert marks_in(json.dumps(home.ask(command)[1]), sought) == [], command
    token = marks["api_token"]
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        for name in _ANSWERS:
            answer = client.get(f"http://127.0.0.1:{home.environment['CROSSBOOK_API_PORT']}/api/{name}")
            assert marks_in(answer.content, sought) == [], name
        for port in ("DASHBOARD_PORT", "DAGSTER_PORT"):
            page = client.get(f"http://127.0.0.1:{home.environment[f'CROSSBOOK_{port}']}/")
            assert page.status_code == 200
            assert marks_in(page.content, sought) == [], port


def _may_hold_secrets(below: Path) -> bool:
    # The server's own files hold tables, which are searched as such; the sandbox is the other side of its keys.
    is_secret = below.name in ("keystore.json", "keystore.key", "api_token") or below.match("postgres/*_password")
    return is_secret or below.parts[0] == "sandbox" or "pgdata" in below.parts


def status_when(home: Home, started: subprocess.Popen[str], is_met: Any, limit_s: float) -> dict[str, Any]:
    deadline = time.monotonic() + limit_s
    found: dict[str, Any] = {}
    while time.monotonic() < deadline:
        assert started.poll() is None, home.output()
        code, document = home.ask("status")
        if code == 0:
            found = document
            if is_met(found):
                return found
        time.sleep(5)  # each look is a process of its own that takes a second of the machine
    raise AssertionError(f"not met within {limit_s} s: {found}\n{home.output()}")


def has_traded(status: dict[str, Any]) -> bool:
    is_traded = any(trade["state"] in ("HEDGED", "SETTLED") for trade in status["trades"])
    return is_traded and bool(status["marts"]) and all(mart["rows"] > 0 for mart in status["marts"])


def assert_loopback_only(home: Home) -> None:
    for process in home.processes():
        try:
            connections = process.net_connections(kind="inet")
        except psutil.Error:
            continue
        for connection in connections:
            hosts = {address.ip.removeprefix("::ffff:") for address in (connection.laddr, connection.raddr) if address}
            assert hosts <= {"127.0.0.1", "::1"}, (process.name(), connection)
