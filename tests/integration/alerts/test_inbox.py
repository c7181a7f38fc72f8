"""The inbox: what became of each alert, who has seen it, and what the banner says."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from app.act_rules import UnknownSubject
from app.alert_actions import acknowledge_alert
from app.queries.alerts import NO_CHANNEL, find_alert, load_banner, load_inbox
from streams.settings import PROJECT_ROOT
from streams.storage.database import Connection, connect
from streams.storage.schema import migrate
from streams.storage.store.alerts import clear_alert, raise_alert


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def test_open_alerts_come_first_critical_and_unseen_ones_before_all(connection: Connection) -> None:
    for kind, severity in (("data_test", "notice"), ("kill", "critical"), ("disk", "critical"), ("child", "warning")):
        raise_alert(connection, kind, severity, kind, f"{kind} is wrong.")  # type: ignore[arg-type]
    clear_alert(connection, "kill")
    acknowledge_alert(connection, load_inbox(connection)[0].alert_id, who="Ada")
    assert [alert.kind for alert in load_inbox(connection, open_only=False)] == ["child", "data_test", "disk", "kill"]
    assert [alert.kind for alert in load_inbox(connection)] == ["child", "data_test", "disk"]
    assert [alert.is_open for alert in load_inbox(connection, open_only=False)] == [True, True, True, False]
    assert "docs/how-to/stop-trading.md" in load_inbox(connection, open_only=False)[-1].remedy


def test_the_first_who_acknowledges_stays(connection: Connection) -> None:
    raise_alert(connection, "disk", "critical", "disk", "Full.")
    number = load_inbox(connection)[0].alert_id
    first = acknowledge_alert(connection, number, who="Ada")
    second = acknowledge_alert(connection, number, who="Ben")
    assert (first.acknowledged_by, first.is_open) == ("Ada", True)
    assert (second.acknowledged_by, second.acknowledged_at) == ("Ada", first.acknowledged_at)
    assert find_alert(connection, number) == second


@pytest.mark.parametrize("number", [0, -1, 1, 2**63, 2**70])
def test_an_alert_that_is_not_there_cannot_be_acknowledged(connection: Connection, number: int) -> None:
    with pytest.raises(UnknownSubject, match=str(number)):
        acknowledge_alert(connection, number, who="Ada")


def test_the_banner_names_what_is_critical_and_what_reached_nobody(connection: Connection) -> None:
    assert load_banner(connection).sentences == ()
    raise_alert(connection, "disk", "critical", "disk", "Full.")
    raise_alert(connection, "child", "warning", "api", "The API keeps ending.")
    assert load_banner(connection).sentences == ("1 critical alert nobody has acknowledged.",)
    connection.execute("UPDATE trading.alerts SET state = 'no channel'")
    banner = load_banner(connection)
    assert banner.sentences == ("1 critical alert nobody has acknowledged.", NO_CHANNEL)
    assert (banner.is_critical, banner.undelivered, banner.channels, banner.open) == (True, 2, [], 2)
    for alert in load_inbox(connection):
        acknowledge_alert(connection, alert.alert_id, who="Ada")
    connection.execute("UPDATE trading.alerts SET state = 'failed'")
    connection.execute("INSERT INTO trading.alert_looks (name, channels, looked_at) VALUES ('sender', '{json}', now())")
    banner = load_banner(connection)
    assert banner.sentences == ("2 alerts could not be sent by any channel: `crossbook alerts test`.",)
    assert (banner.is_critical, banner.unacknowledged, banner.channels) == (False, 0, ["json"])


def test_rows_of_a_former_version_keep_what_they_say(empty_database: str) -> None:
    with connect(empty_database) as connection:
        _migrate_to(empty_database, "0007")
        connection.execute(
            """INSERT INTO trading.alerts (kind, severity, dedup_key, message, sent_at, send_error, cleared_at,
                raised_at) VALUES
               ('escalated', 'critical', 'a', 'sent', now(), '', NULL, now()),
               ('kill', 'critical', 'b', 'failed', NULL, 'HTTP 500', NULL, now()),
               ('disk', 'critical', 'c', 'new', NULL, '', NULL, now()), ('disk', 'critical', 'd', 'over', NULL, '',
               now(), now())"""
        )
        before = connection.execute(_OLD_COLUMNS).fetchall()
        migrate(empty_database, "sandbox")
        assert connection.execute(_OLD_COLUMNS).fetchall() == before
        states = connection.execute("SELECT message, state FROM trading.alerts ORDER BY alert_id").fetchall()
        assert [tuple(row.values()) for row in states] == [
            ("sent", "sent"), ("failed", "waiting"), ("new", "waiting"), ("over", "waiting"),
        ]  # fmt: skip
        raise_alert(connection, "child", "warning", "api", "new")
        assert load_inbox(connection)[-1].delivery == "waiting"


_OLD_COLUMNS = """SELECT alert_id, raised_at, kind, severity, dedup_key, message, detail, sent_at, send_error,
    cleared_at FROM trading.alerts ORDER BY alert_id"""


def _migrate_to(dsn: str, revision: str) -> None:
    import sqlalchemy

    config = Config()
    config.set_main_option("script_location", str(PROJECT_ROOT / "streams" / "storage" / "migrations"))
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS trading")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
