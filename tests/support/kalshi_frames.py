"""Kalshi frames for recorder tests, in the venue's shape, with the sequence counted as the venue counts it."""

from __future__ import annotations

import json
from typing import Any


class KalshiFrames:
    """Makes the frames of one subscription; every frame takes the next sequence number."""

    def __init__(self, sid: int = 1) -> None:
        self.sid = sid
        self.sequence = 0

    def _frame(self, kind: str, message: dict[str, Any]) -> bytes:
        self.sequence += 1
        return json.dumps({"type": kind, "sid": self.sid, "seq": self.sequence, "msg": message}).encode()

    def snapshot(self, market: str, yes: list[tuple[str, str]], no: list[tuple[str, str]]) -> bytes:
        return self._frame(
            "orderbook_snapshot",
            {"market_ticker": market, "market_id": "m", "yes_dollars_fp": yes, "no_dollars_fp": no},
        )

    def delta(self, market: str, side: str, price: str, change: str, ts_ms: int = 1_700_000_000_000) -> bytes:
        message = {
            "market_ticker": market,
            "market_id": "m",
            "price_dollars": price,
            "delta_fp": change,
            "side": side,
            "ts": "2026-01-01T00:00:00Z",
            "ts_ms": ts_ms,
        }
        return self._frame("orderbook_delta", message)

    def trade(self, market: str, price: str, count: str, trade_id: str) -> bytes:
        message = {
            "trade_id": trade_id,
            "market_ticker": market,
            "yes_price_dollars": price,
            "no_price_dollars": "0.50",
            "count_fp": count,
            "taker_side": "yes",
            "taker_outcome_side": "yes",
            "ts": 1_700_000_000,
            "ts_ms": 1_700_000_000_000,
        }
        return self._frame("trade", message)
