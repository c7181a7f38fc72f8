"""The relayer: takes signed transactions of smart wallets, answers at once, and carries them out a little later.

What it has taken is in the exchange's saved state, oldest first: {id: {wallet, owner, calls, state, at_ms, error}}.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from eth_utils.address import to_checksum_address

from streams.sandbox.http.routes import Access, Rejected, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.auth import account_of
from streams.sandbox.polymarket.chain.calldata import BadCall, Call, multisend_calls, proxied_calls
from streams.sandbox.polymarket.chain.inventory import Reverted, Transaction, carry_out
from streams.sandbox.polymarket.contracts import RELAY, SAFE_MULTISEND
from streams.sandbox.polymarket.formats import parsed
from streams.sandbox.polymarket.signing import (
    address_bytes,
    batch_digest,
    hex_bytes,
    personal_digest,
    proxy_digest,
    recovered,
    safe_digest,
    unwrapped,
)
from streams.sandbox.polymarket.venue import PolymarketVenue
from streams.sandbox.polymarket.wallets import DEPOSIT, PROXY, SAFE, owned_wallets

_KINDS = {"PROXY": PROXY, "SAFE": SAFE, "WALLET": DEPOSIT}
_STEPS = ("STATE_NEW", "STATE_EXECUTED", "STATE_MINED", "STATE_CONFIRMED")
_MOST_RELAYED = 500


class Refusal(Rejected):
    """A transaction the relayer does not take."""

    def __init__(self, text: str) -> None:
        super().__init__(Response(400, {"error": text}))


def submit(venue: PolymarketVenue, request: Request) -> Response:
    """Take a transaction; what became of it is asked for later."""
    body = parsed(request.body)
    try:
        if not isinstance(body, dict):
            raise Refusal("invalid request payload")
        wallet, owner, calls = _read(venue, body)
    except (BadCall, ValueError, LookupError, TypeError, AttributeError):
        return Response(400, {"error": "invalid request payload"})
    now = venue.now_ms()
    name = str(uuid.uuid4())
    _relayed(venue)[name] = {
        "wallet": wallet,
        "owner": owner,
        "calls": [[call.target, call.data.hex(), str(call.value)] for call in calls],
        "kind": str(body["type"]),
        "state": _STEPS[0],
        "at_ms": now,
        "error": "",
    }
    for old in list(_relayed(venue))[:-_MOST_RELAYED]:
        del _relayed(venue)[old]
    _changed(venue)
    venue.commit()
    return Response(200, {"transactionID": name, "state": _STEPS[0], "transactionHash": ""})


def _read(venue: PolymarketVenue, body: dict[str, Any]) -> tuple[str, str, list[Call]]:
    """(wallet, owner, calls) of a submitted transaction whose signature is right."""
    owner, kind = str(body["from"]), str(body["type"])
    address_bytes(owner)
    if kind in ("WALLET-CREATE", "SAFE-CREATE"):
        owned = owned_wallets(owner)
        return owned.deposit if kind == "WALLET-CREATE" else owned.safe, owner, []
    if kind not in _KINDS:
        raise Refusal(f"unsupported transaction type {kind}")
    nonce, signature = int(body["nonce"]), hex_bytes(str(body["signature"]))
    if kind == "WALLET":
        wallet, calls, signer = _batch(body, nonce, signature, venue.now_ms() // 1000)
    elif kind == "SAFE":
        wallet, calls, signer = _safe(body, nonce, signature)
    else:
        wallet, calls, signer = _proxy(body, nonce, signature)
    _check(venue, owner, signer, wallet, kind, nonce)
    return wallet, owner, calls


def _batch(body: dict[str, Any], nonce: int, signature: bytes, now_s: int) -> tuple[str, list[Call], str | None]:
    """(wallet, calls, signer) of a deposit wallet's batch."""
    batch = body["depositWalletParams"]
    wallet, deadline = str(batch["depositWallet"]), int(batch["deadline"])
    calls = [Call(_address(c["target"]), hex_bytes(c["data"]), int(c["value"])) for c in batch["calls"]]
    if deadline < now_s:
        raise Refusal("deadline has passed")
    triples = [(call.target, call.value, call.data) for call in calls]
    return wallet, calls, recovered(batch_digest(wallet, nonce, deadline, triples), unwrapped(signature))


def _safe(body: dict[str, Any], nonce: int, signature: bytes) -> tuple[str, list[Call], str | None]:
    """(wallet, calls, signer) of a Safe's transaction."""
    wallet, data, to = str(body["proxyWallet"]), hex_bytes(str(body["data"])), _address(body["to"])
    value, operation = int(body.get("value") or 0), int(body["signatureParams"]["operation"])
    calls = multisend_calls(data) if to == SAFE_MULTISEND else [Call(to, data, value)]
    digest = personal_digest(safe_digest(wallet, to, value, data, operation, nonce))
    # Safes mark personal-message signatures by adding 4 to the recovery byte.
    return wallet, calls, recovered(digest, signature[:64] + bytes([signature[64] - 4]))


def _proxy(body: dict[str, Any], nonce: int, signature: bytes) -> tuple[str, list[Call], str | None]:
    """(wallet, calls, signer) of a proxy wallet's transaction."""
    wallet, data = str(body["proxyWallet"]), hex_bytes(str(body["data"]))
    calls = proxied_calls(data)
    digest = proxy_digest(str(body["from"]), str(body["to"]), data, body["signatureParams"], nonce)
    return wallet, calls, recovered(personal_digest(digest), signature)


def _check(venue: PolymarketVenue, owner: str, signer: str | None, wallet: str, kind: str, nonce: int) -> None:
    if signer is None or signer.lower() != owner.lower() or not venue.keyring.owns(owner, wallet, _KINDS[kind]):
        raise Refusal("invalid signature")
    if any(row["wallet"].lower() == wallet.lower() and row["state"] == _STEPS[0] for row in _relayed(venue).values()):
        raise Refusal("wallet busy: active action in progress")
    known = _nonces(venue).get(_nonce_name(owner, kind), 0)
    if nonce != known:
        raise Refusal(f"batch nonce {nonce} does not match on-chain nonce {known}")


# -- asking -----------------------------------------------------------------------------------------------------------


def get_transaction(venue: PolymarketVenue, request: Request, name: str) -> Response:
    """One transaction."""
    row = _relayed(venue).get(name)
    return Response(404, {"error": "transaction not found"}) if row is None else Response(200, _shown(name, row))


def list_transaction(venue: PolymarketVenue, request: Request) -> Response:
    """The older form: a list with the one transaction; ids under their older names as well."""
    name = request.param("id")
    row = _relayed(venue).get(name)
    if row is None:
        return Response(404, {"error": "transaction not found"})
    shown = _shown(name, row)
    older = {"transactionID": name, "transactionHash": shown["transaction_hash"]}
    return Response(200, [{**shown, **older, "proxyAddress": row["wallet"], "from": row["owner"]}])


def get_parameters(venue: PolymarketVenue, request: Request) -> Response:
    """The nonce that the next transaction of a signer must carry, and who relays it."""
    address, kind = request.param("address"), request.param("type") or "SAFE"
    try:
        address_bytes(address)
    except ValueError:
        return Response(400, {"error": "invalid address"})
    shown = RELAY if kind == "PROXY" else address
    return Response(200, {"address": shown, "nonce": str(_nonces(venue).get(_nonce_name(address, kind), 0))})


def get_deployed(venue: PolymarketVenue, request: Request) -> Response:
    """Whether a wallet exists: it has an account. Safes and proxies are made by the site, so all of them may."""
    wallet, kind = request.param("address"), request.param("type")
    is_by_site = kind in ("SAFE", "PROXY") and venue.settings.site_wallets_exist
    has_account = account_of(wallet) in venue.exchange.state.accounts.accounts
    return Response(200, {"deployed": has_account or is_by_site})


# -- carrying out -----------------------------------------------------------------------------------------------------


def advance(venue: PolymarketVenue, now_ms: int) -> None:
    """Move transactions on: executed, mined, confirmed."""
    # Where trades settle at once, so does what the relayer sends.
    lasts = venue.settings.relayer_ms if venue.exchange.state.profile.settlement_ms[0] else 0
    step_ms = max(1, lasts // 3)
    for name, row in list(_relayed(venue).items()):
        if row["state"] not in _STEPS[:-1]:
            continue
        reached = min(3, (now_ms - row["at_ms"]) // step_ms)
        if reached > 0 and row["state"] == _STEPS[0]:
            _execute(venue, name, row, now_ms)
        if row["state"] in _STEPS and _STEPS.index(row["state"]) < reached:
            row["state"] = _STEPS[reached]
            _changed(venue)


def _execute(venue: PolymarketVenue, name: str, row: dict[str, Any], now_ms: int) -> None:
    venue.keyring.open_account(row["wallet"])
    if row["calls"]:
        counter = _nonce_name(row["owner"], row["kind"])
        _nonces(venue)[counter] = _nonces(venue).get(counter, 0) + 1
    row["state"] = _STEPS[1]
    sent = Transaction(row["wallet"], now_ms, _hash(name))
    try:
        for target, data, value in row["calls"]:
            carry_out(venue, sent, Call(target, bytes.fromhex(data), int(value)))
    except Reverted as error:
        row["state"], row["error"] = "STATE_FAILED", str(error)
    _changed(venue)


def _changed(venue: PolymarketVenue) -> None:
    venue.exchange.state.changes.saved = True


def _relayed(venue: PolymarketVenue) -> dict[str, dict[str, Any]]:
    relayed: dict[str, dict[str, Any]] = venue.exchange.state.saved.setdefault("relayed", {})
    return relayed


def _nonces(venue: PolymarketVenue) -> dict[str, int]:
    nonces: dict[str, int] = venue.exchange.state.saved.setdefault("nonces", {})
    return nonces


def _nonce_name(owner: str, kind: str) -> str:
    return f"{kind}:{owner.lower()}"


def _address(text: Any) -> str:
    return str(to_checksum_address(address_bytes(str(text))))


def _hash(name: str) -> str:
    return f"0x{hashlib.sha256(f'relayed {name}'.encode()).hexdigest()}"


def _shown(name: str, row: dict[str, Any]) -> dict[str, Any]:
    is_sent = row["state"] != _STEPS[0]
    return {
        "transaction_id": name,
        "transaction_hash": _hash(name) if is_sent else "",
        "state": row["state"],
        "type": row["kind"],
        "error_msg": row["error"],
    }


ROUTES: list[Route[PolymarketVenue]] = [
    Route("POST", "/submit", submit, Access.KEYED),
    Route("GET", "/transaction", list_transaction),
    Route("GET", "/v1/account/transactions/params", get_parameters),
    Route("GET", "/v1/account/transactions/{name}", get_transaction),
    Route("GET", "/nonce", get_parameters),
    Route("GET", "/relay-payload", get_parameters),
    Route("GET", "/deployed", get_deployed),
]
