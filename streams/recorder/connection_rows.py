"""The rows of `raw.connections` of one venue, written in the order of everything else that is recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from streams.market.identity import Venue
from streams.recorder.sink import Sink
from streams.storage.recording import ConnectionAttempt, end_connection, note_connected, open_connection

_REASON_LENGTH = 500


class ConnectionRows:
    """Writes through the sink; `shard` and `run_id` stand in every row."""

    def __init__(self, sink: Sink, venue: Venue, shard: int, run_id: str) -> None:
        self.shard = shard
        self._sink = sink
        self._venue = venue
        self._run_id = run_id

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
        now, reason = datetime.now(UTC), reason[:_REASON_LENGTH]
        self._sink.call(partial(end_connection, connection_id=connection_id, at=now, frames=frames, reason=reason))
