"""Inventory by transaction: the relayer for smart wallets, the chain for plain ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account

from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.model import CloseMarket, DetermineMarket, SettleMarket
from streams.sandbox.core.profile import ZERO
from streams.sandbox.http.server import Request
from streams.sandbox.polymarket.app import PolymarketApp
from streams.sandbox.polymarket.auth import PolymarketKey, hmac_signature
from streams.sandbox.polymarket.chain.calldata import selector
from streams.sandbox.polymarket.contracts import (
    COLLATERAL,
    COLLATERAL_ADAPTER,
    CONDITIONAL_TOKENS,
    DEPOSIT_FACTORY,
    EXCHANGE_V2,
    NEG_RISK_ADAPTER,
    NEG_RISK_COLLATERAL_ADAPTER,
)
from streams.sandbox.polymarket.objects import neg_risk_id
from streams.sandbox.polymarket.signing import word
from streams.sandbox.polymarket.wallets import owned_wallets
from tests.support import relayed_transactions as transactions
from tests.support.relayed_transactions import MERGE, REDEEM, SPLIT, int_of, positions_call, proxy_body, safe_body
from tests.unit.streams.sandbox.polymarket.conftest import NOW

SHARE = 1_000_000


def submit(desk: Any, body: dict[str, Any]) -> Any:
    key = desk.venue.keyring.create_builder(desk.key)
    return ask_relayer(desk, body, builder_headers(desk, key, "/submit", json.dumps(body).encode()))


def ask_relayer(desk: Any, body: Any, headers: dict[str, str]) -> Any:
    return desk.app.handle(Request("POST", "/relayer/submit", [], headers, json.dumps(body).encode()))


def builder_headers(desk: Any, key: dict[str, str], path: str, body: bytes, method: str = "POST") -> dict[str, str]:
    stamp = str(desk.now[0] // 1000)
    return {
        "poly_builder_api_key": key["key"],
        "poly_builder_passphrase": key["passphrase"],
        "poly_builder_timestamp": stamp,
        "poly_builder_signature": hmac_signature(key["secret"], stamp, method, path, body),
    }


def batch_body(private_key: str, calls: list[tuple[str, bytes]], nonce: int) -> dict[str, Any]:
    """Valid for ten minutes from the time at which the markets of these tests stand."""
    return transactions.batch_body(private_key, calls, nonce, NOW // 1000 + 600)


def state(desk: Any, name: str) -> dict[str, Any]:
    shown: dict[str, Any] = desk.get(f"/relayer/v1/account/transactions/{name}")
    return shown


def held(desk: Any, wallet: str) -> dict[str, float]:
    rows = desk.get("/data/v2/positions", user=wallet)["data"]
    return {row["token_id"]: row["current_size"] for row in rows if row["current_size"]}


@pytest.fixture
def desk(open_desk: Callable[..., Any]) -> Any:
    """A signer where settlement takes time, and so does the relayer."""
    return open_desk(replace(ZERO, settlement_ms=(3_000, 9_000)))


@pytest.mark.parametrize(("build", "kind"), [(safe_body, "safe"), (batch_body, "deposit"), (proxy_body, "proxy")])
def test_a_smart_wallet_splits_merges_and_redeems(desk: Any, build: Callable[..., Any], kind: str) -> None:
    wallet = getattr(owned_wallets(desk.address), kind)
    condition = desk.condition()
    split = (COLLATERAL_ADAPTER, positions_call(SPLIT, condition, 10 * SHARE))
    answer = submit(desk, build(desk.private_key, [split], 0)).body
    assert (answer["state"], answer["transactionHash"]) == ("STATE_NEW", "")
    assert held(desk, wallet) == {}
    assert submit(desk, build(desk.private_key, [split], 0)).body["error"].startswith("wallet busy")
    seen = []
    for _ in range(4):
        seen.append(state(desk, answer["transactionID"])["state"])
        desk.pass_ms(1_000)
    assert seen == ["STATE_NEW", "STATE_EXECUTED", "STATE_MINED", "STATE_CONFIRMED"]
    assert held(desk, wallet) == {str(desk.yes): 10.0, str(desk.no): 10.0}
    assert (
        submit(desk, build(desk.private_key, [split], 0)).body["error"]
        == "batch nonce 0 does not match on-chain nonce 1"
    )
    merge = (COLLATERAL_ADAPTER, positions_call(MERGE, condition, 4 * SHARE))
    submit(desk, build(desk.private_key, [merge, merge], 1))
    desk.pass_ms(3_000)
    assert held(desk, wallet) == {str(desk.yes): 2.0, str(desk.no): 2.0}
    kinds = [row["type"] for row in desk.get("/data/v2/activity", user=wallet)["data"]]
    assert kinds == ["MERGE", "MERGE", "SPLIT"]
    ref = MarketRef(Venue.POLYMARKET, condition)
    desk.exchange.state.accounts.accounts[f"polymarket:{wallet.lower()}"].redeems_itself = False
    for action in (CloseMarket(ref), DetermineMarket(ref, 10_000, "yes"), SettleMarket(ref)):
        desk.apply(action)
    redeem = (COLLATERAL_ADAPTER, positions_call(REDEEM, condition))
    submit(desk, build(desk.private_key, [redeem], 2))
    desk.pass_ms(3_000)
    assert held(desk, wallet) == {}
    assert desk.get("/data/v2/activity", user=wallet)["data"][0]["type"] == "REDEEM"
    account = desk.exchange.state.accounts.accounts[f"polymarket:{wallet.lower()}"]
    assert account.cash_e6 == desk.venue.settings.starting_cash_e6


def test_a_transaction_that_would_revert_fails_later(desk: Any) -> None:
    merge = (COLLATERAL_ADAPTER, positions_call(MERGE, desk.condition(), 4 * SHARE))
    wrong = (COLLATERAL_ADAPTER, positions_call(SPLIT, desk.condition(1), 4 * SHARE))
    for nonce, call in enumerate((merge, wrong)):
        name = submit(desk, safe_body(desk.private_key, [call], nonce)).body["transactionID"]
        assert state(desk, name)["state"] == "STATE_NEW"
        desk.pass_ms(3_000)
        assert state(desk, name)["state"] == "STATE_FAILED"
        assert "reverted" in state(desk, name)["error_msg"]


def test_no_tokens_of_a_negative_risk_event_convert(desk: Any) -> None:
    safe = owned_wallets(desk.address).safe
    split = (NEG_RISK_COLLATERAL_ADAPTER, positions_call(SPLIT, desk.condition(1), 10 * SHARE))
    shared = neg_risk_id(desk.exchange.state.markets[desk.condition(1)])
    data = selector("convertPositions(bytes32,uint256,uint256)") + word(int_of(shared)) + word(1) + word(10 * SHARE)
    submit(desk, safe_body(desk.private_key, [split, (NEG_RISK_ADAPTER, data)], 0))
    desk.pass_ms(3_000)
    assert held(desk, safe) == {str(desk.yes + 2): 10.0, str(desk.yes + 4): 10.0}
    assert desk.get("/data/v2/activity", user=safe)["data"][0]["type"] == "CONVERSION"


def test_the_relayer_refuses_foreign_signatures_and_requests_without_a_key(desk: Any) -> None:
    body = safe_body(desk.private_key, [(COLLATERAL_ADAPTER, positions_call(SPLIT, desk.condition(), SHARE))], 0)
    assert submit(desk, {**body, "from": "0x" + "12" * 20}).body == {"error": "invalid signature"}
    assert submit(desk, {**body, "nonce": "1"}).body == {"error": "invalid signature"}
    assert submit(desk, {**body, "type": "ELSE"}).status == 400
    assert submit(desk, {"type": "SAFE"}).status == 400
    assert desk.ask("POST", "/relayer/submit", body).status == 401


def test_a_deposit_wallet_is_created_when_asked_for(desk: Any) -> None:
    wallet = owned_wallets(desk.address).deposit
    assert desk.get("/relayer/deployed", address=wallet, type="WALLET") == {"deployed": False}
    name = submit(desk, {"type": "WALLET-CREATE", "from": desk.address, "to": DEPOSIT_FACTORY}).body["transactionID"]
    desk.pass_ms(3_000)
    assert state(desk, name)["state"] == "STATE_CONFIRMED"
    assert desk.get("/relayer/deployed", address=wallet, type="WALLET") == {"deployed": True}
    assert desk.get("/relayer/transaction", id=name)[0]["transactionID"] == name
    parameters = desk.get("/relayer/v1/account/transactions/params", address=desk.address, type="WALLET")
    assert parameters == {"address": desk.address, "nonce": "0"}


def test_builder_keys_open_the_relayer(desk: Any) -> None:
    made = desk.signed("POST", "/auth/builder-api-key").body
    assert set(made) == {"key", "secret", "passphrase"}
    assert desk.signed("GET", "/auth/builder-api-key").body == [{"key": made["key"]}]
    body = {"type": "WALLET-CREATE", "from": desk.address, "to": DEPOSIT_FACTORY}
    right = builder_headers(desk, made, "/submit", json.dumps(body).encode())
    assert ask_relayer(desk, body, right).status == 200
    for name in right:
        assert ask_relayer(desk, body, {**right, name: "x"}).status == 401
    assert ask_relayer(desk, {**body, "metadata": "x"}, right).status == 401
    gone = builder_headers(desk, made, "/auth/builder-api-key", b"", "DELETE")
    assert desk.app.handle(Request("DELETE", "/clob/auth/builder-api-key", [], gone)).status == 200
    assert ask_relayer(desk, body, right).status == 401


def test_a_relayer_key_is_one_that_was_issued_and_names_its_address(desk: Any) -> None:
    key = PolymarketKey(desk.address, "site", "c2l0ZQ==", "site", nonce=9, relayer_key="relay")
    app = PolymarketApp(desk.exchange, {key.api_key: key}, lambda: desk.now[0], lambda: None)
    body = json.dumps({"type": "WALLET-CREATE", "from": desk.address, "to": DEPOSIT_FACTORY}).encode()

    def status(**headers: str) -> int:
        return app.handle(Request("POST", "/relayer/submit", [], headers, body)).status

    assert status(relayer_api_key="relay", relayer_api_key_address=desk.address) == 200
    assert status(relayer_api_key="relay", relayer_api_key_address="0x" + "12" * 20) == 401
    assert status(relayer_api_key="relay") == 401
    assert status(relayer_api_key="other", relayer_api_key_address=desk.address) == 401
    assert status(relayer_api_key="", relayer_api_key_address=desk.address) == 401
    assert status() == 401


@pytest.mark.parametrize(
    "changes",
    [{"signature": "0x11"}, {"signature": "0x"}, {"nonce": "9" * 99}, {"nonce": "-1"}, {"from": "é"}, {"data": "zz"}],
)
def test_a_transaction_that_cannot_be_read_is_refused(desk: Any, changes: dict[str, str]) -> None:
    body = safe_body(desk.private_key, [(COLLATERAL_ADAPTER, positions_call(SPLIT, desk.condition(), SHARE))], 0)
    assert submit(desk, {**body, **changes}).body == {"error": "invalid request payload"}


# -- the chain ---------------------------------------------------------------------------------------------------------


def rpc(desk: Any, method: str, *params: Any) -> Any:
    body = desk.ask("POST", "/rpc", {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).body
    return body.get("result", body.get("error"))


def send(desk: Any, to: str, data: bytes, nonce: int, *, typed: bool = False) -> str:
    fees = {"maxFeePerGas": 10**9, "maxPriorityFeePerGas": 10**9} if typed else {"gasPrice": 10**9}
    transaction = {"to": to, "value": 0, "data": data, "gas": 200_000, "nonce": nonce, "chainId": 137, **fees}
    raw = Account.sign_transaction(transaction, desk.private_key).raw_transaction
    return str(rpc(desk, "eth_sendRawTransaction", f"0x{raw.hex().removeprefix('0x')}"))


@pytest.mark.parametrize("typed", [False, True])
def test_a_plain_wallet_splits_by_its_own_transaction(desk: Any, typed: bool) -> None:
    assert rpc(desk, "eth_getTransactionCount", desk.address, "pending") == "0x0"
    hash_ = send(desk, COLLATERAL_ADAPTER, positions_call(SPLIT, desk.condition(), 10 * SHARE), 0, typed=typed)
    assert rpc(desk, "eth_getTransactionReceipt", hash_) is None
    desk.pass_ms(2_000)
    assert rpc(desk, "eth_getTransactionReceipt", hash_)["status"] == "0x1"
    assert rpc(desk, "eth_getTransactionCount", desk.address, "pending") == "0x1"
    owner = int_of(desk.address)
    batch = selector("balanceOfBatch(address[],uint256[])") + b"".join(
        map(word, (64, 160, 2, owner, owner, 2, desk.yes, desk.no))
    )
    balances = rpc(desk, "eth_call", {"to": CONDITIONAL_TOKENS, "data": f"0x{batch.hex()}"}, "latest")
    assert balances == f"0x{b''.join(map(word, (32, 2, 10 * SHARE, 10 * SHARE))).hex()}"
    failed = send(desk, COLLATERAL_ADAPTER, positions_call(MERGE, desk.condition(), 11 * SHARE), 1)
    desk.pass_ms(2_000)
    assert rpc(desk, "eth_getTransactionReceipt", failed)["status"] == "0x0"


def test_approvals_and_transfers_are_carried_out(desk: Any) -> None:
    approve = selector("approve(address,uint256)") + word(int_of(EXCHANGE_V2)) + word(5 * SHARE)
    send(desk, COLLATERAL, approve, 0)
    call = selector("allowance(address,address)") + word(int_of(desk.address)) + word(int_of(EXCHANGE_V2))
    assert rpc(desk, "eth_call", {"to": COLLATERAL, "data": f"0x{call.hex()}"}) == f"0x{word(5 * SHARE).hex()}"
    balance = desk.signed("GET", "/balance-allowance", asset_type="COLLATERAL").body
    assert balance["allowances"][EXCHANGE_V2] == str(5 * SHARE)
    other = "0x" + "12" * 20
    send(desk, COLLATERAL, selector("transfer(address,uint256)") + word(int_of(other)) + word(7 * SHARE), 1)
    call = selector("balanceOf(address)") + word(int_of(other))
    assert rpc(desk, "eth_call", {"to": COLLATERAL, "data": f"0x{call.hex()}"}) == f"0x{word(7 * SHARE).hex()}"


def test_the_chain_answers_batches_and_refuses_what_it_does_not_know(desk: Any) -> None:
    calls = [{"jsonrpc": "2.0", "id": index, "method": "eth_chainId", "params": []} for index in range(2)]
    assert [row["result"] for row in desk.ask("POST", "/rpc", calls).body] == ["0x89", "0x89"]
    assert rpc(desk, "eth_nothing")["code"] == -32_000
    assert rpc(desk, "eth_call", {})["code"] == -32_602
    assert rpc(desk, "eth_call", {"to": COLLATERAL, "data": {}})["code"] == -32_602
    assert rpc(desk, "eth_sendRawTransaction", "0xc0ff")["message"] == "invalid transaction"
    assert int(rpc(desk, "eth_getBlockByNumber", "latest", False)["timestamp"], 16) == desk.now[0] // 1000
