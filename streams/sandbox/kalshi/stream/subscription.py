"""One channel of one connection, and the numbers its frames carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from streams.sandbox.http.schema_drift import with_novelties

if TYPE_CHECKING:
    from streams.sandbox.kalshi.stream.socket import KalshiSession

BOOKS = "orderbook_delta"
PRIVATE = frozenset({"fill", "user_orders", "market_positions", "order_group_updates"})
FILTERED = frozenset({BOOKS, "ticker", "trade", "fill", "user_orders", "market_positions"})
"""Channels that take a market filter; the others always send everything."""
SILENT = frozenset(
    {"multivariate_market_lifecycle", "communications", "cfbenchmarks_value", "cfbenchmarks_value_5hz", "pyth_value"}
)
"""Channels that can be subscribed to and on which nothing happens in the sandbox: no combos, quotes or indices."""
CHANNELS = FILTERED | PRIVATE | SILENT | {"market_lifecycle_v2"}
UNNUMBERED = frozenset({"ticker", "fill", "user_orders", "market_positions"})


@dataclass(slots=True, eq=False)
class Subscription:
    """One subscription.

    Attributes:
        tickers: None is all markets.
        is_by_id: The markets were named by their UUIDs; acknowledgements list those.
        is_terse: Acknowledgements leave the list out.
        seq: The last number used; only numbered channels show it on data.
    """

    session: KalshiSession
    sid: int
    channel: str
    tickers: dict[str, None] | None
    use_yes_price: bool = False
    is_by_id: bool = False
    is_terse: bool = False
    seq: int = 0

    @property
    def is_numbered(self) -> bool:
        """Whether data and acknowledgements carry `seq`."""
        return self.channel not in UNNUMBERED

    def number(self) -> int:
        """Use up the next number: a frame that gets lost has used it all the same."""
        self.seq += 1
        return self.seq

    def send(self, kind: str, message: bytes) -> None:
        """Send a frame of data; who reads too slowly, or by request, loses the subscription instead (25 and 10)."""
        session = self.session
        if session.is_too_slow:
            session.end(self, 25)
            return
        face = session.face
        if face.exchange.faults.rules and face.exchange.faults.fires("channel_error", face.venue, channel=self.channel):
            session.end(self, 10)
            return
        settings = face.settings
        numbered = b',"seq":%d' % self.number() if self.is_numbered else b""
        sent = b',"sending_ts_ms":%d' % face.now_ms() if settings.sends_sending_ts else b""
        if settings.has_novelties:
            message = orjson.dumps(with_novelties(orjson.loads(message)))
        frame = b'{"type":"%s","sid":%d%s%s,"msg":%s}' % (kind.encode(), self.sid, numbered, sent, message)
        session.send(frame, self.channel)
