"""Kalshi's cash, positions, settlements and what else an account holds, in integer units. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from streams.market.errors import InvalidAmount, NotFound
from streams.market.identity import Outcome
from streams.venues.common.decimals import wire_cash_e6, wire_cents_e6, wire_seconds, wire_size_e6, wire_whole
from streams.venues.common.listed_fields import id_of, shown
from streams.venues.common.responses import items_of
from streams.venues.common.times import at_seconds, parse_time
from streams.venues.kalshi.types.orders import cash_of

_CENTICENT_E6 = 100


@dataclass(frozen=True, slots=True)
class Balance:
    """The cash of an account.

    Attributes:
        cash_e6: Over all shards; an order can only use what lies on its market's shard.
        portfolio_value_e6: What the venue values the holdings at, in whole cents.
        by_shard: Cash by exchange_index; empty where the venue states no breakdown.
        updated_at: When it last changed.
    """

    cash_e6: int
    portfolio_value_e6: int
    by_shard: dict[int, int]
    updated_at: datetime | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PositionState:
    """What we hold of one market: contracts above zero are YES, below zero NO."""

    market_id: str
    contracts_e6: int
    exposure_e6: int
    traded_e6: int
    realised_e6: int
    fee_e6: int
    exchange_index: int | None
    updated_at: datetime | None
    payload: dict[str, Any]

    @property
    def outcome(self) -> Outcome:
        """The outcome held."""
        return "yes" if self.contracts_e6 >= 0 else "no"


@dataclass(frozen=True, slots=True)
class EventPositionState:
    """What we hold of all markets of one event together."""

    event_id: str
    cost_e6: int
    contracts_e6: int
    exposure_e6: int
    realised_e6: int
    fee_e6: int
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Positions:
    """Positions by market and by event, as one list answers them."""

    markets: list[PositionState]
    events: list[EventPositionState]


@dataclass(frozen=True, slots=True)
class SettlementState:
    """What one market paid us when it settled. `revenue_e6` and `value_e4` are whole cents, as the venue states them.

    Attributes:
        result: yes, no or scalar (also how voids settle).
        yes_e6 / no_e6: Contracts held.
        yes_cost_e6 / no_cost_e6: What they had cost.
    """

    market_id: str
    event_id: str
    result: str
    yes_e6: int
    no_e6: int
    yes_cost_e6: int
    no_cost_e6: int
    revenue_e6: int
    value_e4: int | None
    fee_e6: int
    settled_at: datetime | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """How many contracts stand before one of our resting orders."""

    order_id: str
    market_id: str
    ahead_e6: int


@dataclass(frozen=True, slots=True)
class RestingValue:
    """What our resting orders are worth: whole cents in sum, by shard exact."""

    value_e6: int
    by_shard: dict[int, int]
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ShardTransfer:
    """Cash moved from one shard to another."""

    transfer_id: str
    source: int
    destination: int
    amount_e6: int
    status: str
    created_at: datetime | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CashMovement:
    """A deposit or a withdrawal of an account, or what came to or left one of its subaccounts.

    Attributes:
        status: pending, applied, failed or returned; applied: the account's cash has changed by it.
        fee_e6: What was charged for it; whether the amount holds it the venue does not say.
    """

    movement_id: str
    status: str
    amount_e6: int
    fee_e6: int
    happened_at: datetime | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What a key may do.

    Attributes:
        scopes: As the venue names them.
        subaccount: The one subaccount that it is limited to; None for a key of the whole account.
        ends_at: When the account's word about its place, without which no key is served, is no longer good; None: it
            has given none.
    """

    scopes: frozenset[str]
    subaccount: int | None
    ends_at: datetime | None

    @property
    def may_trade(self) -> bool:
        """Whether it may send orders."""
        return bool(self.scopes & {"write", "write::trade"})

    @property
    def is_of_a_broker(self) -> bool:
        """Whether it has what only accounts through a broker (FCM) can be given."""
        return "write::fcm_risk" in self.scopes


def parse_key_terms(answer: Mapping[str, Any], key_id: str) -> KeyTerms:
    """Return the terms of a key among those that `GET /api_keys` lists.

    Raises:
        NotFound: If it is not listed.
        KeyError, TypeError, ValueError: If its entry cannot be read.
    """
    ends = answer.get("api_key_region_expiration_ts")
    for entry in items_of(answer, "api_keys"):
        if isinstance(entry, dict) and key_id and entry.get("api_key_id") == key_id:
            number = entry.get("subaccount")
            return KeyTerms(
                frozenset(str(scope) for scope in items_of(entry, "scopes")),
                None if number is None else wire_whole(number),
                None if ends is None else datetime.fromtimestamp(wire_seconds(ends), UTC),
            )
    raise NotFound("Kalshi does not list the key that is stored")


def parse_cash_movement(document: dict[str, Any]) -> CashMovement:
    """Return one row of /portfolio/deposits or /portfolio/withdrawals, at the time when it was final."""
    return CashMovement(
        movement_id=id_of(document, "id"),
        status=str(document["status"]),
        amount_e6=wire_cents_e6(document["amount_cents"]),
        fee_e6=wire_cents_e6(document["fee_cents"]),
        happened_at=at_seconds(document.get("finalized_ts") or document["created_ts"]),
        payload=document,
    )


@dataclass(frozen=True, slots=True)
class SubaccountTransfer:
    """Cash moved from one subaccount to another (0 is the primary one), on one exchange shard."""

    transfer_id: str
    source: int
    destination: int
    exchange_index: int
    amount_e6: int
    created_at: datetime | None
    payload: dict[str, Any]


def parse_subaccount_transfer(document: dict[str, Any]) -> SubaccountTransfer:
    """Return one row of /portfolio/subaccounts/transfers."""
    return SubaccountTransfer(
        transfer_id=id_of(document, "transfer_id"),
        source=wire_whole(document["from_subaccount"]),
        destination=wire_whole(document["to_subaccount"]),
        exchange_index=wire_whole(document["exchange_index"]),
        amount_e6=wire_cents_e6(document["amount_cents"]),
        created_at=at_seconds(document["created_ts"]),
        payload=document,
    )


def parse_balance(document: dict[str, Any]) -> Balance:
    """Return GET /portfolio/balance: the exact string where there is one, else whole cents."""
    exact = document.get("balance_dollars")
    return Balance(
        cash_e6=wire_cash_e6(exact) if exact else wire_cents_e6(document["balance"]),
        portfolio_value_e6=shown(document.get("portfolio_value") or 0, wire_cents_e6) or 0,
        by_shard=_by_shard(document.get("balance_breakdown")),
        updated_at=at_seconds(document.get("updated_ts")),
        payload=document,
    )


def parse_position(document: dict[str, Any]) -> PositionState:
    """Return one entry of `market_positions`."""
    return PositionState(
        market_id=id_of(document, "ticker"),
        contracts_e6=wire_size_e6(document["position_fp"]),
        exposure_e6=cash_of(document, "market_exposure_dollars"),
        traded_e6=cash_of(document, "total_traded_dollars"),
        realised_e6=cash_of(document, "realized_pnl_dollars"),
        fee_e6=cash_of(document, "fees_paid_dollars"),
        exchange_index=shown(document.get("exchange_index"), wire_whole),
        updated_at=parse_time(document.get("last_updated_ts")),
        payload=document,
    )


def parse_event_position(document: dict[str, Any]) -> EventPositionState:
    """Return one entry of `event_positions`."""
    return EventPositionState(
        event_id=id_of(document, "event_ticker"),
        cost_e6=cash_of(document, "total_cost_dollars"),
        contracts_e6=wire_size_e6(document["total_cost_shares_fp"]),
        exposure_e6=cash_of(document, "event_exposure_dollars"),
        realised_e6=cash_of(document, "realized_pnl_dollars"),
        fee_e6=cash_of(document, "fees_paid_dollars"),
        payload=document,
    )


def parse_settlement(document: dict[str, Any]) -> SettlementState:
    """Return one entry of GET /portfolio/settlements."""
    value = document.get("value")
    return SettlementState(
        market_id=id_of(document, "ticker"),
        event_id=str(document.get("event_ticker") or ""),
        result=str(document["market_result"]),
        yes_e6=wire_size_e6(document["yes_count_fp"]),
        no_e6=wire_size_e6(document["no_count_fp"]),
        yes_cost_e6=cash_of(document, "yes_total_cost_dollars"),
        no_cost_e6=cash_of(document, "no_total_cost_dollars"),
        revenue_e6=wire_cents_e6(document["revenue"]),
        value_e4=None if value is None else wire_cents_e6(value) // 100,
        fee_e6=cash_of(document, "fee_cost"),
        settled_at=parse_time(document.get("settled_time")),
        payload=document,
    )


def parse_queue_position(document: dict[str, Any]) -> QueuePosition:
    """Return one entry of `queue_positions`."""
    return QueuePosition(
        id_of(document, "order_id"), id_of(document, "market_ticker"), wire_size_e6(document["queue_position_fp"])
    )


def parse_resting_value(document: dict[str, Any]) -> RestingValue:
    """Return GET /portfolio/summary/total_resting_order_value."""
    return RestingValue(
        value_e6=wire_cents_e6(document["total_resting_order_value"]),
        by_shard=_by_shard(document.get("resting_order_value_breakdown")),
        payload=document,
    )


def parse_transfer(document: dict[str, Any]) -> ShardTransfer:
    """Return one transfer between shards; its amount is read in dollars, though it was asked for in centicents."""
    return ShardTransfer(
        transfer_id=id_of(document, "transfer_id"),
        source=wire_whole(document["source_exchange_shard"]),
        destination=wire_whole(document["destination_exchange_shard"]),
        amount_e6=wire_cash_e6(document["amount"]),
        status=str(document["status"]),
        created_at=at_seconds(document.get("created_ts")),
        payload=document,
    )


def transfer_body(source: int, destination: int, amount_e6: int, client_transfer_id: str = "") -> dict[str, Any]:
    """Return the request that moves cash between shards.

    Raises:
        InvalidAmount: If it is not a positive whole number of centicents (0.0001 dollar), or goes nowhere.
    """
    if amount_e6 <= 0 or amount_e6 % _CENTICENT_E6:
        raise InvalidAmount(f"not a positive multiple of 0.0001 dollar: {amount_e6}")
    if source == destination:
        raise InvalidAmount(f"a transfer from shard {source} to itself")
    body: dict[str, Any] = {
        "source": "event_contract",
        "destination": "event_contract",
        "source_exchange_shard": source,
        "destination_exchange_shard": destination,
        "amount": amount_e6 // _CENTICENT_E6,
    }
    return body | {"client_transfer_id": client_transfer_id} if client_transfer_id else body


def allocation_body(percents: dict[int, int]) -> dict[str, Any]:
    """Return the request that sets which share of the cash each shard is to hold.

    Raises:
        InvalidAmount: If the shares are not from 0 to 100 or do not sum up to 100.
    """
    if any(not 0 <= percent <= 100 for percent in percents.values()) or sum(percents.values()) != 100:
        raise InvalidAmount(f"shares of shards must sum up to 100: {percents}")
    return {
        "allocations": [{"exchange_index": index, "percent": percent} for index, percent in sorted(percents.items())]
    }


def parse_allocation(document: dict[str, Any]) -> dict[int, int]:
    """Return percent by exchange_index."""
    return {wire_whole(entry["exchange_index"]): wire_whole(entry["percent"]) for entry in document["allocations"]}


def _by_shard(entries: Any) -> dict[int, int]:
    return {wire_whole(entry["exchange_index"]): wire_cash_e6(entry["balance"]) for entry in entries or []}
