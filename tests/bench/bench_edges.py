"""Edge evaluations per second: two 20-level books walked to the last profitable level, with both venues' fees.

Prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}. The baseline is the same question put to the
linear program, which is what larger sets need.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from orchestration.opportunities.edges import Offer, walk
from orchestration.opportunities.outcomes import parse_outcomes
from orchestration.opportunities.portfolio import Leg, Limits, best_portfolio
from streams.market.fees import KalshiFeeSchedule, PolymarketFeeSchedule
from streams.market.taker_fees import taker_fees


def offers() -> list[Offer]:
    """Two ladders of 20 levels whose first ten or so lock something in."""
    kalshi, polymarket = KalshiFeeSchedule(), PolymarketFeeSchedule(rate_e6=40_000)
    return [
        Offer("a", [(4_000 + 50 * n, 5_000_000 + 130_000 * n) for n in range(20)], taker_fees(kalshi)),
        Offer("b", [(5_000 + 50 * n, 7_000_000 + 110_000 * n) for n in range(20)], taker_fees(polymarket)),
    ]


def rate(work: Callable[[], object], least_s: float = 1.0) -> float:
    """Return calls per second over at least `least_s` seconds."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < least_s:
        work()
        count += 1
    return count / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    both = offers()
    legs = [Leg("a", "yes", both[0], "kalshi"), Leg("b", "no", both[1], "polymarket")]
    cases = parse_outcomes([["a", "b"], []], {"a", "b"})
    walked = rate(lambda: walk(both, 10_000, threshold_e4=10))
    solved = rate(lambda: best_portfolio(legs, cases, Limits()))
    row = {
        "name": "edge_evaluations",
        "value": round(walked),
        "unit": "evaluations/s",
        "baseline": "linear program on the same books",
        "baseline_value": round(solved),
        "ratio": round(walked / solved, 1),
    }
    print(json.dumps([row]))


if __name__ == "__main__":
    main()
