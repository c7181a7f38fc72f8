"""Cash between Kalshi's exchange shards, the allocation that is kept by itself, and what touches subaccounts."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from streams.market.errors import Refused
from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.kalshi.errors import flat, nested, not_found, refusal
from streams.sandbox.kalshi.formats import money4
from streams.sandbox.kalshi.limits import SHARDS
from streams.sandbox.kalshi.order_form import json_body
from streams.sandbox.kalshi.paging import limit_of, paged_after
from streams.sandbox.kalshi.routes.portfolio import free_cash

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace
    from streams.sandbox.kalshi.auth import KalshiKey

_STATE = "shard_transfers"
_RESERVATION = "resting_margin_reservation"
_MAX_ALLOCATIONS = 101
_CENTICENT_E6 = 100


class TransferRest:
    """Every handler is signed."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        signed = self._face.signed
        transfers = "/portfolio/intra_exchange_instance_transfer"
        router.add("POST", transfers, signed(self.transfer))
        router.add("GET", transfers + "s", signed(self.transfers))
        router.add("GET", transfers + "s/{transfer_id}", signed(self.one_transfer))
        router.add("GET", "/portfolio/target_balance_allocation", signed(self.allocation))
        router.add("POST", "/portfolio/target_balance_allocation", signed(self.set_allocation))
        router.add("GET", "/portfolio/subaccounts/balances", signed(self.subaccount_balances))
        router.add("GET", "/portfolio/subaccounts/transfers", signed(self._empty("transfers", "GetTransfers")))
        router.add("GET", "/portfolio/subaccounts/netting", signed(self.netting))
        router.add("PUT", "/portfolio/subaccounts/netting", signed(self.set_netting))
        router.add("POST", "/portfolio/subaccounts", signed(_no_subaccounts))
        router.add("POST", "/portfolio/subaccounts/transfer", signed(_no_subaccounts))
        router.add("GET", "/portfolio/deposits", signed(self._empty("deposits", "GetDeposits", 500)))
        router.add("GET", "/portfolio/withdrawals", signed(self._empty("withdrawals", "GetWithdrawals", 500)))

    def transfer(self, request: Request, key: KalshiKey) -> Response:
        """Move free cash from one shard to another, in centicents. A repeated client id changes nothing."""
        body = json_body(request.body)
        if isinstance(body, Response):
            return body
        amount, source, target = (
            body.get(name, 0) for name in ("amount", "source_exchange_shard", "destination_exchange_shard")
        )
        wrong = _wrong_transfer(body, amount, source, target)
        if wrong is not None:
            return wrong
        name = body.get("client_transfer_id")
        known = next((row for row in self._made(key) if name and row["client_transfer_id"] == name), None)
        if known is not None:
            return Response(200, {"transfer_id": known["transfer_id"]})
        now_ms = self._face.now_ms()
        try:
            self._exchange.transfer(key.account_id, source, target, amount * _CENTICENT_E6, now_ms)
        except Refused as error:
            if error.code == "insufficient_shard_balance":
                return nested(400, "insufficient_balance")
            return refusal(error, self._face.settings)
        row = {
            "transfer_id": str(uuid.uuid4()),
            "client_transfer_id": name,
            "source": source,
            "target": target,
            "amount": amount,
            "at_ms": now_ms,
        }
        self._made(key).append(row)
        self._exchange.changes.face = True
        self._face.commit()
        return Response(200, {"transfer_id": row["transfer_id"]})

    def transfers(self, request: Request, key: KalshiKey) -> Response:
        """Transfers, newest first."""
        limit = limit_of(request, "GetIntraExchangeInstanceTransfers", 100, 500)
        rows = self._made(key)[::-1]
        page, cursor = paged_after(rows, request.param("cursor"), limit, lambda row: str(row["transfer_id"]))
        return Response(200, {"transfers": [_shown(row) for row in page], "cursor": cursor})

    def one_transfer(self, request: Request, key: KalshiKey, transfer_id: str) -> Response:
        """One transfer."""
        row = next((row for row in self._made(key) if row["transfer_id"] == transfer_id), None)
        return not_found() if row is None else Response(200, {"transfer": _shown(row)})

    def _made(self, key: KalshiKey) -> list[dict[str, Any]]:
        made: dict[str, list[dict[str, Any]]] = self._exchange.face_state.setdefault(_STATE, {})
        return made.setdefault(key.account_id, [])

    def allocation(self, request: Request, key: KalshiKey) -> Response:
        """What share of the cash each shard should hold. What resting orders hold always counts in full (`sum`)."""
        percents = self._exchange.accounts.accounts[key.account_id].allocation
        rows = [{"exchange_index": shard, "percent": percent} for shard, percent in sorted(percents.items())]
        kept = self._exchange.face_state.get(_RESERVATION, {}).get(key.account_id, "sum")
        return Response(200, {"allocations": rows, "resting_margin_reservation": kept})

    def set_allocation(self, request: Request, key: KalshiKey) -> Response:
        """Replace the allocation; an empty one ends the moving of cash."""
        body = json_body(request.body)
        if isinstance(body, Response):
            return body
        rows = body.get("allocations")
        if not isinstance(rows, list) or len(rows) > _MAX_ALLOCATIONS or not all(_is_share(row) for row in rows):
            return flat(400, "bad_request", "allocations must be an array of exchange_index and percent")
        percents = {row["exchange_index"]: row["percent"] for row in rows}
        if len(percents) != len(rows) or (rows and sum(percents.values()) != 100):
            return flat(400, "bad_request", "percentages must total 100")
        how = body.get("resting_margin_reservation", "sum")
        if how not in ("sum", "max"):
            return flat(400, "bad_request", "resting_margin_reservation must be sum or max")
        self._exchange.set_allocation(key.account_id, percents)
        self._exchange.face_state.setdefault(_RESERVATION, {})[key.account_id] = how
        self._exchange.changes.face = True
        self._face.commit()
        return Response(200, {})

    def subaccount_balances(self, request: Request, key: KalshiKey) -> Response:
        """The primary account's cash by shard; the sandbox has no other subaccounts."""
        now_ms = self._face.now_ms()
        rows = [
            {
                "subaccount_number": 0,
                "exchange_index": shard,
                "balance": money4(cash),
                "updated_ts": now_ms // 1000,
            }
            for shard, cash in sorted(free_cash(self._face, key, now_ms).items())
        ]
        return Response(200, {"subaccount_balances": rows})

    def netting(self, request: Request, key: KalshiKey) -> Response:
        """Whether collateral is netted across the markets of an event: one switch for all shards."""
        is_on = self._exchange.accounts.accounts[key.account_id].is_netting
        rows = [{"subaccount_number": 0, "exchange_index": shard, "enabled": is_on} for shard in SHARDS]
        return Response(200, {"netting_configs": rows})

    def set_netting(self, request: Request, key: KalshiKey) -> Response:
        """Switch netting; positions and orders that are there keep their way until their event trades or settles."""
        body = json_body(request.body)
        if isinstance(body, Response):
            return body
        if body.get("subaccount_number") != 0 or not isinstance(body.get("enabled"), bool):
            return flat(400, "bad_request", "unknown subaccount")
        self._exchange.set_netting(key.account_id, is_on=body["enabled"])
        if body["enabled"] and self._face.settings.netting_starts == "at_once":
            self._exchange.net_at_once(key.account_id, self._face.now_ms())
        self._face.commit()
        return Response(200)

    def _empty(self, name: str, call: str, most: int = 1000) -> Any:
        def handler(request: Request, key: KalshiKey) -> Response:
            limit_of(request, call, 100, most)
            return Response(200, {name: [], "cursor": ""})

        return handler


def _no_subaccounts(request: Request, key: KalshiKey) -> Response:
    """Accounts of the sandbox have the primary subaccount only; the refusal's form is our own."""
    return flat(400, "bad_request", "subaccounts are not available")


def _wrong_transfer(body: dict[str, Any], amount: Any, source: Any, target: Any) -> Response | None:
    if any(isinstance(value, bool) or not isinstance(value, int) for value in (amount, source, target)):
        return flat(400, "bad_request", "amount and shards must be whole numbers")
    if amount <= 0 or not {source, target} <= set(SHARDS) or source == target:
        return flat(400, "bad_request", "invalid amount or exchange shard")
    if body.get("source") != "event_contract" or body.get("destination") != "event_contract":
        return flat(400, "bad_request", "only transfers within event_contract are possible")
    if not isinstance(body.get("client_transfer_id") or "", str):
        return flat(400, "bad_request", "client_transfer_id must be a string")
    if body.get("source_subaccount") or body.get("destination_subaccount"):
        return flat(400, "bad_request", "unknown subaccount")
    return None


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
