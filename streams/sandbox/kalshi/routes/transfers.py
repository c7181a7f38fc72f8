"""Cash between Kalshi's exchange shards, the allocation that is restored by itself, and what touches subaccounts."""

from __future__ import annotations

import uuid
from typing import Any

from streams.market.errors import Refused
from streams.sandbox.http.routes import Access, Rejected, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.errors import flat, nested, not_found
from streams.sandbox.kalshi.formats import money4
from streams.sandbox.kalshi.limits import SHARDS
from streams.sandbox.kalshi.order_form import json_body
from streams.sandbox.kalshi.paging import limit_of, paged_after
from streams.sandbox.kalshi.routes.portfolio import free_cash
from streams.sandbox.kalshi.venue import KalshiVenue

_TRANSFERS = "/portfolio/intra_exchange_instance_transfer"
_STATE = "shard_transfers"
_RESERVATION = "resting_margin_reservation"
_MAX_ALLOCATIONS = 101
_CENTICENT_E6 = 100


def transfer(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Move free cash from one shard to another, in centicents. A repeated client id changes nothing."""
    body = json_body(request.body)
    amount, source, target = (
        body.get(name, 0) for name in ("amount", "source_exchange_shard", "destination_exchange_shard")
    )
    _check_transfer(body, amount, source, target)
    name = body.get("client_transfer_id")
    known = next((row for row in _made(venue, key) if name and row["client_transfer_id"] == name), None)
    if known is not None:
        return Response(200, {"transfer_id": known["transfer_id"]})
    now_ms = venue.now_ms()
    try:
        venue.exchange.transfers.transfer(key.account_id, source, target, amount * _CENTICENT_E6, now_ms)
    except Refused as error:
        if error.code == "insufficient_shard_balance":
            return nested(400, "insufficient_balance")
        raise
    row = {
        "transfer_id": str(uuid.uuid4()),
        "client_transfer_id": name,
        "source": source,
        "target": target,
        "amount": amount,
        "at_ms": now_ms,
    }
    _made(venue, key).append(row)
    venue.exchange.state.changes.saved = True
    venue.commit()
    return Response(200, {"transfer_id": row["transfer_id"]})


def list_transfers(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Transfers, newest first."""
    limit = limit_of(request, "GetIntraExchangeInstanceTransfers", 100, 500)
    rows = _made(venue, key)[::-1]
    page, cursor = paged_after(rows, request.param("cursor"), limit, lambda row: str(row["transfer_id"]))
    return Response(200, {"transfers": [_shown(row) for row in page], "cursor": cursor})


def get_transfer(venue: KalshiVenue, request: Request, key: KalshiKey, transfer_id: str) -> Response:
    """One transfer."""
    row = next((row for row in _made(venue, key) if row["transfer_id"] == transfer_id), None)
    return not_found() if row is None else Response(200, {"transfer": _shown(row)})


def _made(venue: KalshiVenue, key: KalshiKey) -> list[dict[str, Any]]:
    made: dict[str, list[dict[str, Any]]] = venue.exchange.state.saved.setdefault(_STATE, {})
    return made.setdefault(key.account_id, [])


def get_allocation(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """What share of the cash each shard should hold. What resting orders hold always counts in full (`sum`)."""
    percents = venue.exchange.state.accounts.accounts[key.account_id].allocation
    rows = [{"exchange_index": shard, "percent": percent} for shard, percent in sorted(percents.items())]
    reservation = venue.exchange.state.saved.get(_RESERVATION, {}).get(key.account_id, "sum")
    return Response(200, {"allocations": rows, "resting_margin_reservation": reservation})


def set_allocation(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Replace the allocation; an empty one ends the moving of cash."""
    body = json_body(request.body)
    rows = body.get("allocations")
    if not isinstance(rows, list) or len(rows) > _MAX_ALLOCATIONS or not all(_is_share(row) for row in rows):
        return flat(400, "bad_request", "allocations must be an array of exchange_index and percent")
    percents = {row["exchange_index"]: row["percent"] for row in rows}
    if len(percents) != len(rows) or (rows and sum(percents.values()) != 100):
        return flat(400, "bad_request", "percentages must total 100")
    how = body.get("resting_margin_reservation", "sum")
    if how not in ("sum", "max"):
        return flat(400, "bad_request", "resting_margin_reservation must be sum or max")
    venue.exchange.transfers.set_allocation(key.account_id, percents)
    venue.exchange.state.saved.setdefault(_RESERVATION, {})[key.account_id] = how
    venue.exchange.state.changes.saved = True
    venue.commit()
    return Response(200, {})


def list_subaccount_balances(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """The primary account's cash by shard; the sandbox has no other subaccounts."""
    now_ms = venue.now_ms()
    rows = [
        {
            "subaccount_number": 0,
            "exchange_index": shard,
            "balance": money4(cash),
            "updated_ts": now_ms // 1000,
        }
        for shard, cash in sorted(free_cash(venue, key, now_ms).items())
    ]
    return Response(200, {"subaccount_balances": rows})


def get_netting(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Whether collateral is netted across the markets of an event: one switch for all shards."""
    is_on = venue.exchange.state.accounts.accounts[key.account_id].is_netting
    rows = [{"subaccount_number": 0, "exchange_index": shard, "enabled": is_on} for shard in SHARDS]
    return Response(200, {"netting_configs": rows})


def set_collateral_return(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Switch netting; positions and orders that are there keep their way until their event trades or settles."""
    body = json_body(request.body)
    if body.get("subaccount_number") != 0 or not isinstance(body.get("enabled"), bool):
        return flat(400, "bad_request", "unknown subaccount")
    venue.exchange.transfers.set_collateral_return(key.account_id, is_on=body["enabled"])
    if body["enabled"] and venue.settings.netting_starts == "at_once":
        venue.exchange.transfers.return_at_once(key.account_id, venue.now_ms())
    venue.commit()
    return Response(200)


def list_nothing(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """A list on which nothing ever stands: cash comes with the account, and there is one subaccount."""
    name = request.path.rpartition("/")[2]
    limit_of(request, f"Get{name.title()}", 100, 1000 if name == "transfers" else 500)
    return Response(200, {name: [], "cursor": ""})


def refuse_subaccounts(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Accounts of the sandbox have the primary subaccount only; the refusal's form is our own."""
    return flat(400, "bad_request", "subaccounts are not available")


def _check_transfer(body: dict[str, Any], amount: Any, source: Any, target: Any) -> None:
    if any(isinstance(value, bool) or not isinstance(value, int) for value in (amount, source, target)):
        raise Rejected(flat(400, "bad_request", "amount and shards must be whole numbers"))
    if amount <= 0 or not {source, target} <= set(SHARDS) or source == target:
        raise Rejected(flat(400, "bad_request", "invalid amount or exchange shard"))
    if body.get("source") != "event_contract" or body.get("destination") != "event_contract":
        raise Rejected(flat(400, "bad_request", "only transfers within event_contract are possible"))
    if not isinstance(body.get("client_transfer_id") or "", str):
        raise Rejected(flat(400, "bad_request", "client_transfer_id must be a string"))
    if body.get("source_subaccount") or body.get("destination_subaccount"):
        raise Rejected(flat(400, "bad_request", "unknown subaccount"))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "transfer_id": row["transfer_id"],
        "source": "event_contract",
        "destination": "event_contract",
        "source_exchange_shard": row["source"],
        "destination_exchange_shard": row["target"],
        "amount": money4(row["amount"] * _CENTICENT_E6),
        "status": "complete",
        "created_ts": row["at_ms"] // 1000,
    }


def _is_share(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and type(row.get("exchange_index")) is int
        and row["exchange_index"] in SHARDS
        and type(row.get("percent")) is int
        and 0 <= row["percent"] <= 100
    )


ROUTES: list[Route[KalshiVenue]] = [
    Route("POST", _TRANSFERS, transfer, Access.SIGNED),
    Route("GET", _TRANSFERS + "s", list_transfers, Access.SIGNED),
    Route("GET", _TRANSFERS + "s/{transfer_id}", get_transfer, Access.SIGNED),
    Route("GET", "/portfolio/target_balance_allocation", get_allocation, Access.SIGNED),
    Route("POST", "/portfolio/target_balance_allocation", set_allocation, Access.SIGNED),
    Route("GET", "/portfolio/subaccounts/balances", list_subaccount_balances, Access.SIGNED),
    Route("GET", "/portfolio/subaccounts/transfers", list_nothing, Access.SIGNED),
    Route("GET", "/portfolio/subaccounts/netting", get_netting, Access.SIGNED),
    Route("PUT", "/portfolio/subaccounts/netting", set_collateral_return, Access.SIGNED),
    Route("POST", "/portfolio/subaccounts", refuse_subaccounts, Access.SIGNED),
    Route("POST", "/portfolio/subaccounts/transfer", refuse_subaccounts, Access.SIGNED),
    Route("GET", "/portfolio/deposits", list_nothing, Access.SIGNED),
    Route("GET", "/portfolio/withdrawals", list_nothing, Access.SIGNED),
]
