"""Orders of deposit wallets: the nested signature, built here by a general EIP-712 library, and what breaks it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from streams.sandbox.polymarket.wallets import owned_wallets

ORDER = (
    ("salt", "uint256"), ("maker", "address"), ("signer", "address"), ("tokenId", "uint256"),
    ("makerAmount", "uint256"), ("takerAmount", "uint256"), ("side", "uint8"), ("signatureType", "uint8"),
    ("timestamp", "uint256"), ("metadata", "bytes32"), ("builder", "bytes32"),
)  # fmt: skip
NESTED = (
    ("contents", "Order"), ("name", "string"), ("version", "string"), ("chainId", "uint256"),
    ("verifyingContract", "address"), ("salt", "bytes32"),
)  # fmt: skip
DOMAIN = {
    "name": "Polymarket CTF Exchange",
    "version": "2",
    "chainId": 137,
    "verifyingContract": "0xE111180000d2663C0091e4f400237545B87B996B",
}


def fields(pairs: Any) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in pairs]


def nested(desk: Any, body: dict[str, Any]) -> str:
    order = body["order"]
    message = {name: order[name] if kind == "address" else _value(order, name, kind) for name, kind in ORDER}
    plain = encode_typed_data(DOMAIN, {"Order": fields(ORDER)}, message)
    wrapped = {
        "contents": message, "name": "DepositWallet", "version": "1", "chainId": 137,
        "verifyingContract": order["signer"], "salt": bytes(32),
    }  # fmt: skip
    types = {"TypedDataSign": fields(NESTED), "Order": fields(ORDER)}
    full = {
        "primaryType": "TypedDataSign",
        "types": {**types, "EIP712Domain": fields(_domain_fields())},
        "domain": DOMAIN,
        "message": wrapped,
    }
    signed = Account.sign_message(encode_typed_data(full_message=full), desk.private_key).signature
    kind = "Order(" + ",".join(f"{kind} {name}" for name, kind in ORDER) + ")"
    trailer = plain.header + plain.body + kind.encode() + len(kind).to_bytes(2, "big")
    return f"0x{(bytes(signed) + trailer).hex()}"


def _domain_fields() -> Any:
    return (("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address"))


def _value(order: dict[str, Any], name: str, kind: str) -> Any:
    if name == "side":
        return 0 if order[name] == "BUY" else 1
    return bytes.fromhex(order[name][2:]) if kind == "bytes32" else int(order[name])


def deposit_order(desk: Any) -> dict[str, Any]:
    wallet = owned_wallets(desk.address).deposit
    body: dict[str, Any] = desk.order("BUY", 5_100_000, 10_000_000, maker=wallet, signer=wallet, signatureType=3)
    body["order"]["signature"] = nested(desk, body)
    return body


def test_an_order_of_a_deposit_wallet_trades_for_that_wallet(desk: Any) -> None:
    body = deposit_order(desk)
    assert desk.signed("POST", "/order", body).body["status"] == "matched"
    held = {"asset_type": "CONDITIONAL", "token_id": desk.yes, "signature_type": 3}
    assert desk.signed("GET", "/balance-allowance", **held).body["balance"] == "10000000"


@pytest.mark.parametrize("what", ["trailer", "plain", "maker", "short"])
def test_what_is_wrong_with_a_nested_signature_is_refused(desk: Any, what: str) -> None:
    body = deposit_order(desk)
    order = body["order"]
    if what == "trailer":
        order["signature"] = order["signature"][:-2] + "bb"
    elif what == "plain":
        order["signature"] = order["signature"][:132]
    elif what == "short":
        order["signature"] = "0x1234"
    else:
        order["maker"] = desk.address
    answer = desk.signed("POST", "/order", body)
    assert (answer.status, answer.body["error"]) == (400, "invalid signature")


def test_the_library_and_the_emulator_agree_on_the_type_of_an_order() -> None:
    kind = "Order(" + ",".join(f"{kind} {name}" for name, kind in ORDER) + ")"
    assert keccak(kind.encode()).hex() == "bb86318a2138f5fa8ae32fbe8e659f8fcf13cc6ae4014a707893055433818589"


def test_the_stored_shapes_are_those_of_the_samples(shapes: Any, shared_dir: Path) -> None:
    for name, shape in shapes.items():
        if name != "clob_scalars":
            sample = json.loads((shared_dir / "venues/polymarket-samples" / f"{name}.json").read_text())
            assert skeleton(sample) == shape, name


def skeleton(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: skeleton(inner) for name, inner in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        return [skeleton(value[0])]
    return None
