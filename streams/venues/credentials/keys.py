"""What a venue client needs to sign. Secrets never show in a repr, a log or an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from streams.market.errors import ConfigurationError

KALSHI_FIELDS = ("key_id", "private_key_pem")
_BUILDER_FIELDS = ("relayer_secret", "relayer_passphrase")
POLYMARKET_FIELDS = ("private_key", "address", "api_key", "secret", "passphrase")


@dataclass(frozen=True, slots=True)
class KalshiCredentials:
    """A Kalshi API key: its id and the private key (RSA or Ed25519) in PEM."""

    key_id: str
    private_key_pem: SecretStr

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> KalshiCredentials:
        """Build from a keystore entry.

        Raises:
            ConfigurationError: If a field is missing.
        """
        _require(fields, KALSHI_FIELDS, "Kalshi")
        return cls(fields["key_id"], SecretStr(fields["private_key_pem"]))


@dataclass(frozen=True, slots=True)
class PolymarketCredentials:
    """A Polymarket wallet and its API key.

    Attributes:
        private_key: Key of the signing account, 0x + 64 hex.
        address: Checksummed address of that account; it is what authenticates, also for smart wallets.
        api_key / secret / passphrase: The L2 key made by that account.
        signature_type: 0 plain account, 1 proxy, 2 Safe, 3 deposit wallet.
        funder: The wallet that holds the funds; empty: the address itself.
        relayer_key: Of a relayer key that carries out a smart wallet's transactions; None: there is none.
        relayer_secret / relayer_passphrase: Where that is a builder's key, which signs each request.
    """

    private_key: SecretStr
    address: str
    api_key: str
    secret: SecretStr
    passphrase: SecretStr
    signature_type: int = 0
    funder: str = ""
    relayer_key: SecretStr | None = None
    relayer_secret: SecretStr | None = None
    relayer_passphrase: SecretStr | None = None

    @property
    def wallet(self) -> str:
        """The wallet that holds cash and tokens."""
        return self.funder or self.address

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> PolymarketCredentials:
        """Build from a keystore entry.

        Raises:
            ConfigurationError: If a field is missing (a smart wallet's funder too, and half of a builder's secret and
                passphrase) or the signature type is not 0 to 3.
        """
        _require(fields, POLYMARKET_FIELDS, "Polymarket")
        signature_type = fields.get("signature_type", "0")
        if signature_type not in ("0", "1", "2", "3"):
            raise ConfigurationError("The Polymarket key's signature_type must be 0, 1, 2 or 3.")
        if signature_type != "0":
            _require(fields, ("funder",), "Polymarket")
        if any(fields.get(name) for name in _BUILDER_FIELDS):
            _require(fields, ("relayer_key", *_BUILDER_FIELDS), "Polymarket")
        return cls(
            SecretStr(fields["private_key"]),
            fields["address"],
            fields["api_key"],
            SecretStr(fields["secret"]),
            SecretStr(fields["passphrase"]),
            int(signature_type),
            fields.get("funder", ""),
            *(SecretStr(fields[name]) if fields.get(name) else None for name in ("relayer_key", *_BUILDER_FIELDS)),
        )


def _require(fields: Mapping[str, str], names: tuple[str, ...], venue: str) -> None:
    missing = [name for name in names if not fields.get(name)]
    if missing:
        raise ConfigurationError(f"The {venue} key lacks {', '.join(missing)}.")
