"""Who signed what: EIP-712 digests of orders, ClobAuth messages and relayed transactions, and the recovered signer.

eth-account encodes the typed data, so that what our own client signs is held against code it does not share.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eth_abi.exceptions import EncodingError
from eth_account.messages import SignableMessage, encode_defunct, encode_typed_data
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from streams.sandbox.polymarket.contracts import (
    CHAIN_ID,
    EXCHANGE_V2,
    EXCHANGE_V3,
    NEG_RISK_EXCHANGE_V2,
)

DEPOSIT_WALLET = 3
_AUTH_MESSAGE = "This message attests that I control the given wallet"
_ORDER_TYPE = (
    "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,"
    "uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)
_NESTED_TYPE = (
    "TypedDataSign(Order contents,string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)"
)
_SAFE_TYPE = (
    "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,"
    "address gasToken,address refundReceiver,uint256 nonce)"
)
_CALL_TYPE = "Call(address target,uint256 value,bytes data)"
_BATCH_TYPE = "Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls)"
_AUTH_TYPE = "ClobAuth(address address,string timestamp,uint256 nonce,string message)"
_NOBODY = bytes(20)
_SESSION_MAGIC = bytes.fromhex("6492" * 16)
# Bits 40 to 103 of a protocol v2 position id are zero; in a token id, which is a hash, they are not.
_POSITION_ID_ZEROS = ((1 << 64) - 1) << 40

Digest = bytes


def word(value: int) -> bytes:
    """An integer as 32 bytes.

    Raises:
        ValueError: If it is negative or does not fit.
    """
    if not 0 <= value < 2**256:
        raise ValueError("not a uint256")
    return value.to_bytes(32, "big")


def address_bytes(text: str) -> bytes:
    """The 20 bytes of an address.

    Raises:
        ValueError: If it is none.
    """
    raw = bytes.fromhex(text.removeprefix("0x"))
    if len(raw) != 20:
        raise ValueError("not an address")
    return raw


def hex_bytes(text: str) -> bytes:
    """Bytes from hex, with or without 0x.

    Raises:
        ValueError: If it is no hex.
    """
    return bytes.fromhex(text.removeprefix("0x"))


def is_position_id(token_id: int) -> bool:
    """Whether an asset id is a protocol v2 position id."""
    return token_id & _POSITION_ID_ZEROS == 0


def recovered(digest: Digest, signature: bytes) -> str | None:
    """The checksummed address whose 65-byte signature of a digest it is, None for a broken signature."""
    if len(signature) != 65:
        return None
    v = signature[64]
    try:
        made = Signature(vrs=(v - 27 if v >= 27 else v, _number(signature[:32]), _number(signature[32:64])))
        return str(made.recover_public_key_from_msg_hash(digest).to_checksum_address())
    except (BadSignature, ValidationError, ValueError, TypeError):
        return None


def clob_auth_digest(address: str, timestamp: str, nonce: int, chain_id: int = CHAIN_ID) -> Digest:
    """What a wallet signs for L1 headers.

    Raises:
        ValueError: If the address is none.
    """
    domain = {"name": "ClobAuthDomain", "version": "1", "chainId": chain_id}
    fields = {"address": address_bytes(address), "timestamp": timestamp, "nonce": nonce, "message": _AUTH_MESSAGE}
    return _digest(_typed(domain, fields, _AUTH_TYPE))


def order_digest_and_signer(order: dict[str, Any], *, is_neg_risk: bool) -> tuple[str, str | None]:
    """Return an order's id (its EIP-712 digest) and the wallet that signed it, None for a broken signature.

    Type 3 carries a nested signature: 65 bytes over the wallet's own typed data, then the exchange's domain separator,
    the order's hash, its type and that type's length.

    Raises:
        ValueError: If a field does not fit its type.
    """
    domain = _exchange_domain(int(order["tokenId"]), is_neg_risk=is_neg_risk)
    fields = _signed_fields(order)
    contents = _typed(domain, fields, _ORDER_TYPE)
    digest = _digest(contents)
    signature = hex_bytes(str(order["signature"]))
    if int(order["signatureType"]) != DEPOSIT_WALLET:
        return f"0x{digest.hex()}", recovered(digest, signature)
    inner = unwrapped(signature)
    trailer = contents.header + contents.body + _ORDER_TYPE.encode() + len(_ORDER_TYPE).to_bytes(2, "big")
    if inner[65:] != trailer:
        return f"0x{digest.hex()}", None
    nested = _wallet_domain(str(order["signer"])) | {"contents": fields, "salt": bytes(32)}
    return f"0x{digest.hex()}", recovered(_digest(_typed(domain, nested, _NESTED_TYPE, _ORDER_TYPE)), inner[:65])


def unwrapped(signature: bytes) -> bytes:
    """The signature inside a session signer's envelope (signer id, zero, bytes, magic), or the signature itself."""
    if not signature.endswith(_SESSION_MAGIC) or len(signature) < 160:
        return signature
    length = _number(signature[96:128])
    return signature[128 : 128 + length]


def safe_digest(wallet: str, to: str, value: int, data: bytes, operation: int, nonce: int) -> Digest:
    """What the owner of a Safe signs, before the personal-message prefix.

    Raises:
        ValueError: If a field does not fit its type.
    """
    domain = {"chainId": CHAIN_ID, "verifyingContract": address_bytes(wallet)}
    fields = {
        "to": address_bytes(to), "value": value, "data": data, "operation": operation, "safeTxGas": 0, "baseGas": 0,
        "gasPrice": 0, "gasToken": _NOBODY, "refundReceiver": _NOBODY, "nonce": nonce,
    }  # fmt: skip
    return _digest(_typed(domain, fields, _SAFE_TYPE))


def batch_digest(wallet: str, nonce: int, deadline: int, calls: Iterable[tuple[str, int, bytes]]) -> Digest:
    """What the owner of a deposit wallet signs for a batch of (target, value, data).

    Raises:
        ValueError: If a field does not fit its type.
    """
    listed = [{"target": address_bytes(to), "value": value, "data": data} for to, value, data in calls]
    fields = {"wallet": address_bytes(wallet), "nonce": nonce, "deadline": deadline, "calls": listed}
    return _digest(_typed(_wallet_domain(wallet), fields, _BATCH_TYPE, _CALL_TYPE))


def proxy_digest(owner: str, to: str, data: bytes, terms: dict[str, Any], nonce: int) -> Digest:
    """What the owner of a proxy wallet signs, before the personal-message prefix.

    Raises:
        ValueError: If a field does not fit its type.
    """
    amounts = (int(terms["relayerFee"]), int(terms["gasPrice"]), int(terms["gasLimit"]), nonce)
    packed = b"rlx:" + address_bytes(owner) + address_bytes(to) + data + b"".join(word(amount) for amount in amounts)
    return bytes(keccak(packed + address_bytes(str(terms["relayHub"])) + address_bytes(str(terms["relay"]))))


def personal_digest(message: bytes) -> Digest:
    """The digest of a personal message."""
    return _digest(encode_defunct(primitive=message))


def _signed_fields(order: dict[str, Any]) -> dict[str, Any]:
    numbers = ("salt", "tokenId", "makerAmount", "takerAmount", "signatureType", "timestamp")
    return {
        **{name: int(order[name]) for name in numbers},
        **{name: address_bytes(order[name]) for name in ("maker", "signer")},
        **{name: _bytes32(order[name]) for name in ("metadata", "builder")},
        "side": 0 if order["side"] == "BUY" else 1,
    }


def _exchange_domain(token_id: int, *, is_neg_risk: bool) -> dict[str, Any]:
    """The exchange an asset trades on."""
    is_position = is_position_id(token_id)
    contract = EXCHANGE_V3 if is_position else NEG_RISK_EXCHANGE_V2 if is_neg_risk else EXCHANGE_V2
    return {
        "name": "Polymarket CTF Exchange",
        "version": "3" if is_position else "2",
        "chainId": CHAIN_ID,
        "verifyingContract": address_bytes(contract),
    }


def _wallet_domain(wallet: str) -> dict[str, Any]:
    return {
        "name": "DepositWallet",
        "version": "1",
        "chainId": CHAIN_ID,
        "verifyingContract": address_bytes(wallet),
    }


def _typed(domain: dict[str, Any], fields: dict[str, Any], *types: str) -> SignableMessage:
    """Encode fields of the first type, which may name the others; types are as the contracts write them."""
    try:
        return encode_typed_data(domain, dict(map(_members, types)), fields)
    except EncodingError as error:
        raise ValueError(str(error)) from None


def _members(type_: str) -> tuple[str, list[dict[str, str]]]:
    name, _, members = type_.removesuffix(")").partition("(")
    pairs = (member.split(" ") for member in members.split(","))
    return name, [{"type": kind, "name": called} for kind, called in pairs]


def _digest(message: SignableMessage) -> Digest:
    return bytes(keccak(b"\x19" + message.version + message.header + message.body))


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _bytes32(text: str) -> bytes:
    value = hex_bytes(text)
    if len(value) != 32:
        raise ValueError("not 32 bytes")
    return value
