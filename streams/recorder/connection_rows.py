"""The rows of `raw.connections` of one venue, written in the order of everything else that is recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from streams.market.identity import Venue
from streams.recorder.sink import Sink
from streams.storage.recording import ConnectionAttempt, end_connection, note_connected, open_connection
from streams.storage.store.alerts import clear_alert, raise_alert

_REASON_LENGTH = 500


class ConnectionRows:
    """Writes through the sink; `shard` and `run_id` stand in every row."""

    def __init__(self, sink: Sink, venue: Venue, shard: int, run_id: str) -> None:
        self.shard = shard
        self._sink = sink
        self._venue = venue
        self._run_id = run_id
        self._alert = f"session_failed:{shard}:{venue}"
        self._may_be_open = True  # the run before may have left it

    def open(self, connection_id: str, *, is_polled: bool) -> None:
        """Note an attempt to connect that begins now."""
        attempt = ConnectionAttempt(
            connection_id, self.shard, self._venue, self._run_id, datetime.now(UTC), is_polled=is_polled
        )
        self._sink.call(partial(open_connection, attempt=attempt))

    def note_connected(self, connection_id: str) -> None:
        """Note that an attempt has just succeeded."""
        self._sink.call(partial(note_connected, connection_id=connection_id, at=datetime.now(UTC)))

    def end(self, connection_id: str, frames: int, reason: str) -> None:
        """Note that a connection has just ended, or an attempt failed, after `frames` frames."""
        now, reason = datetime.now(UTC), _storable(reason)
        self._sink.call(partial(end_connection, connection_id=connection_id, at=now, frames=frames, reason=reason))

    def alert_failure(self, reason: str) -> None:
        """Alert that the session met an error nobody foresaw."""
        self._may_be_open = True
        message = f"The recorder's session with {self._venue} failed and is started again: {_storable(reason)}"
        key = self._alert
        self._sink.call(lambda connection: raise_alert(connection, "session_failed", "critical", key, message))

    def clear_failure(self) -> None:
        """Close the alert, whichever run opened it: a connection has lasted."""
        if self._may_be_open:
            self._may_be_open = False
            self._sink.call(partial(clear_alert, dedup_key=self._alert))


def _storable(text: str) -> str:
    """Words of a venue may hold what a column of the warehouse does not take."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:_REASON_LENGTH]
