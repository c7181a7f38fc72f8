"""The reading side of a socket, without a network."""

from __future__ import annotations

from typing import Any

from streams.venues.common.feed import RawFrame
from streams.venues.common.socket import _Listener


class Transport:
    """Notes when reading goes on."""

    def __init__(self) -> None:
        self.underlying_transport = self
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True


def test_a_connection_we_stopped_reading_is_not_taken_for_silent_when_we_go_on() -> None:
    listener, transport = _Listener(), Transport()
    paused: Any = transport
    listener.on_ws_connected(paused)
    listener.is_paused = True
    listener.waiting = [RawFrame(b"{}", 1)]
    listener.last_sign_of_life = listener.last_pong = 0.0
    assert listener.take() == [RawFrame(b"{}", 1)]
    assert transport.is_reading
    assert listener.last_sign_of_life == listener.last_pong > 0.0
