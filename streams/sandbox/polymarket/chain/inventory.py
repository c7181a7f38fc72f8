"""What contract calls do to a wallet: approvals, transfers, splitting, merging, converting and redeeming."""

from __future__ import annotations

from dataclasses import dataclass

from streams.market.errors import Refused
from streams.sandbox.polymarket.auth import account_of
from streams.sandbox.polymarket.chain.calldata import BadCall, Call, selector
from streams.sandbox.polymarket.contracts import (
    COLLATERAL,
    COLLATERAL_ADAPTER,
    CONDITIONAL_TOKENS,
    NEG_RISK_ADAPTER,
    NEG_RISK_COLLATERAL_ADAPTER,
    UNLIMITED,
)
from streams.sandbox.polymarket.objects import neg_risk_id
from streams.sandbox.polymarket.venue import Activity, PolymarketVenue

_APPROVE = "approve(address,uint256)"
_APPROVE_ALL = "setApprovalForAll(address,bool)"
_TRANSFER = "transfer(address,uint256)"
_SPLIT = "splitPosition(address,bytes32,bytes32,uint256[],uint256)"
_MERGE = "mergePositions(address,bytes32,bytes32,uint256[],uint256)"
_REDEEM = "redeemPositions(address,bytes32,bytes32,uint256[])"
_NEG_SPLIT = "splitPosition(bytes32,uint256)"
_NEG_MERGE = "mergePositions(bytes32,uint256)"
_NEG_REDEEM = "redeemPositions(bytes32,uint256[])"
_CONVERT = "convertPositions(bytes32,uint256,uint256)"
_ADAPTERS = {COLLATERAL_ADAPTER: False, NEG_RISK_COLLATERAL_ADAPTER: True, NEG_RISK_ADAPTER: True}


class Reverted(Exception):
    """A call that fails on the chain; the message says why."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a call is part of.

    Attributes:
        wallet: Whose call it is.
        now_ms: When it is carried out.
    """

    wallet: str
    now_ms: int
    transaction_hash: str

    @property
    def account_id(self) -> str:
        """The wallet's account."""
        return account_of(self.wallet)


def carry_out(venue: PolymarketVenue, sent: Transaction, call: Call) -> None:
    """Carry one call out.

    Raises:
        Reverted: If a contract would refuse it.
    """
    venue.keyring.open_account(sent.wallet)
    try:
        _dispatch(venue, sent, call)
    except (Refused, BadCall) as error:
        raise Reverted(f"execution reverted: {error}") from None
    venue.balances.refresh(sent.account_id)


def _dispatch(venue: PolymarketVenue, sent: Transaction, call: Call) -> None:
    if call.target == COLLATERAL and call.selector == selector(_APPROVE):
        venue.allowances.set(sent.wallet, COLLATERAL, call.address(0), call.number(1))
    elif call.selector == selector(_APPROVE_ALL):
        venue.allowances.set(sent.wallet, call.target, call.address(0), UNLIMITED if call.number(1) else 0)
    elif call.target == COLLATERAL and call.selector == selector(_TRANSFER):
        _transfer(venue, sent, call.address(0), call.number(1))
    elif call.target in _ADAPTERS or call.target == CONDITIONAL_TOKENS:
        _adapt(venue, sent, call)
    else:
        raise Reverted("execution reverted: unknown contract or function")


def _adapt(venue: PolymarketVenue, sent: Transaction, call: Call) -> None:
    kinds = {
        selector(_SPLIT): ("SPLIT", 2, 4),
        selector(_MERGE): ("MERGE", 2, 4),
        selector(_NEG_SPLIT): ("SPLIT", 0, 1),
        selector(_NEG_MERGE): ("MERGE", 0, 1),
    }
    if call.selector in kinds:
        kind, condition_at, amount_at = kinds[call.selector]
        market_id, amount = _market(venue, call, condition_at), call.number(amount_at)
        _check_approval(venue, sent.wallet, call, COLLATERAL if kind == "SPLIT" else CONDITIONAL_TOKENS, amount)
        move = venue.exchange.inventory.split if kind == "SPLIT" else venue.exchange.inventory.merge
        move(sent.account_id, market_id, amount, sent.now_ms)
        _note(venue, sent, market_id, kind, amount, amount)
    elif call.selector in (selector(_REDEEM), selector(_NEG_REDEEM)):
        market_id = _market(venue, call, 0 if call.target == NEG_RISK_ADAPTER else 2)
        _check_approval(venue, sent.wallet, call, CONDITIONAL_TOKENS, 1)
        venue.exchange.settlement.redeem(sent.account_id, market_id, sent.now_ms)
    elif call.selector == selector(_CONVERT) and _ADAPTERS.get(call.target):
        _convert(venue, sent, call)
    else:
        raise Reverted("execution reverted: unknown function")


def _convert(venue: PolymarketVenue, sent: Transaction, call: Call) -> None:
    """NO of the questions in the index set becomes YES of all others, and dollars."""
    shared, index_set, amount = call.condition(0), call.number(1), call.number(2)
    event = [m for m in venue.exchange.state.markets.values() if m.market.is_neg_risk and neg_risk_id(m) == shared]
    chosen = [listed.market_id for index, listed in enumerate(event) if index_set >> index & 1]
    if not chosen:
        raise Reverted("execution reverted: unknown market or index set")
    _check_approval(venue, sent.wallet, call, CONDITIONAL_TOKENS, amount)
    paid = venue.exchange.inventory.convert(sent.account_id, event[0].market.event_id, chosen, amount, sent.now_ms)
    _note(venue, sent, chosen[0], "CONVERSION", amount, paid)


def _market(venue: PolymarketVenue, call: Call, at: int) -> str:
    market_id = call.condition(at)
    listed = venue.exchange.state.markets.get(market_id)
    if listed is None:
        raise Reverted("execution reverted: condition not prepared")
    is_neg = _ADAPTERS.get(call.target)
    if is_neg is not None and is_neg != listed.market.is_neg_risk:
        raise Reverted("execution reverted: wrong adapter")
    return market_id


def _check_approval(venue: PolymarketVenue, wallet: str, call: Call, token: str, amount: int) -> None:
    if call.target != CONDITIONAL_TOKENS and venue.allowances.amount(wallet, token, call.target) < amount:
        raise Reverted("execution reverted: insufficient allowance")


def _transfer(venue: PolymarketVenue, sent: Transaction, recipient: str, amount: int) -> None:
    exchange = venue.exchange
    source = exchange.state.accounts.accounts[sent.account_id]
    if amount > source.cash_e6 - exchange.transfers.reserved_e6(sent.account_id):
        raise Reverted("execution reverted: transfer amount exceeds balance")
    known = account_of(recipient) in exchange.state.accounts.accounts
    target = exchange.state.accounts.open_account(account_of(recipient), 0)
    source.add_cash(0, -amount)
    target.add_cash(0, amount)
    for account in (source, target):
        exchange.feed.note_account(account, "", sent.now_ms)
    if not known:
        exchange.state.changes.accounts.setdefault(target.account_id, set())


def _note(venue: PolymarketVenue, sent: Transaction, market_id: str, kind: str, size_e6: int, dollars_e6: int) -> None:
    at_s = sent.now_ms // 1000
    venue.add_activity(Activity(sent.account_id, market_id, kind, size_e6, dollars_e6, at_s, sent.transaction_hash))
