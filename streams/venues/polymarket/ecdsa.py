"""Ethereum's signatures of 32-byte digests: ECDSA over secp256k1, deterministic (RFC 6979), low s, v of 27 or 28.

eth-keys signs, with libsecp256k1 (coincurve) as its backend.
"""

from __future__ import annotations

from functools import lru_cache

from eth_keys.datatypes import PrivateKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from streams.market.errors import ConfigurationError

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The number of points of the curve."""


def sign_digest(private_key: str, digest: bytes) -> bytes:
    """Return the 65 bytes r, s, v of a digest.

    Raises:
        ConfigurationError: If the private key cannot be one.
    """
    signature = PrivateKey(_key_bytes(private_key)).sign_msg_hash(digest).to_bytes()
    return signature[:64] + bytes([27 + signature[64]])


def address_of(private_key: str) -> str:
    """Return the checksummed address of a private key.

    Raises:
        ConfigurationError: If it is not 32 bytes of hex.
    """
    return str(PrivateKey(_key_bytes(private_key)).public_key.to_checksum_address())


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
