"""Alarms without a database: through the same channels, once, with their end; their rows come later, and once."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from app.queries.alerts import load_inbox
from app.supervisor.restarts import IMPORTANT, OPTIONAL, RestartPolicy
from app.supervisor.telling import book
from app.supervisor.telling import post as post_of_alarms
from app.supervisor.telling.alarms import Alarms
from app.supervisor.telling.book import NAME, AlarmBook
from app.supervisor.telling.post import AlarmPost
from app.supervisor.telling.vital_signs import VitalSigns
from app.supervisor.watch import Watch
from orchestration.alerting.sender import send_alerts
from streams.alerting.channels import Channel
from streams.alerting.courier import Rests
from streams.alerting.distress import note_distress
from streams.alerting.messages import Message
from streams.alerting.sending import Outcome
from streams.market.errors import TransientError
from streams.settings import load_settings
from streams.storage.database import Connection, connect
from streams.storage.store.alerting.delivery import note_look
from streams.storage.store.alerts import list_alerts
from tests.support.alert_channels import LocalChannel, local_channel, refused_port
from tests.support.waiting import eventually


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


@pytest.fixture
def second() -> Iterator[LocalChannel]:
    with local_channel() as local:
        yield local


def texts(local: LocalChannel) -> list[str]:
    return [received["message"].split("\n")[0] for received in local.received]


class Post:
    """An `AlarmPost` on a clock that only the test moves, with channels whose answers it gives."""

    def __init__(self, home: Path, channels: int = 1) -> None:
        self.now = 1000.0
        self.error = ""
        self.sent: list[tuple[str, str]] = []
        self.book = AlarmBook(home)
        addresses = " ".join(f"json://127.0.0.1/{number}" for number in range(channels)) or None
        self.post = AlarmPost(
            load_settings(home=home, alert_channels=addresses), self.book, send_=self._send, clock=lambda: self.now
        )

    def _send(self, _channel: Channel, message: Message) -> Outcome:
        if not self.error:
            self.sent.append((message.shown_severity, message.text))
        return Outcome(self.error, 3)

    def open(self, number: int = 1, key: str = "PostgreSQL") -> Any:
        alarm = self.book.open(f"00000000-0000-0000-0000-{number:012d}", key, "database", "critical", f"Away {number}.")
        self.post.put(alarm)
        return alarm

    def close(self, alarm: Any) -> None:
        self.book.close(alarm)
        self.post.put_end(alarm, "Back.")

    def send_all(self) -> None:
        while self.post.send_due():
            pass


def test_an_alarm_and_its_end_are_each_told_at_once(tmp_path: Path) -> None:
    post = Post(tmp_path)
    alarm = post.open()
    post.send_all()
    post.close(alarm)
    post.send_all()
    assert post.sent == [("critical", "Away 1."), ("notice", "Back.")]


def test_what_flaps_is_told_once_with_its_end_and_then_once_a_cooldown(tmp_path: Path) -> None:
    post = Post(tmp_path)
    for number in range(1, 61):
        alarm = post.open(number)
        post.send_all()
        post.close(alarm)
        post.send_all()
        post.now += 10
    assert len(post.sent) == 2 + 2
    post.now += 300
    post.send_all()
    assert len(post.sent) == 2 + 2 + 1
    assert "times since" in post.sent[-1][1]
    assert post.sent[-1][1].endswith("It is over.")


def test_an_end_during_the_sending_is_told_too(tmp_path: Path) -> None:
    post = Post(tmp_path)
    alarm = post.open()
    send = post.post._send
    post.post._send = lambda channel, message: (post.close(alarm), send(channel, message))[1]  # type: ignore[misc]
    assert post.post.send_due()
    post.post._send = send
    post.send_all()
    assert [text for _, text in post.sent] == ["Away 1.", "Back."]


def test_what_no_channel_takes_is_tried_until_one_does(tmp_path: Path) -> None:
    post = Post(tmp_path)
    post.error = "HTTP 500"
    alarm = post.open()
    for _ in range(100):
        post.send_all()
        post.now += 30
    assert 5 <= len(alarm.receipts) <= 10
    assert alarm.state == "failed"
    post.close(alarm)
    post.error = ""
    post.now += 900
    post.send_all()
    assert [text for _, text in post.sent] == ["Away 1. It is over."]
    assert alarm.state == "sent"


def test_what_was_not_sent_when_the_process_ended_is_sent_by_the_next(tmp_path: Path) -> None:
    before = Post(tmp_path)
    before.error = "timeout"
    before.open()
    before.send_all()
    after = Post(tmp_path)
    after.send_all()
    assert [text for _, text in after.sent] == ["Away 1. It is over."]
    again = Post(tmp_path)
    again.send_all()
    assert again.sent == []


def test_without_a_channel_an_alarm_is_in_the_book_all_the_same(tmp_path: Path) -> None:
    post = Post(tmp_path, channels=0)
    alarm = post.open()
    post.send_all()
    assert alarm.state == "no channel"
    assert json.loads((tmp_path / NAME).read_bytes())[0]["message"] == "Away 1."
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_a_book_that_cannot_be_read_or_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("{not json")
    post = Post(tmp_path)
    (tmp_path / NAME).unlink(missing_ok=True)
    (tmp_path / NAME).mkdir()
    post.open()
    post.send_all()
    assert post.sent == [("critical", "Away 1.")]


def test_its_row_comes_when_the_database_is_back_and_once(
    connection: Connection, tmp_path: Path, second: LocalChannel
) -> None:
    dead = f"json://127.0.0.1:{refused_port()}/sesame-opens-it"
    settings = load_settings(home=tmp_path, alert_channels=f"{dead} {second.apprise}")
    alarms = Alarms(settings, lambda _: None)
    alarms.open("PostgreSQL", "PostgreSQL ended and is started again")
    eventually(lambda: second.received)
    alarms.settle()
    alarms.take_in(connection)
    alarms.take_in(connection)
    (alert,) = load_inbox(connection)
    assert (alert.kind, alert.severity, alert.delivery, alert.is_open) == ("database", "critical", "sent", True)
    assert [(r.place, r.outcome, r.error) for r in alert.receipts] == [(1, "failed", "ConnectError"), (2, "sent", "")]
    assert send_alerts(connection, settings, Rests()).sent == 0, "the sensor leaves it to the supervisor"
    alarms.close("PostgreSQL", "PostgreSQL runs again")
    eventually(lambda: len(second.received) == 2)
    alarms.settle()
    alarms.take_in(connection)
    assert texts(second) == ["PostgreSQL ended and is started again", "PostgreSQL runs again"]
    assert not list_alerts(connection, open_only=True)
    assert len(list_alerts(connection)) == 1
    assert json.loads((tmp_path / NAME).read_bytes()) == []


def test_alarms_of_a_start_that_was_killed_are_over_with_the_next(connection: Connection, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    killed = Alarms(settings, lambda _: None)
    killed.open("api", "api keeps ending")
    killed.settle()
    killed.take_in(connection)
    os.unlink(tmp_path / NAME)
    assert len(list_alerts(connection, open_only=True)) == 1
    Alarms(settings, lambda _: None).take_in(connection)
    assert not list_alerts(connection, open_only=True)


class Dying:
    """A process that ends whenever it is looked at."""

    name = "api"
    exit_code: int | None = 1
    is_running = False
    is_ready: Callable[[], bool] = staticmethod(lambda: True)

    def __init__(self, policy: RestartPolicy) -> None:
        self.policy = policy

    def start(self) -> None:
        """Nothing happens."""

    def stop(self) -> None:
        """Nothing happens."""

    def effort(self) -> tuple[float, int]:
        """It does nothing."""
        return 0.0, 0

    def last_words(self) -> str:
        """What it said."""
        return "boom"


@pytest.mark.parametrize(("policy", "severity"), [(OPTIONAL, "warning"), (IMPORTANT, "critical")])
def test_a_child_that_keeps_ending_is_received_and_has_its_row(
    connection: Connection, tmp_path: Path, second: LocalChannel, policy: RestartPolicy, severity: str
) -> None:
    alarms = Alarms(load_settings(home=tmp_path, alert_webhook_url=second.webhook), lambda _: None)
    watch = Watch([Dying(policy)], alarms, lambda _: None)  # type: ignore[list-item]
    now = 0.0
    while not (alarms.is_open("api") or alarms.is_open("api lost")):
        now += 1
        with suppress(TransientError):  # what is needed and lost ends the system
            watch.look(now)
    eventually(lambda: second.received)
    alarms.settle()
    alarms.take_in(connection)
    (alert,) = load_inbox(connection)
    assert (alert.kind, alert.severity, alert.delivery) == ("child", severity, "sent")
    assert "boom" in second.received[0]["message"]


class Clock:
    """Ten seconds pass between two looks, however long one takes."""

    now = 0.0

    def look(self, signs: VitalSigns) -> None:
        """Look once more, ten seconds later unless a look is under way."""
        if signs._thread is None or not signs._thread.is_alive():
            self.now += 10
        signs.look(self.now)


def look_until(signs: VitalSigns, is_there: Callable[[], object], clock: Clock) -> None:
    def look() -> object:
        clock.look(signs)
        return is_there()

    eventually(look)


def test_a_database_that_is_away_is_told_without_it_and_so_is_its_return(
    database: str, connection: Connection, tmp_path: Path, second: LocalChannel
) -> None:
    away = f"postgresql://nobody@127.0.0.1:{refused_port()}/none"
    alarms = Alarms(load_settings(home=tmp_path, alert_webhook_url=second.webhook), lambda _: None)
    clock = Clock()
    signs = VitalSigns(load_settings(home=tmp_path, database_url=away), alarms, lambda: 0.0)
    look_until(signs, lambda: second.received, clock)
    assert "The database does not answer" in second.received[0]["message"]
    assert signs.why_ill(clock.now) == "the database does not answer"
    signs._settings = load_settings(home=tmp_path, database_url=database)
    look_until(signs, lambda: len(second.received) == 2, clock)
    assert second.received[1]["message"] == "The database answers again."
    look_until(signs, lambda: load_inbox(connection, open_only=False), clock)
    assert load_inbox(connection, open_only=False)[0].kind == "database"


def test_a_hedge_in_distress_is_told_at_the_next_look_and_is_over_when_the_database_answers_later(
    database: str, tmp_path: Path, second: LocalChannel
) -> None:
    settings = load_settings(home=tmp_path, alert_webhook_url=second.webhook, database_url=database)
    alarms, clock = Alarms(settings, lambda _: None), Clock()
    signs = VitalSigns(settings, alarms, lambda: 0.0)
    clock.look(signs)  # the database still answers this one
    note_distress(tmp_path, "execution-7", "The database does not answer while execution 7 stands exposed.")
    signs.look(clock.now + 0.5)
    assert alarms.is_open("database")
    eventually(lambda: second.received)
    assert "execution 7 stands exposed" in second.received[0]["message"]
    thread = signs._thread
    assert thread is not None
    thread.join()
    signs.look(clock.now + 1.0)  # what was found before the note says nothing
    assert alarms.is_open("database")
    look_until(signs, lambda: not alarms.is_open("database"), clock)


def test_a_database_that_hangs_holds_nobody_and_is_told(tmp_path: Path, second: LocalChannel) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(64)
        address = f"postgresql://nobody@127.0.0.1:{mute.getsockname()[1]}/none"
        alarms = Alarms(load_settings(home=tmp_path, alert_webhook_url=second.webhook), lambda _: None)
        signs = VitalSigns(load_settings(home=tmp_path, database_url=address), alarms, lambda: 0.0)
        for now in (0.0, 5.0, 15.0):
            signs.look(now)
        assert not alarms.is_open("database")
        signs.look(21.0)
        assert alarms.is_open("database")
        eventually(lambda: second.received)


def test_a_sender_or_watcher_that_stopped_looking_is_told_by_the_supervisor(
    database: str, connection: Connection, tmp_path: Path, second: LocalChannel
) -> None:
    alarms = Alarms(load_settings(home=tmp_path, alert_webhook_url=second.webhook), lambda _: None)
    signs = VitalSigns(load_settings(home=tmp_path, database_url=database), alarms, lambda: 0.0)
    note_look(connection, "watcher")
    note_look(connection, "sender")
    connection.execute(
        "UPDATE trading.alert_looks SET looked_at = now() - interval '301 seconds' WHERE name = 'watcher'"
    )
    clock = Clock()
    look_until(signs, lambda: second.received, clock)
    assert clock.now > 300, "sensors have the time to begin after a start"
    assert "the watcher of alerts did not look" in second.received[0]["message"].replace("The ", "the ")
    note_look(connection, "watcher")
    look_until(signs, lambda: len(second.received) == 2, clock)


def test_an_alarm_that_a_start_could_not_send_is_sent_by_the_next_before_anything_else_is_wrong(
    tmp_path: Path, second: LocalChannel
) -> None:
    settings = load_settings(home=tmp_path, alert_webhook_url=second.webhook)
    killed = Alarms(settings, lambda _: None, send_=lambda *_: Outcome("ConnectError", 1))
    killed.open("PostgreSQL", "PostgreSQL keeps ending")
    killed.settle()
    Alarms(settings, lambda _: None)
    eventually(lambda: second.received)
    assert texts(second) == ["PostgreSQL keeps ending It is over."]


def test_a_book_that_is_torn_is_kept_aside_and_the_next_begins_anew(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('[{"alarm_id": "1", "key": "api", "mess')
    Post(tmp_path).open()
    assert len(json.loads((tmp_path / NAME).read_bytes())) == 1
    assert (tmp_path / "alarms.unreadable").read_text().startswith('[{"alarm_id"')


def test_what_flaps_for_days_without_database_or_channel_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "_KEPT_MAX", 10)
    monkeypatch.setattr(post_of_alarms, "_UNTOLD_MAX", 20)
    post = Post(tmp_path, channels=2)
    post.error = "HTTP 500"
    kept = post.open(0)
    for number in range(1, 100):
        post.close(post.open(number, "api"))
        post.now += 900
        post.send_all()
    alarms = json.loads((tmp_path / NAME).read_bytes())
    assert len(alarms) == 10
    assert max(len(alarm["receipts"]) for alarm in alarms) == 20
    assert alarms[0]["alarm_id"] == kept.alarm_id, "what goes on is not forgotten for what is over"
    post.error = ""
    post.now += 900
    post.send_all()
    assert [text for _, text in post.sent if "20 times since" in text]
    again = Post(tmp_path)
    again.send_all()
    assert again.sent == [], "what they stood for is told with them, and not by the next start"


def test_an_alarm_the_table_refuses_keeps_no_other_from_it(connection: Connection, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    alarms = Alarms(settings, lambda _: None)
    alarms.open("api", "api says \x00\x1b[2J postgresql://me:hunter2222@h/d")
    alarms.settle()
    torn = json.loads((tmp_path / NAME).read_bytes())
    torn[:0] = [torn[0] | {"alarm_id": "no uuid", "key": "x"}]
    (tmp_path / NAME).write_text(json.dumps(torn))
    Alarms(settings, lambda _: None).take_in(connection)
    (alert,) = load_inbox(connection, open_only=False)
    assert alert.message == r"api says \x00\x1b[2J postgresql://[redacted]@h/d"
