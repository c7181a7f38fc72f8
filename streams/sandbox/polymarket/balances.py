"""What wallets hold, and what they allow the venue's contracts to move.

Wallets start with everything approved, as the accounts of the venue's own interface do. `approve` and
`setApprovalForAll` through the relayer or the chain change it: dollars by amount, outcome tokens altogether.
"""

from __future__ import annotations

from typing import Any

from streams.market.identity import Outcome
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.polymarket.contracts import (
    AUTO_REDEEMER,
    BINARY_MODULE,
    COLLATERAL,
    COLLATERAL_ADAPTER,
    CONDITIONAL_TOKENS,
    EXCHANGE_V2,
    EXCHANGE_V3,
    NEG_RISK_COLLATERAL_ADAPTER,
    NEG_RISK_EXCHANGE_V2,
    NEG_RISK_MODULE,
    PERPS_DEPOSIT,
    POSITION_MANAGER,
    ROUTER,
    UNLIMITED,
)

DOLLAR_SPENDERS = (
    EXCHANGE_V2, NEG_RISK_EXCHANGE_V2, COLLATERAL_ADAPTER, NEG_RISK_COLLATERAL_ADAPTER, ROUTER, EXCHANGE_V3,
    PERPS_DEPOSIT,
)  # fmt: skip
TOKEN_OPERATORS = (
    EXCHANGE_V2, NEG_RISK_EXCHANGE_V2, COLLATERAL_ADAPTER, NEG_RISK_COLLATERAL_ADAPTER, AUTO_REDEEMER, BINARY_MODULE,
    NEG_RISK_MODULE,
)  # fmt: skip
POSITION_OPERATORS = (ROUTER, EXCHANGE_V3, AUTO_REDEEMER)
_DOLLARS = "dollars"


class Allowances:
    """Allowances of all wallets; only changes are in the exchange's saved state."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def amount(self, wallet: str, token: str, spender: str) -> int:
        """What a spender may take of a token (1e-6 dollars, or unlimited)."""
        return int(self._state.get(_name(wallet, token, spender), UNLIMITED))

    def set(self, wallet: str, token: str, spender: str, amount: int) -> None:
        """Approve."""
        self._state[_name(wallet, token, spender)] = str(amount)
        self._exchange.state.changes.saved = True

    def by_spender(self, wallet: str, token: str) -> dict[str, str]:
        """{exchange: amount}, as balance-allowance shows it."""
        spenders = (EXCHANGE_V3,) if token == POSITION_MANAGER else (EXCHANGE_V2, NEG_RISK_EXCHANGE_V2)
        return {spender: str(self.amount(wallet, token, spender)) for spender in spenders}

    def rows(self, wallet: str) -> list[dict[str, Any]]:
        """The catalogue of `/v2/approvals`."""
        pairs = [
            *((COLLATERAL, spender, "ERC20") for spender in DOLLAR_SPENDERS),
            *((CONDITIONAL_TOKENS, spender, "ERC1155") for spender in TOKEN_OPERATORS),
            *((POSITION_MANAGER, spender, "ERC1155") for spender in POSITION_OPERATORS),
        ]
        return [self._row(wallet, token, spender, standard) for token, spender, standard in pairs]

    def _row(self, wallet: str, token: str, spender: str, standard: str) -> dict[str, Any]:
        amount = self.amount(wallet, token, spender)
        shown = "max" if amount == UNLIMITED else str(amount)
        row: dict[str, Any] = {"token": token, "spender": spender, "standard": standard, "approved": amount > 0}
        return {**row, "amount": shown} if standard == "ERC20" else row

    @property
    def _state(self) -> dict[str, str]:
        state: dict[str, str] = self._exchange.state.saved.setdefault("allowances", {})
        return state


class Balances:
    """Balances as order entry and `balance-allowance` see them: read now and then, so they can be stale."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._read: dict[tuple[str, str], tuple[int, int]] = {}

    def dollars(self, account_id: str, now_ms: int) -> int:
        """Cash, not reduced by open orders."""
        return self._cached(account_id, _DOLLARS, self._exchange.state.accounts.accounts[account_id].cash_e6, now_ms)

    def tokens(self, account_id: str, listed: ListedMarket, outcome: Outcome, now_ms: int) -> int:
        """Tokens of one outcome that are the wallet's on the chain."""
        name = f"{listed.market_id}:{outcome}"
        return self._cached(account_id, name, self.on_chain(account_id, listed, outcome), now_ms)

    def refresh(self, account_id: str) -> None:
        """Read everything of a wallet again the next time it is needed."""
        for name in [name for name in self._read if name[0] == account_id]:
            del self._read[name]

    def _cached(self, account_id: str, name: str, real: int, now_ms: int) -> int:
        read = self._read.get((account_id, name))
        if read is not None and now_ms - read[0] < self._exchange.state.profile.balance_cache_ms:
            return read[1]
        self._read[account_id, name] = (now_ms, real)
        return real

    def on_chain(self, account_id: str, listed: ListedMarket, outcome: Outcome) -> int:
        """Tokens of one outcome that are mined, read now."""
        account = self._exchange.state.accounts.accounts[account_id]
        position = account.positions.get(listed.market_id)
        held = position.held_e6(outcome) if position is not None else 0
        held -= self._exchange.buying_power.pending_tokens_e6(account, listed.market_id, outcome)
        return max(0, held)


def _name(wallet: str, token: str, spender: str) -> str:
    return f"{wallet.lower()}:{token.lower()}:{spender.lower()}"
