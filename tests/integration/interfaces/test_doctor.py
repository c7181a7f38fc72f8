"""The doctor and the API's health on a database: what its rows say is found, and nothing hangs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.api.main import create_app
from app.diagnosis.causes import CAUSES
from app.diagnosis.examination import gather_facts
from streams.settings import Settings, load_settings
from streams.storage.database import connect
from tests.support.ports import free_port

BASE = "http://127.0.0.1:8000"
BREAKS: dict[str, str] = {
    "marts": "UPDATE analytics.quotes_1m SET minute = minute - interval '394 seconds'",
    "schema": "UPDATE trading.schema_version SET version_num = '0001'",
    "environment": "UPDATE trading.environment_stamp SET environment = 'demo'",
    "unresolved orders": "UPDATE trading.orders SET state = 'unknown' WHERE order_id = 1",
    "stuck trades": "UPDATE trading.executions SET state = 'OPENING' WHERE execution_id = 3",
    "switch": "INSERT INTO trading.switches (state, set_by, set_at) VALUES ('kill', 'Bob', now() - interval '2 hours')",
    "waiting acts": """INSERT INTO trading.commands (kind, subject, asked_by, asked_at)
        VALUES ('flatten', '{}', 'Ada', now() - interval '6 minutes')""",
    "ledger": """INSERT INTO trading.balances (venue, cash_e6, ledger_cash_e6, environment, detail, read_at)
        VALUES ('kalshi', 1000000, 0, 'sandbox', '{"in_flight": 0}', now())""",
    "paused pairs": "UPDATE trading.pairs SET kalshi_text_hash = 'new' WHERE pair_id = '0000000000000004'",
    "alerts reach people": """INSERT INTO trading.alerts (kind, severity, dedup_key, message, raised_at, send_error)
        VALUES ('x', 'warning', 'x', 'x', now() - interval '1 hour', 'HTTP 500')""",
    "data tests": """INSERT INTO trading.alerts (kind, severity, dedup_key, message, detail, sent_at, raised_at)
        VALUES ('data_test', 'warning', 'd', 'd', '{"test": "unique_x", "marts": ["trades"]}', now(), now())""",
    "discovery": "UPDATE raw.discovery_sweeps SET error = 'HTTP 500'",
}


def _settings(dsn: str, home: Path) -> Settings:
    return load_settings(database_url=dsn, home=home)


def _found(settings: Settings) -> set[str]:
    facts = gather_facts(settings, only_live=True)
    return {cause.check for cause in CAUSES if cause.look(facts) and not cause.is_notice} - {"ports"}


def test_each_row_that_is_wrong_is_found(seeded: str, tmp_path: Path) -> None:
    settings = _settings(seeded, tmp_path)
    before = _found(settings)
    assert not before & set(BREAKS)
    with connect(seeded) as connection:
        for statement in BREAKS.values():
            connection.execute(statement)
    assert set(BREAKS) <= _found(settings)


def test_health_without_a_database_is_down_with_a_body(tmp_path: Path) -> None:
    settings = _settings(f"postgresql://nobody:hunter2@127.0.0.1:{free_port()}/none", tmp_path)
    with TestClient(create_app(settings), base_url=BASE) as client:
        answer = client.get("/api/health")
    assert answer.status_code == 503
    assert answer.json()["status"] == "down"
    assert any("database" in problem for problem in answer.json()["problems"])
    assert "hunter2" not in answer.text


def test_health_of_a_database_without_a_schema_is_down(empty_database: str, tmp_path: Path) -> None:
    with TestClient(create_app(_settings(empty_database, tmp_path)), base_url=BASE) as client:
        answer = client.get("/api/health")
    assert answer.status_code == 503
    assert any("no Crossbook schema" in problem for problem in answer.json()["problems"])


def test_health_names_what_is_wrong_with_a_remedy(seeded: str, tmp_path: Path) -> None:
    with connect(seeded) as connection:
        connection.execute("UPDATE analytics.quotes_1m SET minute = minute - interval '394 seconds'")
    with TestClient(create_app(_settings(seeded, tmp_path)), base_url=BASE) as client:
        answer = client.get("/api/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    finding = next(found for found in answer.json()["findings"] if found["check"] == "marts")
    assert "quotes_1m is" in finding["found"]
    assert finding["remedy"]


def test_health_is_not_well_of_what_could_not_be_looked_at(
    seeded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("x")

    with TestClient(create_app(_settings(seeded, tmp_path)), base_url=BASE) as client:
        monkeypatch.setattr("app.diagnosis.database.dead_letters", fail)
        answer = client.get("/api/health").json()
        assert answer["status"] == "degraded"
        assert "looks: could not be looked at: warehouse (RuntimeError)" in answer["problems"]
        monkeypatch.setattr("app.api.routes.health.examine_live", fail)
        answer = client.get("/api/health").json()
        assert answer["status"] == "degraded"
        assert "looks: the system could not be looked at in time" in answer["problems"]


def test_a_database_without_the_warehouses_views_can_be_looked_at(database: str, tmp_path: Path) -> None:
    with connect(database) as connection:
        connection.execute("DROP VIEW analytics.freshness CASCADE")
    facts = gather_facts(_settings(database, tmp_path))
    assert facts.warehouse is not None
    assert (facts.warehouse.views, facts.failed_looks) == ((), ())


@pytest.mark.parametrize("state", ["proposed", "rejected"])
def test_the_api_takes_what_the_caller_saw(seeded: str, tmp_path: Path, state: str) -> None:
    with TestClient(create_app(_settings(seeded, tmp_path)), base_url=BASE) as client:
        bearer = {"Authorization": f"Bearer {(tmp_path / 'api_token').read_text().strip()}"}
        body = {"decision": "approve", "who": "Ada", "seen_state": state}
        answer = client.post("/api/pairs/0000000000000003/decision", json=body, headers=bearer)
        assert answer.status_code == (201 if state == "proposed" else 409)
        switch = client.post("/api/trading/resume", json={"who": "Ada", "seen_state": "kill"}, headers=bearer)
        assert (switch.status_code, switch.json()["error"]["code"]) == (409, "it_changed")
        offer = client.get("/api/trades/4/flatten", headers=bearer).json()
        assert offer["legs"][0]["worst_price"] == "0.2500"
        stale = client.post("/api/trades/4/flatten", json={"who": "Ada", "seen": "0" * 16}, headers=bearer)
        assert stale.status_code == 409
        asked = client.post("/api/trades/4/flatten", json={"who": "Ada", "seen": offer["seen"]}, headers=bearer)
        assert asked.status_code == 201
        again = client.post("/api/trades/4/flatten", json={"who": "Ada", "seen": offer["seen"]}, headers=bearer)
        assert again.json()["command_id"] == asked.json()["command_id"]
        assert client.get("/api/trades/99/flatten", headers=bearer).status_code == 404
        assert client.get("/api/trades/4/flatten").status_code == 401
