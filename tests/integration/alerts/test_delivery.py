"""Alerts from their row to a server on this machine: states, receipts, cooldown, two senders, a sender that dies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.queries.alerts import find_alert, load_banner, load_inbox
from orchestration.alerting.sender import send_alerts
from streams.alerting.channels import channels_of
from streams.alerting.courier import Courier, Rests
from streams.alerting.sending import Outcome, send
from streams.settings import Settings, load_settings
from streams.storage.database import Connection, connect
from streams.storage.store.alerting.delivery import claim_alerts
from streams.storage.store.alerts import clear_alert, raise_alert
from tests.support.alert_channels import How, local_channel, refused_port


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def settings(home: Path, *channels: str, **named: Any) -> Settings:
    return load_settings(home=home, alert_channels=" ".join(channels) or None, **named)


def raised(connection: Connection, key: str = "kill", severity: Any = "critical", kind: str = "kill") -> None:
    assert raise_alert(connection, kind, severity, key, f"{key} is wrong.", {"key": key})


def test_without_a_channel_that_is_what_the_row_says_and_not_sent(connection: Connection, tmp_path: Path) -> None:
    raised(connection)
    done = send_alerts(connection, settings(tmp_path), Rests())
    assert (done.sent, done.failed, done.no_channel) == (0, 0, 1)
    (alert,) = load_inbox(connection)
    assert (alert.delivery, alert.sent_at, alert.receipts) == ("no channel", None, ())
    assert load_banner(connection).channels == []
    assert "No channel is set" in load_banner(connection).sentences[1]
    assert send_alerts(connection, settings(tmp_path), Rests()).no_channel == 0


def test_a_channel_that_is_set_later_gets_what_is_still_open(connection: Connection, tmp_path: Path) -> None:
    raised(connection, "open")
    raised(connection, "over")
    send_alerts(connection, settings(tmp_path), Rests())
    clear_alert(connection, "over")
    with local_channel() as local:
        assert send_alerts(connection, settings(tmp_path, local.apprise), Rests()).sent == 1
    assert ["open is wrong." in received["message"] for received in local.received] == [True]
    assert {alert.subject: alert.delivery for alert in load_inbox(connection, open_only=False)} == {
        "open": "sent", "over": "no channel",
    }  # fmt: skip
    assert load_banner(connection).channels == ["json"]


@pytest.mark.parametrize("how", ["HTTP 500", "garbage", "refused"])
def test_the_second_channel_gets_what_the_first_does_not_take(
    connection: Connection, tmp_path: Path, how: How | str
) -> None:
    raised(connection)
    with local_channel("takes" if how == "refused" else how) as first, local_channel() as second:  # type: ignore[arg-type]
        address = f"json://127.0.0.1:{refused_port()}" if how == "refused" else first.apprise
        assert send_alerts(connection, settings(tmp_path, address, second.apprise), Rests()).sent == 1
    assert len(second.received) == 1
    (alert,) = load_inbox(connection)
    error = "HTTP 500" if how == "HTTP 500" else "ConnectError"
    assert [(r.place, r.channel, r.outcome, r.error) for r in alert.receipts] == [
        (1, "json", "failed", error), (2, "json", "sent", ""),
    ]  # fmt: skip
    assert alert.delivery == "sent"


def test_a_first_channel_that_hangs_holds_neither_the_second_nor_the_round(
    connection: Connection, tmp_path: Path
) -> None:
    for number in range(5):
        raised(connection, f"subject {number}", kind=f"kind {number}")
    with local_channel("hangs") as first, local_channel() as second:
        chosen = settings(tmp_path, first.apprise, second.apprise)
        courier = Courier(
            channels_of(chosen), "sandbox", Rests(), send_=lambda channel, message: send(channel, message, "sandbox", 1)
        )
        assert send_alerts(connection, chosen, Rests(), courier=courier).sent == 5
    assert (len(first.received), len(second.received)) == (1, 5)
    took = [r.took_ms for alert in load_inbox(connection) for r in alert.receipts if r.error == "timeout"]
    assert len(took) == 1


def test_what_no_channel_takes_is_tried_again_later_and_later(connection: Connection, tmp_path: Path) -> None:
    raised(connection)
    chosen = settings(tmp_path, f"json://127.0.0.1:{refused_port()}/sesame-opens-it")
    waits = []
    for _ in range(7):
        assert send_alerts(connection, chosen, Rests()).failed == 1
        assert send_alerts(connection, chosen, Rests()).failed == 0
        row = connection.execute(
            "UPDATE trading.alerts SET try_after = now() RETURNING (SELECT extract(epoch FROM try_after - now())::int"
            " FROM trading.alerts) AS wait"
        ).fetchone()
        waits.append(row["wait"] if row else None)
    assert waits == [30, 60, 120, 240, 480, 900, 900]
    (alert,) = load_inbox(connection)
    assert (alert.delivery, alert.sent_at) == ("failed", None)
    everything = connection.execute("SELECT a::text || r::text AS t FROM trading.alerts a, trading.alert_receipts r")
    assert not any("sesame" in row["t"] or "127.0.0.1" in row["t"] for row in everything)
    assert "could not be sent by any channel" in load_banner(connection).sentences[1]


def test_a_flapping_subject_is_one_message_and_then_one_of_all(connection: Connection, tmp_path: Path) -> None:
    with local_channel() as local:
        chosen = settings(tmp_path, local.apprise)
        for _ in range(100):
            raised(connection, "api")
            send_alerts(connection, chosen, Rests())
            clear_alert(connection, "api")
        assert len(local.received) == 1
        connection.execute("UPDATE trading.alerts SET sent_at = sent_at - interval '5 minutes' WHERE state = 'sent'")
        assert send_alerts(connection, chosen, Rests()).sent == 99
    assert len(local.received) == 2
    assert "(99 times since" in local.received[1]["message"]
    assert "It is over." in local.received[1]["message"]


def test_a_database_clock_that_is_put_back_loses_nothing(connection: Connection, tmp_path: Path) -> None:
    raised(connection)
    connection.execute(
        "UPDATE trading.alerts SET try_after = now() + interval '1 year', raised_at = now() + interval '1 year'"
    )
    with local_channel() as local:
        assert send_alerts(connection, settings(tmp_path, local.apprise), Rests()).sent == 1


def test_grave_ones_go_first_and_one_that_is_poison_blocks_nobody(connection: Connection, tmp_path: Path) -> None:
    raised(connection, "a", "notice", "data_test")
    raised(connection, "poison", "critical", "disk")
    raised(connection, "c", "critical")
    order: list[str] = []

    def send_(channel: Any, message: Any) -> Outcome:
        order.append(message.newest.key)
        return Outcome("ValueError" if message.newest.key == "poison" else "", 1)

    chosen = settings(tmp_path, "json://127.0.0.1")
    courier = Courier(channels_of(chosen), "sandbox", Rests(), send_=send_)
    done = send_alerts(connection, chosen, Rests(), courier=courier)
    assert (order, done.sent, done.failed) == (["poison", "c", "a"], 2, 1)


def test_two_senders_at_once_send_each_alert_once(database: str, connection: Connection, tmp_path: Path) -> None:
    for number in range(5):
        for kind in ("kill", "disk", "child", "ledger"):
            raised(connection, f"{kind} {number}", kind=kind)
    with local_channel() as local:
        chosen = settings(tmp_path, alert_webhook_url=local.webhook)

        def work() -> None:
            with connect(database) as own:
                send_alerts(own, chosen, Rests())

        senders = [threading.Thread(target=work) for _ in range(4)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        send_alerts(connection, chosen, Rests())
    told = [received["alert_id"] for received in local.received]
    assert sorted(told) == sorted(set(told)) == sorted(alert.alert_id for alert in load_inbox(connection))


def test_what_a_sender_had_when_it_died_is_sent_by_the_next_one(connection: Connection, tmp_path: Path) -> None:
    raised(connection)
    (alert,) = load_inbox(connection)
    assert claim_alerts(connection, [alert.alert_id]) == {alert.alert_id}
    with local_channel() as local:
        chosen = settings(tmp_path, local.apprise)
        assert send_alerts(connection, chosen, Rests()).sent == 0
        connection.execute("UPDATE trading.alerts SET try_after = try_after - interval '90 seconds'")
        assert send_alerts(connection, chosen, Rests()).sent == 1
    assert len(local.received) == 1
    again = find_alert(connection, alert.alert_id)
    assert again is not None
    assert again.delivery == "sent"


def test_a_severity_that_no_channel_takes_has_no_channel(connection: Connection, tmp_path: Path) -> None:
    raised(connection, "grave", "critical")
    raised(connection, "small", "notice", "data_test")
    with local_channel() as local:
        chosen = settings(tmp_path, local.apprise, alert_severities="warning")
        assert send_alerts(connection, chosen, Rests()).sent == 1
    assert {alert.subject: alert.delivery for alert in load_inbox(connection)} == {
        "grave": "sent", "small": "no channel",
    }  # fmt: skip
    assert all("No channel is set" not in sentence for sentence in load_banner(connection).sentences)


def test_an_alert_is_opened_again_after_it_was_cleared(connection: Connection) -> None:
    raised(connection)
    assert not raise_alert(connection, "kill", "critical", "kill", "Killed.")
    clear_alert(connection, "kill")
    raised(connection)
