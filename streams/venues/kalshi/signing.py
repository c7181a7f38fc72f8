"""Kalshi's request signature: timestamp + METHOD + path without query, RSA-PSS or Ed25519 as the key is."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from streams.market.errors import ConfigurationError
from streams.venues.credentials.keys import KalshiCredentials

_LEAST_RSA_BITS = 2048


class KalshiSigner:
    """Makes the three access headers. The key is parsed once; the kind of key decides, not the PEM's banner.

    Raises:
        ConfigurationError: If the PEM is not an RSA (2048 bits or more) or Ed25519 private key, or is sealed with a
            passphrase. The message never quotes it.
    """

    def __init__(self, credentials: KalshiCredentials) -> None:
        self._key_id = credentials.key_id
        self._sign = _signer(credentials.private_key_pem.get_secret_value().encode())

    def headers(self, method: str, url: str, timestamp_ms: int) -> dict[str, str]:
        """Return the headers of one request.

        Args:
            method: HTTP method; GET for the socket's upgrade.
            url: The address or path; host and query are not signed, the whole path is.
            timestamp_ms: Unix milliseconds; the venue allows about five seconds of difference.
        """
        text = f"{timestamp_ms}{method.upper()}{urlsplit(url).path}"
        return {
            "KALSHI-ACCESS-KEY": self._key_id,
            "KALSHI-ACCESS-TIMESTAMP": str(timestamp_ms),
            "KALSHI-ACCESS-SIGNATURE": base64.b64encode(self._sign(text.encode())).decode(),
        }


def _signer(pem: bytes) -> Callable[[bytes], bytes]:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise ConfigurationError("The Kalshi private key is sealed with a passphrase; store it without one.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError("The Kalshi private key cannot be read as an unencrypted PEM.") from None
    if isinstance(key, RSAPrivateKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise ConfigurationError(f"The Kalshi private key must have {_LEAST_RSA_BITS} bits or more.")
        rsa_key = key
        scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
        return lambda text: rsa_key.sign(text, scheme, hashes.SHA256())
    if isinstance(key, Ed25519PrivateKey):
        return key.sign
    raise ConfigurationError("The Kalshi private key must be an RSA or an Ed25519 key.")
