"""The relayer: takes signed transactions of smart wallets, answers at once, and carries them out a little later."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from eth_utils.address import to_checksum_address

from streams.sandbox.http.server import Handler, Request, Response, Router
from streams.sandbox.polymarket.auth import account_of
from streams.sandbox.polymarket.chain.calldata import BadCall, Call, multisend_calls, proxied_calls
from streams.sandbox.polymarket.chain.inventory import Reverted
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
from streams.sandbox.polymarket.wallets import DEPOSIT, PROXY, SAFE, owned_wallets

if TYPE_CHECKING:
    from streams.sandbox.polymarket.app import PolymarketFace

_KINDS = {"PROXY": PROXY, "SAFE": SAFE, "WALLET": DEPOSIT}
_STEPS = ("STATE_NEW", "STATE_EXECUTED", "STATE_MINED", "STATE_CONFIRMED")
_KEPT = 500


class Refusal(Exception):
    """A transaction the relayer does not take."""


class RelayerRest:
    """Handlers of the relayer, and what it has taken."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._state_of = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        router.add("POST", "/relayer/submit", self._keyed(self.submit))
        router.add("GET", "/relayer/transaction", self.old_transaction)
        router.add("GET", "/relayer/v1/account/transactions/params", self.parameters)
        router.add("GET", "/relayer/v1/account/transactions/{name}", self.transaction)
        router.add("GET", "/relayer/nonce", self.parameters)
        router.add("GET", "/relayer/relay-payload", self.parameters)
        router.add("GET", "/relayer/deployed", self.deployed)

    @property
    def _relayed(self) -> dict[str, dict[str, Any]]:
        """{id: {wallet, owner, calls, state, at_ms, error}} of everything taken, oldest first."""
        relayed: dict[str, dict[str, Any]] = self._state_of.face_state.setdefault("relayed", {})
        return relayed

    @property
    def _nonces(self) -> dict[str, int]:
        nonces: dict[str, int] = self._state_of.face_state.setdefault("nonces", {})
        return nonces

    def _keyed(self, handler: Callable[[Request], Response]) -> Handler:
        """Only for builder keys, which sign requests, and relayer keys, which name the address they were made for."""

        def checked(request: Request) -> Response:
            path, ring = request.path.removeprefix("/relayer"), self._face.ring
            if not (ring.is_relayer(request) or ring.is_builder(request, path, self._face.now_ms())):
                return Response(401, {"error": "invalid authorization"})
            return handler(request)

        return checked

    # -- taking -----------------------------------------------------------------------------------------------------

    def submit(self, request: Request) -> Response:
        """Take a transaction; what became of it is asked for later."""
        body = parsed(request.body)
        try:
            if not isinstance(body, dict):
                raise Refusal("invalid request payload")
            wallet, owner, calls = self._read(body)
        except Refusal as error:
            return Response(400, {"error": str(error)})
        except (BadCall, ValueError, LookupError, TypeError, AttributeError):
            return Response(400, {"error": "invalid request payload"})
        now = self._face.now_ms()
        name = str(uuid.uuid4())
        self._relayed[name] = {
            "wallet": wallet,
            "owner": owner,
            "calls": [[call.target, call.data.hex(), str(call.value)] for call in calls],
            "kind": str(body["type"]),
            "state": _STEPS[0],
            "at_ms": now,
            "error": "",
        }
        for old in list(self._relayed)[:-_KEPT]:
            del self._relayed[old]
        self._changed()
        self._face.commit()
        return Response(200, {"transactionID": name, "state": _STEPS[0], "transactionHash": ""})

    def _read(self, body: dict[str, Any]) -> tuple[str, str, list[Call]]:
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
            batch = body["depositWalletParams"]
            wallet = str(batch["depositWallet"])
            calls = [Call(_address(c["target"]), hex_bytes(c["data"]), int(c["value"])) for c in batch["calls"]]
            deadline = int(batch["deadline"])
            if deadline < self._face.now_ms() // 1000:
                raise Refusal("deadline has passed")
            triples = [(call.target, call.value, call.data) for call in calls]
            signer = recovered(batch_digest(wallet, nonce, deadline, triples), unwrapped(signature))
        elif kind == "SAFE":
            wallet, data, to = str(body["proxyWallet"]), hex_bytes(str(body["data"])), _address(body["to"])
            value, operation = int(body.get("value") or 0), int(body["signatureParams"]["operation"])
            calls = multisend_calls(data) if to == SAFE_MULTISEND else [Call(to, data, value)]
            digest = personal_digest(safe_digest(wallet, to, value, data, operation, nonce))
            # Safes mark personal-message signatures by adding 4 to the recovery byte.
            signer = recovered(digest, signature[:64] + bytes([signature[64] - 4]))
        else:
            wallet, data = str(body["proxyWallet"]), hex_bytes(str(body["data"]))
            calls = proxied_calls(data)
            terms = body["signatureParams"]
            signer = recovered(personal_digest(proxy_digest(owner, str(body["to"]), data, terms, nonce)), signature)
        self._check(owner, signer, wallet, kind, nonce)
        return wallet, owner, calls

    def _check(self, owner: str, signer: str | None, wallet: str, kind: str, nonce: int) -> None:
        if signer is None or signer.lower() != owner.lower() or not self._face.ring.owns(owner, wallet, _KINDS[kind]):
            raise Refusal("invalid signature")
        if any(row["wallet"].lower() == wallet.lower() and row["state"] == _STEPS[0] for row in self._relayed.values()):
            raise Refusal("wallet busy: active action in progress")
        known = self._nonces.get(_nonce_name(owner, kind), 0)
        if nonce != known:
            raise Refusal(f"batch nonce {nonce} does not match on-chain nonce {known}")

    # -- asking -----------------------------------------------------------------------------------------------------

    def transaction(self, request: Request, name: str) -> Response:
        """One transaction."""
        row = self._relayed.get(name)
        return Response(404, {"error": "transaction not found"}) if row is None else Response(200, _shown(name, row))

    def old_transaction(self, request: Request) -> Response:
        """The older form: a list with the one transaction; ids under their older names as well."""
        name = request.param("id")
        row = self._relayed.get(name)
        if row is None:
            return Response(404, {"error": "transaction not found"})
        shown = _shown(name, row)
        older = {"transactionID": name, "transactionHash": shown["transaction_hash"]}
        return Response(200, [{**shown, **older, "proxyAddress": row["wallet"], "from": row["owner"]}])

    def parameters(self, request: Request) -> Response:
        """The nonce that the next transaction of a signer must carry, and who relays it."""
        address, kind = request.param("address"), request.param("type") or "SAFE"
        try:
            address_bytes(address)
        except ValueError:
            return Response(400, {"error": "invalid address"})
        shown = RELAY if kind == "PROXY" else address
        return Response(200, {"address": shown, "nonce": str(self._nonces.get(_nonce_name(address, kind), 0))})

    def deployed(self, request: Request) -> Response:
        """Whether a wallet exists: it has an account. Safes and proxies are made by the site, so all of them may."""
        wallet, kind = request.param("address"), request.param("type")
        is_by_site = kind in ("SAFE", "PROXY") and self._face.settings.site_wallets_exist
        has_account = account_of(wallet) in self._face.exchange.accounts.accounts
        return Response(200, {"deployed": has_account or is_by_site})

    # -- carrying out -----------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Move transactions on: executed, mined, confirmed."""
        # Where trades settle at once, so does what the relayer sends.
        lasts = self._face.settings.relayer_ms if self._face.exchange.behaviour.settlement_ms[0] else 0
        step_ms = max(1, lasts // 3)
        for name, row in list(self._relayed.items()):
            if row["state"] not in _STEPS[:-1]:
                continue
            reached = min(3, (now_ms - row["at_ms"]) // step_ms)
            if reached > 0 and row["state"] == _STEPS[0]:
                self._execute(name, row, now_ms)
            if row["state"] in _STEPS and _STEPS.index(row["state"]) < reached:
                row["state"] = _STEPS[reached]
                self._changed()

    def _execute(self, name: str, row: dict[str, Any], now_ms: int) -> None:
        self._face.ring.open_account(row["wallet"])
        if row["calls"]:
            counter = _nonce_name(row["owner"], row["kind"])
            self._nonces[counter] = self._nonces.get(counter, 0) + 1
        row["state"] = _STEPS[1]
        try:
            for target, data, value in row["calls"]:
                call = Call(target, bytes.fromhex(data), int(value))
                self._face.inventory.carry_out(row["wallet"], call, now_ms, _hash(name))
        except Reverted as error:
            row["state"], row["error"] = "STATE_FAILED", str(error)
        self._changed()

    def _changed(self) -> None:
        self._state_of.changes.face = True


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
