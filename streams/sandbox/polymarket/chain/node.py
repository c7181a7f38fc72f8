"""A node of the chain, as far as wallets of the venue ask it: balances, approvals, plain wallets' transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rlp
from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.polymarket.auth import account_of
from streams.sandbox.polymarket.chain.calldata import BadCall, Call, selector
from streams.sandbox.polymarket.chain.inventory import Reverted
from streams.sandbox.polymarket.contracts import (
    CHAIN_ID,
    COLLATERAL,
    DEPOSIT_BEACON,
    DEPOSIT_FACTORY,
    UNLIMITED,
)
from streams.sandbox.polymarket.formats import parsed
from streams.sandbox.polymarket.signing import hex_bytes, word

if TYPE_CHECKING:
    from streams.sandbox.polymarket.app import PolymarketFace

_BEACON_OF_FACTORY = "49493a4d"
_BLOCK_MS = 2_000
_REVERTED = -32_000


class RpcError(Exception):
    """A call the node refuses."""


class ChainRest:
    """JSON-RPC, single calls and batches."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._receipts: dict[str, tuple[bool, int]] = {}
        self._nonces: dict[str, int] = {}

    def register(self, router: Router) -> None:
        """Add the route."""
        router.add("POST", "/rpc", self.answer)
        router.add("POST", "/rpc/", self.answer)

    def answer(self, request: Request) -> Response:
        """Answer one call or several."""
        body = parsed(request.body)
        if isinstance(body, list):
            return Response(200, [self._one(entry) for entry in body])
        return Response(200, self._one(body))

    def _one(self, entry: Any) -> dict[str, Any]:
        if not isinstance(entry, dict):
            return {"jsonrpc": "2.0", "id": None, "error": {"code": -32_600, "message": "invalid request"}}
        head = {"jsonrpc": "2.0", "id": entry.get("id")}
        try:
            return {**head, "result": self._call(str(entry.get("method")), entry.get("params") or [])}
        except (RpcError, Reverted, BadCall) as error:
            return {**head, "error": {"code": _REVERTED, "message": str(error)}}
        except (ValueError, KeyError, IndexError, TypeError):
            return {**head, "error": {"code": -32_602, "message": "invalid params"}}

    def _call(self, method: str, params: list[Any]) -> Any:
        now = self._face.now_ms()
        if method == "eth_chainId":
            return hex(CHAIN_ID)
        if method == "eth_blockNumber":
            return hex(now // _BLOCK_MS)
        if method == "eth_getBlockByNumber":
            return {"number": hex(now // _BLOCK_MS), "timestamp": hex(now // 1000)}
        if method == "eth_gasPrice":
            return hex(30_000_000_000)
        if method == "eth_estimateGas":
            return hex(200_000)
        if method == "eth_getBalance":
            return hex(10**19)
        if method == "eth_getCode":
            return "0x"
        if method == "eth_getTransactionCount":
            return hex(self._nonces.get(str(params[0]).lower(), 0))
        if method == "eth_call":
            return self._read(Call(str(to_checksum_address(params[0]["to"])), hex_bytes(str(params[0]["data"]))))
        if method == "eth_sendRawTransaction":
            return self._send(hex_bytes(str(params[0])), now)
        if method == "eth_getTransactionReceipt":
            return self._receipt(str(params[0]))
        raise RpcError(f"the method {method} does not exist")

    def _read(self, call: Call) -> str:
        if call.target == DEPOSIT_FACTORY and call.selector.hex() == _BEACON_OF_FACTORY:
            return f"0x{'00' * 12}{DEPOSIT_BEACON[2:].lower()}"
        if call.selector == selector("balanceOf(address)") and call.target == COLLATERAL:
            return f"0x{word(self._dollars(call.address(0))).hex()}"
        if call.selector == selector("allowance(address,address)"):
            allowed = self._face.allowances.amount(call.address(0), call.target, call.address(1))
            return f"0x{word(allowed).hex()}"
        if call.selector == selector("isApprovedForAll(address,address)"):
            allowed = self._face.allowances.amount(call.address(0), call.target, call.address(1))
            return f"0x{word(int(allowed == UNLIMITED)).hex()}"
        if call.selector == selector("balanceOf(address,uint256)"):
            return f"0x{word(self._tokens(call.address(0), call.number(1))).hex()}"
        if call.selector == selector("balanceOfBatch(address[],uint256[])"):
            held = [self._tokens(a, t) for a, t in zip(call.addresses(0), call.numbers(1), strict=True)]
            return f"0x{b''.join(map(word, (32, len(held), *held))).hex()}"
        raise RpcError("execution reverted")

    def _dollars(self, wallet: str) -> int:
        account = self._face.exchange.accounts.accounts.get(account_of(wallet))
        return account.cash_e6 if account is not None else 0

    def _tokens(self, wallet: str, token: int) -> int:
        found = self._face.tokens.get(str(token))
        if found is None or account_of(wallet) not in self._face.exchange.accounts.accounts:
            return 0
        return self._face.balances.on_chain(account_of(wallet), *found)

    def _send(self, raw: bytes, now_ms: int) -> str:
        """Carry a plain wallet's transaction out at once; its receipt is there a block later."""
        sender = _sender(raw)
        is_typed = raw[0] < 0xC0
        fields = rlp.decode(raw[1:] if is_typed else raw)
        # Typed transactions begin with chain id and nonce and have two gas prices; plain ones begin with the nonce.
        nonce, to, value, data = (fields[1], *fields[5:8]) if is_typed else (fields[0], *fields[3:6])
        expected = self._nonces.get(sender.lower(), 0)
        if int.from_bytes(nonce, "big") != expected:
            raise RpcError("nonce too low" if int.from_bytes(nonce, "big") < expected else "nonce too high")
        self._nonces[sender.lower()] = expected + 1
        hash_ = f"0x{keccak(raw).hex()}"
        call = Call(str(to_checksum_address(to)), data, int.from_bytes(value, "big"))
        try:
            self._face.inventory.carry_out(sender, call, now_ms, hash_)
        except Reverted:
            self._receipts[hash_] = (False, now_ms)
        else:
            self._receipts[hash_] = (True, now_ms)
        self._face.commit()
        return hash_

    def _receipt(self, hash_: str) -> dict[str, Any] | None:
        found = self._receipts.get(hash_)
        if found is None or self._face.now_ms() - found[1] < self._face.settings.block_ms:
            return None
        return {"transactionHash": hash_, "status": hex(found[0]), "blockNumber": hex(found[1] // _BLOCK_MS)}


def _sender(raw: bytes) -> str:
    try:
        return str(Account.recover_transaction(raw))
    except Exception:  # the codec and the curve raise many classes of their own
        raise RpcError("invalid transaction") from None
