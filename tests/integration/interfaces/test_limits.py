"""Limits have names and numbers, and are set from the command line and the API; what waits is one list."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from app.cli.main import cli
from streams.market.limits import KINDS, LIMIT_NAMES, BadLimit, limit_values
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.store.gate.decisions import NewDecision, write_decision
from streams.storage.store.gate.releases import released_edge
from streams.storage.store.gate.waiting import list_waiting
from streams.storage.store.risk import current_limits, load_limits, set_limit
from tests.support.api import api_client, home_token


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


@pytest.mark.parametrize(
    ("name", "value"), [("total_usd", "NaN"), ("total_usd", "Infinity"), ("total_usd", "-1"), ("nope", "1")]
)
def test_the_table_takes_no_limit_that_is_none(connection: Connection, name: str, value: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        set_limit(connection, name, Decimal(value), "somebody")


def test_a_limit_that_is_no_number_allows_nothing() -> None:
    values = dict.fromkeys(LIMIT_NAMES, Decimal(1))
    assert limit_values(values).total_e6 == 1_000_000
    for value in ("NaN", "-1", "1e10"):
        with pytest.raises(BadLimit):
            limit_values({**values, "total_usd": Decimal(value)})
    with pytest.raises(BadLimit):
        limit_values({**values, "unknown_orders": Decimal("1.5")})


def test_every_limit_has_a_first_value_and_a_label(connection: Connection) -> None:
    connection.execute("SET session_replication_role = replica")
    connection.execute("DELETE FROM trading.limits")
    found = current_limits(connection, Settings(venues="sandbox", limit_total_usd="60", limit_unknown_orders=2))
    assert (found.total_e6, found.unknown_orders) == (60_000_000, 2)
    assert set(KINDS) == set(LIMIT_NAMES)


def test_limits_are_listed_and_set_on_the_command_line(seeded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", seeded)
    result = run("limits", "set", "edge_usd", "0.04", "--reason", "smaller", "--json")
    assert result.exit_code == 0, result.output
    listed = {row["name"]: row for row in json.loads(run("limits", "list", "--json").stdout)}
    assert list(listed) == list(LIMIT_NAMES)
    assert (listed["edge_usd"]["value"], listed["edge_usd"]["reason"]) == ("0.04", "smaller")
    assert (listed["event_usd"]["set_by"], listed["event_usd"]["unit"]) == ("settings", "dollars")
    history = json.loads(run("limits", "list", "--history", "--json").stdout)
    assert history[0]["name"] == "edge_usd"
    for arguments in (("nope", "1"), ("total_usd", "NaN"), ("total_usd", "x"), ("unknown_orders", "1.5")):
        assert run("limits", "set", *arguments).exit_code == 2, arguments


def test_limits_are_listed_and_set_by_the_api(seeded: str, tmp_path: Path) -> None:
    with api_client(tmp_path, seeded) as client:
        bearer = home_token(tmp_path)
        answer = client.post("/api/limits/total_usd", json={"value": "61.5", "reason": "drill"}, headers=bearer)
        assert answer.status_code == 201, answer.text
        items = {item["name"]: item for item in client.get("/api/limits").json()["items"]}
        assert (items["total_usd"]["value"], items["total_usd"]["reason"]) == ("61.5", "drill")
        stale = client.post("/api/limits/total_usd", json={"value": "70", "seen_value": "60"}, headers=bearer)
        assert stale.status_code == 409
        for name, value in (("nope", "1"), ("total_usd", "-1")):
            refused = client.post(f"/api/limits/{name}", json={"value": value}, headers=bearer)
            assert refused.status_code in (400, 409, 422), refused.text
        assert client.post("/api/limits/total_usd", json={"value": "70"}).status_code == 401
    with connect(seeded) as connection:
        assert load_limits(connection)["total_usd"].value == Decimal("61.5")


def refused_edge(connection: Connection) -> int:
    """Let the gate refuse an open opportunity because it would earn 79 cents a contract."""
    row = connection.execute("SELECT signal_id FROM trading.signals WHERE closed_at IS NULL LIMIT 1").fetchone()
    assert row is not None
    checks = [{"check": "edge", "verdict": "refuse", "reading": "0.7900000000", "limit": "0.050000", "unit": "USD"}]
    new = NewDecision(row["signal_id"], None, "live", "sandbox", "edge_too_good", "", checks)
    write_decision(connection, new, datetime.now(UTC))
    return int(row["signal_id"])


def test_an_edge_that_is_too_good_waits_until_a_person_releases_it(
    seeded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", seeded)
    with connect(seeded) as connection:
        signal = refused_edge(connection)
        waiting = json.loads(run("waiting", "--json").stdout)
        [item] = [item for item in waiting if item["kind"] == "edge_too_good"]
        assert item["act"] == f"crossbook release {signal} --up-to 0.79"
        with api_client(tmp_path, seeded) as client:
            listed = client.get("/api/waiting").json()["items"]
            assert [found["act"] for found in listed] == [found["act"] for found in waiting]
            body = {"up_to": "0.5", "reason": "looked at both texts"}
            path = f"/api/opportunities/{signal}/release"
            assert client.post(path, json=body, headers=home_token(tmp_path)).status_code == 201
        assert released_edge(connection, signal) == Decimal("0.5")
        assert run(*item["act"].split()[1:]).exit_code == 0
        assert not [item for item in list_waiting(connection, "live") if item.kind == "edge_too_good"]
        assert run("release", "999999", "--up-to", "0.5").exit_code == 1
        assert run("release", str(signal), "--up-to", "2").exit_code == 4
