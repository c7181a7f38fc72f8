"""What a wallet tells the venue's contracts to do with its inventory: split, merge, redeem, convert, approve. Pure.

A market's condition id says which contracts: 32 bytes are conditional tokens behind the collateral adapters (plain or
neg-risk), 31 bytes are positions of protocol v2 behind the router. Amounts are integers of 1/1,000,000. Nothing here is
sent; `relayer` signs and submits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode

from streams.market.errors import InvalidAmount
from streams.venues.polymarket.contracts import (
    COLLATERAL,
    COLLATERAL_ADAPTER,
    NEG_RISK_COLLATERAL_ADAPTER,
    ROUTER_V2,
)
from streams.venues.polymarket.ecdsa import keccak256

_BOTH_OUTCOMES = [1, 2]
"""Index sets of a market of two outcomes: a set is a bit per outcome, one bit each splits it wholly."""
_NO_PARENT = bytes(32)
_CONDITION_BYTES, _CONDITION_V2_BYTES = 32, 31
_MAX = (1 << 256) - 1


@dataclass(frozen=True, slots=True)
class ContractCall:
    """One call a wallet makes: whom, with which bytes, and how much of the chain's own coin (none, here)."""

    target: str
    data: bytes
    value: int = 0


def is_position_condition(condition_id: str) -> bool:
    """Whether a market is one of protocol v2, by the length of its id."""
    return len(_condition(condition_id)) == _CONDITION_V2_BYTES


def split_call(condition_id: str, amount_e6: int, *, is_neg_risk: bool) -> ContractCall:
    """Return the call that makes pUSD into as many contracts of each outcome."""
    return _whole_set_call("split", "splitPosition", condition_id, amount_e6, is_neg_risk=is_neg_risk)


def merge_call(condition_id: str, amount_e6: int, *, is_neg_risk: bool) -> ContractCall:
    """Return the call that makes as many contracts of each outcome into pUSD."""
    return _whole_set_call("merge", "mergePositions", condition_id, amount_e6, is_neg_risk=is_neg_risk)


def _whole_set_call(
    router_name: str, adapter_name: str, condition_id: str, amount_e6: int, *, is_neg_risk: bool
) -> ContractCall:
    condition, amount = _condition(condition_id), _amount(amount_e6)
    if len(condition) == _CONDITION_V2_BYTES:
        return _call(ROUTER_V2, f"{router_name}(bytes31,uint256)", condition, amount)
    signature = f"{adapter_name}(address,bytes32,bytes32,uint256[],uint256)"
    return _call(_adapter(is_neg_risk), signature, COLLATERAL, _NO_PARENT, condition, _BOTH_OUTCOMES, amount)


def redeem_call(condition_id: str, *, is_neg_risk: bool) -> ContractCall:
    """Return the call that pays all the wallet holds of a resolved market of conditional tokens.

    Raises:
        InvalidAmount: If the market is one of protocol v2, where an outcome and an amount are named.
    """
    condition = _condition(condition_id)
    if len(condition) == _CONDITION_V2_BYTES:
        raise InvalidAmount("a position of protocol v2 is redeemed by outcome and amount")
    signature = "redeemPositions(address,bytes32,bytes32,uint256[])"
    return _call(_adapter(is_neg_risk), signature, COLLATERAL, _NO_PARENT, condition, _BOTH_OUTCOMES)


def redeem_v2_call(condition_id: str, outcome_index: int, amount_e6: int) -> ContractCall:
    """Return the call that pays an amount of one outcome (0 or 1) of a resolved market of protocol v2.

    Raises:
        InvalidAmount: If the market is not one of protocol v2, or the outcome is neither.
    """
    condition = _condition(condition_id)
    if len(condition) != _CONDITION_V2_BYTES or outcome_index not in (0, 1):
        raise InvalidAmount("not an outcome of a market of protocol v2")
    return _call(ROUTER_V2, "redeem(bytes31,uint256,uint256)", condition, outcome_index, _amount(amount_e6))


def convert_call(neg_risk_market_id: str, no_questions: Sequence[int], amount_e6: int) -> ContractCall:
    """Return the call that makes NO of several outcomes of a neg-risk event into pUSD and YES of all others.

    NO on m outcomes gives m - 1 dollars and one YES of each other outcome, per contract.

    Args:
        neg_risk_market_id: The event's `negRiskMarketID`, 32 bytes.
        no_questions: Which outcomes' NO is given, by the question's index in the event: the lowest bit is the first.
        amount_e6: How many contracts of each.

    Raises:
        InvalidAmount: If no outcome is named, one twice, or one beyond the 256 an event can have.
    """
    if not no_questions or len(set(no_questions)) != len(no_questions) or not all(0 <= n < 256 for n in no_questions):
        raise InvalidAmount(f"not outcomes to convert: {list(no_questions)[:20]}")
    index_set = sum(1 << number for number in no_questions)
    market = _hex(neg_risk_market_id, _CONDITION_BYTES)
    signature = "convertPositions(bytes32,uint256,uint256)"
    return _call(NEG_RISK_COLLATERAL_ADAPTER, signature, market, index_set, _amount(amount_e6))


def approve_call(token: str, spender: str, amount_e6: int = _MAX) -> ContractCall:
    """Return the call that lets a contract take that much of a currency."""
    return _call(token, "approve(address,uint256)", spender, _amount(amount_e6))


def approve_all_call(token: str, operator: str, *, is_approved: bool = True) -> ContractCall:
    """Return the call that lets a contract move all outcome tokens, or no longer."""
    return _call(token, "setApprovalForAll(address,bool)", operator, is_approved)


def _adapter(is_neg_risk: bool) -> str:
    return NEG_RISK_COLLATERAL_ADAPTER if is_neg_risk else COLLATERAL_ADAPTER


def _call(target: str, signature: str, *arguments: Any) -> ContractCall:
    types = signature.partition("(")[2].removesuffix(")").split(",")
    return ContractCall(target, keccak256(signature.encode())[:4] + encode(types, arguments))


def _amount(amount_e6: int) -> int:
    if not 0 < amount_e6 <= _MAX:
        raise InvalidAmount(f"not an amount: {amount_e6}")
    return amount_e6


def _condition(condition_id: str) -> bytes:
    size = (len(condition_id) - 2) // 2
    return _hex(condition_id, _CONDITION_V2_BYTES if size == _CONDITION_V2_BYTES else _CONDITION_BYTES)


def _hex(text: str, size: int) -> bytes:
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != size:
        raise InvalidAmount(f"not {size} bytes of hex: {text[:70]!r}")
    return raw
