"""How a paper order is filled: order, book at its arrival, account and draws come in, fills come out. PURE, integers.

The books are real and do not answer to paper orders. So what a paper order took of a level stays taken until that level
shows another size, and what makers do after our first leg is drawn: see `PaperProfile`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestration.execution.decide.ledger import netting_target_e6
from orchestration.execution.decide.plan import book_of, on_grid
from orchestration.execution.venues.gateway import OrderSpec
from streams.market.events import BookSnapshot, Levels
from streams.market.fees import KalshiFeeSchedule, KalshiOrderFees, taker_fee_e6
from streams.market.identity import Outcome, Side
from streams.market.trading import LevelTaken, Target
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE, cash_e6_of
from streams.market.venue_traits import TRAITS

Fidelity = Literal["pessimistic", "realistic", "optimistic"]
LevelKey = tuple[Side, int]
"""A level of a book: its side and price, YES terms."""
DRAW_SCALE = 1_000_000
"""A draw is a whole number from 0 to below this."""
_CENT_E6 = 10_000
_WHOLE_E4 = 10_000


@dataclass(frozen=True, slots=True)
class PaperProfile:
    """What is assumed of that which real books cannot show.

    Attributes:
        latency_e4: Which of the sampled round trips an order takes, as a share of them; None: a drawn one.
        taker_delay_ms: How long Polymarket holds takers back where a market says that it does.
        share_e4: Share of a level that is there for us; the rest others take first.
        fade_probability_e6: Chance that makers step back before an order arrives whose execution holds fills already.
        fade_e4: How far they step back.
    """

    latency_e4: int | None
    taker_delay_ms: int
    share_e4: int
    fade_probability_e6: int
    fade_e4: int


def paper_profile(fidelity: Fidelity, *, fade_probability_e6: int, fade_e4: int) -> PaperProfile:
    """Return what a fidelity assumes; the chance and depth of fades are those of `realistic`."""
    if fidelity == "optimistic":
        return PaperProfile(500, 50, _WHOLE_E4, 0, 0)
    if fidelity == "pessimistic":
        return PaperProfile(9_500, 250, _WHOLE_E4 // 2, DRAW_SCALE, fade_e4)
    return PaperProfile(None, 150, _WHOLE_E4, fade_probability_e6, fade_e4)


def way_ms(round_trips_ms: Sequence[int], profile: PaperProfile, draw: int) -> int:
    """Return how long an order is on its way: half of one of the round trips, rounded up."""
    ordered = sorted(round_trips_ms)
    place = (
        draw * len(ordered) // DRAW_SCALE if profile.latency_e4 is None else _place(len(ordered), profile.latency_e4)
    )
    return -(-ordered[place] // 2)


def _place(count: int, share_e4: int) -> int:
    return min(count - 1, count * share_e4 // _WHOLE_E4)


# -- what is gone ------------------------------------------------------------------------------------------------------


def gone_levels(taken: Iterable[LevelTaken]) -> dict[LevelKey, LevelTaken]:
    """Return what is gone of each level, with the size it showed; a level that showed another size is a new one.

    Args:
        taken: What paper orders took, oldest first.
    """
    gone: dict[LevelKey, LevelTaken] = {}
    for piece in taken:
        key = (piece.side, piece.price_e4)
        before = gone.get(key)
        is_same = before is not None and before.shown_e6 == piece.shown_e6
        gone[key] = replace(piece, taken_e6=piece.taken_e6 + before.taken_e6) if before and is_same else piece
    return gone


def book_left(snapshot: BookSnapshot, gone: Mapping[LevelKey, LevelTaken]) -> BookSnapshot:
    """Return a book without what paper orders took of it."""
    return replace(snapshot, bids=_left(snapshot.bids, "bid", gone), asks=_left(snapshot.asks, "ask", gone))


def _left(levels: Levels, side: Side, gone: Mapping[LevelKey, LevelTaken]) -> Levels:
    left = [(price, size - _gone_e6(gone, side, price, size)) for price, size in levels]
    return [(price, size) for price, size in left if size > 0]


def _gone_e6(gone: Mapping[LevelKey, LevelTaken], side: Side, price_e4: int, shown_e6: int) -> int:
    found = gone.get((side, price_e4))
    return found.taken_e6 if found is not None and found.shown_e6 == shown_e6 else 0


# -- matching ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PaperState:
    """What an order meets beside the book.

    Attributes:
        cash_e6: Cash that pays for orders of its market.
        yes_e6, no_e6: Contracts of its market that the account holds.
        gone: What is gone of its market's levels.
        follows_fill: Its execution holds fills already, so that makers may have stepped back.
    """

    cash_e6: int
    yes_e6: int
    no_e6: int
    gone: Mapping[LevelKey, LevelTaken]
    follows_fill: bool

    def held_e6(self, outcome: Outcome) -> int:
        """Contracts of an outcome."""
        return self.yes_e6 if outcome == "yes" else self.no_e6


@dataclass(frozen=True, slots=True)
class PaperFill:
    """One level's piece of an order: price of the outcome, amounts without sign, and what it took of which level."""

    price_e4: int
    contracts_e6: int
    cash_e6: int
    fee_e6: int
    level: LevelTaken


@dataclass(frozen=True, slots=True)
class PaperMatch:
    """An order that was taken. `why`: the reason why nothing was filled, empty if something was."""

    fills: tuple[PaperFill, ...]
    after: PaperState
    why: str = ""


@dataclass(frozen=True, slots=True)
class PaperReject:
    """An order that the venue would not take, in the venue's word."""

    code: str
    detail: str


def match_order(
    spec: OrderSpec, snapshot: BookSnapshot | None, state: PaperState, profile: PaperProfile, fade_draw: int
) -> PaperMatch | PaperReject:
    """Return what becomes of an order that takes what is there.

    Args:
        spec: The order.
        snapshot: The real book as the order arrives; None where there is none.
        state: Of the account, as the order arrives.
        profile: What is assumed.
        fade_draw: Decides whether makers have stepped back.
    """
    target = spec.target if snapshot is None else on_grid(spec.target, snapshot)
    refused = _check_terms(spec, target)
    if refused is not None:
        return refused
    if spec.action == "sell" and spec.size_e6 > state.held_e6(spec.outcome):
        detail = f"balance: {state.held_e6(spec.outcome)}, order amount: {spec.size_e6}"
        return PaperReject("insufficient_balance", detail)
    book = None if snapshot is None else book_of(snapshot)
    if book is None or book.is_crossed:
        return PaperMatch((), state, "no book at arrival" if book is None else "a crossed book at arrival")
    side: Side = "ask" if (spec.action == "buy") == (spec.outcome == "yes") else "bid"
    is_faded = state.follows_fill and fade_draw < profile.fade_probability_e6
    levels = book.ask_levels() if side == "ask" else book.bid_levels()
    offered = _offered(levels, side, target, state, profile, fade_e4=profile.fade_e4 if is_faded else 0)
    fills = tuple(_take(spec, target, offered))
    return _settle(spec, fills, state)


def _check_terms(spec: OrderSpec, target: Target) -> PaperReject | None:
    """Refuse a price off the grid, a size that no order can have, and a buy of too few dollars."""
    terms = target.terms
    yes_e4 = spec.limit_price_e4 if spec.outcome == "yes" else PRICE_ONE_E4 - spec.limit_price_e4
    if not 0 < yes_e4 < PRICE_ONE_E4 or not _is_on_grid(yes_e4, target):
        return PaperReject("invalid_price", f"price: {spec.limit_price_e4}")
    if spec.spend_e6 is not None:
        if spec.spend_e6 <= 0 or spec.spend_e6 % _CENT_E6:
            return PaperReject("invalid_size", f"dollars: {spec.spend_e6}")
        cost = spec.spend_e6
    else:
        # Where buys spend dollars the least size is that of resting orders.
        least = 1 if TRAITS[target.venue].buys_spend_dollars else terms.min_size_e6
        if spec.size_e6 < least or spec.size_e6 % terms.size_step_e6:
            return PaperReject("invalid_size", f"size: {spec.size_e6}")
        cost = cash_e6_of(spec.limit_price_e4, spec.size_e6, paying=True)
    if spec.action == "buy" and cost < terms.min_notional_e6:
        return PaperReject("below_minimum", f"dollars: {cost}, least: {terms.min_notional_e6}")
    return None


def _is_on_grid(yes_e4: int, target: Target) -> bool:
    return any(
        start <= yes_e4 <= end and (yes_e4 - start) % step == 0 for start, end, step in target.terms.price_ranges
    )


def _offered(
    levels: Levels, side: Side, target: Target, state: PaperState, profile: PaperProfile, *, fade_e4: int
) -> Iterator[tuple[int, int, LevelTaken]]:
    """Yield (price in YES terms, contracts there for us, the level as it is shown), best first."""
    step = 1 if TRAITS[target.venue].buys_spend_dollars else target.terms.size_step_e6
    for shown_at, shown in levels:
        price = _stepped_back(shown_at, side, target, fade_e4) if fade_e4 else shown_at
        there = shown * profile.share_e4 // _WHOLE_E4 - _gone_e6(state.gone, side, shown_at, shown)
        if there >= step and 0 < price < PRICE_ONE_E4:
            yield price, there - there % step, LevelTaken(side, shown_at, shown, 0)


def _stepped_back(price_e4: int, side: Side, target: Target, by_e4: int) -> int:
    """Return the price on the grid at least so far away from us."""
    moved = price_e4 + by_e4 if side == "ask" else price_e4 - by_e4
    for start, end, step in target.terms.price_ranges:
        if start <= moved <= end:
            over = (moved - start) % step
            return moved + (step - over if over else 0) if side == "ask" else moved - over
    return moved


def _take(spec: OrderSpec, target: Target, offered: Iterable[tuple[int, int, LevelTaken]]) -> Iterator[PaperFill]:
    is_buy, left, dollars = spec.action == "buy", spec.size_e6, spec.spend_e6
    schedule = target.schedule
    order_fees = KalshiOrderFees(schedule) if isinstance(schedule, KalshiFeeSchedule) else None
    for yes_e4, there, level in offered:
        price = yes_e4 if spec.outcome == "yes" else PRICE_ONE_E4 - yes_e4
        is_acceptable = price <= spec.limit_price_e4 if is_buy else price >= spec.limit_price_e4
        size = min(there, left if dollars is None else dollars * PRICE_SCALE // price)
        if not is_acceptable or size <= 0:
            return
        cash = cash_e6_of(price, size, paying=is_buy)
        if order_fees is None:
            fee = taker_fee_e6(price, size, schedule, is_buy=is_buy)
        else:
            fee = order_fees.fill(price, size, is_taker=True, is_buy=is_buy).fee_e6
        yield PaperFill(price, size, cash, fee, replace(level, taken_e6=size))
        left -= size
        dollars = None if dollars is None else dollars - cash


def _settle(spec: OrderSpec, fills: tuple[PaperFill, ...], state: PaperState) -> PaperMatch | PaperReject:
    """Return the account after the fills; a refusal where it cannot pay for them."""
    sign = 1 if spec.action == "buy" else -1
    moved = sign * sum(fill.contracts_e6 for fill in fills)
    yes = state.yes_e6 + (moved if spec.outcome == "yes" else 0)
    no = state.no_e6 + (moved if spec.outcome == "no" else 0)
    venue = spec.target.venue
    paid_early = netting_target_e6(venue, yes, no) - netting_target_e6(venue, state.yes_e6, state.no_e6)
    takes = sum(sign * fill.cash_e6 + fill.fee_e6 for fill in fills) - paid_early
    needed = max(takes, spec.spend_e6 or 0)
    if needed > max(0, state.cash_e6):
        return PaperReject("insufficient_balance", f"balance: {state.cash_e6}, order amount: {needed}")
    # What an order took of a level that shows another size now is over; gone_levels says the same of the rows.
    gone = gone_levels([*state.gone.values(), *(fill.level for fill in fills)])
    after = replace(state, cash_e6=state.cash_e6 - takes, yes_e6=yes, no_e6=no, gone=gone)
    return PaperMatch(fills, after, "" if fills else "nothing at the limit at arrival")
