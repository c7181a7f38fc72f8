"""The inbox of alerts and the banner above every page, with no service outside."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from app.doors.roles import Role
from streams.storage.database import connect
from streams.storage.store.alerting.delivery import mark_failed, mark_sent, note_look, note_no_channel, note_receipt
from streams.storage.store.alerts import clear_alert, raise_alert
from tests.support.dashboard_pages import Pages


def _html(shown: AppTest) -> str:
    return "".join(element.proto.body for element in shown.get("html"))


def _raise(dsn: str, key: str = "sensor_stopped:edges") -> int:
    with connect(dsn) as connection:
        raise_alert(connection, "sensor_stopped", "warning", key, f"The sensor <b>{key}</b> is stopped.")
        row = connection.execute("SELECT max(alert_id) AS alert_id FROM trading.alerts").fetchone()
    assert row is not None
    return int(row["alert_id"])


def test_every_page_says_that_nobody_is_told_while_there_is_no_channel(pages: Pages, database: str) -> None:
    assert "ALERTS" not in _html(pages.open(database, "markets"))
    _raise(database)
    with connect(database) as connection:
        note_look(connection, "sender", [])
        note_no_channel(connection, [])
    html = _html(pages.open(database, "markets"))
    assert "No channel is set" in html
    assert "docs/how-to/alerts.md" in html
    assert 'href="/alerts"' in html
    inbox = _html(pages.open(database, "alerts"))
    assert "No channel: nobody is told beyond this page." in inbox
    assert ">no channel<" in inbox


def test_every_page_says_that_deliveries_failed(pages: Pages, database: str) -> None:
    alert_id = _raise(database)
    with connect(database) as connection:
        note_look(connection, "sender", ["json"])
        note_receipt(connection, [alert_id], place=1, channel="json", error="HTTP 500", took_ms=1200)
        mark_failed(connection, [alert_id], "HTTP 500")
    assert "could not be sent by any channel" in _html(pages.open(database, "risk"))
    inbox = _html(pages.open(database, "alerts"))
    assert "1. json failed: HTTP 500" in inbox


def test_a_reviewer_asks_for_a_test_of_each_channel(pages: Pages, database: str) -> None:
    with connect(database) as connection:
        note_look(connection, "sender", ["webhook", "mailto"])
    pages.sign_in("Rhea", Role.REVIEWER)
    shown = pages.open(database, "alerts")
    assert "1. webhook, 2. mailto" in _html(shown)
    shown.button(key="test-channels").click().run()
    assert not shown.exception
    with connect(database) as connection:
        row = connection.execute("SELECT kind, message FROM trading.alerts").fetchone()
    assert row is not None
    assert row["kind"] == "test"
    assert "Rhea" in row["message"]


def test_an_alert_is_shown_with_its_way_out_and_what_became_of_it(pages: Pages, database: str) -> None:
    alert_id = _raise(database)
    with connect(database) as connection:
        note_receipt(connection, [alert_id], place=1, channel="json", error="timeout", took_ms=10_000)
        note_receipt(connection, [alert_id], place=2, channel="mailto", error="", took_ms=340)
        mark_sent(connection, [alert_id])
    html = _html(pages.open(database, "alerts"))
    for words in (
        "The sensor &lt;b&gt;sensor_stopped:edges&lt;/b&gt; is stopped.",
        "What to do: Start it in Dagster (Automation)",
        "1. json failed: timeout",
        "2. mailto sent in 340 ms",
        ">sent<",
        ">sensor stopped<",
    ):
        assert words in html
    with connect(database) as connection:
        clear_alert(connection, "sensor_stopped:edges")
    shown = pages.open(database, "alerts")
    assert "No open alert." in _html(shown)
    assert "2. mailto sent in 340 ms" in _html(shown)
    assert not [button for button in shown.button if button.label == "Acknowledge"]


def test_a_reviewer_acknowledges_and_a_viewer_does_not(pages: Pages, database: str) -> None:
    alert_id = _raise(database)
    pages.sign_in("Vera", Role.VIEWER)
    shown = pages.open(database, "alerts")
    button = shown.button(key=f"acknowledge-{alert_id}")
    assert button.disabled
    assert "viewer" in button.help
    pages.sign_in("Rhea", Role.REVIEWER)
    shown = pages.open(database, "alerts")
    shown.button(key=f"acknowledge-{alert_id}").click().run()
    assert not shown.exception
    assert "seen by Rhea" in _html(shown)
    assert not [button for button in shown.button if button.label == "Acknowledge"]
    with connect(database) as connection:
        row = connection.execute("SELECT acknowledged_by, cleared_at FROM trading.alerts").fetchone()
    assert row == {"acknowledged_by": "Rhea", "cleared_at": None}
