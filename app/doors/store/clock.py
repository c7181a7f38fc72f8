"""The time of the accounts: what was over stays over when the machine's clock is set back."""

from __future__ import annotations

from collections.abc import Callable

from app.doors.store.file import AccountFile

_NOTE = "REPLACE INTO clock (place, at) VALUES (1, ?)"
_STEP_S = 5.0
"""The clock is noted this often, and set right by up to so much without anybody noticing (seconds)."""


class StoredClock:
    """Unix seconds that are compared with the latest ones any process has noted in the file.

    When the clock was set back, sessions keep the age they had, and so do wrong passwords; tokens whose end had come
    are revoked; links are gone, and everybody is asked again who they are.

    Args:
        file: Of the accounts.
        clock: Unix seconds.
    """

    def __init__(self, file: AccountFile, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock
        self._latest = 0.0

    def __call__(self) -> float:
        """Return the time.

        Raises:
            ConfigurationError: If the file cannot be read, or cannot be written after the clock was set back.
        """
        now = self._clock()
        latest = max(self._noted(), self._latest)
        if now < latest - _STEP_S:
            self._set_back(now)
        elif now < latest:
            now = latest
        elif now > self._noted() + _STEP_S:
            self._file.note(_NOTE, now)
        self._latest = now
        return now

    def _noted(self) -> float:
        row = self._file.row("SELECT at FROM clock", ())
        return 0.0 if row is None else float(row["at"])

    def _set_back(self, now: float) -> None:
        with self._file.writing() as write:
            if self._noted() <= now + _STEP_S:
                return  # another process was first
            latest = max(self._noted(), self._latest)
            back = latest - now
            write.execute("DELETE FROM links")
            write.execute(
                "UPDATE sessions SET opened_at = opened_at - ?, seen_at = seen_at - ?, confirmed_at = NULL",
                (back, back),
            )
            write.execute("UPDATE wrong_passwords SET at = at - ?", (back,))
            write.execute("UPDATE tokens SET revoked_at = ends_at WHERE revoked_at IS NULL AND ends_at <= ?", (latest,))
            write.execute(
                "UPDATE tokens SET made_at = made_at - ?, ends_at = ends_at - ? WHERE made_at > ?", (back, back, now)
            )
            write.execute(_NOTE, (now,))
