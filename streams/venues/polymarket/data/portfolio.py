"""Rows of Polymarket's Data API, second generation and the frozen first one, in integer units. Pure.

The second generation writes snake_case rows inside `{data, pagination}`, the first bare arrays of camelCase rows; one
parser reads both. Numbers are JSON numbers there, tiny ones in exponent form; digits beyond the sixth are dropped. The
API is cached: nothing is ordered by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from streams.market.errors import InvalidAmount
from streams.market.units import PRICE_SCALE, SIZE_SCALE
from streams.venues.common.decimals import plain_decimal, wire_seconds, wire_whole
from streams.venues.common.listed_fields import flag, id_of

_NO_OUTCOME = 999


@dataclass(frozen=True, slots=True)
class PositionState:
    """What a wallet holds of one token.

    Attributes:
        status: OPEN, REDEEMABLE, REDEEMABLE_LOST, MERGEABLE, CLOSED; "" in first-generation rows.
        average_price_e4: What one contract cost on average, without fees.
        opposite_token_id: The other outcome's token, "" where it is not stated.
    """

    market_id: str
    token_id: str
    size_e6: int
    status: str
    is_redeemable: bool
    is_mergeable: bool
    is_neg_risk: bool
    outcome_index: int | None
    average_price_e4: int
    opposite_token_id: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ActivityState:
    """One act of a wallet: TRADE, SPLIT, MERGE, REDEEM, CONVERSION, MAKER_REBATE, DEPOSIT, ...

    Attributes:
        market_id / token_id: "" for acts that belong to none.
        cash_e6: Its size in dollars.
    """

    kind: str
    market_id: str
    token_id: str
    size_e6: int
    cash_e6: int
    transaction_hash: str
    happened_at: datetime
    payload: dict[str, Any]


def parse_position(row: Mapping[str, Any]) -> PositionState:
    """Return one row of /v2/positions or /positions."""
    return PositionState(
        market_id=id_of(row, _name_in(row, "condition_id", "conditionId")).lower(),
        token_id=id_of(row, _name_in(row, "token_id", "asset")),
        size_e6=floor_e6(row[_name_in(row, "current_size", "size")]),
        status=str(row.get("status") or ""),
        is_redeemable=flag(row, "redeemable", default=False),
        is_mergeable=flag(row, "mergeable", default=False),
        is_neg_risk=flag(row, _name_in(row, "negative_risk", "negativeRisk"), default=False),
        outcome_index=_outcome_index(row.get("outcome_index", row.get("outcomeIndex"))),
        average_price_e4=_near_e4(row.get("avg_price", row.get("avgPrice", 0))),
        opposite_token_id=str(row.get("opposite_token_id", row.get("oppositeAsset")) or ""),
        payload=dict(row),
    )


def parse_activity(row: Mapping[str, Any]) -> ActivityState:
    """Return one row of /v2/activity or /activity; raises KeyError where a redemption does not say what it paid."""
    kind = str(row["type"])
    size_name = _name_in(row, "usdc_size", "usdcSize")
    return ActivityState(
        kind=kind,
        market_id=str(row.get("condition_id", row.get("conditionId")) or "").lower(),
        token_id=str(row.get("token_id", row.get("asset")) or ""),
        size_e6=floor_e6(row.get("size") or 0),
        cash_e6=floor_e6(row[size_name] if kind == "REDEEM" else row.get(size_name) or 0),
        transaction_hash=str(row.get("transaction_hash", row.get("transactionHash")) or ""),
        happened_at=datetime.fromtimestamp(wire_seconds(row["timestamp"]), UTC),
        payload=dict(row),
    )


def next_cursor_of(document: Mapping[str, Any]) -> str:
    """Return the cursor of the next page, "" on the last.

    Raises:
        InvalidAmount: If `has_more` and the cursor contradict each other: rows would be lost in silence.
    """
    pages = document.get("pagination") or {}
    cursor = str(pages.get("next_cursor") or "")
    if bool(pages.get("has_more", cursor)) != bool(cursor):
        raise InvalidAmount("has_more and next_cursor contradict each other")
    return cursor


def floor_e6(value: Any) -> int:
    """Return a JSON number as 1/1,000,000, digits beyond the sixth dropped."""
    return wire_whole((Decimal(plain_decimal(value)) * SIZE_SCALE).to_integral_value(ROUND_FLOOR))


def _near_e4(value: Any) -> int:
    return wire_whole((Decimal(plain_decimal(value)) * PRICE_SCALE).to_integral_value(ROUND_HALF_EVEN))


def _name_in(row: Mapping[str, Any], second: str, first: str) -> str:
    return second if second in row else first


def _outcome_index(value: Any) -> int | None:
    return None if value is None or wire_whole(value) == _NO_OUTCOME else wire_whole(value)
