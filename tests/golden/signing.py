"""The accounts of the golden runs: their keys and wallets, and everything they sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_account import Account

from streams.sandbox.polymarket.chain.calldata import selector
from streams.sandbox.polymarket.contracts import (
    COLLATERAL,
    COLLATERAL_ADAPTER,
    CONDITIONAL_TOKENS,
    DEPOSIT_FACTORY,
    EXCHANGE_V2,
    NEG_RISK_ADAPTER,
    NEG_RISK_COLLATERAL_ADAPTER,
)
from streams.sandbox.polymarket.signing import (
    clob_auth_digest,
    order_digest_and_signer,
    word,
)
from streams.sandbox.polymarket.wallets import owned_wallets
from tests.golden.markets import condition, token
from tests.support import relayed_transactions as transactions
from tests.support.relayed_transactions import (
    MERGE,
    REDEEM,
    SPLIT,
    address_of,
    batch_body,
    int_of,
    proxy_body,
    safe_body,
    sign,
)

KALSHI, POLYMARKET, ADMIN = "kalshi", "polymarket", "admin"
KALSHI_PREFIX = "/trade-api/v2"
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
WALLET_KEY = "0x" + "11" * 32
OTHER_WALLET_KEY = "0x" + "22" * 32


def _kalshi_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"golden {name}".encode()).digest())


_KALSHI_KEYS: dict[str, tuple[str, ...]] = {
    "main": ("read", "write"),
    "other": ("read", "write"),
    "reader": ("read",),
    "writer": ("write",),
}


def accounts() -> dict[str, Any]:
    """The accounts file."""
    kalshi = [
        {
            "key_id": name, "scopes": list(scopes), "cash_usd": "1000",
            "public_key_pem": _kalshi_key(name)
            .public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        }
        for name, scopes in _KALSHI_KEYS.items()
    ]  # fmt: skip
    polymarket = [
        {"address": address_of(key), "api_key": name, "secret": SECRET, "passphrase": "pass", "cash_usd": "1000",
         "relayer_key": f"relay-{name}"}
        for name, key in (("wallet", WALLET_KEY), ("second", OTHER_WALLET_KEY))
    ]  # fmt: skip
    return {"kalshi": kalshi, "polymarket": polymarket}


def _hmac(secret: str, text: bytes) -> str:
    digest = hmac.new(base64.urlsafe_b64decode(secret), text, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()


CONTRACTS = {
    "collateral": COLLATERAL, "adapter": COLLATERAL_ADAPTER, "tokens": CONDITIONAL_TOKENS, "exchange": EXCHANGE_V2,
    "neg_adapter": NEG_RISK_ADAPTER, "neg_collateral_adapter": NEG_RISK_COLLATERAL_ADAPTER,
    "deposit_factory": DEPOSIT_FACTORY, "nobody": "0x" + "12" * 20,
}  # fmt: skip


def _call_data(signature: str, arguments: Sequence[Any]) -> bytes:
    return selector(signature) + b"".join(word(int_of(a) if isinstance(a, str) else a) for a in arguments)


def positions_call(kind: str, condition: str, amount: int | None = None) -> bytes:
    """The data of a split, merge or redemption; a redemption has no amount."""
    signatures = {("split", True): SPLIT, ("merge", True): MERGE, ("redeem", False): REDEEM}
    return transactions.positions_call(signatures[kind, amount is not None], condition, amount)


def smart_wallet(kind: str) -> str:
    """A smart wallet of the first signer: `safe`, `proxy` or `deposit`."""
    return str(getattr(owned_wallets(address_of(WALLET_KEY)), kind))


class Signer:
    """Signs for the keys and wallets of the accounts.

    Args:
        now_ms: The time.
        shared_id: The id that the markets of a market's negative-risk event share, by the market's id.
    """

    def __init__(self, now_ms: Callable[[], int], shared_id: Callable[[str], str]) -> None:
        self._now_ms = now_ms
        self._shared_id = shared_id
        self._salts = count(1)

    def headers(self, port: str, method: str, target: str, body: bytes, by: str) -> dict[str, str]:
        """The headers that sign a request."""
        path, nonce = target.partition("?")[0], ""
        if by.startswith("l1"):
            by, _, nonce = by.partition("/")
        if not by:
            return {}
        if port == KALSHI:
            stamp = str(self._now_ms())
            raw = _kalshi_key(by).sign(f"{stamp}{method}{path}".encode())
            signature = base64.b64encode(raw).decode()
            return {
                "kalshi-access-key": by, "kalshi-access-timestamp": stamp, "kalshi-access-signature": signature,
            }  # fmt: skip
        stamp = str(self._now_ms() // 1000)
        if by in ("l1", "l1-second"):
            private_key = WALLET_KEY if by == "l1" else OTHER_WALLET_KEY
            address = address_of(private_key)
            signed = sign(private_key, clob_auth_digest(address, stamp, int(nonce or 0)))
            return {
                "poly_address": address, "poly_signature": signed, "poly_timestamp": stamp, "poly_nonce": nonce or "0",
            }  # fmt: skip
        if by == "relayer":
            return {"relayer_api_key": "relay-wallet", "relayer_api_key_address": address_of(WALLET_KEY)}
        if by.startswith("{"):
            key = json.loads(by)
            text = f"{stamp}{method}{path.removeprefix('/relayer').removeprefix('/clob')}".encode() + body
            return {
                "poly_builder_api_key": key["key"], "poly_builder_passphrase": key["passphrase"],
                "poly_builder_timestamp": stamp, "poly_builder_signature": _hmac(key["secret"], text),
            }  # fmt: skip
        text = f"{stamp}{method}{path.removeprefix('/clob')}".encode() + body
        return {
            "poly_address": address_of(WALLET_KEY if by == "wallet" else OTHER_WALLET_KEY), "poly_api_key": by,
            "poly_passphrase": "pass", "poly_timestamp": stamp, "poly_signature": _hmac(SECRET, text),
        }  # fmt: skip

    def order(
        self, side: str, gives: int, wants: int, *, market: int = 0, outcome: str = "yes", kind: str = "GTC",
        by: str = "wallet", wallet: str = "", outer: dict[str, Any] | None = None, salt: int | None = None,
        **changes: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """A signed order of a wallet, as it is posted.

        Args:
            gives / wants: Amounts, 1/1,000,000.
            wallet: `safe`, `proxy` or `deposit`: the smart wallet that trades; empty for the signer itself.
            outer: Fields beside the order.
            changes: Fields of the order. After `unsigned_` they are changed behind the signature.
        """
        private_key = WALLET_KEY if by == "wallet" else OTHER_WALLET_KEY
        signer = address_of(private_key)
        late = {name.removeprefix("unsigned_"): changes.pop(name) for name in list(changes) if "unsigned_" in name}
        kinds = {"": 0, "proxy": 1, "safe": 2, "deposit": 3}
        holder = getattr(owned_wallets(signer), wallet) if wallet else signer
        order: dict[str, Any] = {
            "salt": next(self._salts) if salt is None else salt, "maker": holder,
            "signer": holder if wallet == "deposit" else signer, "tokenId": token(market, outcome),
            "makerAmount": str(gives), "takerAmount": str(wants), "side": side, "expiration": "0",
            "signatureType": kinds[wallet], "timestamp": str(self._now_ms()), "metadata": "0x" + "00" * 32,
            "builder": "0x" + "00" * 32,
        }  # fmt: skip
        order |= changes
        is_neg_risk = market in (1, 2)
        digest, _ = order_digest_and_signer({**order, "signature": "0x"}, is_neg_risk=is_neg_risk)
        order["signature"] = sign(private_key, bytes.fromhex(digest[2:]))
        order |= late
        return {"order": order, "owner": by, "orderType": kind, "deferExec": False} | (outer or {})

    def transaction(self, kind: str, calls: list[list[Any]], nonce: int, **changes: Any) -> dict[str, Any]:
        """What the relayer is sent for a smart wallet: `safe`, `deposit` or `proxy`, with calls as `call` takes them.

        `changes` are made behind the signature; `deadline_s` (from now) before it.
        """
        made = [self.call(*one) for one in calls]
        deadline = self._now_ms() // 1000 + int(changes.pop("deadline_s", 600))
        if kind == "safe":
            body = safe_body(WALLET_KEY, made, nonce)
        elif kind == "deposit":
            body = batch_body(WALLET_KEY, made, nonce, deadline)
        else:
            body = proxy_body(WALLET_KEY, made, nonce)
        return body | changes

    def call(self, target: str, kind: str, *arguments: Any) -> tuple[str, bytes]:
        """A call of a contract: its address and its data."""
        to = CONTRACTS[target]
        if kind in ("split", "merge", "redeem"):
            return to, positions_call(kind, *arguments)
        if kind == "convert":
            (market, index_set, amount) = arguments
            shared = self._shared_id(condition(market))
            return to, _call_data("convertPositions(bytes32,uint256,uint256)", (shared, index_set, amount))
        return to, _call_data(kind, [CONTRACTS.get(a, a) if isinstance(a, str) else a for a in arguments])

    def chain_call(self, target: str, kind: str, *arguments: Any) -> dict[str, str]:
        """What `eth_call` is given."""
        to, data = self.call(target, kind, *arguments)
        return {"to": to, "data": f"0x{data.hex()}"}

    def raw_transaction(self, nonce: int, target: str, kind: str, *arguments: Any, is_typed: bool = False) -> str:
        """A signed transaction of the wallet itself."""
        to, data = self.call(target, kind, *arguments)
        fees = {"maxFeePerGas": 10**9, "maxPriorityFeePerGas": 10**9} if is_typed else {"gasPrice": 10**9}
        document = {"to": to, "value": 0, "data": data, "gas": 200_000, "nonce": nonce, "chainId": 137, **fees}
        raw = Account.sign_transaction(document, WALLET_KEY).raw_transaction
        return f"0x{raw.hex().removeprefix('0x')}"
