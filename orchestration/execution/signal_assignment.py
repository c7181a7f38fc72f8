"""Signal assignment: which signals go to which trading run, and which are refused before any run is started."""

from __future__ import annotations

from collections.abc import Collection

from orchestration.execution.decide.risk_checks import switch_reason
from streams.market.trading import RefusalReason
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.kill_files import switch_in_force
from streams.storage.store.signals import load_actionable, refuse_all, refuse_untradable


def pick_signals(
    connection: Connection, settings: Settings, under_way: Collection[int], free_runs: int, least_age_s: float = 0.0
) -> list[list[int]]:
    """Return batches of signal ids for new runs, at most `free_runs`; writes the refusals of all that may not trade.

    Signals of one group go to one run, one after the other: they need the same markets. Signals younger than
    `least_age_s` are left to trading runs that wait for more.
    """
    refuse_untradable(connection, settings.venues)
    switch = switch_in_force(connection, settings.home_dir)
    if switch != "run" or settings.trading_mode == "off":
        reason = switch_reason(switch) if switch != "run" else RefusalReason.TRADING_OFF
        refuse_all(connection, reason, settings.venues)
        return []
    if free_runs <= 0:
        return []
    signals = load_actionable(
        connection,
        max(settings.execution_cooldown_s, 2.0),
        settings.execution_attempts,
        free_runs * settings.execution_batch,
        least_age_s,
    )
    by_group: dict[str, list[int]] = {}
    for signal in signals:
        if signal.signal_id not in under_way:
            by_group.setdefault(signal.group_id, []).append(signal.signal_id)
    return _batches(list(by_group.values()), free_runs, settings.execution_batch)


def _batches(groups: list[list[int]], runs: int, size: int) -> list[list[int]]:
    batches: list[list[int]] = [[] for _ in range(min(runs, len(groups)))]
    for number, group in enumerate(groups):
        batch = batches[number % len(batches)]
        batch.extend(group[: size - len(batch)])
    return [batch for batch in batches if batch]
