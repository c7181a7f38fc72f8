"""Edge evaluations per second: two 20-level books walked to the last profitable level, with both venues' fees.

Prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}. Baselines: the same walk in Decimal, as one
would first write it, and the same question put to the linear program, which is what larger sets need. A set of 200
markets has the plain program as its baseline. A second is one of CPU time, so that neighbours on the machine do not
count.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from decimal import Decimal

from orchestration.opportunities.edges import Offer, walk
from orchestration.opportunities.outcomes import OutcomeCase, parse_outcomes
from orchestration.opportunities.portfolio import Leg, Limits, best_portfolio
from streams.market.events import Levels
from streams.market.fees import KalshiFeeSchedule, PolymarketFeeSchedule
from streams.market.taker_fees import taker_fees
from streams.market.units import cash_decimal, price_decimal, size_decimal
from tests.bench import plain_program, plain_walk

UNIT = "evaluations/s"


def offers() -> list[Offer]:
    """Two ladders of 20 levels whose first ten or so lock something in."""
    kalshi, polymarket = KalshiFeeSchedule(), PolymarketFeeSchedule(rate_e6=40_000)
    return [
        Offer("a", [(4_000 + 50 * n, 5_000_000 + 130_000 * n) for n in range(20)], taker_fees(kalshi)),
        Offer("b", [(5_000 + 50 * n, 7_000_000 + 110_000 * n) for n in range(20)], taker_fees(polymarket)),
    ]


def large_set() -> tuple[list[Leg], tuple[OutcomeCase, ...]]:
    """200 markets of which one settles yes, five levels of YES and of NO each; all YES together lock something in."""
    source = random.Random(1)
    names = [f"m{number}" for number in range(200)]
    fees = taker_fees(PolymarketFeeSchedule(rate_e6=40_000))
    legs: list[Leg] = []
    for name in names:
        best = 47 + source.randrange(-20, 20)
        for outcome, price in (("yes", best), ("no", 9_940 - best)):
            levels = [(price + 10 * level, source.randrange(20, 900) * 1_000_000) for level in range(5)]
            offer = Offer(f"{name}:{outcome}", levels, fees, min_size_e6=5_000_000, min_notional_e6=1_000_000)
            legs.append(Leg(name, "yes" if outcome == "yes" else "no", offer, "polymarket"))
    return legs, parse_outcomes([[name] for name in names], names)


def milliseconds(work: Callable[[], object], times: int = 10) -> float:
    """Return the CPU time of one call in milliseconds."""
    work()
    start = time.process_time()
    for _ in range(times):
        work()
    return 1_000 * (time.process_time() - start) / times


def in_decimals(levels: Levels) -> list[tuple[Decimal, Decimal]]:
    """Return levels as dollars and contracts."""
    return [(price_decimal(price), size_decimal(size)) for price, size in levels]


def rate(work: Callable[[], object], least_s: float = 2.0) -> float:
    """Return calls per second of CPU time over at least `least_s` of them."""
    count, start = 0, time.process_time()
    while time.process_time() - start < least_s:
        for _ in range(20):
            work()
        count += 20
    return count / (time.process_time() - start)


def row(name: str, value: float, baseline: str, baseline_value: float) -> dict[str, object]:
    """Return one line of the results."""
    return {
        "name": name,
        "value": round(value),
        "unit": UNIT,
        "baseline": baseline,
        "baseline_value": round(baseline_value),
        "ratio": round(value / baseline_value, 1),
    }


def main() -> None:
    """Measure and print."""
    both = offers()
    kalshi, polymarket = (in_decimals(offer.levels) for offer in both)
    found, plainly = walk(both, 10_000, threshold_e4=10), plain_walk.walk(kalshi, polymarket, Decimal("0.001"))
    assert found is not None
    assert plainly is not None
    assert (size_decimal(found.size_e6), cash_decimal(found.profit_e6)) == plainly[:2]
    legs = [Leg("a", "yes", both[0], "kalshi"), Leg("b", "no", both[1], "polymarket")]
    cases = parse_outcomes([["a", "b"], []], {"a", "b"})
    walked = rate(lambda: walk(both, 10_000, threshold_e4=10))
    apart = rate(lambda: walk(both, 9_000, threshold_e4=10))
    plain = rate(lambda: plain_walk.walk(kalshi, polymarket, Decimal("0.001")))
    solved = rate(lambda: best_portfolio(legs, cases, Limits()))
    results = [
        row("edge_evaluations", walked, "the same walk in Decimal", plain),
        row("edge_evaluations_against_program", walked, "linear program on the same books", solved),
        row("edge_evaluations_of_books_apart", apart, "books that overlap", walked),
    ]
    many, ways = large_set()
    portfolio = best_portfolio(many, ways, Limits())
    bound = plain_program.solve(many, ways) * 1_000_000
    assert portfolio.locked_e6 > 0.99 * bound
    assert portfolio.locked_e6 > 0.999 * bound or "min_notional" in portfolio.binding
    spent = milliseconds(lambda: best_portfolio(many, ways, Limits()))
    plainly_spent = milliseconds(lambda: plain_program.solve(many, ways))
    results.append(
        {
            **row("portfolio_of_200_markets", spent, "the plain program alone", plainly_spent),
            "unit": "ms",
            "ratio": round(spent / plainly_spent, 2),
        }
    )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
