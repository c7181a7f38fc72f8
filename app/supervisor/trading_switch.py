"""The trading switch around a stop and a start: `reduce` for the stop, and what was before it again at the start."""

from __future__ import annotations

from app.supervisor.backup_pause import is_paused_for_backup
from app.supervisor.disk import is_paused_by_disk
from streams.market.trading import SwitchState
from streams.storage.database import Connection
from streams.storage.store.risk import last_switch, replace_switch

_SET_BY = "supervisor"
_ATTEMPTS = 3


def reduce_for_stop(connection: Connection) -> None:
    """Switch to `reduce` for a stop, remembering in the row what was in force."""
    for _ in range(_ATTEMPTS):
        last = last_switch(connection)
        if last is None or last.state not in ("run", "pause"):
            return
        is_ours = is_paused_by_disk(connection) or is_paused_for_backup(connection)
        before = "run" if is_ours else last.state
        if replace_switch(connection, last, "reduce", _SET_BY, f"stop; was {before}"):
            return


def resume_after_stop(connection: Connection) -> None:
    """Set the switch back to what it was before our own last stop; a switch that a person set stays."""
    last = last_switch(connection)
    if last is not None and last.set_by == _SET_BY and last.state == "reduce":
        before: SwitchState = "pause" if last.reason.endswith(" pause") else "run"
        replace_switch(connection, last, before, _SET_BY, "start")
