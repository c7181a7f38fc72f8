"""A node of the chain, as far as wallets of the venue ask it: balances, approvals, plain wallets' transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rlp
from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from streams.sandbox.http.routes import Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.auth import account_of
from streams.sandbox.polymarket.chain.calldata import BadCall, Call, selector
from streams.sandbox.polymarket.chain.inventory import Reverted, Transaction, carry_out
from streams.sandbox.polymarket.contracts import (
    CHAIN_ID,
    COLLATERAL,
    DEPOSIT_BEACON,
    DEPOSIT_FACTORY,
    UNLIMITED,
)
from streams.sandbox.polymarket.formats import parsed
from streams.sandbox.polymarket.signing import hex_bytes, word
from streams.sandbox.polymarket.venue import PolymarketVenue

_BEACON_OF_FACTORY = "49493a4d"
_BLOCK_MS = 2_000
_REVERTED = -32_000


class RpcError(Exception):
    """A call the node refuses."""


def call_node(venue: PolymarketVenue, request: Request) -> Response:
    """Answer one JSON-RPC call or several."""
    body = parsed(request.body)
    if isinstance(body, list):
        return Response(200, [_result(venue, entry) for entry in body])
    return Response(200, _result(venue, body))


def _result(venue: PolymarketVenue, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        return {"jsonrpc": "2.0", "id": None, "error": {"code": -32_600, "message": "invalid request"}}
    head = {"jsonrpc": "2.0", "id": entry.get("id")}
    try:
        return {**head, "result": _call(venue, str(entry.get("method")), entry.get("params") or [])}
    except (RpcError, Reverted, BadCall) as error:
        return {**head, "error": {"code": _REVERTED, "message": str(error)}}
    except (ValueError, KeyError, IndexError, TypeError):
        return {**head, "error": {"code": -32_602, "message": "invalid params"}}


def _call(venue: PolymarketVenue, method: str, params: list[Any]) -> Any:
    if method in _CONSTANTS:
        return _CONSTANTS[method]
    if method not in _METHODS:
        raise RpcError(f"the method {method} does not exist")
    return _METHODS[method](venue, params)


def _block_number(venue: PolymarketVenue, params: list[Any]) -> str:
    return hex(venue.now_ms() // _BLOCK_MS)


def _block(venue: PolymarketVenue, params: list[Any]) -> dict[str, str]:
    now_ms = venue.now_ms()
    return {"number": hex(now_ms // _BLOCK_MS), "timestamp": hex(now_ms // 1000)}


def _transaction_count(venue: PolymarketVenue, params: list[Any]) -> str:
    return hex(venue.transaction_counts.get(str(params[0]).lower(), 0))


def _read(venue: PolymarketVenue, params: list[Any]) -> str:
    """What a contract holds."""
    call = Call(str(to_checksum_address(params[0]["to"])), hex_bytes(str(params[0]["data"])))
    if call.target == DEPOSIT_FACTORY and call.selector.hex() == _BEACON_OF_FACTORY:
        return f"0x{'00' * 12}{DEPOSIT_BEACON[2:].lower()}"
    if call.selector == selector("balanceOf(address)") and call.target == COLLATERAL:
        return f"0x{word(_dollars(venue, call.address(0))).hex()}"
    if call.selector == selector("allowance(address,address)"):
        return f"0x{word(_allowed(venue, call)).hex()}"
    if call.selector == selector("isApprovedForAll(address,address)"):
        return f"0x{word(int(_allowed(venue, call) == UNLIMITED)).hex()}"
    if call.selector == selector("balanceOf(address,uint256)"):
        return f"0x{word(_tokens(venue, call.address(0), call.number(1))).hex()}"
    if call.selector == selector("balanceOfBatch(address[],uint256[])"):
        held = [_tokens(venue, a, t) for a, t in zip(call.addresses(0), call.numbers(1), strict=True)]
        return f"0x{b''.join(map(word, (32, len(held), *held))).hex()}"
    raise RpcError("execution reverted")


def _allowed(venue: PolymarketVenue, call: Call) -> int:
    return venue.allowances.amount(call.address(0), call.target, call.address(1))


def _dollars(venue: PolymarketVenue, wallet: str) -> int:
    account = venue.exchange.state.accounts.accounts.get(account_of(wallet))
    return account.cash_e6 if account is not None else 0


def _tokens(venue: PolymarketVenue, wallet: str, token: int) -> int:
    found = venue.tokens.get(str(token))
    if found is None or account_of(wallet) not in venue.exchange.state.accounts.accounts:
        return 0
    return venue.balances.on_chain(account_of(wallet), *found)


def _send(venue: PolymarketVenue, params: list[Any]) -> str:
    """Carry a plain wallet's transaction out at once; its receipt is there a block later."""
    raw = hex_bytes(str(params[0]))
    sender = _sender(raw)
    is_typed = raw[0] < 0xC0
    fields = rlp.decode(raw[1:] if is_typed else raw)
    # Typed transactions begin with chain id and nonce and have two gas prices; plain ones begin with the nonce.
    nonce, to, value, data = (fields[1], *fields[5:8]) if is_typed else (fields[0], *fields[3:6])
    expected = venue.transaction_counts.get(sender.lower(), 0)
    if int.from_bytes(nonce, "big") != expected:
        raise RpcError("nonce too low" if int.from_bytes(nonce, "big") < expected else "nonce too high")
    venue.transaction_counts[sender.lower()] = expected + 1
    sent = Transaction(sender, venue.now_ms(), f"0x{keccak(raw).hex()}")
    call = Call(str(to_checksum_address(to)), data, int.from_bytes(value, "big"))
    try:
        carry_out(venue, sent, call)
    except Reverted:
        venue.receipts[sent.transaction_hash] = (False, sent.now_ms)
    else:
        venue.receipts[sent.transaction_hash] = (True, sent.now_ms)
    venue.commit()
    return sent.transaction_hash


def _receipt(venue: PolymarketVenue, params: list[Any]) -> dict[str, Any] | None:
    hash_ = str(params[0])
    found = venue.receipts.get(hash_)
    if found is None or venue.now_ms() - found[1] < venue.settings.block_ms:
        return None
    return {"transactionHash": hash_, "status": hex(found[0]), "blockNumber": hex(found[1] // _BLOCK_MS)}


def _sender(raw: bytes) -> str:
    try:
        return str(Account.recover_transaction(raw))
    except Exception:  # the codec and the curve raise many classes of their own
        raise RpcError("invalid transaction") from None


_CONSTANTS = {
    "eth_chainId": hex(CHAIN_ID),
    "eth_gasPrice": hex(30_000_000_000),
    "eth_estimateGas": hex(200_000),
    "eth_getBalance": hex(10**19),
    "eth_getCode": "0x",
}
_METHODS: dict[str, Callable[[PolymarketVenue, list[Any]], Any]] = {
    "eth_blockNumber": _block_number,
    "eth_getBlockByNumber": _block,
    "eth_getTransactionCount": _transaction_count,
    "eth_call": _read,
    "eth_sendRawTransaction": _send,
    "eth_getTransactionReceipt": _receipt,
}
ROUTES: list[Route[PolymarketVenue]] = [Route("POST", "", call_node), Route("POST", "/", call_node)]
