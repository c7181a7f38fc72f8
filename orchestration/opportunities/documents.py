"""SET.json and LEGS.json: the documents of `crossbook edges` and `crossbook calc`, and their answer.

Numbers are decimal strings, dollars and contracts. Everything that cannot be meant is refused with one sentence, and so
is a key that nobody reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from orchestration.opportunities.edges import Offer, Taken
from orchestration.opportunities.outcomes import InvalidSet, OutcomeCase, parse_outcomes
from orchestration.opportunities.portfolio import Leg, Limits, Portfolio, best_portfolio, evaluate
from orchestration.opportunities.returns import annualised_return, days_between
from streams.documents import BadDocument, check_keys
from streams.market.errors import InvalidAmount
from streams.market.events import Levels
from streams.market.fees import FEE_KEYS, FeeSchedule, fee_bound_e6, from_json
from streams.market.identity import Outcome, Venue
from streams.market.taker_fees import taker_fees
from streams.market.units import (
    PRICE_ONE_E4,
    cash_decimal,
    cash_e6,
    cash_e6_of,
    price_decimal,
    price_e4,
    size_decimal,
    size_e6,
)

_SET_KEYS = frozenset({"as_of", "markets", "outcomes", "resolves_at", "limits"})
_MARKET_KEYS = frozenset(
    {
        *("id", "venue", "fee", "yes_asks", "no_asks", "size_step", "min_size", "min_notional", "price_ranges"),
        *("cost_step", "resolves_at", "settle_lag_s"),
    }
)
_LEG_KEYS = frozenset({"market", "side", "size", "price"})
_LIMIT_KEYS = frozenset({"max_cost_usd", "cost_by_account", "min_edge_usd", "min_annualised", "max_legs"})
_OUTCOME_KEYS = frozenset({"name", "kind", "settles"})
_RANGE_KEYS = ("start", "end", "step")
_MARKETS_MAX, _LEVELS_MAX, _LEGS_MAX = 2_000, 10_000, 10_000
_LAG_MAX_S = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class _Market:
    id: str
    venue: Venue
    raw: Mapping[str, Any]
    settles_at: datetime | None


def edges_answer(document: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the best portfolio over a set of related books.

    Raises:
        InvalidSet: If the document cannot be used.
    """
    markets, cases = _frame(document, _SET_KEYS)
    legs = [leg for market in markets.values() for leg in _offered_legs(market)]
    days = _days(document, markets.values(), now)
    limits = _limits(document, days)
    found = best_portfolio(legs, cases, limits)
    minimum = _mapping(document.get("limits"), "limits").get("min_annualised")
    if minimum is not None and days is None:
        raise InvalidSet("min_annualised needs resolves_at.")
    return _answer(found, days)


def calc_answer(document: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return what given legs cost, pay and lock in.

    Raises:
        InvalidSet: If the document cannot be used.
    """
    markets, cases = _frame(document, _SET_KEYS | {"legs"})
    raw_legs = _sequence(document.get("legs"), "legs", _LEGS_MAX)
    if not raw_legs:
        raise InvalidSet("The document has no legs.")
    taken = [_given_leg(number, raw, markets) for number, raw in enumerate(raw_legs, start=1)]
    days = _days(document, markets.values(), now)
    found = evaluate(taken, cases)
    limits = _limits(document, days)
    passed = _passed(found, limits)
    return _answer(Portfolio(found.legs, found.payoffs_e6, found.locked_e6, found.stress_loss_e6, passed), days)


def _frame(document: Mapping[str, Any], known: frozenset[str]) -> tuple[dict[str, _Market], tuple[OutcomeCase, ...]]:
    if not isinstance(document, Mapping):
        raise InvalidSet("The file must hold one JSON object.")
    _check_keys(document, known, "")
    raw_markets = _sequence(document.get("markets"), "markets", _MARKETS_MAX)
    if not raw_markets:
        raise InvalidSet("The set has no markets.")
    markets: dict[str, _Market] = {}
    for number, raw in enumerate(raw_markets):
        market = _market(raw, f"markets[{number}]")
        if market.id in markets:
            raise InvalidSet(f"The market {market.id[:80]!r} is in the set twice.")
        markets[market.id] = market
    outcomes = document.get("outcomes")
    for number, raw in enumerate(outcomes if isinstance(outcomes, list) else []):
        if isinstance(raw, Mapping):
            _check_keys(raw, _OUTCOME_KEYS, f"outcomes[{number}]")
    return markets, parse_outcomes(outcomes, markets)


def _check_keys(document: Mapping[str, Any], known: frozenset[str], place: str) -> None:
    try:
        check_keys(document, known, place)
    except BadDocument as error:
        raise InvalidSet(f"{error}.") from None


def _mapping(raw: Any, place: str) -> Mapping[str, Any]:
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise InvalidSet(f"{place} must be a JSON object.")
    return raw


def _sequence(raw: Any, place: str, most: int) -> Sequence[Any]:
    if raw is None:
        return []
    if not isinstance(raw, list | tuple):
        raise InvalidSet(f"{place} must be a JSON array.")
    if len(raw) > most:
        raise InvalidSet(f"{place} has {len(raw)} entries; at most {most} can be handled.")
    return raw


def _market(raw: Any, place: str) -> _Market:
    if not isinstance(raw, Mapping) or not raw.get("id") or not isinstance(raw["id"], str | int):
        raise InvalidSet(f"Every market needs an id; {place} has none.")
    _check_keys(raw, _MARKET_KEYS, place)
    market = str(raw["id"])
    try:
        venue = Venue(str(raw.get("venue")))
    except ValueError:
        raise InvalidSet(
            f"Market {market!r}: venue is kalshi or polymarket, not {str(raw.get('venue'))[:40]!r}."
        ) from None
    return _Market(market, venue, raw, _time(raw.get("resolves_at"), f"Market {market!r}: resolves_at"))


def _offered_legs(market: _Market) -> list[Leg]:
    legs: list[Leg] = []
    for outcome, name in (("yes", "yes_asks"), ("no", "no_asks")):
        levels = _levels(market, name)
        if levels:
            legs.append(_leg(market, "yes" if outcome == "yes" else "no", levels))
    return legs


def _schedule(market: _Market) -> FeeSchedule:
    fee = _mapping(market.raw.get("fee"), f"Market {market.id[:80]!r}: fee")
    _check_keys(fee, FEE_KEYS[market.venue], f"Market {market.id[:80]!r}: fee")
    return from_json(market.venue, fee)


def _leg(market: _Market, outcome: Outcome, levels: Levels) -> Leg:
    raw = market.raw
    try:
        schedule = _schedule(market)
        offer = Offer(
            key=f"{market.id}:{outcome}",
            levels=levels,
            fees=taker_fees(schedule),
            size_step_e6=size_e6(raw.get("size_step", "0.01")),
            min_size_e6=size_e6(raw.get("min_size", "0")),
            min_notional_e6=cash_e6(raw.get("min_notional", "0")),
        )
        cost_step = cash_e6(raw.get("cost_step", "0.000001"))
    except (InvalidAmount, TypeError, AttributeError) as error:
        raise InvalidSet(f"Market {market.id[:80]!r}: {error}.") from None
    if offer.size_step_e6 <= 0 or cost_step <= 0:
        raise InvalidSet(f"Market {market.id[:80]!r}: size_step and cost_step must be above zero.")
    return Leg(market.id, outcome, offer, market.venue.value, cost_step)


def _levels(market: _Market, name: str) -> Levels:
    merged: dict[int, int] = {}
    for number, item in enumerate(_sequence(market.raw.get(name), f"Market {market.id[:80]!r}: {name}", _LEVELS_MAX)):
        try:
            raw_price, raw_size = item if isinstance(item, list | tuple) else ()
            price, size = price_e4(raw_price), size_e6(raw_size)
        except (InvalidAmount, ValueError) as error:
            said = error if isinstance(error, InvalidAmount) else "this is none"
            raise InvalidSet(
                f"Market {market.id[:80]!r}: {name}[{number}] holds [price, size] pairs: {said}."
            ) from None
        if not 0 < price < PRICE_ONE_E4 or size < 0:
            raise InvalidSet(f"Market {market.id[:80]!r}: {name} has a price outside 0 to 1 or a negative size.")
        _check_grid(market, price)
        merged[price] = merged.get(price, 0) + size
    return sorted((price, size) for price, size in merged.items() if size)


def _check_grid(market: _Market, price: int) -> None:
    """Refuse a level whose price is not on the grid. `price_ranges`: [{start, end, step}] or [[start, end, step]]."""
    place = f"Market {market.id[:80]!r}: price_ranges"
    ranges = _sequence(market.raw.get("price_ranges"), place, _LEVELS_MAX)
    if not ranges:
        return
    for number, item in enumerate(ranges):
        try:
            start, end, step = [item[key] for key in _RANGE_KEYS] if isinstance(item, Mapping) else item
            low, high, grid = price_e4(start), price_e4(end), price_e4(step)
        except (InvalidAmount, KeyError, TypeError, ValueError):
            raise InvalidSet(f"{place}[{number}] must be [start, end, step] in dollars.") from None
        if low <= price <= high and grid > 0 and (price - low) % grid == 0:
            return
    raise InvalidSet(f"Market {market.id[:80]!r}: {price_decimal(price)} is not on its price grid.")


def _given_leg(number: int, raw: Any, markets: Mapping[str, _Market]) -> tuple[Leg, Taken]:
    if not isinstance(raw, Mapping) or str(raw.get("market")) not in markets:
        named = raw.get("market") if isinstance(raw, Mapping) else raw
        raise InvalidSet(f"Leg {number} names {str(named)[:80]!r}, which is not a market of the document.")
    _check_keys(raw, _LEG_KEYS, f"legs[{number - 1}]")
    market = markets[str(raw["market"])]
    if raw.get("side") not in ("yes", "no"):
        raise InvalidSet(f"Leg {number}: side is yes or no, not {str(raw.get('side'))[:40]!r}.")
    try:
        price, size = price_e4(raw.get("price", "")), size_e6(raw.get("size", ""))
        if not 0 < price < PRICE_ONE_E4 or size <= 0:
            raise InvalidAmount("a leg needs a price strictly between 0 and 1 and a size above 0")
        leg = _leg(market, "yes" if raw["side"] == "yes" else "no", [(price, size)])
        cost = -(-cash_e6_of(price, size, paying=True) // leg.cost_step_e6) * leg.cost_step_e6
        bound = fee_bound_e6(price, size, _schedule(market), fills=1)
    except (InvalidAmount, TypeError) as error:
        raise InvalidSet(f"Leg {number}: {error}.") from None
    return leg, Taken(size, cost, leg.offer.fees.of(price, size), bound, price)


def _limits(document: Mapping[str, Any], days: Decimal | None) -> Limits:
    raw = _mapping(document.get("limits"), "limits")
    _check_keys(raw, _LIMIT_KEYS, "limits")
    accounts = _mapping(raw.get("cost_by_account"), "limits.cost_by_account")
    try:
        annualised = Decimal(cash_e6(raw.get("min_annualised") or "0")) / 1_000_000
        return Limits(
            max_cost_e6=cash_e6(raw["max_cost_usd"]) if raw.get("max_cost_usd") is not None else None,
            cost_by_account_e6={str(name): cash_e6(most) for name, most in accounts.items()},
            min_edge_e6=cash_e6(raw.get("min_edge_usd") or "0"),
            min_return_e6=int(annualised * (days or Decimal(0)) / 365 * 1_000_000),
            max_legs=_count(raw["max_legs"]) if raw.get("max_legs") is not None else None,
        )
    except InvalidAmount as error:
        raise InvalidSet(f"The limits cannot be used: {error}.") from None


def _count(raw: Any) -> int:
    count, rest = divmod(size_e6(raw), 1_000_000)
    if rest or count < 0:
        raise InvalidAmount(f"max_legs must be a whole number of at least 0, not {str(raw)[:40]!r}")
    return count


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


def _days(document: Mapping[str, Any], markets: Any, now: datetime) -> Decimal | None:
    start = _time(document.get("as_of"), "as_of") or now
    default = _time(document.get("resolves_at"), "resolves_at")
    ends: list[datetime] = []
    for market in markets:
        resolves = market.settles_at or default
        if resolves is None:
            return None
        ends.append(_paid_at(market, resolves))
    return days_between(start, max(ends))


def _paid_at(market: _Market, resolves: datetime) -> datetime:
    place = f"Market {market.id[:80]!r}: settle_lag_s"
    try:
        lag_s = cash_e6(market.raw.get("settle_lag_s") or 0) // 1_000_000
        if not 0 <= lag_s <= _LAG_MAX_S:
            raise InvalidAmount("it must lie between 0 and ten years")
        return resolves + timedelta(seconds=lag_s)
    except (InvalidAmount, OverflowError) as error:
        raise InvalidSet(f"{place} cannot be used: {error}.") from None


def _time(raw: Any, what: str) -> datetime | None:
    if raw is None or raw == "":
        return None
    try:
        value = datetime.fromisoformat(raw if isinstance(raw, str) else "")
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidSet(f"{what} is not an ISO 8601 time: {str(raw)[:40]!r}.") from None


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
