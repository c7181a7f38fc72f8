"""The operator's limits: which there are, in what unit, and their values in force. PURE.

Values are rows of `trading.limits` that nobody changes: the last one of a name is in force, or else the setting
`CROSSBOOK_LIMIT_` plus the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, get_args

from streams.market.units import CASH_SCALE

LimitName = Literal[
    "order_contracts",
    "market_usd",
    "pair_usd",
    "event_usd",
    "venue_usd",
    "total_usd",
    "daily_loss_usd",
    "edge_usd",
    "unknown_orders",
    "orders_per_minute",
    "hedges_per_minute",
]
LIMIT_NAMES: tuple[LimitName, ...] = get_args(LimitName)
LIMIT_MAX = Decimal(1_000_000_000)
"""The largest value a limit can have, in its unit."""


@dataclass(frozen=True, slots=True)
class LimitKind:
    """A limit: in what unit, how it is called, and the number of parts in which its unit is counted."""

    unit: str
    label: str
    scale: int = CASH_SCALE


KINDS: Mapping[str, LimitKind] = MappingProxyType(
    {
        "order_contracts": LimitKind("contracts", "Largest order"),
        "market_usd": LimitKind("dollars", "Most in one market"),
        "pair_usd": LimitKind("dollars", "Most in one pair or set"),
        "event_usd": LimitKind("dollars", "Most in one event"),
        "venue_usd": LimitKind("dollars", "Most on one account"),
        "total_usd": LimitKind("dollars", "Most in everything"),
        "daily_loss_usd": LimitKind("dollars", "Most lost in a UTC day"),
        "edge_usd": LimitKind("dollars", "Largest edge a contract taken unasked"),
        "unknown_orders": LimitKind("orders", "Most unknown orders", 1),
        "orders_per_minute": LimitKind("orders", "Most orders in a minute", 1),
        "hedges_per_minute": LimitKind("hedges", "Most hedges in a minute", 1),
    }
)


class BadLimit(ValueError):
    """A limit that cannot be; the message says why."""


@dataclass(frozen=True, slots=True)
class LimitValues:
    """The limits in force, in 1e-6 of dollars or contracts; those of orders and hedges are counts."""

    order_contracts_e6: int
    market_e6: int
    pair_e6: int
    event_e6: int
    venue_e6: int
    total_e6: int
    daily_loss_e6: int
    edge_e6: int
    unknown_orders: int
    orders_per_minute: int
    hedges_per_minute: int


def limit_values(by_name: Mapping[str, Decimal]) -> LimitValues:
    """Return limits as they are compared.

    Args:
        by_name: A value for each of `LIMIT_NAMES`.

    Raises:
        KeyError: If one is missing.
        BadLimit: If one cannot be a limit: nothing is allowed then.
    """
    values = {name: int(checked_limit(name, by_name[name]) * KINDS[name].scale) for name in LIMIT_NAMES}
    return LimitValues(*(values[name] for name in LIMIT_NAMES))


def checked_limit(name: str, value: Decimal) -> Decimal:
    """Return the value of a limit if it can be one.

    Raises:
        BadLimit: If there is no such limit, or the value is no finite number from 0 to `LIMIT_MAX`, or no whole one
            where something is counted.
    """
    if name not in LIMIT_NAMES:
        raise BadLimit(f"{name} is not a limit; there are {', '.join(LIMIT_NAMES)}.")
    if not value.is_finite() or not 0 <= value <= LIMIT_MAX:
        raise BadLimit(f"{name} must be a number from 0 to {LIMIT_MAX:f}.")
    if KINDS[name].scale == 1 and value != value.to_integral_value():
        raise BadLimit(f"{name} must be a whole number.")
    return value
