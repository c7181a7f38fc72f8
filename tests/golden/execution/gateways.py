"""Orders as both venues get them, and what is read of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from tests.golden.execution import stage_gateways
from tests.golden.execution.sets import FEES, ONE
from tests.golden.execution.stage import Plain

ID = "0x" + "ab" * 32
KALSHI_STATES = ("resting", "executed", "canceled", "pending_auction")
POLYMARKET_STATES = ("LIVE", "UNMATCHED", "DELAYED", "MATCHED", "INVALID", "ORDER_STATUS_CANCELED", "CANCELED_X")
TRADE_STATES = ("MATCHED", "MINED", "CONFIRMED", "RETRYING", "FAILED")


def rows() -> Iterator[Plain]:
    """Give the request of seeded orders, and the readings of seeded answers."""
    for seed in range(40):
        source = random.Random(seed)
        venue = ("kalshi", "polymarket")[seed % 2]
        action = source.choice(["buy", "sell"])
        tick = source.choice([100, 100, 10])
        price, size = source.randrange(tick, 10_000, tick), source.randrange(1, 5_000) * 10_000
        order: Plain = {
            "outcome": source.choice(["yes", "no"]),
            "action": action,
            "limit_price_e4": price,
            "size_e6": size,
        }
        if venue == "polymarket" and action == "buy":
            order["spend_e6"] = price * size // 10_000 // 10_000 * 10_000
        yield {
            "venue": venue,
            "tick_e4": tick,
            "order": order,
            **stage_gateways.prepared(venue, _market(venue, tick), order),
        }
    for number, status in enumerate((*KALSHI_STATES, None)):
        for action in ("buy", "sell"):
            yield _kalshi(random.Random(number), status, action)
    for number, status in enumerate((*POLYMARKET_STATES, None)):
        for action in ("buy", "sell"):
            yield _polymarket(random.Random(100 + number), status, action)


def _market(venue: str, tick: int) -> Plain:
    more = {"yes_token": "111", "no_token": "222", "is_neg_risk": tick == 10} if venue == "polymarket" else {}
    return {"price_ranges": [[0, 10_000, tick]], "fee_schedule": FEES[venue][0], **more}


def _kalshi(source: random.Random, status: str | None, action: str) -> Plain:
    outcome = source.choice(["yes", "no"])
    counts = [source.randrange(1, 400) for _ in range(3)]
    filled = sum(counts) / 100
    order = {
        "order_id": "o",
        "client_order_id": ID,
        "ticker": "M",
        "status": status,
        "outcome_side": outcome,
        "yes_price_dollars": "0.4000",
        "initial_count_fp": "20.00",
        "fill_count_fp": f"{filled:.2f}",
        "remaining_count_fp": f"{20 - filled:.2f}",
        "taker_fill_cost_dollars": "0.40",
        "maker_fill_cost_dollars": "0.00",
        "taker_fees_dollars": "0.0168",
        "maker_fees_dollars": "0.00",
    }
    fills = [
        {
            "fill_id": f"f{number}",
            "order_id": "o",
            "ticker": "M",
            "outcome_side": outcome,
            "yes_price_dollars": f"0.{source.randrange(10, 99)}",
            "count_fp": f"{count / 100:.2f}",
            "fee_cost": "0.016800",
            "is_taker": True,
        }
        for number, count in enumerate(counts)
    ]
    cutoff = {f"{name}_ts": "2024-03-01T00:00:00Z" for name in ("market_settled", "trades_created", "orders_updated")}
    answers: dict[str, tuple[int, Any]] = {
        "/historical/cutoff": (200, cutoff),
        "/historical/orders": (200, {"orders": [], "cursor": ""}),
        "/historical/fills": (200, {"fills": fills[2:], "cursor": ""}),
        "/orders": (200, {"orders": [] if status is None else [order], "cursor": ""}),
        "/fills": (200, {"fills": fills[:2], "cursor": ""}),
    }
    asked = {"client_order_id": ID, "outcome": outcome, "action": action}
    found = stage_gateways.reading("kalshi", _market("kalshi", 100), asked, answers)
    return {"venue": "kalshi", "status": status, **asked, **found}


def _polymarket(source: random.Random, status: str | None, action: str) -> Plain:
    outcome = source.choice(["yes", "no"])
    token = "111" if outcome == "yes" else "222"
    sizes = [source.randrange(1, 4 * ONE) for _ in TRADE_STATES]
    order = {
        "id": ID,
        "status": status,
        "market": "M",
        "asset_id": token,
        "side": action.upper(),
        "price": "0.5",
        "original_size": "20",
        "size_matched": str(sum(sizes) / ONE),
    }
    trades = [
        {
            "id": f"t{number}",
            "taker_order_id": ID,
            "market": "M",
            "asset_id": token,
            "side": action.upper(),
            "size": str(size / ONE),
            "price": f"0.{source.randrange(10, 99)}",
            "status": state,
            "match_time": "1706920000",
            "trader_side": "TAKER",
        }
        for number, (state, size) in enumerate(zip(TRADE_STATES, sizes, strict=True))
    ]
    answers: dict[str, tuple[int, Any]] = {
        f"/order/{ID}": (404, {}) if status is None else (200, order),
        "/trades": (200, {"data": trades, "next_cursor": "LTE="}),
    }
    asked = {"client_order_id": ID, "outcome": outcome, "action": action}
    found = stage_gateways.reading("polymarket", _market("polymarket", 100), asked, answers)
    return {"venue": "polymarket", "status": status, **asked, **found}
