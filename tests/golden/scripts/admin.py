"""What a person asks of the admin port: every route, every refusal."""

from __future__ import annotations

from typing import Any

from tests.golden.record import Step
from tests.golden.scripts.kalshi import NYC, ORDERS, order
from tests.golden.stage import condition

MARKET = condition(0)


def ask(line: str, *bodies: Any) -> list[Step]:
    """The same request with one body after the other."""
    return [("admin", "", line, body) for body in bodies or (None,)]


_HOUSE = {"venue": "kalshi", "market_id": NYC, "side": "bid", "price_e4": 4_950, "size_e6": 1_000_000}
_SERIES = {"venue": "kalshi", "series": "KXRAIN", "fee_type": "quadratic", "fee_multiplier": "2"}
_FEES = {"venue": "polymarket", "market_id": MARKET, "schedule": {"rate": "0.02", "exponent": "1", "taker_only": True}}
_ADMIN: list[Step] = [
    *ask("GET /faults"), *ask("GET /behaviour"), *ask("GET /truth/kalshi"), *ask(f"GET /markets/kalshi/{NYC}"),
    *ask(f"GET /markets/polymarket/{MARKET}"),
    *ask("POST /faults", {"kind": "delay", "ms": 5}, {"rules": [
        {"kind": "reject", "venue": "kalshi", "probability": "0.5", "market": NYC, "skip": 2, "times": 1, "seed": 3},
        {"kind": "server_error", "when": "after", "path": "/x", "status": 502}]},
        {"kind": "disconnect", "ms": 10}, {"kind": "silent_socket", "channel": "market"},
        {}, {"kind": "odd"}, {"kind": "delay", "odd": 1}, {"kind": "delay", "ms": "x"},
        {"kind": "delay", "probability": "2"}, {"kind": "delay", "probability": "x"},
        {"kind": "server_error", "when": "never"}, {"kind": "server_error", "status": 200},
        {"kind": "delay", "venue": "odd"}, {"$text": "{"}, []),
    *ask("GET /faults"), *ask("DELETE /faults?id=1"), *ask("DELETE /faults?id=1"), *ask("DELETE /faults"),
    *ask("POST /mode", {"venue": "kalshi", "mode": "post_only", "for_ms": 500, "then": "cancel_only"},
         {"venue": "polymarket", "mode": "closed"}, {"venue": "odd", "mode": "open"}, {"venue": "kalshi",
          "mode": "odd"},
         {"venue": "kalshi", "mode": "open", "for_ms": "x"}, {"venue": "kalshi", "mode": "open"},
         {"venue": "polymarket", "mode": "open"}),
    *ask("POST /clock", {"venue": "kalshi", "skew_ms": -4_000}, {"venue": "kalshi"}, {"venue": "kalshi", "skew_ms": 0}),
    *ask("PATCH /behaviour", {"feed_lag_ms": [5, 9], "fades": True, "failed_share": "0.1", "kalshi_tier": "basic"},
         {"odd": 1}, {"taker_delay_ms": -1}, {"kalshi_ack_ms": [9, 5]}, {"fades": 5}, {"sellable": "odd"},
         {"kalshi_tier": 5}, {"failed_share": "x"},
         {"feed_lag_ms": [0, 0], "fades": False, "failed_share": "0", "kalshi_tier": None}),
    *ask("GET /scenario"), *ask("PUT /scenario", {"name": "harsh"}, {"name": "odd"}, {}, {"name": "calm"}),
    *ask("POST /orders", {**_HOUSE, "side": "ask"}, {**_HOUSE, "is_immediate": True}, {**_HOUSE, "side": "odd"},
         {**_HOUSE, "market_id": "odd"}, {**_HOUSE, "price_e4": "x"}, {**_HOUSE, "price_e4": 0}),
    ("admin", "", "POST /orders", {**_HOUSE, "price_e4": 4_500}, "h=order_key"),
    *ask("DELETE /orders/kalshi/$h"), *ask("DELETE /orders/kalshi/$h"), *ask("DELETE /orders/odd/$h"),
    ("kalshi", "main", f"POST {ORDERS}", order(price="0.5100", count="20")),
    *ask("POST /fees", _SERIES, {**_SERIES, "at_ms": 1_795_000_060_000},
         {"venue": "kalshi", "event": "KXRAIN-26DEC01", "fee_type": None, "fee_multiplier": None},
         {"venue": "kalshi"}, {**_SERIES, "event": "x"}, {**_SERIES, "series": "odd"}, {**_SERIES, "fee_type": None},
         {**_SERIES, "fee_type": 5}, {**_SERIES, "at_ms": 5}, {**_SERIES, "fee_multiplier": "x"},
         _FEES, {**_FEES, "market_id": "odd"}, {**_FEES, "schedule": 5}, {**_FEES, "schedule": {}}),
    *(("kalshi", "", f"GET {path}") for path in ("/series/fee_changes", "/events/fee_changes", "/series/KXRAIN")),
    *ask(f"POST /markets/kalshi/{NYC}/odd"), *ask("POST /markets/kalshi/odd/close"), *ask("GET /markets/kalshi/odd"),
    *ask(f"POST /markets/kalshi/{NYC}/change-close"), *ask(f"POST /markets/kalshi/{NYC}/settle"),
    *(step for action in ("pause", "pause", "reactivate", "reactivate", "close", "close", "pause")
      for step in ask(f"POST /markets/kalshi/{NYC}/{action}")),
    *ask(f"POST /markets/kalshi/{NYC}/determine", {}, {"settlement_e4": 3_333}, {"settlement_e4": 0, "result": "no"}),
    *ask(f"POST /markets/kalshi/{NYC}/settle"),
    *ask("POST /flow", {"running": False}, {"running": "x"}, {"running": True, "clear": True}),
    *ask(f"GET /markets/polymarket/{MARKET}"), *ask("GET /truth/kalshi"), *ask("GET /truth/odd"), *ask("GET /odd"),
    ("listen", "none", "admin", "", "/ws"),
]  # fmt: skip

SCRIPTS: dict[str, tuple[dict[str, Any], list[Step]]] = {"admin": ({}, _ADMIN)}
