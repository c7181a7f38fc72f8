"""What the relayer is given for each kind of wallet: calls packed, signed and put into its body. Pure.

    proxy (1)           one call to the proxy factory, signed as a personal message over the packed transaction
    Safe (2)            one call, or several through multi-send, signed as a personal message over the SafeTx digest
    deposit wallet (3)  a Batch of calls (EIP-712 of the wallet's own domain) with a deadline, signed as it is

Source: the bodies `polymarket-client` 0.14.0 sends; the digests are held against eth-account's typed data in tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth_abi.abi import encode

from streams.market.errors import ConfigurationError, InvalidAmount
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.chain.calldata import ContractCall
from streams.venues.polymarket.contracts import (
    DEPOSIT_WALLET_FACTORY,
    POLYGON,
    PROXY_FACTORY,
    RELAY_HUB,
    SAFE_MULTISEND,
    ZERO_ADDRESS,
)
from streams.venues.polymarket.ecdsa import checksummed, keccak256, sign_digest

DEADLINE_S = 600
"""How long a deposit wallet's batch may be carried out after it was signed."""
METADATA_LENGTH = 500
WALLET_KINDS = {1: "PROXY", 2: "SAFE", 3: "WALLET"}
"""The relayer's word by signature type; plain accounts (0) have none."""
_BATCH_TYPE = "Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls)"
_CALL_TYPE = "Call(address target,uint256 value,bytes data)"
_SAFE_TYPE = (
    "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,"
    "address gasToken,address refundReceiver,uint256 nonce)"
)
_WALLET_DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_SAFE_DOMAIN = "EIP712Domain(uint256 chainId,address verifyingContract)"
_DELEGATE_CALL = 1
_SAFE_SIGNATURE_OFFSET = 4
"""Added to v: tells the Safe that a personal message was signed."""


def wallet_kind(credentials: PolymarketCredentials) -> str:
    """Return the relayer's word for a wallet.

    Raises:
        ConfigurationError: If it is a plain account: it sends its transactions itself.
    """
    if credentials.signature_type not in WALLET_KINDS:
        raise ConfigurationError("The relayer serves smart wallets only; a plain account sends its own transactions.")
    return WALLET_KINDS[credentials.signature_type]


def deposit_wallet_envelope(
    credentials: PolymarketCredentials,
    calls: Sequence[ContractCall],
    *,
    nonce: int,
    deadline_s: int,
    metadata: str = "",
    chain_id: int = POLYGON,
) -> dict[str, Any]:
    """Return the body of POST /submit for a deposit wallet; `deadline_s` in Unix seconds."""
    wallet = checksummed(credentials.wallet)
    signature = sign_digest(_key(credentials), batch_digest(wallet, calls, nonce, deadline_s, chain_id))
    body = _body(credentials, DEPOSIT_WALLET_FACTORY, nonce, signature, metadata)
    listed = [
        {"target": call.target, "value": str(call.value), "data": "0x" + call.data.hex()} for call in _some(calls)
    ]
    return body | {"depositWalletParams": {"depositWallet": wallet, "deadline": str(deadline_s), "calls": listed}}


def safe_envelope(
    credentials: PolymarketCredentials,
    calls: Sequence[ContractCall],
    *,
    nonce: int,
    metadata: str = "",
    chain_id: int = POLYGON,
) -> dict[str, Any]:
    """Return the body of POST /submit for a Safe: one call as it is, several through the multi-send contract."""
    wallet = checksummed(credentials.wallet)
    call, operation = _some(calls)[0], 0
    if len(calls) > 1:
        call, operation = ContractCall(SAFE_MULTISEND, multi_send(calls)), _DELEGATE_CALL
    digest = safe_digest(wallet, call, operation, nonce, chain_id)
    raw = sign_digest(_key(credentials), _personal(digest))
    signature = raw[:64] + bytes([raw[64] + _SAFE_SIGNATURE_OFFSET])
    body = _body(credentials, call.target, nonce, signature, metadata)
    body |= {
        "proxyWallet": wallet,
        "data": "0x" + call.data.hex(),
        "signatureParams": {
            "baseGas": "0",
            "gasPrice": "0",
            "gasToken": ZERO_ADDRESS,
            "operation": str(operation),
            "refundReceiver": ZERO_ADDRESS,
            "safeTxnGas": "0",
        },
    }
    return body | ({"value": str(call.value)} if call.value else {})


def proxy_envelope(
    credentials: PolymarketCredentials,
    calls: Sequence[ContractCall],
    *,
    nonce: int,
    relay: str,
    gas_limit: int,
    metadata: str = "",
) -> dict[str, Any]:
    """Return the body of POST /submit for a proxy; `relay` is the address the relayer named with the nonce."""
    data = proxy_data(calls)
    packed = b"rlx:" + b"".join(bytes.fromhex(part[2:]) for part in (credentials.address, PROXY_FACTORY)) + data
    packed += b"".join(number.to_bytes(32, "big") for number in (0, 0, gas_limit, nonce))
    packed += b"".join(bytes.fromhex(part[2:]) for part in (RELAY_HUB, relay))
    signature = sign_digest(_key(credentials), _personal(keccak256(packed)))
    body = _body(credentials, PROXY_FACTORY, nonce, signature, metadata)
    return body | {
        "proxyWallet": checksummed(credentials.wallet),
        "data": "0x" + data.hex(),
        "signatureParams": {
            "gasLimit": str(gas_limit),
            "gasPrice": "0",
            "relay": relay,
            "relayHub": RELAY_HUB,
            "relayerFee": "0",
        },
    }


def batch_digest(wallet: str, calls: Sequence[ContractCall], nonce: int, deadline_s: int, chain_id: int) -> bytes:
    """Return what the owner of a deposit wallet signs."""
    call_type = keccak256(_CALL_TYPE.encode())
    hashed = b"".join(
        keccak256(
            call_type + encode(["address", "uint256", "bytes32"], [call.target, call.value, keccak256(call.data)])
        )
        for call in calls
    )
    fields = encode(["address", "uint256", "uint256", "bytes32"], [wallet, nonce, deadline_s, keccak256(hashed)])
    struct = keccak256(keccak256((_BATCH_TYPE + _CALL_TYPE).encode()) + fields)
    domain = keccak256(
        keccak256(_WALLET_DOMAIN.encode())
        + keccak256(b"DepositWallet")
        + keccak256(b"1")
        + encode(["uint256", "address"], [chain_id, wallet])
    )
    return keccak256(b"\x19\x01" + domain + struct)


def safe_digest(wallet: str, call: ContractCall, operation: int, nonce: int, chain_id: int) -> bytes:
    """Return the digest of a Safe's transaction without gas refunds."""
    types = ["address", "uint256", "bytes32", "uint8", "uint256", "uint256", "uint256", "address", "address", "uint256"]
    values = [call.target, call.value, keccak256(call.data), operation, 0, 0, 0, ZERO_ADDRESS, ZERO_ADDRESS, nonce]
    struct = keccak256(keccak256(_SAFE_TYPE.encode()) + encode(types, values))
    domain = keccak256(keccak256(_SAFE_DOMAIN.encode()) + encode(["uint256", "address"], [chain_id, wallet]))
    return keccak256(b"\x19\x01" + domain + struct)


def multi_send(calls: Sequence[ContractCall]) -> bytes:
    """Return the call that makes a Safe carry out several calls."""
    packed = b"".join(
        b"\x00"
        + bytes.fromhex(call.target[2:])
        + call.value.to_bytes(32, "big")
        + len(call.data).to_bytes(32, "big")
        + call.data
        for call in calls
    )
    return keccak256(b"multiSend(bytes)")[:4] + encode(["bytes"], [packed])


def proxy_data(calls: Sequence[ContractCall]) -> bytes:
    """Return the call to the proxy factory that makes a proxy carry out calls."""
    rows = [(1, call.target, call.value, call.data) for call in _some(calls)]
    return keccak256(b"proxy((uint8,address,uint256,bytes)[])")[:4] + encode(
        ["(uint8,address,uint256,bytes)[]"], [rows]
    )


def _body(
    credentials: PolymarketCredentials, target: str, nonce: int, signature: bytes, metadata: str
) -> dict[str, Any]:
    if len(metadata) > METADATA_LENGTH:
        raise InvalidAmount(f"what is noted with a transaction has at most {METADATA_LENGTH} characters")
    return {
        "type": wallet_kind(credentials),
        "from": checksummed(credentials.address),
        "to": target,
        "nonce": str(nonce),
        "signature": "0x" + signature.hex(),
        "metadata": metadata,
    }


def _some(calls: Sequence[ContractCall]) -> Sequence[ContractCall]:
    if not calls:
        raise InvalidAmount("a transaction without calls")
    return calls


def _key(credentials: PolymarketCredentials) -> str:
    return credentials.private_key.get_secret_value()


def _personal(digest: bytes) -> bytes:
    return keccak256(b"\x19Ethereum Signed Message:\n32" + digest)
