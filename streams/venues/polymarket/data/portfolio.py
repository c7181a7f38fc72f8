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
from streams.venues.common.decimals import plain_decimal

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
        market_id=str(_of(row, "condition_id", "conditionId")),
        token_id=str(_of(row, "token_id", "asset")),
        size_e6=floor_e6(_of(row, "current_size", "size")),
        status=str(row.get("status") or ""),
        is_redeemable=bool(row.get("redeemable")),
        is_mergeable=bool(row.get("mergeable")),
        is_neg_risk=bool(row.get("negative_risk", row.get("negativeRisk"))),
        outcome_index=_outcome_index(row.get("outcome_index", row.get("outcomeIndex"))),
        average_price_e4=_near_e4(row.get("avg_price", row.get("avgPrice", 0))),
        opposite_token_id=str(row.get("opposite_token_id", row.get("oppositeAsset")) or ""),
        payload=dict(row),
    )


def parse_activity(row: Mapping[str, Any]) -> ActivityState:
    """Return one row of /v2/activity or /activity."""
    return ActivityState(
        kind=str(row["type"]),
        market_id=str(row.get("condition_id", row.get("conditionId")) or ""),
        token_id=str(row.get("token_id", row.get("asset")) or ""),
        size_e6=floor_e6(row.get("size") or 0),
        cash_e6=floor_e6(row.get("usdc_size", row.get("usdcSize")) or 0),
        transaction_hash=str(row.get("transaction_hash", row.get("transactionHash")) or ""),
        happened_at=_at(row["timestamp"]),
        payload=dict(row),
    )


def rows_of(document: Any) -> list[dict[str, Any]]:
    """Return the rows of an answer of either generation.

    Raises:
        InvalidAmount: If there are none.
    """
    rows = document.get("data") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise InvalidAmount("an answer without rows")
    return rows


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
    return int((Decimal(plain_decimal(value)) * SIZE_SCALE).to_integral_value(ROUND_FLOOR))


def _near_e4(value: Any) -> int:
    return int((Decimal(plain_decimal(value)) * PRICE_SCALE).to_integral_value(ROUND_HALF_EVEN))


def _of(row: Mapping[str, Any], second: str, first: str) -> Any:
    return row[second] if second in row else row[first]


def _outcome_index(value: Any) -> int | None:
    return None if value is None or int(value) == _NO_OUTCOME else int(value)


def _at(seconds: Any) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
