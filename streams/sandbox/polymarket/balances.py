"""What a wallet holds as order entry and `balance-allowance` believe it: read now and then, so it can be stale."""

from __future__ import annotations

from streams.market.identity import Outcome
from streams.sandbox.core.records import ListedMarket, OrderRequest
from streams.sandbox.exchange.buying_power import unmined_e6
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.polymarket.allowances import Allowances
from streams.sandbox.polymarket.clob.order_form import Form, Invalid
from streams.sandbox.polymarket.contracts import (
    COLLATERAL,
    CONDITIONAL_TOKENS,
    EXCHANGE_V2,
    EXCHANGE_V3,
    NEG_RISK_EXCHANGE_V2,
    POSITION_MANAGER,
)
from streams.sandbox.polymarket.signing import is_position_id

DOLLARS = "dollars"


class Balances:
    """Cached balances of all wallets, and the check of an order against them."""

    def __init__(self, exchange: Exchange, allowances: Allowances) -> None:
        self._exchange = exchange
        self._allowances = allowances
        self._read: dict[tuple[str, str], tuple[int, int]] = {}

    def dollars(self, account_id: str, now_ms: int) -> int:
        """Cash, not reduced by open orders."""
        return self._cached(account_id, DOLLARS, self._exchange.accounts.accounts[account_id].cash_e6, now_ms)

    def tokens(self, account_id: str, listed: ListedMarket, outcome: Outcome, now_ms: int) -> int:
        """Tokens of one outcome that are the wallet's on the chain."""
        name = f"{listed.market_id}:{outcome}"
        return self._cached(account_id, name, self.on_chain(account_id, listed, outcome), now_ms)

    def refresh(self, account_id: str) -> None:
        """Read everything of a wallet again the next time it is needed."""
        for name in [name for name in self._read if name[0] == account_id]:
            del self._read[name]

    def check(self, form: Form, request: OrderRequest, now_ms: int) -> None:
        """Refuse an order that a stale balance or a missing allowance does not cover; the exchange checks the rest.

        Raises:
            Invalid: With the venue's text.
        """
        spender, token = _spender(form)
        allowed = self._allowances.amount(str(form.order["maker"]), token, spender)
        amount = form.maker_e6
        if allowed < (amount if token == COLLATERAL else 1):
            raise Invalid(
                "not enough balance / allowance: the allowance is not enough -> "
                f"spender: {spender}, allowance: {allowed}, order amount: {amount}"
            )
        if not self._exchange.behaviour.balance_cache_ms:
            return
        if form.is_buy:
            believed = self.dollars(request.account_id, now_ms) - self._exchange.reserved_e6(request.account_id)
        else:
            believed = self.tokens(request.account_id, form.listed, form.outcome, now_ms)
        if amount > believed:
            raise Invalid(
                "not enough balance / allowance: the balance is not enough -> "
                f"balance: {believed}, order amount: {amount}"
            )

    def _cached(self, account_id: str, name: str, real: int, now_ms: int) -> int:
        read = self._read.get((account_id, name))
        if read is not None and now_ms - read[0] < self._exchange.behaviour.balance_cache_ms:
            return read[1]
        self._read[account_id, name] = (now_ms, real)
        return real

    def on_chain(self, account_id: str, listed: ListedMarket, outcome: Outcome) -> int:
        """Tokens of one outcome that are mined, read now."""
        account = self._exchange.accounts.accounts[account_id]
        position = account.positions.get(listed.market_id)
        held = position.held_e6(outcome) if position is not None else 0
        held -= unmined_e6(self._exchange, account, listed.market_id, outcome)
        return max(0, held)


def _spender(form: Form) -> tuple[str, str]:
    is_position = is_position_id(int(form.order["tokenId"]))
    neg_or_not = NEG_RISK_EXCHANGE_V2 if form.listed.market.is_neg_risk else EXCHANGE_V2
    spender = EXCHANGE_V3 if is_position else neg_or_not
    if form.is_buy:
        return spender, COLLATERAL
    return spender, POSITION_MANAGER if is_position else CONDITIONAL_TOKENS
