"""Kalshi's request signatures, checked as the venue does: RSA-PSS or Ed25519 over timestamp + METHOD + path."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from streams.market.errors import ConfigurationError
from streams.sandbox.http.routes import Rejected
from streams.sandbox.http.server import Request
from streams.sandbox.kalshi.errors import nested

_STAMP = re.compile(r"[0-9]{1,18}")
_CHILDREN = (
    ("read::portfolio_balance", re.compile(r"/portfolio/balance$")),
    ("write::trade", re.compile(r"/portfolio/(events/orders|orders|order_groups)(/|$)")),
    ("write::transfer", re.compile(r"/portfolio/(intra_exchange_instance_transfer|subaccounts/transfer)$")),
)
SCOPES = frozenset({
    "read", "write", "write::fcm_risk", "read::block_trade_accept", "write::block_trade_accept",
    *(scope for scope, _ in _CHILDREN),
})  # fmt: skip
"""What a key can be given. The last two groups have no calls here."""


@dataclass(frozen=True, slots=True)
class KalshiKey:
    """An API key's public half, the account it trades for, and what it may do (`SCOPES`)."""

    key_id: str
    account_id: str
    public_key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey
    scopes: frozenset[str] = frozenset({"read", "write"})


def scopes_of(method: str, path: str) -> frozenset[str]:
    """The scopes of which a call needs one: a parent's grants all reads or writes, a child's its own group."""
    parent = "read" if method == "GET" else "write"
    children = (scope for scope, pattern in _CHILDREN if scope.startswith(parent) and pattern.search(path))
    return frozenset({parent, *children})


def load_key(key_id: str, public_key_pem: str, scopes: Iterable[str] = ("read", "write")) -> KalshiKey:
    """Parse a key; its kind is decided by the parsed key, not by the PEM banner.

    Raises:
        ConfigurationError: If it is neither RSA nor Ed25519, or a scope is unknown.
    """
    try:
        key = load_pem_public_key(public_key_pem.encode())
    except ValueError:
        raise ConfigurationError(f"The public key of the Kalshi account {key_id} is not PEM.") from None
    if not isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise ConfigurationError(f"The public key of the Kalshi account {key_id} is neither RSA nor Ed25519.")
    if not set(scopes) <= SCOPES:
        raise ConfigurationError(
            f"The Kalshi account {key_id} has unknown scopes; known are {', '.join(sorted(SCOPES))}."
        )
    return KalshiKey(key_id, f"kalshi:{key_id}", key, frozenset(scopes))


def authenticate(request: Request, keys: Mapping[str, KalshiKey], now_ms: int, window_ms: int) -> KalshiKey:
    """Return the key that signed a request.

    Args:
        request: Its path is signed without the query string.
        keys: Known keys by id.
        now_ms: The venue's clock.
        window_ms: How far the signature's time may be off; the venue's own edge lies between 5 and 30 seconds.

    Raises:
        Rejected: With the venue's 401, if a header is missing, late, of an unknown key or no valid signature.
    """
    key_id = request.headers.get("kalshi-access-key", "")
    stamp = request.headers.get("kalshi-access-timestamp", "")
    signature = request.headers.get("kalshi-access-signature", "")
    if not key_id or not stamp or not signature:
        raise Rejected(nested(401, "signature_is_missing_from_headers"))
    if not _STAMP.fullmatch(stamp) or abs(int(stamp) - now_ms) > window_ms:
        raise Rejected(nested(401, "header_timestamp_expired"))
    key = keys.get(key_id)
    if key is None:
        raise Rejected(nested(401, "authentication_error", "NOT_FOUND", "authentication_error"))
    if not _is_valid(key, signature, f"{stamp}{request.method}{request.path}".encode()):
        raise Rejected(nested(401, "authentication_error", "INCORRECT_API_KEY_SIGNATURE", "authentication_error"))
    return key


def _is_valid(key: KalshiKey, signature: str, text: bytes) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key.public_key, ed25519.Ed25519PublicKey):
            key.public_key.verify(raw, text)
        else:
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
            key.public_key.verify(raw, text, pss, hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
