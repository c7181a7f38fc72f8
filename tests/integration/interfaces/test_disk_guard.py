"""A full disk pauses trading and lets go of it again, and of nothing that a person set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.supervisor import disk
from app.supervisor.disk import DiskGuard, hold_trading, is_paused_by_disk
from app.supervisor.telling.alarms import Alarms
from streams.settings import Settings, load_settings
from streams.storage.database import Connection, connect
from streams.storage.store.alerts import list_alerts
from streams.storage.store.risk import current_switch, set_switch


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        set_switch(opened, "run", "test")
        yield opened


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path, database_url=database)


def test_the_pause_comes_and_goes_by_itself(connection: Connection) -> None:
    hold_trading(connection, is_held=True)
    hold_trading(connection, is_held=True)
    assert current_switch(connection) == "pause"
    assert is_paused_by_disk(connection)
    hold_trading(connection, is_held=False)
    assert current_switch(connection) == "run"


@pytest.mark.parametrize("state", ["pause", "reduce", "kill"])
def test_what_a_person_set_stays(connection: Connection, state: str) -> None:
    set_switch(connection, state, "me")  # type: ignore[arg-type]
    for is_held in (True, False):
        hold_trading(connection, is_held=is_held)
        assert current_switch(connection) == state


def test_each_level_is_said_done_and_undone(
    connection: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = [5000.0, 1500.0, 900.0, 400.0, 900.0, 5000.0]
    monkeypatch.setattr(disk, "free_mb", lambda folders: measured.pop(0))
    said: list[str] = []
    ended: list[int] = []
    alarms = Alarms(settings, said.append)
    guard = DiskGuard(settings, alarms, lambda: ended.append(1))
    for switch, alerts, ends in (
        ("run", 0, 0), ("run", 1, 0), ("pause", 2, 0), ("pause", 3, 1), ("pause", 2, 1), ("run", 0, 1),
    ):  # fmt: skip
        guard.look()
        guard.follow()
        alarms.take_in(connection)
        assert (current_switch(connection), len(list_alerts(connection, open_only=True)), len(ended)) == (
            switch, alerts, ends,
        )  # fmt: skip
    assert [line.startswith("ALARM: Only") for line in said] == [True, True, True, False, False, False]


def test_a_disk_is_watched_without_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(home=tmp_path, database_url="postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setattr(disk, "free_mb", lambda folders: 1.0)
    said: list[str] = []
    DiskGuard(settings, Alarms(settings, said.append), lambda: None).look()
    assert len(said) == 3


def test_a_disk_without_inodes_stops_the_same_and_says_why(
    connection: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = [50.0, 10_900.0, 50_000.0]
    monkeypatch.setattr(disk, "free_mb", lambda folders: 90_000.0)
    monkeypatch.setattr(disk, "free_inodes", lambda folders: measured.pop(0))
    said: list[str] = []
    ended: list[int] = []
    alarms = Alarms(settings, said.append)
    guard = DiskGuard(settings, alarms, lambda: ended.append(1))
    guard.look()
    guard.follow()
    alarms.take_in(connection)
    assert (current_switch(connection), len(ended), len(said)) == ("pause", 1, 3)
    assert all("50 inodes" in line and "90000 MB" in line for line in said)
    assert "50 inodes" in list_alerts(connection, open_only=True)[0].message
    guard.look()
    guard.follow()
    alarms.take_in(connection)
    assert (current_switch(connection), len(list_alerts(connection, open_only=True))) == ("run", 1)
    guard.look()
    guard.follow()
    alarms.take_in(connection)
    assert not list_alerts(connection, open_only=True)
