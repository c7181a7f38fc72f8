"""Inventory through the relayer: calls and signed bodies byte for byte, and what becomes of a transaction."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from pydantic import SecretStr

from streams.market.errors import ConfigurationError, InvalidAmount, OutcomeUnknown, Refused
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.chain import calldata, envelopes
from streams.venues.polymarket.chain.calldata import ContractCall
from streams.venues.polymarket.chain.relayer import RelayedTransaction, Relayer, RelayerKey, parse_transaction
from streams.venues.polymarket.contracts import COLLATERAL, COLLATERAL_ADAPTER, CONDITIONAL_TOKENS, ZERO_ADDRESS
from streams.venues.polymarket.signing import l2_signature

T = TypeVar("T")
VECTORS = json.loads((Path(__file__).parents[3] / "fixtures/polymarket/relayer_vectors.json").read_text())
CONDITION, CONDITION_V2 = VECTORS["condition_id"], VECTORS["condition_id_v2"]
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
SPLIT = calldata.split_call(CONDITION, 12_500_000, is_neg_risk=False)
APPROVE = calldata.approve_call(COLLATERAL, COLLATERAL_ADAPTER)


def wallet(signature_type: int) -> PolymarketCredentials:
    return PolymarketCredentials(
        SecretStr(VECTORS["private_key"]),
        ADDRESS,
        "key",
        SecretStr(SECRET),
        SecretStr("words"),
        signature_type,
        VECTORS["wallet"],
    )


def test_every_call_is_met_byte_for_byte() -> None:
    ours = {
        "split": SPLIT,
        "merge_neg_risk": calldata.merge_call(CONDITION, 1, is_neg_risk=True),
        "redeem": calldata.redeem_call(CONDITION, is_neg_risk=False),
        "split_v2": calldata.split_call(CONDITION_V2, 5_000_000, is_neg_risk=False),
        "merge_v2": calldata.merge_call(CONDITION_V2, 5_000_000, is_neg_risk=False),
        "redeem_v2": calldata.redeem_v2_call(CONDITION_V2, 1, 5_000_000),
        "approve": APPROVE,
        "approve_all": calldata.approve_all_call(CONDITIONAL_TOKENS, COLLATERAL_ADAPTER),
    }
    assert {name: {"to": call.target, "data": "0x" + call.data.hex()} for name, call in ours.items()} == VECTORS[
        "calls"
    ]


def test_a_conversion_names_its_outcomes_by_bits() -> None:
    call = calldata.convert_call(CONDITION, [0, 3], 2_000_000)
    assert call.target == "0xadA2005600Dec949baf300f4C6120000bDB6eAab"
    # the selector as the adapter's published interface states it
    assert call.data[:4].hex() == "c64748c4"
    words = [call.data[4 + 32 * number : 36 + 32 * number] for number in range(3)]
    assert words[0].hex() == CONDITION[2:]
    assert [int.from_bytes(word, "big") for word in words[1:]] == [0b1001, 2_000_000]


@pytest.mark.parametrize(
    "make",
    [
        lambda: calldata.split_call("0x12", 1, is_neg_risk=False),
        lambda: calldata.split_call("0x" + "zz" * 32, 1, is_neg_risk=False),
        lambda: calldata.merge_call(CONDITION, 0, is_neg_risk=False),
        lambda: calldata.merge_call(CONDITION, 1 << 256, is_neg_risk=False),
        lambda: calldata.redeem_call(CONDITION_V2, is_neg_risk=False),
        lambda: calldata.redeem_v2_call(CONDITION, 1, 1),
        lambda: calldata.redeem_v2_call(CONDITION_V2, 2, 1),
        lambda: calldata.convert_call(CONDITION, [], 1),
        lambda: calldata.convert_call(CONDITION, [1, 1], 1),
        lambda: calldata.convert_call(CONDITION, [256], 1),
        lambda: envelopes.proxy_data([]),
        lambda: envelopes.safe_envelope(wallet(2), [SPLIT], nonce=1, metadata="x" * 501),
    ],
)
def test_what_cannot_be_meant_is_not_encoded(make: Callable[[], object]) -> None:
    with pytest.raises(InvalidAmount):
        make()


@pytest.mark.parametrize(("name", "calls"), [("split", [SPLIT]), ("approve_and_split", [APPROVE, SPLIT])])
def test_every_submission_is_met_byte_for_byte(name: str, calls: list[ContractCall]) -> None:
    given: dict[str, Any] = VECTORS["submissions"]
    same = {"nonce": given["nonce"], "metadata": given["metadata"]}
    deposit = envelopes.deposit_wallet_envelope(wallet(3), calls, deadline_s=given["deadline_s"], **same)
    assert deposit == given["deposit_wallet"][name]
    assert envelopes.safe_envelope(wallet(2), calls, **same) == given["safe"][name]
    relayed = {"relay": given["relay"], "gas_limit": given["gas_limit"]}
    assert envelopes.proxy_envelope(wallet(1), calls, **same, **relayed) == given["proxy"][name]


def test_digests_agree_with_typed_data_of_eth_account() -> None:
    address = {"name": "wallet", "type": "address"}
    typed = {
        "domain": {"name": "DepositWallet", "version": "1", "chainId": 137, "verifyingContract": VECTORS["wallet"]},
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Batch": [
                address,
                {"name": "nonce", "type": "uint256"},
                {"name": "deadline", "type": "uint256"},
                {"name": "calls", "type": "Call[]"},
            ],
            "Call": [
                {"name": "target", "type": "address"},
                {"name": "value", "type": "uint256"},
                {"name": "data", "type": "bytes"},
            ],
        },
        "primaryType": "Batch",
        "message": {
            "wallet": VECTORS["wallet"],
            "nonce": 7,
            "deadline": 9,
            "calls": [{"target": call.target, "value": call.value, "data": call.data} for call in (APPROVE, SPLIT)],
        },
    }
    signable = encode_typed_data(full_message=typed)
    expected = keccak(b"\x19" + signable.version + signable.header + signable.body)
    assert envelopes.batch_digest(VECTORS["wallet"], [APPROVE, SPLIT], 7, 9, 137) == expected


def test_a_plain_account_has_no_relayer() -> None:
    with pytest.raises(ConfigurationError):
        envelopes.wallet_kind(wallet(0))


class Stub:
    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status, body = self.answers.pop(0)
        return httpx.Response(status, content=json.dumps(body).encode())


BUILDER = RelayerKey("builder", secret=SecretStr(SECRET), passphrase=SecretStr("words"))


def ask(stub: Stub, use: Callable[[Relayer], Awaitable[T]], *, signature_type: int = 3, key: RelayerKey = BUILDER) -> T:
    async def main() -> T:
        async with httpx.AsyncClient(transport=httpx.MockTransport(stub)) as http:
            places = replace(endpoints(Settings(_env_file=None)), polymarket_relayer="http://127.0.0.1/relayer")
            clock = lambda: 1790934258 * 1_000_000_000  # noqa: E731
            return await use(Relayer(places, wallet(signature_type), key, http=http, clock=clock))

    return asyncio.run(main())


NEW = {"transactionID": "t1", "state": "STATE_NEW"}


@pytest.mark.parametrize(
    ("signature_type", "nonce_path", "kind"),
    [
        (1, "/relayer/relay-payload", "PROXY"),
        (2, "/relayer/v1/account/transactions/params", "SAFE"),
        (3, "/relayer/v1/account/transactions/params", "WALLET"),
    ],
)
def test_a_submission_is_signed_for_the_wallets_next_nonce(signature_type: int, nonce_path: str, kind: str) -> None:
    stub = Stub((200, {"address": VECTORS["submissions"]["relay"], "nonce": "7"}), (200, NEW))
    taken = ask(stub, lambda relayer: relayer.submit([SPLIT], metadata="split"), signature_type=signature_type)
    assert (taken.transaction_id, taken.state, taken.is_final) == ("t1", "NEW", False)
    asked, sent = stub.requests
    assert asked.url.path == nonce_path
    assert dict(asked.url.params) == {"address": ADDRESS, "type": kind}
    names = {1: "proxy", 2: "safe", 3: "deposit_wallet"}
    assert sent.url.path == "/relayer/submit"
    assert json.loads(sent.content) == VECTORS["submissions"][names[signature_type]]["split"]
    signature = l2_signature(SECRET, "POST", "/submit", 1790934258, sent.content)
    assert sent.headers["POLY_BUILDER_SIGNATURE"] == signature


def test_a_relayers_own_key_is_named_in_headers() -> None:
    stub = Stub((200, {"transaction_id": "t1", "state": "STATE_MINED", "transaction_hash": "0x1"}))
    key = RelayerKey("mine", ADDRESS)
    found = ask(stub, lambda relayer: relayer.transaction("t1"), key=key)
    assert (found.state, found.transaction_hash) == ("MINED", "0x1")
    assert stub.requests[0].url.params["id"] == "t1"
    assert stub.requests[0].headers["RELAYER_API_KEY_ADDRESS"] == ADDRESS


def test_a_busy_wallet_is_a_refusal_and_a_lost_answer_is_unknown() -> None:
    for words, code in (
        ("wallet busy: wallet has an active action", "wallet_busy"),
        ("batch nonce 6 does not match on-chain nonce 7", "nonce_mismatch"),
    ):
        stub = Stub((200, {"nonce": "7"}), (400, {"error": words}))
        with pytest.raises(Refused) as refused:
            ask(stub, lambda relayer: relayer.submit([SPLIT]))
        assert refused.value.code == code
    for answer in ((502, {}), (200, {"state": "STATE_NEW"}), (200, {"transactionID": "t1"})):
        with pytest.raises(OutcomeUnknown):
            ask(Stub((200, {"nonce": "7"}), answer), lambda relayer: relayer.submit([SPLIT]))


def settle(*answers: tuple[int, Any]) -> tuple[RelayedTransaction, list[float]]:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    new = parse_transaction(NEW)
    done = ask(Stub(*answers), lambda relayer: relayer.settled(new, every_s=2.0, for_s=6.0, sleep=sleep))
    return done, waits


def test_a_transaction_is_polled_until_it_is_final() -> None:
    mined = {"transactionID": "t1", "state": "STATE_MINED", "transactionHash": "0x1"}
    done, waits = settle((200, [mined]), (503, {}), (200, [mined | {"state": "STATE_CONFIRMED"}]))
    assert (done.state, done.transaction_hash, waits) == ("CONFIRMED", "0x1", [2.0, 2.0])
    failed = {"transaction_id": "t1", "state": "STATE_FAILED", "transaction_hash": "", "error_msg": "reverted"}
    with pytest.raises(Refused) as refused:
        settle((200, failed))
    assert (refused.value.code, str(refused.value)) == ("transaction_failed", "transaction_failed: reverted")
    with pytest.raises(OutcomeUnknown):
        settle(*[(200, mined)] * 3)


def test_the_safes_digest_has_no_refund() -> None:
    call = ContractCall(COLLATERAL, b"\x01")
    assert envelopes.safe_digest(VECTORS["wallet"], call, 0, 1, 137) != envelopes.safe_digest(
        VECTORS["wallet"], call, 1, 1, 137
    )
    body = envelopes.safe_envelope(wallet(2), [call], nonce=1)
    assert body["signatureParams"]["refundReceiver"] == ZERO_ADDRESS
    raw = bytes.fromhex(body["signature"][2:])
    digest = keccak(b"\x19Ethereum Signed Message:\n32" + envelopes.safe_digest(VECTORS["wallet"], call, 0, 1, 137))
    signature = raw[:64] + bytes([raw[64] - 4])
    assert Account._recover_hash(digest, signature=signature) == ADDRESS


def test_a_transaction_that_is_not_shown_yet_or_is_in_a_new_state_is_polled_on() -> None:
    confirmed = {"transactionID": "t1", "state": "STATE_CONFIRMED"}
    done, waits = settle((404, {}), (200, []), (200, confirmed))
    assert (done.state, len(waits)) == ("CONFIRMED", 2)
    done, waits = settle((200, confirmed | {"state": "STATE_QUEUED"}), (200, confirmed))
    assert (done.state, len(waits)) == ("CONFIRMED", 1)


def test_a_relayers_own_key_never_shows() -> None:
    assert "very-secret" not in repr(RelayerKey("very-secret", ADDRESS))
