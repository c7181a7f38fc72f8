"""The checks of what the venues said last: of themselves, of our accounts and of the hedge's markets. PURE.

Each reading is a row with its age; one that is missing or too old refuses. What a venue does not state, or what an
account on paper does not need, is not applicable by the venue's traits.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from orchestration.execution.decide.gate.facts import GateFacts
from orchestration.execution.decide.gate.findings import (
    NOT_APPLICABLE,
    Check,
    Finding,
    age_s,
    at_least,
    at_most,
    state,
    usd,
)
from orchestration.execution.decide.gate.venue_states import AccountState, MarketState
from streams.market.fees import FeeSchedule, from_json, taker_fee_e6
from streams.market.identity import Venue
from streams.market.trading import MarketInfo, RefusalReason
from streams.market.units import PRICE_ONE_E4, SIZE_SCALE
from streams.market.venue_traits import TRAITS, VenueTraits

_HALF_E4 = PRICE_ONE_E4 // 2
_NEVER = "a venue was never asked"
_MS = timedelta(milliseconds=1)


def _account_age(facts: GateFacts) -> Finding:
    limit = facts.policy.checks.venue_state_age_s
    ages = _ages(facts, [None if found is None else found[0] for found in _accounts(facts)])
    return at_most(ages, limit, RefusalReason.VENUE_UNAVAILABLE, _NEVER if ages is None else "")


def _market_age(facts: GateFacts) -> Finding:
    """Compare the age of the oldest reading of a market, its fee schedule in it."""
    limit = facts.policy.checks.fee_schedule_age_s
    ages = _ages(facts, [None if found is None else found[0] for _, found in _markets(facts)])
    return at_most(ages, limit, RefusalReason.FEES, _NEVER if ages is None else "")


def _exchange(facts: GateFacts) -> Finding:
    """Every exchange shard of the hedge takes orders, where its venue states it."""
    legs = [leg for leg in _legs(facts) if TRAITS[leg[0]].states_status]
    if not legs:
        return NOT_APPLICABLE
    for venue, shard in legs:
        found = account_of(facts, venue)
        shards = None if found is None else found.trading_shards
        is_trading = None if shards is None else shards.get("" if shard is None else str(shard), shards.get(""))
        if not is_trading:
            word = None if is_trading is None else "closed"
            detail = f"{venue} takes no orders now" if word else ""
            return state(word, is_good=is_trading, reason=RefusalReason.VENUE_UNAVAILABLE, detail=detail)
    return state("open", is_good=True, reason=RefusalReason.VENUE_UNAVAILABLE)


def _maintenance(facts: GateFacts) -> Finding:
    """Compare the seconds until the next announced maintenance with the longest that a hedge is worked on."""
    limit = facts.policy.checks.execution_max_s
    venues = venues_with(facts, lambda traits: traits.states_status)
    if not venues:
        return NOT_APPLICABLE
    soonest: Decimal | None = None
    for venue in venues:
        found = account_of(facts, venue)
        if found is None or found.maintenance is None:
            return at_least(None, limit, RefusalReason.CLOSING_SOON)
        for start, end in found.maintenance:
            if end > facts.now:
                left = max(Decimal(0), Decimal((start - facts.now) // _MS) / 1000)
                soonest = left if soonest is None else min(soonest, left)
    return (
        Finding("pass", "", f"{limit:f}") if soonest is None else at_least(soonest, limit, RefusalReason.CLOSING_SOON)
    )


def _allowance(facts: GateFacts) -> Finding:
    """Compare what the hedge takes at a venue with what the venue may take of our cash."""
    if facts.hedge is None:
        return at_most(None, None, RefusalReason.BALANCE)
    tightest: tuple[int, int, int] | None = None
    for venue in real_venues(facts, lambda traits: traits.needs_allowance):
        found = account_of(facts, venue)
        if found is None or found.allowance_e6 is None:
            return at_most(None, None, RefusalReason.BALANCE, f"what {venue} may take was not read")
        wanted = sum(leg.cash_e6 for leg in facts.hedge.legs if leg.venue is venue) + facts.hedge.spare_e6
        left = (found.allowance_e6 - wanted, wanted, found.allowance_e6)
        tightest = left if tightest is None else min(tightest, left)
    if tightest is None:
        return NOT_APPLICABLE
    return at_most(usd(tightest[1]), usd(tightest[2]), RefusalReason.BALANCE)


def _access(facts: GateFacts) -> Finding:
    """The venue serves the place we are in, and the account may open positions."""
    venues = real_venues(facts, lambda traits: traits.blocks_places)
    if not venues:
        return NOT_APPLICABLE
    for venue in venues:
        found = account_of(facts, venue)
        if found is None or found.is_blocked is None or found.is_closing_only is None:
            return state(None, is_good=None, reason=RefusalReason.NOT_TRADABLE)
        if found.is_blocked or found.is_closing_only:
            word = "blocked" if found.is_blocked else "closing only"
            return state(word, is_good=False, reason=RefusalReason.NOT_TRADABLE, detail=f"{venue}: {word}")
    return state("open", is_good=True, reason=RefusalReason.NOT_TRADABLE)


def _clock(facts: GateFacts) -> Finding:
    """Compare how far our clock is from a venue's, where its answers are dated."""
    limit = facts.policy.checks.clock_skew_ms
    venues = venues_with(facts, lambda traits: traits.dates_answers)
    if not venues:
        return NOT_APPLICABLE
    skews: list[int] = []
    for venue in venues:
        found = account_of(facts, venue)
        if found is None or found.clock_ahead_ms is None:
            return at_most(None, limit, RefusalReason.VENUE_UNAVAILABLE, f"the clock of {venue} was not read")
        skews.append(abs(found.clock_ahead_ms))
    return at_most(max(skews), limit, RefusalReason.VENUE_UNAVAILABLE)


def _market_state(facts: GateFacts) -> Finding:
    for info, found in _markets(facts):
        word = None if found is None else found[1].status
        if word != "open":
            is_good = None if word is None else False
            return state(word, is_good=is_good, reason=RefusalReason.NOT_TRADABLE, detail=f"{info.key}: {word}")
    return state("open", is_good=True, reason=RefusalReason.NOT_TRADABLE)


def _fee_bound(facts: GateFacts) -> Finding:
    """Compare the fee of a contract at one half by the schedule of now with the one the plan reckons with."""
    worst: tuple[int, int, int] | None = None
    for info, found in _markets(facts):
        if found is None:
            return at_most(None, None, RefusalReason.FEES, _NEVER)
        reckoned = info.target.schedule
        # what settings say of an account stands beside what the venue states
        stated = from_json(info.venue, {**info.terms.fee_schedule, **_cleared(info), **found[1].fee_schedule})
        fees = (_fee_e6(stated), _fee_e6(reckoned))
        worst = max(worst or (fees[0] - fees[1], *fees), (fees[0] - fees[1], *fees))
    if worst is None:
        return at_most(None, None, RefusalReason.FEES, _NEVER)
    return at_most(usd(worst[1]), usd(worst[2]), RefusalReason.FEES)


def _tick(facts: GateFacts) -> Finding:
    """Every limit price is on the step of prices that its venue states now, where it has one step."""
    if facts.plan is None:
        return state(None, is_good=None, reason=RefusalReason.OFF_GRID)
    stated = {info.key: found[1].tick_e4 for info, found in _markets(facts) if found is not None}
    for leg in facts.plan.legs:
        if leg.market_key not in stated:
            return state(None, is_good=None, reason=RefusalReason.OFF_GRID)
        tick = stated[leg.market_key]
        if tick and leg.limit_price_e4 % tick:
            return state("off", is_good=False, reason=RefusalReason.OFF_GRID, detail=f"{leg.market_key}: another tick")
    return state("on", is_good=True, reason=RefusalReason.OFF_GRID)


def _early_close(facts: GateFacts) -> Finding:
    """Compare the seconds until the first market closes, as the venues expect it now."""
    limit = facts.policy.closing_margin_s
    ends = [found[1].closes_at for _, found in _markets(facts) if found is not None]
    return _until([end for end in ends if end is not None], facts, limit)


def _game_start(facts: GateFacts) -> Finding:
    """Compare the seconds to or from the start of a game: books are cleared then, and nobody knows when exactly."""
    limit = facts.policy.checks.game_start_margin_s
    starts = [found[1].game_starts_at for _, found in _markets(facts) if found is not None]
    known = [start for start in starts if start is not None]
    if not known:
        return NOT_APPLICABLE
    nearest = min(abs(start - facts.now) for start in known)
    return at_least(Decimal(nearest // _MS) / 1000, limit, RefusalReason.CLOSING_SOON)


def _delay(facts: GateFacts) -> Finding:
    limit = facts.policy.checks.taker_delay_ms
    found = [None if found is None else found[1].delay_ms for _, found in _markets(facts)]
    known = [delay for delay in found if delay is not None]
    most = max(known) if known and len(known) == len(found) else None
    return at_most(most, limit, RefusalReason.NOT_TRADABLE)


def _until(ends: list[datetime], facts: GateFacts, limit: int) -> Finding:
    if not ends:
        return NOT_APPLICABLE
    return at_least(Decimal((min(ends) - facts.now) // _MS) / 1000, limit, RefusalReason.CLOSING_SOON)


def _fee_e6(schedule: FeeSchedule) -> int:
    return taker_fee_e6(_HALF_E4, 100 * SIZE_SCALE, schedule)


def _cleared(info: MarketInfo) -> dict[str, object]:
    """Return the keys of a schedule that the venue states by leaving them out: a Polymarket market without fees."""
    return {"rate": "0"} if info.venue is Venue.POLYMARKET else {}


def _legs(facts: GateFacts) -> list[tuple[Venue, int | None]]:
    """Return venue and exchange shard of each leg."""
    return [] if facts.hedge is None else [(leg.venue, leg.shard) for leg in facts.hedge.legs]


def venues_with(facts: GateFacts, has: Callable[[VenueTraits], bool]) -> list[Venue]:
    """Return the venues of the hedge that have a trait."""
    return [venue for venue in dict.fromkeys(venue for venue, _ in _legs(facts)) if has(TRAITS[venue])]


def real_venues(facts: GateFacts, has: Callable[[VenueTraits], bool]) -> list[Venue]:
    """Return those of them at which the account is not simulated."""
    simulated = frozenset() if facts.venues is None else facts.venues.simulated
    return [venue for venue in venues_with(facts, has) if venue not in simulated]


def account_of(facts: GateFacts, venue: Venue) -> AccountState | None:
    """Return what was read of an account last; None: nothing."""
    found = None if facts.venues is None else facts.venues.accounts.get(venue)
    return None if found is None else found[1]


def _accounts(facts: GateFacts) -> list[tuple[datetime, AccountState] | None]:
    known = {} if facts.venues is None else facts.venues.accounts
    return [known.get(venue) for venue in dict.fromkeys(venue for venue, _ in _legs(facts))]


def _markets(facts: GateFacts) -> list[tuple[MarketInfo, tuple[datetime, MarketState] | None]]:
    known = {} if facts.venues is None else facts.venues.markets
    return [(info, known.get(key)) for key, info in sorted(facts.markets.items())]


def _ages(facts: GateFacts, read_at: list[datetime | None]) -> Decimal | None:
    """Return the age of the oldest reading in seconds; None where that of one is not known, or there is none."""
    ages = [None if at is None else age_s(facts.now, at) for at in read_at]
    known = [age for age in ages if age is not None]
    return max(known) if known and len(known) == len(ages) else None


def _check(name: str, reads: str, limit: str, unit: str, judge: Callable[[GateFacts], Finding]) -> Check:
    return Check(name, reads, limit, unit, judge, True)


VENUE_CHECKS = (
    _check(
        "venue_age",
        "the oldest reading of an account's venue",
        "CROSSBOOK_VENUE_STATE_MAX_AGE_S",
        "s",
        _account_age,
    ),
    _check(
        "fee_age",
        "the oldest reading of a market and its fee schedule",
        "CROSSBOOK_FEE_SCHEDULE_MAX_AGE_S",
        "s",
        _market_age,
    ),
    _check("exchange", "whether the exchange shards of the hedge take orders", "", "", _exchange),
    _check("maintenance", "until the next announced maintenance", "CROSSBOOK_EXECUTION_MAX_S", "s", _maintenance),
    _check("market_state", "the status of the markets at their venues", "", "", _market_state),
    _check("fee_bound", "the fees of 100 contracts at one half now, beside those of the plan", "", "USD", _fee_bound),
    _check("tick", "limit prices on the steps that the venues state now", "", "", _tick),
    _check(
        "early_close", "when the first market closes, as its venue says now", "CROSSBOOK_CLOSING_MARGIN_S", "s",
        _early_close,
    ),
    _check("game_start", "how near the start of a game is", "CROSSBOOK_GAME_START_MARGIN_S", "s", _game_start),
    _check(
        "taker_delay", "how long a market holds back orders that take", "CROSSBOOK_TAKER_DELAY_MAX_MS", "ms", _delay
    ),
    _check("allowance", "what the hedge takes, beside what the venue may take of our cash", "", "USD", _allowance),
    _check("access", "whether the venue serves this place, and the account may open", "", "", _access),
    _check("clock", "how far our clock is from the venue's", "CROSSBOOK_CLOCK_SKEW_MAX_MS", "ms", _clock),
)  # fmt: skip
