"""Trading goes on for hours on the sandbox's defaults: what waits for a result in weeks leaves room for what pays soon.

Opportunities come in virtual time, each on a pair of its own; what is bought is tied up until its result is paid.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from orchestration.execution.decide.plan import Decision, Headroom, TradeRequest, decide
from orchestration.execution.trading_context import TradingContext
from orchestration.opportunities.outcomes import parse_outcomes
from streams.market.events import BookSnapshot
from streams.market.fees import KalshiFeeSchedule, PolymarketFeeSchedule
from streams.market.identity import Venue
from streams.market.limits import LIMIT_NAMES, limit_values
from streams.market.listing import MarketTerms
from streams.market.trading import Target, TiedUp
from streams.settings import Settings
from streams.storage.store.risk import first_limit

START = datetime(2026, 12, 1, tzinfo=UTC)
EVERY = timedelta(seconds=20)
HOURS = 3
SOON, LATE = timedelta(minutes=4), timedelta(days=40)


@dataclass
class Held:
    """Money in one hedge, until its result is paid."""

    back_at: datetime
    is_long: bool
    cash_e6: int


def request_at(number: int, back_at: datetime) -> tuple[TradeRequest, dict[str, BookSnapshot]]:
    """A pair with YES at 0.45 and NO at 0.52, 60 contracts each."""
    kalshi, polymarket = f"K{number}", f"0x{number}"
    a, b = f"kalshi:{kalshi}", f"polymarket:{polymarket}"
    targets = {
        a: Target(Venue.KALSHI, kalshi, MarketTerms(), KalshiFeeSchedule(multiplier_e6=0)),
        b: Target(Venue.POLYMARKET, polymarket, MarketTerms(), PolymarketFeeSchedule()),
    }
    cases = parse_outcomes([[a, b], []], {a, b})
    request = TradeRequest(f"g{number}", ((a, "yes"), (b, "no")), cases, targets, ("Crypto",), back_at)
    books = {
        a: BookSnapshot(Venue.KALSHI, kalshi, [(4_400, 60_000_000)], [(4_500, 60_000_000)]),
        b: BookSnapshot(Venue.POLYMARKET, polymarket, [(4_800, 60_000_000)], [(5_000, 60_000_000)]),
    }
    return request, books


def hedges_by_quarter(settings: Settings) -> tuple[Counter[int], int]:
    """Return the dollars of hedges that pay soon by quarter of an hour, and the most tied up at once (1e-6 dollar)."""
    limits = limit_values({name: first_limit(settings, name) for name in LIMIT_NAMES})
    policy = TradingContext(settings, "live", {}).policy
    held: list[Held] = []
    found: Counter[int] = Counter()
    most = 0
    for number in range(int(timedelta(hours=HOURS) / EVERY)):
        now = START + number * EVERY
        held = [hedge for hedge in held if hedge.back_at > now]
        back_at = now + (SOON if number % 2 else LATE)
        request, books = request_at(number, back_at)
        total = sum(hedge.cash_e6 for hedge in held)
        used = TiedUp({}, {}, {}, {}, total, 0)
        is_long = back_at > now + timedelta(days=float(settings.long_days))
        long_e6 = sum(hedge.cash_e6 for hedge in held if hedge.is_long)
        cash = {Venue.KALSHI: {None: 10**11}, Venue.POLYMARKET: {None: 10**11}}
        decision = decide(request, books, Headroom(limits, used, cash, policy, now, long_e6))
        if isinstance(decision, Decision):
            held.append(Held(back_at, is_long, decision.edge.cost_e6 + decision.edge.fee_e6))
            if not is_long:
                found[number * EVERY // timedelta(minutes=15)] += held[-1].cash_e6 // 1_000_000
        most = max(most, sum(hedge.cash_e6 for hedge in held))
    return found, most


def test_hedges_that_pay_within_minutes_are_taken_for_hours() -> None:
    """22 or 23 hedges a quarter, 50 contracts at 0.95 each."""
    found, most = hedges_by_quarter(Settings(venues="sandbox"))
    assert all(22 * 47 <= found[quarter] <= 23 * 48 for quarter in range(4 * HOURS)), found
    assert most <= 2_000_000_000


def test_without_a_bound_on_capital_for_long_most_of_their_room_is_soon_gone() -> None:
    found, _ = hedges_by_quarter(Settings(venues="sandbox", long_capital_usd=Decimal(1_000_000)))
    assert all(found[quarter] < found[0] * 2 // 5 for quarter in range(4, 4 * HOURS)), found
