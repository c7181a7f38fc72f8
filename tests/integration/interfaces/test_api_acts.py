"""Acts of the API on a real database: whose name stands in the row, what lifts a kill, and a kill without one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from psycopg.conninfo import make_conninfo

from app.api.routes import operator_actions as routes
from app.doors.roles import Act, Identity, Role
from app.doors.shell import shell_name
from app.kill import record_kills_on_disk
from streams.storage.database import Connection
from streams.storage.kill_files import is_kill_on_disk, keep_kill, kill_folder
from streams.storage.store.risk import SwitchRow, last_switch, set_switch
from tests.fixtures.seed_warehouse import PAIR_IDS
from tests.support.api import Headers, api_client, api_settings, by_the_doors, home_token, token_of
from tests.support.ports import free_port


@pytest.fixture
def client(seeded: str, tmp_path: Path) -> TestClient:
    return api_client(tmp_path, seeded, behind_doors=True)


def _switch(connection: Connection) -> SwitchRow:
    switch = last_switch(connection)
    assert switch is not None
    return switch


def _ask(client: TestClient, act: str, headers: Headers, **body: str) -> tuple[int, str]:
    answer = client.post(f"/api/trading/{act}", json=body, headers=headers)
    return answer.status_code, answer.json().get("error", {}).get("code", "")


def _session(confirmed_s_ago: float | None, role: Role = Role.TRADER) -> Headers:
    at = None if confirmed_s_ago is None else time.time() - confirmed_s_ago
    return by_the_doors(Identity("Ada", role, "password", confirmed_at=at, session="s", can_confirm=True))


@pytest.mark.parametrize("kind", ["token", "session", "home"])
def test_the_name_in_the_row_is_the_callers_and_who_stands_in_the_reason(
    client: TestClient, connection: Connection, tmp_path: Path, kind: str
) -> None:
    headers, name = {
        "token": (token_of(tmp_path, "Ada", Role.TRADER), "Ada"),
        "session": (_session(0.0), "Ada"),
        "home": (home_token(tmp_path), shell_name()),
    }[kind]
    assert _ask(client, "pause", headers, who="Bob", reason="books look wrong")[0] == 201
    assert (_switch(connection).set_by, _switch(connection).reason) == (name, "books look wrong (for Bob)")
    assert _ask(client, "kill", headers, who=name.upper(), reason="drill")[0] == 201
    assert (_switch(connection).set_by, _switch(connection).reason) == (name, "drill")
    assert _ask(client, "resume", headers)[0] == 201
    assert (_switch(connection).set_by, _switch(connection).reason) == (name, "")
    decided = client.post(
        f"/api/pairs/{PAIR_IDS[2]}/decision", json={"decision": "pause", "who": "Bob"}, headers=headers
    )
    assert decided.json()["pair"]["decided_by"] == name
    seen = client.get("/api/trades/4/flatten", headers=headers).json()["seen"]
    asked = client.post("/api/trades/4/flatten", json={"seen": seen, "who": "Bob"}, headers=headers)
    row = connection.execute(
        "SELECT asked_by, subject FROM trading.commands WHERE command_id = %s", (asked.json()["command_id"],)
    ).fetchone()
    assert row is not None
    assert (row["asked_by"], row["subject"]["reason"]) == (name, "(for Bob)")


@pytest.mark.parametrize("act", ["resume", "pause", "reduce"])
def test_lifting_a_kill_asks_again_and_is_no_stop(
    client: TestClient, connection: Connection, tmp_path: Path, act: str
) -> None:
    set_switch(connection, "kill", "Bob")
    stops_only = token_of(tmp_path, "Cy", Role.OWNER, [Act.STOP])
    assert _ask(client, act, stops_only) == (403, "forbidden")
    assert _ask(client, act, _session(None)) == (403, "confirmation_needed")
    assert _ask(client, act, _session(301)) == (403, "confirmation_needed")
    assert _switch(connection).state == "kill"
    assert _ask(client, act, _session(10))[0] == 201
    assert _switch(connection).set_by == "Ada"


@pytest.mark.parametrize("act", ["pause", "reduce", "kill"])
def test_a_stop_asks_nobody_again(client: TestClient, connection: Connection, tmp_path: Path, act: str) -> None:
    for headers in (_session(None), _session(10_000), token_of(tmp_path, "Cy", Role.OWNER, [Act.STOP])):
        set_switch(connection, "run", "Bob")
        assert _ask(client, act, headers)[0] == 201
        assert _switch(connection).state == act


def test_to_resume_from_a_pause_asks_nobody_again(client: TestClient, connection: Connection) -> None:
    set_switch(connection, "pause", "Bob")
    assert _ask(client, "resume", _session(None))[0] == 201


def _meanwhile(monkeypatch: pytest.MonkeyPatch, event: Callable[[], object]) -> None:
    """Let something happen once, between what an act reads of the switch and what it writes."""
    read, happened = last_switch, []

    def read_then(connection: Connection) -> SwitchRow | None:
        found = read(connection)
        if not happened:
            happened.append(event())
        return found

    monkeypatch.setattr(routes, "last_switch", read_then)


@pytest.mark.parametrize("act", ["resume", "pause", "reduce"])
def test_a_kill_that_comes_meanwhile_is_not_lifted(
    client: TestClient, connection: Connection, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    _meanwhile(monkeypatch, lambda: set_switch(connection, "kill", "Bob"))
    assert _ask(client, act, _session(0.0)) == (409, "it_changed")
    assert (_switch(connection).state, _switch(connection).set_by) == ("kill", "Bob")


def test_a_stop_that_meets_another_one_is_given_all_the_same(
    client: TestClient, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    _meanwhile(monkeypatch, lambda: set_switch(connection, "pause", "Bob"))
    assert _ask(client, "reduce", _session(None))[0] == 201
    assert (_switch(connection).state, _switch(connection).set_by) == ("reduce", "Ada")


def test_what_was_seen_is_held_to(client: TestClient, connection: Connection) -> None:
    set_switch(connection, "reduce", "Bob")
    for act in ("pause", "resume"):
        assert _ask(client, act, _session(0.0), seen_state="run") == (409, "it_changed")
    assert _ask(client, "kill", _session(0.0), seen_state="run")[0] == 201


def test_a_kill_leaves_its_row_and_no_file(client: TestClient, connection: Connection, tmp_path: Path) -> None:
    answer = client.post("/api/trading/kill", json={"reason": "drill"}, headers=home_token(tmp_path))
    assert (answer.status_code, answer.json()["is_recorded"]) == (201, True)
    assert answer.json()["switch_id"] == _switch(connection).switch_id
    assert list(kill_folder(tmp_path).iterdir()) == []


@pytest.mark.parametrize("act", ["resume", "pause", "reduce"])
def test_a_kill_on_disk_is_recorded_and_not_lifted_unseen(
    client: TestClient, connection: Connection, tmp_path: Path, act: str
) -> None:
    keep_kill(tmp_path, "Bob", "drill").close()
    assert client.get("/api/health").json()["switch"] == "kill"
    assert _ask(client, act, _session(None)) == (403, "confirmation_needed")
    assert _ask(client, act, _session(0.0)) == (409, "it_changed")
    assert (_switch(connection).state, _switch(connection).set_by) == ("kill", "Bob")
    assert not is_kill_on_disk(tmp_path)
    assert _ask(client, act, _session(0.0))[0] == 201


def test_a_kill_while_the_warehouse_is_away_is_in_force_and_recorded_when_it_is_back(
    seeded: str, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.main._POOL_TIMEOUT_S", 0.5)
    client = api_client(tmp_path, make_conninfo(seeded, port=free_port()))
    answer = client.post("/api/trading/kill", json={"reason": "drill"}, headers=token_of(tmp_path, "Ada", Role.TRADER))
    assert (answer.status_code, answer.json()["is_recorded"]) == (202, False)
    assert is_kill_on_disk(tmp_path)
    assert _switch(connection).state == "run"
    assert record_kills_on_disk(api_settings(tmp_path, seeded)) == 1
    assert (_switch(connection).state, _switch(connection).set_by) == ("kill", "Ada")
    assert _switch(connection).reason.startswith("drill (on disk since 20")
