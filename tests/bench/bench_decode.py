"""Frames decoded and normalised per second of CPU, for both venues, against `json` + `Decimal` + dataclass.

Prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}. Both sides make the same facts in YES terms
of the same frames: nearly all level changes with a few trades and whole books. Each frame has its own prices and
sizes, as many as a market has, and both sides are compared before they are timed. The two take turns, and the middle of
the rounds counts, so that neighbours on the machine do not.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from streams.market.events import BookSnapshot, LevelChange, MarketEvent, TradePrint
from streams.market.units import price_decimal, size_decimal
from streams.venues.kalshi.types.market_frames import parse_frame as parse_kalshi
from streams.venues.polymarket.market_frames import TokenRef
from streams.venues.polymarket.market_frames import parse_frame as parse_polymarket
from tests.bench import plain_decode
from tests.support.kalshi_frames import KalshiFrames

FRAMES = 20_000
ROUNDS = 5
YES, NO = "7" * 77, "8" * 77
MARKET = "0x" + "5e" * 32
TOKENS = {YES: TokenRef(MARKET, "yes"), NO: TokenRef(MARKET, "no")}


def kalshi_frames(count: int, chance: random.Random) -> list[bytes]:
    """Nearly all deltas; a trade in 20 and a book of 30 levels a side in 500."""
    frames = KalshiFrames()
    found = []
    for number in range(count):
        price, size = f"0.{chance.randint(1, 99):02d}00", f"{chance.randint(1, 500)}.{chance.randint(0, 99):02d}"
        if number % 500 == 0:
            levels = [(f"0.{cent:02d}00", f"{chance.randint(1, 9000)}.00") for cent in range(1, 31)]
            found.append(
                frames.snapshot("KXBENCH-26NOV20-T1", levels, [(f"0.{50 + int(p[2:4])}00", s) for p, s in levels])
            )
        elif number % 20 == 0:
            found.append(frames.trade("KXBENCH-26NOV20-T1", price, size, f"t-{number}"))
        else:
            found.append(frames.delta("KXBENCH-26NOV20-T1", chance.choice(["yes", "no"]), price, size))
    return found


def polymarket_frames(count: int, chance: random.Random) -> list[bytes]:
    """Nearly all price changes that name both tokens; a trade in 20 and a book of 30 levels a side in 500."""
    return [json.dumps(_polymarket_frame(number, chance), separators=(",", ":")).encode() for number in range(count)]


def _polymarket_frame(number: int, chance: random.Random) -> dict[str, Any]:
    cent, size = chance.randint(2, 98), f"{chance.randint(1, 5000)}.{chance.randint(0, 99):02d}"
    head = {"market": MARKET, "timestamp": str(1_795_000_000_000 + number)}
    if number % 500 == 0:
        bids = [{"price": f"0.{c:02d}", "size": str(chance.randint(1, 90_000))} for c in range(1, 31)]
        asks = [{"price": f"0.{c:02d}", "size": str(chance.randint(1, 90_000))} for c in range(90, 60, -1)]
        return {**head, "asset_id": YES, "hash": "ab" * 20, "bids": bids, "asks": asks, "event_type": "book"}
    if number % 20 == 0:
        return {**head, "asset_id": YES, "price": f"0.{cent:02d}", "size": size, "side": "BUY", "fee_rate_bps": "0",
                "event_type": "last_trade_price", "transaction_hash": "0x" + "cd" * 32}  # fmt: skip
    yes = {"asset_id": YES, "price": f"0.{cent:02d}", "size": size, "side": "BUY", "hash": "ef" * 20,
           "best_bid": "0.47", "best_ask": "0.49"}  # fmt: skip
    no = {"asset_id": NO, "price": f"0.{100 - cent:02d}", "size": size, "side": "SELL", "hash": "01" * 20,
          "best_bid": "0.51", "best_ask": "0.53"}  # fmt: skip
    return {**head, "price_changes": [yes, no], "event_type": "price_change"}


def facts_of(event: MarketEvent) -> tuple[Any, ...]:
    """Return an event's facts in Decimal."""
    if isinstance(event, LevelChange):
        size = event.size_change_e6 if event.size_after_e6 is None else event.size_after_e6
        assert size is not None
        return event.market_id, event.side, price_decimal(event.price_e4), size_decimal(size), event.venue_sent_ms
    if isinstance(event, TradePrint):
        return event.market_id, price_decimal(event.price_e4), size_decimal(event.size_e6), event.taker_outcome
    assert isinstance(event, BookSnapshot)
    return tuple(
        [(price_decimal(price), size_decimal(size)) for price, size in side] for side in (event.bids, event.asks)
    )


def plain_facts_of(event: Any) -> tuple[Any, ...]:
    """Return the same facts of the baseline's event."""
    if isinstance(event, plain_decode.PlainChange):
        return event.market_id, event.side, event.price, event.size, event.sent_ms
    if isinstance(event, plain_decode.PlainTrade):
        return event.market_id, event.price, event.size, event.taker_outcome
    return event.bids, event.asks


def seconds(work: Callable[[bytes], Any], frames: list[bytes]) -> float:
    """Return the CPU time of all frames."""
    started = time.process_time()
    for raw in frames:
        work(raw)
    return time.process_time() - started


def compare(
    name: str, ours: Callable[[bytes], Any], plain: Callable[[bytes], Any], make: Callable[[], list[bytes]]
) -> dict[str, Any]:
    """Check that both say the same and return one line of the results; each round has frames of its own."""
    for raw in make()[:2_000]:
        assert [facts_of(event) for event in ours(raw)] == [plain_facts_of(event) for event in plain(raw)]
    ratios, rates, plain_rates = [], [], []
    for _ in range(ROUNDS):
        frames = make()
        mine, theirs = seconds(ours, frames), seconds(plain, frames)
        ratios.append(theirs / mine)
        rates.append(len(frames) / mine)
        plain_rates.append(len(frames) / theirs)
    return {
        "name": name,
        "value": round(statistics.median(rates)),
        "unit": "frames/s",
        "baseline": "json + Decimal + dataclass",
        "baseline_value": round(statistics.median(plain_rates)),
        "ratio": round(statistics.median(ratios), 2),
    }


def main() -> None:
    """Measure and print."""
    chance = random.Random(20261121)
    plain_tokens = {token: (ref.market_id, str(ref.outcome)) for token, ref in TOKENS.items()}
    results = [
        compare("decode_kalshi_frames", parse_kalshi, plain_decode.kalshi, lambda: kalshi_frames(FRAMES, chance)),
        compare(
            "decode_polymarket_frames",
            lambda raw: parse_polymarket(raw, TOKENS),
            lambda raw: plain_decode.polymarket(raw, plain_tokens),
            lambda: polymarket_frames(FRAMES, chance),
        ),
    ]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
