"""The ping outward while all is well: when it stops, for whatever reason, a service outside alarms."""

from __future__ import annotations

import threading
from collections.abc import Callable

from app.supervisor.telling.alarms import Alarms
from streams.logs import get_logger
from streams.settings import Settings
from streams.venues.common.http import HttpRequest, whole_exchange

_LIMIT_S = 10.0
_FAILURES = 3
"""So many pings in a row must fail: a service outside that is never reached may never begin to expect any."""
log = get_logger(room="supervisor")


class DeadManPing:
    """Asks for `dead_man_url` every interval as long as nothing is ill; does nothing where none is set.

    Args:
        settings: With the address and the interval.
        why_ill: Says at a moment (seconds of the supervisor's clock) what is not well; empty: nothing.
        alarms: Told when the pings do not arrive.
    """

    def __init__(self, settings: Settings, why_ill: Callable[[float], str], alarms: Alarms) -> None:
        self._settings = settings
        self._why_ill = why_ill
        self._alarms = alarms
        self._errors: list[str] = []
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
        self._judge()
        why = self._why_ill(now)
        if why != self._said:
            self._said = why
            log.warning("the ping outward", withheld=why or "no more")
        if why:
            return
        self._pinged_at = now
        self._thread = threading.Thread(target=self._ping, args=(address.get_secret_value(),), name="ping", daemon=True)
        self._thread.start()

    def _judge(self) -> None:
        if len(self._errors) >= _FAILURES:
            self._alarms.open("dead_man", f"The ping outward fails each time: {self._errors[-1]}.")
        elif not self._errors:
            self._alarms.close("dead_man", "The ping outward arrives again.")

    def _ping(self, address: str) -> None:
        error = _ask_for(address)
        if error:
            log.warning("the ping outward failed", reason=error)
            self._errors = [*self._errors, error][-_FAILURES:]
        else:
            self._errors = []


def _ask_for(address: str) -> str:
    """Return the class of what went wrong; empty where it was answered."""
    try:
        answer = whole_exchange(HttpRequest("GET", address), _LIMIT_S)
    except Exception as error:  # its message may hold the address
        return type(error).__name__
    return "" if answer.is_success else f"HTTP {answer.status}"
