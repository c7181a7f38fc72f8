"""Ethereum's signatures of 32-byte digests: ECDSA over secp256k1, deterministic (RFC 6979), low s, v of 27 or 28.

The multiplication of the curve's point is OpenSSL's, the nonce is eth-keys'; signing through eth-keys alone multiplies
in Python, which takes milliseconds. What comes out is byte for byte the same; tests hold it against eth-keys and
against the vectors of the venue's own SDKs.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, derive_private_key
from eth_account import Account
from eth_keys.backends.native.ecdsa import deterministic_generate_k
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from streams.market.errors import ConfigurationError

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The number of points of the curve."""
_CURVE = SECP256K1()


def sign_digest(private_key: str, digest: bytes) -> bytes:
    """Return the 65 bytes r, s, v of a digest.

    Raises:
        ConfigurationError: If the private key cannot be one.
    """
    key = _key_bytes(private_key)
    nonce: int = deterministic_generate_k(digest, key)
    point = derive_private_key(nonce, _CURVE).public_key().public_numbers()
    r = point.x % _ORDER
    s = pow(nonce, -1, _ORDER) * (int.from_bytes(digest, "big") + r * int.from_bytes(key, "big")) % _ORDER
    is_high = s * 2 >= _ORDER
    v = 27 + ((point.y % 2) ^ is_high)
    return r.to_bytes(32, "big") + (_ORDER - s if is_high else s).to_bytes(32, "big") + bytes([v])


def address_of(private_key: str) -> str:
    """Return the checksummed address of a private key.

    Raises:
        ConfigurationError: If it is not 32 bytes of hex.
    """
    return str(Account.from_key(_key_bytes(private_key)).address)


@lru_cache(maxsize=256)
def checksummed(address: str) -> str:
    """Return an address with the capitals that make it checkable.

    Raises:
        ConfigurationError: If it is none.
    """
    try:
        return str(to_checksum_address(address))
    except ValueError:
        raise ConfigurationError("A Polymarket address must be 0x and 40 hex digits.") from None


def keccak256(content: bytes) -> bytes:
    """Return Ethereum's hash."""
    digest: bytes = keccak(content)
    return digest


def _key_bytes(private_key: str) -> bytes:
    try:
        key = bytes.fromhex(private_key.removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != 32 or not 0 < int.from_bytes(key, "big") < _ORDER:
        raise ConfigurationError("The Polymarket private key is not 32 bytes of hex.")
    return key
