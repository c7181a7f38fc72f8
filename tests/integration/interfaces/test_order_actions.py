"""Saying what became of an order: from the command line, the API and the dashboard, always with a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli.main import cli
from app.doors.roles import Role
from streams.processes.boot_clock import boot_now
from streams.storage.database import Connection
from streams.storage.store.executions import NewExecution, create_execution
from streams.storage.store.orders import NewIntent, mark_sent, write_intent
from tests.support.api import api_client, token_of
from tests.support.dashboard_pages import Pages
from tests.support.fake_venue import rows

NOW = datetime.now(UTC)


@pytest.fixture
def order_id(connection: Connection) -> int:
    """An order that was sent and of which nothing is known."""
    signal = rows(connection, "SELECT signal_id, group_id FROM trading.signals ORDER BY signal_id LIMIT 1")[0]
    execution_id = create_execution(
        connection,
        NewExecution(signal["signal_id"], 99, signal["group_id"], "sandbox", "live", "ESCALATED", "run", 1, Decimal(0),
                     1_000_000, {}),
    )  # fmt: skip
    assert execution_id is not None
    new = NewIntent(execution_id, 0, "open", "kalshi", "KX", "yes", "buy", 4_000, 5_000_000, None, 2_000_000, 1,
                    "sandbox", NOW, NOW + timedelta(hours=1), f"mine-{execution_id}", {})  # fmt: skip
    with connection.transaction():
        number = write_intent(connection, new)
    assert mark_sent(connection, number, NOW, boot_now())
    connection.execute("UPDATE trading.orders SET state = 'unknown' WHERE order_id = %s", (number,))
    return number


def asked(connection: Connection) -> list[dict[str, str]]:
    return [row["subject"] for row in rows(connection, "SELECT subject FROM trading.commands WHERE kind = 'resolve'")]


def test_over_the_api(seeded: str, connection: Connection, order_id: int, tmp_path: Path) -> None:
    client, headers = api_client(tmp_path, seeded, behind_doors=True), token_of(tmp_path, "Ada", Role.TRADER)
    assert order_id in [order["order_id"] for order in client.get("/api/orders/unknown", headers=headers).json()]
    url = f"/api/orders/{order_id}/resolve"
    assert client.post(url, json={"filled": "2"}, headers=headers).status_code == 422
    assert client.post(url, json={"filled": "-1", "reason": "x"}, headers=headers).status_code == 422
    assert (
        client.post("/api/orders/999999/resolve", json={"filled": "2", "reason": "x"}, headers=headers).status_code
        == 404
    )
    answer = client.post(url, json={"filled": "2", "price": "0.41", "reason": "their page"}, headers=headers)
    assert (answer.status_code, answer.json()["order_id"]) == (201, order_id)
    assert asked(connection) == [{"order_id": order_id, "filled": "2", "price": "0.41", "reason": "their page"}]


def test_from_the_command_line(
    seeded: str, connection: Connection, order_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", seeded)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["trade", *arguments, "--json"])

    assert order_id in [order["order_id"] for order in json.loads(run("orders").stdout)]
    assert run("resolve", str(order_id), "--reason", "x").exit_code == 2
    assert run("resolve", str(order_id), "--absent", "--filled", "2", "--reason", "x").exit_code == 2
    assert run("resolve", str(order_id), "--absent").exit_code == 2
    assert run("resolve", "999999", "--absent", "--reason", "x").exit_code == 1
    assert run("resolve", str(order_id), "--filled", "2", "--price", "3", "--reason", "x").exit_code == 4
    assert run("resolve", str(order_id), "--absent", "--reason", "their page").exit_code == 0
    assert asked(connection) == [{"order_id": order_id, "filled": "0", "price": "0.4", "reason": "their page"}]


def test_on_the_risk_page(seeded: str, connection: Connection, order_id: int, pages: Pages) -> None:
    risk = pages.open(seeded, "risk")
    risk.button(key=f"resolve-{order_id}").click().run()
    risk.text_input(key="resolve-filled").input("2")
    risk.text_input(key="resolve-reason").input("their page")
    risk.button(key="resolve-confirm").click().run()
    assert not risk.exception
    assert [subject["filled"] for subject in asked(connection)] == ["2"]
