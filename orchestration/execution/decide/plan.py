"""From a signal and fresh books to a plan, or a refusal. PURE: nothing here asks or writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from orchestration.execution.decide.gate.reservation import (
    LOSS_PROFITS,
    HedgeReservation,
    loss_bound_e6,
    reservation_of,
)
from orchestration.execution.decide.gate.selection import WorthPolicy, is_long, refuse_worth
from orchestration.execution.decide.hedge import LegBook, opening, under_way
from orchestration.execution.decide.hedge_plan import Plan, PlanLeg, exposure_e6, walk_levels
from orchestration.execution.decide.risk_checks import Refusal
from orchestration.opportunities.bundles import LegKey, guaranteed_payoff_e4
from orchestration.opportunities.edges import Edge, Offer, Taken
from orchestration.opportunities.leg_risk import LegOdds, Sending, kept_in_turn, sending_of, sureness
from orchestration.opportunities.outcomes import InvalidSet, OutcomeCase, normal_cases, parse_outcomes
from orchestration.opportunities.returns import days_between
from orchestration.opportunities.sizing import Cap, Sized, size_bundle
from orchestration.opportunities.worth import Worth, closing_e6, stress_cases, worth_of
from streams.market.book import Book
from streams.market.documents import JsonDocument
from streams.market.events import BookSnapshot, Levels
from streams.market.fees import FeeSchedule
from streams.market.identity import Outcome, Venue
from streams.market.limits import LimitValues
from streams.market.taker_fees import taker_fees
from streams.market.trading import MarketGroup, MarketInfo, RefusalReason, Signal, Target, TiedUp
from streams.market.units import CASH_SCALE, PRICE_ONE_E4, PRICE_SCALE, cash_decimal
from streams.market.venue_traits import TRAITS

_ALARM_PROFITS_S = LOSS_PROFITS * 30
"""Seconds for which the planned profit may be exposed before a person is told."""
_CAP_REASONS = {
    "limit_order": RefusalReason.LIMIT_ORDER,
    "limit_market": RefusalReason.LIMIT_MARKET,
    "limit_pair": RefusalReason.LIMIT_PAIR,
    "limit_event": RefusalReason.LIMIT_EVENT,
    "limit_venue": RefusalReason.LIMIT_VENUE,
    "limit_total": RefusalReason.LIMIT_TOTAL,
    "limit_long": RefusalReason.LIMIT_LONG,
    "balance": RefusalReason.BALANCE,
    "provisional_cap": RefusalReason.PROVISIONAL_CAP,
    "exposure_budget": RefusalReason.BELOW_MINIMUM,
    "below_minimum": RefusalReason.BELOW_MINIMUM,
    "depth": RefusalReason.BELOW_MINIMUM,
}
_SPARED = ("limit_market", "limit_pair", "limit_event", "limit_venue", "limit_total", "limit_long", "balance")
"""Caps that must also hold what a hedge holds back besides its legs."""

_Name = TypeVar("_Name")


@dataclass(frozen=True, slots=True)
class TradeRequest:
    """What a signal asks for: legs as (market key, outcome), the group's outcomes, and who the markets are.

    `categories` are those of the legs' markets; `cash_back_at` is when the last cash is expected back, None: not known;
    `events` are those of the legs' markets by their keys.
    """

    group_id: str
    legs: tuple[LegKey, ...]
    cases: tuple[OutcomeCase, ...]
    targets: Mapping[str, Target]
    categories: tuple[str, ...] = ()
    cash_back_at: datetime | None = None
    events: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanPolicy:
    """The operator's numbers that a plan keeps to.

    Attributes:
        exit_edge_usd: Dollars a contract must still earn at the last level that is bought.
        min_profit_e6: Least locked profit of a plan.
        slippage_e4: What a contract may lose in mending, for plans of before there was a loss bound.
        exposure_budget_e6: Most exposure between two legs.
        exposure_budget_e6_s: Most exposure times seconds before a leg that is short is abandoned.
        dust_e6: Exposure that is accepted because no order can trade it away.
        provisional_cap_e6: Most cash in fills that are not confirmed.
        loss_cap_e6: Most one hedge may lose, whatever it should earn.
        exposure_alarm_e6_s: Most exposure times seconds before a person is told, whatever it should earn.
        legs_at_once: All legs of a hedge may leave at once.
        longest_hold_ms: Longest that an order is held back then, so that all match together.
        worth: What a plan must be expected to bring for its capital.
    """

    exit_edge_usd: Decimal
    min_profit_e6: int
    slippage_e4: int
    exposure_budget_e6: int
    exposure_budget_e6_s: int
    dust_e6: int
    provisional_cap_e6: int
    loss_cap_e6: int
    exposure_alarm_e6_s: int
    legs_at_once: bool
    longest_hold_ms: int
    worth: WorthPolicy


@dataclass(frozen=True, slots=True)
class Headroom:
    """What limits, cash and budgets leave.

    Attributes:
        cash_e6: What orders can use by venue and exchange shard (None: the venue has one pot).
        now: When the books were read.
        long_e6: Capital that is tied up for long.
        odds: By market, what orders there are expected to do; where one is missing they fill, and are sent in turn.
        held_e6: Contracts that the group's hedges hold, by (market key, outcome).
    """

    limits: LimitValues
    used: TiedUp
    cash_e6: Mapping[Venue, Mapping[int | None, int]]
    policy: PlanPolicy
    now: datetime
    long_e6: int = 0
    odds: Mapping[str, LegOdds] = field(default_factory=dict)
    held_e6: Mapping[LegKey, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan with the edge it is decided on, legs in the same order, and how they are sent."""

    plan: Plan
    edge: Edge
    binding: str
    worth: Worth
    sending: Sending


def trade_request(signal: Signal, group: MarketGroup, markets: Mapping[str, MarketInfo]) -> TradeRequest | Refusal:
    """Return what a signal asks for; a refusal when a market or the outcomes are not known."""
    legs: list[LegKey] = [(leg.market_key, leg.outcome) for leg in signal.legs]
    targets = {key: markets[key].target for key, _ in legs if key in markets}
    missing = [key for key, _ in legs if key not in targets]
    if missing:
        return Refusal(RefusalReason.NOT_TRADABLE, f"terms are not known: {', '.join(missing)}")
    try:
        cases = parse_outcomes(group.outcomes, set(group.market_keys))
    except InvalidSet as error:
        return Refusal(RefusalReason.NOT_TRADABLE, str(error))
    own = [markets[key] for key, _ in legs]
    categories = tuple(sorted({market.category for market in own}))
    events = {market.key: market.event_id for market in own}
    return TradeRequest(group.group_id, tuple(legs), cases, targets, categories, cash_back_at(own), events)


def on_grid(target: Target, snapshot: BookSnapshot) -> Target:
    """Return a market with the price grid its book states now, which the catalogue may not have seen yet."""
    if snapshot.tick_e4 is None:
        return target
    ranges = ((0, PRICE_ONE_E4, snapshot.tick_e4),)
    return replace(target, terms=replace(target.terms, price_ranges=ranges))


def offer_of(target: Target, outcome: Outcome, snapshot: BookSnapshot) -> Offer:
    """Return what can be bought of an outcome from a book."""
    schedule = target.schedule
    return Offer(
        key=f"{target.key}:{outcome}",
        levels=book_of(snapshot).offers(outcome),
        fees=taker_fees(schedule),
        size_step_e6=target.terms.size_step_e6,
        min_size_e6=target.terms.min_size_e6,
        min_notional_e6=target.terms.min_notional_e6,
    )


def book_of(snapshot: BookSnapshot) -> Book:
    """Return a snapshot as a book."""
    book = Book()
    book.replace(snapshot)
    return book


def leg_book(snapshot: BookSnapshot, outcome: Outcome, sellable_e6: int, schedule: FeeSchedule) -> LegBook | None:
    """Return a leg's book in prices of its outcome; None for a crossed one, which is not to be trusted."""
    book = book_of(snapshot)
    if book.is_crossed:
        return None
    bids: Levels
    if outcome == "yes":
        bids = book.bid_levels()
    else:
        bids = [(PRICE_ONE_E4 - price, size) for price, size in book.ask_levels()]
    return LegBook(book.offers(outcome), bids, sellable_e6, taker_fees(schedule).of)


def decide(request: TradeRequest, books: Mapping[str, BookSnapshot], headroom: Headroom) -> Decision | Refusal:
    """Return the plan on fresh books within everything that limits it, or the reason there is none."""
    legs = [(key, outcome) for key, outcome in request.legs]
    if any(key not in books or book_of(books[key]).is_crossed for key, _ in legs):
        return Refusal(RefusalReason.STALE_BOOK, "a leg has no book that can be trusted")
    odds = headroom.odds
    legs.sort(key=lambda leg: _eagerness(request.targets[leg[0]], books[leg[0]], leg[1], _odds_of(leg[0], odds)))
    offers = [offer_of(request.targets[key], outcome, books[key]) for key, outcome in legs]
    payoff = guaranteed_payoff_e4(legs, request.cases)
    policy = headroom.policy
    # A spread that has turned on a held hedge is an exit; what it cannot close is another hedge, at another time.
    closing = closing_e6(legs, headroom.held_e6)
    sized = _sized(request, legs, offers, payoff, headroom, closing)
    if sized.edge is None and closing:
        closing = 0
        sized = _sized(request, legs, offers, payoff, headroom, closing)
    if sized.edge is None:
        reason = _CAP_REASONS.get(sized.binding, RefusalReason.ERROR)
        top = sum(offer.levels[0][0] for offer in offers if offer.levels)
        if any(not offer.levels for offer in offers) or payoff - top <= 0:
            return Refusal(RefusalReason.EDGE_GONE, f"best prices sum to {top} of {payoff}")
        if sized.binding == "below_minimum":
            return Refusal(_gone_or_small(offers, payoff, policy), "no size that every leg accepts earns enough")
        return Refusal(reason, "nothing is left of it")
    if sized.edge.profit_e6 < policy.min_profit_e6:
        return Refusal(RefusalReason.EDGE_GONE, f"locked profit would be ${cash_decimal(sized.edge.profit_e6)}")
    plan = _plan(request, legs, sized.edge, policy)
    sending = _sending(request, plan, sized.edge, books, headroom)
    worth = _worth(request, legs, sized.edge, headroom, closing, sending.cost_usd)
    refusal = refuse_worth(worth, policy.worth)
    if refusal is not None:
        return refusal
    return Decision(replace(plan, holds_ms=sending.holds_ms), sized.edge, sized.binding, worth, sending)


def _odds_of(market: str, odds: Mapping[str, LegOdds]) -> LegOdds:
    return odds.get(market) or LegOdds(Decimal(1), Decimal(0), Decimal(0))


def _sending(
    request: TradeRequest, plan: Plan, edge: Edge, books: Mapping[str, BookSnapshot], headroom: Headroom
) -> Sending:
    """Return whether all legs leave at once: where that is expected to cost less, and the cap on exposure allows it."""
    policy = headroom.policy
    odds = [_odds_of(leg.market_key, headroom.odds) for leg in plan.legs]
    schedules = [request.targets[leg.market_key].schedule for leg in plan.legs]
    exits = [
        _exit_usd(leg_book(books[leg.market_key], leg.outcome, 0, schedule), taken, edge.size_e6)
        for leg, schedule, taken in zip(plan.legs, schedules, edge.legs, strict=True)
    ]
    found = sending_of(odds, exits, policy.longest_hold_ms)
    if not found.is_at_once:
        return found
    if not policy.legs_at_once:
        return kept_in_turn(found, "CROSSBOOK_LEGS_AT_ONCE is off")
    if exposure_e6(plan, [under_way(opening(plan, leg)) for leg in plan.legs]) > plan.exposure_budget_e6:
        return kept_in_turn(found, "one leg alone would pass the cap on exposure")
    return found


def _exit_usd(book: LegBook | None, taken: Taken, size_e6: int) -> Decimal | None:
    """Return what buying a leg and selling it again now costs, dollars a contract; None where not all can be sold."""
    if book is None or sum(size for _, size in book.bids) < size_e6:
        return None
    limit_e4, proceeds_e6 = walk_levels(book.bids, size_e6)
    lost_e6 = taken.cost_e6 + taken.fee_e6 - proceeds_e6 + book.fee(limit_e4, size_e6)
    return max(Decimal(lost_e6) / size_e6, Decimal(0))


def _worth(
    request: TradeRequest, legs: Sequence[LegKey], edge: Edge, headroom: Headroom, closing: int, gap_usd: Decimal
) -> Worth:
    """Return what an edge is worth; an exit depends on no outcome, and frees what its venues pay early."""
    if not closing:
        stress = stress_cases(legs, request.cases, headroom.policy.worth.priors, request.categories)
        return worth_of(edge, stress, gap_usd, headroom.now, request.cash_back_at)
    early = sum(TRAITS[request.targets[key].venue].pays_matched_early for key, _ in legs)
    return worth_of(edge, (), gap_usd, headroom.now, request.cash_back_at, early * edge.size_e6)


def _sized(
    request: TradeRequest,
    legs: Sequence[LegKey],
    offers: Sequence[Offer],
    payoff: int,
    headroom: Headroom,
    closing: int,
) -> Sized:
    """Return the largest size whose whole reservation is within every cap; of an exit at most what it closes."""
    caps, policy = _caps(request, legs, headroom, is_exit=closing > 0), headroom.policy
    most = headroom.limits.order_contracts_e6
    narrowed = list(caps)
    while True:
        sized = size_bundle(
            offers,
            payoff,
            threshold_e4=int(policy.exit_edge_usd * PRICE_SCALE),
            max_contracts_e6=min(most, closing) if closing else most,
            caps=narrowed,
        )
        if sized.edge is None:
            return sized
        held = reservation_of(_plan(request, legs, sized.edge, policy), request.targets)
        passed = [index for index, cap in enumerate(caps) if _taken_e6(held, cap) > cap.cash_e6]
        if not passed:
            return sized
        for index in passed:
            # what is held back beyond the walk's cost shrinks with the size, so each turn narrows by what is too much
            more = _taken_e6(held, caps[index]) - caps[index].cash_e6
            used = sum(sized.edge.legs[leg].cost_e6 + sized.edge.legs[leg].fee_bound_e6 for leg in caps[index].legs)
            narrowed[index] = replace(caps[index], cash_e6=min(narrowed[index].cash_e6, used - more))


def _taken_e6(held: HedgeReservation, cap: Cap) -> int:
    """Return what a reservation takes of a cap."""
    return sum(held.legs[index].cash_e6 for index in cap.legs) + (held.spare_e6 if cap.name in _SPARED else 0)


def _gone_or_small(offers: Sequence[Offer], payoff: int, policy: PlanPolicy) -> RefusalReason:
    """Tell an edge that fees eat from one that is only too small for the minimum sizes."""
    fees = sum(offer.fees.of(offer.levels[0][0], CASH_SCALE) for offer in offers)
    edge_e6 = (payoff - sum(offer.levels[0][0] for offer in offers)) * 100 - fees
    return RefusalReason.BELOW_MINIMUM if edge_e6 > policy.exit_edge_usd * CASH_SCALE else RefusalReason.EDGE_GONE


def _eagerness(target: Target, snapshot: BookSnapshot, outcome: Outcome, odds: LegOdds) -> tuple[Decimal, int, int]:
    """Sort key of the order of legs: the least sure first, then where buys spend dollars, then the thinner book."""
    depth = sum(size for _, size in book_of(snapshot).offers(outcome)[:3])
    return (sureness(odds), 0 if TRAITS[target.venue].buys_spend_dollars else 1, depth)


def _caps(request: TradeRequest, legs: Sequence[LegKey], headroom: Headroom, *, is_exit: bool) -> list[Cap]:
    every = tuple(range(len(legs)))
    limits, used, policy = headroom.limits, headroom.used, headroom.policy
    caps = [
        Cap("limit_pair", limits.pair_e6 - used.by_group_e6.get(request.group_id, 0), every),
        Cap("limit_total", limits.total_e6 - used.total_e6, every),
        Cap("exposure_budget", policy.exposure_budget_e6, every[:-1]),
    ]
    back = request.cash_back_at
    if not is_exit and is_long(None if back is None else days_between(headroom.now, back), policy.worth):
        caps.append(Cap("limit_long", policy.worth.long_e6 - headroom.long_e6, every))
    for index, (key, _) in enumerate(legs):
        target = request.targets[key]
        held = used.by_market_e6.get((target.venue.value, target.market_id), 0)
        caps.append(Cap("limit_market", limits.market_e6 - held, (index,)))
    for event, mine in _grouped(legs, lambda key: (request.targets[key].venue.value, request.events.get(key, ""))):
        caps.append(Cap("limit_event", limits.event_e6 - used.by_event_e6.get(event, 0), mine))
    for name, mine in _grouped(legs, lambda key: request.targets[key].venue.value):
        caps.append(Cap("limit_venue", limits.venue_e6 - used.by_venue_e6.get(name, 0), mine))
    for venue, pots in headroom.cash_e6.items():
        mine = tuple(index for index, (key, _) in enumerate(legs) if request.targets[key].venue is venue)
        shards = [_shard(request.targets[legs[index][0]], pots) for index in mine]
        caps += [
            Cap("balance", pots.get(shard, 0), tuple(i for i, own in zip(mine, shards, strict=True) if own == shard))
            for shard in dict.fromkeys(shards)
        ]
        if mine and TRAITS[venue].fills_are_provisional:
            left = policy.provisional_cap_e6 - used.provisional_e6
            caps.append(Cap("provisional_cap", left, mine))
    return caps


def _grouped(legs: Sequence[LegKey], of: Callable[[str], _Name]) -> Iterable[tuple[_Name, tuple[int, ...]]]:
    """Return the numbers of the legs by what their markets have in common."""
    names = [of(key) for key, _ in legs]
    for name in dict.fromkeys(names):
        yield name, tuple(index for index, own in enumerate(names) if own == name)


def _shard(target: Target, pots: Mapping[int | None, int]) -> int | None:
    """The pot that pays for a market's orders; where its shard is not known, the one with the least in it."""
    if None in pots:
        return None
    shard = target.terms.exchange_index
    return min(pots, key=lambda own: pots[own]) if shard is None else shard


def _plan(request: TradeRequest, legs: Sequence[LegKey], edge: Edge, policy: PlanPolicy) -> Plan:
    cases = normal_cases(request.cases)
    plan_legs: list[PlanLeg] = []
    for number, ((key, outcome), taken) in enumerate(zip(legs, edge.legs, strict=True)):
        target = request.targets[key]
        plan_legs.append(
            PlanLeg(
                leg_no=number,
                venue=target.venue,
                market_id=target.market_id,
                outcome=outcome,
                limit_price_e4=taken.limit_price_e4,
                pays_e4=tuple(case.pays(key, outcome) for case in cases),
                cost_e6=taken.cost_e6,
                size_step_e6=target.terms.size_step_e6,
                # The venue's minimum size is for resting orders; orders that mend a hedge do not rest.
                min_size_e6=target.terms.size_step_e6,
                min_notional_e6=target.terms.min_notional_e6,
            )
        )
    return Plan(
        legs=tuple(plan_legs),
        size_e6=edge.size_e6,
        slippage_e4=policy.slippage_e4,
        exposure_budget_e6=policy.exposure_budget_e6,
        exposure_budget_e6_s=policy.exposure_budget_e6_s,
        dust_e6=policy.dust_e6,
        loss_bound_e6=loss_bound_e6(edge.profit_e6, policy.loss_cap_e6),
        planned_profit_e6=edge.profit_e6,
        exposure_alarm_e6_s=min(_ALARM_PROFITS_S * edge.profit_e6, policy.exposure_alarm_e6_s),
    )


def plan_to_json(plan: Plan) -> JsonDocument:
    """Return the plan as it is kept in `trading.executions.detail`."""
    return asdict(plan)


def plan_from_json(raw: JsonDocument) -> Plan:
    """Return the plan a former run wrote."""
    legs = tuple(
        PlanLeg(**{**leg, "venue": Venue(leg["venue"]), "pays_e4": tuple(leg["pays_e4"])}) for leg in raw["legs"]
    )
    return replace(Plan(**{**raw, "legs": ()}), legs=legs, holds_ms=tuple(raw.get("holds_ms", ())))


def cash_back_at(markets: Sequence[MarketInfo]) -> datetime | None:
    """Return when the last cash of these markets is expected back, None when a market does not say."""
    ends = [market.expected_settle_time or market.close_time for market in markets]
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) and known else None
