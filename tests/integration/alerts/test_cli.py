"""`crossbook alerts`: what is listed, who has seen it, and each channel's outcome; never an address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.alert_actions import ask_alert_test
from app.cli.main import cli
from app.doors.shell import shell_name
from app.queries.alerts import find_alert, load_inbox
from app.queries.status import system_status
from orchestration.alerting.sender import send_alerts
from streams.alerting.courier import Rests
from streams.settings import load_settings
from streams.storage.database import Connection, connect
from streams.storage.store.alerts import raise_alert
from tests.support.alert_channels import local_channel, refused_port


@pytest.fixture
def connection(warehouse: str) -> Iterator[Connection]:
    with connect(warehouse) as opened:
        yield opened


@pytest.fixture
def warehouse(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.chdir(tmp_path)
    return database


def run(*arguments: str) -> tuple[int, Any, str]:
    done = CliRunner().invoke(cli, ["alerts", *arguments, "--json"])
    return done.exit_code, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_listing_and_acknowledging(connection: Connection) -> None:
    raise_alert(connection, "disk", "critical", "disk", "Full.")
    code, (alert,), said = run("list")
    assert (code, alert["kind"], alert["delivery"], alert["acknowledged_by"]) == (0, "disk", "waiting", None)
    assert "1 critical alert nobody has acknowledged." in said
    code, seen, _ = run("acknowledge", str(alert["alert_id"]))
    assert (code, seen["acknowledged_by"]) == (0, shell_name())
    code, (alert,), said = run("list")
    assert (alert["acknowledged_by"], said) == (shell_name(), "")
    assert run("acknowledge", "999")[0] == 1


def test_each_channel_says_what_became_of_the_test(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_channel() as first, local_channel("HTTP 500") as third:
        dead = f"json://127.0.0.1:{refused_port()}/sesame-opens-it"
        monkeypatch.setenv("CROSSBOOK_ALERT_CHANNELS", f"{first.apprise} {dead} {third.apprise}")
        monkeypatch.setenv("CROSSBOOK_ALERT_SEVERITIES", "critical")
        code, rows, said = run("test")
        assert (code, [(row["channel"], row["kind"], row["outcome"], row["error"]) for row in rows]) == (
            1, [(1, "json", "sent", ""), (2, "json", "failed", "ConnectError"), (3, "json", "failed", "HTTP 500")],
        )  # fmt: skip
        assert "sesame" not in json.dumps(rows) + said
        assert "nothing is wrong" in first.received[0]["message"]
        assert run("test", "--channel", "1")[0] == 0
        assert (len(first.received), len(third.received)) == (2, 1)
        assert run("test", "--channel", "4")[0] == 2
    newest, oldest = load_inbox(connection, open_only=False)
    assert (oldest.kind, oldest.delivery, oldest.is_open, len(oldest.receipts)) == ("test", "failed", False, 3)
    assert (newest.delivery, len(newest.receipts)) == ("sent", 1)


def test_a_test_needs_no_warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    with local_channel() as local:
        monkeypatch.setenv("CROSSBOOK_ALERT_WEBHOOK_URL", local.webhook)
        assert run("test")[0] == 0
        monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@127.0.0.1:{refused_port()}/none")
        assert run("test")[0] == 0
        assert len(local.received) == 2


def test_without_a_channel_the_test_says_so(warehouse: str) -> None:
    code, rows, said = run("test")
    assert (code, rows) == (1, None)
    assert "No channel is set" in said


def test_a_test_from_a_page_goes_through_every_channel_and_once(connection: Connection, tmp_path: Path) -> None:
    with local_channel() as first, local_channel() as second:
        settings = load_settings(
            home=tmp_path, alert_channels=f"{first.apprise} {second.apprise}", alert_severities="critical,critical"
        )
        number = ask_alert_test(connection, who="Ada")
        for _ in range(3):
            send_alerts(connection, settings, Rests())
        assert [len(first.received), len(second.received)] == [1, 1]
        assert "asked for by Ada" in first.received[0]["message"]
    alert = find_alert(connection, number)
    assert alert is not None
    assert (alert.delivery, [(r.place, r.outcome) for r in alert.receipts]) == ("sent", [(1, "sent"), (2, "sent")])
    number = ask_alert_test(connection, who="Ada")
    send_alerts(connection, load_settings(home=tmp_path), Rests())
    alert = find_alert(connection, number)
    assert alert is not None
    assert alert.delivery == "no channel"


def test_the_status_says_that_there_is_no_channel(warehouse_template: str, postgres_dsn: str, tmp_path: Path) -> None:
    from tests.conftest import new_database

    with new_database(postgres_dsn, warehouse_template) as address, connect(address) as connection:
        raise_alert(connection, "disk", "critical", "disk", "Full.")
        send_alerts(connection, load_settings(home=tmp_path), Rests())
        alerts = system_status(connection)["alerts"]
    assert (alerts["channels"], alerts["undelivered"]) == ([], 1)
    assert any("No channel is set" in sentence for sentence in alerts["sentences"])
