"""The doctor looks at real files, processes, ports and servers, and is not held up by what hangs."""

from __future__ import annotations

import http.server
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from app.api_token import ensure_token
from app.diagnosis.cause import Finding
from app.diagnosis.causes import CAUSES
from app.diagnosis.examination import examine, examine_live, gather_facts, settings_and_problems
from app.diagnosis.files import look_at_files
from app.diagnosis.gathering import Failed, gather
from app.diagnosis.outside import look_outside, skew_of
from app.diagnosis.processes import look_at_processes, name_of
from app.diagnosis.software import look_at_software
from app.doors.accounts import Accounts, accounts_path
from app.doors.roles import Role
from app.supervisor import plan
from app.supervisor.checks.preflight import UNFINISHED_RESTORE
from app.supervisor.last_start import note_start, read_last_start
from app.supervisor.state import HomeLock
from streams.settings import Settings, load_settings
from streams.storage.access.logins import GROUPS
from streams.venues.credentials.keystore import Keystore, ensure_sandbox_credentials
from tests.support.ports import free_port

PORTS = ("dagster", "dashboard", "api", "code_server", "kalshi_sandbox", "polymarket_sandbox", "postgres")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, without a database, on free ports."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path / "home"))
    for name in PORTS:
        monkeypatch.setenv(f"CROSSBOOK_{name.upper()}_PORT", str(free_port()))
    monkeypatch.setenv("CROSSBOOK_SANDBOX_ADMIN_PORT", "0")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def wrong(settings: Settings | None = None) -> dict[str, str]:
    """Return what the doctor finds wrong, by check."""
    found: list[Finding] = examine(settings) if settings is not None else examine(*settings_and_problems())
    return {finding.check: finding.found for finding in found if not finding.is_ok}


def test_an_empty_home_in_which_nothing_runs_is_well(home: Path) -> None:
    assert wrong() == {}


def test_a_home_with_a_token_and_keys_is_well(home: Path) -> None:
    settings = load_settings()
    ensure_token(settings)
    Keystore(settings).set("own-entry", {"value": "x"})
    (home.parent / ".env").write_text("CROSSBOOK_LOG_LEVEL=INFO\n")
    assert wrong() == {}


def _open_token(home: Path) -> None:
    ensure_token(load_settings())
    (home / "api_token").chmod(0o644)


def _short_token(home: Path) -> None:
    (home / "api_token").touch(mode=0o600)


def _corrupt_keystore(home: Path) -> None:
    (home / "keystore.json").write_bytes(b'{"entries": {"kalshi-')
    (home / "keystore.json").chmod(0o600)


def _keystore_of_another_shape(home: Path) -> None:
    (home / "keystore.json").write_text('{"entries": {"kalshi-sandbox": "sealed"}}')
    (home / "keystore.json").chmod(0o600)


def _corrupt_accounts(home: Path) -> None:
    accounts_path(home).parent.mkdir(mode=0o700)
    accounts_path(home).write_bytes(b"SQLite format 3\x00" + b"\xff" * 5_000)
    accounts_path(home).chmod(0o600)


def _accounts_of_another_program(home: Path) -> None:
    accounts_path(home).parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(accounts_path(home))) as connection:
        connection.execute("CREATE TABLE people (id INTEGER)")
    accounts_path(home).chmod(0o600)


def _open_accounts(home: Path) -> None:
    Accounts(home).close()
    accounts_path(home).chmod(0o644)


def _lost_key_file(home: Path) -> None:
    Keystore(load_settings()).set("own-entry", {"value": "x"})
    (home / "keystore.key").unlink()


def _sealed_by_another_key(home: Path) -> None:
    fields = {"key_id": "k", "private_key_pem": "p"}
    Keystore(load_settings()).set("kalshi-sandbox", fields)
    Keystore(load_settings(home=home / "other")).set("other", {"value": "x"})
    (home / "other" / "keystore.key").replace(home / "keystore.key")


def _open_key_file(home: Path) -> None:
    Keystore(load_settings()).set("own-entry", {"value": "x"})
    (home / "keystore.key").chmod(0o640)


def _open_home(home: Path) -> None:
    home.chmod(0o777)


def _env_with_a_secret(home: Path) -> None:
    (home.parent / ".env").write_text("OPENAI_API_KEY=sk-secret\n")
    (home.parent / ".env").chmod(0o644)


def _failed_start(home: Path) -> None:
    note_start(home, "Port 3000 is taken by nginx (pid 3).")


def _killed_supervisor(home: Path) -> None:
    (home / "run").mkdir()
    (home / "run" / "state.json").write_text('{"pid": 1, "addresses": {}, "is_ready": true}')


def _killed_start(home: Path) -> None:
    lock = HomeLock(home)
    lock.acquire()
    line = lock.state_path.read_bytes()
    lock.release()
    lock.state_path.write_bytes(line)


def _killed_restore(home: Path) -> None:
    (home / UNFINISHED_RESTORE).touch()


def _old_segments(home: Path) -> None:
    path = home / "segments" / "shard=0" / "date=2020-01-01" / "000000-ab.seg"
    path.parent.mkdir(parents=True)
    path.touch()
    os.utime(path, (1_577_836_800, 1_577_836_800))


@pytest.mark.parametrize(
    ("check", "break_it"),
    [
        ("token rights", _open_token), ("token", _short_token), ("accounts", _corrupt_accounts),
        ("accounts", _accounts_of_another_program), ("secret files", _open_accounts), ("keystore", _corrupt_keystore),
        ("keystore", _keystore_of_another_shape), ("keystore", _lost_key_file), ("keystore", _sealed_by_another_key),
        ("secret files", _open_key_file), ("home rights", _open_home), ("env file", _env_with_a_secret),
        ("last start", _failed_start), ("supervisor", _killed_supervisor),
        ("supervisor", _killed_start), ("restore", _killed_restore), ("segment retention", _old_segments),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)  # fmt: skip
def test_what_is_broken_in_the_home_is_found(home: Path, check: str, break_it: Callable[[Path], None]) -> None:
    break_it(home)
    facts = gather_facts(load_settings(openai_api_key=None))
    kept = {cause.check for cause in CAUSES if cause.look(facts)}
    assert kept == {check}


def test_live_orders_without_anybody_who_could_prove_who_they_are_are_found(home: Path) -> None:
    live = load_settings(venues="live", trading="live", i_understand=True)
    assert look_at_files(live, opens_keys=False).people == ""
    assert not accounts_path(home).exists()
    with closing(Accounts(home)) as accounts:
        accounts.add_person("Olga", Role.OWNER, by="test")
        accounts.add_person("Tom", Role.TRADER, by="test", password="correct horse battery")
        assert look_at_files(live, opens_keys=False).people == ""
        accounts.set_active("Tom", is_active=False)
    assert "Live trading needs" in look_at_files(live, opens_keys=False).people
    assert look_at_files(load_settings(), opens_keys=False).people == ""


def test_what_serves_pages_opens_no_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    ensure_sandbox_credentials(settings)
    opened: list[str] = []
    monkeypatch.setattr(Keystore, "_open", lambda _self, name, _entry: opened.append(name))
    examine_live(settings)
    assert opened == []
    examine(settings)
    assert sorted(opened) == ["kalshi-sandbox", "polymarket-sandbox"]


def test_looking_makes_no_key_file(home: Path) -> None:
    _lost_key_file(home)
    look_at_files(load_settings(), opens_keys=True)
    assert not (home / "keystore.key").exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CROSSBOOK_API_PORT", "lots", "CROSSBOOK_API_PORT cannot be used"),
        ("CROSSBOOK_VENUES", "nyse", "CROSSBOOK_VENUES cannot be used"),
        ("CROSSBOOK_NO_SUCH_THING", "1", "CROSSBOOK_NO_SUCH_THING is not a setting"),
        ("CROSSBOOK_SIGNAL_EXIT_EDGE_USD", "0.9", "must not exceed"),
    ],
)
def test_a_setting_that_cannot_be_used_is_a_finding(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    found = wrong()
    assert said in found["settings"]
    monkeypatch.delenv(name, raising=False)


def test_several_bad_settings_are_all_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBOOK_LOG_LEVEL", "LOUD")
    monkeypatch.setenv("CROSSBOOK_HTTP_TIMEOUT_S", "-1")
    found = wrong()["settings"]
    assert "CROSSBOOK_LOG_LEVEL" in found
    assert "CROSSBOOK_HTTP_TIMEOUT_S" in found


def test_a_home_that_is_a_file_is_a_finding(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home.parent / "file").write_text("x")
    monkeypatch.setenv("CROSSBOOK_HOME", str(home.parent / "file"))
    assert "home" in wrong()


def test_a_database_that_does_not_answer_is_found_when_nothing_runs(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:hunter2@127.0.0.1:{free_port()}/none")
    found = wrong()
    assert set(found) == {"database"}
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("address", ["postgresql://u:hunter2@h:port/d", "hunter2", "postgres//u:hunter2@h"])
def test_a_malformed_address_is_found_and_not_shown(home: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DATABASE_URL", address)
    found = wrong()
    assert set(found) & {"database address", "database", "settings"}
    assert "hunter2" not in str(found)


def test_a_port_that_another_program_holds_is_found(home: Path) -> None:
    settings = load_settings()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.api_port))
        taken.listen()
        assert "CROSSBOOK_API_PORT" in wrong()["ports"]


def test_every_process_of_a_start_is_known_by_its_command(home: Path) -> None:
    settings = load_settings()
    children = [
        plan.sandbox_child(settings), plan.warm_runner_child(settings, {}), *plan.dagster_children(settings, {}),
        *plan.interface_children(settings),
    ]  # fmt: skip
    assert [name_of(list(child.command)) for child in children] == [
        "sandbox", "runner", "code server", "webserver", "daemon", "dashboard", "api", "doors",
    ]  # fmt: skip
    assert name_of(["python", "-m", "http.server"]) is None


def test_a_supervisor_without_children_has_none_alive(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as childless:
        try:
            assert look_at_processes(load_settings(), childless.pid).alive == frozenset()
        finally:
            childless.kill()


def test_a_package_that_differs_from_the_lock_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "# a lock\nhttpx==0.0.1 \\\n    --hash=sha256:00\nno-such-package==2 \\\nabsent==1 ; python_version < '3'\n"
    )
    drift = look_at_software(lock).drift
    assert drift[0].startswith("httpx ")
    assert drift[0].endswith("locked 0.0.1")
    assert drift[1:] == ("no-such-package is missing, locked 2",)


def test_the_last_start_is_remembered(tmp_path: Path) -> None:
    assert read_last_start(tmp_path) is None
    note_start(tmp_path, "no disk")
    assert read_last_start(tmp_path).reason == "no disk"  # type: ignore[union-attr]
    note_start(tmp_path)
    assert read_last_start(tmp_path).reason == ""  # type: ignore[union-attr]
    (tmp_path / "last_start.json").write_text("[]")
    assert read_last_start(tmp_path) is None


@contextmanager
def server(status: int) -> Iterator[str]:
    """Run an HTTP server that answers everything with one status; yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the name the server looks for

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}"
        finally:
            running.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "is_dead"), [(200, False), (405, False), (501, False), (404, True), (410, True), (502, True)]
)
def test_a_webhook_that_is_gone_is_found(home: Path, status: int, is_dead: bool) -> None:
    with server(status) as address:
        found = look_outside(load_settings(alert_webhook_url=f"{address}/hook?secret=1"), ask_venues=False)
    assert bool(found.webhook) is is_dead
    assert "secret" not in found.webhook


@pytest.mark.parametrize("address", ["nonsense", "http://", "http://[::1", "ftp://x", "http://x:y/"])
def test_a_malformed_webhook_is_found(home: Path, address: str) -> None:
    assert "not an http address" in look_outside(load_settings(alert_webhook_url=address), ask_venues=False).webhook


def test_a_channel_without_a_service_is_found_and_its_address_not_shown(home: Path) -> None:
    channels = "json://127.0.0.1:1/hook nosuch://hunter2 hunter3"
    webhook = f"http://127.0.0.1:{free_port()}/"
    found = look_outside(load_settings(alert_channels=channels, alert_webhook_url=webhook), ask_venues=False)
    assert found.channels == "the address of channel 3, 4 names no service"
    assert look_outside(load_settings(alert_channels="json://127.0.0.1:1/hook"), ask_venues=False).channels == ""


def test_a_dead_webhook_and_a_dead_judge_are_found(home: Path) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    found = look_outside(
        load_settings(alert_webhook_url=dead, openai_api_key="sk-secret", openai_base_url=dead), ask_venues=False
    )
    assert "does not answer" in found.webhook
    assert "does not answer" in found.judge


@pytest.mark.parametrize(("status", "said"), [(200, ""), (401, "refuses the key"), (404, "")])
def test_a_judge_that_refuses_the_key_is_found(home: Path, status: int, said: str) -> None:
    with server(status) as address:
        found = look_outside(load_settings(openai_api_key="sk-secret", openai_base_url=address), ask_venues=False)
    assert said in found.judge
    assert bool(found.judge) is bool(said)
    assert "sk-secret" not in found.judge


def test_a_venue_that_fails_and_one_that_is_away_are_found(home: Path) -> None:
    with server(503) as address:
        settings = load_settings(
            kalshi_rest_url=address, polymarket_clob_url=f"http://127.0.0.1:{free_port()}", venues="sandbox"
        )
        found = look_outside(settings, ask_venues=True)
    assert found.venues["kalshi"] == "kalshi answers HTTP 503"
    assert "polymarket does not answer" in found.venues["polymarket"]


def test_the_clock_of_a_venue_is_compared(home: Path) -> None:
    now = datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC)
    assert skew_of({"Date": format_datetime(now.replace(second=30), usegmt=True)}, now) == 30.0
    assert skew_of({}, now) == 0.0
    assert skew_of({"Date": "yesterday"}, now) == 0.0
    with server(200) as address:
        found = look_outside(load_settings(kalshi_rest_url=address, polymarket_clob_url=address), ask_venues=True)
    assert all(abs(skew) < 5 for skew in found.skews_s.values())
    assert set(found.skews_s) == {"kalshi", "polymarket"}


def test_what_hangs_or_fails_costs_its_own_part() -> None:
    def fail() -> None:
        raise RuntimeError("x")

    release = threading.Event()
    started = time.monotonic()
    found = gather({"slow": release.wait, "bad": fail, "good": lambda: 7}, 0.2)
    release.set()
    assert found == {"good": 7, "bad": Failed("RuntimeError")}
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("look", ["files", "processes", "software"])
def test_what_could_not_be_looked_at_is_wrong(home: Path, monkeypatch: pytest.MonkeyPatch, look: str) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("x")

    monkeypatch.setattr(f"app.diagnosis.examination.look_at_{look}", fail)
    assert wrong() == {"looks": f"could not be looked at: {look} (RuntimeError)"}


def test_a_record_of_the_database_that_cannot_be_read_is_named(home: Path) -> None:
    (home / "postgres").mkdir()
    (home / "postgres" / "cluster.json").write_text("{")
    assert "cluster.json cannot be read" in wrong()["looks"]


def test_what_could_not_be_asked_outside_is_wrong(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("x")

    monkeypatch.setattr("app.diagnosis.outside._webhook", fail)
    monkeypatch.setattr("app.diagnosis.outside._judge", fail)
    monkeypatch.setattr("app.diagnosis.outside.endpoints", fail)
    found = look_outside(load_settings(), ask_venues=True)
    said = "it could not be asked (RuntimeError)"
    assert (found.webhook, found.judge) == (said, said)
    assert found.venues == {"kalshi": f"kalshi: {said}", "polymarket": f"polymarket: {said}"}


@pytest.mark.parametrize("name", ["pg_password", *(f"{login}_password" for login in GROUPS)])
def test_a_password_of_the_database_that_others_can_read_is_found(home: Path, name: str) -> None:
    (home / "postgres").mkdir()
    (home / "postgres" / name).write_text("x")
    (home / "postgres" / name).chmod(0o644)
    assert name in look_at_files(load_settings(), opens_keys=False).open_files[0]


def test_a_database_that_accepts_and_says_nothing_ends_in_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("DATABASE_URL", f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/d")
        started = time.monotonic()
        found = wrong()
    assert "database" in found
    assert time.monotonic() - started < 15
