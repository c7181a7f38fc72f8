"""Polymarket's signatures: orders (EIP-712, exchange V2 and V3), L1 and L2 request headers. Pure.

Orders are exact integers; the struct, its domains and the wrapped form of deposit wallets are checked byte for byte
against vectors of the venue's own SDKs. What is not signed: owner, orderType, expiration, postOnly, deferExec.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson

from streams.market.errors import ConfigurationError, InvalidAmount
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.amounts import CENT_E6, Amounts, OrderSide
from streams.venues.polymarket.contracts import EXCHANGE_V2, EXCHANGE_V3, NEG_RISK_EXCHANGE_V2, POLYGON
from streams.venues.polymarket.ecdsa import checksummed, keccak256, sign_digest

OrderType = Literal["GTC", "GTD", "FOK", "FAK"]
Protocol = Literal["2", "3"]
"""Version of the exchange and of the EIP-712 domain."""
ZERO_BYTES32 = "0x" + "00" * 32

_ORDER_TYPE = (
    "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,"
    "uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)
_ORDER_TYPE_HASH = keccak256(_ORDER_TYPE.encode())
_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_WALLET_TYPE = (
    "TypedDataSign(Order contents,string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)"
    + _ORDER_TYPE
)
_AUTH_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId)"
_AUTH_TYPE = "ClobAuth(address address,string timestamp,uint256 nonce,string message)"
_AUTH_MESSAGE = "This message attests that I control the given wallet"
_DEPOSIT_WALLET = 3
GTD_LEAST_S = 180
"""How far ahead a GTD order's stated expiration must lie."""
# Bits 40 to 103 of a protocol v2 position id are zero; a token id is a hash, where that does not happen.
_POSITION_ID_ZEROS = ((1 << 64) - 1) << 40


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order ready to be posted.

    Attributes:
        order_id: The id the venue will give it: the EIP-712 digest, known before anything is sent.
        body: The JSON of POST /order. `content` gives the same bytes every time.
    """

    order_id: str
    body: dict[str, Any]

    def content(self) -> bytes:
        """Return the exact bytes to send."""
        return orjson.dumps(self.body)


def build_order(
    credentials: PolymarketCredentials,
    *,
    token_id: str,
    side: OrderSide,
    amounts: Amounts,
    order_type: OrderType,
    is_neg_risk: bool,
    salt: int,
    timestamp_ms: int,
    expiration_s: int = 0,
    post_only: bool = False,
    builder: str = ZERO_BYTES32,
    metadata: str = ZERO_BYTES32,
    chain_id: int = POLYGON,
    protocol: Protocol | None = None,
    is_checked: bool = True,
) -> SignedOrder:
    """Build and sign an order.

    Args:
        credentials: Whose order it is; for wallets the maker is the wallet.
        token_id: The outcome's token id, or a position id of protocol v2.
        side: BUY pays cash (maker) for tokens (taker), SELL the reverse.
        amounts: Exact maker and taker amounts (`streams.venues.polymarket.amounts`).
        order_type: GTC and GTD rest; FOK and FAK do not, and their BUY spends its dollars.
        is_neg_risk: Whether the market is traded on the neg-risk exchange.
        salt: A random number below 2**53, unique with the timestamp.
        timestamp_ms: Unix milliseconds, for V2 and V3 alike as both SDKs do. One page of the documents asks for seconds
            in V3 orders of combinations: not confirmed, such a caller passes seconds.
        expiration_s: Only with GTD: Unix seconds, at least three minutes ahead; the order rests until a minute before.
        post_only: Only with GTC and GTD: refused rather than matched at once.
        builder / metadata: 32 bytes of hex that are signed and not interpreted here.
        chain_id: Polygon, or a test chain.
        protocol: Which exchange's struct; None goes by the id's bit pattern, as the maintained SDK does; another goes
            by how its caller names the id, and any id may be named a position.
        is_checked: False signs what the venue will refuse (decimals, expiration, post-only), for tests of it.

    Raises:
        InvalidAmount: If salt, token, amounts, expiration or post-only cannot be meant.
        ConfigurationError: If the private key cannot be one.
    """
    _check_form(token_id, order_type, salt, expiration_s)
    if is_checked:
        _check_rules(amounts, order_type, timestamp_ms, expiration_s, post_only=post_only)
    maker = checksummed(credentials.wallet)
    is_deposit_wallet = credentials.signature_type == _DEPOSIT_WALLET
    order: dict[str, Any] = {
        "salt": salt,
        "maker": maker,
        "signer": maker if is_deposit_wallet else checksummed(credentials.address),
        "tokenId": token_id,
        "makerAmount": str(amounts.maker_e6),
        "takerAmount": str(amounts.taker_e6),
        "side": side,
        "expiration": str(expiration_s),
        "signatureType": credentials.signature_type,
        "timestamp": str(timestamp_ms),
        "metadata": metadata,
        "builder": builder,
    }
    struct_hash = _struct_hash(order)
    domain = exchange_domain(int(token_id), is_neg_risk=is_neg_risk, chain_id=chain_id, protocol=protocol)
    digest = keccak256(b"\x19\x01" + domain + struct_hash)
    if is_deposit_wallet:
        signature = _wallet_signature(credentials, domain, struct_hash, maker, chain_id)
    else:
        signature = _sign(credentials, digest)
    body = {
        "order": order | {"signature": "0x" + signature.hex()},
        "owner": credentials.api_key,
        "orderType": order_type,
        "deferExec": False,
        "postOnly": post_only,
    }
    return SignedOrder("0x" + digest.hex(), body)


def _check_form(token_id: str, order_type: OrderType, salt: int, expiration_s: int) -> None:
    if not 0 <= salt < 1 << 53:
        raise InvalidAmount("the salt must fit a JSON integer")
    if not (token_id.isascii() and token_id.isdigit()) or int(token_id) >= 1 << 256:
        raise InvalidAmount(f"not a token id: {token_id[:90]!r}")
    if (expiration_s > 0) != (order_type == "GTD"):
        raise InvalidAmount("an expiration belongs to GTD orders and to no others")


def _check_rules(
    amounts: Amounts, order_type: OrderType, timestamp_ms: int, expiration_s: int, *, post_only: bool
) -> None:
    if expiration_s and expiration_s * 1000 < timestamp_ms + GTD_LEAST_S * 1000:
        raise InvalidAmount("a GTD order must expire at least three minutes ahead")
    if order_type in ("FOK", "FAK"):
        if post_only:
            raise InvalidAmount("post-only belongs to orders that rest")
        if amounts.maker_e6 % CENT_E6:
            raise InvalidAmount("what a FOK or FAK order gives has at most two decimals")


def _struct_hash(order: Mapping[str, Any]) -> bytes:
    """Return the hash of what is signed of an order: the fields as they are sent, expiration and signature left out."""
    return keccak256(
        _ORDER_TYPE_HASH
        + _uint(order["salt"])
        + _address(order["maker"])
        + _address(order["signer"])
        + _uint(int(order["tokenId"]))
        + _uint(int(order["makerAmount"]))
        + _uint(int(order["takerAmount"]))
        + _uint(0 if order["side"] == "BUY" else 1)
        + _uint(order["signatureType"])
        + _uint(int(order["timestamp"]))
        + _bytes32(order["metadata"])
        + _bytes32(order["builder"])
    )


@lru_cache(maxsize=16)
def _domain(version: str, chain_id: int, contract: str) -> bytes:
    return keccak256(
        keccak256(_DOMAIN_TYPE.encode())
        + keccak256(b"Polymarket CTF Exchange")
        + keccak256(version.encode())
        + _uint(chain_id)
        + _address(contract)
    )


def is_position_id(asset_id: int) -> bool:
    """Whether an asset's id is a position of protocol v2, by its bit pattern."""
    return asset_id & _POSITION_ID_ZEROS == 0


def exchange_domain(
    asset_id: int, *, is_neg_risk: bool, chain_id: int = POLYGON, protocol: Protocol | None = None
) -> bytes:
    """Return the domain separator of the exchange that trades an asset, by its id where no protocol is named."""
    if is_position_id(asset_id) if protocol is None else protocol == "3":
        return _domain("3", chain_id, EXCHANGE_V3)
    return _domain("2", chain_id, NEG_RISK_EXCHANGE_V2 if is_neg_risk else EXCHANGE_V2)


def _wallet_signature(
    credentials: PolymarketCredentials, domain: bytes, struct_hash: bytes, wallet: str, chain_id: int
) -> bytes:
    """Return the signature a deposit wallet accepts: nested (ERC-7739), with all it needs to check it appended."""
    nested = keccak256(
        keccak256(_WALLET_TYPE.encode())
        + struct_hash
        + keccak256(b"DepositWallet")
        + keccak256(b"1")
        + _uint(chain_id)
        + _address(wallet)
        + bytes(32)
    )
    signature = _sign(credentials, keccak256(b"\x19\x01" + domain + nested))
    contents = _ORDER_TYPE.encode()
    return signature + domain + struct_hash + contents + len(contents).to_bytes(2, "big")


def l1_headers(
    credentials: PolymarketCredentials, timestamp_s: int, nonce: int = 0, chain_id: int = POLYGON
) -> dict[str, str]:
    """Return the headers that prove the wallet, for making and deriving API keys."""
    domain = keccak256(
        keccak256(_AUTH_DOMAIN_TYPE.encode()) + keccak256(b"ClobAuthDomain") + keccak256(b"1") + _uint(chain_id)
    )
    struct_hash = keccak256(
        keccak256(_AUTH_TYPE.encode())
        + _address(credentials.address)
        + keccak256(str(timestamp_s).encode())
        + _uint(nonce)
        + keccak256(_AUTH_MESSAGE.encode())
    )
    return {
        "POLY_ADDRESS": credentials.address,
        "POLY_SIGNATURE": "0x" + _sign(credentials, keccak256(b"\x19\x01" + domain + struct_hash)).hex(),
        "POLY_TIMESTAMP": str(timestamp_s),
        "POLY_NONCE": str(nonce),
    }


def l2_headers(
    credentials: PolymarketCredentials, method: str, path: str, timestamp_s: int, body: bytes = b""
) -> dict[str, str]:
    """Return the headers of a signed request.

    Args:
        credentials: Whose request it is.
        method: HTTP method.
        path: As the real host sees it: no prefix of ours, no query.
        timestamp_s: Unix seconds.
        body: Exactly the bytes that are sent.
    """
    return {
        "POLY_ADDRESS": credentials.address,
        "POLY_SIGNATURE": l2_signature(credentials.secret.get_secret_value(), method, path, timestamp_s, body),
        "POLY_TIMESTAMP": str(timestamp_s),
        "POLY_API_KEY": credentials.api_key,
        "POLY_PASSPHRASE": credentials.passphrase.get_secret_value(),
    }


def l2_signature(secret: str, method: str, path: str, timestamp_s: int, body: bytes = b"") -> str:
    """Return the HMAC of one request, urlsafe base64.

    Raises:
        ConfigurationError: If the secret is not urlsafe base64.
    """
    try:
        key = base64.urlsafe_b64decode(secret)
    except (binascii.Error, ValueError):
        raise ConfigurationError("The Polymarket API secret is not urlsafe base64.") from None
    text = f"{timestamp_s}{method.upper()}{path}".encode() + body
    return base64.urlsafe_b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def _sign(credentials: PolymarketCredentials, digest: bytes) -> bytes:
    return sign_digest(credentials.private_key.get_secret_value(), digest)


def _uint(value: int) -> bytes:
    return value.to_bytes(32, "big")


@lru_cache(maxsize=256)
def _address(text: str) -> bytes:
    raw = bytes.fromhex(text.removeprefix("0x"))
    if len(raw) != 20:
        raise ConfigurationError("A Polymarket address must be 0x and 40 hex digits.")
    return raw.rjust(32, b"\x00")


def _bytes32(text: str) -> bytes:
    raw = bytes.fromhex(text.removeprefix("0x"))
    if len(raw) != 32:
        raise InvalidAmount("metadata and builder must be 32 bytes of hex")
    return raw
