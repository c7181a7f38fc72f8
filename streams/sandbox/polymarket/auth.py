"""Polymarket's two authentications: L1 (a ClobAuth signature of the wallet) and L2 (HMAC of each request)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

from streams.sandbox.http.server import Request
from streams.sandbox.polymarket.signing import clob_auth_digest, hex_bytes, recovered


@dataclass(frozen=True, slots=True)
class PolymarketKey:
    """API credentials and the wallet they belong to; there is one key per (address, nonce).

    Attributes:
        relayer_key: The signer's key for the relayer, as the venue's site makes them; empty for none.
    """

    address: str
    api_key: str
    secret: str
    passphrase: str
    nonce: int = 0
    relayer_key: str = ""

    @property
    def account_id(self) -> str:
        """The account of the signing wallet itself."""
        return account_of(self.address)


@dataclass(frozen=True, slots=True)
class WalletProof:
    """Who signed an L1 request, and for which nonce."""

    address: str
    nonce: int


def account_of(wallet: str) -> str:
    """The account of a wallet."""
    return f"polymarket:{wallet.lower()}"


def hmac_signature(secret: str, timestamp: str, method: str, path: str, body: bytes) -> str:
    """Return the L2 signature: urlsafe base64 of HMAC-SHA256 over timestamp + METHOD + path + body.

    Raises:
        ValueError: If the secret is no base64.
    """
    key = base64.urlsafe_b64decode(secret)
    digest = hmac.new(key, f"{timestamp}{method}{path}".encode() + body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()


def is_signed_by(key: PolymarketKey, request: Request, path: str, now_ms: int, window_s: int) -> bool:
    """Whether a request carries this key's valid L2 headers; `path` is the one the venue sees (no prefix, no query).

    Some clients sign the body with single quotes turned into double ones; both are accepted.
    """
    headers = request.headers
    stamp = headers.get("poly_timestamp", "")
    if not _is_current(stamp, now_ms, window_s) or headers.get("poly_address", "").lower() != key.address.lower():
        return False
    if not _same(headers.get("poly_passphrase", ""), key.passphrase):
        return False
    return _fits(headers.get("poly_signature", ""), key.secret, stamp, request, path)


def is_signed_by_builder(secret: str, passphrase: str, request: Request, path: str, now_ms: int, window_s: int) -> bool:
    """Whether a request carries a builder key's valid headers."""
    headers = request.headers
    stamp = headers.get("poly_builder_timestamp", "")
    if not _is_current(stamp, now_ms, window_s) or not _same(headers.get("poly_builder_passphrase", ""), passphrase):
        return False
    return _fits(headers.get("poly_builder_signature", ""), secret, stamp, request, path)


def _fits(given: str, secret: str, stamp: str, request: Request, path: str) -> bool:
    bodies = {request.body, request.body.replace(b"'", b'"')}
    return any(_same(given, hmac_signature(secret, stamp, request.method, path, body)) for body in bodies)


def l1_proof(request: Request, now_ms: int, window_s: int) -> WalletProof | None:
    """Return whose ClobAuth signature a request carries, None when it is not valid."""
    headers = request.headers
    stamp, nonce = headers.get("poly_timestamp", ""), headers.get("poly_nonce", "0")
    address = headers.get("poly_address", "")
    if not _is_current(stamp, now_ms, window_s) or not nonce.isdecimal():
        return None
    try:
        signer = recovered(clob_auth_digest(address, stamp, int(nonce)), hex_bytes(headers.get("poly_signature", "")))
    except (ValueError, binascii.Error):
        return None
    if signer is None or signer.lower() != address.lower():
        return None
    return WalletProof(signer, int(nonce))


def _is_current(stamp: str, now_ms: int, window_s: int) -> bool:
    return stamp.isdecimal() and len(stamp) < 16 and abs(int(stamp) - now_ms // 1000) <= window_s


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
