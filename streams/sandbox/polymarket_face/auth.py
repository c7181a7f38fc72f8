"""Polymarket's two authentications: L1 (a ClobAuth signature of the wallet) and L2 (HMAC of each request)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from eth_account import Account as EthAccount
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from streams.sandbox.server import Request

CHAIN_ID = 137
EXCHANGE_V2 = "0xE111180000d2663C0091e4f400237545B87B996B"
NEG_RISK_EXCHANGE_V2 = "0xe2222d279d744050d28e00520010520000310F59"
CLOCK_WINDOW_S = 30
_AUTH_MESSAGE = "This message attests that I control the given wallet"
_AUTH_TYPES = {
    "ClobAuth": [
        {"name": "address", "type": "address"},
        {"name": "timestamp", "type": "string"},
        {"name": "nonce", "type": "uint256"},
        {"name": "message", "type": "string"},
    ]
}
_ORDER_TYPES = {
    "Order": [
        {"name": "salt", "type": "uint256"},
        {"name": "maker", "type": "address"},
        {"name": "signer", "type": "address"},
        {"name": "tokenId", "type": "uint256"},
        {"name": "makerAmount", "type": "uint256"},
        {"name": "takerAmount", "type": "uint256"},
        {"name": "side", "type": "uint8"},
        {"name": "signatureType", "type": "uint8"},
        {"name": "timestamp", "type": "uint256"},
        {"name": "metadata", "type": "bytes32"},
        {"name": "builder", "type": "bytes32"},
    ]
}


@dataclass(frozen=True, slots=True)
class PolymarketKey:
    """API credentials and the wallet they belong to."""

    address: str
    api_key: str
    secret: str
    passphrase: str

    @property
    def account_id(self) -> str:
        """The account they trade for."""
        return f"polymarket:{self.address.lower()}"


def hmac_signature(secret: str, timestamp: str, method: str, path: str, body: bytes) -> str:
    """Return the L2 signature: urlsafe base64 of HMAC-SHA256 over timestamp + METHOD + path + body."""
    key = base64.urlsafe_b64decode(secret)
    digest = hmac.new(key, f"{timestamp}{method}{path}".encode() + body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()


def is_signed_by(key: PolymarketKey, request: Request, path: str, now_ms: int) -> bool:
    """Whether a request carries this key's valid L2 headers; `path` is the one the venue sees (no prefix)."""
    headers = request.headers
    stamp = headers.get("poly_timestamp", "")
    if not stamp.isdigit() or abs(int(stamp) - now_ms // 1000) > CLOCK_WINDOW_S:
        return False
    if headers.get("poly_address", "").lower() != key.address.lower():
        return False
    if not hmac.compare_digest(headers.get("poly_passphrase", ""), key.passphrase):
        return False
    wanted = hmac_signature(key.secret, stamp, request.method, path, request.body)
    return hmac.compare_digest(headers.get("poly_signature", ""), wanted)


def l1_address(request: Request, now_ms: int) -> str | None:
    """Return the wallet whose ClobAuth signature a request carries, None when it is not valid."""
    headers = request.headers
    stamp, nonce = headers.get("poly_timestamp", ""), headers.get("poly_nonce", "0")
    address = headers.get("poly_address", "")
    if not stamp.isdigit() or not nonce.isdigit() or abs(int(stamp) - now_ms // 1000) > CLOCK_WINDOW_S:
        return None
    message = {"address": address, "timestamp": stamp, "nonce": int(nonce), "message": _AUTH_MESSAGE}
    domain = {"name": "ClobAuthDomain", "version": "1", "chainId": CHAIN_ID}
    try:
        signable = encode_typed_data(domain, _AUTH_TYPES, message)
        recovered: str = EthAccount.recover_message(signable, signature=headers.get("poly_signature", ""))
    except (ValueError, TypeError, binascii.Error):
        return None
    return address if recovered.lower() == address.lower() else None


def order_digest_and_signer(order: dict[str, Any], *, is_neg_risk: bool) -> tuple[str, str | None]:
    """Return a V2 order's id (its EIP-712 digest) and the wallet that signed it, None for a broken signature.

    Raises:
        ValueError: If a field does not fit its type.
    """
    domain = {
        "name": "Polymarket CTF Exchange",
        "version": "2",
        "chainId": CHAIN_ID,
        "verifyingContract": NEG_RISK_EXCHANGE_V2 if is_neg_risk else EXCHANGE_V2,
    }
    message = {
        **{name: int(order[name]) for name in ("salt", "tokenId", "makerAmount", "takerAmount", "timestamp")},
        "maker": order["maker"],
        "signer": order["signer"],
        "side": 0 if order["side"] == "BUY" else 1,
        "signatureType": int(order["signatureType"]),
        "metadata": _bytes32(order["metadata"]),
        "builder": _bytes32(order["builder"]),
    }
    signable = encode_typed_data(domain, _ORDER_TYPES, message)
    digest = keccak(b"\x19" + signable.version + signable.header + signable.body)
    try:
        signer: str | None = EthAccount.recover_message(signable, signature=order["signature"])
    except Exception:  # eth_keys raises classes of its own for signatures that are none
        signer = None
    return f"0x{digest.hex()}", signer


def _bytes32(text: str) -> bytes:
    value = bytes.fromhex(text.removeprefix("0x"))
    if len(value) != 32:
        raise ValueError("not 32 bytes")
    return value
