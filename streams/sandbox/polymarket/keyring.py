"""API keys, the wallets their signers trade from, and the accounts of those wallets.

A key belongs to an address and a nonce; its credentials are derived from them, so that `derive-api-key` finds them
again. Which keys exist, and who claimed a wallet that cannot be derived, is in the exchange's saved state.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from typing import Any

from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.server import Request
from streams.sandbox.polymarket.auth import (
    PolymarketKey,
    WalletProof,
    account_of,
    is_signed_by_builder,
)
from streams.sandbox.polymarket.settings import PolymarketVenueSettings
from streams.sandbox.polymarket.wallets import owned_wallets


class KeyRing:
    """All API keys of a sandbox."""

    def __init__(self, exchange: Exchange, given: dict[str, PolymarketKey], settings: PolymarketVenueSettings) -> None:
        self._exchange = exchange
        self._settings = settings
        self._keys = dict(given)
        self._loaded = 0

    def get(self, api_key: str) -> PolymarketKey | None:
        """A key by its id."""
        self._load()
        return self._keys.get(api_key)

    def _load(self) -> None:
        """Bring back the keys that clients made before a restart, once the exchange has its state back."""
        if self._loaded == len(self._state["keys"]):
            return
        self._loaded = len(self._state["keys"])
        for address, nonce, generation, is_live in self._state["keys"].values():
            if generation and is_live:
                key = _made(address, nonce, generation)
                self._keys[key.api_key] = key
            elif not is_live:
                gone = [k for k, v in self._keys.items() if (v.address.lower(), v.nonce) == (address.lower(), nonce)]
                for name in gone:
                    del self._keys[name]

    @property
    def _state(self) -> dict[str, Any]:
        state = self._exchange.state.saved
        state.setdefault("keys", {})
        state.setdefault("claims", {})
        state.setdefault("builders", {})
        state.setdefault("readers", {})
        return state

    def _changed(self) -> None:
        self._exchange.state.changes.saved = True

    def of(self, address: str) -> list[PolymarketKey]:
        """Every key of a signer."""
        self._load()
        return [key for key in self._keys.values() if key.address.lower() == address.lower()]

    def find(self, proof: WalletProof) -> PolymarketKey | None:
        """The key of an address and nonce."""
        return next((key for key in self.of(proof.address) if key.nonce == proof.nonce), None)

    def create(self, proof: WalletProof) -> PolymarketKey | None:
        """Make a key and open the wallet's account; None when there is one already."""
        if self.find(proof) is not None:
            return None
        generation = self._generation(proof.address, proof.nonce) + 1
        self._state["keys"][_name(proof.address, proof.nonce)] = [proof.address, proof.nonce, generation, True]
        key = _made(proof.address, proof.nonce, generation)
        self._keys[key.api_key] = key
        self.open_account(key.address)
        self._changed()
        return key

    def delete(self, key: PolymarketKey) -> None:
        """Revoke a key; a new one for the same nonce gets other credentials."""
        self._keys.pop(key.api_key, None)
        generation = self._generation(key.address, key.nonce)
        self._state["keys"][_name(key.address, key.nonce)] = [key.address, key.nonce, generation, False]
        self._changed()

    def _generation(self, address: str, nonce: int) -> int:
        known = self._state["keys"].get(_name(address, nonce))
        return int(known[2]) if known is not None else 0

    # -- other keys -----------------------------------------------------------------------------------------------

    def create_builder(self, key: PolymarketKey) -> dict[str, str]:
        """Make a builder key of a signer."""
        made = _made(f"builder {key.address}", self._next_number(), 1)
        self._state["builders"][made.api_key] = [key.address, made.secret, made.passphrase]
        self._changed()
        return {"key": made.api_key, "secret": made.secret, "passphrase": made.passphrase}

    def _next_number(self) -> int:
        """A number no builder or read-only key was made with before."""
        state = self._state
        state["issued"] = int(state.get("issued", len(state["builders"]))) + 1
        return int(state["issued"])

    def builders(self, key: PolymarketKey) -> list[str]:
        """The builder keys of a signer."""
        return [name for name, row in self._state["builders"].items() if row[0].lower() == key.address.lower()]

    def delete_builder(self, name: str) -> None:
        """Revoke a builder key."""
        self._state["builders"].pop(name, None)
        self._changed()

    def is_builder(self, request: Request, path: str, now_ms: int) -> bool:
        """Whether a request is signed with a known builder key."""
        row = self._state["builders"].get(request.headers.get("poly_builder_api_key", ""))
        return row is not None and is_signed_by_builder(
            row[1], row[2], request, path, now_ms, self._settings.clock_window_s
        )

    def create_reader(self, key: PolymarketKey) -> str:
        """Make a read-only key of a signer."""
        name = _made(f"reader {key.address}", self._next_number(), 1).api_key
        self._state["readers"][name] = key.address.lower()
        self._changed()
        return name

    def readers(self, key: PolymarketKey) -> list[str]:
        """The read-only keys of a signer."""
        return [name for name, owner in self._state["readers"].items() if owner == key.address.lower()]

    def delete_reader(self, name: str) -> None:
        """Revoke a read-only key."""
        self._state["readers"].pop(name, None)
        self._changed()

    def is_relayer(self, request: Request) -> bool:
        """Whether a request names a relayer key, and the address it was made for."""
        address = request.headers.get("relayer_api_key_address", "").lower()
        name = request.headers.get("relayer_api_key", "")
        return bool(name) and any(key.relayer_key == name for key in self.of(address))

    # -- wallets ----------------------------------------------------------------------------------------------------

    def open_account(self, wallet: str) -> str:
        """The account of a wallet, opened with the starting cash when it is met for the first time."""
        account_id = account_of(wallet)
        if account_id not in self._exchange.state.accounts.accounts:
            self._exchange.state.accounts.open_account(account_id, self._settings.starting_cash_e6)
            self._exchange.state.changes.accounts.setdefault(account_id, set())
        return account_id

    def owns(self, signer: str, wallet: str, signature_type: int) -> bool:
        """Whether a signer may trade from a wallet with that signature type; an unknown wallet is claimed by it."""
        kind = owned_wallets(signer).type_of(wallet)
        if kind is not None:
            return kind == signature_type
        claims = self._state["claims"]
        if wallet.lower() not in claims:
            if signature_type == 0 or not self._settings.binds_unknown_wallets:
                return False
            claims[wallet.lower()] = [signer.lower(), signature_type]
            self._changed()
        return bool(claims[wallet.lower()] == [signer.lower(), signature_type])

    def wallet(self, key: PolymarketKey, signature_type: int) -> str:
        """The wallet a signature type stands for: one the signer used before, else the derived one."""
        for wallet, (owner, kind) in self._state["claims"].items():
            if owner == key.address.lower() and kind == signature_type:
                return str(wallet)
        owned = owned_wallets(key.address)
        if signature_type == 3 and account_of(owned.deposit_uups) in self._exchange.state.accounts.accounts:
            return owned.deposit_uups
        return owned.of_type(signature_type)

    def accounts(self, key: PolymarketKey) -> set[str]:
        """Every account the key's signer has."""
        owned = owned_wallets(key.address)
        wallets = {owned.eoa, owned.proxy, owned.safe, owned.deposit, owned.deposit_uups}
        wallets |= {wallet for wallet, (owner, _) in self._state["claims"].items() if owner == key.address.lower()}
        return {account_of(wallet) for wallet in wallets} & set(self._exchange.state.accounts.accounts)

    def owner_of(self, wallet: str) -> str | None:
        """The signer with a key that owns a wallet, None for wallets of nobody known."""
        claim = self._state["claims"].get(wallet.lower())
        if claim is not None:
            return str(claim[0])
        for key in self._keys.values():
            if owned_wallets(key.address).type_of(wallet) is not None:
                return key.address
        return None


def _name(address: str, nonce: int) -> str:
    return f"{address.lower()}:{nonce}"


def _made(address: str, nonce: int, generation: int) -> PolymarketKey:
    seed = hashlib.sha256(f"crossbook sandbox {address.lower()} {nonce} {generation}".encode()).digest()
    secret = base64.urlsafe_b64encode(hashlib.sha256(seed + b"secret").digest()).decode()
    passphrase = hashlib.sha256(seed + b"passphrase").hexdigest()
    return PolymarketKey(address, str(uuid.UUID(bytes=seed[:16], version=4)), secret, passphrase, nonce)
