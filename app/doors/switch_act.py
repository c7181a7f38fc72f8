"""Which act it is to set the trading switch. Pure."""

from __future__ import annotations

from app.doors.roles import Act
from streams.market.trading import SwitchState


def act_of_switch(state: SwitchState, current: SwitchState | None) -> tuple[Act, bool]:
    """Return the act that setting the trading switch is, and whether it lifts a kill.

    A kill that gives way to `pause` or `reduce` is lifted: a `run` after it would lift nothing any more.

    Args:
        state: The new one.
        current: The one in force; None where it is not known.
    """
    if state == "kill":
        return Act.STOP, False
    lifts_kill = current == "kill"
    return (Act.RESUME if state == "run" or lifts_kill else Act.STOP), lifts_kill
