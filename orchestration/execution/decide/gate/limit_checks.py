"""The checks of a hedge whose size is known, against limits and cash; what it holds back counts as used. PURE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from orchestration.execution.decide.gate.facts import GateFacts, pot_of
from orchestration.execution.decide.gate.findings import NOT_APPLICABLE, Check, Finding, age_s, at_most, usd
from orchestration.execution.decide.gate.reservation import HedgeReservation
from streams.market.identity import Venue
from streams.market.limits import LimitValues
from streams.market.trading import RefusalReason, TiedUp

_UNKNOWN = "limits or exposure could not be read"


def _order_contracts(facts: GateFacts) -> Finding:
    known = _known(facts)
    if known is None:
        return at_most(None, None, RefusalReason.LIMIT_ORDER, _UNKNOWN)
    hedge, limits, _ = known
    most = max((leg.contracts_e6 for leg in hedge.legs), default=0)
    return at_most(usd(most), usd(limits.order_contracts_e6), RefusalReason.LIMIT_ORDER)


def _market(facts: GateFacts) -> Finding:
    known = _known(facts)
    if known is None:
        return at_most(None, None, RefusalReason.LIMIT_MARKET, _UNKNOWN)
    hedge, limits, used = known
    keys = {(leg.venue.value, leg.market_id) for leg in hedge.legs}
    wanted = {
        key: sum(leg.cash_e6 for leg in hedge.legs if (leg.venue.value, leg.market_id) == key) + hedge.spare_e6
        for key in keys
    }
    most = max((used.by_market_e6.get(key, 0) + cash for key, cash in wanted.items()), default=0)
    return at_most(usd(most), usd(limits.market_e6), RefusalReason.LIMIT_MARKET)


def _pair(facts: GateFacts) -> Finding:
    known = _known(facts)
    if known is None:
        return at_most(None, None, RefusalReason.LIMIT_PAIR, _UNKNOWN)
    hedge, limits, used = known
    held = used.by_group_e6.get(facts.group_id, 0)
    return at_most(usd(held + hedge.total_e6), usd(limits.pair_e6), RefusalReason.LIMIT_PAIR)


def _event(facts: GateFacts) -> Finding:
    known = _known(facts)
    if known is None:
        return at_most(None, None, RefusalReason.LIMIT_EVENT, _UNKNOWN)
    hedge, limits, used = known
    wanted: Counter[tuple[str, str]] = Counter()
    for leg in hedge.legs:
        event = facts.events.get(leg.market_key)
        if event is None:
            return at_most(None, usd(limits.event_e6), RefusalReason.LIMIT_EVENT, "the event of a market is not known")
        wanted[leg.venue.value, event] += leg.cash_e6
    most = max((used.by_event_e6.get(key, 0) + cash + hedge.spare_e6 for key, cash in wanted.items()), default=0)
    return at_most(usd(most), usd(limits.event_e6), RefusalReason.LIMIT_EVENT)


def _venue(facts: GateFacts) -> Finding:
    known = _known(facts)
    if known is None:
        return at_most(None, None, RefusalReason.LIMIT_VENUE, _UNKNOWN)
    hedge, limits, used = known
    wanted: Counter[str] = Counter()
    for leg in hedge.legs:
        wanted[leg.venue.value] += leg.cash_e6
    most = max((used.by_venue_e6.get(key, 0) + cash + hedge.spare_e6 for key, cash in wanted.items()), default=0)
    return at_most(usd(most), usd(limits.venue_e6), RefusalReason.LIMIT_VENUE)


def _edge(facts: GateFacts) -> Finding:
    """An edge that is too good is most likely a mistake: of a market's text, a feed, or ours. A person looks first."""
    limit = None if facts.limits is None else usd(facts.limits.edge_e6)
    if limit is not None and facts.released_edge_usd is not None:
        limit = max(limit, facts.released_edge_usd)
    detail = "an edge this good waits for a person; `crossbook waiting` lists it"
    return at_most(facts.edge_usd, limit, RefusalReason.EDGE_TOO_GOOD, detail)


def _total(facts: GateFacts) -> Finding:
    known = _known(facts)
    if known is None:
        return at_most(None, None, RefusalReason.LIMIT_TOTAL, _UNKNOWN)
    hedge, limits, used = known
    return at_most(usd(used.total_e6 + hedge.total_e6), usd(limits.total_e6), RefusalReason.LIMIT_TOTAL)


def _long(facts: GateFacts) -> Finding:
    known = _known(facts)
    limit = usd(facts.policy.long_capital_e6)
    if known is None or facts.is_long is None or facts.long_e6 is None:
        return at_most(None, limit, RefusalReason.LIMIT_LONG, "what is tied up for long could not be read")
    if not facts.is_long:
        return NOT_APPLICABLE
    hedge, _, _ = known
    return at_most(usd(facts.long_e6 + hedge.total_e6), limit, RefusalReason.LIMIT_LONG)


def _cash_age(facts: GateFacts) -> Finding:
    """Compare the age of the oldest reading of an account that pays with the longest that is believed."""
    limit = facts.policy.cash_max_age_s
    if facts.hedge is None or facts.pots is None:
        return at_most(None, limit, RefusalReason.BALANCE, "the accounts' cash could not be read")
    ages: list[Decimal] = []
    for venue in _venues(facts.hedge):
        pots = facts.pots.get(venue, ())
        if not pots:
            return at_most(None, limit, RefusalReason.BALANCE, f"the cash at {venue} was never read")
        for pot in pots:
            age = age_s(facts.now, pot.read_at)
            if age is None:
                return at_most(None, limit, RefusalReason.BALANCE, f"the cash at {venue} is dated later than now")
            ages.append(age)
    oldest = max(ages, default=Decimal(0))
    return at_most(oldest, limit, RefusalReason.BALANCE, f"the cash was read {oldest:.1f} s ago")


def _balance(facts: GateFacts) -> Finding:
    """Compare what each pot must pay, the spare in each, with what is free in it; the tightest one counts."""
    if facts.hedge is None or facts.pots is None:
        return at_most(None, None, RefusalReason.BALANCE, "the accounts' cash could not be read")
    tightest: tuple[int, int, int] | None = None
    asked: dict[tuple[Venue, int | None], tuple[int, int]] = {}
    for leg in facts.hedge.legs:
        pot = pot_of(facts.pots.get(leg.venue, ()), leg.shard)
        if pot is None:
            detail = f"{leg.venue} has no reading for the exchange shard {leg.shard}"
            return at_most(None, None, RefusalReason.BALANCE, detail)
        cash, _ = asked.get((pot.venue, pot.shard), (0, 0))
        asked[pot.venue, pot.shard] = (cash + leg.cash_e6, pot.free_e6)
    for cash, free in asked.values():
        found = (free - cash - facts.hedge.spare_e6, cash + facts.hedge.spare_e6, free)
        tightest = found if tightest is None else min(tightest, found)
    if tightest is None:
        return NOT_APPLICABLE
    return at_most(usd(tightest[1]), usd(tightest[2]), RefusalReason.BALANCE)


def _known(facts: GateFacts) -> tuple[HedgeReservation, LimitValues, TiedUp] | None:
    if facts.hedge is None or facts.limits is None or facts.used is None:
        return None
    return facts.hedge, facts.limits, facts.used


def _venues(hedge: HedgeReservation) -> Iterable[Venue]:
    return dict.fromkeys(leg.venue for leg in hedge.legs)


LIMIT_CHECKS = (
    Check("order_contracts", "contracts of one order", "order_contracts", "contracts", _order_contracts, True),
    Check("market", "what is tied up in the market that has most, with this hedge", "market_usd", "USD", _market, True),
    Check("pair", "what is tied up in the market group, with this hedge", "pair_usd", "USD", _pair, True),
    Check("event", "what is tied up in the event that has most, with this hedge", "event_usd", "USD", _event, True),
    Check("venue", "what is tied up on the account that has most, with this hedge", "venue_usd", "USD", _venue, True),
    Check("total", "what is tied up in everything, with this hedge", "total_usd", "USD", _total, True),
    Check(
        "long_capital",
        "what is tied up for long, with this hedge, where it is one of those",
        "CROSSBOOK_LONG_CAPITAL_USD",
        "USD",
        _long,
        True,
    ),
    Check("edge", "the net edge of one contract at the best level", "edge_usd", "USD", _edge, True),
    Check("cash_age", "the oldest reading of an account's cash", "CROSSBOOK_CASH_MAX_AGE_S", "s", _cash_age, True),
    Check(
        "balance", "what this hedge takes from the tightest pot, beside what is free in it", "", "USD", _balance, True
    ),
)
