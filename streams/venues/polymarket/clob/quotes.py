"""The CLOB's small answers: prices, midpoints, spreads, last trades, terms of one token, the server itself. Pure.

They are conveniences of the venue, computed from its cached books: nothing is ordered by them. A midpoint can lie
between two ticks and a spread between tokens, so these are Decimals, in dollars per contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from streams.market.errors import InvalidAmount
from streams.market.units import PRICE_SCALE, scaled_int
from streams.venues.common.decimals import plain_decimal
from streams.venues.polymarket.amounts import OrderSide
from streams.venues.polymarket.clob.orders import side_of


@dataclass(frozen=True, slots=True)
class LastTrade:
    """The last trade of a token; `side` is None where there was none, and then the price is the venue's 0.5."""

    price: Decimal
    side: OrderSide | None


@dataclass(frozen=True, slots=True)
class TokenMarket:
    """Which market a token belongs to. The primary token is not always the YES token."""

    market_id: str
    primary_token: str
    secondary_token: str


@dataclass(frozen=True, slots=True)
class BuilderFees:
    """What a builder code adds, in basis points of the notional."""

    maker_bps: int
    taker_bps: int


@dataclass(frozen=True, slots=True)
class Geoblock:
    """Whether this machine's address may trade; `country` and `region` are what the venue takes it for."""

    is_blocked: bool
    country: str
    region: str
    payload: dict[str, Any]


def decimal_of(document: Mapping[str, Any], *names: str) -> Decimal:
    """Return the number under the first of the names that is there.

    Raises:
        InvalidAmount: If none is, or it is no number.
    """
    for name in names:
        if document.get(name) not in (None, ""):
            return Decimal(plain_decimal(document[name]))
    raise InvalidAmount(f"an answer without {names[0]}")


def decimals_by_token(document: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return the numbers of POST /midpoints and POST /spreads."""
    return {str(token): Decimal(plain_decimal(value)) for token, value in document.items()}


def prices_by_token(document: Mapping[str, Any]) -> dict[str, dict[OrderSide, Decimal]]:
    """Return the answer of POST /prices, by token and side."""
    return {
        str(token): {side_of(side): Decimal(plain_decimal(value)) for side, value in sides.items()}
        for token, sides in document.items()
    }


def last_trade_of(document: Mapping[str, Any]) -> LastTrade:
    """Return the answer of GET /last-trade-price or one row of POST /last-trades-prices."""
    side = str(document.get("side") or "")
    return LastTrade(decimal_of(document, "price"), side_of(side) if side else None)


def last_trades_of(rows: list[dict[str, Any]]) -> dict[str, LastTrade]:
    """Return the answer of POST /last-trades-prices by token."""
    return {str(row["token_id"]): last_trade_of(row) for row in rows}


def tick_e4_of(document: Mapping[str, Any]) -> int:
    """Return the answer of GET /tick-size."""
    return scaled_int(plain_decimal(document["minimum_tick_size"]), PRICE_SCALE, "tick")


def token_market_of(document: Mapping[str, Any]) -> TokenMarket:
    """Return the answer of GET /markets-by-token/{token}."""
    return TokenMarket(
        str(document["condition_id"]), str(document["primary_token_id"]), str(document["secondary_token_id"])
    )


def builder_fees_of(document: Mapping[str, Any]) -> BuilderFees:
    """Return the answer of GET /fees/builder-fees/{code}."""
    return BuilderFees(int(document["builder_maker_fee_rate_bps"]), int(document["builder_taker_fee_rate_bps"]))


def geoblock_of(document: Mapping[str, Any]) -> Geoblock:
    """Return the answer of the website's address check."""
    return Geoblock(
        bool(document["blocked"]), str(document.get("country") or ""), str(document.get("region") or ""), dict(document)
    )


def flag_of(document: Mapping[str, Any], name: str) -> bool:
    """Return a true or false of an answer.

    Raises:
        InvalidAmount: If it is neither: a market is not taken for a plain one by mistake.
    """
    value = document.get(name)
    if not isinstance(value, bool):
        raise InvalidAmount(f"{name} is neither true nor false")
    return value
