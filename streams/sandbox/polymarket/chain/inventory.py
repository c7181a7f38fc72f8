"""What contract calls do to a wallet: approvals, transfers, splitting, merging, converting and redeeming."""

from __future__ import annotations

from typing import Any

from streams.market.errors import Refused
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.polymarket.auth import account_of
from streams.sandbox.polymarket.balances import Allowances, Balances
from streams.sandbox.polymarket.chain.calldata import BadCall, Call, selector
from streams.sandbox.polymarket.contracts import (
    COLLATERAL,
    COLLATERAL_ADAPTER,
    CONDITIONAL_TOKENS,
    NEG_RISK_ADAPTER,
    NEG_RISK_COLLATERAL_ADAPTER,
    UNLIMITED,
)
from streams.sandbox.polymarket.keyring import KeyRing
from streams.sandbox.polymarket.objects import neg_risk_id

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
_KEPT = 1_000


class Reverted(Exception):
    """A call that fails on the chain; the message says why."""


class Inventory:
    """Carries calls out against the exchange, and remembers what is activity of a wallet."""

    def __init__(self, exchange: Exchange, ring: KeyRing, allowances: Allowances, balances: Balances) -> None:
        self._exchange = exchange
        self._ring = ring
        self._allowances = allowances
        self._balances = balances

    @property
    def rows(self) -> list[list[Any]]:
        """[account, market, kind, size_e6, dollars_e6, time in s, transaction hash] of what was no trade."""
        rows: list[list[Any]] = self._exchange.face_state.setdefault("activity", [])
        return rows

    def carry_out(self, wallet: str, call: Call, now_ms: int, hash_: str) -> None:
        """Carry one call out.

        Raises:
            Reverted: If a contract would refuse it.
        """
        account_id = self._ring.open_account(wallet)
        try:
            self._dispatch(wallet, account_id, call, now_ms, hash_)
        except Refused as refused:
            raise Reverted(f"execution reverted: {refused}") from None
        except BadCall as error:
            raise Reverted(f"execution reverted: {error}") from None
        self._balances.refresh(account_id)

    def _dispatch(self, wallet: str, account_id: str, call: Call, now_ms: int, hash_: str) -> None:
        if call.target == COLLATERAL and call.selector == selector(_APPROVE):
            self._allowances.set(wallet, COLLATERAL, call.address(0), call.number(1))
        elif call.selector == selector(_APPROVE_ALL):
            self._allowances.set(wallet, call.target, call.address(0), UNLIMITED if call.number(1) else 0)
        elif call.target == COLLATERAL and call.selector == selector(_TRANSFER):
            self._transfer(account_id, call.address(0), call.number(1), now_ms)
        elif call.target in _ADAPTERS or call.target == CONDITIONAL_TOKENS:
            self._adapt(wallet, account_id, call, now_ms, hash_)
        else:
            raise Reverted("execution reverted: unknown contract or function")

    def _adapt(self, wallet: str, account_id: str, call: Call, now_ms: int, hash_: str) -> None:
        short = call.target == NEG_RISK_ADAPTER
        kinds = {
            selector(_SPLIT): ("SPLIT", 2, 4),
            selector(_MERGE): ("MERGE", 2, 4),
            selector(_NEG_SPLIT): ("SPLIT", 0, 1),
            selector(_NEG_MERGE): ("MERGE", 0, 1),
        }
        if call.selector in kinds:
            kind, condition_at, amount_at = kinds[call.selector]
            market_id, amount = self._market(call, condition_at), call.number(amount_at)
            self._check_approval(wallet, call.target, COLLATERAL if kind == "SPLIT" else CONDITIONAL_TOKENS, amount)
            act = self._exchange.split if kind == "SPLIT" else self._exchange.merge
            act(account_id, market_id, amount, now_ms)
            self._note(account_id, market_id, kind, amount, amount, now_ms, hash_)
        elif call.selector in (selector(_REDEEM), selector(_NEG_REDEEM)):
            market_id = self._market(call, 0 if short else 2)
            self._check_approval(wallet, call.target, CONDITIONAL_TOKENS, 1)
            self._exchange.redeem(account_id, market_id, now_ms)
        elif call.selector == selector(_CONVERT) and _ADAPTERS.get(call.target):
            self._convert(wallet, account_id, call, now_ms, hash_)
        else:
            raise Reverted("execution reverted: unknown function")

    def _convert(self, wallet: str, account_id: str, call: Call, now_ms: int, hash_: str) -> None:
        """NO of the questions in the index set becomes YES of all others, and dollars."""
        shared, index_set, amount = call.condition(0), call.number(1), call.number(2)
        event = [m for m in self._exchange.markets.values() if m.market.is_neg_risk and neg_risk_id(m) == shared]
        chosen = [listed.market_id for index, listed in enumerate(event) if index_set >> index & 1]
        if not chosen:
            raise Reverted("execution reverted: unknown market or index set")
        self._check_approval(wallet, call.target, CONDITIONAL_TOKENS, amount)
        paid = self._exchange.convert(account_id, event[0].market.event_id, chosen, amount, now_ms)
        self._note(account_id, chosen[0], "CONVERSION", amount, paid, now_ms, hash_)

    def _market(self, call: Call, at: int) -> str:
        market_id = call.condition(at)
        listed = self._exchange.markets.get(market_id)
        if listed is None:
            raise Reverted("execution reverted: condition not prepared")
        is_neg = _ADAPTERS.get(call.target)
        if is_neg is not None and is_neg != listed.market.is_neg_risk:
            raise Reverted("execution reverted: wrong adapter")
        return market_id

    def _check_approval(self, wallet: str, adapter: str, token: str, amount: int) -> None:
        if adapter != CONDITIONAL_TOKENS and self._allowances.amount(wallet, token, adapter) < amount:
            raise Reverted("execution reverted: insufficient allowance")

    def _transfer(self, account_id: str, recipient: str, amount: int, now_ms: int) -> None:
        source = self._exchange.accounts.accounts[account_id]
        if amount > source.cash_e6 - self._exchange.reserved_e6(account_id):
            raise Reverted("execution reverted: transfer amount exceeds balance")
        known = account_of(recipient) in self._exchange.accounts.accounts
        target = self._exchange.accounts.open_account(account_of(recipient), 0)
        source.add_cash(0, -amount)
        target.add_cash(0, amount)
        for account in (source, target):
            self._exchange.note_account(account, "", now_ms)
        if not known:
            self._exchange.changes.accounts.setdefault(target.account_id, set())

    def _note(
        self, account_id: str, market_id: str, kind: str, size_e6: int, dollars_e6: int, now_ms: int, hash_: str
    ) -> None:
        self.rows.append([account_id, market_id, kind, size_e6, dollars_e6, now_ms // 1000, hash_])
        del self.rows[:-_KEPT]
        self._exchange.changes.face = True
