"""The ping outward: only while all is well, and told when it does not arrive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.supervisor.telling import dead_man
from app.supervisor.telling.alarms import Alarms
from app.supervisor.telling.dead_man import DeadManPing
from app.supervisor.telling.vital_signs import VitalSigns
from streams.settings import load_settings
from streams.storage.database import Connection, connect
from streams.storage.store.alerting.delivery import note_look
from tests.support.alert_channels import How, LocalChannel, local_channel, refused_port
from tests.support.waiting import eventually


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


@pytest.fixture
def second() -> Iterator[LocalChannel]:
    with local_channel() as local:
        yield local


class Clock:
    """Ten seconds pass between two looks, however long one takes."""

    now = 0.0

    def look(self, signs: VitalSigns) -> None:
        """Look once more, ten seconds later unless a look is under way."""
        if signs._thread is None or not signs._thread.is_alive():
            self.now += 10
        signs.look(self.now)


def healthy(connection: Connection) -> None:
    note_look(connection, "watcher")
    note_look(connection, "sender")
    connection.execute(
        """INSERT INTO trading.leases (name, holder, run_id, epoch, acquired_at, heartbeat_at, expires_at)
           VALUES ('shard:0', 'h', 'r', 1, now(), now(), now() + interval '1 minute')"""
    )


def test_the_ping_goes_out_only_while_all_is_well(
    database: str, connection: Connection, tmp_path: Path, second: LocalChannel
) -> None:
    settings = load_settings(home=tmp_path, database_url=database, dead_man_url=second.webhook, dead_man_interval_s=20)
    alarms = Alarms(settings, lambda _: None)
    signs = VitalSigns(settings, alarms, lambda: 0.0)
    ping, clock = DeadManPing(settings, signs.why_ill, alarms), Clock()

    def look() -> None:
        clock.look(signs)
        ping.look(clock.now)

    def wait_for_a_look() -> None:
        seen = signs._last
        eventually(lambda: (look(), signs._last is not seen)[1])

    for _ in range(3):
        wait_for_a_look()
    assert second.gets == [], "no recorder yet, and nobody looks"
    healthy(connection)
    wait_for_a_look()
    eventually(lambda: (look(), second.gets)[1])
    for ill in (
        "UPDATE trading.leases SET heartbeat_at = now() - interval '1 hour'",
        "UPDATE trading.alert_looks SET looked_at = now() - interval '1 hour' WHERE name = 'sender'",
        """INSERT INTO trading.alerts (kind, severity, dedup_key, message, state, raised_at)
           VALUES ('kill', 'critical', 'kill', 'Killed.', 'failed', now() - interval '11 minutes')""",
    ):
        with connection.transaction(force_rollback=False):
            connection.execute(ill)
        wait_for_a_look()
        wait_for_a_look()
        count = len(second.gets)
        for _ in range(3):
            wait_for_a_look()
        assert len(second.gets) == count, ill
        connection.execute("UPDATE trading.leases SET heartbeat_at = now()")
        connection.execute("UPDATE trading.alert_looks SET looked_at = now()")
        connection.execute("UPDATE trading.alerts SET state = 'sent'")
        wait_for_a_look()
        eventually(lambda before=count: (look(), len(second.gets) > before)[1])


def pinged(ping: DeadManPing, now: float) -> None:
    ping.look(now)
    assert ping._thread is not None
    ping._thread.join(30)


def test_a_ping_without_an_address_or_to_a_dead_one_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alarms = Alarms(load_settings(home=tmp_path), lambda _: None)
    DeadManPing(load_settings(home=tmp_path), lambda _: "", alarms).look(0.0)
    address = f"http://127.0.0.1:{refused_port()}/sesame-opens-it"
    pinged(DeadManPing(load_settings(home=tmp_path, dead_man_url=address), lambda _: "", alarms), 0.0)
    said = capsys.readouterr()
    assert "the ping outward failed" in said.out + said.err
    assert "sesame" not in said.out + said.err


@pytest.mark.parametrize("how", ["HTTP 500", "sends elsewhere", "hangs", "garbage"])
def test_pings_that_do_not_arrive_are_told_until_they_do(
    tmp_path: Path, second: LocalChannel, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    monkeypatch.setattr(dead_man, "_LIMIT_S", 0.5 if how == "hangs" else 20.0)
    with local_channel(how) as target:
        settings = load_settings(home=tmp_path, alert_webhook_url=second.webhook, dead_man_url=target.webhook)
        ping = DeadManPing(settings, lambda _: "", Alarms(settings, lambda _: None))
        for number in range(3):
            assert second.received == []
            pinged(ping, number * 60.0)
        pinged(ping, 180.0)
        eventually(lambda: second.received)
        assert second.received[0]["kind"] == "dead_man"
        target.how = "takes"
        target.released.set()
        monkeypatch.setattr(dead_man, "_LIMIT_S", 20.0)
        pinged(ping, 240.0)
        pinged(ping, 300.0)
        eventually(lambda: len(second.received) == 2)
        assert second.received[1]["message"] == "The ping outward arrives again."
