"""Alerts from their row to a server on this machine: states, receipts, cooldown, two senders, a sender that dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.alert_actions import acknowledge_alert
from app.queries.alerts import find_alert, load_banner, load_inbox
from orchestration.alerting.sender import send_alerts
from streams.alerting.channels import channels_of
from streams.alerting.courier import Courier, Rests
from streams.alerting.kinds import KINDS
from streams.alerting.sending import Outcome, send
from streams.settings import Settings, load_settings
from streams.storage.database import Connection, connect
from streams.storage.store.alerting.delivery import ask_test, claim_alerts
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


@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_the_second_channel_has_it_within_thirty_seconds_by_the_clock(
    connection: Connection, tmp_path: Path, how: How
) -> None:
    raised(connection)
    with local_channel(how) as first, local_channel() as second:
        started = time.monotonic()
        assert send_alerts(connection, settings(tmp_path, first.apprise, second.apprise), Rests()).sent == 1
        assert time.monotonic() - started < 30
    assert len(second.received) == 1


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


@pytest.mark.parametrize("subjects", [5, 8], ids=["a message each", "digests"])
def test_two_senders_at_once_send_each_alert_once(
    database: str, connection: Connection, tmp_path: Path, subjects: int
) -> None:
    for number in range(subjects):
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
    told = [number for received in local.received for number in received.get("alert_ids", [received["alert_id"]])]
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


def test_every_kind_is_received_with_its_way_out(connection: Connection, tmp_path: Path) -> None:
    kinds = {name: kind for name, kind in KINDS.items() if name != "test"}
    for name, kind in kinds.items():
        raised(connection, f"{name}:x", kind.severity, name)
    with local_channel() as local:
        chosen = settings(tmp_path, alert_webhook_url=local.webhook)
        while send_alerts(connection, chosen, Rests()).sent:
            pass
    assert {received["kind"]: (received["severity"], received["remedy"]) for received in local.received} == {
        name: (kind.severity, kind.remedy) for name, kind in kinds.items()
    }


def test_an_alert_is_opened_again_after_it_was_cleared(connection: Connection) -> None:
    raised(connection)
    assert not raise_alert(connection, "kill", "critical", "kill", "Killed.")
    clear_alert(connection, "kill")
    raised(connection)


def test_what_gets_graver_is_told_at_once_and_has_been_seen_by_nobody(connection: Connection, tmp_path: Path) -> None:
    with local_channel() as local:
        chosen = settings(tmp_path, local.apprise)
        raised(connection, "test x", "notice", "data_test")
        send_alerts(connection, chosen, Rests())
        (before,) = load_inbox(connection)
        acknowledge_alert(connection, before.alert_id, who="ann")
        assert raise_alert(connection, "data_test", "critical", "test x", "test x errs.")
        assert not raise_alert(connection, "data_test", "warning", "test x", "test x warns.")
        assert not raise_alert(connection, "data_test", "critical", "test x", "test x errs more.")
        assert send_alerts(connection, chosen, Rests()).sent == 1
    (alert,) = load_inbox(connection)
    assert (alert.severity, alert.message, alert.acknowledged_by) == ("critical", "test x errs.", None)
    assert [received["title"].split(": ")[1] for received in local.received] == [
        "notice, data_test", "critical, data_test",
    ]  # fmt: skip


def test_processes_that_raise_the_same_one_at_once_open_one(database: str, connection: Connection) -> None:
    raised(connection, "x", "notice", "data_test")
    barrier, opened = threading.Barrier(6), []

    def work(severity: Any) -> None:
        with connect(database) as own:
            barrier.wait()
            opened.append(raise_alert(own, "data_test", severity, "x", f"{severity}."))

    workers = [threading.Thread(target=work, args=(severity,)) for severity in ("warning", "critical") * 3]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert 1 <= sum(opened) <= 2
    (alert,) = load_inbox(connection)
    assert alert.severity == "critical"


def test_hundreds_that_flap_keep_no_other_alert_away(connection: Connection, tmp_path: Path) -> None:
    connection.execute(
        """INSERT INTO trading.alerts (kind, severity, dedup_key, message, state, sent_at, cleared_at, raised_at)
           SELECT 'child', 'critical', 'flaps ' || n % 700, 'Ended.', CASE WHEN n < 700 THEN 'sent' ELSE 'waiting' END,
               CASE WHEN n < 700 THEN clock_timestamp() END, CASE WHEN n < 700 THEN clock_timestamp() END, now()
           FROM generate_series(0, 1399) AS n"""
    )
    raised(connection, "new", "warning", "ledger")
    with local_channel() as local:
        assert send_alerts(connection, settings(tmp_path, local.apprise), Rests()).sent == 1
    assert "new is wrong." in local.received[0]["message"]


def test_thousands_at_once_are_a_few_messages_and_none_is_lost(connection: Connection, tmp_path: Path) -> None:
    connection.execute(
        """INSERT INTO trading.alerts (kind, severity, dedup_key, message, raised_at)
           SELECT 'run_failed', 'warning', 'work ' || n, 'Work ' || n || ' failed.', now()
           FROM generate_series(1, 3000) AS n"""
    )
    raised(connection)
    with local_channel() as local:
        chosen = settings(tmp_path, alert_webhook_url=local.webhook)
        while send_alerts(connection, chosen, Rests()).sent:
            pass
    assert local.received[0]["kind"] == "kill"
    told = [number for received in local.received for number in received.get("alert_ids", [received["alert_id"]])]
    assert (len(local.received) <= 8, len(told), len(set(told))) == (True, 3001, 3001)


def test_what_an_alert_quotes_is_kept_and_told_inert_short_and_without_secrets(
    connection: Connection, tmp_path: Path
) -> None:
    quoted = "Says \x00\x1b[31m\u202e\ud800<img src=x>\nnext postgresql://me:hunter2222@h/d " + "y" * 100_000
    assert raise_alert(connection, "session_failed", "critical", "x", quoted, {"why": quoted, "all": [quoted]})
    with local_channel() as local:
        assert send_alerts(connection, settings(tmp_path, alert_webhook_url=local.webhook), Rests()).sent == 1
    (alert,) = load_inbox(connection)
    for said in (alert.message, alert.detail["why"], alert.detail["all"][0], local.received[0]["message"]):
        assert said.startswith(r"Says \x00\x1b[31m\u202e\ud800<img src=x>\nnext postgresql://[redacted]@h/d yyy")
        assert len(said) <= 1000


def test_an_alert_that_comes_back_is_told_after_the_cooldown_and_once(connection: Connection, tmp_path: Path) -> None:
    with local_channel() as local:
        chosen = settings(tmp_path, local.apprise)
        raised(connection)
        send_alerts(connection, chosen, Rests())
        clear_alert(connection, "kill")
        raised(connection)
        for _ in range(3):
            assert send_alerts(connection, chosen, Rests()).sent == 0
        connection.execute("UPDATE trading.alerts SET sent_at = sent_at - interval '5 minutes' WHERE state = 'sent'")
        assert send_alerts(connection, chosen, Rests()).sent == 1
        assert send_alerts(connection, chosen, Rests()).sent == 0
    assert len(local.received) == 2
    assert "It is over." not in local.received[1]["message"]


def test_a_sender_that_dies_after_the_channel_took_it_loses_nothing(connection: Connection, tmp_path: Path) -> None:
    raised(connection)
    with local_channel() as local:
        chosen = settings(tmp_path, local.apprise)

        def send_and_die(channel: Any, message: Any) -> Outcome:
            send(channel, message, "sandbox", 10)
            raise KeyboardInterrupt

        courier = Courier(channels_of(chosen), "sandbox", Rests(), send_=send_and_die)
        with pytest.raises(KeyboardInterrupt):
            send_alerts(connection, chosen, Rests(), courier=courier)
        assert send_alerts(connection, chosen, Rests()).sent == 0
        connection.execute("UPDATE trading.alerts SET try_after = try_after - interval '90 seconds'")
        assert send_alerts(connection, chosen, Rests()).sent == 1
    assert len(local.received) == 2, "twice rather than never"


def test_tests_that_are_asked_for_again_and_again_hold_no_alert_up(connection: Connection, tmp_path: Path) -> None:
    for _ in range(20):
        ask_test(connection, "ann")
    raised(connection)
    with local_channel() as local:
        chosen = settings(tmp_path, alert_webhook_url=local.webhook)
        assert send_alerts(connection, chosen, Rests()).sent == 1
        assert [received["kind"] for received in local.received] == ["kill", "test"]
        send_alerts(connection, chosen, Rests())
    tests = [received["alert_id"] for received in local.received if received["kind"] == "test"]
    assert len(set(tests)) == len(tests) == 2


def test_of_two_who_acknowledge_at_once_one_has_seen_it(database: str, connection: Connection) -> None:
    raised(connection)
    (alert,) = load_inbox(connection)
    barrier, seen = threading.Barrier(2), []

    def work(who: str) -> None:
        with connect(database) as own:
            barrier.wait()
            seen.append(acknowledge_alert(own, alert.alert_id, who=who).acknowledged_by)

    people = [threading.Thread(target=work, args=(who,)) for who in ("ann", "bob")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    again = find_alert(connection, alert.alert_id)
    assert again is not None
    assert again.acknowledged_by in ("ann", "bob")
    assert again.acknowledged_by in seen
