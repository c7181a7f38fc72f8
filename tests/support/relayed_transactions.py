"""Bodies of the relayer's transactions for each kind of smart wallet, signed as a client signs them."""

from __future__ import annotations

from typing import Any

from eth_account import Account

from streams.sandbox.polymarket.chain.calldata import selector
from streams.sandbox.polymarket.contracts import (
    COLLATERAL,
    DEPOSIT_FACTORY,
    PROXY_FACTORY,
    RELAY,
    RELAY_HUB,
    SAFE_MULTISEND,
)
from streams.sandbox.polymarket.signing import batch_digest, personal_digest, proxy_digest, safe_digest, word
from streams.sandbox.polymarket.wallets import owned_wallets

SPLIT = "splitPosition(address,bytes32,bytes32,uint256[],uint256)"
MERGE = "mergePositions(address,bytes32,bytes32,uint256[],uint256)"
REDEEM = "redeemPositions(address,bytes32,bytes32,uint256[])"


def address_of(private_key: str) -> str:
    """The address of a private key."""
    return str(Account.from_key(private_key).address)


def int_of(address: str) -> int:
    """The number that hex digits write."""
    return int(address, 16)


def sign(private_key: str, digest: bytes, *, adds: int = 0) -> str:
    """The signature of a digest as hex; `adds` goes on its last byte, as a Safe wants it for a signed message."""
    raw = bytes(Account.unsafe_sign_hash(digest, private_key).signature)
    return f"0x{raw[:64].hex()}{raw[64] + adds:02x}"


def positions_call(signature: str, condition: str, amount: int | None = None) -> bytes:
    """The data of a split, merge (both with an amount) or redemption."""
    head = [int_of(COLLATERAL), 0, int_of(condition), 160 if amount is not None else 128]
    head += [amount] if amount is not None else []
    return selector(signature) + b"".join(map(word, (*head, 2, 1, 2)))


def safe_body(private_key: str, calls: list[tuple[str, bytes]], nonce: int) -> dict[str, Any]:
    """The body of a Safe's transaction: one call, or several through the multi-send contract."""
    owner = address_of(private_key)
    safe = owned_wallets(owner).safe
    if len(calls) == 1:
        (to, data), operation = calls[0], 0
    else:
        inner = b"".join(b"\0" + bytes.fromhex(to[2:]) + word(0) + word(len(data)) + data for to, data in calls)
        padded = inner + bytes(-len(inner) % 32)
        data, operation, to = selector("multiSend(bytes)") + word(32) + word(len(inner)) + padded, 1, SAFE_MULTISEND
    digest = personal_digest(safe_digest(safe, to, 0, data, operation, nonce))
    return {
        "type": "SAFE", "from": owner, "to": to, "proxyWallet": safe, "data": f"0x{data.hex()}", "nonce": str(nonce),
        "signature": sign(private_key, digest, adds=4), "metadata": "",
        "signatureParams": {"operation": str(operation), "baseGas": "0"},
    }  # fmt: skip


def batch_body(private_key: str, calls: list[tuple[str, bytes]], nonce: int, deadline: int) -> dict[str, Any]:
    """The body of a deposit wallet's batch, valid until `deadline` (seconds)."""
    owner = address_of(private_key)
    wallet = owned_wallets(owner).deposit
    digest = batch_digest(wallet, nonce, deadline, [(to, 0, data) for to, data in calls])
    return {
        "type": "WALLET", "from": owner, "to": DEPOSIT_FACTORY, "nonce": str(nonce),
        "signature": sign(private_key, digest), "metadata": "",
        "depositWalletParams": {
            "depositWallet": wallet, "deadline": str(deadline),
            "calls": [{"target": to, "value": "0", "data": f"0x{data.hex()}"} for to, data in calls],
        },
    }  # fmt: skip


def proxy_body(private_key: str, calls: list[tuple[str, bytes]], nonce: int) -> dict[str, Any]:
    """The body of a proxy wallet's calls."""
    owner = address_of(private_key)
    tuples = [
        word(1) + word(int_of(to)) + word(0) + word(128) + word(len(data)) + data + bytes(-len(data) % 32)
        for to, data in calls
    ]
    offsets, at = b"", 32 * len(tuples)
    for entry in tuples:
        offsets += word(at)
        at += len(entry)
    data = selector("proxy((uint8,address,uint256,bytes)[])") + word(32) + word(len(calls)) + offsets + b"".join(tuples)
    terms = {"relayerFee": "0", "gasPrice": "0", "gasLimit": "200000", "relayHub": RELAY_HUB, "relay": RELAY}
    digest = personal_digest(proxy_digest(owner, PROXY_FACTORY, data, terms, nonce))
    return {
        "type": "PROXY", "from": owner, "to": PROXY_FACTORY, "proxyWallet": owned_wallets(owner).proxy,
        "data": f"0x{data.hex()}", "nonce": str(nonce), "signature": sign(private_key, digest), "metadata": "",
        "signatureParams": terms,
    }  # fmt: skip
