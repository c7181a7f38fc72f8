"""A warehouse that keeps everybody waiting holds up neither the watch nor a stop of the supervisor."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from app.supervisor.service import Supervisor
from app.supervisor.trading_switch import reduce_for_stop, resume_after_stop
from streams.settings import load_settings
from streams.storage.database import connect
from streams.storage.kill_files import keep_kill
from streams.storage.store.risk import current_switch, set_switch

_SHORT = "200ms"


def test_a_stop_waits_a_while_for_a_switch_that_somebody_holds(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.brief_warehouse._QUERY_LIMIT", _SHORT)
    said: list[str] = []
    supervisor = Supervisor(load_settings(home=tmp_path, database_url=database), said.append)
    with connect(database) as holder, holder.transaction():
        holder.execute("LOCK TABLE trading.switches IN ACCESS EXCLUSIVE MODE")
        assert supervisor._stop_all() == {}
    assert said == ["stopping"]


def test_the_watch_goes_on_while_somebody_holds_the_switch(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[float] = []

    def look(_self: object, now: float) -> None:
        looked.append(now)
        if len(looked) == 4:
            supervisor._stop.set()

    keep_kill(tmp_path, "Ada", "drill").close()
    supervisor = Supervisor(load_settings(home=tmp_path, database_url=database), lambda _: None)
    supervisor._lock.acquire()
    monkeypatch.setattr(supervisor, "_stop", Event())
    monkeypatch.setattr("app.supervisor.watch.FirstPass.look", look)
    with connect(database) as holder, holder.transaction():
        holder.execute("LOCK TABLE trading.switches IN ACCESS EXCLUSIVE MODE")
        supervisor._watch(None)
    assert len(looked) == 4


@pytest.mark.parametrize(("before", "after"), [("run", "run"), ("pause", "pause"), ("kill", "kill")])
def test_a_start_takes_back_what_the_stop_before_has_set(database: str, before: str, after: str) -> None:
    with connect(database) as connection:
        set_switch(connection, before, "Ada")  # type: ignore[arg-type]
        reduce_for_stop(connection)
        assert current_switch(connection) == ("kill" if before == "kill" else "reduce")
        resume_after_stop(connection)
        assert current_switch(connection) == after
