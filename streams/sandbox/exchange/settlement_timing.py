"""When trades settle on the chain and how likely they fail: by the fault plan where it says so, else by the profile."""

from __future__ import annotations

import math
from decimal import Decimal

from streams.sandbox.core.faults import SettlementPlan
from streams.sandbox.core.records import Trade, TradeFate
from streams.sandbox.exchange.state import ExchangeState

_MINED_AFTER = 3
"""A trade is mined after this part (1 / n) of the time until it is final."""
_Z99 = 2.326
"""The 99th percentile of the standard normal distribution."""
_MOST_FAILING = Decimal("0.9")


class SettlementTiming:
    """Draws the times and the fates of settlements."""

    def __init__(self, state: ExchangeState) -> None:
        self._state = state

    @property
    def plan(self) -> SettlementPlan | None:
        """The fault plan's own timing, which goes before the profile's; where neither says any, the usual one."""
        if self._state.faults.settlement is None and self._state.profile.settlement_ms == (0, 0):
            return SettlementPlan()
        return self._state.faults.settlement

    @property
    def needs_mining(self) -> bool:
        """Whether bought tokens can be sold only once they are mined."""
        plan = self.plan
        return (self._state.profile.sellable if plan is None else plan.sellable) == "mined"

    def schedule(self, trade: Trade, now_ms: int) -> None:
        """Draw when a trade is mined and final."""
        plan = self.plan
        if plan is not None:
            trade.mined_ms, trade.final_ms = now_ms + plan.mined_ms, now_ms + plan.confirmed_ms
            return
        median, p99 = self._state.profile.settlement_ms
        spread = math.log(p99 / median) / _Z99
        whole = round(median * math.exp(spread * self._state.random.gauss(0, 1)))
        trade.mined_ms, trade.final_ms = now_ms + whole // _MINED_AFTER, now_ms + whole

    def fate(self, trade: Trade) -> TradeFate:
        """Draw how a trade that is mined now ends."""
        faults, share = self._state.faults, self.failing_share(trade)
        rule = faults.fires("failed_settlement", self._state.venue, market_id=trade.market_id)
        if rule is not None or faults.happens(share):
            return "fails"
        return "retries" if faults.happens(share) else "settles"

    def failing_share(self, trade: Trade) -> Decimal:
        """How likely a trade is to fail now: more so the further the price has moved in the taker's favour."""
        plan, profile = self.plan, self._state.profile
        if plan is not None:
            return plan.failed_probability
        now_e4 = self._state.markets[trade.market_id].middle_e4
        move = now_e4 - trade.price_e4 if trade.taker_side == "bid" else trade.price_e4 - now_e4
        cents = Decimal(max(0, move)) / 100
        return min(_MOST_FAILING, profile.failed_share * (1 + profile.failed_after_move * cents))
