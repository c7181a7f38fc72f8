"""What `crossbook calc` and `crossbook edges` answer to a document (`document_schema` says what stands in one)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from orchestration.opportunities.document_fields import Place, written
from orchestration.opportunities.document_schema import LEGS, SET, read_fee_schedule
from orchestration.opportunities.edges import Offer, Taken
from orchestration.opportunities.outcomes import InvalidSet, OutcomeCase, parse_outcomes
from orchestration.opportunities.portfolio import Leg, Limits, Portfolio, best_portfolio, evaluate
from orchestration.opportunities.returns import annualised_return, days_between
from streams.market.events import Levels
from streams.market.fees import FeeSchedule, fee_bound_e6
from streams.market.identity import Outcome, Venue
from streams.market.taker_fees import taker_fees
from streams.market.units import (
    CASH_SCALE,
    cash_decimal,
    cash_e6_of,
    price_decimal,
    size_decimal,
)


@dataclass(frozen=True, slots=True)
class _Market:
    """A market of a document, and where it stands in it."""

    place: Place
    venue: Venue
    schedule: FeeSchedule
    values: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.values["id"])


@dataclass(frozen=True, slots=True)
class _Set:
    """What a document says: markets by their ids, outcomes, limits, and the days until the cash is back."""

    markets: Mapping[str, _Market]
    cases: tuple[OutcomeCase, ...]
    limits: Limits
    days: Decimal | None


def edges_answer(document: Any, now: datetime) -> dict[str, Any]:
    """Return the best portfolio over a set of related books.

    Raises:
        InvalidSet: If the document cannot be used.
    """
    given = _set(SET.read(document, ()), now)
    legs = [leg for market in given.markets.values() for leg in _offered_legs(market)]
    return _answer(best_portfolio(legs, given.cases, given.limits), given.days)


def calc_answer(document: Any, now: datetime) -> dict[str, Any]:
    """Return what given legs cost, pay and lock in.

    Raises:
        InvalidSet: If the document cannot be used.
    """
    values = LEGS.read(document, ())
    given = _set(values, now)
    taken = [_given_leg(("legs", number), leg, given.markets) for number, leg in enumerate(values["legs"])]
    found = evaluate(taken, given.cases)
    passed = _passed(found, given.limits)
    return _answer(Portfolio(found.legs, found.payoffs_e6, found.locked_e6, found.stress_loss_e6, passed), given.days)


def outcome_cases(document: Mapping[str, Any]) -> tuple[OutcomeCase, ...]:
    """Return the outcomes of a document, in the order of `payoffs_usd`.

    Raises:
        InvalidSet: If the document cannot be used.
    """
    values = (LEGS if "legs" in document else SET).read(document, ())
    return parse_outcomes(values["outcomes"], [market["id"] for market in values["markets"]])


def _set(values: Mapping[str, Any], now: datetime) -> _Set:
    markets: dict[str, _Market] = {}
    for number, raw in enumerate(values["markets"]):
        market = _market(("markets", number), raw)
        if market.id in markets:
            raise InvalidSet(f"{written(market.place)}.id is {market.id[:80]!r}, which is in the set twice.")
        markets[market.id] = market
    cases = parse_outcomes(values["outcomes"], markets)
    days = _days(values, markets.values(), now)
    return _Set(markets, cases, _limits(values["limits"], days), days)


def _market(place: Place, values: Mapping[str, Any]) -> _Market:
    venue = Venue(values["venue"])
    market = _Market(place, venue, read_fee_schedule(venue, values["fee"], (*place, "fee")), values)
    for name in ("yes_asks", "no_asks"):
        for number, (price, _) in enumerate(values[name]):
            _check_grid(market, price, (*place, name, number))
    return market


def _check_grid(market: _Market, price: int, place: Place) -> None:
    ranges = market.values["price_ranges"]
    if ranges and not any(low <= price <= high and (price - low) % step == 0 for low, high, step in ranges):
        raise InvalidSet(
            f"{written(place)} has the price {_plain(price_decimal(price))}, which is not on the grid of the market."
        )


def _offered_legs(market: _Market) -> list[Leg]:
    yes, no = (_merged(market.values[name]) for name in ("yes_asks", "no_asks"))
    return [*([_leg(market, "yes", yes)] if yes else []), *([_leg(market, "no", no)] if no else [])]


def _merged(levels: Sequence[tuple[int, int]]) -> Levels:
    merged: dict[int, int] = {}
    for price, size in levels:
        merged[price] = merged.get(price, 0) + size
    return sorted((price, size) for price, size in merged.items() if size)


def _leg(market: _Market, outcome: Outcome, levels: Levels) -> Leg:
    values = market.values
    offer = Offer(
        key=f"{market.id}:{outcome}",
        levels=levels,
        fees=taker_fees(market.schedule),
        size_step_e6=values["size_step"],
        min_size_e6=values["min_size"],
        min_notional_e6=values["min_notional"],
    )
    return Leg(market.id, outcome, offer, market.venue.value, values["cost_step"])


def _given_leg(place: Place, values: Mapping[str, Any], markets: Mapping[str, _Market]) -> tuple[Leg, Taken]:
    market = markets.get(values["market"])
    if market is None:
        raise InvalidSet(
            f"{written(place)}.market is {values['market'][:80]!r}, which is not a market of the document."
        )
    price, size = values["price"], values["size"]
    _check_grid(market, price, place)
    leg = _leg(market, "yes" if values["side"] == "yes" else "no", [(price, size)])
    cost = cash_e6_of(price, size, paying=True)
    _check_size(place, leg.offer, size, cost)
    stepped = -(-cost // leg.cost_step_e6) * leg.cost_step_e6
    bound = fee_bound_e6(price, size, market.schedule, fills=1)
    return leg, Taken(size, stepped, leg.offer.fees.of(price, size), bound, price)


def _check_size(place: Place, offer: Offer, size: int, cost: int) -> None:
    """Refuse a size that the market would refuse."""
    shown = _plain(size_decimal(size))
    if size % offer.size_step_e6:
        step = _plain(size_decimal(offer.size_step_e6))
        raise InvalidSet(f"{written(place)}.size is {shown}, which is not a multiple of the market's size_step {step}.")
    if size < offer.min_size_e6:
        raise InvalidSet(
            f"{written(place)}.size is {shown}, below the market's min_size {_plain(size_decimal(offer.min_size_e6))}."
        )
    if cost < offer.min_notional_e6:
        least = _usd(offer.min_notional_e6)
        raise InvalidSet(f"{written(place)} costs {_usd(cost)} dollars, below the market's min_notional {least}.")


def _limits(values: Mapping[str, Any], days: Decimal | None) -> Limits:
    annualised = values["min_annualised"]
    if annualised is not None and days is None:
        raise InvalidSet("limits.min_annualised needs resolves_at.")
    return Limits(
        max_cost_e6=values["max_cost_usd"],
        cost_by_account_e6=values["cost_by_account"],
        min_edge_e6=values["min_edge_usd"],
        min_return_e6=int(Decimal(annualised or 0) / CASH_SCALE * (days or 0) / 365 * CASH_SCALE),
        max_legs=values["max_legs"],
    )


def _passed(found: Portfolio, limits: Limits) -> tuple[str, ...]:
    passed: list[str] = []
    if limits.max_cost_e6 is not None and found.cost_e6 + found.fee_e6 > limits.max_cost_e6:
        passed.append("max_cost_usd")
    for account, most in limits.cost_by_account_e6.items():
        if sum(taken.spent_e6 for leg, taken in found.legs if leg.account == account) > most:
            passed.append(f"cost_by_account.{account}")
    if limits.max_legs is not None and len(found.legs) > limits.max_legs:
        passed.append("max_legs")
    return tuple(passed)


def _days(values: Mapping[str, Any], markets: Iterable[_Market], now: datetime) -> Decimal | None:
    """Return the days until the cash of all markets is back, None where one of them has no date."""
    start, default = values["as_of"] or now, values["resolves_at"]
    _refuse_past(default, start, ("resolves_at",))
    ends: list[datetime] = []
    for market in markets:
        own = market.values["resolves_at"]
        _refuse_past(own, start, (*market.place, "resolves_at"))
        resolves = own or default
        if resolves is not None:
            ends.append(_paid_at(market, resolves))
    return days_between(start, max(ends)) if len(ends) == len(values["markets"]) else None


def _refuse_past(resolves: datetime | None, start: datetime, place: Place) -> None:
    if resolves is not None and resolves < start:
        raise InvalidSet(
            f"{written(place)} is {resolves:%Y-%m-%dT%H:%M:%SZ}, which is past at {start:%Y-%m-%dT%H:%M:%SZ}."
        )


def _paid_at(market: _Market, resolves: datetime) -> datetime:
    try:
        return resolves + timedelta(seconds=market.values["settle_lag_s"] // 1_000_000)
    except OverflowError:
        raise InvalidSet(f"{written(market.place)}.settle_lag_s leads beyond the year 9999.") from None


def _answer(found: Portfolio, days: Decimal | None) -> dict[str, Any]:
    capital = found.cost_e6 + found.fee_e6
    annualised = annualised_return(found.locked_e6, capital, days) if days is not None else None
    return {
        "locked_profit_usd": _usd(found.locked_e6),
        "stress_loss_usd": _usd(found.stress_loss_e6),
        "cost_usd": _usd(found.cost_e6),
        "fees_usd": _usd(found.fee_e6),
        "fees_bound_usd": _usd(found.fee_bound_e6),
        "legs": [
            {
                "market": leg.market,
                "side": leg.outcome,
                "size": _plain(size_decimal(taken.size_e6)),
                "limit_price": _plain(price_decimal(taken.limit_price_e4)),
            }
            for leg, taken in found.legs
        ],
        "payoffs_usd": [_usd(payoff) for payoff in found.payoffs_e6],
        "capital_usd": _usd(capital),
        "annualised_return": None if annualised is None else _plain(annualised),
        "binding": list(found.binding),
    }


def _usd(amount_e6: int) -> str:
    return _plain(cash_decimal(amount_e6))


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
