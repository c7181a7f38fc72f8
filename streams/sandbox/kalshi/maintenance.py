"""Kalshi's weekly maintenance: trading pauses on Thursdays from three to five in New York."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_NEW_YORK = ZoneInfo("America/New_York")
_THURSDAY = 3
FROM, UNTIL = "03:00", "05:00"
_FROM_HOUR, _HOURS = 3, 2


def pause_end_ms(now_ms: int) -> int | None:
    """When the pause ends in which a moment lies, None outside of pauses."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(_NEW_YORK)
    start = now.replace(hour=_FROM_HOUR, minute=0, second=0, microsecond=0)
    end = start + timedelta(hours=_HOURS)
    is_paused = now.weekday() == _THURSDAY and start <= now < end
    return int(end.timestamp() * 1000) if is_paused else None
