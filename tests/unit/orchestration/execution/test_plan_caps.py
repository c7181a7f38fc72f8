"""Limits of events and accounts shrink a hedge to what fits; only what is below the minimums is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestration.execution.decide.gate.reservation import reservation_of
from orchestration.execution.decide.plan import Decision, Headroom, TradeRequest, decide, trade_request
from orchestration.execution.decide.risk_checks import Refusal
from orchestration.execution.trading_context import TradingContext
from streams.market.events import BookSnapshot
from streams.market.identity import MarketRef, Venue
from streams.market.listing import MarketTerms
from streams.market.trading import MarketGroup, MarketInfo, Signal, SignalLeg, TiedUp
from tests.golden.execution.stage import NOW, limits_of, settings_of

_FEES = {"kalshi": {"fee_type": "quadratic", "fee_multiplier": "0.25"}, "polymarket": {"rate": "0.01"}}
_MARKETS = {
    f"{venue}:{name}": MarketInfo(
        venue,
        name,
        MarketTerms(fee_schedule=_FEES[venue.value]),
        "open",
        NOW + timedelta(hours=1),
        NOW + timedelta(hours=1),
        None,
        event,
    )
    for venue, name, event in ((Venue.KALSHI, "K", "E"), (Venue.POLYMARKET, "P", "F"))
}


def request() -> TradeRequest:
    """YES of Kalshi's market and NO of Polymarket's."""
    legs = (SignalLeg(Venue.KALSHI, "K", "yes", 0, 0), SignalLeg(Venue.POLYMARKET, "P", "no", 0, 0))
    members = tuple(MarketRef(market.venue, market.market_id) for market in _MARKETS.values())
    group = MarketGroup("g1", "pair", members, [list(_MARKETS), []], True, None, "approved")
    found = trade_request(Signal(1, "g1", None, NOW, 0, legs), group, _MARKETS)
    assert isinstance(found, TradeRequest)
    return found


REQUEST = request()
BOOKS = {
    "kalshi:K": BookSnapshot(Venue.KALSHI, "K", [(4_300, 90_000_000)], [(4_500, 90_000_000)]),
    "polymarket:P": BookSnapshot(Venue.POLYMARKET, "P", [(4_900, 90_000_000)], [(5_100, 90_000_000)]),
}
HEADROOM = Headroom(
    limits_of({"order_contracts_e6": 50_000_000, "event_e6": 600_000_000, "venue_e6": 600_000_000}),
    TiedUp({}, {}, {}, {}, 0, 0),
    {venue: {None: 10**12} for venue in Venue},
    TradingContext(settings_of({}), "live", {}).policy,
    NOW,
)


@pytest.mark.parametrize(("name", "key"), [("event", ("kalshi", "E")), ("venue", "kalshi")])
def test_a_hedge_shrinks_to_what_its_event_and_its_account_leave(name: str, key: object) -> None:
    whole = decide(REQUEST, BOOKS, HEADROOM)
    assert isinstance(whole, Decision)
    limit = getattr(HEADROOM.limits, f"{name}_e6")
    for left in (20_000_000, 5_000_000):
        used = replace(HEADROOM.used, **{f"by_{name}_e6": {key: limit - left}})
        found = decide(REQUEST, BOOKS, replace(HEADROOM, used=used))
        assert isinstance(found, Decision)
        assert found.binding == f"limit_{name}"
        assert 0 < found.plan.size_e6 < whole.plan.size_e6
        held = reservation_of(found.plan, REQUEST.targets)
        taken = sum(leg.cash_e6 for leg in held.legs if leg.venue.value == "kalshi") + held.spare_e6
        assert left * 3 // 4 < taken <= left
    none = decide(REQUEST, BOOKS, replace(HEADROOM, used=replace(HEADROOM.used, **{f"by_{name}_e6": {key: limit}})))
    assert isinstance(none, Refusal)
    assert none.reason == f"limit_{name}"
