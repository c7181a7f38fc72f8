"""The ping outward while all is well: when it stops, for whatever reason, a service outside alarms."""

from __future__ import annotations

import threading
from collections.abc import Callable

from streams.logs import get_logger
from streams.settings import Settings
from streams.venues.common.http import HttpRequest, whole_exchange

_LIMIT_S = 10.0
log = get_logger(room="supervisor")


class DeadManPing:
    """Asks for `dead_man_url` every interval as long as nothing is ill; does nothing where none is set.

    Args:
        settings: With the address and the interval.
        why_ill: Says at a moment (seconds of the supervisor's clock) what is not well; empty: nothing.
    """

    def __init__(self, settings: Settings, why_ill: Callable[[float], str]) -> None:
        self._settings = settings
        self._why_ill = why_ill
        self._pinged_at = -settings.dead_man_interval_s
        self._thread: threading.Thread | None = None
        self._said = ""

    def look(self, now: float) -> None:
        """Ping when it is due; never waits."""
        address = self._settings.dead_man_url
        if address is None or now - self._pinged_at < self._settings.dead_man_interval_s:
            return
        if self._thread is not None and self._thread.is_alive():
            return
        why = self._why_ill(now)
        if why != self._said:
            self._said = why
            log.warning("the ping outward", withheld=why or "no more")
        if why:
            return
        self._pinged_at = now
        self._thread = threading.Thread(target=_ping, args=(address.get_secret_value(),), name="ping", daemon=True)
        self._thread.start()


def _ping(address: str) -> None:
    try:
        answer = whole_exchange(HttpRequest("GET", address), _LIMIT_S)
    except Exception as error:  # its message may hold the address
        log.warning("the ping outward failed", reason=type(error).__name__)
        return
    if not answer.is_success:
        log.warning("the ping outward failed", reason=f"HTTP {answer.status}")
