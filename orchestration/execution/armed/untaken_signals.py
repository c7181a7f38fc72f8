"""Signals that the armed run does not take: those that no run may trade are refused, the others get a run of their own.

A signal is the armed run's for its first two seconds, and for as long again after each try.
"""

from __future__ import annotations

from orchestration.execution.armed.armed_run import LEAST_RETRY_S
from orchestration.execution.decide.risk_checks import switch_reason
from streams.market.trading import RefusalReason
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.kill_files import switch_in_force
from streams.storage.store.signals import ActionableSignal, load_actionable, refuse_all, refuse_untradable

TAKEN_WITHIN_S = 2.0
"""For so long a signal is left to the armed run."""


def untaken_signals(
    connection: Connection, settings: Settings, limit: int, left_for_s: float = TAKEN_WITHIN_S
) -> list[ActionableSignal]:
    """Return at most `limit` signals that nobody has taken for `left_for_s`; writes refusals of all that may not trade.

    One signal per group: the others of its group need the same markets.
    """
    refuse_untradable(connection, settings.venues)
    switch = switch_in_force(connection, settings.home_dir)
    if switch != "run" or settings.trading_mode == "off":
        reason = switch_reason(switch) if switch != "run" else RefusalReason.TRADING_OFF
        refuse_all(connection, reason, settings.venues)
        return []
    if limit <= 0:
        return []
    retry_after_s = max(settings.execution_cooldown_s, LEAST_RETRY_S) + left_for_s
    found = load_actionable(connection, retry_after_s, settings.execution_attempts, 4 * limit, left_for_s)
    by_group: dict[str, ActionableSignal] = {}
    for signal in found:
        by_group.setdefault(signal.group_id, signal)
    return list(by_group.values())[:limit]
